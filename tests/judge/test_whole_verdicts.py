"""What the judges say, whole: every number and every fact of some verdicts, as `whole_verdicts.json` has them.

Other tests hold single statements to their sources; this one shows what a change of a judge changes. After one that is
meant: python -m tests.judge.test_whole_verdicts
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from shared.canary.arms import (
    LATENCY_BINS,
    ArmEvidence,
    CanaryEvidence,
    CountedWindow,
    LabelCounts,
    ShadowPairs,
    SignalSeen,
    latency_bin,
)
from shared.canary.bake_judge import BakeEvidence, judge_bake
from shared.canary.canary_judge import CanaryState, judge_canary
from shared.canary.tolerance import CanaryPolicy, SignalPolicy
from shared.domain.reason import Code, reason
from shared.gate.gate_judge import GateEvidence, GatePolicy, Interval, ParityPolicy, SlicePolicy, judge_gate
from shared.gate.gate_record import OwnFound, OwnSeen
from shared.stats.metrics import OwnMetric, metric_of
from shared.verdict.metric import Threshold, judge_metric
from tests.kept_whole import differences, read, said, write

PAGE = Path(__file__).with_name("whole_verdicts.json")
Case = Callable[[], dict[str, Any]]
START = datetime(2026, 11, 21, tzinfo=UTC)


# --- canary and bake -----------------------------------------------------------------------------


def arm(requests: int, errors: int = 0, ms: float = 80, seed: int = 0, **more: Any) -> ArmEvidence:
    histogram = [0] * LATENCY_BINS
    for latency in np.random.default_rng(seed).lognormal(np.log(ms), 0.4, requests - errors):
        histogram[latency_bin(latency)] += 1
    return ArmEvidence(requests, errors, tuple(histogram), **more)


def labels(total: int, wrong: int) -> dict[str, Any]:
    return {"labels": LabelCounts(total, wrong, collected=2 * total)}


def canary(
    seen: tuple[ArmEvidence, ArmEvidence],
    *,
    policy: CanaryPolicy | None = None,
    state: CanaryState | None = None,
    elapsed_s: float = 900.0,
    weight: int = 10,
    **more: Any,
) -> dict[str, Any]:
    watermark = START + timedelta(seconds=900)
    evidence = replace(CanaryEvidence(seen[1], seen[0], weight, START, watermark), **more)
    times = {"step_elapsed_s": elapsed_s, "step_min_s": 600.0, "step_max_s": 3600.0}
    verdict, after = judge_canary(evidence, policy or CanaryPolicy(), state or CanaryState(), **times)
    return {"verdict": verdict.to_dict(), "after": after.to_dict()}


SLICED = {"slice_labels": {"sex=f": LabelCounts(60, 30), "sex=m": LabelCounts(60, 6)}}
EARN = SignalPolicy("earned", counted=True, higher_is_better=True, margin=0.05, needed=True)
OPINION = SignalPolicy("opinion", counted=False, limit=0.4)
FEW = CanaryPolicy(min_requests=20, exact=0.3)
CANARIES: dict[str, dict[str, Any]] = {
    "well": {"seen": (arm(60, seed=1), arm(540, seed=2))},
    "well and much, with proof": {
        "seen": (arm(20_000, 20, seed=1), arm(20_000, 20, seed=2)),
        "weight": 50,
        "policy": CanaryPolicy(proof=True),
    },
    "not much, with proof": {
        "seen": (arm(100, seed=1), arm(100, seed=2)),
        "weight": 50,
        "policy": CanaryPolicy(proof=True),
    },
    "errors": {"seen": (arm(200, 40), arm(1_800, 9))},
    "errors, by the exact test": {"seen": (arm(30, 9), arm(270)), "policy": FEW},
    "errors, by the exact test alone": {
        "seen": (arm(100, 12), arm(100)),
        "weight": 50,
        "policy": CanaryPolicy(exact=0.9),
        "windows": (CountedWindow((50, 50), (6, 0), 0.5), CountedWindow((50, 50), (6, 0), 1.0)),
    },
    "few of the champion": {"seen": (arm(60), arm(5)), "weight": 80},
    "just enough of the champion": {"seen": (arm(52), arm(13)), "weight": 80},
    "suspicious errors": {"seen": (arm(60, 4), arm(540, 3))},
    "slow": {"seen": (arm(300, ms=300), arm(2_700))},
    "errors and slow": {"seen": (arm(200, 30, ms=400), arm(1_800, 9))},
    "an outage of both": {"seen": (arm(100, 40), arm(900, 360))},
    "few": {"seen": (arm(20), arm(100))},
    "few, and nameless": {
        "seen": (arm(20), arm(300)),
        "nameless": 70,
        "policy": CanaryPolicy(unit="identity"),
    },
    "few for too long": {"seen": (arm(20), arm(100)), "elapsed_s": 3600.0},
    "nearly too long": {"seen": (arm(20), arm(100)), "elapsed_s": 3599.0},
    "no latency": {"seen": (ArmEvidence(80), ArmEvidence(700))},
    "too early": {"seen": (arm(60), arm(540)), "elapsed_s": 500.0},
    "nothing complete": {"seen": (arm(60), arm(540)), "watermark_at": None},
    "shrunk": {"seen": (arm(60), arm(540)), "state": CanaryState(4, 700, 2.5, {"earned": 9})},
    "unreadable": {"seen": (arm(60), arm(540)), "query_ok": False, "notes": ("away", "far")},
    "unreadable, and nobody says why": {"seen": (arm(60), arm(540)), "query_ok": False},
    "at 1 %": {"seen": (arm(60), arm(5_940)), "weight": 1},
    "at 99 %": {"seen": (arm(990), arm(10)), "weight": 99},
    "a champion that contradicts itself": {"seen": (arm(90), ArmEvidence(10, 11))},
    "a router that gives more than 80 %": {"seen": (arm(990), arm(110)), "weight": 80},
    "a router that gives less than 80 %": {"seen": (arm(700), arm(300)), "weight": 80},
    "hardly begun": {"seen": (arm(60), arm(540)), "elapsed_s": 0.5},
    "just long enough": {"seen": (arm(60), arm(540)), "elapsed_s": 600.0},
    "contradictory": {"seen": (ArmEvidence(10, 11), arm(90))},
    "alone": {"seen": (arm(100), arm(100)), "weight": 100},
    "a router that does something else": {"seen": (arm(500), arm(500))},
    "a split that is off by chance": {"seen": (arm(60), arm(440))},
    "labels": {"seen": (arm(300, **labels(150, 60)), arm(2_700, **labels(1_300, 150)))},
    "labels of slices": {
        "seen": (
            arm(300, **labels(120, 36), **SLICED),
            arm(
                2_700,
                **labels(900, 90),
                slice_labels={"sex=f": LabelCounts(450, 45), "sex=m": LabelCounts(450, 45)},
            ),
        )
    },
    "losses": {
        "seen": (
            arm(300, labels=LabelCounts(80, 0, (0, 0, 10, 30, 40))),
            arm(2_700, labels=LabelCounts(700, 0, (0, 300, 300, 100))),
        )
    },
    "predictions": {
        "seen": (
            arm(300, predictions={"a": 200, "b": 60}),
            arm(2_700, predictions={"a": 1_000, "b": 1_000}),
        ),
        "policy": CanaryPolicy(max_prediction_shift=0.1),
    },
    "predictions, for information": {
        "seen": (
            arm(300, predictions={"a": 200, "b": 60}),
            arm(2_700, predictions={"a": 1_000, "b": 1_000}),
        )
    },
    "shadow": {
        "seen": (arm(60), arm(540)),
        "policy": CanaryPolicy(max_shadow_disagreement=0.1),
        "shadow": ShadowPairs(150, 60, {"a -> b": 60}),
    },
    "a signal that is worse": {
        "seen": (arm(200), arm(1_800)),
        "policy": CanaryPolicy(signals=(EARN, OPINION)),
        "signals": (
            SignalSeen("earned", (10, 190), (900, 1_700), until_at=START + timedelta(seconds=800)),
            SignalSeen("opinion", canary_value=0.5, champion_value=0.3),
        ),
        "state": CanaryState(3, 100, 1.5, {"earned": 500}),
    },
    "a signal that is well": {
        "seen": (arm(200), arm(1_800)),
        "policy": CanaryPolicy(signals=(EARN, OPINION)),
        "signals": (
            SignalSeen("earned", (120, 190), (900, 1_700), until_at=START + timedelta(seconds=800)),
            SignalSeen("opinion", canary_value=0.2, champion_value=0.3),
        ),
    },
    "two signals and an opinion": {
        "seen": (arm(200), arm(1_800)),
        "policy": CanaryPolicy(signals=(EARN, replace(EARN, name="kept"), OPINION)),
        "signals": (
            SignalSeen("earned", (60, 190), (900, 1_700), until_at=START + timedelta(seconds=800)),
            SignalSeen("kept", (110, 190), (900, 1_700), until_at=START + timedelta(seconds=800)),
            SignalSeen("opinion", canary_value=0.2, champion_value=0.3),
        ),
    },
    "a signal that does not answer": {
        "seen": (arm(200), arm(1_800)),
        "policy": CanaryPolicy(signals=(EARN,)),
        "signals": (SignalSeen("earned", problem=reason(Code.EVIDENCE_INCOMPLETE)),),
    },
    "required, and not measured": {
        "seen": (arm(60), arm(540)),
        "policy": CanaryPolicy(required=("errors", "latency", "labels")),
    },
    "no margin": {
        "seen": (arm(60, 20), arm(540)),
        "policy": CanaryPolicy(max_error_rate_increase=None, max_latency_increase_ratio=None),
    },
}


def bake(
    live: ArmEvidence,
    step: tuple[ArmEvidence, ArmEvidence] = (arm(300, 2, seed=3), arm(2_700, 14, seed=4)),
    *,
    policy: CanaryPolicy | None = None,
    elapsed_s: float = 900.0,
    **more: Any,
) -> dict[str, Any]:
    watermark = START + timedelta(seconds=900)
    last = CanaryEvidence(step[1], step[0], 10, START - timedelta(hours=1), START)
    evidence = replace(BakeEvidence(live, last, START, watermark), **more)
    verdict = judge_bake(evidence, policy or CanaryPolicy(), elapsed_s=elapsed_s, bake_s=600.0, max_s=3600.0)
    return {"verdict": verdict.to_dict()}


LABELLED = (arm(300, 2, **labels(150, 15)), arm(2_700, 14, **labels(1_300, 130)))
WRONG = (arm(300, 2, **labels(150, 75)), arm(2_700, 14, **labels(1_300, 130)))
FINAL = {"final_at": START + timedelta(seconds=900)}
BAKES: dict[str, dict[str, Any]] = {
    "well": {"live": arm(900, 5, seed=5)},
    "errors": {"live": arm(900, 60)},
    "slow": {"live": arm(900, 5, ms=400)},
    "slow at the end": {"live": arm(900, 5, ms=130)},
    "errors and slow": {"live": arm(900, 60, ms=400)},
    "short": {"live": arm(100), "elapsed_s": 599.0},
    "hardly begun": {"live": arm(100), "elapsed_s": 0.5},
    "as slow as before, where nothing slower is tolerated": {
        "live": arm(900, 5),
        "policy": CanaryPolicy(max_latency_increase_ratio=1.0, latency_floor_ms=1.0),
    },
    "short for too long": {"live": arm(100), "elapsed_s": 3600.0, "watermark_at": None},
    "covered by less than has passed": {
        "live": arm(100),
        "elapsed_s": 3000.0,
        "watermark_at": START + timedelta(seconds=300),
    },
    "unreadable": {"live": arm(100), "query_ok": False, "notes": ("away",)},
    "unreadable for too long": {"live": arm(100), "query_ok": False, "elapsed_s": 3600.0},
    "no champion before": {"live": arm(900, 5), "step": (ArmEvidence(), ArmEvidence())},
    "no margins": {
        "live": arm(900, 90),
        "policy": CanaryPolicy(max_error_rate_increase=None, max_latency_increase_ratio=None),
    },
    "labels say by now that it is worse": {"live": arm(900, 5), "step": WRONG},
    "labels, whatever they say": {"live": arm(900, 5), "step": LABELLED},
    "labels that are final": {"live": arm(900, 5), "step": LABELLED, "wanted": "final", **FINAL},
    "labels that are not": {
        "live": arm(900, 5),
        "step": LABELLED,
        "wanted": "final",
        "final_at": START + timedelta(seconds=901),
    },
    "labels that are not, for too long": {
        "live": arm(900, 5),
        "step": LABELLED,
        "wanted": "final",
        "elapsed_s": 3600.0,
    },
    "some labels wanted, and none": {"live": arm(900, 5), "wanted": "some"},
    "some labels wanted": {"live": arm(900, 5), "step": LABELLED, "wanted": "some"},
}

# --- gate and metric -----------------------------------------------------------------------------


def answers(seed: int, rows: int, *right: float) -> tuple[list[str], list[list[str]]]:
    """Truths of three classes, and models that are right in such a share of the rows."""
    rng = np.random.default_rng(seed)
    truth = rng.choice(["a", "b", "c"], rows, p=[0.5, 0.3, 0.2])
    given = [np.where(rng.random(rows) < share, truth, rng.choice(["a", "b", "c"], rows)) for share in right]
    return truth.tolist(), [one.tolist() for one in given]


def gate(
    rows: int, right: tuple[float, ...], policy: GatePolicy, seed: int = 1, **more: Any
) -> dict[str, Any]:
    truth, given = answers(seed, rows, *right)
    champion = tuple(given[1]) if len(given) > 1 else None
    evidence = GateEvidence(
        tuple(map(str, range(rows))),
        tuple(truth),
        tuple(given[0]),
        champion,
        known_classes=("a", "b", "c"),
        **more,
    )
    return judge_gate(evidence, replace(policy, resamples=300)).to_dict()


def numbers(rows: int, off: tuple[float, ...], policy: GatePolicy) -> dict[str, Any]:
    rng = np.random.default_rng(3)
    truth = rng.normal(10, 2, rows)
    given = [tuple((truth + rng.normal(0, one, rows)).tolist()) for one in off]
    sides = {"s": tuple(("n", "s")[row % 2] for row in range(rows))}
    evidence = GateEvidence(
        tuple(map(str, range(rows))), tuple(truth.tolist()), given[0], (*given[1:], None)[0], sides
    )
    return judge_gate(evidence, replace(policy, resamples=300)).to_dict()


def scored(rows: int, policy: GatePolicy, apart: tuple[float, ...] = (1.0, 1.2)) -> dict[str, Any]:
    rng = np.random.default_rng(4)
    truth = rng.random(rows) < 0.3
    scores = [1 / (1 + np.exp(-rng.normal(np.where(truth, one, -one), 1))) for one in apart]
    said = [tuple(np.where(one > 0.5, "yes", "no").tolist()) for one in scores]
    evidence = GateEvidence(
        tuple(map(str, range(rows))),
        tuple(np.where(truth, "yes", "no").tolist()),
        said[0],
        said[1],
        {"s": tuple(("n", "s", "w")[row % 3] for row in range(rows))},
        stated=tuple(np.maximum(scores[0], 1 - scores[0]).tolist()),
        known_classes=("no", "yes"),
        scores=tuple(scores[0].tolist()),
        champion_scores=tuple(scores[1].tolist()),
    )
    return judge_gate(evidence, replace(policy, positive="yes", resamples=300)).to_dict()


def side(rows: int, *names: str) -> dict[str, tuple[object, ...]]:
    return {"s": tuple(names[row % len(names)] for row in range(rows))}


ACCURACY = GatePolicy("accuracy", margin=0.05)
FLOOR = replace(ACCURACY, floor=0.8)
BY = SlicePolicy(("s",), floor=0.7, margin=0.1)
COSTS = {
    "a": {"a": 0.0, "b": 1.0, "c": 2.0},
    "b": {"a": 5.0, "b": 0.0, "c": 1.0},
    "c": {"a": 2.0, "b": 2.0, "c": 0.0},
}
PARITY = ParityPolicy(
    ("s",), "a", {"selection_rate": 0.1, "true_positive_rate": 0.1, "false_positive_rate": 0.5}
)
OWN = OwnMetric("higher", "classification", None, "", "digest")
SPANNED = replace(OWN, range=(0.0, 10.0))


def own(rows: int, kind: OwnMetric, seen: OwnSeen | None, **chosen: Any) -> dict[str, Any]:
    return gate(
        rows, (0.8, 0.8), GatePolicy("earned", own=kind, **chosen), own=seen, slices=side(rows, "n", "s")
    )


def found(low: float) -> OwnFound:
    return OwnFound(Interval(low + 1, low, low + 2), Interval(5, 4, 6), Interval(low - 4, low - 6, low - 2))


def gates() -> dict[str, Case]:
    rng = np.random.default_rng(9)
    each = tuple(tuple(rng.uniform(0, top, 200).tolist()) for top in (9.0, 8.0))
    return {
        "as good": lambda: gate(800, (0.9, 0.9), ACCURACY),
        "better": lambda: gate(800, (0.95, 0.8), replace(ACCURACY, superiority=True)),
        "not better": lambda: gate(800, (0.9, 0.9), replace(ACCURACY, superiority=True)),
        "worse": lambda: gate(800, (0.7, 0.95), ACCURACY),
        "not clear": lambda: gate(60, (0.8, 0.9), ACCURACY),
        "first": lambda: gate(300, (0.9,), ACCURACY),
        "first, with a floor": lambda: gate(300, (0.95,), FLOOR),
        "below the floor": lambda: gate(300, (0.5, 0.5), FLOOR),
        "about the floor": lambda: gate(200, (0.72, 0.7), FLOOR),
        "few rows": lambda: gate(7, (0.9, 0.9), ACCURACY),
        "f1": lambda: gate(500, (0.9, 0.88), GatePolicy("f1_macro", margin=0.05, floor=0.5)),
        "a thin class": lambda: gate(12, (0.9, 0.9), GatePolicy("f1_macro", margin=0.4)),
        "slices": lambda: gate(
            900, (0.9, 0.9), replace(ACCURACY, slices=BY), slices=side(900, "n", "s", "w")
        ),
        "slices at another confidence": lambda: gate(
            900, (0.8, 0.9), replace(ACCURACY, slices=BY, confidence=0.8), slices=side(900, "n", "s", "w")
        ),
        "slices below": lambda: gate(
            300, (0.5, 0.9), replace(ACCURACY, slices=replace(BY, floor=0.9)), slices=side(300, "n", "s")
        ),
        "slices about the floor": lambda: gate(
            90, (0.57, 0.9), replace(ACCURACY, slices=replace(BY, floor=0.8)), slices=side(90, "n", "s")
        ),
        "small slices": lambda: gate(
            100, (0.9, 0.9), replace(ACCURACY, slices=BY), slices={"s": (*["n"] * 71, *["s"] * 29)}
        ),
        "a slice's column that is not there": lambda: gate(
            100, (0.9, 0.9), replace(ACCURACY, slices=replace(BY, by=("t", "s"))), slices=side(100, "n")
        ),
        "slices of a first model": lambda: gate(
            200, (0.7,), replace(ACCURACY, slices=replace(BY, floor=0.8)), slices=side(200, "n", "s")
        ),
        "parity": lambda: gate(
            600, (0.8, 0.9), replace(ACCURACY, parity=PARITY), slices=side(600, "n", "s", "w")
        ),
        "no parity": lambda: gate(
            900,
            (0.8, 0.9),
            replace(ACCURACY, parity=replace(PARITY, limits={"selection_rate": 0.0})),
            slices={"s": tuple("n" if row % 5 else "s" for row in range(900))},
        ),
        "parity of small groups": lambda: gate(
            60, (0.8, 0.9), replace(ACCURACY, parity=PARITY), slices=side(60, *"abcdefgh")
        ),
        "parity of groups just large enough": lambda: gate(
            60,
            (0.8, 0.9),
            replace(ACCURACY, parity=replace(PARITY, limits={"selection_rate": 0.1})),
            slices=side(60, "n", "s"),
        ),
        "parity of a class that is not there": lambda: gate(
            60, (0.8, 0.9), replace(ACCURACY, parity=replace(PARITY, positive="z")), slices=side(60, "n")
        ),
        "parity of a column that is not there": lambda: gate(
            60, (0.8, 0.9), replace(ACCURACY, parity=PARITY)
        ),
        "parity of a first model": lambda: gate(
            600, (0.8,), replace(ACCURACY, parity=PARITY), slices=side(600, "n", "s")
        ),
        "costs": lambda: gate(500, (0.9, 0.85), GatePolicy("cost", margin=0.3, floor=0.5, costs=COSTS)),
        "numbers": lambda: numbers(400, (1.0, 1.0), GatePolicy("mae", margin=0.2, floor=1.2)),
        "numbers that are worse": lambda: numbers(
            400, (1.5, 1.0), GatePolicy("rmse", margin=0.1, floor=1.0, slices=replace(BY, floor=1.2))
        ),
        "numbers about the floor": lambda: numbers(
            120, (1.0, 1.0), GatePolicy("mae", margin=0.2, floor=0.8, slices=replace(BY, floor=0.75))
        ),
        "ranks": lambda: scored(500, GatePolicy("roc_auc", margin=0.05, floor=0.8, slices=BY)),
        "log loss": lambda: scored(500, GatePolicy("log_loss", margin=0.2, floor=0.6)),
        "calibration": lambda: scored(600, replace(ACCURACY, calibration=0.02)),
        "own": lambda: own(
            200, OWN, OwnSeen(found={"": found(6), "s=n": found(3), "s=s": found(0)}), slices=BY
        ),
        "own, not clear": lambda: own(200, OWN, OwnSeen(found={"": found(4)}), floor=5.0),
        "own, by rows": lambda: own(
            200, SPANNED, OwnSeen(rows=each), margin=1.0, slices=replace(BY, floor=3.0)
        ),
        "own, at fault": lambda: own(200, OWN, OwnSeen(fault=reason(Code.GATE_NO_ROWS))),
        "own, not asked": lambda: own(200, OWN, None),
    }


def metric(
    name: str, rows: int, right: float, value: float | None, *, costs: Any = None, **more: Any
) -> dict[str, Any]:
    truth, (given,) = answers(5, rows, right)
    limit = more.pop("limit", Threshold(value))
    return judge_metric(truth, given, metric_of(name, costs), limit, **more).to_dict()


def metrics() -> dict[str, Case]:
    rng = np.random.default_rng(6)
    truth = rng.normal(10, 2, 300)
    said, chance = truth + rng.normal(0, 1, 300), rng.random(300)
    wide = Threshold(0.9, 0.05, (reason(Code.GATE_NO_ROWS),))
    kinds = np.where(rng.random(300) < chance, "yes", "no").tolist()
    own_one = metric_of("earned", None, OWN)
    return {
        "met": lambda: metric("accuracy", 400, 0.95, 0.8),
        "breached": lambda: metric("accuracy", 400, 0.5, 0.8),
        "past by chance": lambda: metric("accuracy", 60, 0.7, 0.82),
        "measured": lambda: metric("accuracy", 400, 0.95, None),
        "of a threshold that was measured": lambda: metric("accuracy", 400, 0.73, None, limit=wide),
        "of the same one, taken for certain": lambda: metric("accuracy", 400, 0.73, 0.9),
        "at another confidence": lambda: metric("accuracy", 100, 0.8, 0.9, confidence=0.6),
        "few rows": lambda: metric("accuracy", 1, 0.9, 0.8),
        "a rare class": lambda: metric("f1_macro", 300, 0.95, 0.8, classes=("a", "b", "c", "d", "e")),
        "a rare class, and bad": lambda: metric("f1_macro", 300, 0.4, 0.8, classes=("a", "b", "c", "d")),
        "costs": lambda: metric("cost", 300, 0.8, 0.3, costs=COSTS),
        "a cost that is not stated": lambda: metric(
            "cost", 300, 0.8, 0.3, costs={**COSTS, "b": {"a": 5.0, "b": 0.0}}
        ),
        "weighed": lambda: metric("accuracy", 300, 0.8, 0.8, worth=[1.0 + row % 3 for row in range(300)]),
        "numbers": lambda: judge_metric(truth, said, metric_of("mae"), Threshold(0.7)).to_dict(),
        "numbers that are met": lambda: judge_metric(
            truth, said, metric_of("rmse"), Threshold(1.3)
        ).to_dict(),
        "numbers that are none": lambda: judge_metric(
            [*truth, np.nan], [*said, 1.0], metric_of("mae"), Threshold(1.0)
        ).to_dict(),
        "a share of nothing": lambda: judge_metric(
            [*truth, 0.0], [*said, 1.0], metric_of("mape"), Threshold(1.0)
        ).to_dict(),
        "a share": lambda: judge_metric(truth, said, metric_of("mape"), Threshold(0.2)).to_dict(),
        "two rows": lambda: judge_metric(truth[:1], said[:1], metric_of("rmse"), Threshold(1.0)).to_dict(),
        "ranks of few": lambda: judge_metric(
            ["yes", *["no"] * 60], chance[:61].tolist(), metric_of("roc_auc"), Threshold(0.3), positive="yes"
        ).to_dict(),
        "too few answers": lambda: judge_metric(truth, said[1:], metric_of("mae"), Threshold(1.0)).to_dict(),
        "ranks": lambda: judge_metric(
            kinds, chance.tolist(), metric_of("roc_auc"), Threshold(0.9), positive="yes"
        ).to_dict(),
        "ranks without a positive class": lambda: judge_metric(
            kinds, chance.tolist(), metric_of("roc_auc"), Threshold(0.9), classes=("no", "yes", "?")
        ).to_dict(),
        "not stated": lambda: judge_metric(
            kinds, [None, *chance.tolist()[1:]], metric_of("log_loss"), Threshold(0.9)
        ).to_dict(),
        "own": lambda: judge_metric(
            kinds, kinds, own_one, Threshold(7.5), seen=OwnSeen(found={"": found(6)})
        ).to_dict(),
        "own, breached": lambda: judge_metric(
            kinds, kinds, own_one, Threshold(9.0), seen=OwnSeen(found={"": found(6)})
        ).to_dict(),
        "own, weighed": lambda: judge_metric(
            kinds, kinds, own_one, Threshold(9.0), seen=OwnSeen(found={"": found(6)}), worth=[1.0] * 300
        ).to_dict(),
        "own, not asked": lambda: judge_metric(kinds, kinds, own_one, Threshold(9.0)).to_dict(),
        "own, at fault": lambda: judge_metric(
            kinds, kinds, own_one, Threshold(9.0), seen=OwnSeen(fault=reason(Code.GATE_NO_ROWS))
        ).to_dict(),
        "own, by rows": lambda: judge_metric(
            kinds,
            kinds,
            metric_of("earned", None, SPANNED),
            Threshold(5.0),
            seen=OwnSeen(rows=(tuple((10 * chance).tolist()),)),
        ).to_dict(),
    }


CASES: dict[str, Case] = {
    **{f"canary: {name}": partial(canary, **case) for name, case in CANARIES.items()},
    **{f"bake: {name}": partial(bake, **case) for name, case in BAKES.items()},
    **{f"gate: {name}": case for name, case in gates().items()},
    **{f"metric: {name}": case for name, case in metrics().items()},
}
KEPT = read(PAGE)


@pytest.mark.parametrize("name", CASES)
def test_a_verdict_says_what_it_said(name: str) -> None:
    assert differences(said(CASES[name]()), KEPT[name]) == []


def test_the_cases_come_to_every_outcome() -> None:
    """So that what is kept is worth keeping."""
    seen = {name: one.get("verdict", one) for name, one in KEPT.items()}
    canaries = {one["outcome"] for name, one in seen.items() if name.startswith("canary: ")}
    assert canaries == {"advance", "roll_back", "hold", "inconclusive", "error"}
    gates = [seen[f"gate: {name}"]["outcome"] for name in ("as good", "worse", "not clear")]
    assert gates == ["pass", "fail", "inconclusive"]
    assert {one["breached"] for name, one in seen.items() if name.startswith("metric: ")} == {
        True,
        False,
        None,
    }


if __name__ == "__main__":
    write(PAGE, {name: case() for name, case in CASES.items()})
