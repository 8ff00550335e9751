"""A contract's rules, checked on batches as they pass: what each came to, and which rows are not let through.

Every rule sees the drop as it landed, whatever other rules reject. A value is compared as its column's type has it; a
null breaks no rule but that of nulls.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import reduce
from operator import itemgetter
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from shared.domain.rule import ContractRule, RuleBound, as_spelled, misfit, moment
from shared.domain.rule import whole as whole_text
from shared.reader.row_hash import RowHashes
from shared.reader.seen_rows import MOST_KEPT, SeenRows
from shared.values.column_kinds import ARROW, DATETIME, INTEGER, NOTHING, NUMBER

Rejected = list[tuple[str, pa.BooleanArray]]
"""Each rule that rejects rows, as it is written, and which. Two rules may be written alike where a list is long."""

FIRST_ROWS = 5
"""Rows that are named of those that break a rule."""


@dataclass(frozen=True)
class Result:
    """What a rule came to."""

    rule: str
    on_breach: str
    broken: bool
    of: int
    """Rows of the drop."""
    rows: int = 0
    """Rows that break it; 0 of a rule that only the drop as a whole breaks."""
    first: tuple[int, ...] = ()
    """The first of them, counted from 1 without the header; in a folder on from file to file, by their names."""
    found: str = ""
    """What was found instead, where no single row breaks it."""
    values: tuple[Mapping[str, str | None], ...] = ()
    """The rule's columns in those rows. They stay on the machine that read them."""

    def to_document(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "values"}


class ContractPass:
    """One pass of a contract over a drop, or over its rows from `first` on."""

    def __init__(
        self,
        rules: Sequence[Mapping[str, Any]],
        columns: Mapping[str, str],
        landed_at: str = "",
        first: int = 0,
    ) -> None:
        self._checks = tuple(_Check(rule, columns, landed_at) for rule in _rules(rules))
        self._columns, self._first, self.rows, self.rejected = columns, first, 0, 0

    @property
    def columns(self) -> dict[str, str]:
        """Columns that some rule looks at, with their types; each is there."""
        named = {name for check in self._checks for name in check.rule.columns}
        return {name: kind for name, kind in self._columns.items() if name in named}

    def take(self, batch: pa.RecordBatch, hashes: RowHashes | None = None) -> Rejected:
        """Check a batch; empty when all of its rows are let through."""
        if not self._checks:
            return []
        hashes = hashes or RowHashes(batch)
        rejected: Rejected = []
        for check in self._checks:
            room = MOST_KEPT - sum(one.seen.kept for one in self._checks)
            rows = check.take(batch, hashes, self._first + self.rows, room)
            if rows is not None and check.rule.on_breach == "drop_rows":
                rejected.append((check.rule.notation, rows))
        self.rows += batch.num_rows
        self.rejected += int(pc.sum(any_of(rejected)).as_py() or 0) if rejected else 0
        return rejected

    def merge(self, other: ContractPass) -> None:
        """What another came to over other rows. That a value is unique is checked by one pass alone."""
        for mine, theirs in zip(self._checks, other._checks, strict=True):
            mine.merge(theirs)
        self.rows += other.rows
        self.rejected += other.rejected

    def results(self) -> tuple[Result, ...]:
        """What each rule came to, in the contract's order."""
        return tuple(check.result(self.rows) for check in self._checks)


def any_of(rejected: Rejected) -> pa.BooleanArray:
    """Rows that some rule rejects; there is at least one rule."""
    return reduce(pc.or_, (rows for _, rows in rejected))


def dropping(rules: Sequence[Mapping[str, Any]]) -> tuple[Mapping[str, Any], ...]:
    """The rules that reject rows."""
    return tuple(rule for rule in rules if rule.get("on_breach") == "drop_rows")


def _rules(documents: Sequence[Mapping[str, Any]]) -> tuple[ContractRule, ...]:
    return tuple(map(ContractRule.from_document, documents))


