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

from shared.judge.arms import (
    LATENCY_BINS,
    LATENCY_PER_DECADE,
    LOSS_BINS,
    LOSS_PER_DECADE,
    CanaryEvidence,
    LabelCounts,
    latency_bin,
    latency_edge_ms,
)
from shared.judge.document import Document

BUDGET = {"errors": 3.0, "latency": 2.0, "predictions": 2.0, "labels": 2.0, "shadow": 1.0}
"""How the rollback budget is parted among the metrics that have a margin."""


@dataclass(frozen=True)
class CanaryPolicy(Document):
    """What harm is tolerated, and how often a harmless canary may be rolled back.

    `alpha`: that chance, over all steps and metrics, however often one looks. A margin of None: that metric
    is reported, and never rolls back.
    """

    alpha: float = 0.01
    steps: int = 2
    """How many steps the canary has; each gets an equal share of alpha."""
    min_requests: int = 50
    """The canary's own requests in a step (the champion needs as many, or all it gets beside it)."""
    max_error_rate_increase: float | None = 0.01
    max_latency_increase_ratio: float | None = 1.5
    """1.5: half as slow again is still tolerated."""
    latency_floor_ms: float = 50.0
    """Nothing faster than this counts as slow."""
    max_prediction_shift: float | None = None
    """The largest change in any class's share. None: a retrained model may well predict differently."""
    max_label_error_increase: float | None = 0.05
    """Of the wrong share (classification) or, relatively, of the losses (regression), as labels mature."""
    max_shadow_disagreement: float | None = None
    max_traffic_deviation_ratio: float = 0.25
    """Observed against set weight, relative to the smaller arm."""
    max_error_rate: float = 0.25
    """A canary above it never advances, however sick the champion is beside it: that is an outage."""
    required: tuple[str, ...] = ("errors", "latency")
    """Metrics without which a step never advances."""
    proof: bool = False
    """True: advance only when the confidence sequences exclude a harm above the margins (much traffic)."""
    slice_slots: int = 10
    """How many slices share a metric's budget; with more of them than this each gets less."""

    @property
    def threshold(self) -> float:
        """The e-value that rolls back within one step."""
        return self.steps / self.alpha

    def share(self, metric: str) -> float:
        """The part of the budget that a metric gets: fixed before the first request, so it costs nothing."""
        if metric not in self._parts():
            return 0.0
        return self._parts()[metric] / sum(self._parts().values())

    def _parts(self) -> dict[str, float]:
        margins = {
            "errors": self.max_error_rate_increase,
            "latency": self.max_latency_increase_ratio,
            "predictions": self.max_prediction_shift,
            "labels": self.max_label_error_increase,
            "shadow": self.max_shadow_disagreement,
        }
        return {name: BUDGET[name] for name, margin in margins.items() if margin is not None}


@dataclass(frozen=True)
class MetricEvidence(Document):
    """One metric's standing: estimate of the harm with its confidence sequence, in the margin's units."""

    metric: str
    e_value: float
    """Evidence against the canary: 1 says nothing; the policy's threshold divided by `share` rolls back
    alone."""
    share: float
    estimate: float | None
    low: float | None
    high: float | None
    margin: float | None
    canary_n: int
    champion_n: int
    words: str
    slice: str | None = None


def measure(evidence: CanaryEvidence, policy: CanaryPolicy) -> tuple[MetricEvidence, ...]:
    """Every metric's standing; one without data has `estimate` None and says so."""
    return (
        _errors(evidence, policy),
        _latency(evidence, policy),
        *_predictions(evidence, policy),
        *_labels(evidence, policy),
        *_shadow(evidence, policy),
    )


def _weight(evidence: CanaryEvidence) -> float:
    return min(max(evidence.set_weight_pct / 100, 0.001), 0.999)


def _budget(policy: CanaryPolicy, metric: str, slices: int, name: str | None) -> float:
    """The whole gets half of a metric's share when there are slices, the slices the other half."""
    whole = policy.share(metric)
    if name is None:
        return whole / 2 if slices else whole
    return whole / 2 / max(slices, policy.slice_slots)


def _e_value(log_e: float) -> float:
    return math.exp(min(log_e, 690.0))


