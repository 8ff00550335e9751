"""What a canary's judge may see: cumulative counts per arm since the step began, and nothing else.

Counts, not rows: histograms add up, late rows included, and every statistic of `canary` is a function
of them. Our own requests (smoke test, gate, shadow) and the first moments of a cold instance must be left
out by whoever counts; the judge cannot see them in the sums.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from shared.domain.reason import Code, Reason, reason
from shared.release.document import Document

LATENCY_BINS = 202
"""Bin 0: under 1 ms; then 40 bins a decade up to 100 s; the last holds everything slower."""
LATENCY_PER_DECADE = 40
LOSS_BINS = 242
"""Bin 0: under 1e-6; then 20 bins a decade up to 1e6; the last holds everything greater."""
LOSS_PER_DECADE = 20


def latency_bin(latency_ms: float) -> int:
    """The bin of a request's latency."""
    if not latency_ms >= 1:
        return 0
    return min(LATENCY_BINS - 1, 1 + int(LATENCY_PER_DECADE * math.log10(min(latency_ms, 1e6))))


def latency_edge_ms(index: int) -> float:
    """The lower edge of a latency bin."""
    return 0.0 if index <= 0 else float(10 ** ((index - 1) / LATENCY_PER_DECADE))


def loss_bin(loss: float) -> int:
    """The bin of one absolute error of a regression."""
    if not loss >= 1e-6:
        return 0
    return min(LOSS_BINS - 1, 1 + int(LOSS_PER_DECADE * (math.log10(min(loss, 1e7)) + 6)))


@dataclass(frozen=True)
class LabelCounts(Document):
    """Predictions whose label has matured: wrong ones (classification) or absolute errors (regression)."""

    total: int = 0
    wrong: int = 0
    losses: tuple[int, ...] = ()
    collected: int = 0
    """Predictions in all, with a label or without: the coverage is `total` of them."""


@dataclass(frozen=True)
class ArmEvidence(Document):
    """One deployment since the step began. `errors`: answers with a server-side failure, of `requests`."""

    requests: int = 0
    errors: int = 0
    latency: tuple[int, ...] = ()
    """Successful requests by `latency_bin`, LATENCY_BINS long; empty: not measured."""
    predictions: Mapping[str, int] = field(default_factory=dict)
    """Collected predictions by class, or by the name of a fixed bin."""
    slice_predictions: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    """The same by slice, named `column=value`."""
    labels: LabelCounts | None = None
    slice_labels: Mapping[str, LabelCounts] = field(default_factory=dict)
    first_seen_at: datetime | None = None
    last_seen_at: datetime | None = None

    def fault(self) -> Reason | None:
        """Why these counts cannot be true, or None."""
        if not 0 <= self.errors <= self.requests:
            return reason(Code.COUNTS_ERRORS, errors=self.errors, requests=self.requests)
        if len(self.latency) > LATENCY_BINS:
            return reason(Code.COUNTS_LATENCY, bins=len(self.latency), grid=LATENCY_BINS)
        for labels in (self.labels, *self.slice_labels.values()):
            if labels and (not 0 <= labels.wrong <= labels.total or len(labels.losses) > LOSS_BINS):
                counted = {"wrong": labels.wrong, "labelled": labels.total, "bins": len(labels.losses)}
                return reason(Code.COUNTS_LABELS, **counted)
        groups = (self.predictions, *self.slice_predictions.values())
        counts = [*self.latency, *(count for group in groups for count in group.values())]
        return reason(Code.COUNTS_NEGATIVE) if any(not count >= 0 for count in counts) else None


@dataclass(frozen=True)
class ShadowPairs(Document):
    """The champion's recent requests replayed on the canary."""

    agree: int = 0
    disagree: int = 0
    flips: Mapping[str, int] = field(default_factory=dict)
    """`"Adelie -> Gentoo": 3`."""


@dataclass(frozen=True)
class CountedWindow(Document):
    """Requests and errors of a span of time that is complete, canary first; `elapsed`: the share of the step's longest
    time at its end."""

    requests: tuple[int, int]
    errors: tuple[int, int]
    elapsed: float


@dataclass(frozen=True)
class SignalSeen(Document):
    """What a signal from outside answered: counts of both arms since the step began, or a value; or why it did not.

    Of counts what is counted (hits) and of how many; of a value that of each arm, or, of both as a whole, the canary's.
    """

    name: str
    canary: tuple[int, int] | None = None
    champion: tuple[int, int] | None = None
    canary_value: float | None = None
    champion_value: float | None = None
    until_at: datetime | None = None
    """Up to when the answer says that all is in it; None: it does not say."""
    problem: Reason | None = None

    @property
    def total(self) -> int:
        return sum(arm[1] for arm in (self.canary, self.champion) if arm is not None)


@dataclass(frozen=True)
class CanaryEvidence(Document):
    """Both arms over the same time: from the step's beginning to the watermark, before which all is in."""

    champion: ArmEvidence
    canary: ArmEvidence
    set_weight_pct: int
    started_at: datetime
    watermark_at: datetime | None
    """None: nothing is known to be complete yet."""
    query_ok: bool = True
    shadow: ShadowPairs | None = None
    notes: tuple[str, ...] = ()
    windows: tuple[CountedWindow, ...] = ()
    """The complete ones, oldest first, without those that had no request."""
    nameless: int = 0
    """Requests that do not count, because they name no caller."""
    signals: tuple[SignalSeen, ...] = ()
    """In the order of the loop file."""
    uncounted: bool = False
    """The gate's evidence, by which answers are counted, is lost: errors and latency alone can be judged."""

    @property
    def requests(self) -> int:
        return self.champion.requests + self.canary.requests

    @property
    def observed_weight_pct(self) -> float | None:
        """The canary's share of the requests that came in."""
        return 100 * self.canary.requests / self.requests if self.requests else None
