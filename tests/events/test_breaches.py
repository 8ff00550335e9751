"""A model monitor's breach asks for compute only when the loop's own verdict on its newest version confirms it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cli.explain import loop_story
from shared.domain.release import TriggerKind
from shared.state import queries
from shared.words import say, spoken
from tests.engine.world import World, csv, season

CORPUS = Path(__file__).parent / "payloads"


@pytest.fixture
def world() -> World:
    """A live model, and rest over."""
    made = World()
    made.publish()
    made.drop("2007.csv", csv(season(2007)))
    made.live()
    made.ticks(10)
    return made


def breach(name: str, run: str = "") -> str:
    """A payload of the corpus as a queue message."""
    payload = json.loads((CORPUS / f"{name}.json").read_text())["payload"]
    if run:
        payload["data"] = {**payload["data"], "runId": run}
    return json.dumps(payload)


def denials(world: World) -> list[str]:
    told = [entry for entry in queries.entries(world.ports, "birds") if entry.what == "retrain.denied"]
    details = [spoken(entry.detail) for entry in told]
    return [f"{detail['reason']} -> {detail['answer']}" for detail in details]


def without_drift_trigger(world: World) -> None:
    """Drift by itself starts nothing here, so that what the alert does can be seen."""
    from tests.engine.world import LOOP

    world.publish(LOOP.replace("retrain: {", "retrain: {on: [alert], "))


def test_a_breach_that_our_own_test_does_not_confirm_is_denied_with_the_reason(world: World) -> None:
    world.drop("2008.csv", csv(season(2008)))
    world.ticks(3)
    world.send(breach("ml-monitor-step-eventgrid"))
    assert world.state.next_release == 2
    (reason,) = denials(world)
    assert "body_mass_g: NormalizedWassersteinDistance 0.81 (threshold 0.1)" in reason
    assert "not confirmed: version 2 shows no material drift in body_mass_g, island" in reason
    _, lines, *_ = loop_story(world.ports, "birds")
    asked, answer = lines[-2][1:]
    assert "(Azure ML model monitor)" in asked
    assert "not confirmed: version 2" in answer


@pytest.mark.parametrize("schema", ["eventgrid", "cloudevents"])
def test_a_breach_that_is_confirmed_starts_a_release_once(world: World, schema: str) -> None:
    without_drift_trigger(world)
    world.drop("2009.csv", csv(season(2009, body_mass_g=1.3)))
    world.ticks(3)
    assert world.state.next_release == 2
    for _ in range(3):
        world.send(breach(f"ml-monitor-step-{schema}"))
    assert world.state.next_release == 3
    (trigger,) = world.release(2).triggers
    assert trigger.kind is TriggerKind.ALERT
    assert trigger.actor == "Azure ML model monitor"
    assert "confirmed on version 2: body_mass_g" in say(trigger.reason)
    assert denials(world)[1:] == []


def test_drift_in_another_column_confirms_nothing(world: World) -> None:
    without_drift_trigger(world)
    world.drop("2009.csv", csv(season(2009, bill_length_mm=1.3)))
    world.ticks(3)
    world.send(breach("ml-monitor-step-eventgrid"))
    assert world.state.next_release == 2
    assert "material drift: bill_length_mm" in denials(world)[-1]


def test_a_breach_without_a_version_to_look_at_is_denied(world: World) -> None:
    world.send(breach("ml-monitor-step-eventgrid"))
    assert "no version has been judged yet against release 1" in denials(world)[-1]


def test_two_signals_of_one_run_are_two_records_and_each_is_read_once(world: World) -> None:
    world.drop("2008.csv", csv(season(2008)))
    world.ticks(3)
    for _ in range(2):
        world.send(breach("ml-monitor-root-two-signals-cloudevents"))
    world.send(breach("ml-monitor-root-two-signals-eventgrid"))
    assert len(denials(world)) == 2
    world.send(breach("ml-monitor-root-two-signals-eventgrid", run="the-next-run"))
    assert len(denials(world)) == 4


def test_the_legacy_drift_event_needs_drift_in_any_column(world: World) -> None:
    world.drop("2008.csv", csv(season(2008)))
    world.ticks(3)
    world.send(breach("ml-dataset-drift-eventgrid"))
    assert "no material drift in any column" in denials(world)[-1]


def test_a_breach_of_a_monitor_that_no_loop_names_is_kept_for_people(world: World) -> None:
    message = breach("ml-monitor-step-eventgrid").replace("birds-", "fish-")
    world.send(message)
    assert any("fish-monitor" in row.doc for row in world.ports.store.unrouted())
    assert denials(world) == []


def test_a_common_alert_in_an_array_of_events_is_not_lost(world: World) -> None:
    world.drop("2008.csv", csv(season(2008)))
    world.ticks(3)
    pair = [json.loads(breach("ml-run-completed-eventgrid")), json.loads(breach("ml-monitor-step-eventgrid"))]
    world.send(json.dumps(pair))
    assert len(denials(world)) == 1


def served(world: World, **changes: float) -> None:
    """A hundred requests of strangers since the champion went live, as the collector has them."""
    birds = season(2007, **changes).drop(columns=["species", "row_id", "year"])
    given = json.loads(birds.sample(100, replace=True, random_state=1).to_json(orient="records"))
    rows = world.ports.evidence.rows.setdefault(("birds", "r1-a1"), [])
    for number, row in enumerate(given):
        time = world.clock.now().isoformat()
        rows.append({"id": f"s{number}", "time": time, "inputs": row, "output": "Adelie"})
    world.ticks(1)


def test_a_breach_is_confirmed_by_what_was_served_though_no_drop_shows_it(world: World) -> None:
    world.drop("2008.csv", csv(season(2008)))
    world.ticks(3)
    served(world, body_mass_g=1.3)
    world.send(breach("ml-monitor-step-eventgrid"))
    (trigger,) = world.release(2).triggers
    assert trigger.kind is TriggerKind.ALERT
    assert "confirmed on 100 inputs served since" in say(trigger.reason)
    assert "body_mass_g" in say(trigger.reason)


def test_a_breach_that_nothing_served_shows_is_denied_whatever_the_newest_drop_says(world: World) -> None:
    without_drift_trigger(world)
    world.drop("2009.csv", csv(season(2009, body_mass_g=1.3)))
    world.ticks(3)
    served(world)
    world.send(breach("ml-monitor-step-eventgrid"))
    assert world.state.next_release == 2
    assert "100 inputs served since" in denials(world)[-1]
    assert "show no material drift in body_mass_g, island" in denials(world)[-1]


def test_windows_that_were_judged_are_part_of_what_a_breach_is_tested_on(world: World) -> None:
    from tests.engine.world import LOOP

    world.publish(LOOP.replace("drift: {", "drift: {served: 1h, "))
    served(world, body_mass_g=1.3)
    world.ticks(2, seconds=3600)
    assert world.state.served
    world.ports.evidence.rows.clear()
    world.drop("2008.csv", csv(season(2008)))
    world.ticks(3)
    world.send(breach("ml-monitor-step-eventgrid"))
    assert "confirmed on 100 inputs served since" in say(world.release(2).triggers[0].reason)
