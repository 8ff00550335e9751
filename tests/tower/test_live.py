"""The live page: health of the endpoint, and requests, errors and latency of each deployment over time."""

from __future__ import annotations

from datetime import timedelta

import pytest

from shared.domain.release import Phase
from shared.memory.request_log import MemoryRequest
from tests.engine import test_batch_loop
from tests.engine.world import World
from tests.tower.tower import checked, get, page, twin


@pytest.fixture
def asked(world: World) -> World:
    """Of the last hour: a request each minute for the champion, every tenth failed; a canary of three."""
    made = world.copy()
    now = made.clock.now()
    made.ports.evidence.requests["birds"] = [
        *(
            MemoryRequest(
                now - timedelta(minutes=n, seconds=30), "r1-a1", 500 if n % 10 == 0 else 200, 10.0 + n
            )
            for n in range(60)
        ),
        *(MemoryRequest(now - timedelta(minutes=2), "r2-a1", 200, 900.0) for _ in range(3)),
        MemoryRequest(now - timedelta(minutes=2), "r2-a1", 500, 1.0, "driftloop-gate-birds-r2-a1-0"),
        MemoryRequest(now - timedelta(hours=3), "r1-a1", 500, 5.0),
    ]
    return made


def test_each_deployment_has_its_requests_errors_and_latency(asked: World) -> None:
    found = twin(asked.ports, "/loops/birds/live?hours=1")
    champion, canary = found["arms"]
    assert (champion["name"], champion["serves"], champion["state"]) == ("r1-a1", True, "ready")
    assert (champion["requests"], champion["errors"], champion["latency_p95_ms"]) == (60, 6, 11.0)
    assert (canary["requests"], canary["errors"], canary["latency_p50_ms"]) == (3, 0, 900.0)
    assert champion["share_pct"] + canary["share_pct"] == 100
    assert asked.release(2).phase in (Phase.CANARY, Phase.SHIFTING)
    html = page(asked.ports, "/loops/birds/live?hours=1")
    assert checked(html).found == [] and "latency over time: r1-a1 11 ms, r2-a1 900 ms" in html
    assert "requests over time: r1-a1 1 a minute, r2-a1 0 a minute" in html, (
        "nobody asked r2-a1 in the last one"
    )


def test_a_challenger_that_was_taken_back_is_removed_and_not_missed(asked: World) -> None:
    asked.act("abort", release=2)
    asked.ticks(3)
    assert asked.release(2).ended
    html = page(asked.ports, "/loops/birds/live?hours=1")
    assert "<td>removed</td>" in html and "missing" not in html


def test_longer_windows_have_wider_points_and_an_unknown_one_is_the_usual(asked: World) -> None:
    day = twin(asked.ports, "/loops/birds/live?hours=24")
    assert day["minutes"] == 30 and day["arms"][0]["requests"] == 61
    assert len(day["spans"]) <= 6
    assert twin(asked.ports, "/loops/birds/live?hours=7")["hours"] == 6


def test_a_span_that_is_not_over_makes_no_endpoint_look_quiet(asked: World) -> None:
    """A request a minute is told as one also where the newest span of 30 minutes has run for ten."""
    log = asked.ports.evidence.requests["birds"]
    asked.clock.advance(40 * 60 - asked.clock.now().timestamp() % 1800)
    now = asked.clock.now()
    log += [MemoryRequest(now - timedelta(minutes=n, seconds=30), "r3-a1") for n in range(90)]
    assert "r3-a1 1 a minute" in page(asked.ports, "/loops/birds/live?hours=24")


def test_a_log_that_does_not_answer_hides_no_health(asked: World) -> None:
    asked.ports.evidence.unavailable = "the log is away"
    html = page(asked.ports, "/loops/birds/live")
    assert "the log is away" in html and "ready" in html and "Nobody asked" not in html


def test_nobody_is_served_stands_first() -> None:
    from tests.engine.test_unserved import take_endpoint
    from tests.engine.world import csv, season

    made = World()
    made.publish()
    assert "Nothing is deployed yet" in page(made.ports, "/loops/birds/live")
    made.drop("2007.csv", csv(season(2007)))
    made.live()
    made.ticks(20, 30)
    take_endpoint(made)
    html = page(made.ports, "/loops/birds/live")
    assert "Nobody is served." in html and "missing" in html


def test_a_batch_endpoint_has_no_log_to_show_and_none_is_promised() -> None:
    ports = test_batch_loop.served().ports
    html = page(ports, "/loops/birds")
    assert "Live traffic" not in html and "endpoints/realtime" not in html
    reply = get(ports, "/loops/birds/live")
    assert reply.status == 404 and b"calls are in no log" in reply.content
