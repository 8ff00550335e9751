"""Callers of very unequal activity who fail in bursts: harmless canaries are rolled back as seldom as promised, where
what the router assigns is what counts; where it is not, that is told."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from benchmarks.canary.callers import QUARTERS, Log, activity, day, day_of
from benchmarks.canary.simulation import lower
from clients.driftloop_split import point
from shared.canary.boundary import CLUMPED, EXACT
from shared.canary.canary_judge import (
    ArmEvidence,
    CanaryEvidence,
    CanaryPolicy,
    CanaryState,
    CountedWindow,
    Outcome,
    judge_canary,
)
from shared.domain.reason import Code, Reason
from shared.stats.dispersion import dispersion
from shared.stats.group_sequential import Window
from shared.words import say

START = datetime(2026, 11, 21, 10, tzinfo=UTC)
EVERY_HARM = CanaryPolicy(
    alpha=0.05,
    steps=1,
    max_error_rate_increase=0.0,
    max_latency_increase_ratio=None,
    max_label_error_increase=None,
    exact=EXACT,
)
"""A promise that a few hundred canaries would show broken, whatever the margin."""
LOOKS = (4, 8, 16, 32, 48, 64, 80, QUARTERS)


def judged(
    windows: list[Window], policy: CanaryPolicy, quarters: int, weight: float
) -> tuple[Outcome, tuple[Reason, ...]]:
    seen = windows[:quarters]
    canary, champion = (
        ArmEvidence(sum(one.requests[arm] for one in seen), sum(one.hits[arm] for one in seen))
        for arm in (0, 1)
    )
    counted = tuple(CountedWindow(one.requests, one.hits, one.elapsed) for one in seen)
    now = START + timedelta(minutes=15 * quarters)
    evidence = CanaryEvidence(champion, canary, round(100 * weight), START, now, windows=counted)
    times = {"step_elapsed_s": quarters * 900.0, "step_min_s": 900.0, "step_max_s": 24 * 3600.0}
    verdict, _ = judge_canary(evidence, policy, CanaryState(), **times)
    return verdict.outcome, verdict.reasons


def taken_back(log: Log, unit: str, weight: float, steps: int = 1) -> tuple[bool, bool]:
    """Whether the canary is rolled back at any look, and whether clumps are told beside that."""
    windows, policy = log.windows(by_caller=unit != "request"), replace(EVERY_HARM, unit=unit, steps=steps)
    for quarters in LOOKS:
        outcome, reasons = judged(windows, policy, quarters, weight)
        if outcome is Outcome.ROLL_BACK:
            return True, Code.CANARY_CLUMPED in {one.code for one in reasons}
    return False, False


def shares(days: int, unit: str, *, sticky: bool, weight: float, rate: float, seed: int = 11) -> np.ndarray:
    rng = np.random.default_rng(seed)
    logs = (day(rng, callers=300, weight=weight, rates=(rate, rate), sticky=sticky) for _ in range(days))
    return np.array([taken_back(log, unit, weight) for log in logs]).mean(axis=0)


CELLS = [
    ("request", False, 0.1, 0.02),
    ("request", False, 0.5, 0.3),
    ("identity", True, 0.1, 0.1),
    ("identity", True, 0.5, 0.3),
    ("identity", False, 0.5, 0.3),
]


@pytest.mark.parametrize(
    ("unit", "sticky", "weight", "rate"),
    [pytest.param(*cell, marks=[] if n == 3 else pytest.mark.soak) for n, cell in enumerate(CELLS)],
)
def test_harmless_canaries_are_rolled_back_as_seldom_as_promised(
    unit: str, sticky: bool, weight: float, rate: float
) -> None:
    found, _ = shares(100, unit, sticky=sticky, weight=weight, rate=rate)
    assert lower(found, 100, len(CELLS)) <= EVERY_HARM.alpha, found


@pytest.mark.soak
@pytest.mark.parametrize("weight", [0.05, 0.1, 0.5])
@pytest.mark.parametrize("rate", [0.01, 0.1, 0.5])
@pytest.mark.parametrize(("unit", "sticky"), [("request", False), ("identity", True), ("identity", False)])
def test_harmless_canaries_are_rolled_back_as_seldom_as_promised_in_full(
    unit: str, sticky: bool, weight: float, rate: float
) -> None:
    found, _ = shares(2000, unit, sticky=sticky, weight=weight, rate=rate)
    print(f"{unit}, {'sticky' if sticky else 'by request'}, {weight:.0%}, errors {rate:.0%}: {found:.2%}")
    assert lower(found, 2000, 27) <= EVERY_HARM.alpha, found


RISING = (0.1, 0.5)


def kept(days: int, unit: str, callers: int = 300, seed: int = 17) -> float:
    """The share of harmless canaries that go back, over two steps: each caller's arm by the hash of its name, as
    `clients/driftloop_split.py` has it, so that who is in the first step is in the second; very unequal activity; some
    who fail always and many who seldom do; errors in bursts."""
    rng, back = np.random.default_rng(seed), 0
    for number in range(days):
        at = np.array([point(f"churn/{number}", f"user-{n}") for n in range(callers)]) / 100
        sent, rates = activity(rng, callers), rng.beta(0.3, 1.2, callers)
        logs = (day_of(rng, sent, (rates, rates), at < share) for share in RISING)
        found = (taken_back(log, unit, share, 2)[0] for log, share in zip(logs, RISING, strict=True))
        back += any(found)
    return back / days


def test_callers_who_keep_to_an_arm_by_their_hash_do_not_break_the_promise() -> None:
    assert lower(kept(60, "client_id"), 60, 1) <= EVERY_HARM.alpha
    assert kept(20, "request") > 0.3, "so it is not for want of anything to find"


@pytest.mark.soak
@pytest.mark.parametrize("callers", [100, 300, 2000])
def test_callers_who_keep_to_an_arm_by_their_hash_do_not_break_the_promise_in_full(callers: int) -> None:
    found = kept(2000, "client_id", callers)
    print(f"{callers} callers who keep to an arm: {found:.2%} of harmless canaries rolled back")
    assert lower(found, 2000, 3) <= EVERY_HARM.alpha, found


def test_callers_who_keep_to_an_arm_break_the_promise_where_requests_count_and_it_is_told() -> None:
    found, told = shares(60, "request", sticky=True, weight=0.5, rate=0.3)
    assert found > 0.25
    assert told > 0.25 * found


def test_a_worse_canary_is_found_by_its_callers() -> None:
    rng = np.random.default_rng(3)
    logs = [day(rng, callers=2000, weight=0.5, rates=(0.02, 0.06), sticky=True) for _ in range(20)]
    assert np.mean([taken_back(log, "identity", 0.5)[0] for log in logs]) >= 0.9


# --- clumps --------------------------------------------------------------------------------------


@pytest.mark.parametrize("days", [120, pytest.param(300, marks=pytest.mark.soak)])
def test_errors_that_fall_one_by_one_are_seldom_called_clumps(days: int) -> None:
    """Also where all of them come in bursts, as long as the router draws an arm for each request."""
    rng = np.random.default_rng(2)
    logs = [day(rng, callers=200, weight=0.2, rates=(0.05, 0.05), sticky=False) for _ in range(days)]
    found = [dispersion(log.windows(by_caller=False)) for log in logs]
    p = np.array([1.0 if one is None else one.p_value for one in found])
    assert lower(float((p < 0.05).mean()), days) <= 0.05
    assert lower(float((p < CLUMPED).mean()), days) <= CLUMPED
    assert 0.8 < np.mean([one.ratio for one in found if one]) < 1.2


def test_a_canary_that_is_simply_worse_has_no_clumps() -> None:
    worse = [Window((100, 900), (20, 45), (h + 1) / 24) for h in range(24)]
    found = dispersion(worse)
    assert found is not None
    assert found.ratio < 0.1


@pytest.mark.parametrize(
    "windows",
    [
        [],
        [Window((10, 90), (0, 0), 1.0)],
        [Window((10, 90), (1, 2), 1.0)],
        [Window((10, 90), (0, 3), 0.5), Window((10, 90), (0, 3), 1.0)],
        [Window((10, 0), (3, 0), 0.5), Window((0, 90), (0, 3), 1.0)],
    ],
)
def test_where_nothing_could_have_come_out_otherwise_nothing_is_said(windows: list[Window]) -> None:
    assert dispersion(windows) is None


def test_clumps_are_told_with_what_follows_and_only_where_requests_count() -> None:
    windows = [Window((500, 500), (40, 0) if h % 2 else (0, 38), (h + 1) / 24) for h in range(24)]
    policy = CanaryPolicy(max_latency_increase_ratio=None, required=("errors",))
    outcome, reasons = judged(windows, policy, 24, 0.5)
    (told,) = [one for one in reasons if one.code is Code.CANARY_CLUMPED]
    assert (outcome, "canary.unit" in say(told)) == (Outcome.ADVANCE, True)
    _, reasons = judged(windows, replace(policy, unit="identity"), 24, 0.5)
    assert Code.CANARY_CLUMPED not in {one.code for one in reasons}
