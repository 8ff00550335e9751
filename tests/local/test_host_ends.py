"""Where the real host ends, waits or leaves work behind, this one does too; rows are those of the measured host.

Sources: Microsoft's host 4.1037 and its storage and timer extensions, built and run; the row's code is named there.
Times are Azure's, divided by the app's speed; none is asserted but in relation to another.
"""

from __future__ import annotations

import json
import signal
import threading
import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from azure.identity import DefaultAzureCredential
from azure.storage.blob import BlobClient, BlobLeaseClient, BlobServiceClient

from local import processes
from tests.local.hosted import TAKE, App, alive, peek, until
from tests.local.refusing import refusing

SETTINGS = {
    "batchSize": 4,
    "newBatchThreshold": 0,
    "maxPollingInterval": "00:00:00.2",
    "visibilityTimeout": "00:00:05",
}
QUEUES = {"extensions": {"queues": SETTINGS}}
HTTP = """
@app.route(route="wait/{seconds}", auth_level="anonymous")
def wait(req: func.HttpRequest) -> func.HttpResponse:
    note(http=req.route_params["seconds"])
    time.sleep(float(req.route_params["seconds"]))
    return func.HttpResponse(str(os.getpid()))

@app.route(route="end/{how}", auth_level="anonymous")
def end(req: func.HttpRequest) -> func.HttpResponse:
    if req.route_params["how"] == "die":
        os._exit(3)
    raise SystemExit(2)
"""


def said(host: processes.Child, text: str) -> Callable[[], bool]:
    return lambda: text in host.log_tail(10**6)


def in_background(app: App, path: str) -> tuple[threading.Thread, list[object]]:
    """A request that may take long: its status, or the error, and the seconds that it took."""
    found: list[object] = []

    def ask() -> None:
        began = time.monotonic()
        try:
            found.append(app.get(path).status_code)
        except httpx.HTTPError as error:
            found.append(type(error).__name__)
        found.append(time.monotonic() - began)

    thread = threading.Thread(target=ask)
    thread.start()
    return thread, found


def refused_after(number: int, status: int, method: str = "GET") -> Callable[[str, str], int]:
    """A rule that lets so many requests of a method for messages pass."""
    seen: list[str] = []

    def rule(asked: str, target: str) -> int:
        if asked != method or "/messages" not in target:
            return 0
        seen.append(target)
        return status if len(seen) > number else 0

    return rule


@pytest.mark.parametrize("status", [403, 400])
def test_row_1_a_refused_poll_ends_the_host_and_http_with_it(app: App, status: int) -> None:
    app.write(TAKE + "    note(body=1)\n" + HTTP, QUEUES)
    with refusing(app.azure, "queue") as storage:
        app.settings["DRIFTLOOP_STORAGE__queueServiceUri"] = storage.uri
        host = app.start()
        assert app.get("/api/wait/0").status_code == 200
        storage.rule = refused_after(0, status)
        assert host.wait(30) == 0  # row 17: as after SIGTERM
    assert "unhandled exception, the host is shutting down" in host.log_tail(10**6)


def test_row_1_a_poll_survives_503_and_404(app: App) -> None:
    app.speed = 50
    app.write(TAKE + "    note(body=msg.get_body().decode())", QUEUES)
    with refusing(app.azure, "queue") as storage:
        app.settings["DRIFTLOOP_STORAGE__queueServiceUri"] = storage.uri
        host = app.start()
        for status in (503, 404):
            storage.rule = refused_after(0, status)
            before = len(storage.asked)
            until(lambda before=before: len(storage.asked) > before + 14)  # type: ignore[misc]
            assert host.poll() is None
        storage.rule = lambda method, target: 0
        app.send("after")
        until(app.calls)
        host.stop()


def test_row_1_storage_that_nobody_can_connect_to_ends_the_host_once_its_retries_are_over(app: App) -> None:
    app.speed = 10
    app.settings["DRIFTLOOP_STORAGE__queueServiceUri"] = "https://127.0.0.1:1/devstoreaccount1"
    app.write(TAKE + "    note(body=1)\n" + HTTP, QUEUES)
    host = app.start()
    assert app.get("/api/wait/0").status_code == 200
    assert host.wait(60) == 0


