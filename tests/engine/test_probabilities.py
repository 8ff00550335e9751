"""A loop whose metric is made of probabilities, with a model that states them and one that does not."""

from __future__ import annotations

import json
import math

import pytest

from shared.audit import evidence_replay
from shared.domain.reason import Code
from shared.domain.release import JudgementKind, Phase
from shared.gate import gate_evidence
from shared.ports import Answer
from shared.runtime import unit_of_work
from tests.engine.world import LOOP, World, csv, season

STATED = LOOP.replace("metric: {name: f1_macro, at_least: 0.85}", "metric: {name: %s}").replace(
    "gate: {margin: 0.1, on_inconclusive: reject}", "gate: {margin: 0.1, on_inconclusive: reject, floor: %s}"
)


def states(world: World, *, wrong: bool = False, silent: bool = False) -> None:
    """The model answers with the class that it finds likelier, and says how likely each is."""

    def answer(endpoint: str, deployment: str, payload: str) -> Answer:
        table = json.loads(payload)["input_data"]
        at = table["columns"].index("flipper_length_mm")
        gentoo = [1 / (1 + math.exp(-(float(row[at]) - 206) / 3)) for row in table["data"]]
        gentoo = [1 - p for p in gentoo] if wrong else gentoo
        body: dict[str, object] = {"predictions": ["Gentoo" if p > 0.5 else "Adelie" for p in gentoo]}
        if not silent:
            body["probabilities"] = [{"Gentoo": p, "Adelie": 1 - p} for p in gentoo]
        return Answer(200, json.dumps(body), 5.0)

    world.ports.serving.answer = answer


def first_release(metric: str, floor: float) -> World:
    world = World()
    world.publish(STATED % (metric, floor))
    return world


@pytest.mark.parametrize(
    ("metric", "floor"),
    [("roc_auc", 0.7), ("average_precision, positive: Gentoo", 0.4), ("log_loss", 0.9)],
)
def test_a_model_that_states_probabilities_goes_live_and_its_drops_are_measured(
    metric: str, floor: float
) -> None:
    world = first_release(metric, floor)
    states(world)
    world.drop("2007.csv", csv(season(2007)))
    world.ticks(6)
    release = world.release(1)
    assert release.phase is Phase.LIVE, release.judgements
    gate = gate_evidence.recorded(unit_of_work.read(world.ports, "birds"), release)
    assert gate is not None and gate.verdict.challenger is not None
    assert gate.policy.positive == ("" if metric == "log_loss" else "Gentoo")
    assert len(gate.evidence.scores) == gate.verdict.rows > 20
    assert all(one.same for one in evidence_replay.replay(world.ports, "birds", 1))

    world.drop("2008.csv", csv(season(2008)))
    version, _ = unit_of_work.read(world.ports, "birds").version(2)
    assert Code.METRIC_MEASURED in {why.code for why in version.verdict}, version.verdict


@pytest.mark.parametrize(
    ("faulty", "code"),
    [({"wrong": True}, Code.GATE_FLOOR), ({"silent": True}, Code.GATE_PROBABILITIES_UNSTATED)],
)
def test_a_model_that_ranks_wrongly_or_states_nothing_is_rejected(
    faulty: dict[str, bool], code: Code
) -> None:
    world = first_release("roc_auc", 0.7)
    states(world, **faulty)
    world.drop("2007.csv", csv(season(2007)))
    world.ticks(6)
    release = world.release(1)
    assert release.phase is Phase.REJECTED
    judged = release.judgement(JudgementKind.GATE)
    assert judged is not None
    assert judged.reasons[0].code is code


def test_one_number_a_row_is_enough_where_there_are_two_classes() -> None:
    """The probability of the answer says that of the other class, in the gate and on a drop."""
    world = first_release("roc_auc", 0.7)
    states(world)
    both = world.ports.serving.answer

    def alone(endpoint: str, deployment: str, payload: str) -> Answer:
        body = json.loads(both(endpoint, deployment, payload).body)
        body["probabilities"] = [max(row.values()) for row in body["probabilities"]]
        return Answer(200, json.dumps(body), 5.0)

    world.ports.serving.answer = alone
    world.drop("2007.csv", csv(season(2007)))
    world.ticks(6)
    assert world.release(1).phase is Phase.LIVE
    world.drop("2008.csv", csv(season(2008)))
    version, _ = unit_of_work.read(world.ports, "birds").version(2)
    assert Code.METRIC_MEASURED in {why.code for why in version.verdict}, version.verdict
