"""A year of quiet windows, with days and weeks in the traffic, alarms at most at the configured rate, by slice too."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest

import drift
from shared import loopfile
from shared.verdict import comparison, served_inputs
from shared.verdict.served_inputs import FEWEST_ROWS, MOST_WINDOWS, Window
from tests.engine.world import LOOP

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
DAYS = 365
KINDS = 3


REGIONS = (0.5, 0.3, 0.15, 0.05)
"""Shares of requests: of the third a weekend's window has too few rows to be judged, of the last every window."""
LEAST = 30

Requests = tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]
"""Their amounts, and of which kind each is."""


@dataclass
class Traffic:
    """Requests of one service: level and mix follow the hour and the weekday, and each day has a level of its own."""

    rng: np.random.Generator
    a_day: int
    """Windows."""
    carried: float = 0.0

    def window(self, number: int, shift: float = 0.0) -> Requests:
        """Amounts, and kinds of three, of one window's requests."""
        day, part = divmod(number, self.a_day)
        hour, weekend = 2 * np.pi * part / self.a_day, day % 7 > 4
        if part == 0:
            self.carried = 0.6 * self.carried + self.rng.normal(scale=0.1)
        level = 0.4 * np.sin(hour) + 0.5 * weekend + self.carried + shift
        size = max(FEWEST_ROWS, int(self.rng.poisson(120 * (1.5 + np.cos(hour)) * (0.6 if weekend else 1))))
        shares = np.array([0.5 - 0.2 * weekend, 0.3 + 0.1 * np.sin(hour), 0.0])
        shares[2] = 1 - shares.sum()
        return level + self.rng.normal(size=size), self.rng.choice(KINDS, size, p=shares)


def far(reference: Requests, window: Requests) -> dict[str, float]:
    """What `drift.history.distance` is made of, from the values themselves."""
    amounts, kinds = window
    places = np.searchsorted(reference[0], np.sort(amounts)) / len(reference[0])
    steps = np.arange(1, len(amounts) + 1) / len(amounts)
    shares = [np.bincount(k, minlength=KINDS) / len(k) for k in (reference[1], kinds)]
    return {
        "amount": float(max(np.abs(places - steps).max(), np.abs(places - steps + 1 / len(amounts)).max())),
        "kind": float(np.abs(shares[0] - shares[1]).sum() / 2),
    }


def by_region(rows: Requests, regions: npt.NDArray[np.int64]) -> list[Requests]:
    """All rows, and those of each region."""
    return [rows, *((rows[0][regions == one], rows[1][regions == one]) for one in range(len(REGIONS)))]


def far_by_region(references: list[Requests], windows: list[Requests]) -> dict[str, float]:
    """`far` of the whole and of each region of enough rows, as `drift.history.distances` names them."""
    found = far(references[0], windows[0])
    for region, (before, now) in enumerate(zip(references[1:], windows[1:], strict=True)):
        if len(now[0]) >= LEAST:
            apart = far(before, now)
            found |= {f"region={region}: {column}": one for column, one in apart.items()}
    return found


def judged(number: int, a_day: int, distances: dict[str, float]) -> Window:
    """The window of this number since the champion went live."""
    since, until = (BEGIN + n * timedelta(days=1) / a_day for n in (number, number + 1))
    return Window(since.isoformat(), until.isoformat(), 1, FEWEST_ROWS, distances=distances)


def ranked(a_day: int, rate: float, seed: int, shift: float = 0.0, days: int = DAYS) -> list[bool]:
    """Whether each window of a year is unusual, beside eight weeks of training data."""
    traffic = Traffic(np.random.default_rng(seed), a_day)
    training = [traffic.window(n) for n in range(56 * a_day)]
    reference = np.sort(np.concatenate([w[0] for w in training])), np.concatenate([w[1] for w in training])
    past, found = list[Window](), list[bool]()
    for number in range(days * a_day):
        moved = shift if number >= (days - 7) * a_day else 0.0
        distances = far(reference, traffic.window(56 * a_day + number, moved))
        window = judged(number, a_day, distances)
        found.append(served_inputs._place(past, window, distances, rate)[1])
        past = [*past, window][-MOST_WINDOWS:]
    return found


def ranked_by_region(
    rate: float, seed: int, shift: float = 0.0, days: int = DAYS, a_day: int = 1
) -> list[tuple[bool, str]]:
    """Whether each window of a year is unusual, and where most: level and mix of each region follow the hour and the
    weekday and carry on, as those of all do; the second region moves by `shift` in the last week."""
    traffic, rng = Traffic(np.random.default_rng(seed), a_day), np.random.default_rng([seed, 1])
    carried = np.zeros(len(REGIONS))

    def window(number: int, moved: float = 0.0) -> tuple[Any, npt.NDArray[np.int64]]:
        nonlocal carried
        (amounts, kinds), weekend = traffic.window(number), number // a_day % 7 > 4
        carried = 0.6 * carried + rng.normal(scale=0.1, size=len(REGIONS))
        mix = np.array(REGIONS) + (np.array([0.1, -0.03, -0.05, -0.02]) if weekend else 0.0)
        regions = rng.choice(len(REGIONS), len(amounts), p=mix)
        return (amounts + carried[regions] + moved * (regions == 1), kinds), regions

    training = [window(n) for n in range(56 * a_day)]
    amounts, kinds = (np.concatenate([w[0][part] for w in training]) for part in (0, 1))
    regions = np.concatenate([w[1] for w in training])
    references = [(np.sort(one[0]), one[1]) for one in by_region((amounts, kinds), regions)]
    past, found = list[Window](), list[tuple[bool, str]]()
    for number in range(days * a_day):
        now, regions = window(56 * a_day + number, shift if number >= (days - 7) * a_day else 0.0)
        distances = far_by_region(references, by_region(now, regions))
        one = judged(number, a_day, distances)
        told, alarm = served_inputs._place(past, one, distances, rate)
        found.append((alarm, str(told.facts.get("column", ""))))
        past = [*past, one][-MOST_WINDOWS:]
    return found


