"""Where the real host ends, waits or leaves work behind, this one does too; rows are those of the measured host.

Sources: Microsoft's host 4.1037 and its storage and timer extensions, built and run; the row's code is named there.
Times are Azure's, divided by the app's speed; none is asserted but in relation to another.
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable

import httpx

from tests.local.hosted import HTTP, TAKE, App, alive, peek, said
from tests.local.refusing import refusing
from tests.patience import until

SETTINGS = {
    "batchSize": 4,
    "newBatchThreshold": 0,
    "maxPollingInterval": "00:00:00.2",
    "visibilityTimeout": "00:00:05",
}
QUEUES = {"extensions": {"queues": SETTINGS}}


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


def test_row_1_a_refused_poll_ends_the_host_and_http_with_it(app: App) -> None:
    app.write(TAKE + "    note(body=1)\n" + HTTP, QUEUES)
    with refusing(app.azure, "queue") as storage:
        app.settings["DRIFTLOOP_STORAGE__queueServiceUri"] = storage.uri
        host = app.start()
        assert app.get("/api/wait/0").status_code == 200
        storage.rule = refused_after(0, 403)
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
