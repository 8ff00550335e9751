"""After promotion there is nothing beside the model to compare it with: it is compared with limits fixed beforehand.

All requests are its own, so the router's lottery, on which the canary's guarantee rests, is over. What the champion
did in the last canary step gives limits for errors and latency, before the bake's first request. And labels go on
coming in for what both arms said in that step: making that comparison again is one more observation of the same
e-process, and costs nothing.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import accumulate

from shared.canary.arms import ArmEvidence, CanaryEvidence, latency_edge_ms
from shared.canary.canary_judge import CanaryState, CanaryVerdict, judge_canary
from shared.canary.tolerance import CanaryPolicy, MetricEvidence
from shared.domain.reason import Code, Fact, Reason, reason
from shared.domain.release import Outcome
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
    final_at: datetime | None = None
    """When the labels of that step are as many as come; None: nobody knows how long they take."""
    wanted: str = "none"
    """`canary.bake_labels`: what the bake does not end without."""
    lost: Reason | None = None
    """Evidence from before the promotion that is lost: harm is looked for all the same, and nothing is passed."""


@dataclass(frozen=True)
class BakeRecord(Document):
    """What is stored of a bake: enough to judge it again."""

    evidence: BakeEvidence
    policy: CanaryPolicy
    times: Mapping[str, float]
    """The keyword arguments of `judge_bake`, in seconds."""
    verdict: CanaryVerdict


def judge_bake(
    evidence: BakeEvidence, policy: CanaryPolicy, *, elapsed_s: float, bake_s: float, max_s: float
) -> CanaryVerdict:
    """Roll back when limits are shown to be passed; advance once the evidence covers the time; else hold.

    H0 of each limit: independent requests fail (are slow) with a chance of at most the limit, which may change
    below it as it likes. The bake has as large a part of `alpha` as a canary step. Evidence that does not come,
    or of which some is lost, holds until `max_s`: the old deployment is kept that long.
    """
    threshold = policy.threshold
    late = Outcome.HOLD if elapsed_s < max_s else Outcome.INCONCLUSIVE
    metrics = tuple(_limits(evidence, policy))
    total = math.fsum(metric.share * metric.e_value for metric in metrics)
    again = judge_step(evidence.step, policy)
    if total >= threshold:
        worst = tuple(m.reason for m in metrics if m.share * m.e_value >= 0.1 * total)
        return CanaryVerdict(Outcome.ROLL_BACK, worst, metrics, None, total, threshold)
    if again is not None and again.outcome is Outcome.ROLL_BACK:
        by_now = (reason(Code.BAKE_LAST_STEP, *again.reasons),)
        return CanaryVerdict(Outcome.ROLL_BACK, by_now, again.metrics, None, again.e_value, threshold)
    broken = evidence.lost
    if not evidence.query_ok:
        broken = reason(Code.EVIDENCE_UNREADABLE, note=next(iter(evidence.notes), ""))
    if broken is not None:
        outcome = Outcome.ERROR if late is Outcome.HOLD else late
        return CanaryVerdict(outcome, (broken,), metrics, None, total, threshold)
    covered_s = _covered_s(evidence, elapsed_s)
    labels = [m.reason for m in again.metrics if m.metric == "labels" and not m.slice] if again else []
    final = (
        evidence.final_at is not None
        and evidence.started_at + timedelta(seconds=elapsed_s) >= evidence.final_at
    )
    if covered_s >= bake_s and not _lacks_labels(evidence, final=final):
        told = _maturity(evidence, final=final) if policy.max_label_error_increase is not None else ()
        well = (*(m.reason for m in metrics), *labels, *told)
        return CanaryVerdict(Outcome.ADVANCE, well, metrics, None, total, threshold)
    if covered_s >= bake_s:
        lacking = reason(
            Code.BAKE_WAITS_FOR_LABELS, *_maturity(evidence, final=final), wanted=evidence.wanted
        )
        return CanaryVerdict(late, (lacking,), metrics, None, total, threshold)
    short = reason(Code.BAKE_SHORT, covered_s=covered_s, bake_s=bake_s, requests=evidence.live.requests)
    return CanaryVerdict(late, (short,), metrics, None, total, threshold)


def _lacks_labels(evidence: BakeEvidence, *, final: bool) -> bool:
    """Whether the bake must not end yet: no label at all, or fewer than come."""
    seen = evidence.step.canary.labels
    none = seen is None or not seen.total
    return evidence.wanted != "none" and (none or (evidence.wanted == "final" and not final))


def _maturity(evidence: BakeEvidence, *, final: bool) -> tuple[Reason]:
    """Whether what the labels say may still change."""
    seen = evidence.step.canary.labels
    facts: dict[str, Fact] = {
        "labelled": seen.total if seen else 0,
        "collected": seen.collected if seen else 0,
    }
    if final:
        return (reason(Code.LABELS_MATURE, **facts),)
    until = evidence.final_at.isoformat() if evidence.final_at else None
    return (reason(Code.LABELS_PROVISIONAL, **facts, until=until),)


def judge_step(step: CanaryEvidence, policy: CanaryPolicy) -> CanaryVerdict | None:
    """The last step judged once more; without labels nothing in it can have changed."""
    if step.canary.labels is None:
        return None
    times = {"step_elapsed_s": 0.0, "step_min_s": 0.0, "step_max_s": math.inf}
    return judge_canary(step, policy, CanaryState(), **times)[0]


def _covered_s(evidence: BakeEvidence, elapsed_s: float) -> float:
    """Of the time since the promotion; none while the promoted model has answered nothing, whoever else has."""
    if evidence.watermark_at is None or not evidence.live.requests:
        return 0.0
    return max(0.0, min((evidence.watermark_at - evidence.started_at).total_seconds(), elapsed_s))


def _limits(evidence: BakeEvidence, policy: CanaryPolicy) -> Iterator[MetricEvidence]:
    from shared.stats.exact import clopper_pearson

    live, before = evidence.live, evidence.step.champion
    margin, counts = policy.max_error_rate_increase, (live.errors, live.requests)
    if margin is not None and before.requests:
        most = clopper_pearson(before.errors, before.requests, CONFIDENCE)[1]
        rate = before.errors / before.requests
        yield _above("errors", SHARES["errors"], counts, most + margin, Code.BAKE_ERRORS, before=rate)
    elif margin is not None:
        yield _above("errors", SHARES["errors"], counts, policy.max_error_rate, Code.BAKE_OUTAGE)
    ratio, seen = policy.max_latency_increase_ratio, sum(before.latency)
    if ratio is None or not seen:
        return
    for level, limit in SLOW:
        at = next(index for index, n in enumerate(accumulate(before.latency)) if n >= level * seen)
        edge_ms = max(latency_edge_ms(at + 1) * ratio, policy.latency_floor_ms)
        slow = sum(n for index, n in enumerate(live.latency) if latency_edge_ms(index) >= edge_ms)
        facts: dict[str, Fact] = {"edge_ms": edge_ms, "ratio": ratio, "quantile": level}
        share, counts = SHARES["latency"] / len(SLOW), (slow, sum(live.latency))
        yield _above("latency", share, counts, limit, Code.BAKE_LATENCY, **facts)


def _above(
    metric: str, share: float, counts: tuple[int, int], limit: float, code: Code, **facts: Fact
) -> MetricEvidence:
    from shared.stats.sequential import log_e_above, share_sequence

    hits, total = counts
    e_value = math.exp(min(float(log_e_above(hits, total - hits, min(limit, 1.0))), 690.0))
    rate = hits / total if total else None
    low, high = share_sequence(hits, total, 0.05) if total else (None, None)
    why = reason(code, hits=hits, requests=total, limit=float(limit), **facts)
    return MetricEvidence(metric, e_value, share, rate, low, high, limit, total, 0, why)
