"""The story of a loop, in memory: what each kind of event leads to."""

from __future__ import annotations

import numpy as np
import pytest

from shared.audit import answer
from shared.domain.event import InboxState
from shared.domain.reason import Code, reason
from shared.domain.release import JudgementKind, Phase, TriggerKind
from shared.runtime import unit_of_work
from shared.state import queries
from shared.verdict import threshold
from shared.words import say, say_all, titled
from tests.engine.world import LOOP, World, csv, season


def test_the_first_season_leads_to_a_live_model(world: World) -> None:
    world.drop("2007.csv", csv(season(2007)))
    assert world.live() == 1
    release = world.release(1)
    assert release.phase is Phase.LIVE
    assert [t.kind for t in release.triggers] == [TriggerKind.FIRST]
    assert world.ports.serving.traffic("birds") == {"r1-a1": 100}
    assert world.ports.training.submitted == ["birds-r1-a1"]


def test_a_season_like_the_last_is_judged_and_leads_to_nothing(world: World) -> None:
    world.drop("2007.csv", csv(season(2007)))
    world.live()
    world.drop("2008.csv", csv(season(2008)))
    world.ticks(3)
    version = queries.loop(world.ports, "birds").versions[0]
    assert (version.number, version.drift_material, version.metric_breached) == (2, False, False)
    assert version.decision == reason(Code.NO_TRIGGER)
    assert world.state.next_release == 2


def test_drift_leads_through_gate_and_canary_to_promotion(world: World) -> None:
    world.drop("2007.csv", csv(season(2007)))
    world.live()
    world.ticks(10)
    world.drop("2009.csv", csv(season(2009, body_mass_g=1.3)))
    assert world.live() == 2
    release = world.release(2)
    assert [t.kind for t in release.triggers] == [TriggerKind.DRIFT]
    assert "body_mass_g" in say(release.triggers[0].reason)
    assert [titled(j) for j in release.judgements] == [
        "smoke test",
        "gate",
        "canary step 1 of 2 at 10 %",
        "canary step 2 of 2 at 50 %",
        "bake",
    ]
    assert [split for _, split in world.ports.serving.splits] == [
        {"r1-a1": 100},
        {"r1-a1": 90, "r2-a1": 10},
        {"r1-a1": 50, "r2-a1": 50},
        {"r2-a1": 100},
    ]
    assert list(world.ports.serving.endpoints["birds"].deployments) == ["r2-a1"]


def test_breaches_before_a_retraining_do_not_count_for_the_next() -> None:
    """Two breaches of the last three versions are needed, and each needs two of its own."""
    world = World()
    world.publish(LOOP.replace("categorical: 0.2}}", "categorical: 0.2}, persistence: {breaches: 2, of: 3}}"))
    world.drop("1.csv", csv(season(2007)))
    world.live()

    live = []
    for number, weight in enumerate((1.3, 1.3, 1.9, 1.9), 2):
        world.ticks(10)
        world.drop(f"{number}.csv", csv(season(2009, body_mass_g=weight).assign(row_id=_ids(number))))
        assert queries.loop(world.ports, "birds").versions[0].drift_material
        live.append(world.live())

    assert live == [1, 2, 2, 3]


def _ids(number: int) -> list[str]:
    return [f"{number}-{n}" for n in range(len(season(2009)))]


def test_a_canary_that_errs_is_taken_back(world: World) -> None:
    world.drop("2007.csv", csv(season(2007)))
    world.live()
    world.ticks(10)
    world.drop("2009.csv", csv(season(2009, body_mass_g=1.3)))
    for _ in range(30):
        world.ticks_with_traffic(1, errors={"r2-a1": 0.3})
    release = world.release(2)
    assert release.phase is Phase.ROLLED_BACK
    assert release.reason is not None
    assert release.reason.code is Code.CANARY_ROLLED_BACK
    assert release.reason.because[0].facts["metric"] == "errors"
    assert world.ports.serving.traffic("birds") == {"r1-a1": 100}
    assert world.state.champion is not None
    assert world.state.champion.release == 1
    assert list(world.ports.serving.endpoints["birds"].deployments) == ["r1-a1"]


def test_a_canary_without_traffic_holds(world: World) -> None:
    world.drop("2007.csv", csv(season(2007)))
    world.live()
    world.ticks(10)
    world.drop("2009.csv", csv(season(2009, body_mass_g=1.3)))
    world.ticks(60)
    assert world.release(2).phase is Phase.CANARY
    assert world.release(2).step == 0
    assert world.ports.serving.traffic("birds") == {"r1-a1": 90, "r2-a1": 10}


