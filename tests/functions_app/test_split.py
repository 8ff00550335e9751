"""Callers who keep to one model: what the app tells, what they make of it, and that a rising share flips nobody."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from itertools import pairwise
from threading import Thread
from typing import Any

import azure.functions as func
import numpy as np
import pytest
from scipy.stats import kstest

from clients.driftloop_split import DEPLOYMENT, REQUEST_ID, Split, deployment, point, request_id
from functions import app, callers
from shared.canary.canary_judge import CanaryRecord
from shared.canary.live_counts import counts_from
from shared.domain.reason import Code
from shared.domain.release import JudgementKind, Phase
from shared.errors import ConfigurationError, DependencyUnavailable
from shared.memory import MemoryRequest
from shared.ports import DeploymentSpec
from shared.runtime import split, unit_of_work
from tests.engine.world import LOOP, World, csv, season

USERS = tuple(f"user-{n}" for n in range(400))
STICKY = LOOP.replace("canary: {", "canary: {unit: client_id, ").replace(
    "min_requests: 50", "min_requests: 30"
)


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    made = World()
    made.publish(STICKY)
    monkeypatch.setenv("WEBSITE_AUTH_ENABLED", "true")
    monkeypatch.setattr(app, "ports", lambda: made.ports)
    callers._held.clear()
    return made


def asked(loop: str = "birds", role: str = "Driftloop.Look", *, held: bool = False) -> func.HttpResponse:
    if not held:
        callers._held.clear()
    claims = json.dumps({"claims": [{"typ": "roles", "val": role}]}).encode()
    headers = {"x-ms-client-principal": base64.b64encode(claims).decode()}
    request = func.HttpRequest(
        "GET",
        f"https://app.example/api/loops/{loop}/split",
        headers=headers,
        route_params={"loop": loop},
        body=b"",
    )
    called: Callable[[func.HttpRequest], func.HttpResponse] = callers.split.build(None).get_user_function()  # type: ignore[attr-defined]
    return called(request)


def told(**also: Any) -> dict[str, Any]:
    answer = asked(**also)
    assert answer.status_code == 200, answer.get_body()
    found: dict[str, Any] = json.loads(answer.get_body())
    return found


def sticky_traffic(world: World) -> dict[str, str]:
    """One request of each user in the last ten seconds, as the client would have sent it; who was served by whom."""
    said, log = told(), world.ports.evidence.requests.setdefault("birds", [])
    served = {user: deployment(said, user) for user in USERS}
    for n, (user, name) in enumerate(served.items()):
        at = world.clock.now() - timedelta(seconds=10 * (n + 1) / (len(USERS) + 1))
        log.append(MemoryRequest(at, name, 200, 10.0 + n % 7, request_id(user)))
    return served


def test_while_a_share_rises_nobody_goes_back_and_callers_are_counted_as_one(world: World) -> None:
    assert told()["arms"] == [], "before the first release nobody is served"
    world.drop("2007.csv", csv(season(2007)))
    assert world.live() == 1
    assert told()["arms"] == [{"deployment": "r1-a1", "up_to_pct": 100}]
    world.ticks(10)
    world.drop("2009.csv", csv(season(2009, body_mass_g=1.3)))
    lives = []
    for _ in range(60):
        world.clock.advance(10)
        lives.append(sticky_traffic(world))
        world.ticks(1, seconds=0)
        if world.state.open_release is None:
            break
    assert world.release(2).phase is Phase.LIVE, world.release(2)
    shares = [sum(name == "r2-a1" for name in life.values()) / len(USERS) for life in lives]
    assert shares[-1] == 1 and shares == sorted(shares)
    assert {round(share, 1) for share in shares} >= {0.1, 0.5}
    for before, after in pairwise(lives):
        assert all(after[user] == "r2-a1" for user in USERS if before[user] == "r2-a1")
    judgement = world.release(2).judgement(JudgementKind.CANARY)
    assert judgement is not None
    record = CanaryRecord.from_dict(json.loads(world.ports.documents.get(judgement.evidence)))
    arms = (record.evidence.champion.requests, record.evidence.canary.requests)
    assert sum(arms) == len(USERS) and abs(arms[1] - len(USERS) / 2) < 40, "each once, at whatever look"


def test_the_next_release_draws_anew() -> None:
    first, second = ([point(f"birds/{number}", user) < 10 for user in USERS] for number in (2, 3))
    both = sum(a and b for a, b in zip(first, second, strict=True))
    assert 20 < sum(first) < 60 and both < 15


def test_names_that_count_up_are_drawn_evenly_and_as_documented() -> None:
    points = [point("churn/7", user) for user in USERS]
    assert kstest(np.array(points) / 100, "uniform").pvalue > 0.001
    assert point("churn/7", "ann") == pytest.approx(POINT_OF_ANN, abs=1e-9), "docs/how-to.md shows it"
    said = {"draw": "churn/7", "arms": [{"deployment": "r7-a1", "up_to_pct": 10}]}
    assert deployment(said, "ann") == ""


POINT_OF_ANN = 75.18848028993865


def by_hand(world: World, weights: dict[str, int]) -> None:
    spec = DeploymentSpec("birds", "hand", "azureml:birds:1", "Standard_DS3_v2")
    world.ports.serving.ensure_deployment(spec)
    world.ports.serving.set_traffic("birds", weights)


def test_a_person_who_moves_the_traffic_moves_the_callers(world: World) -> None:
    world.drop("2007.csv", csv(season(2007)))
    assert world.live() == 1
    version = told()["version"]
    by_hand(world, {"hand": 30, "r1-a1": 70})
    assert told()["arms"] == [
        {"deployment": "hand", "up_to_pct": 30},
        {"deployment": "r1-a1", "up_to_pct": 100},
    ]
    assert told()["version"] != version


def test_a_split_is_held_for_seconds_and_kept_by_nobody_else(world: World) -> None:
    world.drop("2007.csv", csv(season(2007)))
    assert world.live() == 1
    answer = asked()
    assert answer.headers["Cache-Control"] == f"private, max-age={split.MOST_AGE_S}"
    assert answer.headers["ETag"] == f'"{json.loads(answer.get_body())["version"]}"'
    by_hand(world, {"hand": 100})
    assert told(held=True)["arms"][0]["deployment"] == "r1-a1"
    assert told()["arms"][0]["deployment"] == "hand"


def test_who_may_not_look_and_where_there_is_no_split(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    denied, unknown = asked(role="Driftloop.Other"), asked(loop="fish")
    assert (denied.status_code, json.loads(denied.get_body())["code"]) == (403, "denied")
    assert "Driftloop.Look" in json.loads(denied.get_body())["message"]
    assert (unknown.status_code, json.loads(unknown.get_body())["code"]) == (404, "not-found")
    assert "fish" in json.loads(unknown.get_body())["message"]
    batch = LOOP.replace("serve: {endpoint: birds}", "serve: {endpoint: birds, type: batch, compute: cpu}")
    world.publish(
        batch.replace(
            "canary: {steps: [10, 50], step: {minutes: 1, min_requests: 50, max_hours: 1}",
            "canary: {step: {max_hours: 1}",
        )
    )
    none = json.loads(asked().get_body())
    assert (asked().status_code, none["code"]) == (404, "no-split")
    assert none["message"] == "birds serves by a batch endpoint, which shares out no requests"
    world.publish(STICKY)
    world.drop("2007.csv", csv(season(2007)))
    assert world.live() == 1

    def away(endpoint: str) -> dict[str, int]:
        raise DependencyUnavailable("Azure ML does not answer")

    monkeypatch.setattr(world.ports.serving, "traffic", away)
    assert asked().status_code == 503
    assert json.loads(asked().get_body()) == {"code": "unavailable", "message": "Azure ML does not answer"}

    def refused(endpoint: str) -> dict[str, int]:
        raise ConfigurationError("Give the role", code=Code.ACCESS_REFUSED)

    monkeypatch.setattr(world.ports.serving, "traffic", refused)
    assert asked().status_code == 503, "nothing that the caller could mend"
    assert json.loads(asked().get_body()) == {"code": "access-refused", "message": "Give the role"}


def test_where_callers_count_a_step_counts_once_all_of_them_know_of_it(world: World) -> None:
    world.drop("2007.csv", csv(season(2007)))
    world.live()
    release = world.release(1)
    definition = unit_of_work.read(world.ports, "birds").published().definition
    canary = definition.canary.model_copy(update={"unit": "request"})
    by_request = definition.model_copy(update={"canary": canary})
    assert counts_from(release, by_request) == release.phase_since_at + timedelta(seconds=6)
    assert counts_from(release, definition) == release.phase_since_at + split.LATEST
    longer = canary.model_copy(
        update={"unit": "identity", "step": canary.step.model_copy(update={"minutes": 60})}
    )
    later = definition.model_copy(update={"canary": longer})
    assert counts_from(release, later) == release.phase_since_at + timedelta(minutes=1)


class Told(BaseHTTPRequestHandler):
    """The app, with an answer that the test sets."""

    status, body, seen = 200, b"", list[str]()

    def do_GET(self) -> None:
        type(self).seen.append(self.headers["Authorization"])
        self.send_response(self.status)
        self.end_headers()
        self.wfile.write(self.body)

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def served() -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), Told)
    Thread(target=server.serve_forever, daemon=True).start()
    Told.status, Told.seen = 200, []
    said = {"draw": "birds/2", "arms": [{"deployment": "r2-a1", "up_to_pct": 100}], "max_age_s": 60}
    Told.body = json.dumps(said).encode()
    yield f"http://127.0.0.1:{server.server_port}/api/loops/birds/split"
    server.shutdown()
    server.server_close()


def test_the_client_names_the_deployment_and_asks_the_app_once(served: str) -> None:
    client = Split(served, lambda: "token")
    one, other = client.headers("ann"), client.headers("ann")
    assert one[DEPLOYMENT] == "r2-a1" and Told.seen == ["Bearer token"]
    assert one[REQUEST_ID] != other[REQUEST_ID] and len(one[REQUEST_ID]) == 33
    assert one[REQUEST_ID].partition("_")[0] == other[REQUEST_ID].partition("_")[0]
    assert client.headers("ben")[REQUEST_ID].partition("_")[0] != one[REQUEST_ID].partition("_")[0]
    client.forget()
    client.headers("ann")
    assert len(Told.seen) == 2


@pytest.mark.parametrize(
    ("status", "body"), [(503, b"{}"), (200, b"<html>"), (200, b'{"draw": "x"}'), (200, b"[]")]
)
def test_without_a_split_the_endpoint_draws_and_the_app_is_left_alone(
    served: str, status: int, body: bytes
) -> None:
    client = Split(served, lambda: "token")
    Told.status, Told.body = status, body
    assert set(client.headers("ann")) == {REQUEST_ID} == set(client.headers("ann"))
    assert client.error is not None and len(Told.seen) == 1


def test_what_is_older_than_it_may_be_is_not_gone_by(served: str, monkeypatch: pytest.MonkeyPatch) -> None:
    client, now = Split(served, lambda: "token"), 1000.0
    monkeypatch.setattr("clients.driftloop_split.time.monotonic", lambda: now)
    assert DEPLOYMENT in client.headers("ann")
    Told.status, now = 500, 1059.0
    assert DEPLOYMENT in client.headers("ann")
    now = 1060.0
    assert DEPLOYMENT not in client.headers("ann")
