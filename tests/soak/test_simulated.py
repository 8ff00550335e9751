"""The full sizes of T1, T2, T3 and T8. SOAK_SHARE=0.01 does a hundredth of each."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from random import Random
from typing import TypeVar

import pytest

from tests.simulator import beside, chaos, crowd, sweep
from tests.simulator.life import ROUND_S, Life
from tests.simulator.sweep import Tale
from tests.simulator.test_load import fair
from tests.soak.figures import keep

T = TypeVar("T")
SHARE = float(os.environ.get("SOAK_SHARE", "1"))
pytestmark = [pytest.mark.soak, pytest.mark.usefixtures("reader")]


def tell(name: str, what: str, cases: Iterator[Tale]) -> None:
    count, wrong = sweep.run(sample(cases), processes=os.cpu_count() or 1)
    size = "" if SHARE == 1 else f", a sample of {SHARE:g}"
    keep(name, f"{count:,} lives ({what}{size}), {len(wrong)} wrong")
    assert wrong == []


def sample(cases: Iterable[T]) -> Iterator[T]:
    """By chance, since every n-th would be of the same kind."""
    random = Random(0)
    return (case for case in cases if random.random() < SHARE)


def test_t1_every_effect_point_each_fault_sixteen_orderings() -> None:
    tell("T1", "every effect point x 6 faults, and a sleeping worker, x 16 orderings", sweep.singles(16))


def test_t2_pairs_of_faults() -> None:
    tell("T2", "each of the 36 pairs of faults 250 times, at two effects by chance", sweep.pairs(250))


def test_t2_pairs_of_which_one_does_not_pass_or_both() -> None:
    what = "each of the 91 pairs of a fault that lasts until it is mended with any fault, 40 times, by chance"
    tell("T2 lasting", what, sweep.lasting_pairs(40))


def test_t3_a_hundred_thousand_seeds() -> None:
    what = "random seeds, 1 to 4 workers, up to 8 faults, in every fourth life one or two more that last"
    tell("T3", what, sweep.by_chance(range(100_000)))


def test_t1_every_call_and_each_fault_that_does_not_pass() -> None:
    tell("T1 lasting", "every call x 7 faults that last until they are mended", sweep.lasting(4))


def test_what_cannot_be_done_about_new_data_keeps_nothing_else_waiting() -> None:
    what = (
        "an abort, a rollback, an open release x each thing that new data alone calls for x 7 faults for good"
    )
    tell("Beside", what, beside.everything())


def test_t9_recovery_after_a_crash_at_every_effect() -> None:
    effects, _, _ = sweep.points()
    calm = Life()
    assert calm.live() == []
    cases = [(point, fault) for point in effects for fault in ("crash before", "crash after")]
    late_s = []
    for point, fault in sample(cases):
        life = Life({point: fault})
        assert life.live() == [], (point, fault)
        late_s.append(life.now_s - calm.now_s)
    keep(
        "T9",
        f"{len(late_s)} crashes, before and after every effect: the life ends {max(late_s):.0f} s later at most",
    )
    assert max(late_s) <= 60 + ROUND_S


def test_t8_ten_thousand_chaotic_events() -> None:
    outcome = chaos.run(round(10_000 * SHARE))
    keep(
        "T8",
        f"{outcome.blobs:,} blobs, {outcome.messages:,} messages, {outcome.lost} events lost, "
        f"{outcome.faults} faults: {outcome.versions:,} versions, {outcome.superseded} superseded, "
        f"{len(outcome.wrong)} wrong",
    )
    assert outcome.wrong == []


def test_f27_a_thousand_blobs_at_once_and_a_thousand_loops() -> None:
    size = round(1000 * SHARE)
    outcome = crowd.run(size, size, traced=True)
    keep(
        "F27",
        f"{outcome.loops:,} loops at work, {outcome.blobs:,} blobs at once in one of them, one worker, "
        f"{crowd.CALL_S * 1000:.0f} ms a call: {outcome.versions:,} versions; the last of the other loops had its "
        f"version after {outcome.quiet_done_s:.0f} s, when the noisy one had {outcome.noisy_then}; no loop waited "
        f"longer than {outcome.longest_gap_s:.0f} s for its turn; a tick takes {outcome.peak_mb} MB at most",
    )
    assert outcome.versions == 2 * size - 1
    assert fair(outcome), outcome
    assert outcome.peak_mb < 64