def test_a_model_that_is_worse_than_it_was_at_its_gate_is_a_breach(world: World) -> None:
    world.publish(LOOP.replace("at_least: 0.85", "worse_by: 0.05"))
    world.drop("2007.csv", csv(season(2007)))
    world.live()
    world.ticks(10)
    world.drop("2008.csv", csv(season(2008)))
    world.ticks(10)
    version = queries.loop(world.ports, "birds").versions[0]
    assert version.metric_breached is False
    relabelled = season(2009)
    relabelled["species"] = np.random.default_rng(1).permutation(relabelled["species"])
    world.drop("relabelled.csv", csv(relabelled))
    world.ticks(10)
    version = queries.loop(world.ports, "birds").versions[0]
    assert version.metric_breached is True
    assert "release 1 reached" in say_all(version.verdict) and "may be worse by 0.05" in say_all(
        version.verdict
    )


@pytest.mark.parametrize(
    ("given", "told"),
    [("at_least: 0.85", "threshold of 0.85"), ("at_least: 0.2, worse_by: 0.05", "release 1 reached")],
)
def test_the_stricter_of_a_given_number_and_the_gates_counts(world: World, given: str, told: str) -> None:
    world.publish(LOOP.replace("at_least: 0.85", given))
    world.drop("2007.csv", csv(season(2007)))
    world.live()
    world.ticks(10)
    world.drop("2008.csv", csv(season(2008)))
    world.ticks(10)
    assert told in say_all(queries.loop(world.ports, "birds").versions[0].verdict)


def test_the_gates_interval_counts_at_the_confidence_of_the_metric() -> None:
    spreads = []
    for level in (0.95, 0.6):
        made = World()
        text = LOOP.replace("at_least: 0.85", "worse_by: 0.05")
        made.publish(text.replace("gate: {", f"gate: {{confidence: {level}, "))
        made.drop("2007.csv", csv(season(2007)))
        made.live()
        unit = unit_of_work.read(made.ports, "birds")
        spreads.append(threshold.of_champion(unit, unit.published()).spread)
    assert spreads[0] == spreads[1] > 0


def test_a_model_whose_gate_is_not_known_has_no_threshold_of_its_own(world: World) -> None:
    world.publish(LOOP.replace("at_least: 0.85", "worse_by: 0.05"))
    world.drop("2007.csv", csv(season(2007)))
    world.live()
    world.ticks(10)
    gate = world.release(1).judgement(JudgementKind.GATE)
    assert gate is not None
    del world.ports.documents.contents[gate.evidence]
    world.drop("2008.csv", csv(season(2008)))
    world.ticks(10)
    version = queries.loop(world.ports, "birds").versions[0]
    assert version.metric_breached is None and "f1_macro is" in say_all(version.verdict)


def test_a_breached_metric_asks_for_a_better_model_and_refuses_an_equal_one(world: World) -> None:
    world.drop("2007.csv", csv(season(2007)))
    world.live()
    world.ticks(10)
    relabelled = season(2008)
    relabelled["species"] = np.random.default_rng(1).permutation(relabelled["species"])
    world.drop("relabelled.csv", csv(relabelled))
    world.ticks(30)
    version = queries.loop(world.ports, "birds").versions[0]
    assert version.metric_breached is True
    release = world.release(2)
    assert TriggerKind.METRIC in {t.kind for t in release.triggers}
    assert release.phase is Phase.REJECTED, say(release.reason)
    assert world.ports.serving.traffic("birds") == {"r1-a1": 100}
    assert all("r2-a1" not in split for _, split in world.ports.serving.splits)
    assert "until a version newer than 2 lands" in say(world.state.denial)


def test_a_resolved_alert_starts_nothing_and_a_fired_one_does(world: World) -> None:
    world.drop("2007.csv", csv(season(2007)))
    world.live()
    world.ticks(10)
    world.drop("2008.csv", csv(season(2008)))
    world.alert("Resolved")
    assert world.state.next_release == 2
    world.alert("Fired")
    assert world.state.next_release == 3
    assert world.release(2).triggers[0].kind is TriggerKind.ALERT


def test_the_same_event_many_times_is_one_version_and_one_release(world: World) -> None:
    message = world.land("2007.csv", csv(season(2007)))
    for _ in range(5):
        world.send(message)
    world.live()
    assert world.state.next_version == 2
    assert world.state.next_release == 2
    assert world.ports.training.submitted == ["birds-r1-a1"]


def test_equal_content_under_a_new_etag_is_no_new_version(world: World) -> None:
    world.drop("2007.csv", csv(season(2007)))
    world.live()
    world.drop("again.csv", csv(season(2007)))
    assert world.state.next_version == 2


