"""The kinds of values that a loop file holds, each with what is allowed in words."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from pathlib import PurePosixPath
from typing import Annotated, Literal, get_args
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    StringConstraints,
    WithJsonSchema,
)

from shared import accounts
from shared.domain.rule import DURATION, UNITS, duration
from shared.retraining import cron as schedules
from shared.stats.metrics import class_name


@dataclass(frozen=True)
class Allowed:
    """What a value may be, where its type does not say it; for error messages and the reference table."""

    words: str


class Section(BaseModel):
    """Keys of a loop file; the text below a key is its meaning."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, allow_inf_nan=False, use_attribute_docstrings=True
    )


_CONTAINER = re.compile(rf"(?:{accounts.NAME}:)?(?!.*--)[a-z0-9][a-z0-9-]{{1,61}}[a-z0-9]")


LONGEST = timedelta(days=3650)
"""Of any duration: what is added to a date must stay one."""


def _duration(value: object) -> object:
    if isinstance(value, timedelta):
        return value
    if not isinstance(value, str):
        raise ValueError("not a duration")
    if (found := duration(value)) > LONGEST:
        raise ValueError("too long")
    return found


def _window(value: timedelta) -> timedelta:
    if not timedelta(minutes=10) <= value <= timedelta(days=90):
        raise ValueError("no window of served rows")
    return value


def _quiet(value: timedelta) -> timedelta:
    if not timedelta(seconds=10) <= value <= timedelta(days=1):
        raise ValueError("no quiet time")
    return value


def _write_duration(value: timedelta) -> str:
    seconds = value.total_seconds()
    for unit, size in reversed(UNITS.items()):
        if seconds % size == 0:
            return f"{int(seconds // size)}{unit}"
    return f"{seconds:.3f}s"


def _place(value: str) -> str:
    container, _, prefix = value.partition("/")
    parts = PurePosixPath(prefix).parts
    if not _CONTAINER.fullmatch(container) or not parts or ".." in parts or "\\" in value or "//" in value:
        raise ValueError("not container/prefix")
    if any(ord(character) < 32 for character in value):
        raise ValueError("control character")
    return value.rstrip("/") + "/"


def beside(value: str) -> str:
    path = PurePosixPath(value)
    windows = "\\" in value or re.match(r"[A-Za-z]:", value)
    if path.is_absolute() or ".." in path.parts or not path.parts or windows or "\0" in value:
        raise ValueError("not beside the loop file")
    return value


def _environment(value: str) -> str:
    return value if value.startswith("azureml:") else beside(value)


def _schedule(value: str) -> str:
    schedules.check(value)
    return value


def _url(value: str) -> str:
    parts = urlsplit(value)
    local = parts.scheme == "http" and parts.hostname in ("127.0.0.1", "localhost")
    if not parts.hostname or "@" in parts.netloc or not (parts.scheme == "https" or local):
        raise ValueError("not an https URL")
    return value


def rising(value: tuple[int, ...]) -> tuple[int, ...]:
    if not value or any(not 1 <= step <= 99 for step in value) or list(value) != sorted(set(value)):
        raise ValueError("not rising from 1 to 99")
    return value


def distinct(value: tuple[str, ...]) -> tuple[str, ...]:
    if len(set(value)) != len(value):
        raise ValueError("a name twice")
    return value


Name = Annotated[str, StringConstraints(min_length=1, max_length=256)]
Column = Annotated[Name, Allowed("the name of a column")]
Columns = Annotated[tuple[Name, ...], AfterValidator(distinct), Allowed("a list of column names, each once")]
Checks = Annotated[
    tuple[Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,60}$")], ...],
    AfterValidator(distinct),
    Field(max_length=20),
    Allowed("a list of functions of checks.py beside the loop file, each once"),
]
ClassName = Annotated[
    str,
    BeforeValidator(lambda value: class_name(value) if isinstance(value, bool | int | float) else value),
    StringConstraints(min_length=1, max_length=256),
    WithJsonSchema({"type": ["string", "number", "boolean"]}),
    Allowed("a class of data.target"),
]
ColumnKind = Literal[
    "number",
    "number-point",
    "number-comma",
    "category",
    "id",
    "text",
    "time",
    "day-first",
    "month-first",
    "year-first",
    "ignore",
]
COLUMN_KINDS: tuple[str, ...] = get_args(ColumnKind)
"""What a person can say that a column is. The second and third name what separates a fraction."""
COLUMN_KIND_WORDS = f"{', '.join(COLUMN_KINDS[:-1])} or {COLUMN_KINDS[-1]}"
Duration = Annotated[
    timedelta,
    BeforeValidator(_duration),
    PlainSerializer(_write_duration, return_type=str),
    WithJsonSchema({"type": "string", "pattern": rf"^{DURATION}$"}),
    Allowed("a number with s, m, h or d, for example 90s, 15m, 6h or 60d; 3650d at most"),
]
ServedWindow = Annotated[Duration, AfterValidator(_window), Allowed("from 10m to 90d, for example 1h or 1d")]
QuietTime = Annotated[Duration, AfterValidator(_quiet), Allowed("from 10s to 1d, for example 10m")]
FileName = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Za-z0-9_.-]{1,200}\.(json|csv)$"),
    Allowed("a file's name that ends with .json or .csv, for example manifest.json"),
]
Place = Annotated[str, AfterValidator(_place), Allowed("[account:]container/prefix, such as landing/birds/")]
File = Annotated[str, AfterValidator(beside), Allowed("a file beside the loop file")]
EnvironmentName = Annotated[
    str, AfterValidator(_environment), Allowed("a file beside the loop file, or azureml:name:version")
]
Schedule = Annotated[
    str,
    AfterValidator(_schedule),
    Allowed('six fields in UTC (second minute hour day month day-of-week), for example "0 0 3 * * 1"'),
]
Url = Annotated[str, AfterValidator(_url), Allowed("an https URL without user name")]
Share = Annotated[float, Field(gt=0, lt=1)]
Confidence = Annotated[float, Field(ge=0.5, lt=1)]
Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]
Count = Annotated[int, Field(ge=1)]
