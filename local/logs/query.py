"""Reads the few forms of query that the product sends; answers 501 to every other, and never guesses.

query     = table { "|" step }
step      = "where" any | "project" column {"," column} | "top" n "by" column ["asc" | "desc"] | "take" n | "count"
          | "extend" name "=" text
          | "summarize" aggregate {"," aggregate} ["by" key {"," key}]
key       = column | name "=" ( column | "bin(" column "," timespan ")" )
text      = column | "tostring(split(" column "," string ")[" n "])"
aggregate = [name "="] ( "count()" | "countif(" any ")" | ("min" | "max") "(" column ")"
          | "percentile(" column "," n ")"
          | "arg_min(" column {"," column} ")"
          | "100.0 * countif(" any ") / count()" )
any       = all {"or" all}        all = test {"and" test}
test      = "not(" any ")" | operand comparison value | operand "in" "(" value {"," value} ")"
operand   = column | "toint(" column ")"
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from local.logs.exceptions import QuerySemanticError, not_emulated

Value = str | int | float | datetime | None
Row = dict[str, Value]
Test = Callable[[Row], bool]

_TOKEN = re.compile(
    r"""\s*(?:(?P<datetime>datetime\([^)]*\)) | (?P<span>\d+[smhd]\b) | (?P<real>\d+\.\d+) | (?P<int>\d+\b)
    | (?P<name>[A-Za-z_]\w*)
    | "(?P<string>[^"\\\n]*)" | '(?P<single>[^'\\\n]*)' | (?P<sign>==|!=|=~|<=|>=|[][<>=|,()*/]))""",
    re.VERBOSE,
)
_ORDERS: dict[str, Callable[[Any, Any], bool]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_TEXTS: dict[str, Callable[[str, str], bool]] = {
    "startswith": lambda text, part: text.lower().startswith(part.lower()),
    "=~": lambda text, other: text.lower() == other.lower(),
}


@dataclass(frozen=True)
class Table:
    """Columns with their types, in order, and the rows by column."""

    columns: dict[str, str]
    rows: list[Row]


@dataclass(frozen=True)
class Aggregate:
    name: str
    type: str
    of: Callable[[list[Row]], Value]


def table_of(query: str) -> str:
    """The table that the query begins with."""
    return Reader(query).name()


def run(query: str, table: Table) -> Table:
    """The table that the query makes; QueryRefused before a row is looked at."""
    reader = Reader(query)
    reader.name()
    while reader.accept("|"):
        word = reader.name()
        if word not in _STEPS:
            raise not_emulated(f"the operator {word!r}")
        table = _STEPS[word](reader, table)
    reader.end()
    return table


def parse_datetime(text: str) -> datetime:
    """An ISO 8601 time; without an offset it is UTC, as in Kusto, which writes 100 ns."""
    try:
        moment = datetime.fromisoformat(re.sub(r"(\.\d{6})\d+", r"\1", text.strip()))
    except ValueError as error:
        raise QuerySemanticError(f"{text!r} is not a datetime") from error
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


class Reader:
    """A query's tokens, from left to right: (type, value)."""

    def __init__(self, query: str) -> None:
        self._tokens: list[tuple[str, Value]] = []
        self._at, position, query = 0, 0, query.rstrip()
        while position < len(query):
            found = _TOKEN.match(query, position)
            if found is None:
                raise not_emulated(f"what begins with {query[position : position + 20]!r}")
            self._tokens.append(_token(str(found.lastgroup), found[str(found.lastgroup)]))
            position = found.end()

    def take(self) -> tuple[str, Value]:
        if self._at >= len(self._tokens):
            raise not_emulated("a query that ends here")
        self._at += 1
        return self._tokens[self._at - 1]

    def accept(self, *words: str) -> str:
        """The next token if it is one of these words or signs; else nothing is taken."""
        kind, value = self._tokens[self._at] if self._at < len(self._tokens) else ("", None)
        if kind not in ("name", "sign") or value not in words:
            return ""
        self._at += 1
        return str(value)

    def expect(self, *words: str) -> None:
        for word in words:
            if not self.accept(word):
                raise not_emulated(f"a query without {word!r} after token {self._at}")

    def of(self, wanted: str) -> Value:
        kind, value = self.take()
        if kind != wanted:
            raise not_emulated(f"{value!r} where one of type {wanted} belongs")
        return value

    def name(self) -> str:
        return str(self.of("name"))

    def count(self) -> int:
        return int(str(self.of("int")))

    def column(self, table: Table) -> str:
        name = self.name()
        if name not in table.columns:
            raise QuerySemanticError(f"Failed to resolve column or scalar expression named '{name}'")
        return name

    def columns(self, table: Table) -> list[str]:
        found = [self.column(table)]
        while self.accept(","):
            found.append(self.column(table))
        return found

    def any(self, table: Table) -> Test:
        tests = [self._all(table)]
        while self.accept("or"):
            tests.append(self._all(table))
        return lambda row: any(test(row) for test in tests)

    def end(self) -> None:
        if self._at < len(self._tokens):
            raise not_emulated(f"{self._tokens[self._at][1]!r} in this place")

    def _all(self, table: Table) -> Test:
        tests = [self._test(table)]
        while self.accept("and"):
            tests.append(self._test(table))
        return lambda row: all(test(row) for test in tests)

    def _test(self, table: Table) -> Test:
        if self.accept("not"):
            self.expect("(")
            inner = self.any(table)
            self.expect(")")
            return lambda row: not inner(row)
        converted = self.accept("toint")
        self.expect(*"(" * bool(converted))
        column = self.column(table)
        self.expect(*")" * bool(converted))
        word = str(self.take()[1])
        if word != "in":
            return _compared(word, column, table, self.take())
        self.expect("(")
        tests = [_compared("==", column, table, self.take())]
        while self.accept(","):
            tests.append(_compared("==", column, table, self.take()))
        self.expect(")")
        return lambda row: any(test(row) for test in tests)


def _token(kind: str, text: str) -> tuple[str, Value]:
    if kind == "datetime":
        return kind, parse_datetime(text.removeprefix("datetime(").removesuffix(")"))
    if kind == "span":
        return kind, int(text[:-1]) * {"s": 1, "m": 60, "h": 3600, "d": 86400}[text[-1]]
    if kind in ("int", "real"):
        return kind, int(text) if kind == "int" else float(text)
    return "string" if kind == "single" else kind, text


def _compared(word: str, column: str, table: Table, value: tuple[str, Value]) -> Test:
    """A null equals nothing and differs from everything, as in Kusto."""
    if word not in _ORDERS and word not in _TEXTS:
        raise not_emulated(f"the comparison {word!r}")
    if value[0] == "name":
        raise not_emulated(f"a comparison with {value[1]}")
    if table.columns[column] != value[0]:
        raise QuerySemanticError(f"Cannot compare values of types {table.columns[column]} and {value[0]}")
    if word in _TEXTS:
        return lambda row: _TEXTS[word](str(row[column]), str(value[1]))
    return lambda row: word == "!=" if row[column] is None else _ORDERS[word](row[column], value[1])


def _where(reader: Reader, table: Table) -> Table:
    keep = reader.any(table)
    return Table(table.columns, [row for row in table.rows if keep(row)])


def _project(reader: Reader, table: Table) -> Table:
    names = reader.columns(table)
    return Table(
        {name: table.columns[name] for name in names},
        [{name: row[name] for name in names} for row in table.rows],
    )


def _take(reader: Reader, table: Table) -> Table:
    return Table(table.columns, table.rows[: reader.count()])


def _top(reader: Reader, table: Table) -> Table:
    count = reader.count()
    reader.expect("by")
    column = reader.column(table)
    descending = reader.accept("asc", "desc") != "asc"
    rows = sorted(table.rows, key=lambda row: row[column], reverse=descending)  # type: ignore[arg-type,return-value]
    return Table(table.columns, rows[:count])


def _count(reader: Reader, table: Table) -> Table:
    return Table({"Count": "long"}, [{"Count": len(table.rows)}])


def _summarize(reader: Reader, table: Table) -> Table:
    aggregates = _aggregates(reader, table)
    while reader.accept(","):
        aggregates += _aggregates(reader, table)
    keys = _keys(reader, table) if reader.accept("by") else []
    groups: dict[tuple[Value, ...], list[Row]] = {} if keys else {(): []}
    for row in table.rows:
        groups.setdefault(tuple(key.of([row]) for key in keys), []).append(row)
    columns = {each.name: each.type for each in (*keys, *aggregates)}
    return Table(
        columns,
        [
            {key.name: value for key, value in zip(keys, values, strict=True)}
            | {each.name: each.of(rows) for each in aggregates}
            for values, rows in groups.items()
        ],
    )


def _keys(reader: Reader, table: Table) -> list[Aggregate]:
    keys = [_key(reader, table)]
    while reader.accept(","):
        keys.append(_key(reader, table))
    return keys


def _key(reader: Reader, table: Table) -> Aggregate:
    """A column, under its own name or another, or a moment rounded down to a multiple of a timespan since year 1."""
    name = reader.name()
    given = bool(reader.accept("="))
    if not given or not reader.accept("bin"):
        of = reader.name() if given else name
        if of not in table.columns:
            raise QuerySemanticError(f"Failed to resolve column or scalar expression named '{of}'")
        return Aggregate(name, table.columns[of], lambda rows: rows[0][of])
    reader.expect("(")
    column = reader.column(table)
    reader.expect(",")
    width = timedelta(seconds=float(str(reader.of("span"))))
    reader.expect(")")
    zero = datetime(1, 1, 1, tzinfo=UTC)

    def binned(rows: list[Row]) -> Value:
        at = rows[0][column]
        return at - (at - zero) % width if isinstance(at, datetime) else None

    return Aggregate(name, "datetime", binned)


def _extend(reader: Reader, table: Table) -> Table:
    """A text, or a part of one: split() makes an array, of which an element beyond the end is null, and tostring() of
    null is empty."""
    name = reader.name()
    reader.expect("=")
    if reader.accept("tostring"):
        reader.expect("(", "split", "(")
        column = reader.column(table)
        reader.expect(",")
        between = str(reader.of("string"))
        reader.expect(")", "[")
        at = reader.count()
        reader.expect("]", ")")
    else:
        column, between, at = reader.column(table), "", 0
    if table.columns[column] != "string":
        raise not_emulated(f"a column that is made of {column}, which is no string")

    def part(text: str) -> str:
        parts = text.split(between) if between else [text]
        return parts[at] if at < len(parts) else ""

    rows = [{**row, name: part(str(row[column]))} for row in table.rows]
    return Table({**table.columns, name: "string"}, rows)


def _aggregates(reader: Reader, table: Table) -> list[Aggregate]:
    """One column each, but arg_min() has the least value and what stands beside it."""
    if not reader.accept("arg_min"):
        return [_aggregate(reader, table)]
    reader.expect("(")
    least, *beside = reader.columns(table)
    reader.expect(")")

    def of(column: str) -> Callable[[list[Row]], Value]:
        def found(rows: list[Row]) -> Value:
            known = [row for row in rows if row[least] is not None]
            return min(known, key=lambda row: row[least])[column] if known else None  # type: ignore[arg-type,return-value]

        return found

    return [Aggregate(column, table.columns[column], of(column)) for column in (least, *beside)]


def _aggregate(reader: Reader, table: Table) -> Aggregate:
    function, given = reader.name(), ""
    if reader.accept("="):
        given = function
        kind, value = reader.take()
        if (kind, value) == ("real", 100.0):
            return _share(reader, table, given)
        function = str(value)
    reader.expect("(")
    made = _of_group(reader, table, function)
    reader.expect(")")
    return Aggregate(given or made.name, made.type, made.of)


def _share(reader: Reader, table: Table, name: str) -> Aggregate:
    reader.expect("*", "countif", "(")
    test = reader.any(table)
    reader.expect(")", "/", "count", "(", ")")
    return Aggregate(name, "real", lambda rows: 100.0 * sum(map(test, rows)) / len(rows) if rows else None)


def _of_group(reader: Reader, table: Table, function: str) -> Aggregate:
    if function == "count":
        return Aggregate("count_", "long", len)
    if function == "countif":
        test = reader.any(table)
        return Aggregate("countif_", "long", lambda rows: sum(map(test, rows)))
    if function == "percentile":
        return _percentile(reader, table)
    if function not in ("min", "max"):
        raise not_emulated(f"the aggregation {function}()")
    column = reader.column(table)
    least = function == "min"

    def of(rows: list[Row]) -> Value:
        values = sorted(value for row in rows if (value := row[column]) is not None)
        return (values[0] if least else values[-1]) if values else None

    return Aggregate(f"{function}_{column}", table.columns[column], of)


def _percentile(reader: Reader, table: Table) -> Aggregate:
    """The nearest rank, which Kusto estimates; nulls do not count."""
    column = reader.column(table)
    reader.expect(",")
    rank = reader.count()
    if table.columns[column] not in ("int", "long", "real", "datetime") or not 0 < rank <= 100:
        raise not_emulated(f"percentile({column}, {rank})")

    def of(rows: list[Row]) -> Value:
        values = sorted(value for row in rows if (value := row[column]) is not None)
        return values[math.ceil(rank / 100 * len(values)) - 1] if values else None

    return Aggregate(f"percentile_{column}_{rank}", table.columns[column], of)


_STEPS: dict[str, Callable[[Reader, Table], Table]] = {
    "where": _where,
    "extend": _extend,
    "project": _project,
    "summarize": _summarize,
    "top": _top,
    "take": _take,
    "count": _count,
}
