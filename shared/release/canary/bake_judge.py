"""After promotion there is nobody beside the model to compare it with: it is held against limits fixed beforehand.

All requests are its own, so the router's lottery, on which the canary's guarantee rests, is over. What the champion
did in the last canary step gives limits for errors and latency, before the bake's first request. And labels go on
coming in for what both arms said in that step: looking at that comparison again is one more look at the same
e-process, and costs nothing.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import accumulate

from shared.release.canary.arms import ArmEvidence, CanaryEvidence, latency_edge_ms
from shared.release.canary.canary_judge import CanaryKind, CanaryState, CanaryVerdict, judge_canary
from shared.release.canary.tolerance import CanaryPolicy, MetricEvidence
from shared.release.document import Document

CONFIDENCE = 0.99
"""Of the champion's rate in the last step, from which the limit is made."""

SLOW = ((0.5, 0.6), (0.95, 0.1))
"""Quantile of the champion's latency, and the share of answers that may be slower than the margin times that."""

SHARES = {"errors": 0.6, "latency": 0.4}
"""How the bake's part of the rollback budget is parted."""


@dataclass(frozen=True)
class BakeEvidence(Document):
    """The promoted model since all traffic is its own, and both arms in the last canary step, labels as of now."""

    live: ArmEvidence
    step: CanaryEvidence
    started_at: datetime
    watermark_at: datetime | None
    query_ok: bool = True
    notes: tuple[str, ...] = ()


def judge_bake(
    evidence: BakeEvidence, policy: CanaryPolicy, *, elapsed_s: float, bake_s: float, max_s: float
) -> CanaryVerdict:
    """Roll back when limits are shown to be passed; advance once the evidence covers the time; else hold.

    H0 of each limit: independent requests fail (are slow) with a chance of at most the limit, which may change
    below it as it likes. The bake has as large a part of `alpha` as a canary step. Evidence that does not come
    holds until `max_s`: the old deployment is kept that long.
    """
    if not evidence.query_ok:
        problem = "the evidence could not be read" + "".join(f": {note}" for note in evidence.notes[:1])
        kind = CanaryKind.ERROR if elapsed_s < max_s else CanaryKind.INCONCLUSIVE
        return CanaryVerdict(kind, (problem,), threshold=policy.threshold)
    metrics = tuple(_limits(evidence, policy))
    total = math.fsum(metric.share * metric.e_value for metric in metrics)
    again = _again(evidence.step, policy)
    if total >= policy.threshold:
        words = tuple(m.words for m in metrics if m.share * m.e_value >= 0.1 * total)
        return CanaryVerdict(CanaryKind.ROLL_BACK, words, metrics, None, total, policy.threshold)
    if again is not None and again.kind is CanaryKind.ROLL_BACK:
        words = tuple(f"the last canary step, by now: {reason}" for reason in again.reasons)
        return CanaryVerdict(
            CanaryKind.ROLL_BACK, words, again.metrics, None, again.e_value, policy.threshold
        )
    covered_s = _covered_s(evidence, elapsed_s)
    labels = [m.words for m in again.metrics if m.metric == "labels" and not m.slice] if again else []
    told = (*(m.words for m in metrics), *labels)
    if covered_s >= bake_s:
        return CanaryVerdict(CanaryKind.ADVANCE, told, metrics, None, total, policy.threshold)
    waits = f"evidence covers {covered_s:.0f} s of the {bake_s:.0f} s bake, {evidence.live.requests} requests"
    kind = CanaryKind.HOLD if elapsed_s < max_s else CanaryKind.INCONCLUSIVE
    return CanaryVerdict(kind, (waits,), metrics, None, total, policy.threshold)


def _again(step: CanaryEvidence, policy: CanaryPolicy) -> CanaryVerdict | None:
    """The last step judged once more; without labels nothing in it can have changed."""
    if step.canary.labels is None:
        return None
    times = {"step_elapsed_s": 0.0, "step_min_s": 0.0, "step_max_s": math.inf}
    return judge_canary(step, policy, CanaryState(), **times)[0]


def _covered_s(evidence: BakeEvidence, elapsed_s: float) -> float:
    if evidence.watermark_at is None:
        return 0.0
    return max(0.0, min((evidence.watermark_at - evidence.started_at).total_seconds(), elapsed_s))


def _limits(evidence: BakeEvidence, policy: CanaryPolicy) -> Iterator[MetricEvidence]:
    from shared.stats.exact import clopper_pearson

    live, before = evidence.live, evidence.step.champion
    margin = policy.max_error_rate_increase
    if margin is not None and before.requests:
        most = clopper_pearson(before.errors, before.requests, CONFIDENCE)[1]
        where = f"the champion's in the last step was {before.errors / before.requests:.1%}"
        yield _above(
            "errors", SHARES["errors"], live.errors, live.requests, most + margin, f"errors; {where}"
        )
    ratio, seen = policy.max_latency_increase_ratio, sum(before.latency)
    if ratio is None or not seen:
        return
    for level, limit in SLOW:
        at = next(index for index, n in enumerate(accumulate(before.latency)) if n >= level * seen)
        edge_ms = max(latency_edge_ms(at + 1) * ratio, policy.latency_floor_ms)
        slow = sum(n for index, n in enumerate(live.latency) if latency_edge_ms(index) >= edge_ms)
        what = f"answers slower than {edge_ms:.0f} ms, {ratio:g} times the champion's {level:.0%} quantile"
        yield _above("latency", SHARES["latency"] / len(SLOW), slow, sum(live.latency), limit, what)


def _above(metric: str, share: float, hits: int, total: int, limit: float, what: str) -> MetricEvidence:
    from shared.stats.sequential import log_e_above, share_sequence

    e_value = math.exp(min(float(log_e_above(hits, total - hits, min(limit, 1.0))), 690.0))
    rate = hits / total if total else None
    low, high = share_sequence(hits, total, 0.05) if total else (None, None)
    words = f"{metric} after promotion: {hits} of {total} {what}; at most {limit:.1%} are tolerated"
    return MetricEvidence(metric, e_value, share, rate, low, high, limit, total, 0, words)