def _level(policy: CanaryPolicy, share: float) -> float:
    """The confidence sequence's error rate; a metric without a margin is shown at the rate of a whole
    step."""
    return policy.alpha / policy.steps * (share or 1.0)


def _nothing(metric: str, share: float, margin: float | None, counts: tuple[int, int]) -> MetricEvidence:
    words = f"{metric}: {counts[0]} observations of the canary, {counts[1]} of the champion"
    return MetricEvidence(metric, 1.0, share, None, None, None, margin, *counts, words)


def _points(rate: float) -> str:
    return f"{100 * rate:.1f}"


def _tolerated(margin: float | None, text: str) -> str:
    return "for information only" if margin is None else f"tolerated {text}"


def _odds_words(e_value: float) -> str:
    if e_value >= 1e6:
        return "evidence of more than a million to 1"
    return f"evidence {e_value:,.0f} to 1" if e_value >= 2 else "no evidence of harm"


def _rates(
    metric: str,
    hits: tuple[int, int],
    totals: tuple[int, int],
    margin: float | None,
    policy: CanaryPolicy,
    weight: float,
    share: float,
    name: str | None = None,
) -> MetricEvidence:
    """A rate (errors, wrong predictions), canary first: H0, it is no higher than the champion's."""
    from shared.judge.sequential import difference_sequence, log_e_more

    if not min(totals):
        return _nothing(metric, share, margin, totals)
    e_value = _e_value(float(log_e_more(*hits, totals[0] - hits[0], totals[1] - hits[1], weight)))
    rate_c, rate_b = hits[0] / totals[0], hits[1] / totals[1]
    low, high = difference_sequence(hits, totals, _level(policy, share))
    where = f"{metric} in {name}" if name else metric
    words = (
        f"{where}: canary {hits[0]} of {totals[0]} ({rate_c:.1%}), champion {hits[1]} of {totals[1]} "
        f"({rate_b:.1%}), {_points(rate_c - rate_b)} points more ({_points(low)} to {_points(high)}), "
        f"{_tolerated(margin, f'{_points(margin or 0)} points')}; {_odds_words(e_value)}"
    )
    return MetricEvidence(
        metric, e_value, share, rate_c - rate_b, low, high, margin, totals[0], totals[1], words, name
    )


def _errors(evidence: CanaryEvidence, policy: CanaryPolicy) -> MetricEvidence:
    canary, champion = evidence.canary, evidence.champion
    return _rates(
        "errors",
        (canary.errors, champion.errors),
        (canary.requests, champion.requests),
        policy.max_error_rate_increase,
        policy,
        _weight(evidence),
        policy.share("errors"),
    )


def least_errors_noticed(evidence: CanaryEvidence, policy: CanaryPolicy) -> int | None:
    """How many errors of the canary, on this very sample, would have rolled it back; None: no number
    would."""
    import numpy as np

    from shared.judge.sequential import log_e_more

    canary, champion = evidence.canary, evidence.champion
    share, margin = policy.share("errors"), policy.max_error_rate_increase
    if not share or margin is None or not canary.requests or not champion.requests:
        return None
    errors = np.unique(np.linspace(0, canary.requests, 2001).astype(np.int64))
    others = champion.requests - champion.errors
    log_e = log_e_more(errors, champion.errors, canary.requests - errors, others, _weight(evidence))
    harm = errors / canary.requests - champion.errors / champion.requests
    enough = errors[(log_e >= math.log(policy.threshold / share)) & (harm >= margin)]
    return int(enough[0]) if len(enough) else None


