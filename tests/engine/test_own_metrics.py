"""A loop with a metric of its own: in the gate, in its slices, on drops and on late labels, and which code judged."""

from __future__ import annotations

import pandas as pd
import pytest

from shared.audit import evidence_replay
from shared.domain.reason import Code, Reason
from shared.domain.release import JudgementKind, Phase
from shared.gate import gate_evidence
from shared.gate.gate_record import GateRecord
from shared.own import source_text
from shared.runtime import unit_of_work
from shared.state import queries
from tests.engine.test_labels_and_bake import always_adelie, labels, serving, truth
from tests.engine.test_probabilities import states
from tests.engine.world import LOOP, World, csv, lived, season

NUMBER = """
import numpy as np

def share(truth, predictions, rows, weights):
    assert "flipper_length_mm" in rows and "species" not in rows
    return float(np.average((truth == predictions) | (truth == "Chinstrap"), weights=weights))

def area(truth, stated, rows, weights):
    order = np.argsort(stated, kind="stable")
    up, weight = truth[order], weights[order]
    below = np.cumsum(weight * ~up)
    return float((weight * up * below).sum() / ((weight * up).sum() * below[-1]))

def pounds(truth, predictions, rows, weights):
    return np.where(truth == predictions, 0, 1 + (rows["body_mass_g"] > 4500))

def endless(truth, predictions, rows, weights):
    while True:
        pass
"""


def loop(metric: str, gate: str) -> str:
    text = LOOP.replace("metric: {name: f1_macro, at_least: 0.85}", f"metric: {{{metric}}}")
    return text.replace(
        "gate: {margin: 0.1, on_inconclusive: reject}", f"gate: {{on_inconclusive: reject, {gate}}}"
    )


@lived
def released(metric: str, gate: str, *, stated: bool = False) -> World:
    world = World()
    world.publish(loop(metric, gate), {"metrics.py": NUMBER})
    if stated:
        states(world)
    world.drop("2007.csv", csv(season(2007)))
    world.ticks(6)
    return world


def record(world: World) -> GateRecord:
    found = gate_evidence.recorded(unit_of_work.read(world.ports, "birds"), world.release(1))
    assert found is not None
    return found


@pytest.mark.parametrize("wrong", [False, True])
def test_numbers_a_row_judge_gate_and_drop(wrong: bool) -> None:
    metric = "name: metrics.pounds, better: lower, range: [0, 2], at_most: 0.2"
    world = released(metric, "margin: 0.3, floor: 1.5")
    assert world.release(1).phase is Phase.LIVE, world.release(1).judgements
    seen = record(world)
    assert seen.policy.own is not None and seen.policy.own.code == source_text.digest(NUMBER)
    assert seen.evidence.own is not None and len(seen.evidence.own.rows[0]) == seen.verdict.rows
    world.default_model = always_adelie if wrong else world.default_model
    world.drop("2008.csv", csv(season(2008)))
    version, _ = unit_of_work.read(world.ports, "birds").version(2)
    assert version.metric_breached is wrong, version.verdict
    assert all(one.same for one in evidence_replay.replay(world.ports, "birds", 1))


def test_what_the_gate_showed_by_other_code_is_no_threshold() -> None:
    metric, gate = (
        "name: metrics.pounds, better: lower, range: [0, 2], worse_by: 0.2",
        "margin: 0.3, floor: 1.5",
    )
    world = released(metric, gate)
    found = []
    for number, code in ((2, NUMBER), (3, NUMBER.replace("1 + (rows", "0.5 + (rows"))):
        world.publish(loop(metric, gate), {"metrics.py": code})
        world.drop(f"{number}.csv", csv(season(2008).iloc[number:]))
        version, _ = unit_of_work.read(world.ports, "birds").version(number)
        found.append(frozenset[Code]().union(*(why.codes() for why in version.verdict)))
    assert Code.METRIC_OF_GATE in found[0] and Code.METRIC_MET in found[0]
    assert Code.METRIC_OF_GATE not in found[1] and Code.METRIC_MEASURED in found[1]


def many(year: int) -> bytes:
    """A season as five observers would have weighed it: rows enough for a function that answers one number."""
    seen = [
        season(year, body_mass_g=1 + n / 1000).assign(row_id=lambda f, n=n: f.row_id + f"-{n}")
        for n in range(5)
    ]
    return csv(pd.concat(seen, ignore_index=True))


