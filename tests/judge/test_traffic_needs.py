"""Before the first request it is known what traffic a canary's steps need."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from cli import app
from shared.canary.canary_evidence import canary_policy
from shared.canary.traffic_needs import traffic_needs
from shared.stats.group_sequential import Window, crossed
from tests.core.world import definition

LOOPS = Path(__file__).parents[2] / "loops"


def test_requests_an_hour_are_those_that_bring_the_fewest_in_the_longest_time() -> None:
    """500 of the canary's in 24 hours: 208.3 of all at 10 %, 41.7 at 50 %."""
    assert [one.requests_per_hour for one in traffic_needs(definition((10, 50)))] == [209, 42]


@pytest.mark.parametrize("weight", [5, 10, 50])
def test_so_many_errors_cross_the_boundary_at_the_end_and_one_fewer_do_not(weight: int) -> None:
    plan = definition((weight,))
    alpha = canary_policy(plan).exact_alpha
    (needs,) = traffic_needs(plan)
    for in_all, needed in needs.errors:
        assert needed is not None
        arms = weight * 10_000, (100 - weight) * 10_000
        fires = [
            crossed([Window(arms, (hits, in_all - hits), 1.0)], alpha) is not None
            for hits in (needed - 1, needed)
        ]
        assert fires == [False, True]


def test_validate_says_it_for_each_step() -> None:
    told = CliRunner().invoke(app, ["validate", str(LOOPS / "penguins")])
    assert told.exit_code == 0, told.output
    said = " ".join(told.output.split())
    assert "canary at 10 %: 209 requests an hour bring its 500 within 24 hours" in said
    assert "canary at 50 %: 42 requests an hour" in said
    assert "it is rolled back when 10 of 10 or 36 of 50 errors of both models are its own" in said
