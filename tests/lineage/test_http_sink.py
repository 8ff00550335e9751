"""Events reach the endpoint as the API says; what it refuses is told with what to change, and the key to nobody.

The API: POST of one event as JSON, with a bearer token where there is a key, answered with 200 or 201
(https://openlineage.io/apidocs/openapi, https://marquezproject.ai/docs/api/record-lineage).
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from dataclasses import MISSING, fields, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from shared import deadline
from shared.domain.reason import Code
from shared.errors import ConfigurationError, DependencyUnavailable
from shared.lineage import http_sink, openlineage
from shared.lineage.http_sink import HttpLineage
from shared.memory import FakeClock, MemoryLineage, memory_ports
from shared.ports import Ports, Traced
from shared.settings import Settings
from shared.wiring import azure_ports
from tests.engine.world import World, csv, season
from tests.lineage.test_openlineage import PLACE, problems

KEY = "k3y-of-a-test"


class Marquez:
    """A small server on 127.0.0.1: what it was posted, and how it answers."""

    def __init__(self) -> None:
        self.taken: list[tuple[str, str | None, dict[str, Any]]] = []
        self.status = 201
        self.first: list[int] = []
        """Statuses of the next answers, before `status` holds."""
        self.headers: dict[str, str] = {}
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                outer.taken.append((self.path, self.headers["Authorization"], body))
                self.send_response(outer.first.pop(0) if outer.first else outer.status)
                for name, value in outer.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                """Silence."""

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._http.server_address[1]}/api/v1/lineage"

    def close(self) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()


@pytest.fixture
def marquez() -> Iterator[Marquez]:
    made = Marquez()
    yield made
    made.close()


@pytest.fixture(scope="module")
def traced() -> list[Traced]:
    """What a loop tells of its first drop and release."""
    world = World(replace(memory_ports(FakeClock()), lineage=MemoryLineage()))
    world.publish()
    world.drop("2007.csv", csv(season(2007)))
    world.live()
    assert isinstance(world.ports.lineage, MemoryLineage)
    return [one for _, one in world.ports.lineage.told]


def test_each_event_is_posted_once_in_order_with_the_key(marquez: Marquez, traced: list[Traced]) -> None:
    HttpLineage(marquez.url, KEY, PLACE).publish("birds", traced)
    told = [event for one in traced for event in openlineage.events(PLACE, "birds", one)]
    assert [body for _, _, body in marquez.taken] == json.loads(json.dumps(told)) != []
    assert {(path, key) for path, key, _ in marquez.taken} == {("/api/v1/lineage", f"Bearer {KEY}")}


def test_without_a_key_there_is_no_header_and_an_address_keeps_its_query(
    marquez: Marquez, traced: list[Traced]
) -> None:
    HttpLineage(marquez.url + "?source=driftloop", "", PLACE).publish("birds", traced[:2])
    assert {(path, key) for path, key, _ in marquez.taken} == {("/api/v1/lineage?source=driftloop", None)}


@pytest.mark.parametrize(
    ("status", "setting", "code"),
    [
        (401, "DRIFTLOOP_LINEAGE_KEY", Code.ACCESS_REFUSED),
        (403, "DRIFTLOOP_LINEAGE_KEY", Code.ACCESS_REFUSED),
        (404, "DRIFTLOOP_LINEAGE_URL", Code.REQUEST_REFUSED),
        (302, "DRIFTLOOP_LINEAGE_URL", Code.REQUEST_REFUSED),
    ],
)
def test_what_is_refused_says_which_setting_to_change(
    status: int, setting: str, code: Code, marquez: Marquez, traced: list[Traced]
) -> None:
    marquez.status, marquez.headers = status, {"Location": "http://127.0.0.1:1/elsewhere"}
    with pytest.raises(ConfigurationError, match=f"({status}).*{setting}") as refused:
        HttpLineage(marquez.url, KEY, PLACE).publish("birds", traced)
    assert refused.value.code is code and KEY not in str(refused.value)
    assert len(marquez.taken) == 1


@pytest.mark.parametrize(("status", "asked"), [(503, None), (429, 40.0), (500, None)])
def test_what_passes_is_tried_again(
    status: int, asked: float | None, marquez: Marquez, traced: list[Traced]
) -> None:
    marquez.status, marquez.headers = status, {"Retry-After": "40"} if asked else {}
    sink = HttpLineage(marquez.url, KEY, PLACE)
    with pytest.raises(DependencyUnavailable, match=str(status)) as passing:
        sink.publish("birds", traced)
    assert passing.value.retry_after_s == asked
    marquez.status = 200
    sink.publish("birds", traced)
    assert marquez.taken[0][2] == marquez.taken[1][2]


def test_no_event_is_begun_after_the_end_of_the_function_that_sends_it(
    marquez: Marquez, traced: list[Traced]
) -> None:
    sink = HttpLineage(marquez.url, KEY, PLACE)
    with deadline.within(0.0), pytest.raises(deadline.TimeIsUp):
        sink.publish("birds", traced)
    assert marquez.taken == []
    sink.publish("birds", traced)
    assert marquez.taken != []


def test_who_does_not_answer_is_left_alone_for_a_while(
    monkeypatch: pytest.MonkeyPatch, traced: list[Traced]
) -> None:
    closed = Marquez()
    closed.close()
    sink = HttpLineage(closed.url, KEY, PLACE)
    with pytest.raises(DependencyUnavailable, match="ConnectionRefusedError"):
        sink.publish("birds", traced)
    with pytest.raises(DependencyUnavailable, match="lately") as again:
        sink.publish("fish", traced)
    assert 0 < (again.value.retry_after_s or 0) <= http_sink.REST_S
    later = time.monotonic() + http_sink.REST_S
    monkeypatch.setattr(time, "monotonic", lambda: later)
    with pytest.raises(DependencyUnavailable, match="ConnectionRefusedError"):
        sink.publish("fish", traced)


@pytest.mark.parametrize(
    "url",
    [
        "http://marquez.example.com/api/v1/lineage",
        "marquez.example.com/api/v1/lineage",
        "https://marquez.example.com",
        "https://u:secret@marquez.example.com/api/v1/lineage",
        "https://marquez.example.com:port/api/v1/lineage",
        "ftp://127.0.0.1/lineage",
        "http://127.0.0.1:1/straße",
        "http://127.0.0.1:1/two words",
        "https://marquez..example.com/api/v1/lineage",
    ],
)
def test_an_address_that_cannot_be_meant_is_refused_and_not_shown(url: str, traced: list[Traced]) -> None:
    with pytest.raises(ConfigurationError, match="DRIFTLOOP_LINEAGE_URL") as refused:
        HttpLineage(url, KEY, PLACE).publish("birds", traced)
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize("key", ["two\nlines", "snow☃"])
def test_a_key_that_is_no_header_is_told_without_the_key(
    key: str, marquez: Marquez, traced: list[Traced]
) -> None:
    with pytest.raises(ConfigurationError, match="DRIFTLOOP_LINEAGE_KEY") as refused:
        HttpLineage(marquez.url, key, PLACE).publish("birds", traced)
    assert key not in str(refused.value) and refused.value.__suppress_context__
    assert marquez.taken == []


def test_a_loop_tells_an_endpoint_everything_although_it_is_away_now_and_then(marquez: Marquez) -> None:
    """An event that was taken before a later one of its batch was refused comes again as it was."""
    sink = HttpLineage(marquez.url, KEY, PLACE)
    marquez.first = [201, 503, 201, 201, 201, 500, 429]
    world = World(replace(memory_ports(FakeClock()), lineage=sink))
    world.publish()
    world.drop("2007.csv", csv(season(2007)))
    world.live()
    world.ticks(20, seconds=60)
    assert world.state.champion and world.state.open_release is None
    assert world.state.traced_seq == world.state.ledger_seq
    bodies = [json.dumps(body, sort_keys=True) for _, _, body in marquez.taken]
    runs = {(body["run"]["runId"], body["eventType"]) for body in map(json.loads, bodies)}
    assert len(runs) == len(set(bodies)) == 7 < len(bodies)
    assert [problems(json.loads(body)) for body in set(bodies)] == [[]] * 7


def _settings(**more: str) -> Settings:
    needed = zip(fields(Settings), Settings.names(), strict=True)
    names = {name: "x" for field, name in needed if field.default is MISSING}
    uris = {name: "https://account.blob.core.windows.net/" for name in names if name.endswith("Uri")}
    return Settings.from_environment(names | uris | more)


def test_it_is_off_until_it_has_an_address_and_no_setting_shows_the_key() -> None:
    off = _settings(DRIFTLOOP_LINEAGE_KEY=KEY)
    assert _ports(off).lineage is None
    on = _settings(
        DRIFTLOOP_LINEAGE_KEY=KEY, DRIFTLOOP_LINEAGE_URL="https://marquez.example.com/api/v1/lineage"
    )
    assert isinstance(_ports(on).lineage, HttpLineage)
    assert KEY not in repr(on) and on.lineage_key == KEY
    assert KEY not in repr(_ports(on).lineage)


def _ports(settings: Settings) -> Ports:
    return azure_ports(replace(settings, topic_endpoint="https://topic.example.com/api/events"))