def _slower(
    metric: str,
    arms: tuple[Sequence[int], Sequence[int]],
    per_decade: int,
    edges: Sequence[int],
    ratio: float | None,
    policy: CanaryPolicy,
    weight: float,
    share: float,
) -> tuple[float, float | None, float | None]:
    """E-value against `ratio`, and the confidence sequence of the ratio, canary to champion."""
    import numpy as np

    from shared.judge.sequential import log_e_slower

    shifts = np.arange(-per_decade // 2, per_decade + 1)
    limit = -math.log(_level(policy, share))
    slower = log_e_slower(*arms, weight, shift=shifts, edges=edges)
    faster = log_e_slower(arms[1], arms[0], 1 - weight, shift=shifts, edges=edges)
    at_least, at_most = shifts[slower >= limit], -shifts[faster >= limit]
    tolerated = round(per_decade * math.log10(ratio)) if ratio else 0
    against = float(log_e_slower(*arms, weight, shift=tolerated, edges=edges))
    low = float(10 ** (at_least.max() / per_decade)) if len(at_least) else None
    high = float(10 ** (at_most.min() / per_decade)) if len(at_most) else None
    return _e_value(against), low, high


def _quantile_bin(histogram: Sequence[int], level: float) -> int:
    needed, seen = level * sum(histogram), 0
    for index, count in enumerate(histogram):
        seen += count
        if seen >= needed and seen:
            return index
    return 0


def _ratio_words(ratio: float, low: float | None, margin: float | None) -> str:
    proven = f" (at least {low:.2f})" if low is not None and low > 1 else ""
    return f"{ratio:.2f} times{proven}, {_tolerated(margin, f'{margin or 0:.2f}')}"


def _padded(histogram: Sequence[int], bins: int) -> list[int]:
    return [*histogram, *[0] * (bins - len(histogram))]


def _latency(evidence: CanaryEvidence, policy: CanaryPolicy) -> MetricEvidence:
    """H0: at every latency from the floor up, the canary is slower by at most the tolerated ratio."""
    arms = (
        _padded(evidence.canary.latency, LATENCY_BINS),
        _padded(evidence.champion.latency, LATENCY_BINS),
    )
    margin, share = policy.max_latency_increase_ratio, policy.share("latency")
    counts = (sum(arms[0]), sum(arms[1]))
    if not min(counts):
        return _nothing("latency", share, margin, counts)
    floor = latency_bin(policy.latency_floor_ms)
    e_value, low, high = _slower(
        "latency", arms, LATENCY_PER_DECADE, range(floor, LATENCY_BINS, 4), margin, policy,
        _weight(evidence), share,
    )  # fmt: skip
    levels = (0.5, 0.95) if counts[0] >= 20 else (0.5,)
    seen = [tuple(_quantile_bin(arm, level) for arm in arms) for level in levels]
    estimate = max(10 ** ((max(c, floor) - max(b, floor)) / LATENCY_PER_DECADE) for c, b in seen)
    canary_ms, champion_ms = (
        " and ".join(f"{latency_edge_ms(pair[arm]):.0f}" for pair in seen) for arm in (0, 1)
    )
    words = (
        f"latency: canary {canary_ms} ms at the {' and '.join(f'{level:.0%}' for level in levels)} quantile, "
        f"champion {champion_ms} ms, {_ratio_words(estimate, low, margin)}; {_odds_words(e_value)}"
    )
    return MetricEvidence("latency", e_value, share, estimate, low, high, margin, *counts, words)


def _predictions(evidence: CanaryEvidence, policy: CanaryPolicy) -> Iterator[MetricEvidence]:
    canary, champion = evidence.canary, evidence.champion
    slices = sorted(set(canary.slice_predictions) | set(champion.slice_predictions))
    yield _shift(canary.predictions, champion.predictions, evidence, policy, len(slices), None)
    for name in slices:
        of_c, of_b = canary.slice_predictions.get(name, {}), champion.slice_predictions.get(name, {})
        yield _shift(of_c, of_b, evidence, policy, len(slices), name)


def _shift(
    of_c: Mapping[str, int],
    of_b: Mapping[str, int],
    evidence: CanaryEvidence,
    policy: CanaryPolicy,
    slices: int,
    name: str | None,
) -> MetricEvidence:
    """H0: both arms predict every class equally often. The estimate is the largest change of a class's
    share."""
    from shared.judge.sequential import difference_sequence, log_e_shifted

    share, margin = _budget(policy, "predictions", slices, name), policy.max_prediction_shift
    totals = sum(of_c.values()), sum(of_b.values())
    where = f"predictions in {name}" if name else "predictions"
    if not min(totals):
        return replace(_nothing(where, share, margin, totals), metric="predictions", slice=name)
    classes = sorted(set(of_c) | set(of_b))
    counts = [[of.get(key, 0) for key in classes] for of in (of_c, of_b)]
    e_value = _e_value(float(log_e_shifted(counts[0], counts[1], _weight(evidence))))
    changes = [c / totals[0] - b / totals[1] for c, b in zip(*counts, strict=True)]
    at = max(range(len(classes)), key=lambda index: abs(changes[index]))
    hits = counts[0][at], counts[1][at]
    low, high = difference_sequence(hits, totals, _level(policy, share) / len(classes))
    size = sorted((abs(low), abs(high)))
    words = (
        f"{where}: {classes[at]!r} is {hits[0] / totals[0]:.1%} of the canary's {totals[0]}, "
        f"{hits[1] / totals[1]:.1%} of the champion's {totals[1]}, {_points(abs(changes[at]))} points apart, "
        f"{_tolerated(margin, f'{_points(margin or 0)} points')}; {_odds_words(e_value)}"
    )
    low_size = 0.0 if low <= 0 <= high else size[0]
    return MetricEvidence(
        "predictions", e_value, share, abs(changes[at]), low_size, size[1], margin, *totals, words, name
    )


def _labels(evidence: CanaryEvidence, policy: CanaryPolicy) -> Iterator[MetricEvidence]:
    canary, champion = evidence.canary, evidence.champion
    if canary.labels is None and champion.labels is None:
        return
    slices = sorted(set(canary.slice_labels) | set(champion.slice_labels))
    none = LabelCounts()
    yield _label(canary.labels or none, champion.labels or none, evidence, policy, len(slices), None)
    for name in slices:
        of_c, of_b = canary.slice_labels.get(name, none), champion.slice_labels.get(name, none)
        yield _label(of_c, of_b, evidence, policy, len(slices), name)


def _label(
    of_c: LabelCounts,
    of_b: LabelCounts,
    evidence: CanaryEvidence,
    policy: CanaryPolicy,
    slices: int,
    name: str | None,
) -> MetricEvidence:
    """Classification: the share of wrong predictions. Regression: whether losses are greater by the
    margin."""
    share, margin = _budget(policy, "labels", slices, name), policy.max_label_error_increase
    totals, weight = (of_c.total, of_b.total), _weight(evidence)
    if not (of_c.losses and of_b.losses):
        return _rates("labels", (of_c.wrong, of_b.wrong), totals, margin, policy, weight, share, name)
    arms = _padded(of_c.losses, LOSS_BINS), _padded(of_b.losses, LOSS_BINS)
    ratio = None if margin is None else 1 + margin
    edges = range(1, LOSS_BINS, 4)
    e_value, low, high = _slower("labels", arms, LOSS_PER_DECADE, edges, ratio, policy, weight, share)
    medians = [_quantile_bin(arm, 0.5) for arm in arms]
    estimate = 10 ** ((medians[0] - medians[1]) / LOSS_PER_DECADE)
    where = f"losses in {name}" if name else "losses"
    words = f"{where}: the canary's median is {_ratio_words(estimate, low, ratio)}; {_odds_words(e_value)}"
    return MetricEvidence("labels", e_value, share, estimate, low, high, ratio, *totals, words, name)


def _shadow(evidence: CanaryEvidence, policy: CanaryPolicy) -> Iterator[MetricEvidence]:
    """H0: the canary disagrees with the champion's answer to the same request at most as often as
    tolerated."""
    from shared.judge.sequential import log_e_above, share_sequence

    pairs, limit = evidence.shadow, policy.max_shadow_disagreement
    if pairs is None:
        return
    share, total = policy.share("shadow"), pairs.agree + pairs.disagree
    if not total:
        yield _nothing("shadow", share, limit, (0, 0))
        return
    e_value = _e_value(float(log_e_above(pairs.disagree, pairs.agree, 1.0 if limit is None else limit)))
    low, high = share_sequence(pairs.disagree, total, _level(policy, share))
    flips = ", ".join(
        f"{flip} {n}" for flip, n in sorted(pairs.flips.items(), key=lambda entry: -entry[1])[:3]
    )
    words = (
        f"shadow: {pairs.disagree} of {total} answers differ ({pairs.disagree / total:.1%}"
        f"{'; ' + flips if flips else ''}), {_tolerated(limit, f'{limit or 0:.1%}')}; {_odds_words(e_value)}"
    )
    estimate = pairs.disagree / total
    yield MetricEvidence("shadow", e_value, share, estimate, low, high, limit, total, total, words)
