"""Somebody changes the endpoint, its traffic or a definition while a release is open: the advice that is shown works,
and what a person set is kept."""

from __future__ import annotations

import re

import pytest

from shared.domain.caller import Caller
from shared.domain.event import EventKind
from shared.domain.reason import Code
from shared.domain.release import Phase
from shared.errors import DependencyUnavailable
from shared.inbox import rights
from shared.loopfile.published import Published
from shared.runtime import unit_of_work
from shared.state import queries
from shared.words import say
from tests.faults import Call
from tests.simulator.life import LOOP, Life, birds
from tests.tower.tower import twin

LONG = LOOP.replace("minutes: 0.05", "minutes: 60")
LONG_BAKE = LOOP.replace("bake_minutes: 0.1", "bake_minutes: 60")

HELD_BY = {
    Phase.GATING: "serving.predict",
    Phase.SHIFTING: "serving.set_traffic",
    Phase.RETIRING: "serving.ensure_no_deployment",
    Phase.ROLLING_BACK: "serving.set_traffic",
    Phase.CLEANING: "serving.ensure_no_deployment",
}
"""The call that, while it is not answered, keeps a release in a phase that is else over at once."""

TAKEN_BACK = (Phase.ROLLING_BACK, Phase.CLEANING)

STANDING = (Phase.TRAINING, Phase.DEPLOYING, Phase.CANARY, Phase.PROMOTING, Phase.BAKING, *HELD_BY)

PLANS = {Phase.CANARY: LONG, Phase.ROLLING_BACK: LONG, Phase.CLEANING: LONG, Phase.BAKING: LONG_BAKE}


def second(phase: Phase) -> Life:
    """The second release stands in `phase`, whatever kept it there is over, and release 1 is the champion before it."""
    life = Life(plan=PLANS.get(phase, LOOP), slow=3)
    life.drop("1.csv", birds(1, 1.0))
    life.rest()
    life.drop("2.csv", birds(2, 1.3))
    if phase in TAKEN_BACK:
        life.until(Phase.CANARY)
        life.act("abort", 2)
    life.away = HELD_BY.get(phase, "")
    life.until(phase)
    life.away = ""
    return life


def go_on(life: Life, rounds: int = 40) -> None:
    for n in range(rounds):
        life.round(sweep=n % 10 == 9)


def attention(life: Life) -> str:
    go_on(life)
    seen = queries.loop(life.real, "birds").overview.needs_attention
    return say(seen) if seen else ""


def answer(life: Life) -> str:
    """To the newest act of a person."""
    acts = [one for one in queries.inbox(life.real, "birds") if one.kind is EventKind.PERSON]
    assert acts[-1].reason is not None, acts[-1]
    return say(acts[-1].reason)


def follow(life: Life, text: str) -> str:
    """Do what `text` tells to, literally; the answer."""
    told = re.search(r"`driftloop (\w+) birds(?:/(\d+))?`", text)
    assert told, text
    life.act(told[1], int(told[2] or 0) or None)
    go_on(life)
    return answer(life)


@pytest.mark.parametrize("phase", STANDING)
def test_an_endpoint_that_was_deleted_comes_back_by_the_advice_alone(phase: Phase) -> None:
    life = second(phase)
    life.real.serving.endpoints.clear()
    told = attention(life)
    for _ in range(4):
        assert told.startswith(("nobody is served", "restore does nothing")), told
        answered = follow(life, told)
        told = answered if answered.startswith("restore does nothing") else attention(life)
        if not told:
            break
    assert not told and life.state.champion is not None and life.state.open_release is None
    serving = life.real.serving.endpoints["birds"]
    assert life.traffic() == {life.state.champion.deployment: 100}
    assert life.state.champion.deployment in serving.deployments


def test_the_model_that_bakes_is_not_the_one_that_comes_back() -> None:
    """Its bake was not over; the champion before it is what a restore deploys."""
    life = second(Phase.BAKING)
    life.real.serving.endpoints.clear()
    go_on(life)
    reason = life.release(2).reason
    assert life.release(2).phase is Phase.FAILED and reason and reason.code is Code.ENDPOINT_DELETED
    assert life.state.champion and life.state.champion.release == 1


def test_a_first_model_whose_endpoint_is_deleted_in_its_bake_is_what_comes_back() -> None:
    life = Life()

    def away_in_the_bake(call: Call) -> Exception | None:
        baking = call.name == "serving.traffic" and life.release(1).phase is Phase.BAKING
        return DependencyUnavailable("away") if baking else None

    life.broken = away_in_the_bake
    life.drop("1.csv", birds(1, 1.0))
    life.until(Phase.BAKING)
    life.broken = lambda call: None
    life.real.serving.endpoints.clear()
    follow(life, attention(life))
    assert life.release(1).phase is Phase.LIVE and life.traffic() == {"r1-a1": 100}