class _Check:
    """One rule and what it has seen."""

    def __init__(self, rule: ContractRule, columns: Mapping[str, str], landed_at: str) -> None:
        self.rule, self.seen = (rule := as_spelled(rule, columns)), SeenRows()
        self._landed_at = landed_at
        self._column = columns.get(rule.column or "", NOTHING)
        self._broken, self._first, self._values = 0, [], []  # type: ignore[var-annotated]
        self._newest: int | None = None
        """Microseconds since 1970: a column's times may lie where Python has none."""
        found = misfit(rule, columns)
        self._unfit = "" if found is None else f"column {found[0]} is {found[1] or 'not there'}"
        self._many = False

    def take(
        self, batch: pa.RecordBatch, hashes: RowHashes, before: int, room: int
    ) -> pa.BooleanArray | None:
        """The rows that break the rule, or None when there are none."""
        rule = self.rule
        if self._unfit or self._many:
            return None
        if rule.kind == "age":
            newest = pc.max(pc.cast(batch.column(rule.column), pa.int64())).as_py()
            self._newest = max((one for one in (newest, self._newest) if one is not None), default=None)
            return None
        if rule.kind == "unique":
            self._many = room < batch.num_rows
            broken = None if self._many else self._again(batch, hashes)
        else:
            broken = _MASKS[rule.kind](rule, batch, self._column) if rule.by_row else None
        count = 0 if broken is None else int(pc.sum(broken).as_py() or 0)
        if broken is None or not count:
            return None
        self._broken += count
        if (missing := FIRST_ROWS - len(self._first)) > 0:
            self._name(batch, np.flatnonzero(broken.to_numpy(zero_copy_only=False))[:missing], before)
        return broken

    def merge(self, other: _Check) -> None:
        self._broken += other._broken
        named = sorted(
            zip(self._first + other._first, self._values + other._values, strict=True), key=itemgetter(0)
        )
        self._first = [row for row, _ in named[:FIRST_ROWS]]
        self._values = [values for _, values in named[:FIRST_ROWS]]
        self._newest = max((one for one in (self._newest, other._newest) if one is not None), default=None)

    def _name(self, batch: pa.RecordBatch, places: Any, before: int) -> None:
        self._first += [before + int(place) + 1 for place in places]
        rows = batch.take(pa.array(places))
        shown = {name: pc.cast(rows.column(name), pa.string()).to_pylist() for name in self.rule.columns}
        self._values += [{name: texts[n] for name, texts in shown.items()} for n in range(len(places))]

    def _again(self, batch: pa.RecordBatch, hashes: RowHashes) -> pa.BooleanArray:
        names = self.rule.unique or ()
        counted = np.ones(batch.num_rows, dtype=np.bool_)
        for name in names:
            counted &= pc.is_valid(batch.column(name)).to_numpy(zero_copy_only=False)
        return pa.array(self.seen.again(hashes.of(names, b"unique"), counted))

    def result(self, rows: int) -> Result:
        rule, found = self.rule, self._unfit
        if self._many:
            found = f"more than {MOST_KEPT:,} rows, and uniqueness is checked up to there"
        elif not found and not rule.by_row:
            found = _WHOLE.get(rule.kind, _nothing)(rule, rows, self._newest, self._landed_at)
        allowed = rule.nulls_at_most if rule.kind == "nulls" else rule.tolerance
        broken = bool(found) or (self._broken > 0 and self._broken / rows > (allowed or 0))
        return Result(
            rule=rule.notation,
            on_breach=rule.on_breach,
            broken=broken,
            of=rows,
            rows=self._broken,
            first=tuple(self._first),
            found=found,
            values=tuple(self._values),
        )


# --- rows ------------------------------------------------------------------------------------------


def _none_of(column: pa.Array) -> pa.BooleanArray:
    return pa.array(np.zeros(len(column), dtype=np.bool_))


def _range(rule: ContractRule, batch: pa.RecordBatch, kind: str) -> pa.BooleanArray:
    column = batch.column(rule.column)
    broken = _none_of(column)
    for key, bound in rule.bounds.items():
        if isinstance(bound, RuleBound):
            other = batch.column(bound.column)
            outside = _beyond_other(key, column, other)
        else:
            outside = _beyond_value(key, column, bound, kind)
        if outside is not None:
            broken = pc.or_(broken, pc.fill_null(outside, False))
    return broken


_OUTSIDE = {"at_least": pc.less, "above": pc.less_equal, "at_most": pc.greater, "below": pc.greater_equal}


def _beyond(key: str, column: pa.Array, bound: pa.Array | pa.Scalar) -> pa.Array:
    return _OUTSIDE[key](column, bound)


def _beyond_other(key: str, column: pa.Array, other: pa.Array) -> pa.Array | None:
    if pa.types.is_null(column.type) or pa.types.is_null(other.type):
        return None
    if column.type != other.type:  # whole numbers and fractions
        column, other = (pc.cast(one, pa.float64(), safe=False) for one in (column, other))
    return _beyond(key, column, other)


