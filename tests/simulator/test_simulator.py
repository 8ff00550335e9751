"""A sample of what `make soak` does in full: faults at every call of a port, one, two, or by chance.

A failing case prints itself; `Case(...).run()` tells it again, exactly.
"""

from __future__ import annotations

import itertools

import pytest

from tests.faults import FAULTS
from tests.simulator import sweep
from tests.simulator.life import BY_JOB, Life
from tests.simulator.sweep import Case, Lasting


def told(name: str, cases: list[Case]) -> None:
    count, wrong = sweep.run(iter(cases))
    print(f"\n{name}: {count} lives, {len(wrong)} wrong")
    assert wrong == []


def test_a_life_without_faults_is_as_the_story_says() -> None:
    for workers, slow in ((1, 0), (3, 0), (2, 2)):
        assert Case((), seed=workers, workers=workers, slow=slow).run() == []


def test_a_release_that_another_worker_ends_between_two_reads_stops_no_run() -> None:
    """One worker of four slept at its first call, and says when to look again while another makes a release live."""
    assert Case(((1, "asleep"),), seed=3, workers=4).run() == []


def test_the_same_case_is_told_in_the_same_way_again() -> None:
    case = Case(((60, "crash after"),), seed=3, workers=3, duplicates=0.3)
    first, second = case.life(), case.life()
    assert first.live() == second.live() == []
    assert first.calls == second.calls


def test_t1_every_effect_once_with_each_fault_in_turn() -> None:
    """Every fourth effect point, the fault going round, and every fourth stale read; the soak has all of each."""
    found, calls, _ = sweep.points()
    effects, looks = found[::4], [n for n, name in enumerate(calls) if name == "serving.traffic"][::4]
    faults = itertools.cycle((*FAULTS, FAULTS[1]))  # of a length that is prime to what repeats in a life
    cases = [Case(((point, next(faults)),)) for point in effects]
    cases += [Case(((point, "stale"),)) for point in looks]
    told(f"T1, {len(effects)} of {len(found)} effect points", cases)


def around_jobs(steps: tuple[int, ...]) -> list[int]:
    """Calls by which a drop is given to a job, looked at and taken, and those beside them."""
    calm = Life(plan=BY_JOB)
    assert calm.live() == []
    about = [n for n, name in enumerate(calm.calls) if name.startswith("readings.")]
    return sorted({n + step for n in about for step in steps})


def test_t1_of_drops_that_jobs_read() -> None:
    faults = itertools.cycle((*FAULTS, FAULTS[1]))
    cases = [Case(((point, next(faults)),), plan=BY_JOB) for point in around_jobs((0, 1))]
    cases.append(Case((), seed=2, workers=3, slow=2, plan=BY_JOB))
    told("T1 of jobs that read", cases)


@pytest.mark.soak
def test_t1_of_drops_that_jobs_read_in_full() -> None:
    points = itertools.product(around_jobs((-2, -1, 0, 1, 2, 3)), FAULTS)
    cases = [Case((one,), plan=BY_JOB) for one in points]
    cases += [Case((one,), 3, 3, 2, plan=BY_JOB) for one in itertools.product(range(0, 400, 7), FAULTS)]
    told("T1 of jobs that read, in full", cases)


def test_t2_pairs_of_faults() -> None:
    told("T2", list(sweep.pairs(1)))


def test_t3_random_seeds_with_up_to_four_workers() -> None:
    told("T3", list(sweep.by_chance(range(12))))  # three of them with faults that do not pass


LASTING = [
    Lasting("blobs.download_all", "archived", 20),
    Lasting("store.commit", "refused", 150),
    Lasting("topic.publish", "refused", 0),
    Lasting("serving.set_traffic", "foreign", 0),
    Lasting("documents.get", "lost race", 71),
]


@pytest.mark.parametrize("one", LASTING, ids=str)
def test_once_mended_what_did_not_pass_has_lost_nothing_and_kept_nothing_waiting(one: Lasting) -> None:
    assert Case((), lasting=(one,)).run() == []


def test_t2_pairs_of_which_one_does_not_pass_or_both() -> None:
    told("T2 lasting", list(itertools.islice(sweep.lasting_pairs(1), 0, None, 12)))


def test_t9_a_worker_that_dies_is_made_good_within_a_minute_and_a_tick() -> None:
    for point in (40, 90, 140):
        calm, hurt = Life(), Life({point: "crash before"})
        assert calm.live() == hurt.live() == []
        late_s = hurt.now_s - calm.now_s
        assert late_s <= 70, f"{late_s} s late after a crash at call {point}"


@pytest.mark.parametrize("fault", FAULTS)
def test_every_fault_does_what_its_name_says(fault: str) -> None:
    """A fault that never strikes proves nothing: the calls of a hurt life differ from those of a calm one."""
    effects, calls, _ = sweep.points()
    commit = next(point for point in effects if calls[point] == "store.commit")
    hurt = Case(((commit, fault),)).life()
    assert hurt.live() == []
    assert hurt.calls != calls