def test_a_restore_that_comes_too_early_says_what_to_do_first() -> None:
    life = second(Phase.CLEANING)
    life.away = HELD_BY[Phase.CLEANING]
    life.act("restore")
    go_on(life, 3)
    assert answer(life) == (
        "restore does nothing while release 2 is cleaning: that ends by itself, so ask again once it has"
    )


def test_a_way_back_to_a_deployment_that_was_deleted_asks_for_a_restore() -> None:
    life = second(Phase.BAKING)
    life.real.serving.endpoints["birds"].deployments.pop("r1-a1")
    life.act("rollback", 2)
    told = attention(life)
    assert life.traffic() == {"r2-a1": 100}, "who is served stays served"
    assert "deployment r1-a1" in told
    follow(life, told)
    assert life.release(2).phase is Phase.ROLLED_BACK and life.traffic() == {"r1-a1": 100}


def lose(life: Life, number: int, then: str = "") -> tuple[str, bytes]:
    """The definition that this release runs with is deleted; `then` is published, before it is. What it was."""
    digest = life.release(number).definition
    if then:
        life.publish(then)
        go_on(life, 3)
    kept = life.real.documents.contents.pop(digest)
    unit_of_work._published.clear()  # as in a process that has just begun
    return digest, kept


NEWER = {
    "the loop was published again": lambda plan: plan.replace("margin: 0.2", "margin: 0.21"),
    "it is the only one": lambda plan: "",
}


@pytest.mark.parametrize("newer", NEWER)
@pytest.mark.parametrize("phase", [Phase.TRAINING, Phase.CANARY, Phase.BAKING])
def test_an_abort_needs_no_definition(phase: Phase, newer: str) -> None:
    life = second(phase)
    lose(life, 2, NEWER[newer](PLANS.get(phase, LOOP)))
    for one in ("abort", "rollback", "pause"):
        assert rights.rules_of(life.real, "birds", one).refusal(one, None) is None
    life.act("abort", 2)
    go_on(life, 80)
    assert life.release(2).ended and life.traffic() == {"r1-a1": 100}


def test_a_definition_of_another_version_of_driftloop_keeps_no_release_from_its_abort() -> None:
    life = second(Phase.CANARY)
    digest, kept = lose(life, 2, LONG.replace("margin: 0.2", "margin: 0.21"))
    life.real.documents.contents[digest] = kept
    unit_of_work._published[digest] = Published.from_bytes(kept)
    newer = kept.replace(b'"gate": {', b'"gate": {"unheard": 1, ')
    assert newer != kept
    life.real.documents.contents[digest] = newer
    unit_of_work._published.clear()
    life.real.documents.get = lambda asked: life.real.documents.contents[asked]  # type: ignore[method-assign]
    life.act("abort", 2)
    go_on(life)
    assert life.release(2).phase is Phase.ABORTED and life.traffic() == {"r1-a1": 100}


def test_a_loop_is_shown_and_paused_without_its_definition() -> None:
    life = second(Phase.CANARY)
    lose(life, 2)
    assert queries.loop(life.real, "birds").traffic == {"r1-a1": 90, "r2-a1": 10}
    assert twin(life.real, "/loops/birds")["traffic"] and twin(life.real, "/loops/birds/releases/2")
    life.act("pause")
    go_on(life, 3)
    assert life.state.paused is not None


def test_what_was_asked_while_the_definition_was_lost_is_done_once_it_is_there_again() -> None:
    life = second(Phase.CANARY)
    digest, kept = lose(life, 2)
    life.act("skip", 2)
    go_on(life, 30)
    life.real.documents.contents[digest] = kept
    go_on(life, 30)
    assert answer(life).startswith("release 2: canary -> ")


def test_what_needs_a_definition_that_is_lost_is_answered_by_a_sentence() -> None:
    life = second(Phase.CANARY)
    lose(life, 2)
    refused = rights.rules_of(life.real, "birds", "approve").refusal("approve", None)
    assert refused is not None and refused.code is Code.ACT_NEEDS_DEFINITION
    assert "publish it, then ask again" in say(refused)


def test_who_may_act_by_the_newest_publication_may_abort_a_release_whose_own_is_lost() -> None:
    life = second(Phase.CANARY)
    lose(life, 2, LONG + "people: {act: [Birds.Act]}\n")
    rules = rights.rules_of(life.real, "birds", "abort")
    assert rules.refusal("abort", Caller("ann", "1", frozenset({"Birds.Act"}))) is None
    assert rules.refusal("abort", Caller("bob", "2", frozenset({"Driftloop.Act"}))) is not None
    assert rules.refusal("abort", None) is not None


