"""What a release costs: estimated before it begins, counted as it goes, added up by day and month.

It pays for its jobs, and for the deployment that stands beside the one that serves. What serves when no release is open
is not counted: no budget of retraining could save it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from shared.canary import challenger_size
from shared.domain.loop import LoopState
from shared.domain.reason import Code, Reason, reason
from shared.domain.release import ENDED, JobStep, Phase, Release, ReleaseTimes
from shared.loopfile.prices import price
from shared.release.machine import PHASES

if TYPE_CHECKING:
    from shared.loopfile import Definition

HOUR_S = 3600.0
_AT_FIRST = frozenset({Phase.DEPLOYING, Phase.GATING, Phase.CHECKING})
_UNDER_STEPS = frozenset({Phase.SHIFTING, Phase.CANARY, Phase.HOLDING, Phase.AWAITING_APPROVAL})


@dataclass(frozen=True)
class Prices:
    """Of an hour, all machines together."""

    job: float
    deployment: float

    def of(self, took: ReleaseTimes) -> float:
        return (took.jobs_s * self.job + took.deployed_s * self.deployment) / HOUR_S


def prices(definition: Definition) -> Prices | None:
    """None where a size has no price (`unpriced` names it)."""
    cost, serve = definition.cost, definition.serve
    job = price(cost, cost.node)
    deployment = price(cost, serve.instance_type) if serve.type == "online" else 0.0
    if job is None or deployment is None:
        return None
    return Prices(job * cost.nodes, deployment * serve.machines[1])


def unpriced(definition: Definition) -> str:
    """The first size without a price; empty when there is none."""
    serve = definition.serve
    sizes = (definition.cost.node, *([serve.instance_type] if serve.type == "online" else []))
    return next((size for size in sizes if price(definition.cost, size) is None), "")


def least(definition: Definition) -> ReleaseTimes:
    """What a release takes at least beside its training: a second deployment, for the canary's steps and the bake."""
    canary = definition.canary
    return ReleaseTimes(deployed_s=(len(definition.shares) * canary.step.minutes + canary.bake_minutes) * 60)


def most(definition: Definition) -> ReleaseTimes:
    """What its limits let it take, where no person keeps it waiting."""
    canary, train = definition.canary, definition.train
    waits = (len(definition.shares) + bool(canary.bake_minutes)) * canary.step.max_hours * HOUR_S
    jobs = train.attempts + len(definition.gate.checks)
    return ReleaseTimes(jobs * train.timeout.total_seconds(), waits)


def estimated(definition: Definition, last: ReleaseTimes) -> float | None:
    """Of the next release: as long as the last one that went live, and no shorter than its canary; None: no price."""
    found = prices(definition)
    if found is None:
        return None
    return found.of(replace(last, deployed_s=max(last.deployed_s, least(definition).deployed_s)))


def estimate(definition: Definition, last: ReleaseTimes) -> Reason:
    """The same in words; before the first release has gone live, what training takes is not known."""
    money = estimated(definition, last)
    if money is None:
        return reason(Code.PRICE_UNKNOWN, size=unpriced(definition))
    code = Code.COST_ESTIMATED if last.jobs_s else Code.COST_ESTIMATED_UNTRAINED
    return reason(code, money=round(money, 4), currency=definition.cost.currency)


def since(release: Release, now: datetime) -> ReleaseTimes:
    """What it has taken since it was counted last."""
    if release.phase in ENDED:
        return ReleaseTimes()
    seconds = max(0.0, (now - (release.counted_at or release.phase_since_at)).total_seconds())
    job, beside = PHASES[release.phase].costs_job, bool(release.deployment)
    return ReleaseTimes(seconds if job else 0.0, seconds if beside else 0.0)


def worth(release: Release, took: ReleaseTimes, definition: Definition, found: Prices) -> float:
    """What that has cost: a challenger that has fewer machines for its share costs as many."""
    first, steps = release.phase in _AT_FIRST, definition.canary.steps
    share = steps[0 if first else min(release.step, len(steps) - 1)]
    small = release.champion is not None and (first or release.phase in _UNDER_STEPS)
    part = challenger_size.machines(definition, share) / definition.serve.machines[0] if small else 1.0
    return found.of(replace(took, deployed_s=took.deployed_s * part))


