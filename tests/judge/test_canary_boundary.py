"""The exact test beside the mixture: what it counts, that both together keep the promise, and what it finds."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from benchmarks.canary.horizon import HOURS, Days, simulate
from benchmarks.canary.simulation import lower
from shared.canary.boundary import EXACT, MOST_WINDOWS, count_windows
from shared.canary.canary_judge import (
    ArmEvidence,
    CanaryEvidence,
    CanaryPolicy,
    CanaryRecord,
    CanaryState,
    CanaryVerdict,
    CountedWindow,
    Outcome,
    judge_canary,
)
from shared.domain.reason import Code
from shared.ports import TrafficMinute
from shared.stats.group_sequential import Window, boundaries
from shared.stats.sequential import log_e_more
from shared.words import say

START = datetime(2026, 11, 21, 10, 0, 30, tzinfo=UTC)
ARMS = ("new", "old")
ERRORS_ALONE = CanaryPolicy(
    alpha=0.05, steps=1, max_latency_increase_ratio=None, max_label_error_increase=None, exact=EXACT
)
"""A promise that a few hundred canaries would show broken."""


# --- what is counted -----------------------------------------------------------------------------


def minute(after: int, new: tuple[int, int] = (1, 0), old: tuple[int, int] = (9, 1)) -> TrafficMinute:
    return TrafficMinute(
        START.replace(second=0) + timedelta(minutes=after), {"new": new, "old": old} if old else {"new": new}
    )


def test_minutes_are_merged_on_a_grid_that_only_the_clock_decides() -> None:
    day = timedelta(hours=24)
    found = count_windows(
        [minute(0), minute(4, (2, 1)), minute(5), minute(17)], ARMS, START, START + day, day
    )
    assert [(one.requests, one.errors) for one in found] == [
        ((3, 18), (1, 2)),
        ((1, 9), (0, 1)),
        ((1, 9), (0, 1)),
    ]
    ends = [timedelta(minutes=n) - timedelta(seconds=30) for n in (5, 10, 20)]
    assert [one.elapsed for one in found] == pytest.approx([end / day for end in ends])


def test_a_window_that_may_still_grow_is_not_counted() -> None:
    hour = timedelta(hours=1)
    minutes = [minute(0), minute(1)]
    assert not count_windows(minutes, ARMS, START, None, hour)
    assert not count_windows(minutes, ARMS, START, START + timedelta(seconds=29), hour)
    assert len(count_windows(minutes, ARMS, START, START + timedelta(seconds=30), hour)) == 1
    assert len(count_windows(minutes, ARMS, START, START + timedelta(minutes=5), hour)) == 2


def test_after_the_longest_time_nothing_is_added() -> None:
    hour = timedelta(hours=1)
    found = count_windows([minute(n) for n in range(200)], ARMS, START, START + 4 * hour, hour)
    assert len(found) == 60
    assert found[-1].elapsed <= 1


def test_an_arm_without_requests_counts_none() -> None:
    only = TrafficMinute(START.replace(second=0), {"old": (4, 1), "somebody else's": (7, 7)})
    found = count_windows([only], ARMS, START, START + timedelta(hours=1), timedelta(hours=1))
    assert [(one.requests, one.errors) for one in found] == [((0, 4), (0, 1))]


@pytest.mark.parametrize("hours", [0.01, 0.5, 24, 24 * 14])
def test_there_are_never_more_windows_than_are_worth_storing(hours: float) -> None:
    longest = timedelta(hours=hours)
    minutes = [minute(n) for n in range(math.ceil(hours * 60) + 5)]
    assert len(count_windows(minutes, ARMS, START, START + 2 * longest, longest)) <= MOST_WINDOWS


# --- the judge -----------------------------------------------------------------------------------


def evidence(windows: list[CountedWindow]) -> CanaryEvidence:
    totals = np.array([[*one.requests, *one.errors] for one in windows]).sum(axis=0)
    canary, champion, errors_c, errors_b = map(int, totals)
    arms = ArmEvidence(champion, errors_b), ArmEvidence(canary, errors_c)
    return CanaryEvidence(*arms, 10, START, START + timedelta(hours=12), windows=tuple(windows))


def judge(seen: CanaryEvidence, policy: CanaryPolicy = ERRORS_ALONE, hours: float = 12) -> CanaryVerdict:
    times = {"step_elapsed_s": hours * 3600, "step_min_s": 900.0, "step_max_s": 24 * 3600.0}
    return judge_canary(seen, policy, CanaryState(), **times)[0]


def steady(canary_errors: int) -> list[CountedWindow]:
    """Half a day at 200 requests an hour; of the champion's 1.7 % fail, so many of the canary's 20 in each hour."""
    return [CountedWindow((20, 180), (canary_errors, 3), (h + 1) / 24) for h in range(12)]


def test_what_the_mixture_does_not_see_yet_is_rolled_back_by_the_exact_test_with_its_counts() -> None:
    seen = evidence(steady(1))
    assert judge(replace(seen, windows=())).outcome is not Outcome.ROLL_BACK
    verdict = judge(seen)
    assert verdict.outcome is Outcome.ROLL_BACK
    assert verdict.e_value < verdict.threshold
    (found,) = verdict.reasons
    assert found.code is Code.CANARY_BOUNDARY
    assert found.because[0].code is Code.METRIC_RATE
    hits, needed = found.facts["hits"], found.facts["needed"]
    assert isinstance(hits, int)
    assert isinstance(needed, int)
    assert 4 * hits == found.facts["in_all"]
    assert hits >= needed > hits / 4
    assert "more than chance explains" in say(found)


def test_harm_below_the_margin_is_not_rolled_back_however_well_it_is_shown() -> None:
    seen = evidence(steady(1))
    assert judge(seen, replace(ERRORS_ALONE, max_error_rate_increase=0.1)).outcome is not Outcome.ROLL_BACK
    assert judge(seen, replace(ERRORS_ALONE, max_error_rate_increase=None)).outcome is not Outcome.ROLL_BACK


def test_a_canary_that_fails_as_often_is_not_rolled_back() -> None:
    even = [CountedWindow((20, 180), (1, 9), (h + 1) / 24) for h in range(24)]
    assert judge(evidence(even)).outcome is not Outcome.ROLL_BACK


def test_great_harm_in_the_first_seconds_needs_no_window() -> None:
    arms = ArmEvidence(270), ArmEvidence(30, 9)
    seen = CanaryEvidence(*arms, 10, START, START + timedelta(seconds=20))
    assert judge(seen, CanaryPolicy(exact=EXACT), 0.005).outcome is Outcome.ROLL_BACK


def test_a_verdict_with_windows_is_had_again_from_its_document_and_one_of_before_too() -> None:
    times = {"step_elapsed_s": 12 * 3600.0, "step_min_s": 900.0, "step_max_s": 24 * 3600.0}
    for seen, policy in (
        (evidence(steady(1)), ERRORS_ALONE),
        (replace(evidence(steady(1)), windows=()), replace(ERRORS_ALONE, exact=0.0)),
    ):
        verdict, _ = judge_canary(seen, policy, CanaryState(), **times)
        document = json.loads(json.dumps(CanaryRecord(seen, policy, CanaryState(), times, verdict).to_dict()))
        if not policy.exact:  # as a release of before has it
            del document["policy"]["exact"], document["evidence"]["windows"]
        again = CanaryRecord.from_dict(document)
        assert judge_canary(again.evidence, again.policy, again.state, **again.times)[0] == again.verdict


def test_the_parts_of_the_budget_add_up() -> None:
    policy = CanaryPolicy(exact=EXACT)
    whole = policy.alpha / policy.steps
    mixture = (1 - policy.share("errors") * EXACT) / policy.threshold
    assert mixture + policy.exact_alpha == pytest.approx(whole)
    assert CanaryPolicy().exact_alpha == 0


# --- both together, by chance --------------------------------------------------------------------


def taken_back(days: Days, policy: CanaryPolicy, hours: slice = slice(None)) -> np.ndarray:
    """Which days' canaries one step rolls back, whatever the margin: its exact boundary or its mixture is crossed."""
    part = [each[:, hours] for each in (days.canary, days.champion, days.canary_hits, days.champion_hits)]
    canary, champion, hits_c, hits_b = (each.cumsum(1) for each in part)
    weight = float(days.weight[hours][0])
    log_e = log_e_more(hits_c, hits_b, canary - hits_c, champion - hits_b, weight)
    found = (log_e >= math.log(policy.threshold / (1 - policy.exact))).any(axis=1)
    if not policy.exact:
        return found
    for day, counts in enumerate(zip(*part, strict=True)):
        windows = [
            Window((int(a), int(b)), (int(c), int(d)), (h + 1) / len(counts[0]))
            for h, (a, b, c, d) in enumerate(zip(*counts, strict=True))
        ]
        found[day] |= boundaries(windows, policy.exact_alpha)[-1].crossed
    return found


