"""NCrontab's reading of a six-field expression, its surprises included, as its source and its answers show it.

A range that runs backwards is turned round (`FRI-MON` is Monday to Friday), a name may be any beginning of a full
name (`M`, `Tues`), a step below one is one, and `a-a/b` is only `a`. Both days must match.
"""

import calendar
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property

_MONTHS = tuple(calendar.month_name)[1:]
_DAYS = (calendar.day_name[6], *tuple(calendar.day_name)[:6])
_STEP = re.compile(r"[+-]?[0-9]{1,9}")
_NUMBER = re.compile(r"[0-9]{1,9}")
_CYCLE_YEARS = 400
"""The calendar repeats after so many years: what does not come within them never comes."""


class CrontabError(ValueError):
    """The text is not an NCRONTAB expression."""


@dataclass(frozen=True)
class _Field:
    name: str
    least: int
    most: int
    names: tuple[str, ...] = ()

    def values(self, text: str) -> frozenset[int]:
        """The numbers that a field names."""
        found: set[int] = set()
        for part in text.split(","):
            found |= self._part(part)
        return frozenset(found)

    def _part(self, part: str) -> set[int]:
        body, slash, step_text = part.partition("/")
        if slash and not _STEP.fullmatch(step_text):
            raise CrontabError(f"{part!r} in the field {self.name} has no whole number as its step")
        step = max(1, int(step_text)) if slash else 1
        if body == "*":
            return set(range(self.least, self.most + 1, step))
        first_text, dash, last_text = body.partition("-")
        first = self._value(first_text, part)
        open_end = self.most if slash else first
        last = self._value(last_text, part) if dash else open_end
        return set(range(min(first, last), max(first, last) + 1, step))

    def _value(self, text: str, part: str) -> int:
        if _NUMBER.fullmatch(text):
            value = int(text)
        else:
            named = [n for n, name in enumerate(self.names) if text and name.lower().startswith(text.lower())]
            if not named:
                raise CrontabError(f"NCRONTAB does not know {part!r} in the field {self.name}")
            value = named[0] + self.least
        if not self.least <= value <= self.most:
            raise CrontabError(f"{part!r} in the field {self.name} is not within {self.least} to {self.most}")
        return value


_FIELDS = (
    _Field("second", 0, 59),
    _Field("minute", 0, 59),
    _Field("hour", 0, 23),
    _Field("day", 1, 31),
    _Field("month", 1, 12, _MONTHS),
    _Field("day-of-week", 0, 6, _DAYS),
)


@dataclass(frozen=True)
class Crontab:
    """The moments of one expression, in whatever time zone the caller means."""

    fields: tuple[frozenset[int], ...]

    def next_after(self, moment: datetime) -> datetime:
        """The first moment strictly later than `moment`, which is naive; CrontabError when there is none."""
        start = moment.replace(microsecond=0) + timedelta(seconds=1)
        for day in self._days(start):
            least = (start.hour, start.minute, start.second) if day.date() == start.date() else (0, 0, 0)
            found = self._time_from(least)
            if found is not None:
                return day + found
        raise CrontabError("no moment matches")

    def _time_from(self, least: tuple[int, int, int]) -> timedelta | None:
        """The first time of day that is not before `least`."""
        for hour in (h for h in self._sorted[2] if h >= least[0]):
            for minute in (m for m in self._sorted[1] if (hour, m) >= least[:2]):
                for second in (s for s in self._sorted[0] if (hour, minute, s) >= least):
                    return timedelta(hours=hour, minutes=minute, seconds=second)
        return None

    def _days(self, start: datetime) -> Iterator[datetime]:
        _, _, _, days, months, weekdays = self.fields
        for year in range(start.year, min(start.year + _CYCLE_YEARS, 9999) + 1):
            for month in sorted(months):
                if (year, month) < (start.year, start.month):
                    continue
                last = calendar.monthrange(year, month)[1]
                for day in sorted(d for d in days if d <= last):
                    found = datetime(year, month, day)  # noqa: DTZ001 - the caller knows the zone
                    if found.date() >= start.date() and found.isoweekday() % 7 in weekdays:
                        yield found

    @cached_property
    def _sorted(self) -> list[list[int]]:
        return [sorted(values) for values in self.fields]


def parse(expression: str) -> Crontab:
    """Read six fields, or five for "at second 0"; only blanks stand between fields, as in NCrontab."""
    fields = [field for field in expression.split(" ") if field]
    if len(fields) == 5:
        fields = ["0", *fields]
    if len(fields) != 6:
        raise CrontabError(
            f"it has {len(fields)} fields; NCRONTAB has six: second minute hour day month day-of-week"
        )
    read = Crontab(tuple(field.values(text) for field, text in zip(_FIELDS, fields, strict=True)))
    read.next_after(datetime(2024, 1, 1))  # noqa: DTZ001 - any instant will do to try the expression
    return read
