"""Microsoft's own Python worker indexes the app and answers one call of each kind of trigger (Python 3.13)."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from local.azure import LocalAzure
from tests.infra.package import pack

ROOT = Path(__file__).parents[1]
RUNTIME = "azure-functions-runtime==1.3.0"
REQUIREMENTS = ROOT / "requirements.txt"

TINY = """
import json
import azure.functions as func

app = func.FunctionApp(http_auth_level=func.AuthLevel.FUNCTION)
blueprint = func.Blueprint()

@blueprint.queue_trigger(arg_name="msg", queue_name="%QUEUE%", connection="STORAGE")
def take(msg: func.QueueMessage, context: func.Context) -> None:
    assert (msg.get_json(), msg.dequeue_count, context.function_name) == ({"a": 1}, 1, "take")

@blueprint.timer_trigger(arg_name="timer", schedule="0 * * * * *")
def tick(timer: func.TimerRequest) -> None:
    assert timer.past_due is False

@blueprint.route(route="hello/{name}", methods=["POST"])
def hello(req: func.HttpRequest) -> func.HttpResponse:
    body = json.dumps({"name": req.route_params["name"], "sent": req.get_json()})
    return func.HttpResponse(body, status_code=202, mimetype="application/json")

app.register_functions(blueprint)
"""


@pytest.fixture(scope="module")
def python() -> Path:
    """The interpreter of an environment with the app's requirements and the worker, made once for a checkout."""
    base = python_313()
    if base is None:
        pytest.skip(
            "Python 3.13 was found neither on the PATH nor under ~/.pyenv/versions: install it (pyenv install 3.13, "
            "or python.org), so that the app is tried in Microsoft's library worker"
        )
    wanted = hashlib.sha256(REQUIREMENTS.read_bytes() + RUNTIME.encode()).hexdigest()[:12]
    cache_dir = ROOT / ".local" / "library-worker"
    folder, ready = cache_dir / wanted, cache_dir / wanted / "ready"
    cache_dir.mkdir(parents=True, exist_ok=True)
    with (cache_dir / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not ready.exists():
            _install(base, folder)
            ready.touch()
    return folder / "bin" / "python"


@cache
def python_313() -> Path | None:
    """A Python 3.13 that starts: a version shim on the PATH may not."""
    candidates = sorted((Path.home() / ".pyenv" / "versions").glob("3.13*/bin/python3.13"), reverse=True)
    on_path = shutil.which("python3.13")
    for candidate in ([Path(on_path)] if on_path else []) + candidates:
        done = subprocess.run([candidate, "-c", "import venv"], capture_output=True, check=False)
        if done.returncode == 0:
            return candidate
    return None


def _install(base: Path, folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    subprocess.run([base, "-m", "venv", folder], check=True, capture_output=True)
    pip = [folder / "bin" / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    # Apart, as pip asks every package of a command for a hash when one has it.
    for what in (["-r", REQUIREMENTS], [RUNTIME]):
        done = subprocess.run([*pip, "--no-compile", *what], capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{what[-1]} does not install on Python 3.13:\n{done.stderr[-2000:]}"


@pytest.mark.soak
def test_the_app_answers_from_what_is_pinned_by_hash(local_azure: LocalAzure, tmp_path: Path) -> None:
    """As Azure installs it."""
    base = python_313()
    if base is None:
        pytest.skip("Python 3.13 was not found")
    pip = [tmp_path / "bin" / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([base, "-m", "venv", tmp_path], check=True)
    subprocess.run([*pip, "--require-hashes", "-r", REQUIREMENTS], check=True)
    subprocess.run([*pip, RUNTIME], check=True)
    test_the_app_is_indexed_and_answers_each_kind_of_trigger(
        tmp_path / "bin" / "python", local_azure, tmp_path
    )


def drive(python: Path, app: Path, calls: list[dict[str, Any]], **settings: str) -> dict[str, Any]:
    done = subprocess.run(
        [python, ROOT / "tests" / "library_worker_driver.py"],
        input=json.dumps({"app": str(app), "calls": calls}),
        env=os.environ | settings,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    answered: dict[str, Any] = json.loads(done.stdout)
    assert "refused" not in answered, answered["refused"]
    return answered


def test_the_driver_sees_what_the_worker_answers(python: Path, tmp_path: Path) -> None:
    """A tiny app: if this fails, the driver is wrong, not the product."""
    (tmp_path / "function_app.py").write_text(TINY)
    answered = drive(
        python,
        tmp_path,
        [
            {"function": "take", "body": '{"a": 1}'},
            {"function": "take", "body": '{"a": 2}'},
            {"function": "tick"},
            {"function": "hello", "method": "POST", "params": {"name": "x"}, "body": "[1]"},
        ],
    )
    assert answered["worker"] == "1.3.0"
    assert answered["functions"] == {"take": "queueTrigger", "tick": "timerTrigger", "hello": "httpTrigger"}
    take, wrong, tick, hello = answered["answers"]
    assert take["succeeded"]
    assert tick["succeeded"]
    assert "AssertionError" in wrong["error"]
    assert hello["status"] == "202"
    assert json.loads(hello["body"]) == {"name": "x", "sent": [1]}


def test_the_app_is_indexed_and_answers_each_kind_of_trigger(
    python: Path, local_azure: LocalAzure, tmp_path: Path
) -> None:
    """Of the app only what is deployed, of packages only what requirements.txt asks for."""
    elsewhere = {
        "id": "1",
        "topic": "t",
        "subject": "/blobServices/default/containers/elsewhere/blobs/x.csv",
        "eventType": "Microsoft.Storage.BlobCreated",
        "eventTime": "2026-01-01T00:00:00Z",
        "dataVersion": "",
        "metadataVersion": "1",
        "data": {
            "api": "PutBlob",
            "eTag": "0x1",
            "contentLength": 1,
            "contentType": "text/csv",
            "blobType": "BlockBlob",
            "url": f"{local_azure.settings.storage('blob')}/elsewhere/x.csv",
            "sequencer": "01",
        },
    }
    answered = drive(
        python,
        pack(tmp_path / "app"),
        [
            {"function": "inbox", "body": json.dumps(elsewhere)},
            {"function": "run", "body": '{"loop": "nobody", "run": "1"}'},
            {"function": "tick"},
            {"function": "alert", "method": "POST", "body": "no alert"},
            {"function": "act", "method": "POST", "params": {"loop": "x", "verb": "pause"}, "body": "{}"},
        ],
        WEBSITE_AUTH_ENABLED="False",
    )
    assert {"queueTrigger", "timerTrigger", "httpTrigger"} == set(answered["functions"].values())
    assert answered["heavy"] == []
    inbox, run, tick, alert, act = answered["answers"]
    assert inbox["succeeded"], inbox
    assert run["succeeded"], run
    assert tick["succeeded"], tick
    assert alert["status"] == "401", "who is not Azure Monitor is not believed, whatever he sends"
    assert act["status"] == "401"
