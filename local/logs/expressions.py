"""Compiles a Kusto expression, with its type, before it sees a row: a wrong query fails without rows too."""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from local.logs.exceptions import QuerySemanticError, QuerySyntaxError, not_emulated
from local.logs.language import NUMERIC, Cursor, Row, Value

INGESTION_TIME = "$ingestion_time"  # a row's arrival in the log; no query can name it otherwise

_EPOCH = datetime(1, 1, 1, tzinfo=UTC)
_COMPARISONS: dict[str, Callable[[float], bool]] = {
    "==": lambda sign: sign == 0,
    "!=": lambda sign: sign != 0,
    "<": lambda sign: sign < 0,
    "<=": lambda sign: sign <= 0,
    ">": lambda sign: sign > 0,
    ">=": lambda sign: sign >= 0,
}
_TEXT_TESTS: dict[str, Callable[[str, str], bool]] = {
    "=~": lambda text, part: text.lower() == part.lower(),
    "!~": lambda text, part: text.lower() != part.lower(),
    "startswith": lambda text, part: text.lower().startswith(part.lower()),
    "!startswith": lambda text, part: not text.lower().startswith(part.lower()),
    "startswith_cs": lambda text, part: text.startswith(part),
    "!startswith_cs": lambda text, part: not text.startswith(part),
    "endswith": lambda text, part: text.lower().endswith(part.lower()),
    "!endswith": lambda text, part: not text.lower().endswith(part.lower()),
    "contains": lambda text, part: part.lower() in text.lower(),
    "!contains": lambda text, part: part.lower() not in text.lower(),
}


@dataclass(frozen=True)
class Expression:
    type: str
    of: Callable[[Row], Value]
    name: str = ""  # what Kusto calls an unnamed column made from it


class Parser:
    """One operator's expressions, over the columns that reach it."""

    def __init__(self, cursor: Cursor, columns: Mapping[str, str], now: datetime) -> None:
        self.cursor = cursor
        self.columns = columns
        self.now = now

    def expression(self) -> Expression:
        return self._junction("or", lambda: self._junction("and", self._comparison))

    def condition(self) -> Callable[[Row], bool]:
        found = _typed(self.expression(), "bool")
        return lambda row: found.of(row) is True

    def _junction(self, word: str, operand: Callable[[], Expression]) -> Expression:
        left = operand()
        while self.cursor.accept(word):
            left = _logical(word, _typed(left, "bool"), _typed(operand(), "bool"))
        return left

    def _comparison(self) -> Expression:
        left = self._sum()
        word = self.cursor.peek()
        if word in _COMPARISONS:
            self.cursor.take()
            return compared(word, left, self._sum())
        if word in _TEXT_TESTS:
            self.cursor.take()
            return _text_test(word, _typed(left, "string"), _typed(self._sum(), "string"))
        if word in ("in", "!in", "in~", "!in~"):
            self.cursor.take()
            return self._membership(word, left)
        if word in ("between", "!between"):
            self.cursor.take()
            return self._between(word, left)
        if word in ("has", "has_cs", "has_any", "has_all", "matches", "hasprefix"):
            raise not_emulated(f"the operator {word!r}")
        return left

    def _membership(self, word: str, left: Expression) -> Expression:
        self.cursor.expect("(")
        options = [self._sum()]
        while self.cursor.accept(","):
            options.append(self._sum())
        self.cursor.expect(")")
        equal = [
            _text_test("=~", _typed(left, "string"), _typed(option, "string"))
            if word.endswith("~")
            else compared("==", left, option)
            for option in options
        ]
        wanted = not word.startswith("!")
        return Expression("bool", lambda row: any(test.of(row) is True for test in equal) is wanted)

    def _between(self, word: str, left: Expression) -> Expression:
        self.cursor.expect("(")
        low = self._sum()
        self.cursor.expect("..")
        high = self._sum()
        self.cursor.expect(")")
        if left.type == "datetime" and high.type == "timespan":
            high = _arithmetic("+", low, high)
        above, below = compared(">=", left, low), compared("<=", left, high)
        inside = _logical("and", above, below)
        return inside if word == "between" else _negated(inside)

    def _sum(self) -> Expression:
        left = self._product()
        while word := self.cursor.accept("+", "-"):
            left = _arithmetic(word, left, self._product())
        return left

    def _product(self) -> Expression:
        left = self._unary()
        while word := self.cursor.accept("*", "/", "%"):
            left = _arithmetic(word, left, self._unary())
        return left

    def _unary(self) -> Expression:
        if self.cursor.accept("-"):
            operand = self._unary()
            return _arithmetic("-", Expression(operand.type, lambda row: _zero(operand.type)), operand)
        return self._primary()

    def _primary(self) -> Expression:
        if self.cursor.accept("("):
            inner = self.expression()
            self.cursor.expect(")")
            return inner
        token = self.cursor.take()
        if token.kind == "name":
            return self._named(token.text)
        if token.kind == "operator":
            raise QuerySyntaxError(f"unexpected {token.text!r} at position {token.at}")
        constant = token.value
        return Expression(token.kind, lambda row: constant)

    def _named(self, name: str) -> Expression:
        if self.cursor.peek() == "(":
            return self._call(name)
        if name in ("true", "false"):
            constant = name == "true"
            return Expression("bool", lambda row: constant)
        if name not in self.columns:
            raise QuerySemanticError(
                f"'where' or another operator: Failed to resolve column or scalar expression named '{name}'"
            )
        return Expression(self.columns[name], lambda row: row[name], name)

    def arguments(self) -> list[Expression]:
        self.cursor.expect("(")
        found: list[Expression] = []
        while not self.cursor.accept(")"):
            if found:
                self.cursor.expect(",")
            found.append(self.expression())
        return found

    def _call(self, name: str) -> Expression:
        arguments = self.arguments()
        if name in ("now", "ago"):
            return _moment(name, self.now, arguments)
        if name == "ingestion_time" and not arguments:
            return Expression("datetime", lambda row: row.get(INGESTION_TIME))
        if name not in _FUNCTIONS:
            raise not_emulated(f"the function {name}()")
        count, function = _FUNCTIONS[name]
        if len(arguments) != count:
            raise QuerySemanticError(f"{name}(): {count} argument(s) expected, {len(arguments)} given")
        return function(arguments)


