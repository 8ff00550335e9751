"""A life that forks from the calm one is the life that its case tells alone, to the last call."""

from __future__ import annotations

import hashlib
import itertools

import pytest

from tests.faults import FAULTS
from tests.simulator import branches, sweep
from tests.simulator.life import Life
from tests.simulator.sweep import Case


@pytest.fixture
def told_by_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was wrong in a hurt life is a digest of all that it did."""

    def live(life: Life) -> list[str]:
        found = plain(life)
        if not list(life.faults.values()):
            return found
        did = repr((life.calls, life.effects, life.now_s, life.state, found))
        return [hashlib.sha256(did.encode()).hexdigest()]

    plain = Life.live
    monkeypatch.setattr(Life, "live", live)


@pytest.mark.usefixtures("told_by_calls")
@pytest.mark.parametrize(
    ("seed", "workers", "slow"), [(0, 1, 0), pytest.param(3, 3, 1, marks=pytest.mark.soak)]
)
def test_it_is_the_life_that_is_told_alone(seed: int, workers: int, slow: int) -> None:
    effects, calls, _ = sweep.points(workers, seed, slow)
    faults = itertools.cycle((*FAULTS, "asleep"))
    cases = [Case(((point, next(faults)),), seed, workers, slow) for point in effects[::60]]
    cases.append(Case(((calls.index("serving.traffic"), "stale"),), seed, workers, slow))
    cases.append(Case(((effects[60], "conflict"),), seed, workers, slow))  # a second one at its point

    forked = branches.run(cases)

    assert forked == ["; ".join(case.run()) for case in cases]
    assert len(set(forked)) > len(cases) / 2  # some faults strike where nothing shows it


def test_what_is_wrong_in_one_is_told_of_it_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    def live(life: Life) -> list[str]:
        found = plain(life)
        if "conflict" in life.faults.values():
            return ["it was not made good"]
        if "throttled" in life.faults.values():
            raise RuntimeError("the life itself broke off")
        return found

    plain = Life.live
    monkeypatch.setattr(Life, "live", live)
    cases = [Case(((60, fault),)) for fault in ("unavailable", "conflict", "throttled", "lost reply")]

    fine, wrong, broke_off, last = branches.run(cases)

    assert (fine, wrong, last) == ("", "it was not made good", "")
    assert "RuntimeError: the life itself broke off" in broke_off
    count, told = sweep.run(iter(cases))
    assert (count, len(told)) == (4, 2)
    assert told[0] == f"{cases[1]}: it was not made good"


def test_a_point_that_the_life_never_comes_to_is_told() -> None:
    (told,) = branches.run([Case(((1_000_000, "conflict"),))])
    assert "has no call" in told


def test_a_fork_that_the_calm_life_feels_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that clears away the folder in which a drop is read, as a process of its own would."""
    monkeypatch.setattr(branches, "_leave_folders", lambda own: None)
    _, calls, _ = sweep.points()
    told = branches.run([Case(((calls.index("versions.write"), "crash before"),))])
    assert "a fork was felt" in told[0]
