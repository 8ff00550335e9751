"""What labels say is provisional until they have matured; then it is final, and told whatever it is."""

from __future__ import annotations

from datetime import timedelta

import pytest

from shared.audit import evidence_replay
from shared.domain.reason import Code
from shared.domain.release import Phase
from shared.intake import labels as late_labels
from shared.loopfile import LoopFileError, parse
from shared.runtime import unit_of_work
from shared.state import queries
from shared.stats import arrival_lags
from shared.words import say, say_all, spoken
from tests.engine.test_canary_evidence import live
from tests.engine.test_labels_and_bake import LABELLED, always_adelie, bake, baking, labels, serving, truth
from tests.engine.world import World

HOUR = "labels: labels/birds/, label_delay: 1h,"
DELAYED = LABELLED.replace("labels: labels/birds/,", HOUR)


def plan(wanted: str, text: str = DELAYED) -> str:
    return text.replace("bake_minutes: 1", f"bake_minutes: 1, bake_labels: {wanted}")


def reasons(world: World) -> str:
    return say_all(world.release(2).judgements[-1].reasons)


def final(world: World) -> list[str]:
    entries = [e for e in queries.entries(world.ports, "birds") if e.what == "labels.final"]
    return [spoken(entry.detail)["verdict"] for entry in entries]


@pytest.fixture
def world() -> World:
    made = World()
    made.publish(LABELLED)
    return made


# --- in the bake ---------------------------------------------------------------------------------


def test_a_bake_that_asks_for_labels_does_not_end_without_any(world: World) -> None:
    baking(world, plan("some"))
    assert bake(world, 20, lambda: live(world)) is Phase.BAKING
    waits = say(world.release(2).waiting_for)
    assert "labels (some) that the bake does not end without" in waits
    assert "provisional: 0 of" in waits
    labels(world, truth(world, "r1-a1", "r2-a1"))
    assert bake(world, 3, lambda: live(world)) is Phase.LIVE
    assert "predictions of the last step have labels; final from" in reasons(world)


def test_labels_that_never_come_roll_it_back_after_the_longest_time_and_the_reason_says_so(
    world: World,
) -> None:
    """Step and bake may take an hour and a minute, labels another hour."""
    baking(world, plan("some"))
    bake(world, 8, lambda: live(world))
    world.clock.advance(3600)
    assert bake(world, 1, lambda: live(world)) is Phase.BAKING, "labels may take an hour"
    world.clock.advance(3700)
    assert bake(world, 4, lambda: live(world)) is Phase.ROLLED_BACK
    assert "labels (some)" in say(world.release(2).reason)
    assert dict(world.ports.serving.traffic("birds")) == {"r1-a1": 100}


def test_a_bake_that_asks_for_final_labels_waits_until_they_have_matured(world: World) -> None:
    baking(world, plan("final"))
    labels(world, truth(world, "r1-a1", "r2-a1"))
    assert bake(world, 20, lambda: live(world)) is Phase.BAKING
    world.clock.advance(3600)
    assert bake(world, 3, lambda: live(world)) is Phase.LIVE
    assert "final: " in reasons(world) and "provisional" not in reasons(world)
    assert all(one.same for one in evidence_replay.replay(world.ports, "birds", 2))
    assert world.state.unfinal == (), "it was final in the bake"


def test_the_final_verdict_takes_the_model_back_while_the_old_deployment_is_warm(world: World) -> None:
    baking(world, plan("final"), r2_a1=always_adelie)
    world.clock.advance(1800)
    labels(world, truth(world, "r1-a1", "r2-a1"))
    world.ticks(4)
    assert world.release(2).phase is Phase.ROLLED_BACK


# --- after it ------------------------------------------------------------------------------------


def lived(world: World, **models: object) -> None:
    """The second release is live, and not a label has come."""
    baking(world, DELAYED, **models)  # type: ignore[arg-type]  # models by deployment
    assert bake(world, 20, lambda: live(world, **models)) is Phase.LIVE  # type: ignore[arg-type]
    assert "provisional: 0 of" in reasons(world)
    assert [one.release for one in world.state.unfinal] == [2]


