"""A loop that is judged by what its answers cost: gate, drop, late replay."""

from __future__ import annotations

from shared.audit import evidence_replay
from shared.domain.reason import Code
from shared.domain.release import JudgementKind, Phase
from shared.runtime import unit_of_work
from tests.engine.world import LOOP, World, csv, season

BY_COST = LOOP.replace(
    "metric: {name: f1_macro, at_least: 0.85}",
    "metric: {name: cost, at_most: 2, costs: {Adelie: {Gentoo: 1, Chinstrap: 0}, "
    "Gentoo: {Adelie: 20, Chinstrap: 20}, Chinstrap: {Adelie: 0, Gentoo: 1}}}",
).replace(
    "gate: {margin: 0.1, on_inconclusive: reject}", "gate: {margin: 2, floor: 4, on_inconclusive: reject}"
)
"""To take a Gentoo for another is dear; the other two may be taken for each other."""


def test_a_model_goes_live_that_errs_where_it_costs_nothing_and_the_next_drop_is_judged_by_cost() -> None:
    world = World()
    world.publish(BY_COST)
    world.drop("2007.csv", csv(season(2007)))
    world.ticks(6)
    release = world.release(1)
    assert release.phase is Phase.LIVE, release.judgements
    world.drop("2008.csv", csv(season(2008)))
    version, _ = unit_of_work.read(world.ports, "birds").version(2)
    assert Code.METRIC_MET in {why.code for why in version.verdict}, version.verdict
    assert all(one.same for one in evidence_replay.replay(world.ports, "birds", 1))


def test_a_model_that_makes_the_dear_mistake_is_rejected() -> None:
    world = World(default_model=lambda row: "Adelie")
    world.publish(BY_COST)
    world.drop("2007.csv", csv(season(2007)))
    world.ticks(6)
    assert world.release(1).phase is Phase.REJECTED
    judged = world.release(1).judgement(JudgementKind.GATE)
    assert judged is not None and judged.reasons[0].code is Code.GATE_FLOOR


def test_what_the_gate_showed_in_other_costs_is_no_threshold() -> None:
    world = World()
    text = BY_COST.replace("at_most: 2,", "worse_by: 0.5,")
    world.publish(text)
    world.drop("2007.csv", csv(season(2007)))
    world.ticks(6)
    world.drop("2008.csv", csv(season(2008)))
    world.publish(text.replace("Chinstrap: 20}", "Chinstrap: 200}"))
    world.drop("2009.csv", csv(season(2009)))
    same, other = (
        frozenset[Code]().union(
            *(why.codes() for why in unit_of_work.read(world.ports, "birds").version(n)[0].verdict)
        )
        for n in (2, 3)
    )
    assert Code.METRIC_OF_GATE in same and Code.METRIC_MET in same
    assert Code.METRIC_OF_GATE not in other and Code.METRIC_MEASURED in other
