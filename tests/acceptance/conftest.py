"""The real app on the local Azure, used as people use it: by the command line and by events."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from palmerpenguins import load_penguins

from local.__main__ import write_exports
from local.azure import LocalAzure
from shared import loopfile
from shared.azure.client import Workspace, credential
from shared.azure.registry import Registry
from shared.domain.release import Phase
from shared.loopfile.published import Published
from shared.ports import Ports
from shared.runtime import publication, unit_of_work
from shared.settings import Settings
from shared.state import queries
from shared.wiring import azure_ports
from shared.words import plain
from tests.patience import rest

ROOT = Path(__file__).parent.parent.parent
PATIENCE_S = 180
SHORT = (
    "canary.step.minutes=0.02",
    "canary.step.min_requests=30",
    "canary.steps=[50]",
    "canary.bake_minutes=0",
    "retrain.cooldown=1s",
)

Status = dict[str, Any]  # the command's JSON, read here as its users read it


@dataclass
class App:
    """A running app and the commands that drive it."""

    azure: LocalAzure
    folder: Path

    def run(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """`driftloop ...`, with the settings that `make up` writes."""
        command = [sys.executable, "-c", "from cli import main; main()", *arguments]
        env = {**os.environ, **self.azure.environment(), "COLUMNS": "200"}
        done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=180)
        assert not check or done.returncode == 0, done.stdout + done.stderr
        return done

    @cached_property
    def ports(self) -> Ports:
        return azure_ports(Settings.from_environment(os.environ))

    def in_new_shell(self, command: list[str]) -> subprocess.CompletedProcess[str]:
        """A command as a person types it who has opened a terminal: first the file that `make up` writes, then this."""
        file = write_exports(self.folder / "env", self.azure.environment())
        typed = f". {shlex.quote(str(file))}\n{shlex.join(command)}"
        env = {"PATH": "/usr/bin:/bin", "HOME": str(self.folder), "PYTHONPATH": str(ROOT), "COLUMNS": "200"}
        return subprocess.run(
            ["/bin/sh", "-c", typed], cwd=ROOT, env=env, capture_output=True, text=True, timeout=180
        )

    def publish(self, loop: str, *overrides: str) -> None:
        """The penguins' loop under another name, so that tests do not meet."""
        named = (f"loop={loop}", f"data.landing=landing/{loop}/", f"serve.endpoint={loop}")
        file = ROOT / "loops/penguins/loop.yaml"
        definition = loopfile.load(file, overrides=(*named, *SHORT, *overrides))
        registry = Registry(Workspace(Settings.from_environment(os.environ), credential()))
        assets = registry.register(file.parent, definition, lambda _: None)
        publication.publish(self.ports, Published(definition, assets, "a test", self.ports.clock.now()))

    def drop(self, loop: str, name: str, content: pd.DataFrame | bytes) -> None:
        data = content if isinstance(content, bytes) else content.to_csv(index=False).encode()
        self.ports.blobs.upload("landing", f"{loop}/{name}", data)

    def status(self, loop: str) -> Status:
        """What `driftloop status LOOP --json` prints, without a process for each look."""
        status: Status = json.loads(json.dumps(plain(queries.loop(self.ports, loop)), default=str))
        return status

    def wait(self, loop: str, true: Callable[[Status], bool]) -> Status:
        began = time.monotonic()
        while True:
            status = self.status(loop)
            if true(status):
                return status
            assert time.monotonic() - began < PATIENCE_S, json.dumps(status, indent=1)
            rest(began, most_s=1)

    def live(self, loop: str, release: int = 1) -> Status:
        """Until this release serves and is done; with requests, so that its canary has evidence."""
        with traffic(self, loop):
            return self.wait(
                loop,
                lambda s: (
                    (s["state"]["champion"] or {}).get("release") == release
                    and s["state"]["open_release"] is None
                ),
            )


def season(year: int, **factors: float) -> pd.DataFrame:
    """A season; a keyword multiplies that column."""
    birds = load_penguins()
    birds.insert(0, "row_id", [f"{y}-{n:03d}" for n, y in enumerate(birds["year"])])
    birds = birds[birds["year"] == year].reset_index(drop=True)
    return birds.assign(**{column: birds[column] * factor for column, factor in factors.items()})


class traffic:
    """Requests to a loop's endpoint while a test waits, by so many clients in a process of its own.

    They begin when a canary asks for them: before, they only take the time of the job and of its models.
    """

    def __init__(self, app: App, loop: str, at_once: int = 1) -> None:
        self._app, self._loop, self._at_once = app, loop, at_once
        self._over = threading.Event()
        self._sender = threading.Thread(target=self._send)

    def __enter__(self) -> None:
        self._sender.start()

    def __exit__(self, *error: object) -> None:
        self._over.set()
        self._sender.join(60)
        assert not self._sender.is_alive()

    def _send(self) -> None:
        while not self._asked_for():
            if self._over.wait(0.5):
                return
        code = "import sys; from tests.acceptance.requests_sender import send; send(*sys.argv[1:])"
        command = [sys.executable, "-c", code, self._loop, str(self._at_once)]
        env = {**os.environ, **self._app.azure.environment()}
        with subprocess.Popen(command, cwd=ROOT, env=env, stdin=subprocess.PIPE) as process:
            self._over.wait()
            process.communicate(timeout=30)  # its input ends, and with it the process

    def _asked_for(self) -> bool:
        current = unit_of_work.read(self._app.ports, self._loop)
        number = current.state.open_release
        return number is not None and current.release(number)[0].phase is Phase.CANARY


@pytest.fixture(scope="package")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    folder = tmp_path_factory.mktemp("acceptance")
    before = dict(os.environ)
    with LocalAzure(folder / "azure", functions_host=True) as azure:
        os.environ.pop("AZUREML_CURRENT_CLOUD", None)  # the SDK keeps the last local Azure there
        os.environ.update(azure.environment())
        try:
            yield App(azure, folder)
        finally:
            os.environ.clear()
            os.environ.update(before)