def test_a_model_that_final_labels_show_to_be_worse_is_told_when_the_old_one_is_gone(world: World) -> None:
    lived(world, r2_a1=always_adelie)
    labels(world, truth(world, "r1-a1", "r2-a1"))
    assert final(world) == [], "they are not final yet"
    world.clock.advance(3600)
    world.ticks(2)
    (verdict,) = final(world)
    assert "show it to be worse; `driftloop rollback birds --to 1` goes back" in verdict
    assert "labels: canary" in verdict
    attention = world.ports.store.overviews()[0].needs_attention
    assert attention is not None and attention.code is Code.LABELS_FINAL_WORSE
    world.ticks(3)
    assert len(final(world)) == 1, "it is told once"
    assert dict(world.ports.serving.traffic("birds")) == {"r2-a1": 100}, "a person decides"


def test_a_model_that_final_labels_do_not_show_to_be_worse_is_told_as_well(world: World) -> None:
    lived(world)
    labels(world, truth(world, "r1-a1", "r2-a1"))
    world.clock.advance(3600)
    world.ticks(2)
    assert "which do not show it to be worse: labels: canary 0 of" in final(world)[0]
    assert world.ports.store.overviews()[0].needs_attention is None


def test_nothing_is_final_while_what_was_predicted_cannot_be_read(world: World) -> None:
    lived(world, r2_a1=always_adelie)
    labels(world, truth(world, "r1-a1", "r2-a1"))
    world.ports.evidence.unavailable = "away"
    world.clock.advance(3600)
    world.ticks(2)
    assert final(world) == [] and [one.release for one in world.state.unfinal] == [2]
    world.ports.evidence.unavailable = ""
    world.clock.advance(3600)
    world.ticks(2)
    assert "show it to be worse" in final(world)[0]


def test_that_no_label_came_is_told(world: World) -> None:
    lived(world)
    due = world.ports.store.overviews()[0].due_at
    assert due is not None and due <= world.clock.now() + timedelta(hours=1)
    world.clock.advance(3600)
    world.ticks(2)
    assert final(world) == ["final: no label has come for what release 2's canary predicted"]
    assert say(world.state.final_labels) == final(world)[0]


# --- how long labels take ------------------------------------------------------------------------


def test_how_long_labels_take_is_learnt_and_a_label_that_comes_again_counts_once(world: World) -> None:
    serving(world)
    definition = unit_of_work.read(world.ports, "birds").published().definition
    assert late_labels.maturity(world.state, definition) is None
    world.clock.advance(7200)
    labels(world, truth(world, "r1-a1"), "first.csv")
    learnt = late_labels.maturity(world.state, definition)
    assert learnt is not None and timedelta(hours=2) <= learnt <= timedelta(hours=3.1)
    world.clock.advance(30 * 3600)
    labels(world, truth(world, "r1-a1"), "all-again.csv")
    assert late_labels.maturity(world.state, definition) == learnt
    said = parse(DELAYED, file="loop.yaml")
    assert late_labels.maturity(world.state, said) == timedelta(hours=1), "what the loop file says wins"


def test_the_quantile_is_of_most_labels_and_at_most_half_as_long_again() -> None:
    assert arrival_lags.mature_after(arrival_lags.added((), [timedelta(hours=1)] * 19)) is None
    hours = [timedelta(hours=n) for n in range(1, 101)]
    found = arrival_lags.mature_after(arrival_lags.added((), hours))
    assert found is not None and timedelta(hours=95) <= found <= 1.5 * timedelta(hours=95)
    odd = arrival_lags.added((), [timedelta(days=-1)] * 30 + [timedelta(days=3650)])
    assert (odd[0], odd[-1], arrival_lags.mature_after(odd)) == (30, 1, timedelta(minutes=1))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ((HOUR, "label_delay: 1h,"), "nothing, because there are no data.labels"),
        (("bake_minutes: 1", "bake_minutes: 0, bake_labels: some"), "canary.bake_minutes is 0"),
        (("bake_minutes: 1", "margins: {label_error: null}, bake_labels: some"), "label_error is null"),
    ],
)
def test_what_labels_cannot_do_is_an_error_of_the_loop_file(change: tuple[str, str], told: str) -> None:
    with pytest.raises(LoopFileError, match=told):
        parse(DELAYED.replace(*change), file="loop.yaml")
