"""Schedules mean the moments that Azure Functions would run at, in UTC."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.retraining import cron

NOON = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)  # a Saturday


@pytest.mark.parametrize(
    ("expression", "after", "before"),
    [
        ("0 0 3 * * 1", "2026-11-23T03:00:00", "2026-11-16T03:00:00"),
        ("*/30 * * * * *", "2026-11-21T12:00:30", "2026-11-21T11:59:30"),
        ("0 0 12 * * *", "2026-11-22T12:00:00", "2026-11-20T12:00:00"),
        ("0 0 0 29 FEB *", "2028-02-29T00:00:00", "2024-02-29T00:00:00"),
        ("0 0 3 13 * FRI", "2027-08-13T03:00:00", "2026-11-13T03:00:00"),
        ("0 0 9-17/4 * * Mon-Fri", "2026-11-23T09:00:00", "2026-11-20T17:00:00"),
    ],
)
def test_neighbours(expression: str, after: str, before: str) -> None:
    assert cron.next_after(expression, NOON).isoformat() == f"{after}+00:00"
    assert cron.last_before(expression, NOON).isoformat() == f"{before}+00:00"


@pytest.mark.parametrize(
    ("expression", "reason"),
    [
        ("", "^0 fields; give six fields"),
        ("* * * * *", "^5 fields; give six fields"),
        ("0,0 " * 60, "^60 fields; give six fields"),
        ("0 0 3 * * 7", r"^day-of-week is 0 \(Sunday\) to 6"),
        ("0 0 3 L * *", "^L is no"),
        ("0 0 3 * * 1#2", "^1#2 is no"),
        ("a b c d e f", "^a is no"),
        ("0 0 3 * * " + "1," * 100 + "1", "^longer than 200 characters"),
        ("60 * * * * *", "^Bad second; give six fields"),
        ("0 0 24 * * *", "^Bad hour; give six fields"),
        ("*/0 * * * * *", "^Bad second; give six fields"),
        ("0 0 0 1-0 * *", "^Bad day-of-month; give six fields"),
        ("0 0 0 30 2 *", "^Bad day-of-month; give six fields"),
        ("0 0 0 31 4 1", "^no moment matches$"),
    ],
)
def test_what_is_not_a_schedule_is_refused_with_its_reason(expression: str, reason: str) -> None:
    with pytest.raises(cron.ScheduleError, match=reason):
        cron.check(expression)


def test_other_zones_are_read_as_their_moment() -> None:
    india = NOON.astimezone(timezone(timedelta(hours=5, minutes=30)))
    assert cron.next_after("0 0 12 * * *", india) == cron.next_after("0 0 12 * * *", NOON)


def test_a_moment_without_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="time zone"):
        cron.next_after("0 0 12 * * *", datetime(2026, 1, 1))  # noqa: DTZ001  # it is what is refused


@given(st.timedeltas(timedelta(0), timedelta(days=36_500)))
def test_neighbours_lie_on_their_sides_and_meet(since: timedelta) -> None:
    moment = datetime(2000, 1, 1, tzinfo=UTC) + since
    for expression in ("0 */7 * * * *", "15 30 2 * * 1-5", "0 0 0 1 * *"):
        after, before = cron.next_after(expression, moment), cron.last_before(expression, moment)
        assert before < moment < after
        assert cron.next_after(expression, before) in (after, moment)