def test_a_year_of_quiet_windows_alarms_at_most_at_the_rate_over_all_slices_together() -> None:
    """The rank is of the largest of all columns in all slices, so that many slices are no more chances to alarm."""
    rate, services = 0.1, 2
    alarms = [alarm for seed in range(services) for alarm, _ in ranked_by_region(rate, seed)]
    slack = 3 * np.sqrt(rate * (1 - rate) * 2 / len(alarms))
    assert 0.2 * rate < np.mean(alarms) <= rate + slack


def test_a_change_of_one_slice_within_a_year_of_them_is_seen_at_once() -> None:
    """The whole, of which the slice is three in ten, moves by less than its days do."""
    found = [ranked_by_region(0.1, seed, shift=1.5, days=120)[-7:-5] for seed in range(8)]
    assert sum(any(alarm and column == "region=1: amount" for alarm, column in one) for one in found) >= 7


@pytest.mark.soak
@pytest.mark.parametrize(("a_day", "rate", "services"), [(1, 0.1, 40), (1, 0.05, 40), (4, 0.1, 6)])
def test_many_services_by_slice(a_day: int, rate: float, services: int) -> None:
    alarms = [
        np.mean([alarm for alarm, _ in ranked_by_region(rate, seed, a_day=a_day)])
        for seed in range(100, 100 + services)
    ]
    print(f"by slice, {a_day} a day at {rate:.0%}: {np.mean(alarms):.2%} of {services} years' windows alarm")
    assert np.mean(alarms) <= rate + 3 * np.std(alarms, ddof=1) / np.sqrt(services)


@pytest.mark.parametrize(("a_day", "rate", "services"), [(1, 0.1, 4), (4, 0.05, 1)])
def test_a_year_of_quiet_windows_alarms_at_most_at_the_rate(a_day: int, rate: float, services: int) -> None:
    """The rank is exchangeable but for cycles and the level that days carry on; what that adds is small."""
    alarms = np.concatenate([ranked(a_day, rate, seed) for seed in range(services)])
    slack = 3 * np.sqrt(rate * (1 - rate) * 2 / len(alarms))
    assert 0.2 * rate < alarms.mean() <= rate + slack


def test_a_change_within_a_year_of_them_is_seen_at_once() -> None:
    found = [any(ranked(1, 0.1, seed, shift=1.5, days=120)[-7:-5]) for seed in range(8)]
    assert sum(found) >= 7


@pytest.mark.soak
@pytest.mark.parametrize(
    ("a_day", "rate", "services"), [(1, 0.1, 40), (1, 0.05, 40), (4, 0.1, 40), (24, 0.02, 6)]
)
def test_many_services(a_day: int, rate: float, services: int) -> None:
    alarms = np.array([np.mean(ranked(a_day, rate, seed)) for seed in range(100, 100 + services)])
    print(f"{a_day} a day at {rate:.0%}: {alarms.mean():.2%} of {len(alarms)} years' windows alarm")
    assert alarms.mean() <= rate + 3 * alarms.std(ddof=1) / np.sqrt(len(alarms))


def frame(window: Requests) -> pd.DataFrame:
    return pd.DataFrame({"amount": window[0], "kind": [("home", "work", "shop")[k] for k in window[1]]})


@pytest.mark.soak
def test_windows_whose_profiles_are_compared_alarm_at_most_at_the_rate() -> None:
    """The whole way: profiles on the champion's grid, their report, its distances, the rank and the tolerances."""
    definition, alarms = loopfile.parse(LOOP, file="loop.yaml"), list[bool]()
    for seed in range(6):
        traffic = Traffic(np.random.default_rng(seed), 1)
        reference = drift.profile(pd.concat([frame(traffic.window(n)) for n in range(56)]))
        past = list[Window]()
        for number in range(DAYS):
            current = drift.profile(frame(traffic.window(56 + number)), grid=reference)
            report = comparison.between(reference, current, definition)
            distances = comparison.distances_of(report)
            window = judged(number, 1, distances)
            alarms.append(served_inputs._place(past, window, distances, 0.1)[1])
            past = [*past, window][-MOST_WINDOWS:]
    print(f"profiles compared: {np.mean(alarms):.2%} of {len(alarms)} windows alarm")
    assert 0.02 < np.mean(alarms) <= 0.1 + 3 * np.sqrt(0.1 * 0.9 * 2 / len(alarms))
