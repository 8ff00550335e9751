"""F27, sized: many loops, one of them noisy; nobody starves, and a tick takes no more when more waits."""

import pytest

from shared.runtime import worker
from tests.simulator import crowd

TURN_S = worker.CLAIM.total_seconds() / 2


def fair(outcome: crowd.Outcome) -> bool:
    """Each quiet loop had its turn after at most two of the noisy one's, and a second for each of the others."""
    return outcome.quiet_done_s <= 2 * TURN_S + outcome.loops and outcome.noisy_then < outcome.blobs


def test_f27_a_noisy_loop_delays_no_other_and_everything_is_a_version_in_the_end() -> None:
    outcome = crowd.run(10, 90)
    print(f"\nF27: {outcome}")
    assert outcome.versions == 99
    assert fair(outcome), outcome


def test_f27_without_an_end_to_a_turn_the_others_would_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "CLAIM", worker.CLAIM * 1000)
    monkeypatch.setattr(worker, "MAX_STEPS", 10**6)
    monkeypatch.setattr(worker, "TODOS", 10**6)
    assert not fair(crowd.run(4, 60))


def test_f27_a_longer_queue_takes_no_more_memory_at_a_time() -> None:
    few, many = (crowd.run(1, blobs, traced=True) for blobs in (15, 60))
    assert many.peak_mb <= few.peak_mb + 2, (few, many)
