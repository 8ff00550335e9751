"""P13: missing evidence is never good evidence; and every verdict names its cause and can be replayed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from shared.canary.arms import LATENCY_BINS, LOSS_BINS, latency_bin, latency_edge_ms, loss_bin
from shared.canary.canary_judge import (
    ArmEvidence,
    CanaryEvidence,
    CanaryPolicy,
    CanaryState,
    CanaryVerdict,
    LabelCounts,
    Outcome,
    ShadowPairs,
    judge_canary,
)
from shared.domain.reason import Code, reason
from shared.words import say

START = datetime(2026, 11, 21, tzinfo=UTC)


def arm(requests: int, errors: int = 0, ms: float = 80, seed: int = 0, **more: object) -> ArmEvidence:
    histogram = [0] * LATENCY_BINS
    for latency in np.random.default_rng(seed).lognormal(np.log(ms), 0.4, requests - errors):
        histogram[latency_bin(latency)] += 1
    return ArmEvidence(requests, errors, tuple(histogram), **more)  # type: ignore[arg-type]  # by keyword


def seen(canary: ArmEvidence, champion: ArmEvidence, weight: int = 10, **more: object) -> CanaryEvidence:
    watermark = START + timedelta(seconds=20)
    evidence = CanaryEvidence(champion, canary, weight, START, watermark)
    return replace(evidence, **more)  # type: ignore[arg-type]  # by keyword


def judge(
    evidence: CanaryEvidence,
    policy: CanaryPolicy | None = None,
    state: CanaryState | None = None,
    elapsed_s: float = 20,
) -> CanaryVerdict:
    verdict, after = judge_canary(
        evidence,
        policy or CanaryPolicy(),
        state or CanaryState(),
        step_elapsed_s=elapsed_s,
        step_min_s=10,
        step_max_s=60,
    )
    assert after.observations == (state.observations if state else 0) + 1
    return verdict


GOOD = seen(arm(50, seed=1), arm(450, seed=2))


def test_a_good_canary_advances_and_says_what_it_could_have_missed() -> None:
    verdict = judge(GOOD)
    assert verdict.outcome is Outcome.ADVANCE
    assert Code.CANARY_ERRORS_NOTICED in {reason.code for reason in verdict.reasons}


@pytest.mark.parametrize(
    ("canary", "champion", "weight", "code"),
    [
        (arm(30, 9), arm(270), 10, Code.METRIC_RATE),
        (arm(60, 18), arm(60), 50, Code.METRIC_RATE),
        (arm(100, ms=320), arm(100), 50, Code.METRIC_LATENCY),
        (arm(40, ms=320), arm(360), 10, Code.METRIC_LATENCY),
    ],
)
def test_a_sick_canary_is_rolled_back_and_the_cause_named(
    canary: ArmEvidence, champion: ArmEvidence, weight: int, code: Code
) -> None:
    verdict = judge(seen(canary, champion, weight))
    assert verdict.outcome is Outcome.ROLL_BACK
    assert verdict.reasons[0].code is code


def test_a_sick_canary_is_rolled_back_before_its_least_time_and_sample() -> None:
    assert judge(seen(arm(30, 9), arm(270)), elapsed_s=3).outcome is Outcome.ROLL_BACK


@pytest.mark.parametrize(
    ("evidence", "elapsed_s", "code", "facts"),
    [
        (seen(arm(0), arm(0)), 20, Code.CANARY_FEW_REQUESTS, {"arm": "canary", "requests": 0}),
        (seen(arm(0), arm(500)), 20, Code.CANARY_SPLIT, {"observed_pct": 0.0}),
        (seen(arm(49), arm(441)), 20, Code.CANARY_FEW_REQUESTS, {"requests": 49, "least": 50}),
        (replace(GOOD, watermark_at=None), 20, Code.EVIDENCE_INCOMPLETE, {}),
        (
            replace(GOOD, watermark_at=START + timedelta(seconds=9)),
            3600,
            Code.EVIDENCE_SHORT,
            {"covered_s": 9, "minimum_s": 10},
        ),
        (GOOD, 5, Code.EVIDENCE_SHORT, {"covered_s": 5}),
        (seen(ArmEvidence(50), ArmEvidence(450)), 20, Code.CANARY_METRIC_MISSING, {"metric": "latency"}),
        (seen(arm(500), arm(0), weight=100), 20, Code.CANARY_ALONE, {"weight_pct": 100}),
        (replace(GOOD, query_ok=False, notes=("429",)), 20, Code.EVIDENCE_UNREADABLE, {"note": "429"}),
        (seen(arm(50), arm(50)), 20, Code.CANARY_SPLIT, {"weight_pct": 10}),
        (seen(replace(arm(50), errors=51), arm(450)), 20, Code.COUNTS_ERRORS, {"errors": 51, "requests": 50}),
        (seen(replace(arm(50), predictions={"a": -1}), arm(450)), 20, Code.COUNTS_NEGATIVE, {}),
    ],
)
def test_p13_missing_late_thin_or_broken_evidence_never_advances(
    evidence: CanaryEvidence, elapsed_s: float, code: Code, facts: dict[str, object]
) -> None:
    verdict = judge(evidence, elapsed_s=elapsed_s)
    assert verdict.outcome in (Outcome.HOLD, Outcome.ERROR, Outcome.INCONCLUSIVE)
    found = [each for reason in verdict.reasons for each in (reason, *reason.because)]
    assert any(one.code is code and facts.items() <= one.facts.items() for one in found), found


def test_counts_that_shrink_are_an_error_of_measurement() -> None:
    _, state = judge_canary(
        GOOD, CanaryPolicy(), CanaryState(), step_elapsed_s=20, step_min_s=10, step_max_s=60
    )
    verdict = judge(seen(arm(40), arm(440)), state=state)
    assert verdict.outcome is Outcome.ERROR
    assert verdict.reasons == (reason(Code.EVIDENCE_SHRANK, before=500, now=480),)


@pytest.mark.parametrize(
    "broken", [replace(GOOD, query_ok=False), seen(arm(0), arm(500)), replace(GOOD, uncounted=True)]
)
def test_what_cannot_be_measured_is_an_error_for_a_steps_longest_time_and_then_inconclusive(
    broken: CanaryEvidence,
) -> None:
    assert judge(broken, elapsed_s=59).outcome is Outcome.ERROR
    assert judge(broken, elapsed_s=60).outcome is Outcome.INCONCLUSIVE


def test_answers_that_cannot_be_counted_hide_no_errors() -> None:
    failing = replace(seen(arm(60, errors=50), arm(440)), uncounted=True)
    assert judge(failing).outcome is Outcome.ROLL_BACK


def test_after_its_longest_time_a_step_that_holds_is_inconclusive() -> None:
    assert judge(seen(arm(20), arm(180)), elapsed_s=61).outcome is Outcome.INCONCLUSIVE


def test_a_router_that_does_something_else_holds_but_harm_comes_first() -> None:
    assert judge(seen(arm(100), arm(900), weight=50)).outcome is Outcome.ERROR
    assert judge(seen(arm(300, 90), arm(700), weight=50)).outcome is Outcome.ROLL_BACK


def test_suspicion_holds() -> None:
    verdict = judge(seen(arm(60, 4), arm(540, 5)))
    assert verdict.outcome is Outcome.HOLD
    assert verdict.reasons[0].codes() == {Code.CANARY_SUSPECTED, Code.METRIC_RATE}


def test_proven_but_below_the_margin_is_tolerated() -> None:
    evidence = seen(arm(20_000, 260), arm(20_000, 120), weight=50)
    assert judge(evidence).outcome is Outcome.ADVANCE
    assert judge(evidence, CanaryPolicy(max_error_rate_increase=0.005)).outcome is Outcome.ROLL_BACK


def test_nothing_is_promoted_in_an_outage() -> None:
    verdict = judge(seen(arm(100, 60), arm(900, 540)))
    assert verdict.outcome is Outcome.HOLD
    assert Code.CANARY_OUTAGE in {reason.code for reason in verdict.reasons}


def test_proof_asks_for_the_confidence_sequences() -> None:
    assert judge(GOOD, CanaryPolicy(proof=True)).outcome is Outcome.HOLD
    much = seen(arm(20_000, 20), arm(20_000, 20, seed=4), weight=50)
    assert judge(much, CanaryPolicy(proof=True, required=("errors",))).outcome is Outcome.ADVANCE


def shares(total: int, **share: float) -> Mapping[str, int]:
    return {name: round(total * part) for name, part in share.items()}


def test_shifted_predictions_roll_back_only_where_a_margin_is_set() -> None:
    canary = arm(200, predictions=shares(200, Adelie=0.1, Gentoo=0.9))
    champion = arm(200, predictions=shares(200, Adelie=0.45, Gentoo=0.55))
    evidence = seen(canary, champion, 50)
    assert judge(evidence).outcome is Outcome.ADVANCE
    verdict = judge(evidence, CanaryPolicy(max_prediction_shift=0.1))
    assert verdict.outcome is Outcome.ROLL_BACK
    words = say(verdict.reasons[0])
    assert "'Adelie' is 10.0%" in words or "'Gentoo' is 90.0%" in words


def test_a_canary_that_is_worse_on_one_slice_only_is_rolled_back_and_the_slice_named() -> None:
    same = {f"island={name}": LabelCounts(100, 5) for name in ("Dream", "Biscoe")}
    canary = arm(
        400, labels=LabelCounts(300, 60), slice_labels={**same, "island=Torgersen": LabelCounts(100, 50)}
    )
    champion = arm(
        400, labels=LabelCounts(300, 15), slice_labels={**same, "island=Torgersen": LabelCounts(100, 5)}
    )
    verdict = judge(seen(canary, champion, 50))
    assert verdict.outcome is Outcome.ROLL_BACK
    assert any("labels in island=Torgersen" in say(reason) for reason in verdict.reasons)


def losses(scale: float, n: int, seed: int) -> LabelCounts:
    histogram = [0] * LOSS_BINS
    for loss in np.abs(np.random.default_rng(seed).normal(0, scale, n)):
        histogram[loss_bin(loss)] += 1
    return LabelCounts(n, 0, tuple(histogram))


def test_greater_losses_of_a_regression_roll_back() -> None:
    champion = arm(300, labels=losses(1, 300, 1))
    assert judge(seen(arm(300, labels=losses(1, 300, 2)), champion, 50)).outcome is Outcome.ADVANCE
    verdict = judge(seen(arm(300, labels=losses(2.5, 300, 3)), champion, 50))
    assert verdict.outcome is Outcome.ROLL_BACK
    assert say(verdict.reasons[0]).startswith("labels: the canary's median loss")


def test_shadow_disagreement_names_the_flips() -> None:
    shadow = ShadowPairs(60, 40, {"Adelie -> Gentoo": 38, "Gentoo -> Adelie": 2})
    evidence = replace(GOOD, shadow=shadow)
    assert judge(evidence).outcome is Outcome.ADVANCE
    verdict = judge(evidence, CanaryPolicy(max_shadow_disagreement=0.1))
    assert verdict.outcome is Outcome.ROLL_BACK
    assert "Adelie -> Gentoo 38" in say(verdict.reasons[0])


def test_verdicts_are_recomputed_from_stored_documents() -> None:
    policy = CanaryPolicy(max_prediction_shift=0.2, required=("errors", "latency", "predictions"))
    for evidence in (GOOD, seen(arm(30, 9, predictions={"a": 3}), arm(270, predictions={"a": 30, "b": 2}))):
        stored = json.dumps(
            {
                "evidence": evidence.to_dict(),
                "policy": policy.to_dict(),
                "verdict": judge(evidence, policy).to_dict(),
            },
            allow_nan=False,
        )
        document = json.loads(stored)
        again = judge(
            CanaryEvidence.from_dict(document["evidence"]), CanaryPolicy.from_dict(document["policy"])
        )
        assert again.to_dict() == document["verdict"]
        assert again == CanaryVerdict.from_dict(document["verdict"])


def test_bins_are_where_their_edges_say() -> None:
    assert [latency_bin(ms) for ms in (0, 0.9, float("nan"))] == [0, 0, 0]
    assert latency_bin(1e9) == LATENCY_BINS - 1
    for index in (1, 40, 100, 180):
        assert latency_bin(latency_edge_ms(index) * 1.001) == index
    assert [loss_bin(loss) for loss in (0, 1e-7, 1e99)] == [0, 0, LOSS_BINS - 1]


@pytest.mark.parametrize("weight", [10, pytest.param(50, marks=pytest.mark.soak)])
def test_the_whole_judge_lets_harmless_canaries_through(weight: int) -> None:
    """Twelve looks each, the real judge: none of forty may be rolled back (promised: 0.5 % a step)."""
    rng, policy = np.random.default_rng(weight), CanaryPolicy(max_prediction_shift=0.1, min_requests=30)
    kinds = []
    for _ in range(40):
        state, counts = CanaryState(), np.zeros((2, 2), dtype=int)
        histograms, answers = np.zeros((2, LATENCY_BINS), dtype=int), np.zeros((2, 3), dtype=int)
        for tick in range(1, 13):
            n = rng.poisson(40)
            to_canary = rng.binomial(n, weight / 100)
            for index, part in enumerate((to_canary, n - to_canary)):
                errors = rng.binomial(part, 0.01)
                counts[index] += (part, errors)
                bins = [latency_bin(ms) for ms in rng.lognormal(4.4, 0.5, part - errors)]
                histograms[index] += np.bincount(bins, minlength=LATENCY_BINS)
                answers[index] += rng.multinomial(part - errors, [0.5, 0.3, 0.2])
            arms = [
                ArmEvidence(
                    int(counts[i, 0]), int(counts[i, 1]), tuple(map(int, histograms[i])),
                    dict(zip("abc", map(int, answers[i]), strict=True)),
                )
                for i in (0, 1)
            ]  # fmt: skip
            evidence = seen(*arms, weight, watermark_at=START + timedelta(seconds=tick))
            verdict, state = judge_canary(
                evidence, policy, state, step_elapsed_s=tick, step_min_s=6, step_max_s=60
            )
            if verdict.outcome is not Outcome.HOLD:
                break
        kinds.append(verdict.outcome)
    assert Outcome.ROLL_BACK not in kinds
    assert kinds.count(Outcome.ADVANCE) >= (30 if weight == 50 else 25), kinds