def test_row_1_a_success_that_cannot_be_deleted_ends_the_host_and_comes_again(app: App) -> None:
    app.speed = 100  # ten minutes are six seconds
    app.write(TAKE + "    note(count=msg.dequeue_count)", QUEUES)
    with refusing(app.azure, "queue") as storage:
        app.settings["DRIFTLOOP_STORAGE__queueServiceUri"] = storage.uri
        storage.rule = refused_after(0, 503, "DELETE")
        app.send("once")
        assert app.start().wait(30) == 0
        assert len([asked for asked in storage.asked if asked[0] == "DELETE"]) == 6
        storage.rule = lambda method, target: 0
        with app.running():
            until(lambda: len(app.calls()) == 2)
    assert [call["count"] for call in app.calls()] == [1, 2]


def test_a_message_that_is_gone_when_it_is_settled_is_no_trouble(app: App) -> None:
    app.write(TAKE + "    note(body=1)\n    time.sleep(1)", QUEUES)
    with app.running() as host:
        app.send("gone")
        until(app.calls)
        app.queue().clear_messages()
        until(said(host, "was not there any more"))
        assert host.poll() is None


def test_row_2_a_messages_own_keys_are_its_metadata(app: App) -> None:
    app.speed = 5
    app.write(TAKE + "    note(body=msg.get_body().decode(), id=msg.id, count=msg.dequeue_count)", QUEUES)
    unbindable = [
        '{"InsertionTime": "zzz"}',
        '{"insertiontime": "2026-11-28T10:00:00Z"}',
        '{"DequeueCount": "many"}',
        '{"NextVisibleTime": {}}',
    ]
    harmless = [
        '{"id": "evil", "dequeuecount": 99}',
        '{"DequeueCount": null}',
        '{"a": {"DequeueCount": "x"}}',
        "[1]",
    ]
    with app.running():
        app.send(*unbindable, *harmless)
        until(lambda: len(peek(app.queue("-poison"))) == len(unbindable))
    seen = {str(call["body"]): call for call in app.calls()}
    assert set(seen) == set(harmless)
    assert (seen[harmless[0]]["id"], seen[harmless[0]]["count"]) == ("evil", 99)
    assert [seen[body]["count"] for body in harmless[1:]] == [1, 1, 1]


def test_row_3_what_fails_in_a_poison_queue_stays_hidden_for_its_ten_minutes(app: App) -> None:
    app.speed = 60  # ten seconds; visibilityTimeout would be less than a tenth of one
    app.queue("-poison").create_queue()
    app.write(
        TAKE.replace("%TEST_QUEUE%", "%TEST_QUEUE%-poison")
        + "    note(count=msg.dequeue_count)\n    raise ValueError('again')",
        QUEUES,
    )
    with refusing(app.azure, "queue") as storage:
        app.settings["DRIFTLOOP_STORAGE__queueServiceUri"] = storage.uri
        with app.running():
            app.queue("-poison").send_message("YmFk")
            until(lambda: len(app.calls()) == 2)
        # Under load a renewal may be due; a release would ask for another time, a deletion for none.
        settled = [target for _, target in storage.asked if "/messages/" in target]
        assert all(target.endswith("visibilitytimeout=10") for target in settled), settled
    first, second = (float(str(call["at"])) for call in app.calls()[:2])
    assert second - first > 600 / app.speed * 0.8
    assert peek(app.queue("-poison-poison")) == []


def test_row_4_a_stop_lets_short_work_finish_and_leaves_long_work_hidden(app: App) -> None:
    app.speed = 5
    app.write(TAKE + "    note(body=msg.get_body().decode())\n    time.sleep(float(msg.get_body()))", QUEUES)
    app.send("1", "60")
    host = app.start()
    until(lambda: len(app.calls()) == 2)
    worker = int(str(app.calls()[0]["pid"]))
    host.stop(grace_s=30)
    assert not alive(worker)
    assert app.left() == 1  # the short one was deleted
    assert list(app.queue().receive_messages()) == []  # nothing was given back


