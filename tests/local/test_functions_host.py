"""The host's queue trigger and worker, driven from outside: a tiny app against a real local Azure."""

from __future__ import annotations

import base64
import json
from datetime import datetime
from itertools import pairwise

from tests.local.hosted import TAKE, App, peek, until


def test_a_message_is_decoded_and_deleted_after_success(app: App) -> None:
    app.write(
        """
        @app.queue_trigger(arg_name="msg", queue_name="%TEST_QUEUE%", connection="DRIFTLOOP_STORAGE")
        def take(msg: func.QueueMessage, context: func.Context) -> None:
            note(body=msg.get_json(), count=msg.dequeue_count, id=msg.id, name=context.function_name,
                 inserted=msg.insertion_time.isoformat(), auth=os.environ["WEBSITE_AUTH_ENABLED"])
        """
    )
    with app.running():
        app.send('{"grüße": [1, 2]}')
        [call] = until(app.calls)
        until(lambda: app.left() == 0)
    assert call["body"] == {"grüße": [1, 2]}
    assert (call["count"], call["name"], call["auth"]) == (1, "take", "True")
    assert datetime.fromisoformat(str(call["inserted"])).tzinfo is not None


def test_after_five_failures_the_message_lies_in_poison_and_others_went_on(app: App) -> None:
    app.write(
        TAKE
        + "    note(body=msg.get_body().decode())\n    assert msg.get_body() != b'bad', 'told\\r\\n\\x1b[31m to fail'",
        {
            "extensions": {
                "queues": {
                    "batchSize": 4,
                    "maxPollingInterval": "00:00:00.2",
                    "visibilityTimeout": "00:00:01",
                }
            }
        },
    )
    with app.running() as host:
        app.send("bad", "good")
        poison = until(lambda: peek(app.queue("-poison")))
        until(lambda: app.left() == 0)
    bodies = [call["body"] for call in app.calls()]
    assert (bodies.count("bad"), bodies.count("good")) == (5, 1)
    assert poison == [base64.b64encode(b"bad").decode()]
    attempts = [float(str(call["at"])) for call in app.calls() if call["body"] == "bad"]
    assert all(later - earlier > 0.9 for earlier, later in pairwise(attempts))
    records = [line for line in host.log_tail(10**6).splitlines() if line.startswith("{")]
    assert any("told" in json.loads(record)["message"] for record in records)
    assert "\x1b" not in host.log_tail(10**6)


def test_a_message_that_is_not_base64_goes_to_poison_without_a_call(app: App) -> None:
    app.write(TAKE + "    note(body=msg.get_body().decode())")
    app.queue().send_message("{not base64}")
    app.send("good")
    with app.running():
        assert until(lambda: peek(app.queue("-poison"))) == ["{not base64}"]
        until(lambda: app.left() == 0)
    assert [call["body"] for call in app.calls()] == ["good"]


def test_no_more_messages_run_at_once_than_host_json_allows(app: App) -> None:
    app.write(
        TAKE + "    note(edge=1)\n    time.sleep(0.5)\n    note(edge=-1)",
        {
            "extensions": {
                "queues": {"batchSize": 2, "newBatchThreshold": 1, "maxPollingInterval": "00:00:00.2"}
            }
        },
    )
    app.send(*"abcdefgh")
    with app.running():
        until(lambda: len(app.calls()) == 16)
    running, most = 0, 0
    for call in app.calls():
        running += int(str(call["edge"]))
        most = max(most, running)
    assert 2 <= most <= 3
