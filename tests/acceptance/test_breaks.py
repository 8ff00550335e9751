"""Each way to break a running loop: what status, pages and doctor say of it within a minute."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest

from cli import doctor
from shared.settings import Settings
from tests.acceptance import breaks
from tests.acceptance.breaks import BREAKS, LOOP, ROUNDS, Break
from tests.acceptance.conftest import App, season
from tests.acceptance.night import Night, Said

MINUTE_S = 60


@pytest.fixture(scope="module")
def night(app: App) -> Night:
    """A loop whose first model is live."""
    app.publish(LOOP, "data.labels=labels/night/", "data.id=row_id", "metric.name=f1_macro")
    app.drop(LOOP, "2007.csv", season(2007))
    app.live(LOOP)
    return Night(app, Settings.from_environment(os.environ))


@pytest.fixture(scope="module")
def said(night: Night) -> Iterator[dict[str, Said]]:
    """By break, what was said; each round is broken when the first of it is asked for, and mended after."""
    yield Rounds(night)


class Rounds(dict[str, Said]):
    def __init__(self, night: Night) -> None:
        super().__init__()
        self._night = night

    def __missing__(self, name: str) -> Said:
        broken = next(each for each in ROUNDS if any(one.name == name for one in each))
        for one, found in zip(broken, _broken(self._night, broken), strict=True):
            self[one.name] = found
        return self[name]


def _broken(night: Night, broken: tuple[Break, ...]) -> list[Said]:
    """All of a round is done, then looked at until each is told, or a minute is over; then mended, the last first."""
    commands = [getattr(night, one.how)() or "" for one in broken]
    if any(one.by_sweep for one in broken):
        night.sweep()
    by_doctor = any(one.doctor[0] for one in broken)
    deadline = time.monotonic() + MINUTE_S
    looks = any(one.status or one.on_page or one.doctor[0] for one in broken)
    while True:
        seen = night.look() if looks else Said()
        found = [replace(seen, command=told) for told in commands]
        lacking = {place for one, row in zip(found, broken, strict=True) for place in one.lacks(row)}
        if by_doctor and lacking <= {"doctor"}:  # it takes the longest, so it is asked last
            found = [replace(one, doctor=told) for told in [night.doctor()] for one in found]
            lacking = {place for one, row in zip(found, broken, strict=True) for place in one.lacks(row)}
        if not lacking:
            break
        if time.monotonic() > deadline:
            break
        time.sleep(0.5)
    for one in reversed(broken):
        if one.undo:
            getattr(night, one.undo)()
    return found


@pytest.mark.soak  # three minutes of two cores
@pytest.mark.parametrize("row", BREAKS, ids=lambda row: row.how)
def test_what_is_broken_is_said_within_a_minute(
    row: Break, said: dict[str, Said], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    if row in breaks.STOPPED:
        monkeypatch.setattr(doctor, "LATE", timedelta(seconds=3))  # five minutes are no test's
    found = said[row.name]
    assert found.lacks(row) == [], "\n".join([found.command, found.status, found.page, str(found.doctor)])


@pytest.mark.soak
def test_the_loop_is_restored_after_all_of_it(night: Night, said: dict[str, Said]) -> None:
    """The endpoint is the last thing that was deleted; the app is started again, and does what it was asked for."""
    assert said[BREAKS[-1].name]
    night.azure.start_host()
    night.run("resume", LOOP)
    assert "started" in night.run("restore", LOOP)
    night.app.wait(LOOP, lambda status: status["state"]["open_release"] is None)
    assert "live" in night.run("status", LOOP).splitlines()[0]


def test_the_document_is_the_table() -> None:
    assert breaks.DOCUMENT.read_text() == breaks.document(), "run: python -m tests.acceptance.breaks"
    assert sorted(row.how for rows in breaks._TITLES.values() for row in rows) == sorted(
        row.how for row in BREAKS
    )
