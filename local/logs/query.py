"""Runs a Kusto query over one table's rows; what it does not know it refuses, and it never guesses."""

import math
import random
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cmp_to_key
from typing import Any

from local.logs.exceptions import QuerySemanticError, QuerySyntaxError, not_emulated
from local.logs.expressions import INGESTION_TIME, Expression, Parser, compared
from local.logs.language import NUMERIC, Cursor, Row, Token, Value, tokens


@dataclass
class Table:
    """Columns with their types in order, and rows by column name."""

    columns: dict[str, str]
    rows: list[Row]


@dataclass(frozen=True)
class Aggregate:
    name: str
    type: str
    of: Callable[[list[Row]], Value]


def table_of(query: str) -> str:
    """The table that the query starts with."""
    first = _operators(query)[0]
    if len(first) != 1 or first[0].kind != "name":
        raise not_emulated("a query that does not begin with one table's name")
    return first[0].text


def run(query: str, table: Table, now: datetime) -> Table:
    for operator in _operators(query)[1:]:
        cursor = Cursor(operator)
        word = cursor.name() if not cursor.at_end() else ""
        if word in ("order", "sort"):
            cursor.expect("by")
        if word not in _OPERATORS:
            raise not_emulated(f"the operator {word!r}") if word else QuerySyntaxError("an empty operator")
        table = _OPERATORS[word](table, Parser(cursor, table.columns, now))
        if not cursor.at_end():
            rest = cursor.take()
            raise QuerySyntaxError(f"unexpected {rest.text!r} at position {rest.at}")
    return table


def _operators(query: str) -> list[list[Token]]:
    parts: list[list[Token]] = [[]]
    for token in tokens(query):
        if token.text == "|" and token.kind == "operator":
            parts.append([])
        else:
            parts[-1].append(token)
    if not parts[0]:
        raise QuerySyntaxError("the query is empty")
    return parts


def _where(table: Table, parser: Parser) -> Table:
    keep = parser.condition()
    return Table(table.columns, [row for row in table.rows if keep(row)])


def _named(parser: Parser, unnamed: str) -> tuple[str, Expression]:
    name = ""
    if parser.cursor.followed_by("="):
        name = parser.cursor.name()
        parser.cursor.expect("=")
    expression = parser.expression()
    return name or expression.name or unnamed, expression


def _list_of_named(parser: Parser) -> dict[str, Expression]:
    found: dict[str, Expression] = {}
    while True:
        name, expression = _named(parser, f"Column{len(found) + 1}")
        if name in found:
            raise QuerySemanticError(f"the column '{name}' is given twice")
        found[name] = expression
        if not parser.cursor.accept(","):
            return found


def _made(columns: Mapping[str, Expression], row: Row) -> Row:
    made = {name: expression.of(row) for name, expression in columns.items()}
    if INGESTION_TIME in row:
        made[INGESTION_TIME] = row[INGESTION_TIME]
    return made


def _project(table: Table, parser: Parser) -> Table:
    columns = _list_of_named(parser)
    types = {name: expression.type for name, expression in columns.items()}
    return Table(types, [_made(columns, row) for row in table.rows])


def _extend(table: Table, parser: Parser) -> Table:
    columns = _list_of_named(parser)
    types = {**table.columns, **{name: expression.type for name, expression in columns.items()}}
    return Table(types, [{**row, **_made(columns, row)} for row in table.rows])


def _distinct(table: Table, parser: Parser) -> Table:
    columns = _list_of_named(parser)
    seen = {tuple(made.of(row) for made in columns.values()): None for row in table.rows}
    types = {name: expression.type for name, expression in columns.items()}
    return Table(types, [dict(zip(columns, values, strict=True)) for values in seen])


def _count(table: Table, parser: Parser) -> Table:
    return Table({"Count": "long"}, [{"Count": len(table.rows)}])


def _take(table: Table, parser: Parser) -> Table:
    return Table(table.columns, table.rows[: _row_count(parser)])


def _sample(table: Table, parser: Parser) -> Table:
    count = _row_count(parser)
    few = len(table.rows) <= count
    return Table(table.columns, table.rows if few else random.sample(table.rows, count))


def _row_count(parser: Parser) -> int:
    token = parser.cursor.take()
    if not isinstance(token.value, int):
        raise QuerySyntaxError(f"a number of rows was expected, found {token.text!r} at position {token.at}")
    return token.value


def _order(table: Table, parser: Parser) -> Table:
    rows = table.rows
    for key, descending in reversed(_sort_keys(parser)):
        rows = sorted(rows, key=cmp_to_key(_before(key)), reverse=descending)
    return Table(table.columns, rows)


def _top(table: Table, parser: Parser) -> Table:
    count = _row_count(parser)
    parser.cursor.expect("by")
    ordered = _order(table, parser)
    return Table(table.columns, ordered.rows[:count])


def _sort_keys(parser: Parser) -> list[tuple[Expression, bool]]:
    keys: list[tuple[Expression, bool]] = []
    while True:
        key = parser.expression()
        direction = parser.cursor.accept("asc", "desc")
        if parser.cursor.peek() == "nulls":
            raise not_emulated("'nulls first' or 'nulls last'")
        keys.append((key, direction != "asc"))
        if not parser.cursor.accept(","):
            return keys


def _before(key: Expression) -> Callable[[Row, Row], int]:
    """Nulls come first ascending and last descending, as in Kusto."""
    less = compared("<", _slot("a", key.type), _slot("b", key.type))

    def order(one: Row, other: Row) -> int:
        a, b = key.of(one), key.of(other)
        if a is None or b is None:
            return (a is not None) - (b is not None)
        return 0 if a == b else -1 if less.of({"a": a, "b": b}) is True else 1

    return order


