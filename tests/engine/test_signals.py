"""A loop's signals are asked at each look of a canary's step, over the span of the traffic log; answers are kept."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from datetime import timedelta

import pytest

from cli.explain import release_story
from shared import loopfile
from shared.audit import evidence_replay
from shared.canary import signal_evidence
from shared.canary.arms import SignalSeen
from shared.canary.canary_judge import CanaryState
from shared.domain.reason import Code
from shared.domain.release import JudgementKind, Outcome, Phase
from shared.errors import ConfigurationError, DependencyUnavailable, InputRejected
from shared.runtime import unit_of_work
from shared.words import say
from tests.engine.test_canary_evidence import go_on, in_canary, live
from tests.engine.world import LOOP, World
from tests.simulator.reader import reading_in_process
from tests.tower.tower import page

QUERY = "Orders_CL | where TimeGenerated >= datetime({since}) | summarize hits = count() by deployment"
REFUNDS = f"{{name: refunds, logs: '{QUERY}', margin: 0.05, needed: true}}"
BACKLOG = "{name: backlog, url: 'https://shop.example/{canary}?since={since}', kind: value, limit: 100}"


def loop(*signals: str) -> str:
    return LOOP.replace("bake_minutes: 1", f"bake_minutes: 1, signals: [{', '.join(signals)}]")


class Shop:
    """Counts that grow with each look, as a table of the logs has them."""

    def __init__(self, world: World, refunds: float = 0.0) -> None:
        self.world, self.refunds, self.total = world, refunds, 0

    def __call__(self) -> None:
        live(self.world)
        self.total += 30
        canary = {"deployment": "r2-a1", "hits": round(self.refunds * self.total), "total": self.total}
        champion = {"deployment": "r1-a1", "hits": 0, "total": 3 * self.total}
        self.world.ports.evidence.answers["Orders_CL"] = [canary, champion]


def test_a_release_whose_signals_are_well_goes_live_and_tells_of_them(world: World) -> None:
    in_canary(world, loop(REFUNDS, BACKLOG))
    world.ports.sources.content, world.ports.sources.kind = b'{"value": 12}', "application/json"
    release = go_on(world, 20, Shop(world))
    assert release.phase in (Phase.BAKING, Phase.LIVE), say(release.waiting_for)
    decided = [one for one in release.judgements if one.kind is JudgementKind.CANARY]
    assert [one.outcome for one in decided] == [Outcome.ADVANCE] * 2
    words = [say(why) for why in decided[-1].reasons]
    assert any(one.startswith("refunds: canary 0 of ") for one in words)
    assert "backlog (an opinion): 12; limit 100: within it" in words
    assert all(one.same for one in evidence_replay.replay(world.ports, "birds", 2))
    story = json.dumps(release_story(world.ports, "birds", 2), default=str)
    assert "refunds: canary 0 of" in story
    for words in ("refunds: canary 0 of", "backlog (an opinion): 12"):
        assert words in page(world.ports, "/loops/birds/releases/2")
    asked = {url for url in world.ports.sources.asked if "r2-a1" in url}
    assert {url.split("=")[0] for url in asked} == {"https://shop.example/r2-a1?since"}


def test_counts_that_prove_harm_roll_back_and_the_verdict_can_be_had_again(world: World) -> None:
    in_canary(world, loop(REFUNDS))
    release = go_on(world, 20, Shop(world, refunds=0.5))
    assert release.phase is Phase.ROLLED_BACK
    assert release.reason is not None
    assert release.reason.because[0].code is Code.METRIC_SIGNAL
    assert release.reason.because[0].facts["metric"] == "refunds"
    assert all(one.same for one in evidence_replay.replay(world.ports, "birds", 2))


def test_a_needed_signal_that_does_not_answer_holds_and_nothing_is_asked_too_early(world: World) -> None:
    in_canary(world, loop(REFUNDS))
    world.ports.evidence.answers["Orders_CL"] = ConfigurationError("give it the role")
    early = go_on(world, 1, lambda: None)
    assert early.waiting_for is not None
    assert Code.EVIDENCE_INCOMPLETE in early.waiting_for.codes()
    release = go_on(world, 8, lambda: live(world))
    assert (release.phase, release.step) == (Phase.CANARY, 0)
    assert release.waiting_for is not None
    assert {Code.SIGNAL_MISSING, Code.CONFIGURATION} <= release.waiting_for.codes()
    assert "give it the role" in say(release.waiting_for)


def asked(world: World, *signals: str, before: int = 0) -> SignalSeen:
    """What the first signal says of the release that is in its canary."""
    since, unit = world.clock.now() - timedelta(minutes=1), unit_of_work.read(world.ports, "birds")
    definition, state = loopfile.parse(loop(*signals), file="loop.yaml"), CanaryState()
    if before:
        state = CanaryState(signals={"refunds": before})
    return signal_evidence.ask(unit, definition, world.release(2), since, world.clock.now(), state)[0]


@pytest.fixture(scope="module")
def steady() -> World:
    """Tests only ask: nothing in it changes."""
    with reading_in_process():
        made = World()
        in_canary(made)
        return made


ROWS = Sequence[Mapping[str, object]]
BOTH = {"deployment": "r1-a1", "hits": 0, "total": 900}


@pytest.mark.parametrize(
    ("answer", "code", "words"),
    [
        (ConfigurationError("give it the role"), Code.CONFIGURATION, "give it the role"),
        (DependencyUnavailable("throttled"), Code.UNAVAILABLE, "throttled"),
        ([{"deployment": "r2-a1", "hits": 4}, BOTH], Code.SIGNAL_UNFIT, "lacks total of the canary"),
        ([{"deployment": "r2-a1", "hits": 4, "total": 3}], Code.SIGNAL_UNFIT, "4 of 3 of the canary"),
        ([{"deployment": "green", "hits": 1, "total": 3}], Code.SIGNAL_UNFIT, "lacks deployment"),
        ([{"deployment": "r2-a1", "hits": 0, "total": 3}] * 30, Code.SIGNAL_UNFIT, "one row"),
        ([{"deployment": "r2-a1", "hits": 0, "total": 3}] * 2, Code.SIGNAL_UNFIT, "one row for each"),
        ([{"deployment": "r2-a1", "hits": True, "total": 3}], Code.SIGNAL_UNFIT, "lacks hits"),
        ([{"deployment": "r2-a1", "hits": 0.5, "total": 3}], Code.SIGNAL_UNFIT, "lacks hits"),
        ([{"deployment": "r2-a1", "hits": math.inf, "total": math.inf}], Code.SIGNAL_UNFIT, "lacks hits"),
        ([{"deployment": "r2-a1", "hits": 1, "total": 99}], Code.SIGNAL_SHRANK, "500 before and 99 now"),
    ],
)
def test_what_is_no_count_is_no_evidence_and_says_why(
    steady: World, answer: ROWS | Exception, code: Code, words: str
) -> None:
    steady.ports.evidence.answers["Orders_CL"] = answer  # type: ignore[assignment]  # any error
    seen = asked(steady, REFUNDS, before=500 if code is Code.SIGNAL_SHRANK else 0)
    assert (seen.canary, seen.champion) == (None, None)
    assert seen.problem is not None
    assert code in seen.problem.codes()
    assert words in say(seen.problem)


def test_a_deployment_without_a_row_has_counted_nothing_yet(steady: World) -> None:
    steady.ports.evidence.answers["Orders_CL"] = [{"deployment": "champion", "hits": 2.0, "total": 30}]
    seen = asked(steady, REFUNDS)
    assert (seen.canary, seen.champion, seen.problem) == ((0, 0), (2, 30), None)


def test_what_another_deployment_has_is_nobodys(steady: World) -> None:
    strange = {"deployment": "mine", "hits": 9, "total": 9, "value": 9}
    ours = {"deployment": "r2-a1", "hits": 1, "total": 30, "value": 1}
    value = f"{{name: a, logs: '{QUERY}', kind: value}}"
    steady.ports.evidence.answers["Orders_CL"] = [strange, ours, BOTH]
    assert asked(steady, REFUNDS).canary == (1, 30)
    assert asked(steady, value).canary_value == 1
    steady.ports.evidence.answers["Orders_CL"] = [strange]
    assert asked(steady, value).canary_value is None


def test_one_that_is_not_needed_keeps_nobody_waiting_and_is_told(world: World) -> None:
    in_canary(world, loop(BACKLOG))
    world.ports.sources.fails = InputRejected("private-address", "shop.example is at 10.0.0.4")
    release = go_on(world, 20, lambda: live(world))
    assert release.phase in (Phase.BAKING, Phase.LIVE)
    reasons = [one for one in release.judgements if one.kind is JudgementKind.CANARY][-1].reasons
    assert any(Code.PRIVATE_ADDRESS in why.codes() for why in reasons)
    assert all(one.same for one in evidence_replay.replay(world.ports, "birds", 2))


@pytest.mark.parametrize(
    ("content", "value", "lacks"),
    [
        (b"7", 7.0, ""),
        (b'{"data": {"canary": 3, "champion": {"value": 4}, "until": "2026-03-01T00:00:00Z"}}', 3.0, ""),
        (b'{"data": {"r2-a1": {"value": 3.5}}}', 3.5, ""),
        (b"<html>", None, "JSON"),
        (b'{"data": [1]}', None, "an object or a number at data"),
        (b'{"data": {"canary": "three"}}', None, "value, a number"),
        (b'{"data": {"canary": 3, "until": "noon"}}', None, "until, a time"),
        (b'{"data": {"value": NaN}}', None, "value, a number"),
        (b'{"data": {"value": 1' + b"0" * 400 + b"}}", None, "value, a number"),
    ],
)
def test_what_an_http_answer_may_look_like(
    steady: World, content: bytes, value: float | None, lacks: str
) -> None:
    steady.ports.sources.content = content
    records = "" if content == b"7" else "records: data, "
    seen = asked(steady, BACKLOG.replace("kind:", f"{records}kind:"))
    assert seen.canary_value == value
    assert (seen.problem is None) == (not lacks)
    assert seen.problem is None or lacks in say(seen.problem)
