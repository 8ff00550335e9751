"""A model that stands in for the loop's own pipeline: linear, deterministic, trained in milliseconds.

It shows how policies compare, not how good the loop's model would be.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from shared.stats.metrics import class_name

Floats = NDArray[np.float64]

RIDGE = 1.0
CATEGORIES = 30
"""Categories of a column that get a coefficient: the most frequent ones."""


@dataclass(frozen=True)
class Learner:
    """Ridge regression on standardised numbers and one column a category; for classes, one score each."""

    numbers: tuple[tuple[str, float, float], ...]
    """Name, mean, standard deviation."""
    categories: tuple[tuple[str, tuple[str, ...]], ...]
    classes: tuple[str, ...]
    """Empty for a regression."""
    weights: Floats

    def predict(self, frame: pd.DataFrame) -> list[str] | list[float]:
        scores = _design(frame, self.numbers, self.categories) @ self.weights
        if not self.classes:
            return [float(value) for value in scores[:, 0]]
        return [self.classes[index] for index in np.argmax(scores, axis=1)]

    def probabilities(self, frame: pd.DataFrame) -> list[dict[str, float]]:
        """One a class and row: the scores, which are shares of the class among rows like these, made to sum to 1."""
        scores = np.clip(_design(frame, self.numbers, self.categories) @ self.weights, 0.001, 1.0)
        shares = scores / scores.sum(axis=1, keepdims=True)
        return [dict(zip(self.classes, map(float, row), strict=True)) for row in shares]


def train(frame: pd.DataFrame, target: str, *, classify: bool) -> Learner:
    """Fit `target` on every other column; rows without a target are left out."""
    frame = frame[frame[target].notna()]
    inputs = frame.drop(columns=target)
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
    design = _design(inputs, tuple(numbers), tuple(categories))
    classes = tuple(sorted({class_name(value) for value in frame[target]})) if classify else ()
    if classes:
        given = [class_name(value) for value in frame[target]]
        wanted = np.array([[float(one == name) for name in classes] for one in given])
    else:
        wanted = frame[target].to_numpy(dtype=float)[:, None]
    penalty = RIDGE * np.eye(design.shape[1])
    penalty[0, 0] = 0.0
    weights = np.linalg.solve(design.T @ design + penalty, design.T @ wanted)
    return Learner(tuple(numbers), tuple(categories), classes, weights)


def _design(
    frame: pd.DataFrame,
    numbers: tuple[tuple[str, float, float], ...],
    categories: tuple[tuple[str, tuple[str, ...]], ...],
) -> Floats:
    """A constant, standardised numbers (0 where missing), and one column a known category."""
    columns = [np.ones(len(frame))]
    for name, mean, sd in numbers:
        given = frame[name] if name in frame else pd.Series(np.nan, index=frame.index)
        values = pd.to_numeric(given, errors="coerce").to_numpy(dtype=float, na_value=np.nan)
        columns.append(np.nan_to_num((values - mean) / sd, nan=0.0, posinf=0.0, neginf=0.0))
    for name, known in categories:
        texts = frame[name].astype(str).to_numpy() if name in frame else np.full(len(frame), "")
        columns += [(texts == category).astype(float) for category in known]
    return np.column_stack(columns)
