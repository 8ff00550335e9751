"""The exact group-sequential test keeps its level by construction: shown by enumeration, by chance, and by its sum."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.canary.simulation import lower
from shared.stats.group_sequential import Window, boundaries, crossed, hits_needed

ALPHA = 0.05


def chance(canary: int, champion: int, hits: int, of_canary: int) -> Fraction:
    """Of so many of the canary's among the hits, by counting."""
    ways = math.comb(canary, of_canary) * math.comb(champion, hits - of_canary)
    return Fraction(ways, math.comb(canary + champion, hits))


@pytest.mark.parametrize(
    ("alpha", "requests"),
    [
        (0.05, ((2, 6), (3, 5), (4, 4))),
        (0.5, ((2, 6), (3, 5), (4, 4))),
        (0.01, ((1, 20), (5, 5), (9, 3))),
        (0.2, ((1, 20), (5, 5), (9, 3))),
    ],
)
def test_every_course_of_three_windows_counted_out_stops_at_most_as_often_as_promised(
    alpha: float, requests: tuple[tuple[int, int], ...]
) -> None:
    for hits in itertools.product(range(5), repeat=3):
        if any(n > sum(both) for n, both in zip(hits, requests, strict=True)):
            continue
        stopped = Fraction(0)
        for shares in itertools.product(*(range(n + 1) for n in hits)):
            parts = list(zip(requests, hits, shares, strict=True))
            likely = math.prod(chance(a, b, n, k) for (a, b), n, k in parts)
            if not likely:
                continue
            windows = [Window(both, (k, n - k), (at + 1) / 3) for at, (both, n, k) in enumerate(parts)]
            stopped += likely * (crossed(windows, alpha) is not None)
        assert float(stopped) <= alpha + 1e-12


def test_what_is_spent_is_what_is_stopped() -> None:
    """The sum that the test keeps is the chance, counted out, of being stopped: the bound is no looser than it says."""
    requests, hits = ((3, 7), (4, 6)), (3, 4)
    stopped, spent = Fraction(0), set()
    for shares in itertools.product(range(4), range(5)):
        parts = list(zip(requests, hits, shares, strict=True))
        likely = math.prod(chance(a, b, n, k) for (a, b), n, k in parts)
        windows = [Window(both, (k, n - k), (at + 1) / 2) for at, (both, n, k) in enumerate(parts)]
        found = boundaries(windows, 0.2)
        stopped += likely * found[-1].crossed
        if not found[-1].crossed:
            spent.add(round(found[-1].spent, 12))
    assert len(spent) == 1
    assert spent.pop() == pytest.approx(float(stopped))
    assert stopped > 0


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 60), st.integers(0, 60), st.floats(0, 1), st.floats(0, 1)),
        min_size=1,
        max_size=12,
    )
)
def test_it_never_spends_more_than_it_may_by_then(drawn: list[tuple[int, int, float, float]]) -> None:
    windows = [
        Window((a, b), (int(a * p), int(b * q)), (at + 1) / len(drawn))
        for at, (a, b, p, q) in enumerate(drawn)
    ]
    for at, boundary in enumerate(boundaries(windows, ALPHA)):
        assert boundary.spent <= ALPHA * windows[at].elapsed + 1e-12


def test_more_hits_of_the_canary_never_save_it() -> None:
    def one(hits: int) -> bool:
        return (
            crossed([Window((200, 200), (2, 2), 0.5), Window((200, 200), (hits, 2), 1.0)], 0.01) is not None
        )

    answers = [one(hits) for hits in range(40)]
    assert answers == sorted(answers)
    assert answers[-1] and not answers[2]


def quiet(kind: str, rng: np.random.Generator, windows: int = 24) -> list[Window]:
    """A canary that fails as often as the champion: steady, in drift, in an outage of both, while it ramps."""
    at = np.arange(windows)
    weight = {"ramp": np.repeat([0.01, 0.05, 0.1, 0.5], windows // 4)}.get(kind, np.full(windows, 0.1))
    rate = {
        "steady": np.full(windows, 0.02),
        "drift": 0.01 + 0.05 * at / windows,
        "outage": np.where((at > 8) & (at < 12), 0.6, 0.02),
        "ramp": 0.01 + 0.02 * at / windows,
    }[kind]
    found = []
    for n, (share, failing) in enumerate(zip(weight, rate, strict=True)):
        requests = rng.poisson(200)
        canary = rng.binomial(requests, share)
        hits = rng.binomial(canary, failing), rng.binomial(requests - canary, failing)
        found.append(Window((canary, requests - canary), (int(hits[0]), int(hits[1])), (n + 1) / windows))
    return found


@pytest.mark.parametrize("kind", ["steady", "drift", "outage", "ramp"])
def test_harmless_canaries_are_stopped_at_most_as_often_as_promised(kind: str) -> None:
    rng, n = np.random.default_rng(7), 400
    stopped = sum(crossed(quiet(kind, rng), ALPHA) is not None for _ in range(n))
    assert lower(stopped / n, n, 4) <= ALPHA


def test_it_finds_twice_the_errors_within_a_day() -> None:
    """2 -> 4 % at 200 requests an hour, half of them the canary's: found in 93 % of days by simulation."""
    rng, n, stopped = np.random.default_rng(11), 300, 0
    for _ in range(n):
        windows = []
        for hour in range(24):
            canary = rng.binomial(200, 0.5)
            hits = int(rng.binomial(canary, 0.04)), int(rng.binomial(200 - canary, 0.02))
            windows.append(Window((canary, 200 - canary), hits, (hour + 1) / 24))
        stopped += crossed(windows, 0.01) is not None
    assert stopped / n > 0.85


def test_how_many_hits_it_takes() -> None:
    """Counted out: at a share of one half, 8 of 8 are as likely as one in 256."""
    assert hits_needed(8, 0.5, 0.01) == 8
    assert hits_needed(6, 0.5, 0.01) is None
    assert hits_needed(3, 0.01, 0.01) == 2


def test_counts_that_cannot_be_are_refused() -> None:
    with pytest.raises(ValueError, match=r"\(3, 0\) hits"):
        boundaries([Window((2, 5), (3, 0), 1.0)], 0.01)
    with pytest.raises(ValueError, match="after one that ended"):
        boundaries([Window((2, 5), (0, 0), 0.5), Window((2, 5), (0, 0), 0.4)], 0.01)
