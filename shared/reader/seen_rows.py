"""Which rows came before: by a 64-bit hash each, in sorted runs, exact for one column of numbers or times.

A hash of texts, or of several columns, is shared by two different rows of n with a probability of n² / 2^65: below
1 in 300,000 at ten million rows.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from shared.reader.row_hash import Hashes

MOST_KEPT = 20_000_000
"""Hashes that are kept: 160 MB, and as much again for a moment when runs are merged."""


class SeenRows:
    """Hashes of rows so far."""

    def __init__(self) -> None:
        self._runs: list[Hashes] = []

    @property
    def kept(self) -> int:
        return sum(map(len, self._runs))

    def again(self, hashes: Hashes, counted: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
        """Which of the counted rows are like an earlier one, here or in a batch before; all of them are kept."""
        places = np.flatnonzero(counted)
        places = places[np.argsort(hashes[places], kind="stable")]
        ordered = hashes[places]
        twin = np.zeros(len(ordered), dtype=np.bool_)
        twin[1:] = ordered[1:] == ordered[:-1]
        known = np.zeros(len(ordered), dtype=np.bool_)
        for run in self._runs:
            at = np.minimum(np.searchsorted(run, ordered), len(run) - 1)
            known |= run[at] == ordered
        found = np.zeros(len(hashes), dtype=np.bool_)
        found[places[twin | known]] = True
        self._keep(ordered[~(twin | known)])
        return found

    def _keep(self, run: Hashes) -> None:
        """Runs halve in size from the first to the last, so that few are searched and each hash is moved seldom."""
        if not len(run):
            return
        self._runs.append(run)
        while len(self._runs) > 1 and len(self._runs[-2]) < 2 * len(self._runs[-1]):
            last, before = self._runs.pop(), self._runs.pop()
            merged = np.concatenate((before, last))
            merged.sort(kind="stable")
            self._runs.append(merged)
