"""Whether a new column looks like one that is missing: only ever a guess, told to people in words."""

from __future__ import annotations

import difflib

import drift
from shared.reader.batches import Sources

_ALIKE = 0.55
_QUANTILES = (0.1, 0.25, 0.5, 0.75, 0.9)


class Likeness:
    """How much columns of a drop resemble columns of the reference, judged by values and by names."""

    def __init__(self, sources: Sources, reference: drift.Profile | None) -> None:
        self._sources, self._reference = sources, reference

    def guess(self, missing: str, candidates: list[str]) -> str:
        """The candidate that may be the missing column under a new name, or nothing."""
        scores = {name: max(self._by_values(missing, name), _by_name(missing, name)) for name in candidates}
        best = max(scores, key=lambda name: scores[name], default="")
        return best if best and scores[best] >= _ALIKE else ""

    def _by_values(self, missing: str, name: str) -> float:
        before = self._reference.columns.get(missing) if self._reference else None
        batch = next(self._sources.batches({name: self._sources.settled(name)}), None)
        if before is None or batch is None:
            return 0.0
        profiler = drift.Profiler(columns={name: before.kind})
        profiler.update(batch)
        return _alike(before, profiler.finish().columns[name])


def _by_name(one: str, other: str) -> float:
    return difflib.SequenceMatcher(None, one.lower(), other.lower()).ratio()


def _alike(before: drift.ColumnProfile, now: drift.ColumnProfile) -> float:
    """1 when the distributions are the same, 0 when they have nothing in common."""
    if before.grid is not None and now.grid is not None:
        gaps = [abs(before.grid.quantile(q) - now.grid.quantile(q)) for q in _QUANTILES]
        return max(0.0, 1 - max(gaps) / (before.grid.sd() or 1.0))
    if before.counts is None or now.counts is None or not (before.counts.rows and now.counts.rows):
        return 0.0
    shares = dict(zip(before.counts.keys, before.counts.counts / before.counts.rows, strict=True))
    pairs = zip(now.counts.keys, now.counts.counts / now.counts.rows, strict=True)
    return float(sum(min(share, shares.get(key, 0.0)) for key, share in pairs))
