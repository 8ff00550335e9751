"""Splits a Kusto query into tokens, and refuses every character that it does not know."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from local.logs.exceptions import QuerySyntaxError

Value = str | int | float | bool | datetime | timedelta | None
Row = dict[str, Value]

NUMERIC = ("int", "long", "real")

_UNITS = {
    "d": timedelta(days=1),
    "h": timedelta(hours=1),
    "m": timedelta(minutes=1),
    "s": timedelta(seconds=1),
    "ms": timedelta(milliseconds=1),
}
_TOKEN = re.compile(
    r"""(?P<skip>\s+|//[^\n]*)
  | (?P<datetime>datetime\(\s*[^)]*\))
  | (?P<timespan>\d+(?:\.\d+)?(?:ms|d|h|m|s)\b)
  | (?P<real>\d+\.\d+)
  | (?P<long>\d+\b)
  | (?P<string>"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*')
  | (?P<operator>!(?:in~|in|between|startswith_cs|startswith|contains|endswith)(?![\w~])|in~
      |==|!=|=~|!~|<=|>=|\.\.|[<>=+\-*/%(),|])
  | (?P<name>[A-Za-z_]\w*)""",
    re.VERBOSE,
)
_ESCAPE = re.compile(r"\\(.)")
_ESCAPED = {"n": "\n", "t": "\t", "r": "\r"}


@dataclass(frozen=True)
class Token:
    kind: str
    text: str
    value: Value
    at: int


def tokens(query: str) -> list[Token]:
    found: list[Token] = []
    position = 0
    while position < len(query):
        match = _TOKEN.match(query, position)
        if match is None:
            raise QuerySyntaxError(
                f"A recognition error occurred at position {position}: {query[position : position + 20]!r}"
            )
        kind = str(match.lastgroup)
        if kind != "skip":
            found.append(Token(kind, match.group(), _value(kind, match.group()), position))
        position = match.end()
    return found


def _value(kind: str, text: str) -> Value:
    if kind == "datetime":
        return parse_datetime(text[len("datetime(") : -1].strip().strip("\"'"))
    if kind == "timespan":
        number, unit = re.split(r"(?<=[\d.])(?=[a-z])", text)
        return _UNITS[unit] * float(number)
    if kind == "string":
        return _ESCAPE.sub(lambda match: _ESCAPED.get(match.group(1), match.group(1)), text[1:-1])
    if kind == "real":
        return float(text)
    return int(text) if kind == "long" else text


def parse_datetime(text: str) -> datetime:
    """An ISO 8601 time; without an offset it is UTC, as in Kusto."""
    seconds = re.sub(r"(\.\d{6})\d+", r"\1", text)  # Kusto writes 100 ns, Python reads microseconds
    try:
        moment = datetime.fromisoformat(seconds)
    except ValueError as error:
        raise QuerySyntaxError(f"{text!r} is not a datetime") from error
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


class Cursor:
    """The tokens of one operator, read from left to right."""

    def __init__(self, tokens: list[Token]) -> None:
        self._tokens = tokens
        self._at = 0

    def peek(self) -> str:
        """The next token's text; empty at the end, and for a string, which is never a keyword."""
        token = self._current()
        return "" if token is None or token.kind == "string" else token.text

    def at_end(self) -> bool:
        return self._current() is None

    def take(self) -> Token:
        token = self._current()
        if token is None:
            raise QuerySyntaxError("the query ends in the middle of an operator")
        self._at += 1
        return token

    def accept(self, *texts: str) -> str:
        """Take the next token if it is one of these; else nothing and an empty text."""
        text = self.peek()
        if text and text in texts:
            self._at += 1
            return text
        return ""

    def expect(self, text: str) -> None:
        if not self.accept(text):
            token = self._current()
            found = f"{token.text!r} at position {token.at}" if token else "the end"
            raise QuerySyntaxError(f"expected {text!r}, found {found}")

    def name(self) -> str:
        token = self.take()
        if token.kind != "name":
            raise QuerySyntaxError(f"expected a name, found {token.text!r} at position {token.at}")
        return token.text

    def followed_by(self, text: str) -> bool:
        """Whether the token after the next one is this."""
        after = self._tokens[self._at + 1 : self._at + 2]
        return bool(after) and after[0].kind != "string" and after[0].text == text

    def _current(self) -> Token | None:
        return self._tokens[self._at] if self._at < len(self._tokens) else None
