"""What harm a canary does, metric by metric: an estimate, its confidence sequence, and the evidence
against it.

Two things must come together before a metric speaks for a rollback: evidence that the canary is worse at all
(for latency and losses: by more than the margin), valid at every look, and an estimate of the harm above the
user's margin. The first bounds how often a harmless canary is taken back, and needs no model of the traffic.
The second keeps a harm that nobody minds from doing it. Testing against the margin itself would cost several
times the requests where margins are small, which is what a canary has least of.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate

from shared.release.canary.arms import (
    LATENCY_BINS,
    LATENCY_PER_DECADE,
    LOSS_BINS,
    LOSS_PER_DECADE,
    CanaryEvidence,
    LabelCounts,
    latency_bin,
    latency_edge_ms,
)
from shared.release.canary.tolerance import CanaryPolicy, MetricEvidence


@dataclass(frozen=True)
class _Part:
    """One metric, of all requests or of one slice, with its part of the budget."""

    metric: str
    margin: float | None
    share: float
    level: float
    """The confidence sequence's error rate."""
    weight: float
    slice: str | None = None

    @property
    def where(self) -> str:
        return f"{self.metric} in {self.slice}" if self.slice else self.metric

    def nothing(self, totals: tuple[int, int]) -> MetricEvidence:
        words = f"{self.where}: {totals[0]} observations of the canary, {totals[1]} of the champion"
        return MetricEvidence(
            self.metric, 1.0, self.share, None, None, None, self.margin, *totals, words, self.slice
        )

    def found(
        self,
        log_e: float,
        harm: tuple[float, float | None, float | None],
        totals: tuple[int, int],
        words: str,
        tolerated: str,
    ) -> MetricEvidence:
        """`harm`: the estimate and its bounds."""
        e_value = math.exp(min(float(log_e), 690.0))
        limit = "for information only" if self.margin is None else f"tolerated {tolerated}"
        told = f"{self.where}: {words}, {limit}; {_odds(e_value)}"
        return MetricEvidence(self.metric, e_value, self.share, *harm, self.margin, *totals, told, self.slice)


def _odds(e_value: float) -> str:
    if e_value >= 1e6:
        return "evidence of more than a million to 1"
    return f"evidence {e_value:,.0f} to 1" if e_value >= 2 else "no evidence of harm"


def _points(rate: float | None) -> str:
    return f"{100 * (rate or 0.0):.1f}"


def _part(
    evidence: CanaryEvidence,
    policy: CanaryPolicy,
    metric: str,
    margin: float | None,
    slices: int = 0,
    name: str | None = None,
) -> _Part:
    """With slices the whole gets half of the metric's share, the slices together the other half."""
    share = policy.share(metric)
    if slices:
        share = share / 2 if name is None else share / 2 / max(slices, policy.slice_slots)
    level = policy.alpha / policy.steps * (share or 1.0)
    weight = min(max(evidence.set_weight_pct / 100, 0.001), 0.999)
    return _Part(metric, margin, share, level, weight, name)


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


def _rates(part: _Part, hits: tuple[int, int], totals: tuple[int, int]) -> MetricEvidence:
    """A rate (errors, wrong predictions), canary first. H0: it is no higher than the champion's."""
    from shared.stats.sequential import difference_sequence, log_e_more

    if not min(totals):
        return part.nothing(totals)
    log_e = float(log_e_more(*hits, totals[0] - hits[0], totals[1] - hits[1], part.weight))
    rate_c, rate_b = hits[0] / totals[0], hits[1] / totals[1]
    low, high = difference_sequence(hits, totals, part.level)
    words = (
        f"canary {hits[0]} of {totals[0]} ({rate_c:.1%}), champion {hits[1]} of {totals[1]} ({rate_b:.1%}), "
        f"{_points(rate_c - rate_b)} points more ({_points(low)} to {_points(high)})"
    )
    return part.found(log_e, (rate_c - rate_b, low, high), totals, words, f"{_points(part.margin)} points")


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

    part: _Part
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

    def found(self, levels: Sequence[float], totals: tuple[int, int], words: str) -> MetricEvidence:
        estimate, (low, high) = max(self.at(level) for level in levels), self.bounds()
        proven = f" (at least {low:.2f})" if low is not None and low > 1 else ""
        told = f"{words}{estimate:.2f} times{proven}"
        return self.part.found(
            self.log_e(), (estimate, low, high), totals, told, f"{self.part.margin or 0:.2f}"
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
    canary, champion = zip(*(map(latency_edge_ms, ratio.quantiles(level)) for level in levels), strict=True)
    words = (
        f"canary {' and '.join(f'{ms:.0f}' for ms in canary)} ms at the "
        f"{' and '.join(f'{level:.0%}' for level in levels)} quantile, "
        f"champion {' and '.join(f'{ms:.0f}' for ms in champion)} ms, "
    )
    return ratio.found(levels, totals, words)


def _predictions(evidence: CanaryEvidence, policy: CanaryPolicy) -> Iterator[MetricEvidence]:
    canary, champion, margin = evidence.canary, evidence.champion, policy.max_prediction_shift
    slices = sorted(set(canary.slice_predictions) | set(champion.slice_predictions))
    whole = _part(evidence, policy, "predictions", margin, len(slices))
    yield _shift(whole, canary.predictions, champion.predictions)
    for name in slices:
        part = _part(evidence, policy, "predictions", margin, len(slices), name)
        yield _shift(part, canary.slice_predictions.get(name, {}), champion.slice_predictions.get(name, {}))


def _shift(part: _Part, of_c: Mapping[str, int], of_b: Mapping[str, int]) -> MetricEvidence:
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
    words = (
        f"{classes[at]!r} is {shares[at][0]:.1%} of the canary's {totals[0]}, {shares[at][1]:.1%} of the "
        f"champion's {totals[1]}, {_points(apart)} points apart"
    )
    harm = apart, 0.0 if low <= 0 <= high else near, far
    return part.found(float(log_e), harm, totals, words, f"{_points(part.margin)} points")


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


def _label(part: _Part, of_c: LabelCounts, of_b: LabelCounts) -> MetricEvidence:
    """Classification: the share of wrong predictions. Regression: whether losses are greater by the
    margin."""
    totals = of_c.total, of_b.total
    if not (sum(of_c.losses) and sum(of_b.losses)):
        return _covered(_rates(part, (of_c.wrong, of_b.wrong), totals), of_c, of_b)
    ratio = None if part.margin is None else 1 + part.margin
    arms = _padded(of_c.losses, LOSS_BINS), _padded(of_b.losses, LOSS_BINS)
    found = _Ratio(replace(part, margin=ratio), arms, LOSS_PER_DECADE, 1).found(
        (0.5,), totals, "the canary's median loss is "
    )
    return _covered(found, of_c, of_b)


def _covered(found: MetricEvidence, of_c: LabelCounts, of_b: LabelCounts) -> MetricEvidence:
    """With the coverage: who reads a comparison of labels must see whether both arms' have come in alike."""
    if not (of_c.collected and of_b.collected):
        return found
    shares = f"{of_c.total / of_c.collected:.0%} and {of_b.total / of_b.collected:.0%}"
    return replace(found, words=f"{found.words}; {shares} of their predictions have labels")


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
    flips = "".join(f", {flip} {n}" for flip, n in most)
    words = f"{pairs.disagree} of {total} answers differ ({pairs.disagree / total:.1%}{flips})"
    harm = pairs.disagree / total, *share_sequence(pairs.disagree, total, part.level)
    yield part.found(log_e, harm, (total, total), words, f"{part.margin or 0:.1%}")
