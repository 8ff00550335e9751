"""Money: what a release is estimated at, what it is charged, and until when a budget that is spent lets none start."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from typer.testing import CliRunner

import cli
from cli import idle_nodes
from cli.explain import release_story
from shared import loopfile
from shared.audit.exported_release import export
from shared.domain.loop import LoopState
from shared.domain.reason import Code
from shared.domain.release import JobStep, Phase, ReleaseTimes, TriggerKind
from shared.loopfile import prices
from shared.loopfile.definition import Cost
from shared.memory.exported_ports import exported_ports
from shared.ports import Row
from shared.retraining import cost, policy
from shared.runtime import unit_of_work
from shared.state import queries, rows
from shared.words import say, spoken
from tests.engine.test_faults import LOOP, birds, served
from tests.engine.test_policy import NOW, loop, trigger, two_attempts_of_an_hour
from tests.engine.world import LOOP as BIRDS
from tests.engine.world import World, csv, season
from tests.simulator.reader import reading_in_process
from tests.tower.tower import page

PRICED = LOOP.replace("runs_per_day: 99", "runs_per_day: 99, money_per_day: 5") + (
    "cost: {node: Standard_DS3_v2, nodes: 2, prices: {Standard_DS3_v2: 1.0}}\n"
)
DEFINITION = loopfile.parse(PRICED, file="loop.yaml")


@pytest.fixture(autouse=True, scope="module")
def reader() -> Iterator[None]:
    with reading_in_process():
        yield


def decide(state: LoopState, plan: str = PRICED, now: datetime = NOW) -> policy.Decision:
    return policy.decide(state, (trigger(),), loopfile.parse(plan, file="loop.yaml"), now, newest_version=2)


def test_jobs_and_the_second_deployment_are_charged_and_the_reason_waits_for_the_next_day() -> None:
    """Two attempts of an hour on two nodes at 1.00 are 4.00; another release of as much would overdraw 5.00."""
    life = served(plan=PRICED)
    began = sum(life.state.money.values())
    two_attempts_of_an_hour(life)
    ended = life.release(2)
    assert ended.took.jobs_s == pytest.approx(7200, abs=60)
    assert ended.took.deployed_s > 0, "the challenger stood beside the champion"
    assert ended.cost == pytest.approx((ended.took.jobs_s * 2 + ended.took.deployed_s) / 3600)
    assert sum(life.state.money.values()) == pytest.approx(began + ended.cost), (
        "nothing is counted twice or lost"
    )
    live = next(entry for entry in life.told("release.live") if entry.subject == "release 2")
    assert f"{ended.cost:.2f} USD: jobs took 2:00" in spoken(live.detail)["cost"]
    life.drop("3.csv", birds(3, 1.9))
    life.round()
    life.round()
    assert (life.state.next_release, len(life.state.waiting)) == (3, 1)
    assert "the budget of 5.00 USD a day is used up until" in say(life.state.denial)
    assert say(queries.loop(life.real, "birds").cost).startswith(
        f"{began + ended.cost:.2f} of 5.00 USD today"
    )
    life.real.training.new_jobs_are = "completed"
    life.clock.advance(86_400)
    life.rest()
    assert life.state.next_release == 4
    started = next(entry for entry in life.told("release.started") if entry.subject == "release 3")
    assert spoken(started.detail)["estimate"] == f"about {ended.cost:.2f} USD"


def test_who_raises_the_budget_waits_for_no_other_month() -> None:
    life = served(plan=PRICED)
    life.publish(PRICED.replace("money_per_day: 5", "money_per_month: 0.001"))
    life.drop("2.csv", birds(2, 1.3))
    life.rest()
    assert (life.state.next_release, len(life.state.waiting)) == (2, 1)
    life.publish(PRICED.replace("money_per_day: 5", "money_per_month: 50"))
    life.rest()
    assert life.state.next_release == 3


@pytest.mark.parametrize(
    ("limits", "spent", "until", "code"),
    [
        ("money_per_day: 5", {"2026-06-01": 4.0}, datetime(2026, 6, 2, tzinfo=UTC), Code.MONEY_USED_UP),
        ("money_per_month: 5", {"2026-06-01": 4.0}, datetime(2026, 7, 1, tzinfo=UTC), Code.MONEY_USED_UP),
        (
            "money_per_day: 5, money_per_month: 9",
            {"2026-06-01": 4.0, "2026-06-02": 4.0},
            datetime(2026, 7, 1, tzinfo=UTC),
            Code.MONEY_USED_UP,
        ),
        ("money_per_day: 1", {}, datetime(2026, 6, 2, tzinfo=UTC), Code.MONEY_TOO_LITTLE),
        ("money_per_day: 5", {"2026-05-31": 99.0}, None, None),
        ("money_per_month: 5", {"2026-05-31": 99.0}, None, None),
        ("money_per_day: 5", {"2026-06-01": 2.9}, None, None),
    ],
)
def test_a_budget_frees_with_the_day_or_the_month(
    limits: str, spent: dict[str, float], until: datetime | None, code: Code | None
) -> None:
    """One node hour at 1.00, two nodes: the last release took 2.00."""
    state = loop(money=spent, last_took=ReleaseTimes(jobs_s=3600))
    answer = decide(state, PRICED.replace("money_per_day: 5", limits), NOW + timedelta(hours=1))
    if until is None:
        assert isinstance(answer, policy.Start)
        return
    assert isinstance(answer, policy.Coalesce)
    assert (answer.until, answer.reason.code) == (until, code)
    assert f"until {until:%Y-%m-%d %H:%M} UTC" in say(answer.reason)


def test_validate_says_what_a_release_costs_or_which_price_is_missing(tmp_path: Path) -> None:
    plan = PRICED.replace("bake_minutes: 0.1", "bake_minutes: 59.9")

    def said(text: str) -> str:
        (tmp_path / "loop.yaml").write_text(text)
        (tmp_path / "train.yml").touch()
        return " ".join(CliRunner().invoke(cli.app, ["validate", str(tmp_path)]).output.split())

    assert "costs 1.00 USD for 1.0 h of a second deployment at least, and 2.00 an hour of training" in said(
        plan
    )
    assert "unknown: Standard_X99 has no price" in said(LOOP + "cost: {node: Standard_X99}\n")


def test_the_loop_page_has_today_and_this_month_with_their_budgets() -> None:
    world = World()
    world.publish(BIRDS.replace("runs_per_day: 8", "runs_per_day: 8, money_per_month: 60"))
    yesterday = world.clock.now()
    world.clock.advance(86_400)
    money = {cost.day(world.clock.now()): 1.5, cost.day(yesterday): 2.0}
    state = replace(unit_of_work.read(world.ports, "birds").state, money=money)
    world.ports.store.rows["birds"][rows.LOOP] = Row(rows.LOOP, rows.encode(state), "e")
    assert "1.50 USD today, 3.50 of 60.00 this month" in page(world.ports, "/loops/birds")


def test_each_step_of_a_training_is_told_with_its_node_time_and_money() -> None:
    """An hour and a half on two machines of 1.00 and half an hour on one of 3.00, beside a step that was reused."""
    world, steps = (
        World(),
        (
            JobStep("prepare", 0.0, reused=True),
            JobStep("train", 10_800.0, nodes=2),
            JobStep("tune", 1_800.0, size="STANDARD_NC6"),
            JobStep("odd", 60.0, size="Standard_Odd"),
        ),
    )
    world.publish(
        BIRDS + "cost: {node: Standard_DS3_v2, prices: {Standard_DS3_v2: 1.0, Standard_NC6: 3.0}}\n"
    )
    world.ports.training.new_jobs_are = "running"
    world.drop("2007.csv", csv(season(2007)))
    world.ticks(2)
    job = world.ports.training.jobs["birds-r1-a1"]
    assert world.release(1).training_steps == ()
    job.status, job.steps = "completed", steps
    assert world.live() == 1
    assert world.release(1).training_steps == steps
    words = (
        "node time by step: prepare reused; train 3:00:00 on 2 nodes, 3.00 USD; "
        "tune 0:30:00 on STANDARD_NC6, 1.50 USD; odd 0:01:00 on Standard_Odd"
    )
    assert any(f"steps: {words}" in why for _, _, why in release_story(world.ports, "birds", 1)[1])
    assert say(queries.loop(world.ports, "birds").steps) == words
    html = " ".join(page(world.ports, "/loops/birds/releases/1").split())
    for cells in ('<td class="n">3.000</td><td>2</td><td class="n">3.0000</td>', "no price", "not run again"):
        assert cells in html
    alone = exported_ports(export(world.ports, "birds", 1))
    assert any(words in why for _, _, why in release_story(alone, "birds", 1)[1]), (
        "an exported file has it too"
    )


def test_a_person_is_not_refused_for_money() -> None:
    state = loop(money={"2026-06-01": 99.0}, trained_through=2)
    answer = policy.decide(state, (trigger(TriggerKind.PERSON),), DEFINITION, NOW, newest_version=2)
    assert isinstance(answer, policy.Start)


def test_the_time_of_a_phase_is_charged_once_however_often_it_is_looked_at() -> None:
    from tests.core.world import begun

    now = NOW + timedelta(hours=2)
    before = replace(begun(), phase=Phase.TRAINING, phase_since_at=NOW, deployment="")
    once, state = cost.counted(before, replace(before, attempt=2), loop(), DEFINITION, now)
    again, state = cost.counted(once, replace(once, phase=Phase.REGISTERING), state, DEFINITION, now)
    assert (once.cost, again.cost, state.money) == (4.0, 4.0, {"2026-06-01": 4.0})
    beside = replace(again, phase=Phase.CANARY, deployment="r2-a1")
    assert cost.since(beside, now + timedelta(hours=1)) == ReleaseTimes(0.0, 3600.0)
    assert cost.since(replace(beside, phase=Phase.LIVE), now + timedelta(hours=1)) == ReleaseTimes()


def test_months_that_are_over_are_forgotten() -> None:
    days = {"2025-06-01": 1.0, "2026-05-31": 2.0, "2026-06-01": 3.0}
    assert cost.kept(days, NOW) == {"2026-06-01": 3.0}


def test_a_budget_in_money_needs_prices_and_the_error_says_which() -> None:
    strange = PRICED.replace("node: Standard_DS3_v2", "node: Standard_X99")
    with pytest.raises(loopfile.LoopFileError) as told:
        loopfile.parse(strange, file="loop.yaml")
    assert "cost.node" in str(told.value)
    assert "cost.prices: {Standard_X99: …}" in str(told.value)
    euros = LOOP.replace("runs_per_day: 99", "runs_per_day: 99, money_per_day: 5") + "cost: {currency: EUR}\n"
    with pytest.raises(loopfile.LoopFileError, match="a price an hour in EUR"):
        loopfile.parse(euros, file="loop.yaml")


def test_without_a_budget_a_machine_without_a_price_is_told_and_stops_nothing() -> None:
    odd = loopfile.parse(LOOP + "cost: {node: Standard_X99}\n", file="loop.yaml")
    assert isinstance(policy.decide(loop(), (trigger(),), odd, NOW, newest_version=2), policy.Start)
    assert (
        say(cost.estimate(odd, ReleaseTimes()))
        == "unknown: Standard_X99 has no price; give it in `cost.prices`"
    )


def test_the_loops_own_price_wins_whatever_case_azure_answers_in() -> None:
    assert prices.price(DEFINITION.cost, "STANDARD_DS3_V2") == 1.0
    assert prices.price(replace_prices({}), "standard_ds3_v2") == prices.AN_HOUR["Standard_DS3_v2"]


def replace_prices(own: dict[str, float]) -> Cost:
    return DEFINITION.cost.model_copy(update={"prices": own})


def test_the_machine_of_a_cluster_is_compared_where_azure_ml_knows_it() -> None:
    from azure.ai.ml.entities import AmlCompute, Compute, KubernetesCompute

    def wrong(compute: Compute) -> str:
        client = SimpleNamespace(compute=SimpleNamespace(get=lambda name: compute))
        return idle_nodes.mispriced(idle_nodes.idle(lambda: cast(Any, client), str(compute.name)), Cost())

    assert wrong(AmlCompute(name="c", size="STANDARD_DS3_V2")) == ""
    assert wrong(AmlCompute(name="c", size="Standard_DS4_v2")).startswith("jobs run on Standard_DS4_v2 (c)")
    assert wrong(KubernetesCompute(name="attached")) == ""
