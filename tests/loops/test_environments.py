"""`make demo LOOP=iris ENVIRONMENTS=1`: two deployments, one registry, and every command as a person types it."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from demo import environments


@pytest.mark.soak  # two local Azures with their functions hosts: minutes
@pytest.mark.timeout(1200)
def test_a_model_goes_from_test_to_production_untrained() -> None:
    told = io.StringIO()
    environments.tell(Console(file=told, width=200))
    assert "not retrained: models of iris are trained in test alone" in told.getvalue()
    assert "promoted from test, as its own ledger tells" in told.getvalue()
