"""Models that stand in for the loop's own pipeline: deterministic, and trained in no time.

`linear` sees one slope a column; `trees` sees steps and what columns do together. Where the two disagree about a
policy, the model matters, and the loop's own pipeline should decide.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cli.past.model import Trained, Trainer
from shared.stats.metrics import class_name

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]

RIDGE = 1.0
CATEGORIES = 30
"""Categories of a column that are told apart: the most frequent ones."""

ROUNDS, RATE, DEPTH, FEWEST = 60, 0.2, 3, 10
"""Trees, how much of each counts, how often each splits, and the fewest rows of a leaf."""
CUTS = 31
"""Places where a column can be split: quantiles of its values."""
MOST_ROWS = 5_000
"""Rows that trees are made of, evenly spaced in a larger window."""


@dataclass(frozen=True)
class Design:
    """Rows as numbers: a constant, standardised numbers (0 where missing), and one column a known category."""

    numbers: tuple[tuple[str, float, float], ...]
    """Name, mean, standard deviation."""
    categories: tuple[tuple[str, tuple[str, ...]], ...]

    @classmethod
    def of(cls, inputs: pd.DataFrame) -> Design:
        numbers, categories = [], []
        for name in inputs.columns:
            column = inputs[name]
            if pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column):
                values = column.to_numpy(dtype=float, na_value=np.nan)
                values = values[np.isfinite(values)]
                mean, sd = (float(values.mean()), float(values.std())) if len(values) else (0.0, 0.0)
                numbers.append((str(name), mean, sd or 1.0))
            else:
                found = column.dropna().astype(str).value_counts().index[:CATEGORIES]
                categories.append((str(name), tuple(map(str, found))))
        return cls(tuple(numbers), tuple(categories))

    def matrix(self, frame: pd.DataFrame) -> Floats:
        columns = [np.ones(len(frame))]
        for name, mean, sd in self.numbers:
            given = frame[name] if name in frame else pd.Series(np.nan, index=frame.index)
            values = pd.to_numeric(given, errors="coerce").to_numpy(dtype=float, na_value=np.nan)
            columns.append(np.nan_to_num((values - mean) / sd, nan=0.0, posinf=0.0, neginf=0.0))
        for name, known in self.categories:
            texts = frame[name].astype(str).to_numpy() if name in frame else np.full(len(frame), "")
            columns += [(texts == category).astype(float) for category in known]
        return np.column_stack(columns)


@dataclass(frozen=True)
class StandIn:
    """One score a class and row, or the number itself."""

    classes: tuple[str, ...]
    design: Design
    score: Callable[[Floats], Floats]

    def predict(self, frame: pd.DataFrame) -> list[object]:
        scores = self.score(self.design.matrix(frame))
        if not self.classes:
            return [float(value) for value in scores[:, 0]]
        return [self.classes[index] for index in np.argmax(scores, axis=1)]

    def probabilities(self, frame: pd.DataFrame) -> list[dict[str, float]]:
        """The scores, which are shares of the class among rows like these, made to sum to 1."""
        scores = np.clip(self.score(self.design.matrix(frame)), 0.001, 1.0)
        shares = scores / scores.sum(axis=1, keepdims=True)
        return [dict(zip(self.classes, map(float, row), strict=True)) for row in shares]


Fit = Callable[[Floats, Floats], Callable[[Floats], Floats]]
"""Design and what is wanted (one column a class, or the number) give a function of a design."""


def trainer(fit: Fit, job_s: float) -> Trainer:
    """A job of a stand-in takes as long as one is told that the loop's own does."""
    return lambda training: Trained(stand_in(fit, training.rows, training.target, training.classify), job_s)


def stand_in(fit: Fit, rows: pd.DataFrame, target: str, classify: bool) -> StandIn:
    """Fit `target` on every other column; rows without a target are left out."""
    rows = rows[rows[target].notna()]
    inputs = rows.drop(columns=target)
    design = Design.of(inputs)
    if not classify:
        wanted = rows[target].to_numpy(dtype=float)[:, None]
        return StandIn((), design, fit(design.matrix(inputs), wanted))
    given = [class_name(value) for value in rows[target]]
    classes = tuple(sorted(set(given)))
    wanted = np.array([[float(one == name) for name in classes] for one in given])
    return StandIn(classes, design, fit(design.matrix(inputs), wanted))


