"""A folder that becomes complete by its quiet time is one version, whatever goes wrong at whichever call."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from shared.domain.version import DataVersion
from shared.runtime import unit_of_work
from shared.state import rows
from tests.simulator.life import LOOP, SIMULATED, Life, birds
from tests.simulator.reader import reading_in_process

QUIET = LOOP.replace("landing: landing/birds/", "landing: landing/birds/, complete: {quiet: 60s}").replace(
    'retrain: {cooldown: 1s, alerts: ["birds-*"], ', "retrain: {on: [], "
)
FILES = 3


@pytest.fixture(autouse=True, scope="module")
def reader() -> Iterator[None]:
    with reading_in_process():
        yield


@dataclass
class Told:
    """How a life with one folder went."""

    calls: list[str] = field(default_factory=list)
    rows: list[int] = field(default_factory=list)
    left: int = 0


def lived(faults: dict[int, str], *, lost: float = 0.0, workers: int = 1) -> Told:
    life = Life(faults, plan=QUIET, lost=lost, duplicates=0.3, workers=workers)
    for number in range(FILES):
        life.drop(f"2007/part-{number}.csv", birds(number, 1.0))
        for _ in range(3):
            life.round()
    for number in range(75 if lost else 25):  # the sweep takes what has been still for five minutes
        life.round(sweep=number % 8 == 7)
    unit = unit_of_work.read(life.real, "birds")
    found = [rows.decode(DataVersion, row) for row in life.real.store.range("birds", "version-", limit=9)]
    return Told(life.calls, [one.rows for one in found], len(unit.state.folders) + len(unit.state.set_aside))


def test_one_version_whatever_goes_wrong_at_whichever_call() -> None:
    quiet = lived({})
    whole = Told(quiet.calls, [60 * FILES], 0)
    assert quiet == whole
    ends = next(n for n, call in enumerate(quiet.calls) if call == "blobs.download_all")
    for place, fault in enumerate(SIMULATED):
        for point in range(place, min(ends + 30, len(quiet.calls)), 11):  # each at other calls
            found = lived({point: fault}, workers=2 if fault == "asleep" else 1)
            assert (found.rows, found.left) == (whole.rows, 0), (point, fault)


def test_events_that_are_lost_are_found_and_the_folder_is_one_version() -> None:
    assert lived({}, lost=1.0).rows == [60 * FILES]
