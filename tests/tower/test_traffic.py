"""`driftloop traffic` sends what it says, at its rate, and counts every answer."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import cast

import pandas as pd
import pytest

from cli import session
from cli.traffic import UNREADABLE, LiveTraffic, mixed, payloads, share_of, told, traffic
from shared.azure.client import Workspace
from shared.errors import ConfigurationError
from tests.engine.world import World

PAYLOADS = [f'{{"input_data": {n}}}' for n in range(5)]


class Endpoint(ThreadingHTTPServer):
    """Answers every third request with 500."""

    daemon_threads = True

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, str]] = []
        self.lock = threading.Lock()
        super().__init__(("127.0.0.1", 0), Answer)


class Answer(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        server = cast(Endpoint, self.server)
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        with server.lock:
            own = self.headers.get("x-ms-client-request-id", "")
            server.asked.append((body, self.headers["Authorization"], own))
            status = 500 if len(server.asked) % 3 == 0 else 200
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    with Endpoint() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def sent(endpoint: str, seconds: float, per_second: float) -> Counter[int]:
    live = LiveTraffic(cast(Workspace, None))
    live.send(endpoint, lambda: "token", PAYLOADS, per_second)
    live.wait(seconds)
    live.stop()
    return live.statuses


def test_every_answer_is_counted_and_no_request_is_taken_for_one_of_our_own(endpoint: Endpoint) -> None:
    began = time.monotonic()
    statuses = sent(f"http://127.0.0.1:{endpoint.server_port}/score", 1.0, 50)
    took = time.monotonic() - began
    assert statuses.total() == len(endpoint.asked) > 3
    assert statuses.total() <= 50 * took + 1
    assert statuses[500] == len(endpoint.asked) // 3
    assert {body for body, _, _ in endpoint.asked} <= set(PAYLOADS)
    assert {(bearer, own) for _, bearer, own in endpoint.asked} == {("Bearer token", "")}


def test_a_loop_without_data_has_no_rows_to_send(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    world.publish()
    monkeypatch.setattr(session, "ports", lambda: world.ports)
    with pytest.raises(ConfigurationError, match="birds has no labelled version yet"):
        traffic("birds")


def test_an_endpoint_that_is_not_there_is_told() -> None:
    statuses = sent("http://127.0.0.1:9/score", 0.3, 20)
    assert statuses[0] == statuses.total() > 0
    assert told(statuses).endswith(f"{statuses[0]} times no answer")


def test_a_share_of_the_requests_cannot_be_read_by_any_model() -> None:
    bodies = mixed(PAYLOADS, 0.05)
    assert len(bodies) >= 2_000 and 0.03 < bodies.count(UNREADABLE) / len(bodies) < 0.07
    assert [body for body in bodies if body != UNREADABLE][:2] == PAYLOADS[:2]
    assert mixed(PAYLOADS, 0) == PAYLOADS and set(mixed(PAYLOADS, 1)) == {UNREADABLE}
    with pytest.raises(ValueError, match="Expecting value"):
        json.loads(UNREADABLE)


@pytest.mark.parametrize(
    ("text", "share"), [("5%", 0.05), ("0.05", 0.05), ("5 %", 0.05), ("0", 0.0), ("100%", 1.0)]
)
def test_a_share_is_written_as_people_write_it(text: str, share: float) -> None:
    assert share_of(text) == pytest.approx(share)


@pytest.mark.parametrize("text", ["5", "-1%", "many", "5%%", "", "nan"])
def test_what_is_no_share_is_refused_by_name(text: str) -> None:
    with pytest.raises(ConfigurationError, match=r"is no share; expected 5%, or 0\.05"):
        share_of(text)


def test_a_request_has_as_many_rows_as_are_asked_for_and_each_row_is_sent() -> None:
    rows = pd.DataFrame({"n": range(5)})
    sent = [[row[0] for row in json.loads(body)["input_data"]["data"]] for body in payloads(rows, 2)]
    assert sent == [[0, 1], [2, 3], [4, 0]]
    assert len(json.loads(payloads(rows, 7)[0])["input_data"]["data"]) == 7