def counted(
    before: Release, after: Release, state: LoopState, definition: Definition, now: datetime
) -> tuple[Release, LoopState]:
    """Release and loop once the phase that has ended is paid for."""
    more, found = since(before, now), prices(definition)
    money = worth(before, more, definition, found) if found else 0.0
    took = replace(
        before.took,
        jobs_s=before.took.jobs_s + more.jobs_s,
        deployed_s=before.took.deployed_s + more.deployed_s,
    )
    after = replace(after, took=took, cost=before.cost + money, counted_at=now)
    today = day(now)
    by_day = {**kept(state.money, now), today: state.money.get(today, 0.0) + money} if money else state.money
    last = took if after.phase is Phase.LIVE and took.jobs_s else state.last_took
    return after, replace(state, money=by_day, last_took=last)


def told(release: Release, definition: Definition) -> Reason:
    """What a release has cost."""
    if prices(definition) is None:
        return reason(Code.PRICE_UNKNOWN, size=unpriced(definition))
    return reason(
        Code.COST_COUNTED,
        money=round(release.cost, 4),
        currency=definition.cost.currency,
        jobs=release.took.jobs_s,
        deployed=release.took.deployed_s,
    )


def by_step(release: Release, definition: Definition) -> Reason | None:
    """What each step of its training took, in words; None where nobody knows."""
    if not release.training_steps:
        return None
    return reason(Code.STEPS_TOOK, *(_step(step, definition) for step in release.training_steps))


def _step(step: JobStep, definition: Definition) -> Reason:
    if step.reused:
        return reason(Code.STEP_REUSED, step=step.name)
    money = step_money(step, definition)
    return reason(
        Code.STEP_TOOK,
        step=step.name,
        node=step.node_s,
        nodes=step.nodes,
        size=step.size,
        money=None if money is None else round(money, 4),
        currency=definition.cost.currency,
    )


def step_money(step: JobStep, definition: Definition) -> float | None:
    """Of its node time; on `cost.node` where Azure does not tell the machine. None: no price."""
    an_hour = price(definition.cost, step.size or definition.cost.node)
    return None if an_hour is None else step.node_s * an_hour / HOUR_S


def day(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d}"


def kept(money: Mapping[str, float], now: datetime) -> dict[str, float]:
    """The days of this month."""
    month = day(now)[:7]
    return {at: spent for at, spent in money.items() if at.startswith(month)}


def spent(money: Mapping[str, float], now: datetime) -> Mapping[str, float]:
    """What releases have cost today and this month, by the clock of UTC."""
    return {"day": money.get(day(now), 0.0), "month": sum(kept(money, now).values())}


def frees_at(span: str, now: datetime) -> datetime:
    """When the next day or month begins."""
    midnight = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    if span == "day":
        return midnight + timedelta(days=1)
    return (midnight.replace(day=1) + timedelta(days=32)).replace(day=1)


def standing(state: LoopState, release: Release | None, definition: Definition, now: datetime) -> Reason:
    """What retraining has cost today and this month, with what the open release has taken since it was counted."""
    found = prices(definition)
    if found is None:
        return reason(Code.PRICE_UNKNOWN, size=unpriced(definition))
    more = worth(release, since(release, now), definition, found) if release is not None else 0.0
    so_far, budget = spent(state.money, now), definition.retrain.budget
    return reason(
        Code.COST_SO_FAR,
        currency=definition.cost.currency,
        day=round(so_far["day"] + more, 4),
        month=round(so_far["month"] + more, 4),
        day_limit=budget.money_per_day,
        month_limit=budget.money_per_month,
    )


def over_budget(state: LoopState, definition: Definition, now: datetime) -> tuple[Reason, datetime] | None:
    """Why no release starts, and until when: a budget that is spent, or that the next release would overdraw."""
    budget, so_far = definition.retrain.budget, spent(state.money, now)
    limits = {"month": budget.money_per_month, "day": budget.money_per_day}
    next_one = estimated(definition, state.last_took) or 0.0
    for span, limit in limits.items():
        if limit is None or so_far[span] + next_one <= limit:
            continue
        until = frees_at(span, now)
        code = Code.MONEY_TOO_LITTLE if next_one > limit else Code.MONEY_USED_UP
        facts = {"limit": limit, "spent": round(so_far[span], 4), "estimate": round(next_one, 4)}
        why = reason(
            code,
            **facts,
            span=span,
            currency=definition.cost.currency,
            loop=state.loop,
            until=until.isoformat(),
        )
        return why, until
    return None
