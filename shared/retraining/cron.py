"""A six-field NCRONTAB expression means the same moments here as in Azure Functions, always in UTC."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from cronsim import CronSim, CronSimError

FIELDS = "six fields (second minute hour day month day-of-week, UTC)"
_NAME = r"(?:\d{1,2}|[A-Za-z]{3})"
_TERM = rf"(?:\*|{_NAME}(?:-{_NAME})?)(?:/\d{{1,2}})?"
_FIELD = re.compile(rf"{_TERM}(?:,{_TERM})*")
_OPEN_STEP = re.compile(rf"^({_NAME})/")
_STEPPED_RANGE = re.compile(rf"({_NAME})-({_NAME})/\d+")
_WEEKDAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
_LONGEST = 200


class ScheduleError(ValueError):
    """The text is not an NCRONTAB expression, or names no moment at all."""


def check(expression: str) -> None:
    """Raise `ScheduleError` with the reason unless there is a next moment."""
    next_after(expression, datetime(2000, 1, 1, tzinfo=UTC))


def next_after(expression: str, moment: datetime) -> datetime:
    """The first moment of the schedule that is later than `moment`."""
    return _neighbour(expression, moment, reverse=False)


def last_before(expression: str, moment: datetime) -> datetime:
    """The last moment of the schedule that is earlier than `moment`."""
    return _neighbour(expression, moment, reverse=True)


def _neighbour(expression: str, moment: datetime, *, reverse: bool) -> datetime:
    if moment.tzinfo is None:
        raise ValueError("a schedule is read at an aware moment; this one has no time zone")
    _check_syntax(expression)
    try:
        occurrences = CronSim(_as_ncrontab(expression), moment.astimezone(UTC), reverse=reverse)
    except CronSimError as wrong:
        raise ScheduleError(f"{wrong}; give {FIELDS}") from wrong
    # NCRONTAB wants both the day and the day of the week to match; cron's "or" would run far more often.
    occurrences.day_and = True
    found = next(occurrences, None)
    if found is None:
        raise ScheduleError("no moment matches")
    return found


def _as_ncrontab(expression: str) -> str:
    """Two forms that NCRONTAB reads otherwise than cron does, written so that both mean the same.

    `a-a/b` is only `a`, and `MON/2` ends with Saturday: cron's steps go on to 7, which is Sunday once more.
    """
    *others, weekday = (field for field in expression.split(" ") if field)
    fields = [*others, ",".join(_OPEN_STEP.sub(r"\1-6/", term) for term in weekday.split(","))]
    return " ".join(",".join(map(_one_value, field.split(","))) for field in fields)


def _one_value(term: str) -> str:
    found = _STEPPED_RANGE.fullmatch(term)
    return found[1] if found and _number(found[1]) == _number(found[2]) else term


def _number(name: str) -> str:
    return str(_WEEKDAYS.index(name.upper())) if name.upper() in _WEEKDAYS else name.upper().lstrip("0")


def _check_syntax(expression: str) -> None:
    fields = [field for field in expression.split(" ") if field]  # NCRONTAB refuses tabs and line ends
    if len(fields) != 6:
        raise ScheduleError(f"{len(fields)} fields; give {FIELDS}")
    if len(expression) > _LONGEST:
        raise ScheduleError(f"longer than {_LONGEST} characters")
    for field in fields:
        if not _FIELD.fullmatch(field):
            raise ScheduleError(f"{field} is not a field; use numbers, names, * , - and /")
    if "7" in re.split(r"\D+", fields[5].split("/")[0]):
        raise ScheduleError("day-of-week is 0 (Sunday) to 6")
