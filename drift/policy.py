"""What counts as an alarm and what counts as material: stated once, frozen, and part of every report."""

from collections.abc import Mapping
from dataclasses import dataclass, field

TESTS = ("location", "scale", "ks", "bins", "tails", "chi_square", "category", "new", "unseen", "nulls")
"""Of numbers: location to tails; of categories: chi_square to unseen; of both: nulls."""


@dataclass(frozen=True)
class ColumnPolicy:
    """One column's own tolerances; what is None is taken from the policy.

    Attributes
    ----------
    tolerance
        The smallest effect that matters: sd (numeric) or share of rows (categories).
    nulls
        The smallest change of the null rate that matters, as a share of rows.
    range
        The smallest share of rows outside the reference's range that matters.
    ratio
        The smallest ratio of odds that matters: 2 for twice as likely.
    tests
        The tests that the column is judged by, of `TESTS`; all where empty.
    """

    tolerance: float | None = None
    nulls: float | None = None
    range: float | None = None
    ratio: float | None = None
    tests: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if unknown := [test for test in self.tests if test not in TESTS]:
            raise ValueError(f"{unknown[0]!r} is no test of a column; there are {', '.join(TESTS)}")


@dataclass(frozen=True)
class Policy:
    """How often a quiet report may raise an alarm, and how large an effect must be to matter.

    Attributes
    ----------
    false_alarm_rate
        The probability that a report in which nothing changed detects anything at all,
        over all columns and all tests together.
    material_numeric
        Tolerance of numeric columns: shift in standard deviations of the reference, change of spread
        as a natural logarithm, and Wasserstein distance in standard deviations.
    material_categorical
        Tolerance of categories: the share of rows that changed category (total variation).
    material_ratio
        Tolerance of what is rare: the ratio by which the odds of a category, or of a number off its usual value,
        rose or fell, where it is at least 1 % of the rows of a side. Total variation does not see 1 % become 10 %.
    material_nulls, material_range
        Tolerances of the null rate and of the share of rows outside the reference's range.
    material_dependence
        Tolerance of the change of a rank correlation.
    columns
        Tolerances of single columns.
    importance
        Weights of the columns, where known. The heaviest column keeps its tolerance; a column of half
        its weight needs twice the effect to be material.
    ignore
        Columns that are not compared.
    vectors
        By name, columns that are one thing together, such as an embedding: one multivariate test is made of them, and
        its tolerance and weight stand under that name.
    segment_rows
        Rows that a segment has on both sides at least to be judged; smaller ones are named (`Report.small`).
    confidence
        Level of the intervals of the effects.
    """

    false_alarm_rate: float = 0.01
    material_numeric: float = 0.1
    material_categorical: float = 0.1
    columns: Mapping[str, ColumnPolicy] = field(default_factory=dict)
    importance: Mapping[str, float] = field(default_factory=dict)
    ignore: tuple[str, ...] = ()
    material_nulls: float = 0.05
    material_range: float = 0.01
    material_dependence: float = 0.1
    confidence: float = 0.95
    material_ratio: float = 2.0
    vectors: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    segment_rows: int = 30

    def __post_init__(self) -> None:
        object.__setattr__(self, "columns", dict(self.columns))
        object.__setattr__(self, "importance", dict(self.importance))
        object.__setattr__(self, "ignore", tuple(self.ignore))
        object.__setattr__(self, "vectors", {name: tuple(them) for name, them in self.vectors.items()})
        for name in ("false_alarm_rate", "confidence"):
            value = getattr(self, name)
            if not 0 < value < 1:
                raise ValueError(f"{name} is {value}; it must lie between 0 and 1, both excluded")
        for name in (
            "material_numeric",
            "material_categorical",
            "material_nulls",
            "material_range",
            "material_dependence",
        ):
            value = getattr(self, name)
            if not 0 <= value < float("inf"):
                raise ValueError(f"{name} is {value}; it must be a number of 0 or more")

        if not 1 <= self.material_ratio < float("inf"):
            raise ValueError(f"material_ratio is {self.material_ratio}; it must be a number of 1 or more")

    def weight(self, column: str) -> float:
        """The column's importance relative to the heaviest one, from 0 to 1; 1 where nothing is known."""
        if not self.importance or column not in self.importance:
            return 1.0
        heaviest = max(self.importance.values())
        return max(self.importance[column] / heaviest, 0.0) if heaviest > 0 else 1.0
