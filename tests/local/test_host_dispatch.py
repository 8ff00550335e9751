"""A worker that dies at the worst moment is replaced like any other."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from local.host.channel import Answer, WorkerProcess
from local.host.dispatch import Dispatcher
from local.host.pace import Pace

APP = """
import asyncio, os
from pathlib import Path
import azure.functions as func

app = func.FunctionApp()
lives = Path(__file__).with_name("lives")
lives.write_text((lives.read_text() if lives.exists() else "") + "x")

@app.timer_trigger(arg_name="timer", schedule="0 0 0 1 1 *")
def pid(timer: func.TimerRequest) -> None:
    if len(lives.read_text()) == 1:
        os._exit(3)

if len(lives.read_text()) == SHORT:
    asyncio.run = lambda serving: os._exit(3)  # once it has said what it has indexed
"""


@pytest.fixture
def ends_are_seen_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """The end of a short life is reported before anybody has looked at what it indexed."""
    indexed = WorkerProcess.indexed

    def after_the_end(self: WorkerProcess, within_s: float) -> list[Answer]:
        found = indexed(self, within_s)
        self._reader.join(0.5)  # a long life is not waited for
        return found

    monkeypatch.setattr(WorkerProcess, "indexed", after_the_end)


@pytest.mark.parametrize(("short_life", "lives"), [(1, 2), (2, 3)], ids=["the first one", "its replacement"])
@pytest.mark.usefixtures("ends_are_seen_first")
def test_a_worker_that_dies_once_it_has_indexed_is_replaced(
    short_life: int, lives: int, tmp_path: Path
) -> None:
    """Source: azure-functions-host, RpcFunctionInvocationDispatcher.cs: every end of the process counts."""
    (tmp_path / "function_app.py").write_text(APP.replace("SHORT", str(short_life)))
    (tmp_path / "host.json").write_text('{"version": "2.0"}')
    fatal: list[str] = []
    dispatcher = Dispatcher(tmp_path, os.environ, timeout_s=600, pace=Pace(100), fatal=fatal.append)
    try:
        value = '{"IsPastDue": false}'
        answers = [dispatcher.begin("pid", "json", value).exception(30) for _ in range(2)]
        assert answers[1] is None
        assert len((tmp_path / "lives").read_text()) == lives
        assert not fatal
    finally:
        dispatcher.stop()
