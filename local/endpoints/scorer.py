"""A scoring process serves on 127.0.0.1 when `start` returns, or is gone and its log says why."""

from __future__ import annotations

import os
import random
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import httpx

from local import processes
from local.endpoints.exceptions import DeploymentFailed
from local.settings import port_is_free

IMAGE = Path(__file__).parent / "image"

READY_WITHIN_S = 90.0  # Azure's probes allow minutes; a machine under load needs some of them
_INIT_FAILED = 3  # the server's exit code when init() raised


@dataclass(frozen=True)
class Scoring:
    """One running scoring process."""

    address: str
    child: processes.Child

    def stop(self) -> None:
        self.child.stop()


@dataclass(frozen=True)
class Plan:
    """All that a scoring process is started from."""

    name: str
    python: Path
    code: Path
    script: str
    model: Path | None
    variables: Mapping[str, str]
    log: Path


def start(plan: Plan, ended: threading.Event) -> Scoring:
    """Start the server, its own process group, and wait until it answers its probe or all is ended."""
    if not (plan.code / plan.script).is_file():
        raise DeploymentFailed("BadArgument", f"The code folder has no scoring script '{plan.script}'.")
    port = _free_port()
    command = [str(plan.python), str(IMAGE / "launch.py"), "--port", str(port)]
    command += ["--entry_script", str(plan.code / plan.script)]
    child = processes.start(plan.name, command, log=plan.log, env=_environment(plan), cwd=plan.code)
    scoring = Scoring(f"http://127.0.0.1:{port}", child)
    try:
        _await(scoring, ended)
    except DeploymentFailed:
        scoring.stop()
        raise
    return scoring


def _environment(plan: Plan) -> dict[str, str]:
    """Nothing of ours leaks into the process but what a container would have."""
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "HOME", "TMPDIR") if name in os.environ}
    model = {} if plan.model is None else {"AZUREML_MODEL_DIR": str(plan.model)}
    fixed = {"AML_APP_ROOT": str(plan.code), "PYTHONUNBUFFERED": "1"}
    return kept | fixed | model | dict(plan.variables)


def _await(scoring: Scoring, ended: threading.Event) -> None:
    deadline = time.monotonic() + READY_WITHIN_S
    with httpx.Client(trust_env=False, timeout=5) as client:
        while True:
            code = scoring.child.poll()
            if code is not None:
                raise _crashed(code, scoring.child)
            try:
                if client.get(scoring.address).status_code == 200:
                    return
            except httpx.TransportError:
                pass  # not listening yet
            if time.monotonic() > deadline:
                raise DeploymentFailed("ResourceNotReady", _text("did not answer its probe", scoring.child))
            if ended.wait(0.05):
                raise DeploymentFailed("Canceled", "The local Azure is ending.")


def _crashed(code: int, child: processes.Child) -> DeploymentFailed:
    how = (
        "has crashed: init() failed"
        if code == _INIT_FAILED
        else f"has crashed or terminated with code {code}"
    )
    return DeploymentFailed("ResourceNotReady", _text(f"{how}; its probes got HTTP 502", child))


def _text(how: str, child: processes.Child) -> str:
    return f"User container {how}. The end of its log (all of it: get_logs):\n{child.log_tail()}"


def _free_port() -> int:
    """Below the range that systems hand out to clients, so that none takes it before the server does."""
    while True:
        port = random.randrange(12000, 20000)
        if port_is_free(port):
            return port