@pytest.mark.parametrize(
    "metric", ["name: metrics.share, better: higher", "name: metrics.area, better: higher, positive: Gentoo"]
)
def test_one_number_has_bounds_on_the_whole_and_in_slices(metric: str) -> None:
    world = World()
    gate = "margin: 0.1, floor: 0.8, slices: {by: [sex], floor: 0.7, min_rows: 30, margin: 0.3}"
    world.publish(loop(metric, gate), {"metrics.py": NUMBER})
    states(world)
    world.drop("2007.csv", many(2007))
    world.ticks(6)
    assert world.release(1).phase is Phase.LIVE, world.release(1).judgements
    first = record(world)
    assert first.verdict.challenger is not None
    low, high = first.verdict.challenger.low, first.verdict.challenger.high
    assert low is not None and high is not None and 0.8 < low <= high < 1.001
    assert {one.name.lower() for one in first.verdict.slices if one.outcome} == {"female", "male"}
    world.drop("2008.csv", many(2008))
    version, _ = unit_of_work.read(world.ports, "birds").version(2)
    assert Code.METRIC_MEASURED in {why.code for why in version.verdict}, version.verdict
    world.act("retrain")
    world.ticks(6)
    second = gate_evidence.recorded(unit_of_work.read(world.ports, "birds"), world.release(2))
    assert second is not None and second.verdict.difference is not None
    assert second.verdict.difference.value == pytest.approx(0)
    assert any(why.code is Code.GATE_SLICE_DIFFERENCE for why in second.verdict.reasons)
    assert all(one.same for n in (1, 2) for one in evidence_replay.replay(world.ports, "birds", n))


def test_few_rows_of_a_class_and_code_that_does_not_end_are_no_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    world = released("name: metrics.share, better: higher", "margin: 0.1, floor: 0.5")
    judged = world.release(1).judgement(JudgementKind.GATE)
    assert world.release(1).phase is Phase.REJECTED and judged is not None
    assert judged.reasons[0].code is Code.GATE_TOO_FEW_ROWS and judged.reasons[0].facts["least"] == 30
    monkeypatch.setattr("shared.own.sandbox.SECONDS", 1)
    world = released("name: metrics.endless, better: higher", "margin: 0.1, floor: 0.5")
    judged = world.release(1).judgement(JudgementKind.GATE)
    assert judged is not None and judged.reasons[0].code is Code.OWN_CODE_SLOW
    assert world.release(1).phase is Phase.REJECTED


def test_a_probability_that_is_not_stated_rejects_as_it_does_for_a_metric_of_ours() -> None:
    world = World()
    world.publish(
        loop("name: metrics.area, better: higher, positive: Gentoo", "margin: 0.1, floor: 0.5"),
        {"metrics.py": NUMBER},
    )
    states(world, silent=True)
    world.drop("2007.csv", many(2007))
    world.ticks(6)
    judged = world.release(1).judgement(JudgementKind.GATE)
    assert world.release(1).phase is Phase.REJECTED and judged is not None
    assert judged.reasons[0].code is Code.GATE_PROBABILITIES_UNSTATED


def test_the_ledger_says_which_code_judges_and_other_code_is_another_publication() -> None:
    text = loop("name: metrics.share, better: higher", "margin: 0.1")
    world = World()
    world.publish(text, {"metrics.py": NUMBER})
    world.publish(text, {"metrics.py": NUMBER})
    world.publish(text, {"metrics.py": NUMBER + "# once more"})
    told = [e for e in queries.entries(world.ports, "birds") if e.what == "loop.published"]
    assert [e.detail["metrics.py"] for e in sorted(told, key=lambda e: e.seq)] == [
        source_text.digest(NUMBER),
        source_text.digest(NUMBER + "# once more"),
    ]
    published = unit_of_work.read(world.ports, "birds").published()
    assert published.code == {"metrics.py": NUMBER + "# once more"}


def test_late_labels_are_judged_with_the_inputs_that_were_collected() -> None:
    text = loop("name: metrics.pounds, better: lower, range: [0, 2], at_most: 0.2", "margin: 0.3, floor: 1.5")
    world = World()
    world.publish(
        text.replace("target: species,", "target: species, labels: labels/birds/,"), {"metrics.py": NUMBER}
    )
    serving(world, r1_a1=always_adelie)
    collected = world.ports.evidence.rows["birds", "r1-a1"]
    sent = {**dict(collected[0]["inputs"]), "half \ud800": "half \ud800", "endless": 2**70}  # type: ignore[call-overload]  # a dict
    collected[0] = {**collected[0], "inputs": sent}
    labels(world, truth(world, "r1-a1"))
    told = next(e for e in queries.entries(world.ports, "birds") if e.what == "labels.joined")
    assert isinstance(told.detail["verdict"], Reason)
    (why,) = told.detail["verdict"].because
    assert why.code is Code.METRIC_BREACHED
    assert 0.2 < why.facts["value"] < 2, why
