"""What harm a canary does, metric by metric: an estimate, its confidence sequence, and the evidence against it.

Two things must come together before a metric speaks for a rollback: evidence that the canary is worse at all
(for latency and losses: by more than the margin), valid at every observation, and an estimate of the harm above the
user's margin. The first bounds how often a harmless canary is rolled back, and needs no model of the traffic.
The second keeps a harm that nobody minds from doing it. Testing against the margin itself would cost several
times the requests where margins are small, which is what a canary has least of.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate

from shared.canary.arms import (
    LATENCY_BINS,
    LATENCY_PER_DECADE,
    LOSS_BINS,
    LOSS_PER_DECADE,
    CanaryEvidence,
    LabelCounts,
    latency_bin,
    latency_edge_ms,
)
from shared.canary.tolerance import CanaryPolicy, MetricEvidence
from shared.domain.reason import Code, Fact, Reason, reason


@dataclass(frozen=True)
class Part:
    """One metric, of all requests or of one slice, with its part of the budget."""

    metric: str
    margin: float | None
    share: float
    level: float
    """The confidence sequence's error rate."""
    weight: float
    slice: str | None = None

    @classmethod
    def of(
        cls,
        evidence: CanaryEvidence,
        policy: CanaryPolicy,
        metric: str,
        margin: float | None,
        share: float,
        slice: str | None = None,
    ) -> Part:
        level = policy.alpha / policy.steps * (share or 1.0)
        weight = min(max(evidence.set_weight_pct / 100, 0.001), 0.999)
        return cls(metric, margin, share, level, weight, slice)

    def nothing(self, totals: tuple[int, int]) -> MetricEvidence:
        counts = {"canary_n": totals[0], "champion_n": totals[1]}
        why = reason(Code.METRIC_UNMEASURED, metric=self.metric, slice=self.slice, **counts)
        return MetricEvidence(
            self.metric, 1.0, self.share, None, None, None, self.margin, *totals, why, self.slice
        )

    def found(
        self,
        code: Code,
        log_e: float,
        harm: tuple[float, float | None, float | None],
        totals: tuple[int, int],
        **facts: Fact,
    ) -> MetricEvidence:
        """`harm`: the estimate and its bounds. `facts`: what only this kind of metric has."""
        e_value = math.exp(min(float(log_e), 690.0))
        why = reason(code, margin=self.margin, e_value=e_value, **facts)
        return MetricEvidence(self.metric, e_value, self.share, *harm, self.margin, *totals, why, self.slice)


def _part(
    evidence: CanaryEvidence,
    policy: CanaryPolicy,
    metric: str,
    margin: float | None,
    slices: int = 0,
    name: str | None = None,
) -> Part:
    """With slices the whole gets half of the metric's share, the slices together the other half."""
    share = policy.share(metric)
    if slices:
        share = share / 2 if name is None else share / 2 / max(slices, policy.slice_slots)
    part = Part.of(evidence, policy, metric, margin, share, name)
    return replace(part, share=share * (1 - policy.exact)) if metric == "errors" else part


def measure(evidence: CanaryEvidence, policy: CanaryPolicy) -> tuple[MetricEvidence, ...]:
    """Every metric's standing; one without data has `estimate` None and says so."""
    canary, champion = evidence.canary, evidence.champion
    errors = _part(evidence, policy, "errors", policy.max_error_rate_increase)
    return (
        _rates(errors, (canary.errors, champion.errors), (canary.requests, champion.requests)),
        _latency(evidence, policy),
        *_predictions(evidence, policy),
        *_labels(evidence, policy),
        *_shadow(evidence, policy),
    )


def _rates(part: Part, hits: tuple[int, int], totals: tuple[int, int]) -> MetricEvidence:
    """A rate (errors, wrong predictions), canary first. H0: it is no higher than the champion's."""
    from shared.stats.sequential import difference_sequence, log_e_more

    if not min(totals):
        return part.nothing(totals)
    log_e = float(log_e_more(*hits, totals[0] - hits[0], totals[1] - hits[1], part.weight))
    rate_c, rate_b = hits[0] / totals[0], hits[1] / totals[1]
    low, high = difference_sequence(hits, totals, part.level)
    return part.found(
        Code.METRIC_RATE,
        log_e,
        (rate_c - rate_b, low, high),
        totals,
        metric=part.metric,
        slice=part.slice,
        canary_hits=hits[0],
        canary_n=totals[0],
        champion_hits=hits[1],
        champion_n=totals[1],
        low=float(low),
        high=float(high),
    )


