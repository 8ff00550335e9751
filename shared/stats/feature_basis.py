"""Columns of any kind become numbers that a linear model can use, alike for two samples of rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

MOST_COLUMNS = 40
"""Columns that are taken in: of more, those in which the two samples differ most. It bounds the work of a fit."""
MOST_VALUES = 12
"""Values of a column of words that have a term of their own; the others share one."""
LEAST_ROWS = 10
"""Rows of both samples together that a term must tell from the others."""
KNOTS = (0.25, 0.5, 0.75)
"""Where the slope over a number's rank may change."""


def basis(
    first: Mapping[str, Sequence[object]], second: Mapping[str, Sequence[object]]
) -> tuple[Floats, Floats]:
    """One row of terms for each row of both samples, each term with mean 0 and standard deviation 1 over both.

    A number becomes its rank among both samples, from 0 to 1, as a line that may bend at the quartiles: an outlier
    weighs no more than the next largest value. A word becomes a term for each value that is not rare. A missing value
    is a term of its own. Columns that only one sample has are left out.
    """
    sizes = [len(next(iter(sample.values()), ())) for sample in (first, second)]
    shared = [name for name in first if name in second]
    terms = {name: _terms([*first[name], *second[name]]) for name in shared}
    terms = {name: found for name, found in terms.items() if found.shape[1]}
    chosen = sorted(terms, key=lambda name: -_apart(terms[name], sizes[0]))[:MOST_COLUMNS]
    if not chosen:
        return np.zeros((sizes[0], 0)), np.zeros((sizes[1], 0))
    whole = np.hstack([terms[name] for name in shared if name in chosen])
    return whole[: sizes[0]], whole[sizes[0] :]


def _terms(values: Sequence[object]) -> Floats:
    numbers = _numbers(values)
    found = _of_words(values) if numbers is None else _of_numbers(numbers)
    rows = len(values)
    kept = found[:, (np.minimum((found != 0).sum(axis=0), rows) >= LEAST_ROWS) & (np.ptp(found, axis=0) > 0)]
    return np.asarray((kept - kept.mean(axis=0)) / kept.std(axis=0)) if kept.size else kept


def _numbers(values: Sequence[object]) -> Floats | None:
    """NaN where a value is missing; None where one is a word."""
    given = [value for value in values if not _missing(value)]
    if not given or not all(isinstance(value, int | float | np.number) for value in given):
        return None
    return np.array([np.nan if _missing(value) else value for value in values], dtype=np.float64)


def _missing(value: object) -> bool:
    return value is None or value != value


def _of_numbers(numbers: Floats) -> Floats:
    missing = np.isnan(numbers)
    _, place, counts = np.unique(numbers[~missing], return_inverse=True, return_counts=True)
    rank = np.full(len(numbers), 0.5)
    rank[~missing] = ((np.cumsum(counts) - counts / 2) / counts.sum())[place]
    bent = [np.where(missing, 0.0, np.maximum(rank - knot, 0.0)) for knot in KNOTS]
    return np.column_stack([rank, *bent, missing.astype(float)])


def _of_words(values: Sequence[object]) -> Floats:
    words = np.array(["" if _missing(value) else f"={value}" for value in values])
    found, counts = np.unique(words, return_counts=True)
    common = found[np.argsort(-counts, kind="stable")][:MOST_VALUES]
    return np.column_stack([(words == word).astype(float) for word in common])


def _apart(terms: Floats, size: int) -> float:
    """The largest difference of a term's means, which has standard deviation 1."""
    return float(np.abs(terms[:size].mean(axis=0) - terms[size:].mean(axis=0)).max())
