"""What a backtest needs of a model, and of whatever trains one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import pandas as pd


class Model(Protocol):
    """Answers for rows of features."""

    @property
    def classes(self) -> tuple[str, ...]:
        """Empty where a number is predicted."""

    def predict(self, frame: pd.DataFrame) -> list[object]:
        """One class, or one number, a row."""

    def probabilities(self, frame: pd.DataFrame) -> list[dict[str, float]]:
        """One a class and row."""


@dataclass(frozen=True)
class Training:
    """What a training job is given."""

    parts: Mapping[str, bytes]
    """The Parquet files of the window, by name, as the job would find them."""
    rows: pd.DataFrame
    """Target and features of the same rows."""
    target: str
    classify: bool


@dataclass(frozen=True)
class Trained:
    """A model, and how long making it took; or why there is none."""

    model: Model | None
    took_s: float
    error: str = ""


class Trainer(Protocol):
    def __call__(self, training: Training) -> Trained: ...