def least_errors_noticed(evidence: CanaryEvidence, policy: CanaryPolicy) -> int | None:
    """How many errors of the canary would have rolled it back on this very sample; None: no number."""
    import numpy as np

    from shared.stats.sequential import log_e_more

    canary, champion = evidence.canary, evidence.champion
    part = _part(evidence, policy, "errors", policy.max_error_rate_increase)
    if part.margin is None or not canary.requests or not champion.requests:
        return None
    errors = np.unique(np.linspace(0, canary.requests, 2001).astype(np.int64))
    others = champion.requests - champion.errors
    log_e = log_e_more(errors, champion.errors, canary.requests - errors, others, part.weight)
    harm = errors / canary.requests - champion.errors / champion.requests
    enough = errors[(log_e >= math.log(policy.threshold / part.share)) & (harm >= part.margin)]
    return int(enough[0]) if len(enough) else None


@dataclass(frozen=True)
class _Ratio:
    """Two histograms on a logarithmic grid, canary first, and how many times greater the canary's values
    are."""

    part: Part
    arms: tuple[Sequence[int], Sequence[int]]
    per_decade: int
    floor: int
    """Nothing below this bin counts as high."""

    def log_e(self) -> float:
        """Against H0: greater by at most the margin, at every edge from the floor up."""
        from shared.stats.sequential import log_e_slower

        shift = round(self.per_decade * math.log10(self.part.margin or 1.0))
        return float(log_e_slower(*self.arms, self.part.weight, shift=shift, edges=self._edges()))

    def bounds(self) -> tuple[float | None, float | None]:
        """The confidence sequence of the ratio; None where the data bound nothing."""
        import numpy as np

        from shared.stats.sequential import log_e_slower

        shifts = np.arange(-self.per_decade // 2, self.per_decade + 1)
        limit, (canary, champion), weight = -math.log(self.part.level), self.arms, self.part.weight
        greater = log_e_slower(canary, champion, weight, shift=shifts, edges=self._edges()) >= limit
        smaller = log_e_slower(champion, canary, 1 - weight, shift=shifts, edges=self._edges()) >= limit
        low = float(10 ** (shifts[greater].max() / self.per_decade)) if greater.any() else None
        return low, float(10 ** (-shifts[smaller].max() / self.per_decade)) if smaller.any() else None

    def _edges(self) -> range:
        return range(self.floor, len(self.arms[0]), 4)

    def quantiles(self, level: float) -> tuple[int, int]:
        """The bins of a quantile, canary first."""
        at = [
            next(bin for bin, n in enumerate(accumulate(arm)) if n >= level * sum(arm)) for arm in self.arms
        ]
        return at[0], at[1]

    def at(self, level: float) -> float:
        """The estimate of the ratio at a quantile."""
        canary, champion = (max(bin, self.floor) for bin in self.quantiles(level))
        return float(10 ** ((canary - champion) / self.per_decade))

    def found(
        self, code: Code, levels: Sequence[float], totals: tuple[int, int], **facts: Fact
    ) -> MetricEvidence:
        estimate, (low, high) = max(self.at(level) for level in levels), self.bounds()
        return self.part.found(
            code, self.log_e(), (estimate, low, high), totals, estimate=estimate, low=low, **facts
        )


def _padded(histogram: Sequence[int], bins: int) -> list[int]:
    return [*histogram, *[0] * (bins - len(histogram))]


def _latency(evidence: CanaryEvidence, policy: CanaryPolicy) -> MetricEvidence:
    part = _part(evidence, policy, "latency", policy.max_latency_increase_ratio)
    arms = _padded(evidence.canary.latency, LATENCY_BINS), _padded(evidence.champion.latency, LATENCY_BINS)
    totals = sum(arms[0]), sum(arms[1])
    if not min(totals):
        return part.nothing(totals)
    ratio = _Ratio(part, arms, LATENCY_PER_DECADE, latency_bin(policy.latency_floor_ms))
    levels = (0.5, 0.95) if totals[0] >= 20 else (0.5,)
    (canary_p50_ms, champion_p50_ms), *slowest = (map(latency_edge_ms, ratio.quantiles(q)) for q in levels)
    canary_p95_ms, champion_p95_ms = slowest[0] if slowest else (None, None)
    return ratio.found(
        Code.METRIC_LATENCY,
        levels,
        totals,
        canary_p50_ms=canary_p50_ms,
        champion_p50_ms=champion_p50_ms,
        canary_p95_ms=canary_p95_ms,
        champion_p95_ms=champion_p95_ms,
    )


def _predictions(evidence: CanaryEvidence, policy: CanaryPolicy) -> Iterator[MetricEvidence]:
    canary, champion, margin = evidence.canary, evidence.champion, policy.max_prediction_shift
    slices = sorted(set(canary.slice_predictions) | set(champion.slice_predictions))
    whole = _part(evidence, policy, "predictions", margin, len(slices))
    yield _shift(whole, canary.predictions, champion.predictions)
    for name in slices:
        part = _part(evidence, policy, "predictions", margin, len(slices), name)
        yield _shift(part, canary.slice_predictions.get(name, {}), champion.slice_predictions.get(name, {}))


def _shift(part: Part, of_c: Mapping[str, int], of_b: Mapping[str, int]) -> MetricEvidence:
    """H0: both arms predict every class equally often. The estimate: the largest change of a class's
    share."""
    from shared.stats.sequential import difference_sequence, log_e_shifted

    totals = sum(of_c.values()), sum(of_b.values())
    if not min(totals):
        return part.nothing(totals)
    classes = sorted(set(of_c) | set(of_b))
    shares = [(of_c.get(name, 0) / totals[0], of_b.get(name, 0) / totals[1]) for name in classes]
    log_e = log_e_shifted(
        [of_c.get(name, 0) for name in classes], [of_b.get(name, 0) for name in classes], part.weight
    )
    at = max(range(len(classes)), key=lambda index: abs(shares[index][0] - shares[index][1]))
    hits = of_c.get(classes[at], 0), of_b.get(classes[at], 0)
    low, high = difference_sequence(hits, totals, part.level / len(classes))
    near, far = sorted((abs(low), abs(high)))
    apart = abs(shares[at][0] - shares[at][1])
    return part.found(
        Code.METRIC_SHIFT,
        float(log_e),
        (apart, 0.0 if low <= 0 <= high else near, far),
        totals,
        metric=part.metric,
        slice=part.slice,
        output=classes[at],
        canary_share=shares[at][0],
        canary_n=totals[0],
        champion_share=shares[at][1],
        champion_n=totals[1],
    )


def _labels(evidence: CanaryEvidence, policy: CanaryPolicy) -> Iterator[MetricEvidence]:
    canary, champion, none = evidence.canary, evidence.champion, LabelCounts()
    if canary.labels is None and champion.labels is None:
        return
    slices = sorted(set(canary.slice_labels) | set(champion.slice_labels))
    pairs: list[tuple[str | None, LabelCounts, LabelCounts]] = [
        (None, canary.labels or none, champion.labels or none),
        *(
            (name, canary.slice_labels.get(name, none), champion.slice_labels.get(name, none))
            for name in slices
        ),
    ]
    for name, of_c, of_b in pairs:
        part = _part(evidence, policy, "labels", policy.max_label_error_increase, len(slices), name)
        yield _label(part, of_c, of_b)


def _label(part: Part, of_c: LabelCounts, of_b: LabelCounts) -> MetricEvidence:
    """Classification: the share of wrong predictions. Regression: whether losses are greater by the
    margin."""
    totals = of_c.total, of_b.total
    if not (sum(of_c.losses) and sum(of_b.losses)):
        return _covered(_rates(part, (of_c.wrong, of_b.wrong), totals), of_c, of_b)
    ratio = None if part.margin is None else 1 + part.margin
    arms = _padded(of_c.losses, LOSS_BINS), _padded(of_b.losses, LOSS_BINS)
    found = _Ratio(replace(part, margin=ratio), arms, LOSS_PER_DECADE, 1).found(
        Code.METRIC_LOSS, (0.5,), totals, metric=part.metric, slice=part.slice
    )
    return _covered(found, of_c, of_b)


def _covered(found: MetricEvidence, of_c: LabelCounts, of_b: LabelCounts) -> MetricEvidence:
    """With the coverage: a comparison is only worth something where both arms' labels have come in alike."""
    if not (of_c.collected and of_b.collected):
        return found
    shares = {
        "canary_labelled": of_c.total / of_c.collected,
        "champion_labelled": of_b.total / of_b.collected,
    }
    labelled = Reason(found.reason.code, {**found.reason.facts, **shares})
    return replace(found, reason=labelled)


def _shadow(evidence: CanaryEvidence, policy: CanaryPolicy) -> Iterator[MetricEvidence]:
    """H0: the canary's answer to the champion's requests differs at most as often as tolerated."""
    from shared.stats.sequential import log_e_above, share_sequence

    pairs = evidence.shadow
    if pairs is None:
        return
    part = _part(evidence, policy, "shadow", policy.max_shadow_disagreement)
    total = pairs.agree + pairs.disagree
    if not total:
        yield part.nothing((0, 0))
        return
    log_e = float(log_e_above(pairs.disagree, pairs.agree, 1.0 if part.margin is None else part.margin))
    most = sorted(pairs.flips.items(), key=lambda flip: -flip[1])[:3]
    harm = pairs.disagree / total, *share_sequence(pairs.disagree, total, part.level)
    yield part.found(
        Code.METRIC_SHADOW,
        log_e,
        harm,
        (total, total),
        disagree=pairs.disagree,
        pairs=total,
        flips=", ".join(f"{flip} {n}" for flip, n in most),
    )
