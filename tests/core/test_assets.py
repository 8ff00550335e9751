"""Two ids that name one asset of Azure ML are the same, however they are written."""

from __future__ import annotations

import pytest

from shared import assets

LONG = "/subscriptions/S/resourceGroups/g/providers/p/workspaces/w/models/birds/versions/2"
SHARED = "azureml://registries/shared/models/birds/versions/2"


@pytest.mark.parametrize(
    ("one", "other"),
    [("azureml:birds:2", LONG), ("azureml:Birds:2", LONG), (SHARED, SHARED.replace("shared", "Shared"))],
)
def test_a_name_has_no_case(one: str, other: str) -> None:
    assert assets.same_asset(one, other)
    assert assets.alike(one, other)


@pytest.mark.parametrize("other", ["azureml:birds:3", "azureml:bird:2", SHARED])
def test_another_version_name_or_registry_is_another_asset(other: str) -> None:
    assert not assets.same_asset("azureml:birds:2", other)
