"""What people steer: a pause that freezes, a skip, and a loop that only observes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from shared import loopfile
from shared.domain.reason import Code
from shared.domain.release import Phase
from shared.release import machine
from shared.release.observations import PersonActed
from shared.runtime import unit_of_work
from shared.state import queries
from shared.words import spoken
from tests.engine.test_faults import LOOP, birds, canaried, served
from tests.simulator.life import Life
from tests.simulator.reader import reading_in_process


@pytest.fixture(autouse=True, scope="module")
def reader() -> Iterator[None]:
    with reading_in_process():
        yield


def paused_at(phase: Phase, **kept: object) -> Life:
    """A life whose loop is paused while its second release is in this phase."""
    life = served(**kept)
    life.drop("2.csv", birds(2, 1.3))
    life.until(phase)
    life.act("pause")
    life.round()
    return life


def asking_for(approval: str) -> loopfile.Definition:
    plan = LOOP.replace("bake_minutes: 0.1", f"bake_minutes: 0.1, approval: {approval}")
    return loopfile.parse(plan, file="loop.yaml")


def answers(life: Life) -> list[Code]:
    return [r.reason.code for r in queries.inbox(life.real, "birds") if r.kind.value == "person" and r.reason]


def test_a_pause_in_mid_canary_keeps_the_traffic_gathers_evidence_and_resume_goes_on() -> None:
    life = paused_at(Phase.CANARY)
    before, points = life.traffic(), len(life.release().points)
    for _ in range(40):
        life.round(seconds=60)
    assert before == life.traffic() == {"r1-a1": 90, "r2-a1": 10}
    assert life.release().phase is Phase.CANARY
    assert len(life.release().points) > points, "evidence is still gathered"
    life.act("resume")
    life.rest()
    assert life.release().phase is Phase.LIVE


@pytest.mark.parametrize("phase", [Phase.TRAINING, Phase.DEPLOYING, Phase.SHIFTING, Phase.PROMOTING])
def test_a_pause_of_two_days_in_any_phase_shifts_nothing_and_runs_into_no_time_limit(phase: Phase) -> None:
    life = paused_at(phase, slow=2)
    given = life.traffic().get("r2-a1", 0)
    for _ in range(40):
        life.round(seconds=4500)
    stands = life.traffic().get("r2-a1", 0)
    assert stands <= max(given, {Phase.SHIFTING: 10, Phase.PROMOTING: 100}.get(phase, 0))
    life.act("resume")
    life.rest(limit=120)
    assert life.release(2).phase is Phase.LIVE


@pytest.mark.parametrize("outage", ["serving.traffic", "documents.get"])
def test_a_resume_after_an_outage_does_not_roll_back_what_stood_still(outage: str) -> None:
    """The looks that failed while the loop was paused hid that it had stood, and its hour was over at once."""
    life = served()
    life.real.serving.traffic_takes_effect = False
    life.drop("2.csv", birds(2, 1.3))
    life.until(Phase.SHIFTING)
    life.act("pause")
    life.round()
    life.away = outage
    unit_of_work._published.clear()
    for _ in range(6):
        life.round(seconds=1800)
    life.away = ""
    life.act("resume")
    life.round()
    assert life.release(2).phase is Phase.SHIFTING, life.release(2).reason
    life.real.serving.traffic_takes_effect = True
    life.real.serving.apply_traffic("birds")
    life.rest()
    assert life.release(2).phase is Phase.LIVE, life.release(2).reason


def test_a_paused_bake_keeps_the_old_deployment_warm() -> None:
    life = paused_at(Phase.BAKING)
    for _ in range(20):
        life.round(seconds=600)
    assert life.release().phase is Phase.BAKING
    assert set(life.real.serving.endpoints["birds"].deployments) == {"r1-a1", "r2-a1"}
    life.act("rollback", 2)
    life.rest()
    assert (life.release().phase, life.traffic()) == (Phase.ROLLED_BACK, {"r1-a1": 100})


def test_harm_that_is_proven_while_the_loop_is_paused_is_rolled_back() -> None:
    life = served(plan=LOOP.replace("minutes: 0.05", "minutes: 60"))
    life.drop("2.csv", birds(2, 1.3))
    life.until(Phase.CANARY)
    life.act("abort", 2)
    life.rest()
    life.clock.advance(5)
    life.drop("3.csv", birds(3, 1.7))
    life.until(Phase.CANARY)
    assert life.release().deployment == "r3-a1"
    life.act("pause")
    for _ in range(60):
        life.round()
    assert (life.release(3).phase, life.traffic()) == (Phase.ROLLED_BACK, {"r1-a1": 100})
    assert life.state.paused is not None


def test_what_goes_on_is_refused_while_the_loop_is_paused() -> None:
    life = paused_at(Phase.CANARY)
    life.act("skip", 2)
    life.round()
    assert answers(life)[-1] is Code.ACT_WHILE_FROZEN
    assert life.traffic() == {"r1-a1": 90, "r2-a1": 10}


def test_a_skip_takes_a_release_past_its_canary_step_and_its_bake_and_the_ledger_says_who() -> None:
    life = canaried()
    life.act("skip", 2)
    life.until(Phase.CANARY)
    assert (life.release().step, life.traffic()) == (1, {"r1-a1": 50, "r2-a1": 50})
    life.act("skip", 2)
    life.until(Phase.BAKING)
    life.act("skip", 2)
    life.rest()
    assert life.release(2).phase is Phase.LIVE
    skipped = [
        entry
        for name in ("release.shifting", "release.promoting", "release.retiring")
        for entry in life.told(name)
        if entry.actor == "bob"
    ]
    assert [entry.what for entry in skipped] == ["release.shifting", "release.promoting", "release.retiring"]
    assert all("skip by bob: because" in str(spoken(entry.detail)["reason"]) for entry in skipped)


def test_an_approval_that_the_loop_asks_for_is_not_skipped() -> None:
    life = served()
    life.publish(LOOP.replace("bake_minutes: 0.1", "bake_minutes: 0.1, approval: before_canary"))
    life.drop("2.csv", birds(2, 1.3))
    life.until(Phase.AWAITING_APPROVAL)
    life.act("skip", 2)
    life.round()
    assert (life.release().phase, answers(life)[-1]) == (Phase.AWAITING_APPROVAL, Code.ACT_OUT_OF_PLACE)


@pytest.mark.parametrize(
    ("approval", "step", "after"),
    [
        ("before_promotion", 0, Phase.SHIFTING),
        ("before_promotion", 1, Phase.AWAITING_APPROVAL),
        ("none", 1, Phase.PROMOTING),
    ],
)
def test_a_skip_out_of_a_held_canary_step_goes_no_further_than_the_approval_that_is_asked_for(
    approval: str, step: int, after: Phase
) -> None:
    life = canaried()
    definition = asking_for(approval)
    held = replace(life.release(), phase=Phase.HOLDING, step=step)
    act = PersonActed("skip", "bob", "because")
    assert machine.fold(held, act, definition, life.clock.now()).phase is after


def test_a_skip_out_of_a_held_gate_does_not_stand_for_the_approval_that_is_asked_for() -> None:
    life = canaried()
    held = replace(life.release(), phase=Phase.HOLDING, traffic={"r1-a1": 100})
    act = PersonActed("skip", "bob", "because")
    assert (
        machine.fold(held, act, asking_for("before_canary"), life.clock.now()).phase
        is Phase.AWAITING_APPROVAL
    )


def test_a_paused_canary_whose_step_has_passed_stores_no_document_at_every_look() -> None:
    life = paused_at(Phase.CANARY)
    for _ in range(20):
        life.round(seconds=180)
    before = len(life.real.documents.contents)
    for _ in range(20):
        life.round(seconds=60)
    assert len(life.real.documents.contents) - before < 10
    assert life.release().phase is Phase.CANARY
    life.act("resume")
    life.rest()
    assert life.release().phase is Phase.LIVE
    assert all(j.evidence for j in life.release().judgements)


def test_a_loop_that_observes_judges_everything_and_says_what_it_would_have_started() -> None:
    life = served()
    life.publish(f"mode: observe\n{LOOP}")
    jobs, splits = len(life.real.training.jobs), len(life.real.serving.splits)
    life.drop("2.csv", birds(2, 1.3))
    life.act("retrain")
    for _ in range(6):
        life.round()
    assert (life.state.next_version, life.state.next_release) == (3, 2)
    assert (len(life.real.training.jobs), len(life.real.serving.splits)) == (jobs, splits)
    denied = [entry.detail["answer"] for entry in life.told("retrain.denied")]
    assert {getattr(answer, "code", None) for answer in denied} == {Code.WOULD_START}
    assert "would start release 2" in str(spoken(life.told("retrain.denied")[0].detail)["answer"])
    life.publish(LOOP)
    life.act("retrain")
    life.rest()
    assert life.release(2).phase is Phase.LIVE


def test_a_release_that_is_open_when_its_loop_begins_to_observe_stands_where_it_is() -> None:
    life = canaried()
    life.publish(f"mode: observe\n{LOOP}")
    for _ in range(30):
        life.round(seconds=600)
    assert (life.release().phase, life.traffic()) == (Phase.CANARY, {"r1-a1": 90, "r2-a1": 10})


@pytest.mark.parametrize(
    ("approval", "end", "why"),
    [
        ("before_canary", Phase.FAILED, Code.CHALLENGER_GONE),
        ("before_promotion", Phase.ABORTED, Code.TRAFFIC_KEPT),
    ],
)
def test_a_challenger_that_was_deleted_while_a_person_was_awaited_gets_no_traffic(
    approval: str, end: Phase, why: Code
) -> None:
    """Traffic can be set only once a deployment has been created (Microsoft's how-to-safely-rollout-online-endpoints):
    a split that names none is refused, however often it is asked for."""
    life = served()
    life.publish(LOOP.replace("bake_minutes: 0.1", f"bake_minutes: 0.1, approval: {approval}"))
    life.drop("2.csv", birds(2, 1.3))
    life.until(Phase.AWAITING_APPROVAL)
    endpoint = life.real.serving.endpoints["birds"]
    endpoint.deployments.pop("r2-a1")
    endpoint.traffic = {"r1-a1": 100}  # Azure deletes no deployment that has some
    life.act("approve", 2)
    if approval == "before_promotion":  # its traffic was taken by a person, who says when to go on
        for _ in range(12):
            life.round()
        assert life.release(2).adopted
        life.act("resume")
    life.rest()
    release = life.release(2)
    assert (release.phase, release.stuck) == (end, False)
    assert release.reason is not None and release.reason.code is why
    assert life.traffic() == {"r1-a1": 100}
    assert life.history.wrong == []


def test_a_first_model_that_was_deleted_while_a_person_was_awaited_serves_nobody() -> None:
    life = Life(plan=LOOP.replace("bake_minutes: 0.1", "bake_minutes: 0.1, approval: before_canary"))
    life.drop("1.csv", birds(1, 1.0))
    life.until(Phase.AWAITING_APPROVAL)
    life.real.serving.endpoints["birds"].deployments.clear()
    life.act("approve", 1)
    life.rest()
    release = life.release(1)
    assert (release.phase, release.stuck) == (Phase.FAILED, False)
    assert release.reason is not None and release.reason.code is Code.CHALLENGER_GONE
    assert life.traffic() == {} and life.state.champion is None