def _slot(name: str, kind: str) -> Expression:
    return Expression(kind, lambda row: row[name])


def _summarize(table: Table, parser: Parser) -> Table:
    aggregates: list[Aggregate] = []
    while parser.cursor.peek() not in ("by", ""):
        if aggregates:
            parser.cursor.expect(",")
        aggregates.extend(_aggregates(parser))
    keys = _list_of_named(parser) if parser.cursor.accept("by") else {}
    groups: dict[tuple[Value, ...], list[Row]] = {} if keys else {(): []}
    for row in table.rows:
        groups.setdefault(tuple(key.of(row) for key in keys.values()), []).append(row)
    types = {name: key.type for name, key in keys.items()} | {made.name: made.type for made in aggregates}
    if len(types) != len(keys) + len(aggregates):
        raise QuerySemanticError("summarize: two columns have the same name; give them names of their own")
    rows = [
        dict(zip(keys, values, strict=True)) | {made.name: made.of(members) for made in aggregates}
        for values, members in groups.items()
    ]
    return Table(types, rows)


def _aggregates(parser: Parser) -> Iterable[Aggregate]:
    name = ""
    if parser.cursor.followed_by("="):
        name = parser.cursor.name()
        parser.cursor.expect("=")
    function = parser.cursor.name()
    if parser.cursor.peek() != "(" or function not in _AGGREGATES:
        raise not_emulated(f"the aggregation {function}()")
    arguments = parser.arguments()
    made = _AGGREGATES[function](function, arguments)
    return [Aggregate(name, made[0].type, made[0].of)] if name and len(made) == 1 else made


def _counted(function: str, arguments: list[Expression]) -> list[Aggregate]:
    if function == "count":
        _expect(function, arguments, 0)
        return [Aggregate("count_", "long", len)]
    _expect(function, arguments, 1)
    if arguments[0].type != "bool":
        raise QuerySemanticError("countif() takes a condition")
    return [Aggregate("countif_", "long", lambda rows: sum(arguments[0].of(row) is True for row in rows))]


def _dcount(function: str, arguments: list[Expression]) -> list[Aggregate]:
    _expect(function, arguments, 1)
    value = arguments[0]
    return [Aggregate(f"dcount_{value.name}", "long", lambda rows: len({value.of(row) for row in rows}))]


def _numeric(function: str, arguments: list[Expression]) -> list[Aggregate]:
    _expect(function, arguments, 1)
    value = arguments[0]
    if value.type not in NUMERIC and not (
        function in ("min", "max") and value.type in ("datetime", "timespan")
    ):
        raise QuerySemanticError(f"{function}() is not defined for {value.type}")
    kind = "real" if function == "avg" else "long" if (function, value.type) == ("sum", "int") else value.type

    def of(rows: list[Row]) -> Value:
        values = [found for row in rows if (found := value.of(row)) is not None]
        if not values:
            return 0 if function == "sum" else None
        return _REDUCTIONS[function](values)

    return [Aggregate(f"{function}_{value.name}", kind, of)]


def _percentiles(function: str, arguments: list[Expression]) -> list[Aggregate]:
    """Nearest rank. Azure's is an estimate that differs from it by about a percent of the rank."""
    if len(arguments) < 2 or (function == "percentile" and len(arguments) > 2):
        raise QuerySemanticError(f"{function}() takes a column and the percentile, such as 95")
    value = arguments[0]
    if value.type not in (*NUMERIC, "datetime", "timespan"):
        raise QuerySemanticError(f"{function}() is not defined for {value.type}")
    return [_percentile(value, wanted.of({})) for wanted in arguments[1:]]


def _percentile(value: Expression, percent: Value) -> Aggregate:
    if not isinstance(percent, int | float) or not 0 <= percent <= 100:
        raise QuerySemanticError(f"a percentile is between 0 and 100, not {percent!r}")

    def of(rows: list[Row]) -> Value:
        values = sorted(found for row in rows if (found := value.of(row)) is not None)
        return values[max(0, math.ceil(percent / 100 * len(values)) - 1)] if values else None

    return Aggregate(f"percentile_{value.name}_{percent:g}", value.type, of)


def _expect(function: str, arguments: list[Expression], count: int) -> None:
    if len(arguments) != count:
        raise QuerySemanticError(f"{function}(): {count} argument(s) expected, {len(arguments)} given")


_REDUCTIONS: dict[str, Callable[[list[Any]], Value]] = {  # Any: numbers, or times, of one type
    "avg": lambda values: sum(values) / len(values),
    "sum": sum,
    "min": min,
    "max": max,
}
_AGGREGATES: dict[str, Callable[[str, list[Expression]], list[Aggregate]]] = {
    "count": _counted,
    "countif": _counted,
    "dcount": _dcount,
    "avg": _numeric,
    "sum": _numeric,
    "min": _numeric,
    "max": _numeric,
    "percentile": _percentiles,
    "percentiles": _percentiles,
}
_OPERATORS: dict[str, Callable[[Table, Parser], Table]] = {
    "where": _where,
    "project": _project,
    "extend": _extend,
    "distinct": _distinct,
    "summarize": _summarize,
    "order": _order,
    "sort": _order,
    "top": _top,
    "take": _take,
    "sample": _sample,
    "limit": _take,
    "count": _count,
}
