"""Six-field NCRONTAB: second minute hour day month day-of-week, in UTC, as the timer trigger reads it."""

import re
from datetime import datetime, timedelta

from cronsim import CronSim, CronSimError

from local.host.errors import AppRefused

_PART = r"(\*|[0-9]+|[A-Za-z]{3})(-([0-9]+|[A-Za-z]{3}))?(/[0-9]+)?"
_FIELD = re.compile(rf"^{_PART}(,{_PART})*$")


class Schedule:
    """When a timer is due."""

    def __init__(self, expression: str, function: str) -> None:
        self.expression = expression
        fields = expression.split()
        if len(fields) != 6:
            raise AppRefused(
                f"function {function}: the schedule {expression!r} has {len(fields)} fields; NCRONTAB has "
                "six: second minute hour day month day-of-week"
            )
        # cron libraries know more than NCRONTAB does (L, W, #, ?, Sunday as 7): the host refuses those.
        for field in fields:
            if not _FIELD.match(field):
                raise AppRefused(f"function {function}: NCRONTAB does not know {field!r} in {expression!r}")
        if re.search(r"(^|[,-])7([,/-]|$)", fields[5]):
            raise AppRefused(f"function {function}: {expression!r}: day-of-week is 0 (Sunday) to 6, not 7")
        try:
            self.next_after(datetime(2024, 1, 1))  # noqa: DTZ001 - any instant will do to try the expression
        except (CronSimError, StopIteration) as error:
            raise AppRefused(
                f"function {function}: the schedule {expression!r} is not valid: {error}"
            ) from None

    def next_after(self, moment: datetime) -> datetime:
        """The first occurrence strictly after a moment."""
        simulation = CronSim(self.expression, moment)
        simulation.day_and = True  # NCRONTAB wants both days to match where cron takes either
        return next(simulation)

    def more_than_once_a_minute(self, now: datetime) -> bool:
        """True when the host keeps no record of this schedule and so finds no past-due runs."""
        if any(field != "*" for field in self.expression.split()[1:]):
            return False
        second = self.next_after(self.next_after(now))
        return second <= now + timedelta(minutes=1)
