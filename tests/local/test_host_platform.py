"""The platform starts a host again that ended, ever later, and gives each group of functions a process of its own."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise

import pytest

from local.host.platform import Platform, PlatformFailed
from tests.local.hosted import TAKE, App, alive
from tests.patience import until

TWO_QUEUES_AND_A_TIMER = (
    TAKE
    + """    note(who="take", parent=os.getppid())

@app.queue_trigger(arg_name="msg", queue_name="%TEST_QUEUE%-poison", connection="DRIFTLOOP_STORAGE")
def poison(msg: func.QueueMessage) -> None:
    note(who="poison", parent=os.getppid())

@app.timer_trigger(arg_name="timer", schedule="*/1 * * * * *")
def tick(timer: func.TimerRequest) -> None:
    note(who="tick", parent=os.getppid())

@app.route(route="who", auth_level="anonymous")
def who(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse(str(os.getppid()))
"""
)


@contextmanager
def around(app: App, *, by_group: bool = False, speed: float = 1.0) -> Iterator[Platform]:
    command = [
        sys.executable,
        "-m",
        "local.host",
        "--app",
        str(app.folder),
        "--state",
        str(app.azure.settings.folder),
    ]
    env = os.environ | {"TEST_QUEUE": app.queue_name, "CALLS": str(app.calls_file)} | app.settings
    platform = Platform(command, env, app.folder / "logs", app.port, by_group=by_group, speed=speed)
    try:
        platform.start()
        yield platform
    finally:
        platform.stop()


def parents(app: App, who: str) -> list[object]:
    return [call["parent"] for call in app.calls() if call["who"] == who]


def test_row_8_each_group_of_functions_has_its_own_process(app: App) -> None:
    app.write(TWO_QUEUES_AND_A_TIMER)
    app.queue("-poison").create_queue()
    with around(app, by_group=True) as platform:
        app.send("one")
        app.queue("-poison").send_message("YmFk")
        until(lambda: all(parents(app, who) for who in ("take", "poison", "tick")))
        pids = {name: one.child.pid for name, one in platform.instances.items() if one.child is not None}
        answered_by = int(app.get("/api/who").text)
        second = platform.scale_out("function:take")
        until(second.is_ready)
        app.send(*map(str, range(40)))
        until(lambda: len(set(parents(app, "take"))) == 2)
        assert second.child is not None
        platform.scale_in(second.name)
        assert not alive(second.child.pid)
    assert set(pids) == {"host-http", "host-function-take", "host-function-poison", "host-function-tick"}
    assert set(parents(app, "tick")) == {pids["host-function-tick"]}
    assert set(parents(app, "poison")) == {pids["host-function-poison"]}
    assert answered_by == pids["host-http"]
    assert len(set(pids.values())) == 4


def test_a_host_that_ended_is_started_again_ever_later(app: App) -> None:
    app.write(
        """
        with open(os.environ["CALLS"], "a") as file:
            file.write(json.dumps({"at": time.time()}) + "\\n")

        @app.route(route="x")
        def x(req: func.HttpRequest) -> func.HttpResponse: ...
        """
    )
    with around(app, speed=2) as platform:
        instance = platform.instances["host"]
        for starts in (1, 2, 3):
            until(lambda starts=starts: instance.starts == starts and instance.is_ready())  # type: ignore[misc]
            platform.kill("host")
        until(lambda: len(app.calls()) == 4)
    delays = [float(str(later["at"])) - float(str(one["at"])) for one, later in pairwise(app.calls())]
    assert instance.delay_s == 4
    assert delays[2] > delays[0]


def test_an_app_that_is_refused_is_not_started_again(app: App) -> None:
    app.write("import nothing_of_that_name")
    for by_group in (False, True):
        with pytest.raises(PlatformFailed, match="nothing_of_that_name"), around(app, by_group=by_group):
            pass
