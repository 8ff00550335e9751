"""Which rows to label, so that few labels say as much as they can and their weighted metric is unbiased.

Rows are put in strata by how large a loss is expected of them; more are drawn where labels differ more (J. Neyman, "On
the two different aspects of the representative method", J. R. Stat. Soc. 97 (1934), 558-625), at random within each.
A row's weight is one over its chance to be drawn: by these weights every sum over the labelled rows is unbiased for
the sum over all, whatever the expected losses were worth (Horvitz and Thompson, 1952). Bad expectations cost precision
only.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

STRATA = 5
LEAST_OF_STRATUM = 8
"""Rows of each stratum: what is expected there may be wrong."""


@dataclass(frozen=True)
class Chosen:
    """A row to label."""

    row: int
    weight: float
    """Rows that it stands for."""
    stratum: int
    """0 has the least expected loss."""
    of_stratum: int
    drawn: int
    loss: float


def choose(losses: Floats, spread: Floats, rows: int, seed: int) -> list[Chosen]:
    """`rows` of them, or a few more where every stratum gets its least; `spread` is how far the loss of each may lie
    from what is expected (its standard deviation, in any unit)."""
    return sorted(_chosen(losses, spread, min(rows, len(losses)), seed), key=lambda one: one.row)


def _chosen(losses: Floats, spread: Floats, rows: int, seed: int) -> Iterator[Chosen]:
    rng = np.random.default_rng(seed)
    order = np.lexsort((rng.random(len(losses)), losses))
    strata = [part for part in np.array_split(order, STRATA) if len(part)]
    wanted = np.array([len(part) * max(float(spread[part].mean()), 1e-9) for part in strata])
    for number, (part, share) in enumerate(zip(strata, wanted / wanted.sum(), strict=True)):
        drawn = min(len(part), max(LEAST_OF_STRATUM, round(rows * share)))
        for row in rng.choice(part, drawn, replace=False):
            yield Chosen(int(row), len(part) / drawn, number, len(part), drawn, float(losses[row]))
