"""T8, sized: each (name, ETag) exactly once, whatever its events do."""

from tests.simulator import chaos


def test_t8_each_blob_is_one_version_whatever_its_events_do() -> None:
    outcome = chaos.run(150)
    print(f"\nT8: {outcome}")
    assert outcome.wrong == []
    assert min(outcome.lost, outcome.faults, outcome.superseded) > 0