def test_unusable_files_are_set_aside_with_a_reason_and_the_next_good_one_goes_on(world: World) -> None:
    world.drop("empty.csv", b"")
    world.drop("wrong.parquet", b"PAR2 this is no parquet file PAR2")
    world.drop("no-target.csv", csv(season(2007).drop(columns="species")))
    world.drop("2007.csv", csv(season(2007)))
    aside = queries.set_aside(world.ports, "birds")
    assert {record.body["name"]: record.reason and record.reason.code for record in aside} == {
        "birds/empty.csv": "empty-file",
        "birds/wrong.parquet": "not-parquet",
        "birds/no-target.csv": "missing-target",
    }
    assert all(say(record.reason) for record in aside)
    assert len(world.ports.blobs.quarantined) == 3
    assert world.live() == 1


def test_a_folder_counts_when_its_success_lands(world: World) -> None:
    birds = season(2007)
    world.drop("2007/part-0.csv", csv(birds.iloc[:50]))
    world.drop("2007/part-1.csv", csv(birds.iloc[50:]))
    assert world.state.next_version == 1
    world.drop("2007/_SUCCESS", b"")
    assert world.state.next_version == 2
    assert queries.loop(world.ports, "birds").versions[0].rows == len(birds)


def test_the_sweep_finds_a_blob_that_no_event_told_of(world: World) -> None:
    world.land("2007.csv", csv(season(2007)))
    assert world.sweep() == 1
    assert world.sweep() == 0
    assert world.live() == 1


def test_a_failed_training_is_tried_again_and_then_given_up(world: World) -> None:
    world.ports.training.new_jobs_are = "failed"
    world.drop("2007.csv", csv(season(2007)))
    world.ticks(5)
    assert world.ports.training.submitted == ["birds-r1-a1", "birds-r1-a2"]
    assert world.release(1).phase is Phase.FAILED
    assert "birds-r1-a2" in say(world.release(1).reason)


def test_traffic_that_somebody_else_changed_is_adopted_and_the_loop_pauses(world: World) -> None:
    world.drop("2007.csv", csv(season(2007)))
    world.live()
    world.ticks(10)
    world.drop("2009.csv", csv(season(2009, body_mass_g=1.3)))
    world.ticks(3)
    world.ports.serving.endpoints["birds"].traffic = {"r1-a1": 70, "r2-a1": 30}
    before = list(world.ports.serving.splits)
    world.ticks(20)
    assert world.ports.serving.splits == before
    assert world.state.paused and world.state.paused.code is Code.TRAFFIC_CHANGED
    assert "traffic.adopted" in world.ledger()


def test_a_person_aborts_a_canary_and_a_double_click_is_one_action(world: World) -> None:
    world.drop("2007.csv", csv(season(2007)))
    world.live()
    world.ticks(10)
    world.drop("2009.csv", csv(season(2009, body_mass_g=1.3)))
    world.ticks(3)
    world.act("abort", 2, "I do not like it", id="click")
    world.act("abort", 2, "I do not like it", id="click")
    world.ticks(3)
    assert world.release(2).phase is Phase.ABORTED
    assert "bob" in say(world.release(2).reason)
    assert world.ports.serving.traffic("birds") == {"r1-a1": 100}
    assert world.ledger().count("action.refused") == 0


def test_the_audit_names_model_person_algorithm_data_release_and_time(world: World) -> None:
    world.drop("2007.csv", csv(season(2007)))
    world.live()
    found = answer.audit(world.ports, "birds")
    assert found.problems == ()
    assert found.served is not None
    assert found.served.model == "azureml:birds:1"
    assert found.served.algorithm == "azureml:birds-training:1"
    assert "ann" in found.served.trained_by
    assert found.served.data[0].source == "landing/birds/2007.csv"
    assert found.served.release == 1


def test_an_edited_ledger_entry_is_found(world: World) -> None:
    from shared.ports import Replace
    from shared.state import rows

    world.drop("2007.csv", csv(season(2007)))
    world.live()
    row = world.ports.store.read("birds", rows.ledger_key(3))
    assert row is not None
    edited = row.doc.replace("driftloop", "mallory", 1)
    assert edited != row.doc
    world.ports.store.commit("birds", [Replace(row.key, edited, row.etag)])
    assert any(p.facts.get("entry") == 3 for p in answer.audit(world.ports, "birds").problems)


def test_every_ledger_entry_goes_out_on_the_topic_in_order(world: World) -> None:
    world.drop("2007.csv", csv(season(2007)))
    world.live()
    world.ticks(2)
    told = [entry.seq for _, entry in world.ports.topic.published]
    assert told == list(range(1, world.state.ledger_seq + 1))


def test_done_events_leave_no_work_behind(world: World) -> None:
    world.drop("2007.csv", csv(season(2007)))
    world.live()
    assert world.ports.store.range("birds", "todo-") == []
    states = {record.state for record in (queries.set_aside(world.ports, "birds"))}
    assert states <= {InboxState.QUARANTINED}