BACK, ALL, SHARE, STRANGER = (
    {"r1-a1": 100},
    {"r2-a1": 100},
    {"r1-a1": 70, "r2-a1": 30},
    {"r2-a1": 60, "mine": 40},
)

KEPT = (
    (Phase.CANARY, BACK, Phase.ABORTED, 1),
    (Phase.PROMOTING, BACK, Phase.ABORTED, 1),
    (Phase.BAKING, BACK, Phase.ROLLED_BACK, 1),
    (Phase.RETIRING, BACK, Phase.ROLLED_BACK, 1),
    (Phase.SHIFTING, ALL, Phase.LIVE, 2),
    (Phase.CANARY, ALL, Phase.LIVE, 2),
    (Phase.ROLLING_BACK, ALL, Phase.ABORTED, 1),
    (Phase.CLEANING, ALL, Phase.ABORTED, 1),
    (Phase.SHIFTING, SHARE, Phase.CANARY, 1),
    (Phase.CANARY, SHARE, Phase.CANARY, 1),
    (Phase.BAKING, SHARE, Phase.BAKING, 2),
    (Phase.RETIRING, SHARE, Phase.LIVE, 2),
    (Phase.ROLLING_BACK, SHARE, Phase.ABORTED, 1),
    (Phase.CLEANING, SHARE, Phase.ABORTED, 1),
    (Phase.SHIFTING, STRANGER, Phase.HOLDING, 1),
    (Phase.CANARY, STRANGER, Phase.HOLDING, 1),
    (Phase.PROMOTING, STRANGER, Phase.HOLDING, 1),
)
"""In which phase somebody sets which weights; after a resume, where the release is, and which is the champion."""


def by_hand(phase: Phase, weights: dict[str, int]) -> Life:
    """Somebody has set these weights in the portal, and the loop has paused for them."""
    life = second(phase)
    endpoint = life.real.serving.endpoints["birds"]
    endpoint.deployments["mine"] = endpoint.deployments["r1-a1"]
    endpoint.pending, endpoint.traffic = None, dict(weights)
    for _ in range(30):
        life.round()
        if life.state.paused is not None:
            break
    assert life.state.paused and life.state.paused.code is Code.TRAFFIC_CHANGED
    assert life.traffic() == weights
    return life


@pytest.mark.parametrize(("phase", "weights", "then", "champion"), KEPT)
def test_resume_keeps_what_somebody_set(
    phase: Phase, weights: dict[str, int], then: Phase, champion: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(PLANS, phase, LONG if then is Phase.CANARY else PLANS.get(phase, LOOP))
    life = by_hand(phase, weights)
    life.act("resume")
    go_on(life)
    assert (life.release(2).phase, life.traffic()) == (then, weights)
    assert life.state.champion and life.state.champion.release == champion
    assert life.state.paused is None
    deployed = set(life.real.serving.endpoints["birds"].deployments)
    assert set(weights) <= deployed


@pytest.mark.parametrize("phase", [Phase.RETIRING, Phase.CLEANING])
def test_what_is_kept_at_the_end_of_a_release_asks_nobody_again(phase: Phase) -> None:
    life = by_hand(phase, SHARE)
    life.act("resume")
    go_on(life, 120)
    assert (life.traffic(), life.state.paused, attention(life)) == (SHARE, None, "")


def test_a_share_that_somebody_set_is_judged_and_goes_on_by_the_plan() -> None:
    life = by_hand(Phase.PROMOTING, SHARE)
    splits = len(life.real.serving.splits)
    life.act("resume")
    life.until(Phase.CANARY)
    assert life.traffic() == SHARE
    life.rest(200)
    assert life.release(2).phase is Phase.LIVE
    assert life.real.serving.splits[splits][1] == {"r1-a1": 50, "r2-a1": 50}


def test_what_a_third_deployment_serves_waits_for_a_decision() -> None:
    life = by_hand(Phase.CANARY, STRANGER)
    life.act("resume")
    told = attention(life)
    assert "approve goes on with the next step" in told and "mine 40 %" in told
    life.act("abort", 2)
    go_on(life)
    assert (life.release(2).phase, life.traffic()) == (Phase.ABORTED, BACK)


def test_all_traffic_by_hand_is_no_approval() -> None:
    life = Life(plan=LONG.replace("canary: {", "canary: {approval: before_promotion, "), slow=3)
    life.drop("1.csv", birds(1, 1.0))
    for _ in range(30):
        life.round()
        if life.state.open_release and life.release(1).phase is Phase.AWAITING_APPROVAL:
            life.act("approve", 1)
    life.drop("2.csv", birds(2, 1.3))
    life.until(Phase.CANARY)
    life.real.serving.endpoints["birds"].traffic = dict(ALL)
    go_on(life)
    life.act("resume")
    go_on(life)
    assert (life.release(2).phase, life.traffic()) == (Phase.AWAITING_APPROVAL, ALL)
