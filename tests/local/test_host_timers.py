"""Timers: on time, never beside themselves, misses made up once, and one host of several runs them."""

from __future__ import annotations

import json
import time
import uuid
from datetime import UTC, datetime, timedelta

from azure.identity import DefaultAzureCredential
from azure.storage.blob import BlobServiceClient

from tests.local.hosted import App
from tests.patience import until


def test_a_timer_runs_on_time_and_never_beside_itself(app: App) -> None:
    app.settings["EVERY"] = "*/1 * * * * *"
    app.write(
        """
        @app.timer_trigger(arg_name="timer", schedule="%EVERY%")
        def tick(timer: func.TimerRequest) -> None:
            note(edge=1, past=timer.past_due)
            if len(open(os.environ["CALLS"]).readlines()) < 3:
                time.sleep(3.3)
            note(edge=-1)
        """
    )
    with app.running():
        until(lambda: len(app.calls()) >= 8)
    calls = app.calls()[:8]
    assert [call["edge"] for call in calls] == [1, -1] * 4
    starts = [float(str(call["at"])) for call in calls[::2]]
    assert not any(call.get("past") for call in calls)
    assert starts[1] - starts[0] < 3.3 + 0.9  # what came due meanwhile: one run, at once
    assert starts[2] - starts[1] > 0.05  # and not one for each that was missed
    assert starts[3] - starts[2] > 0.8


def test_a_missed_run_is_made_up_once_at_start(app: App) -> None:
    app.settings["WEBSITE_SITE_NAME"] = site = f"site-{uuid.uuid4().hex[:8]}"
    app.write(
        """
        @app.timer_trigger(arg_name="timer", schedule="0 0 * * * *")
        def hourly(timer: func.TimerRequest) -> None:
            note(past=timer.past_due, status=timer.schedule_status)
        """
    )
    storage = BlobServiceClient(app.azure.settings.storage("blob"), credential=DefaultAzureCredential())
    blob = storage.get_blob_client("azure-webjobs-hosts", f"timers/{site}/Host.Functions.hourly/status")
    with app.running():  # the first start ever: nothing was missed
        until(blob.exists)
        time.sleep(0.5)
        assert app.calls() == []
    missed = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(hours=5)
    status = {"Last": missed - timedelta(hours=1), "Next": missed, "LastUpdated": missed - timedelta(hours=1)}
    blob.upload_blob(json.dumps({k: v.isoformat() for k, v in status.items()}), overwrite=True)
    with app.running():
        [call] = until(app.calls)
        assert call["past"] is True
        assert call["status"]["Next"] == missed.isoformat()  # type: ignore[index]
        until(
            lambda: (
                datetime.fromisoformat(json.loads(blob.download_blob().readall())["Next"]) > datetime.now(UTC)
            )
        )
    changed = status | {"Next": missed + timedelta(minutes=1)}  # not what the schedule makes of Last
    blob.upload_blob(json.dumps({k: v.isoformat() for k, v in changed.items()}), overwrite=True)
    with app.running():
        until(
            lambda: (
                datetime.fromisoformat(json.loads(blob.download_blob().readall())["Next"]) > datetime.now(UTC)
            )
        )
        time.sleep(0.5)
    assert len(app.calls()) == 1  # a schedule that was changed begins anew


def test_of_two_hosts_one_runs_the_timer(app: App) -> None:
    app.write(
        """
        @app.timer_trigger(arg_name="timer", schedule="*/1 * * * * *")
        def tick(timer: func.TimerRequest) -> None:
            note(host=os.getppid())
        """
    )
    app.speed = 20  # who does not get the lock tries again after three seconds
    first = app.start()
    until(app.calls)
    second = app.start(port=App(app.azure, app.folder).port)
    try:
        until(lambda: "another host holds the lock of timer tick" in second.log_tail(10**6))
        until(lambda: len(app.calls()) >= 4)
        assert {call["host"] for call in app.calls()} == {first.pid}
        first.stop(grace_s=20)  # gives the lease back
        until(lambda: app.calls()[-1]["host"] == second.pid)
    finally:
        second.stop(grace_s=20)
    assert len({round(float(str(call["at"]))) for call in app.calls()}) == len(app.calls())