def compared(word: str, left: Expression, right: Expression) -> Expression:
    """Kusto's comparison: types must agree; a null equals nothing, differs from everything but a null."""
    if left.type != right.type and not (left.type in NUMERIC and right.type in NUMERIC):
        raise QuerySemanticError(
            f"Cannot compare values of types {left.type} and {right.type}. Try adding explicit casts"
        )
    test = _COMPARISONS[word]

    def compare(row: Row) -> Value:
        a, b = left.of(row), right.of(row)
        if a is None or b is None:
            return None if a is b or word not in ("==", "!=") else word == "!="
        return test(0 if a == b else -1 if a < b else 1)  # type: ignore[operator]  # the types agree: checked above

    return Expression("bool", compare)


def _typed(expression: Expression, wanted: str) -> Expression:
    if expression.type != wanted:
        raise QuerySemanticError(f"a {wanted} was expected, a value of type {expression.type} was found")
    return expression


def _logical(word: str, left: Expression, right: Expression) -> Expression:
    if word == "and":
        return Expression("bool", lambda row: left.of(row) is True and right.of(row) is True)
    return Expression("bool", lambda row: left.of(row) is True or right.of(row) is True)


def _negated(inner: Expression) -> Expression:
    return Expression("bool", lambda row: None if (value := inner.of(row)) is None else not value)


def _text_test(word: str, left: Expression, right: Expression) -> Expression:
    test = _TEXT_TESTS[word]
    return Expression("bool", lambda row: test(str(left.of(row)), str(right.of(row))))


def _zero(kind: str) -> Value:
    return timedelta(0) if kind == "timespan" else 0


def _arithmetic(word: str, left: Expression, right: Expression) -> Expression:
    kind = _result_type(word, left.type, right.type)

    def compute(row: Row) -> Value:
        a, b = left.of(row), right.of(row)
        if a is None or b is None:
            return None
        if word in ("/", "%") and not b:
            return None if kind == "long" else math.nan
        return _computed(word, kind, a, b)

    return Expression(kind, compute)


