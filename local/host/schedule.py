"""When a timer is due: an NCRONTAB expression or a TimeSpan, in the zone of the setting TZ, else in UTC."""

from datetime import UTC, datetime, timedelta, tzinfo

from local.host import ncrontab, timespan
from local.host.errors import FunctionRefused


class Schedule:
    """The schedule of one timer. As in the timer extension, what is not a crontab may be a TimeSpan."""

    def __init__(self, expression: str, function: str, zone: tzinfo = UTC) -> None:
        self.expression, self.zone = expression, zone
        self._crontab: ncrontab.Crontab | None = None
        self._period = timedelta(0)
        try:
            self._crontab = ncrontab.parse(expression)
        except ncrontab.CrontabError as error:
            period_s = timespan.seconds(expression)
            if period_s is None:
                raise FunctionRefused(
                    f"function {function}: the schedule {expression!r} is not valid: {error}"
                ) from None
            if period_s <= 0:  # Azure takes it, and runs the function without a pause
                raise FunctionRefused(
                    f"function {function}: the schedule {expression!r} is not a period longer than nothing"
                ) from None
            self._period = timedelta(seconds=period_s)

    def next_after(self, moment: datetime) -> datetime:
        """The first occurrence strictly after an aware moment, in UTC.

        An hour that a clock skips or repeats is read as the extension reads it: what falls into the gap comes an hour
        later, and of the repeated hour only the second one counts.
        """
        if self._crontab is None:
            return moment + self._period
        local = self._crontab.next_after(moment.astimezone(self.zone).replace(tzinfo=None))
        readings = (local.replace(tzinfo=self.zone, fold=fold).astimezone(UTC) for fold in (0, 1))
        return max(readings)

    @property
    def adjusts_for_dst(self) -> bool:
        return self._crontab is not None

    def more_than_once_a_minute(self, now: datetime) -> bool:
        """True when the host keeps no record of this schedule and so finds no past-due runs."""
        if self._crontab is None:
            return self._period < timedelta(minutes=1)
        if any(field != "*" for field in self.expression.split()[-5:]):
            return False
        return self.next_after(self.next_after(now)) <= now + timedelta(minutes=1)
