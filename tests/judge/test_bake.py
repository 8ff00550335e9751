"""P14 after promotion: a model that does what the champion did is rolled back at most at the configured rate."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from benchmarks.canary.simulation import lower
from shared.canary.arms import (
    LATENCY_BINS,
    LATENCY_PER_DECADE,
    ArmEvidence,
    CanaryEvidence,
    LabelCounts,
    latency_bin,
)
from shared.canary.bake_judge import BakeEvidence, judge_bake
from shared.canary.canary_judge import CanaryPolicy, CanaryVerdict, Outcome
from shared.domain.reason import Code
from shared.words import say

NOW = datetime(2026, 1, 1, tzinfo=UTC)
ALPHA = 0.05
POLICY = CanaryPolicy(alpha=ALPHA, steps=1, max_error_rate_increase=0.0, max_latency_increase_ratio=1.0)
"""Without any margin, and with all of alpha for the bake: the least favourable."""


def arm(requests: int, errors: int, latencies_ms: np.ndarray) -> ArmEvidence:
    bins = np.bincount([latency_bin(ms) for ms in latencies_ms], minlength=LATENCY_BINS)
    return ArmEvidence(requests=requests, errors=errors, latency=tuple(map(int, bins)))


def evidence(live: ArmEvidence, before: ArmEvidence, **how: object) -> BakeEvidence:
    step = CanaryEvidence(before, before, 50, NOW - timedelta(minutes=30), NOW)
    return BakeEvidence(live, step, NOW, NOW + timedelta(minutes=30), **how)  # type: ignore[arg-type]  # fields by name


def judged(seen: BakeEvidence, policy: CanaryPolicy = POLICY, elapsed_s: float = 60) -> CanaryVerdict:
    return judge_bake(seen, policy, elapsed_s=elapsed_s, bake_s=1800, max_s=7200)


SHAPE = np.exp(-0.5 * ((np.arange(LATENCY_BINS) - latency_bin(55)) / 9) ** 2)
SHAPE /= SHAPE.sum()


def drawn(rng: np.random.Generator, requests: int, rate: float, slower: float = 1.0) -> ArmEvidence:
    errors = int(rng.binomial(requests, rate))
    shape = np.roll(SHAPE, round(LATENCY_PER_DECADE * math.log10(slower)))
    return ArmEvidence(requests, errors, tuple(map(int, rng.multinomial(requests - errors, shape))))


def rolled_back(bakes: int, rate: float, harm: float = 0.0, slower: float = 1.0, looks: int = 10) -> float:
    """The share of bakes that are taken back at any of the looks, fifty requests between two of them."""
    taken, rng = 0, np.random.default_rng(7)
    for _ in range(bakes):
        before, found = drawn(rng, 500, rate), drawn(rng, 0, rate)
        for _ in range(looks):
            more = drawn(rng, 50, rate + harm, slower)
            found = ArmEvidence(
                found.requests + more.requests,
                found.errors + more.errors,
                tuple(map(sum, zip(found.latency, more.latency, strict=True))),
            )
            if judged(evidence(found, before)).outcome is Outcome.ROLL_BACK:
                taken += 1
                break
    return taken / bakes


def test_a_model_like_the_champion_is_taken_back_at_most_as_often_as_promised() -> None:
    assert lower(rolled_back(100, 0.02, looks=6), 100) <= ALPHA


@pytest.mark.soak
@pytest.mark.parametrize("rate", [0.0, 0.002, 0.02, 0.2])
def test_a_model_like_the_champion_in_full(rate: float) -> None:
    found = rolled_back(1000, rate, looks=20)
    print(f"\nbakes taken back at {rate:.1%} errors: {found:.2%} of 1,000, {ALPHA:.0%} promised")
    assert lower(found, 1000, 4) <= ALPHA


def test_harm_is_found() -> None:
    assert rolled_back(20, 0.01, harm=0.1) >= 0.95
    assert rolled_back(20, 0.01, slower=2.0) >= 0.95


def test_the_reason_names_the_limit() -> None:
    live, before = arm(200, 30, np.full(170, 50.0)), arm(500, 5, np.full(495, 50.0))
    words = say(judged(evidence(live, before)).reasons[0])
    assert words.startswith(
        "errors after promotion: 30 of 200 errors; the champion's in the last step was 1.0%"
    )


def test_labels_of_the_last_step_that_come_later_still_decide() -> None:
    quiet = arm(500, 5, np.full(495, 50.0))
    step = CanaryEvidence(
        ArmEvidence(500, 5, quiet.latency, labels=LabelCounts(200, 10)),
        ArmEvidence(500, 5, quiet.latency, labels=LabelCounts(200, 90)),
        *(50, NOW - timedelta(minutes=30), NOW),
    )
    found = judged(BakeEvidence(quiet, step, NOW, NOW), CanaryPolicy())
    assert found.outcome is Outcome.ROLL_BACK
    assert found.reasons[0].codes() == {Code.BAKE_LAST_STEP, Code.METRIC_RATE}


def test_a_bake_ends_by_its_evidence_and_holds_without() -> None:
    quiet = arm(500, 5, np.full(495, 50.0))
    done = evidence(quiet, quiet)
    assert judged(done, elapsed_s=1700).outcome is Outcome.HOLD
    assert judged(done, elapsed_s=1800).outcome is Outcome.ADVANCE
    nothing = BakeEvidence(quiet, done.step, NOW, None)
    assert judged(nothing, elapsed_s=7100).outcome is Outcome.HOLD
    assert judged(nothing, elapsed_s=7200).outcome is Outcome.INCONCLUSIVE
    broken = evidence(quiet, quiet, query_ok=False, notes=("the log is not well",))
    assert judged(broken).outcome is Outcome.ERROR
    assert judged(broken, elapsed_s=7200).outcome is Outcome.INCONCLUSIVE


def test_others_requests_are_no_evidence_of_the_promoted_model() -> None:
    """All traffic may have been given to another deployment by hand."""
    silent = evidence(ArmEvidence(), arm(500, 0, np.full(500, 50.0)))
    assert judged(silent, elapsed_s=7000).outcome is Outcome.HOLD
    assert judged(silent, elapsed_s=7200).outcome is Outcome.INCONCLUSIVE


def test_without_a_step_to_compare_with_a_quarter_of_all_requests_must_be_shown_to_fail() -> None:
    few, most = arm(400, 80, np.full(320, 50.0)), arm(400, 200, np.full(200, 50.0))
    assert judged(evidence(few, ArmEvidence()), CanaryPolicy()).outcome is not Outcome.ROLL_BACK
    verdict = judged(evidence(most, ArmEvidence()), CanaryPolicy())
    assert verdict.outcome is Outcome.ROLL_BACK and verdict.reasons[0].code is Code.BAKE_OUTAGE