def linear(design: Floats, wanted: Floats) -> Callable[[Floats], Floats]:
    """Ridge regression."""
    penalty = RIDGE * np.eye(design.shape[1])
    penalty[0, 0] = 0.0
    weights = np.linalg.solve(design.T @ design + penalty, design.T @ wanted)
    return lambda rows: np.asarray(rows @ weights)


@dataclass(frozen=True)
class Tree:
    """Splits level by level: node n of a level has the children 2n (at or below the cut) and 2n + 1."""

    columns: tuple[Codes, ...]
    cuts: tuple[Codes, ...]
    leaves: Floats

    def place(self, codes: Codes) -> Codes:
        node = np.zeros(len(codes), dtype=np.int64)
        for columns, cuts in zip(self.columns, self.cuts, strict=True):
            above = codes[np.arange(len(codes)), columns[node]] > cuts[node]
            node = 2 * node + above
        return node


def trees(design: Floats, wanted: Floats) -> Callable[[Floats], Floats]:
    """Boosted trees: each is fitted to what the ones before it leave, by least squares, all classes in one."""
    kept = np.unique(np.linspace(0, len(design) - 1, min(len(design), MOST_ROWS)).astype(int))
    design, wanted = design[kept], wanted[kept]
    cuts = [np.unique(np.quantile(column, np.linspace(0, 1, CUTS + 2)[1:-1])) for column in design.T]
    codes, mean = _codes(design, cuts), wanted.mean(axis=0)
    grown, left = list[Tree](), wanted - mean
    for _ in range(ROUNDS):
        tree = _grown(codes, left)
        left = left - RATE * tree.leaves[tree.place(codes)]
        grown.append(tree)

    def score(rows: Floats) -> Floats:
        coded, found = _codes(rows, cuts), np.tile(mean, (len(rows), 1))
        for tree in grown:
            found += RATE * tree.leaves[tree.place(coded)]
        return found

    return score


def _codes(design: Floats, cuts: list[Floats]) -> Codes:
    """How many cuts lie below each value; a value that equals a cut counts as below it."""
    return np.column_stack([np.searchsorted(cut, column) for cut, column in zip(cuts, design.T, strict=True)])


def _grown(codes: Codes, left: Floats) -> Tree:
    node = np.zeros(len(codes), dtype=np.int64)
    columns, cuts = list[Codes](), list[Codes]()
    for depth in range(DEPTH):
        column, cut = _best(codes, left, node, 2**depth)
        columns.append(column)
        cuts.append(cut)
        node = 2 * node + (codes[np.arange(len(codes)), column[node]] > cut[node])
    counts = np.bincount(node, minlength=2**DEPTH)[:, None]
    sums = np.column_stack([np.bincount(node, part, 2**DEPTH) for part in left.T])
    return Tree(tuple(columns), tuple(cuts), sums / np.maximum(counts, 1))


def _best(codes: Codes, left: Floats, node: Codes, nodes: int) -> tuple[Codes, Codes]:
    """The split of each node that explains most; beyond the last cut, so that nothing is split, where none does."""
    width, bins = codes.shape[1], CUTS + 1
    places = ((node[:, None] * width + np.arange(width)) * bins + codes).ravel()
    size = nodes * width * bins
    shape = (nodes, width, bins)
    counts = np.bincount(places, minlength=size).reshape(shape).cumsum(axis=2)
    gain = np.zeros(shape)
    for part in left.T:
        sums = np.bincount(places, np.repeat(part, width), size).reshape(shape).cumsum(axis=2)
        below, above = sums, sums[:, :, -1:] - sums
        gain += below**2 / np.maximum(counts, 1) + above**2 / np.maximum(counts[:, :, -1:] - counts, 1)
    enough = (counts >= FEWEST) & (counts[:, :, -1:] - counts >= FEWEST)
    flat = np.where(enough, gain, -1.0).reshape(nodes, width * bins)
    best = flat.argmax(axis=1)
    found = flat[np.arange(nodes), best] >= 0
    return np.where(found, best // bins, 0), np.where(found, best % bins, bins)
