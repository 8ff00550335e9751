"""The host's waits at Azure's own length: ten minutes for a message, a minute and another for a timer's lock."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from local.azure import LocalAzure
from tests.local.hosted import TAKE, App
from tests.patience import until
from tests.soak.figures import keep

pytestmark = pytest.mark.soak
TICK = """
@app.timer_trigger(arg_name="timer", schedule="*/5 * * * * *")
def tick(timer: func.TimerRequest) -> None:
    note(tick=1)

"""


@pytest.fixture
def app(local_azure: LocalAzure, tmp_path: Path) -> App:
    made = App(local_azure, tmp_path)
    made.queue().create_queue()
    return made


def at(app: App, key: str) -> list[float]:
    return [float(str(call["at"])) for call in app.calls() if key in call]


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM], ids=["SIGKILL", "SIGTERM"])
def test_what_a_host_held_comes_back_when_azures_times_are_over(app: App, how: signal.Signals) -> None:
    """Real: 601.8 s for a message after kill -9; 69 s for a timer, at most about 120 (measured hosts)."""
    hold = TAKE + "    note(count=msg.dequeue_count)\n    time.sleep(900 if msg.dequeue_count == 1 else 0)\n"
    app.write(hold + TICK)
    app.send("held")
    host = app.start()
    until(lambda: at(app, "count") and at(app, "tick"))
    os.kill(host.pid, how)
    host.wait(60)
    last_tick = at(app, "tick")[-1]
    with app.running():
        until(lambda: at(app, "tick")[-1] > last_tick, within_s=180)
        until(lambda: len(at(app, "count")) == 2, within_s=900)
    ticks = at(app, "tick")
    silent_s = min(tick for tick in ticks if tick > last_tick) - last_tick
    first, second = at(app, "count")
    keep(
        f"host {how.name}",
        f"a message that it held came back {second - first:.1f} s after it was received, with 2 tries; "
        f"a timer of every 5 s was silent for {silent_s:.1f} s",
    )
    assert second - first >= 600
    assert (silent_s >= 60) == (how is signal.SIGKILL)
