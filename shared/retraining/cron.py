"""A six-field NCRONTAB expression means the same moments here as in Azure Functions, always in UTC."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from cronsim import CronSim, CronSimError

FIELDS = "six fields (second minute hour day month day-of-week, UTC)"
_NAME = r"(?:\d{1,2}|[A-Za-z]{3})"
_TERM = rf"(?:\*|{_NAME}(?:-{_NAME})?)(?:/\d{{1,2}})?"
_FIELD = re.compile(rf"{_TERM}(?:,{_TERM})*")
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
        occurrences = CronSim(expression, moment.astimezone(UTC), reverse=reverse)
    except CronSimError as wrong:
        raise ScheduleError(f"{wrong}; give {FIELDS}") from wrong
    # NCRONTAB wants both the day and the day of the week to match; cron's "or" would run far more often.
    occurrences.day_and = True
    found = next(occurrences, None)
    if found is None:
        raise ScheduleError("no moment matches")
    return found


def _check_syntax(expression: str) -> None:
    fields = expression.split()
    if len(fields) != 6:
        raise ScheduleError(f"{len(fields)} fields; give {FIELDS}")
    if len(expression) > _LONGEST:
        raise ScheduleError(f"longer than {_LONGEST} characters")
    for field in fields:
        if not _FIELD.fullmatch(field):
            raise ScheduleError(f"{field} is no field; use numbers, names, * , - and /")
    if "7" in re.split(r"\D+", fields[5].split("/")[0]):
        raise ScheduleError("day-of-week is 0 (Sunday) to 6")