QUIET = [("", 0.1, 0.02), ("drift", 0.05, 0.01), ("outage", 0.1, 0.02), ("outage", 0.5, 0.002)]


@pytest.mark.parametrize(("kind", "weight", "rate"), QUIET)
def test_harmless_canaries_are_rolled_back_as_seldom_as_promised(
    kind: str, weight: float, rate: float
) -> None:
    days = simulate(400, 200, weight, (rate, rate), kind, seed=7)
    share = float(taken_back(days, ERRORS_ALONE).mean())
    assert lower(share, 400, len(QUIET) + 1) <= ERRORS_ALONE.alpha, share


def test_a_ramp_while_errors_rise_is_judged_step_by_step() -> None:
    """1, 5, 10 and 50 % for six hours each while the rate of both arms triples: each step has a quarter of alpha."""
    days, policy = simulate(400, 200, 0.05, (0.01, 0.01), "ramp", seed=8), replace(ERRORS_ALONE, steps=4)
    found = np.zeros(400, dtype=bool)
    for step in range(0, HOURS, 6):
        found |= taken_back(days, policy, slice(step, step + 6))
    assert lower(float(found.mean()), 400, len(QUIET) + 1) <= policy.alpha, found.mean()


@pytest.mark.parametrize("weight", [0.1, 0.5])
def test_small_harm_is_found_more_often_than_by_the_mixture_alone(weight: float) -> None:
    """A loop's own budget: 1 %, two steps and the bake, errors beside latency."""
    days = simulate(200, 200, weight, (0.02, 0.04), seed=9)
    today = replace(ERRORS_ALONE, alpha=0.01 * 0.6, steps=3)
    alone, both = (float(taken_back(days, replace(today, exact=exact)).mean()) for exact in (0.0, EXACT))
    assert both >= alone + 0.08, (alone, both)