def _result_type(word: str, left: str, right: str) -> str:
    if left in NUMERIC and right in NUMERIC:
        return "real" if "real" in (left, right) else "long"
    special = {
        ("datetime", "-", "datetime"): "timespan",
        ("datetime", "-", "timespan"): "datetime",
        ("datetime", "+", "timespan"): "datetime",
        ("timespan", "+", "timespan"): "timespan",
        ("timespan", "-", "timespan"): "timespan",
        ("timespan", "/", "timespan"): "real",
    }
    if (left, word, right) not in special:
        raise QuerySemanticError(f"the operator '{word}' is not defined for {left} and {right}")
    return special[left, word, right]


def _computed(word: str, kind: str, a: Any, b: Any) -> Value:
    """`_result_type` admitted the pair of types, which the type checker cannot see: hence Any."""
    result: Value
    if word == "+":
        result = a + b
    elif word == "-":
        result = a - b
    elif word == "*":
        result = a * b
    elif word == "%":
        result = a % b
    else:
        result = int(a / b) if kind == "long" else a / b
    return result


def _moment(name: str, now: datetime, arguments: list[Expression]) -> Expression:
    if name == "now" and not arguments:
        return Expression("datetime", lambda row: now)
    if len(arguments) != 1 or arguments[0].type != "timespan":
        raise QuerySemanticError(f"{name}() takes one timespan, such as {name}(10m)")
    sign = "-" if name == "ago" else "+"
    return _arithmetic(sign, Expression("datetime", lambda row: now), arguments[0])


def _bin(arguments: list[Expression]) -> Expression:
    value, size = arguments
    if value.type == "datetime":
        _typed(size, "timespan")
        return Expression("datetime", lambda row: _floored(value.of(row), size.of(row)), value.name)
    kind = _result_type("-", value.type, size.type)
    return Expression(kind, lambda row: _floored(value.of(row), size.of(row)), value.name)


def _floored(value: Any, size: Any) -> Value:
    """Any, because `_bin` admitted the types, which the type checker cannot see."""
    if value is None or not size:
        return None
    floored: Value = (
        _EPOCH + (value - _EPOCH) // size * size if isinstance(value, datetime) else value // size * size
    )
    return floored


def _cast(kind: str, convert: Callable[[Value], Value]) -> Callable[[list[Expression]], Expression]:
    def made(arguments: list[Expression]) -> Expression:
        inner = arguments[0]
        return Expression(kind, lambda row: convert(inner.of(row)), inner.name)

    return made


def _whole(value: Value) -> Value:
    if isinstance(value, str):
        return int(value) if re.fullmatch(r"\s*[+-]?\d+\s*", value) else None
    return int(value) if isinstance(value, int | float) else None


def _real(value: Value) -> Value:
    try:
        return float(value) if isinstance(value, str | int | float) else None
    except ValueError:
        return None


def _text(value: Value) -> Value:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, timedelta):
        raise not_emulated("tostring() of a timespan")
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    return "" if value is None else str(value)


def _iff(arguments: list[Expression]) -> Expression:
    condition, then, other = _typed(arguments[0], "bool"), arguments[1], arguments[2]
    if then.type != other.type:
        raise QuerySemanticError(f"iff(): both values must have one type, not {then.type} and {other.type}")
    return Expression(then.type, lambda row: then.of(row) if condition.of(row) is True else other.of(row))


def _test(test: Callable[[Value], bool]) -> Callable[[list[Expression]], Expression]:
    return lambda arguments: Expression("bool", lambda row: test(arguments[0].of(row)))


_FUNCTIONS: dict[str, tuple[int, Callable[[list[Expression]], Expression]]] = {
    "bin": (2, _bin),
    "floor": (2, _bin),
    "toint": (1, _cast("int", _whole)),
    "tolong": (1, _cast("long", _whole)),
    "toreal": (1, _cast("real", _real)),
    "todouble": (1, _cast("real", _real)),
    "tostring": (1, _cast("string", _text)),
    "tolower": (1, _cast("string", lambda value: str(value).lower())),
    "iff": (3, _iff),
    "iif": (3, _iff),
    "not": (1, lambda arguments: _negated(_typed(arguments[0], "bool"))),
    "isempty": (1, _test(lambda value: value is None or value == "")),
    "isnotempty": (1, _test(lambda value: value is not None and value != "")),
    "isnull": (1, _test(lambda value: value is None)),
    "isnotnull": (1, _test(lambda value: value is not None)),
}
