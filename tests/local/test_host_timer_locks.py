"""What a stop, a crash and a storage that refuses mean for a timer: its lock, its record and its status blob.

Sources and rows as in test_host_ends.py.
"""

from __future__ import annotations

import json
import time
import uuid
from datetime import UTC, datetime, timedelta

from azure.identity import DefaultAzureCredential
from azure.storage.blob import BlobClient, BlobLeaseClient, BlobServiceClient

from tests.local.hosted import HTTP, App, said
from tests.local.refusing import refusing
from tests.patience import until

TIMER = """
@app.timer_trigger(arg_name="timer", schedule="0 0 * * * *")
def hourly(timer: func.TimerRequest) -> None:
    note(past=timer.past_due, status=timer.schedule_status)
"""


def due_timer(app: App, source: str) -> BlobClient:
    """An app whose hourly timer has missed five runs; its status blob."""
    app.settings["WEBSITE_SITE_NAME"] = site = f"site-{uuid.uuid4().hex[:8]}"
    app.write(source)
    storage = BlobServiceClient(app.azure.settings.storage("blob"), credential=DefaultAzureCredential())
    container = storage.get_container_client("azure-webjobs-hosts")
    if not container.exists():
        container.create_container()
    blob = container.get_blob_client(f"timers/{site}/Host.Functions.hourly/status")
    missed = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(hours=5)
    status = {"Last": missed - timedelta(hours=1), "Next": missed, "LastUpdated": missed - timedelta(hours=1)}
    blob.upload_blob(json.dumps({k: v.isoformat() for k, v in status.items()}))
    return blob


def lock_of(blob: BlobClient) -> BlobClient:
    name = blob.blob_name.replace("timers/", "locks/").replace("/status", ".Listener")
    return BlobClient(
        blob.url.split("/azure-webjobs-hosts")[0],
        blob.container_name,
        name,
        credential=DefaultAzureCredential(),
    )


def test_rows_7_and_14_a_timer_that_a_stop_cut_runs_again_once_its_lock_is_free(app: App) -> None:
    app.speed = 10  # the lock is free after storage's shortest lease, and is tried every six seconds
    blob = due_timer(app, TIMER + "    time.sleep(60 if not os.path.exists('again') else 0)")
    before = blob.download_blob().readall()
    host = app.start()
    until(app.calls)
    host.stop(grace_s=30)
    assert blob.download_blob().readall() == before  # the run was not recorded
    (app.folder / "again").touch()
    began = time.monotonic()
    with app.running() as again:
        until(said(again, "holds the lock of timer hourly"))
        until(lambda: len(app.calls()) == 2)
        assert time.monotonic() - began > 6  # not at once: it was tried again later
    assert [call["past"] for call in app.calls()] == [True, True]


def test_a_timer_whose_status_cannot_be_written_runs_once_and_goes_on(app: App) -> None:
    app.speed = 50
    blob = due_timer(app, TIMER)
    with refusing(app.azure, "blob") as storage:
        app.settings["AzureWebJobsStorage__blobServiceUri"] = storage.uri
        storage.rule = lambda method, target: 403 if method == "PUT" and target.endswith("/status") else 0
        with app.running() as host:
            until(said(host, "could not be written"))
            time.sleep(2.5)
            assert host.poll() is None
    assert len(app.calls()) == 1
    assert blob.exists()


def test_a_lock_that_was_taken_away_ends_the_host_at_its_next_renewal(app: App) -> None:
    app.speed = 10
    blob = due_timer(app, TIMER)
    host = app.start()
    until(app.calls)
    lease = BlobLeaseClient(lock_of(blob))
    lease.break_lease(0)
    lease.acquire(60)
    assert host.wait(30) == 0


def test_a_status_that_cannot_be_read_keeps_the_timer_from_starting(app: App) -> None:
    app.speed = 10
    blob = due_timer(app, TIMER + HTTP)
    blob.upload_blob(b"not json", overwrite=True)
    with app.running() as host:
        until(said(host, "unable to start"))
        assert app.get("/api/wait/0").status_code == 200
        blob.upload_blob(b"{}", overwrite=True)
        until(lambda: b"Next" in blob.download_blob().readall())
    assert [call for call in app.calls() if "past" in call] == []


def test_row_18_without_its_own_storage_the_host_answers_http_and_starts_no_timer(app: App) -> None:
    app.speed = 10
    app.settings["AzureWebJobsStorage__blobServiceUri"] = "https://127.0.0.1:1/devstoreaccount1"
    app.write(TIMER + HTTP)
    with app.running() as host:
        until(said(host, "the listener of timer hourly is unable to start"))
        assert app.get("/api/wait/0").status_code == 200


def test_rows_15_and_32_of_its_first_run_a_timer_sees_year_one(app: App) -> None:
    app.settings["WEBSITE_SITE_NAME"] = f"site-{uuid.uuid4().hex[:8]}"
    blob = due_timer(app, TIMER.replace('"0 0 * * * *"', '"0 0 * * * *", run_on_startup=True'))
    blob.delete_blob()
    with app.running():
        [call] = until(app.calls)
        until(lambda: json.loads(blob.download_blob().readall())["Last"] != "0001-01-01T00:00:00")
        stored = json.loads(blob.download_blob().readall())
    assert call["past"] is False
    assert call["status"]["Last"] == call["status"]["LastUpdated"] == "0001-01-01T00:00:00"  # type: ignore[index]
    moment, _, offset = stored["LastUpdated"].partition("+")
    assert (len(moment.partition(".")[2]), offset) == (7, "00:00")