def test_row_4_the_last_try_that_fails_during_a_stop_is_poison(app: App) -> None:
    one_try = {"extensions": {"queues": SETTINGS | {"maxDequeueCount": 1}}}
    app.write(TAKE + "    note(body=1)\n    time.sleep(1)\n    raise ValueError('late')", one_try)
    app.send("last")
    host = app.start()
    until(app.calls)
    host.stop(grace_s=30)
    assert len(peek(app.queue("-poison"))) == 1


def test_rows_12_and_13_http_drains_first_and_messages_are_still_received(app: App) -> None:
    app.speed = 2
    app.write(TAKE + "    note(body=msg.get_body().decode())\n" + HTTP, QUEUES)
    host = app.start()
    waiting, found = in_background(app, "/api/wait/3")
    until(app.calls)
    host._process.send_signal(signal.SIGTERM)
    until(said(host, "Shutting down"))
    app.send("after the signal")
    until(lambda: [call for call in app.calls() if call.get("body") == "after the signal"])
    waiting.join()
    assert found[0] == 200
    assert host.wait(30) == 0


def test_row_13_a_request_that_outlasts_the_drain_is_cut(app: App) -> None:
    app.speed = 30  # thirty seconds are one
    app.write(HTTP)
    host = app.start()
    waiting, found = in_background(app, "/api/wait/25")
    until(app.calls)
    host._process.send_signal(signal.SIGTERM)
    assert host.wait(20) == 0
    waiting.join()
    assert isinstance(found[0], str)


def test_row_5_a_timeout_takes_its_neighbours_along_each_at_its_own_limit(app: App) -> None:
    app.speed = 10
    limit_s = 30 / app.speed
    app.write(HTTP, {"functionTimeout": "00:00:30"})
    with app.running() as host:
        guilty, late = in_background(app, "/api/wait/28")
        until(app.calls)
        time.sleep(limit_s / 2)
        neighbour, innocent = in_background(app, f"/api/wait/{limit_s * 0.8}")  # would end in time
        guilty.join()
        neighbour.join()
        after = app.get("/api/wait/0")
        assert "its worker is killed" in host.log_tail(10**6)
    assert (late[0], innocent[0], after.status_code) == (500, 500, 200)
    assert float(str(innocent[1])) > limit_s
    assert len({call["pid"] for call in app.calls()}) == 2


def test_row_9_system_exit_hangs_the_worker_until_a_limit_ends_it(app: App) -> None:
    app.speed = 10
    app.write(HTTP, {"functionTimeout": "00:00:20"})
    with app.running() as host:
        exits, first = in_background(app, "/api/end/softly")
        until(said(host, "the worker hangs from now on"))
        behind, second = in_background(app, "/api/wait/0")
        exits.join()
        behind.join()
        assert (first[0], second[0]) == (500, 500)
        assert app.get("/api/wait/0").status_code == 200


def test_row_6_the_third_death_of_the_worker_ends_the_host(app: App) -> None:
    app.speed = 20
    app.write(HTTP)
    host = app.start()
    spans = []
    for _ in range(2):
        assert app.get("/api/end/die").status_code == 500
        began = time.monotonic()
        assert app.get("/api/wait/0").status_code == 200
        spans.append(time.monotonic() - began)
    assert len({call["pid"] for call in app.calls()}) == 2
    assert app.get("/api/end/die").status_code == 500
    hanging, found = in_background(app, "/api/wait/0")
    assert host.wait(30) == 0
    hanging.join()
    assert isinstance(found[0], str)  # nobody answered, the connection was closed
    assert "has died 3 times" in host.log_tail(10**6)


def test_a_message_whose_worker_dies_is_released_and_counts(app: App) -> None:
    app.speed = 20
    app.write(
        TAKE + "    note(count=msg.dequeue_count)\n    os._exit(1) if msg.dequeue_count < 3 else 0", QUEUES
    )
    with app.running():
        app.send("deadly")
        until(lambda: len(app.calls()) == 3)
        until(lambda: app.left() == 0)
    assert [call["count"] for call in app.calls()] == [1, 2, 3]


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
