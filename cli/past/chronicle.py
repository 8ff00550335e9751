"""What happened: drops that landed, alerts that fired, inputs that were served; each at its time."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd

from shared.errors import ConfigurationError
from shared.memory.manual_clock import DAWN
from shared.verdict import predictions

AT = "at"
"""The column of an alert's or a request's time: ISO 8601, UTC where it names no zone."""

RULE, CONDITION = "rule", "condition"
CONDITIONS = ("Fired", "Resolved")


@dataclass(frozen=True)
class Alert:
    """One alert of Azure Monitor, as it fired or was resolved."""

    at: datetime
    rule: str
    condition: str
    fired_at: datetime
    """Of a resolved one: when the newest of this rule had fired."""


@dataclass(frozen=True)
class Served:
    """Inputs that were served, in order of time, each with the row that was asked about."""

    times: tuple[datetime, ...] = ()
    rows: tuple[Mapping[str, object], ...] = ()


@dataclass(frozen=True)
class History:
    """All that happened, in order of time."""

    drops: tuple[tuple[datetime, Path], ...]
    alerts: tuple[Alert, ...] = ()
    served: Served = Served()

    @property
    def begins(self) -> datetime:
        """The loop is published as long before the first drop as the second comes after it, and before all else."""
        first, second = self.drops[0][0], self.drops[1][0]
        return min([first - (second - first), *self._others])

    @property
    def ends(self) -> datetime:
        return max([self.drops[-1][0], *self._others])

    @property
    def _others(self) -> list[datetime]:
        return [*(alert.at for alert in self.alerts), *self.served.times[:1], *self.served.times[-1:]]


def read(
    drops: Path,
    every: timedelta,
    began: datetime | None = None,
    alerts: Path | None = None,
    served: Path | None = None,
) -> History:
    """The drops of a folder in order of name, the first at `began`; beside them what two files say, if given."""
    files = sorted(
        file for file in drops.iterdir() if file.is_file() and not file.name.startswith((".", "_"))
    )
    if len(files) < 2:
        raise ConfigurationError(f"{drops} holds {len(files)} files; a backtest needs at least two drops")
    if began is None and (alerts or served):
        raise ConfigurationError(
            "--alerts and --served have times of their own: say with --began when the first drop landed"
        )
    first = began or DAWN + every
    landed = tuple((first + number * every, file) for number, file in enumerate(files))
    return History(landed, _alerts(alerts) if alerts else (), read_served(served) if served else Served())


def moment(text: str, where: str) -> datetime:
    """A moment in UTC; `where` it stands is named when it is none."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise ConfigurationError(
            f"{where}: {text!r} is not an ISO 8601 moment; expected 2026-11-20T15:00:00Z"
        ) from error
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)


@contextmanager
def _readable(file: Path) -> Iterator[None]:
    """What pandas, pyarrow or csv say of a file that is not what its name promises names no file."""
    try:
        yield
    except (ValueError, csv.Error) as error:
        raise ConfigurationError(f"{file} cannot be read: {error}") from error


def _alerts(file: Path) -> tuple[Alert, ...]:
    with _readable(file):
        found = sorted(_lines(file), key=lambda one: one[0])
    fired: dict[str, datetime] = {}
    alerts = []
    for at, rule, condition in found:
        if condition == CONDITIONS[0]:
            fired[rule] = at
        alerts.append(Alert(at, rule, condition, fired.get(rule, at)))
    return tuple(alerts)


def _lines(file: Path) -> Iterator[tuple[datetime, str, str]]:
    with file.open(newline="", encoding="utf-8-sig") as text:
        reader = csv.DictReader(text)
        if missing := [name for name in (AT, RULE) if name not in (reader.fieldnames or ())]:
            raise ConfigurationError(
                f"{file}: no column {' and no column '.join(missing)}; expected {AT},{RULE},{CONDITION}"
            )
        for line in reader:
            where = f"{file}:{reader.line_num}"
            condition = line.get(CONDITION) or CONDITIONS[0]
            if not line[RULE] or condition not in CONDITIONS:
                raise ConfigurationError(
                    f"{where}: rule {line[RULE]!r}, condition {condition!r}; expected the name of an alert rule, and "
                    f"{' or '.join(CONDITIONS)}"
                )
            yield moment(line[AT] or "", where), line[RULE], condition


def read_served(file: Path) -> Served:
    """A CSV or Parquet file: a column `at`, and the columns of a request."""
    with _readable(file):
        frame = pd.read_parquet(file) if file.suffix == ".parquet" else pd.read_csv(file)
    if AT not in frame.columns:
        raise ConfigurationError(f"{file}: no column {AT}, the time of each request")
    times = [
        moment(str(value), f"{file}: request {number}") for number, value in enumerate(frame[AT], start=1)
    ]
    ordered = sorted(range(len(times)), key=times.__getitem__)
    inputs = frame.drop(columns=AT)
    rows = [dict(zip(inputs.columns, row, strict=True)) for row in predictions.sent(inputs)]
    return Served(tuple(times[n] for n in ordered), tuple(rows[n] for n in ordered))
