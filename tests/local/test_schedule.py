"""The host's schedules mean the moments that NCrontab means, and the product's own reader agrees with both."""

from __future__ import annotations

import csv
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from local.host import timespan
from local.host.errors import AppRefused
from local.host.schedule import Schedule
from shared.retraining import cron as product

RECORDED = Path(__file__).parents[3] / "shared" / "facts" / "cron.csv"

# Answers of NCrontab 3.4.0, from recorded runs of the timer extension.
AGREED = [
    ("0 0 0 * * MON/2", "2024-01-31T23:59:59", "2024-02-02 2024-02-05 2024-02-07"),
    ("0 0 0 * * 6/1", "2024-01-31T23:59:59", "2024-02-03 2024-02-10 2024-02-17"),
    ("0 0 10-10/20 * * *", "2024-01-31T23:59:59", "2024-02-01T10:00 2024-02-02T10:00 2024-02-03T10:00"),
    ("*/30 5 * * * *", "2024-01-31T12:00:10", "2024-01-31T12:05:00 2024-01-31T12:05:30 2024-01-31T13:05:00"),
    ("0 0 0 29 2 MON", "2024-03-01T00:00:00", "2044-02-29 2072-02-29 2112-02-29"),
    ("0 0 3 13 * FRI", "2026-11-21T12:00:00", "2027-08-13T03:00 2028-10-13T03:00 2029-04-13T03:00"),
    ("0 */60 * * * *", "2024-01-31T23:59:59", "2024-02-01T00:00 2024-02-01T01:00 2024-02-01T02:00"),
]
# What the host takes and a loop file may not say: each would surprise its writer.
HOST_ALONE = [
    ("*/5 * * * *", "2024-01-31T12:00:10", "2024-01-31T12:05 2024-01-31T12:10 2024-01-31T12:15"),
    ("0 0 9 * * FRI-MON", "2024-02-03T00:00:00", "2024-02-05T09:00 2024-02-06T09:00 2024-02-07T09:00"),
    ("0 0 22-20 * * *", "2024-02-03T00:00:00", "2024-02-03T20:00 2024-02-03T21:00 2024-02-03T22:00"),
    ("0 0 0 1 january M", "2024-02-03T00:00:00", "2029-01-01 2035-01-01 2046-01-01"),
    ("0 0 */0 * * *", "2024-02-03T00:00:00", "2024-02-03T01:00 2024-02-03T02:00 2024-02-03T03:00"),
    ("00:05:00", "2024-02-03T00:00:07", "2024-02-03T00:05:07 2024-02-03T00:10:07 2024-02-03T00:15:07"),
    ("24:00:00", "2024-02-03T00:00:00", "2024-02-27 2024-03-22 2024-04-15"),
]
REFUSED = [
    "0\t0 0 * * *", "0 0 0 * * *\n", "\u00a00 0 0 * * *", "0 0 0 * * 7", "0 0 0 * * 6-7", "0 0 0 L * *", "0 0 0 ? * *",
    "0 0 0 * * MON#2", "0 0 0 MON * *", "0 0 0 30 2 *", "60 * * * * *", "*-5 * * * * *", "1, 2 * * * * *", "@daily",
    "0 0 0 1 * * 2027", "00:60:00", "0.5", "", "\u0663 * * * * *",
]  # fmt: skip


def occurrences(expression: str, moment: str, count: int = 3) -> list[str]:
    """What the host makes of it; empty when it refuses."""
    try:
        schedule = Schedule(expression, "timer")
    except AppRefused:
        return []
    found, at = [], datetime.fromisoformat(moment or "2026-11-28T12:00:00").replace(tzinfo=UTC)
    for _ in range(count):
        at = schedule.next_after(at)
        found.append(at.replace(tzinfo=None).isoformat())
    return found


def written(text: str) -> list[str]:
    return [datetime.fromisoformat(moment).isoformat() for moment in text.split()]


@pytest.mark.parametrize(("expression", "moment", "expected"), AGREED + HOST_ALONE)
def test_what_azure_takes_comes_when_it_comes_there(expression: str, moment: str, expected: str) -> None:
    assert occurrences(expression, moment) == written(expected)


@pytest.mark.parametrize("expression", REFUSED)
def test_what_azure_refuses_is_refused_here_and_in_loop_files(expression: str) -> None:
    assert occurrences(expression, "") == []
    with pytest.raises(product.ScheduleError):
        product.check(expression)


@pytest.mark.parametrize(("expression", "moment", "expected"), AGREED)
def test_a_loop_file_means_the_same_moments(expression: str, moment: str, expected: str) -> None:
    found, at = [], datetime.fromisoformat(moment).replace(tzinfo=UTC)
    for _ in range(3):
        at = product.next_after(expression, at)
        found.append(at.replace(tzinfo=None).isoformat())
    assert found == written(expected)


@pytest.mark.skipif(
    not RECORDED.exists(),
    reason="the record beside the clone, shared/facts/cron.csv, is not part of the project",
)
def test_every_recorded_answer_of_the_real_library() -> None:
    with RECORDED.open(newline="") as file:
        rows = [(e, m, [] if a == "refused" else a.split()) for e, m, a in list(csv.reader(file))[1:]]
    differ = [(e, m, a, found) for e, m, a in rows if (found := occurrences(e, m, len(a) or 1)) != a]
    assert differ == []
    product_differs, compared = [], 0
    for expression, moment, answer in rows:
        found, at = list[str](), datetime.fromisoformat(moment or "2026-11-28T12:00:00").replace(tzinfo=UTC)
        try:
            for _ in answer or [""]:
                at = product.next_after(expression, at)
                found.append(at.replace(tzinfo=None).isoformat())
        except product.ScheduleError:
            continue  # a loop file may say less
        compared += 1
        if found != answer:
            product_differs.append((expression, moment, answer, found))
    assert product_differs == []
    assert len(rows) > 400 and compared > 100


@pytest.mark.parametrize(
    ("text", "expected"),
    [("00:10:00", 600), ("1.02:03:04.5", 93784.5), ("25:00:00", 25 * 86400), ("10", 864000), ("-00:05:00", -300),
     ("00:00:99", None), ("2s", None), ("1:2:3:4", 93784), ("5 minutes", None), ("00:10", 600), ("", None)],
)  # fmt: skip
def test_a_timespan_is_read_as_net_reads_it(text: str, expected: float | None) -> None:
    assert timespan.seconds(text) == expected


@pytest.mark.parametrize(
    ("expression", "moment", "expected"),
    [
        (
            "0 30 2 * * *",
            "2026-03-28T12:00:00+00:00",
            "2026-03-29T01:30:00+00:00",
        ),  # 02:30 is skipped: 03:30 CEST
        ("0 30 2 * * *", "2026-03-29T01:29:00+00:00", "2026-03-30T00:30:00+00:00"),
        ("0 30 2 * * *", "2026-10-24T12:00:00+00:00", "2026-10-25T01:30:00+00:00"),  # the second 02:30
        (
            "0 * * * * *",
            "2026-10-25T00:58:40+00:00",
            "2026-10-25T01:59:00+00:00",
        ),  # the repeated hour is lost
    ],
)
def test_a_zone_is_read_with_its_two_odd_nights(expression: str, moment: str, expected: str) -> None:
    schedule = Schedule(expression, "timer", ZoneInfo("Europe/Berlin"))
    assert schedule.next_after(datetime.fromisoformat(moment)) == datetime.fromisoformat(expected)