def _beyond_value(key: str, column: pa.Array, bound: int | float | str, kind: str) -> pa.Array | None:
    if kind == NOTHING:
        return None
    if kind == DATETIME:
        return _beyond(key, column, pa.scalar(moment(str(bound)), ARROW[DATETIME]))
    if kind != INTEGER:
        return _beyond(key, column, pa.scalar(_fraction(bound), pa.float64()))
    assert not isinstance(bound, str)
    up = key in ("at_least", "below")  # of whole numbers: x >= 0.5 is x >= 1, and x < 0.5 is x < 1
    whole = math.ceil(bound) if up else math.floor(bound)
    low, high = -(2**63), 2**63 - 1
    if low <= whole <= high:
        return _beyond(key, column, pa.scalar(whole, pa.int64()))
    all_outside = (whole > high) == (key in ("at_least", "above"))
    return pc.is_valid(column) if all_outside else None


def _fraction(value: int | float | str) -> float:
    """A rule's number as a column of fractions has it; beyond all of them it is endless."""
    try:
        return float(value)
    except OverflowError:
        assert isinstance(value, int)  # fractions and texts become endless by themselves
        return math.inf if value > 0 else -math.inf


def _values(rule: ContractRule, batch: pa.RecordBatch, kind: str) -> pa.BooleanArray:
    column = batch.column(rule.column)
    if kind == NOTHING:
        return _none_of(column)
    allowed = list(rule.values or ())
    if kind == INTEGER:  # exact beyond 2^53, where a float is not
        allowed = [int(v) for v in allowed if v == int(v) and -(2**63) <= int(v) < 2**63]
    elif kind == NUMBER:
        allowed = [_fraction(v) for v in allowed]
    known = pc.is_in(column, value_set=pa.array(allowed, column.type))
    return pc.and_(pc.is_valid(column), pc.invert(known))


def _pattern(rule: ContractRule, batch: pa.RecordBatch, kind: str) -> pa.BooleanArray:
    column = batch.column(rule.column)
    if kind == NOTHING:
        return _none_of(column)
    fits = pc.match_substring_regex(column, whole_text(str(rule.pattern)))
    return pc.fill_null(pc.invert(fits), False)


def _length(rule: ContractRule, batch: pa.RecordBatch, kind: str) -> pa.BooleanArray:
    column = batch.column(rule.column)
    broken = _none_of(column)
    if kind == NOTHING:
        return broken
    length = pc.utf8_length(column)
    for beyond, bound in ((pc.less, rule.min_length), (pc.greater, rule.max_length)):
        if bound is not None:
            broken = pc.or_(broken, pc.fill_null(beyond(length, pa.scalar(bound, pa.int64())), False))
    return broken


def _nulls(rule: ContractRule, batch: pa.RecordBatch, kind: str) -> pa.BooleanArray:
    return pc.is_null(batch.column(rule.column), nan_is_null=True)


_MASKS = {"range": _range, "values": _values, "pattern": _pattern, "length": _length, "nulls": _nulls}


# --- the drop as a whole ---------------------------------------------------------------------------


def _row_count(rule: ContractRule, rows: int, newest: int | None, landed_at: str) -> str:
    few = rule.rows_at_least is not None and rows < rule.rows_at_least
    many = rule.rows_at_most is not None and rows > rule.rows_at_most
    return f"{rows:,} rows" if few or many else ""


def _age(rule: ContractRule, rows: int, newest: int | None, landed_at: str) -> str:
    assert rule.max_age is not None
    if newest is None:
        return "no time at all"
    if not landed_at:
        return "it is not known when the drop landed"
    landed = pa.scalar(datetime.fromisoformat(landed_at), ARROW[DATETIME])
    if landed.value - newest <= rule.max_age / timedelta(microseconds=1):
        return ""
    seen = (
        pa.array([newest, landed.value], pa.int64())
        .cast(pa.timestamp("us"))
        .cast(pa.timestamp("s"), safe=False)
    )
    moments = [f"{text.replace(' ', 'T')}Z" for text in seen.cast(pa.string()).to_pylist()]
    return f"the newest time is {moments[0]}, the drop landed {moments[1]}"


def _nothing(rule: ContractRule, rows: int, newest: int | None, landed_at: str) -> str:
    return ""


_WHOLE = {"rows": _row_count, "age": _age}
