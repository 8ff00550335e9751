"""Does a target say classes or a number? Seen from its values while a drop is read, so that it is settled once.

| target | task |
|---|---|
| text, boolean | classification |
| a number with a fraction | regression |
| whole numbers, also written 0.0, 1.0: more than 20 different ones | regression |
| more than 10 of them, each in fewer than two rows on average | regression |
| other whole numbers | classification |

Ages, counts, prices and years have more than 20 values; codes of classes seldom do. Where the rule is wrong,
`data.task` in the loop file says what is meant.
"""

from __future__ import annotations

from collections.abc import Collection

import pyarrow as pa
import pyarrow.compute as pc

from shared.values.column_kinds import INTEGER, NUMBER

MOST_CLASSES = 20
"""Of whole numbers; with more different ones they are a quantity."""

FEW = 10
"""Up to so many different whole numbers are classes, however seldom they repeat."""


class TargetTask:
    """Looks at the target batch by batch and keeps at most a few values of it."""

    def __init__(self, kind: str) -> None:
        self._numeric = kind in (NUMBER, INTEGER)
        self._fraction = False
        self._values: set[int] = set()
        self._rows = 0

    def add(self, target: pa.Array) -> None:
        """The target of some rows, as it is written to the version; nulls say nothing."""
        self._rows += len(target) - target.null_count
        if not self._numeric or self._fraction or len(self._values) > MOST_CLASSES:
            return
        for value in pc.unique(target.drop_null()).to_pylist():
            if value != value or not float(value).is_integer():
                self._fraction = self._fraction or value == value
                continue
            self._values.add(int(value))
            if len(self._values) > MOST_CLASSES:
                return

    def merge(self, other: TargetTask) -> None:
        """Look at what another has seen of other rows."""
        self._fraction = self._fraction or other._fraction
        self._values |= other._values
        self._rows += other._rows

    def settle(self) -> str:
        """classification or regression; empty where no row has a target."""
        if not self._rows:
            return ""
        if not self._numeric:
            return "classification"
        return "regression" if self._fraction else of_whole_numbers(self._values, self._rows)


def of_whole_numbers(values: Collection[int], rows: int) -> str:
    """The task of a target that has these different whole numbers in so many rows."""
    seldom = len(values) > FEW and rows < 2 * len(values)
    return "regression" if seldom or len(values) > MOST_CLASSES else "classification"
