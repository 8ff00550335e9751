"""The host's queue trigger and worker, driven from outside: a tiny app against a real local Azure."""

from __future__ import annotations

import base64
import json
from datetime import datetime
from itertools import pairwise

import pytest

from local.host.configuration import QueueOptions
from local.host.errors import InvocationFailed
from local.host.messages import NotDecodable, text_of
from local.host.pace import Pace
from local.host.queues import QueueListener
from tests.local.hosted import TAKE, App, peek
from tests.patience import until


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


def test_row_26_what_is_not_base64_is_poison_at_once_and_what_is_not_text_after_five_tries(app: App) -> None:
    app.write(TAKE + "    note(body=msg.get_body().decode())")
    binary = base64.b64encode(b"\xff\xfe").decode()
    with app.running() as host:
        app.queue().send_message("{not base64}")
        app.queue().send_message(binary)
        app.send("good")
        until(lambda: sorted(peek(app.queue("-poison"))) == sorted(["{not base64}", binary]))
        until(lambda: app.left() == 0)
        assert host.log_tail(10**6).count("the message's bytes are not UTF-8") == 5
    assert [call["body"] for call in app.calls()] == ["good"]


@pytest.mark.parametrize(
    ("content", "text"),
    [("YWJj", "abc"), (" YW\r\nJj\t", "abc"), ("YWJjZB==", "abcd"), ("", ""), ("YWJjZA==", "abcd")],
)
def test_row_26_base64_that_net_reads(content: str, text: str) -> None:
    assert text_of(content, is_base64=True) == text
    assert text_of(content, is_base64=False) == content


@pytest.mark.parametrize(
    "content", ["abcd=", "abcd==", "YWJj=", "YWJj\u00a0", "YW\u2003Jj", "YWJ", "YW-_", "{}"]
)
def test_row_26_base64_that_net_does_not_read(content: str) -> None:
    with pytest.raises(NotDecodable):
        text_of(content, is_base64=True)


class Listener(QueueListener):
    """A listener in this process that notes when it rested, and which queues it has put something into."""

    def __init__(self, app: App, most: int) -> None:
        self.done: list[object] = []
        self.rested_after: list[int] = []
        self.put: list[str] = []
        options = QueueOptions(8, 4, 60.0, 0.0, most, base64=True)
        super().__init__(
            "take", app.client, app.queue_name, options, self.taken, Pace(), print, self.put.append
        )

    def taken(self, function: str, kind: str, value: object, metadata: dict[str, str]) -> None:
        self.done.append(value)
        if value == "bad":
            raise InvocationFailed("as told")

    def _rest(self, empty: int) -> None:
        self.rested_after.append(len(self.done))
        super()._rest(empty + 12)  # a minute at once, as after a long pause


def test_row_33_the_next_receive_follows_at_once(app: App) -> None:
    app.send(*map(str, range(40)))
    listener = Listener(app, 5)
    listener.start()
    until(lambda: len(listener.done) == 40 and listener.rested_after)
    listener.stop()
    assert (
        listener.rested_after[0] >= 40 - 12
    )  # not before the queue was empty; what it had was still running


def test_row_27_who_puts_a_message_into_a_poison_queue_wakes_its_listener(app: App) -> None:
    app.send("bad")
    listener = Listener(app, 1)
    listener.start()
    until(lambda: listener.put)
    assert listener.put == [f"{app.queue_name}-poison"]
    until(lambda: listener.rested_after)
    app.send("good")
    listener.wake()
    until(lambda: "good" in listener.done, within_s=20)
    listener.stop()


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
