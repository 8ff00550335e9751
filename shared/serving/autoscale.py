"""Azure Monitor's autoscale settings: one a deployment, which stays behind unless it is deleted.

learn.microsoft.com/azure/machine-learning/how-to-autoscale-endpoints; a setting's target can never be another one, and
no target's deletion deletes it (github.com/Azure/vm-scale-sets/issues/4, azureml-examples#1197).
"""

from __future__ import annotations

from typing import Any

from shared.azure.arm import ResourceManager
from shared.ports import Scale

ROLE = "Web Plan Contributor"
"""The built-in role that allows autoscale settings, and little else; Monitoring Contributor does not."""

_VERSION = "2022-10-01"
_PROFILE = "driftloop"
_MINIMUM = "driftloop.minimum"
"""The tag of a setting that says how few machines it was made for."""


class Autoscaling:
    """The settings in one resource group."""

    def __init__(self, arm: ResourceManager, group: str) -> None:
        self._arm, self._group = arm, group

    def ensure(self, name: str, target: str, location: str, scale: Scale, fewest: int) -> None:
        """Make the setting of a deployment, with never fewer than so many machines for now; one that is there stays."""
        if self._arm.get(self._path(name), _VERSION) is None:
            tags = {_MINIMUM: str(scale.min)}
            body = {
                "location": location,
                "tags": tags,
                "properties": _properties(name, target, scale, fewest),
            }
            self._arm.put(self._path(name), _VERSION, body)

    def keep(self, name: str, fewest: int | None) -> None:
        """Never fewer than so many machines from now on; None: as few as it was made for."""
        found = self._arm.get(self._path(name), _VERSION)
        ours = [each for each in found["properties"]["profiles"] if each["name"] == _PROFILE] if found else []
        if found is None or not ours or _MINIMUM not in (found.get("tags") or {}):
            return  # it is gone, or somebody made another one of it
        before, capacity = dict(ours[0]["capacity"]), ours[0]["capacity"]
        wanted = int(found["tags"][_MINIMUM]) if fewest is None else min(fewest, int(capacity["maximum"]))
        capacity |= {"minimum": str(wanted), "default": str(wanted)}
        if capacity != before:
            kept = {key: found[key] for key in ("location", "tags", "properties")}
            self._arm.put(self._path(name), _VERSION, kept)

    def remove(self, name: str) -> None:
        self._arm.delete(self._path(name), _VERSION)

    def _path(self, name: str) -> str:
        return f"{self._group}/providers/Microsoft.Insights/autoscalesettings/{name}"


def _properties(name: str, target: str, scale: Scale, fewest: int) -> dict[str, Any]:
    """Without `enabled` it would do nothing."""
    return {
        "name": name,
        "enabled": True,
        "targetResourceUri": target,
        "profiles": [
            {
                "name": _PROFILE,
                "capacity": {"minimum": str(fewest), "maximum": str(scale.max), "default": str(fewest)},
                "rules": [
                    _rule(target, "GreaterThan", scale.cpu_above, "Increase", scale.minutes),
                    _rule(target, "LessThan", scale.cpu_below, "Decrease", scale.minutes),
                ],
            }
        ],
    }


def _rule(target: str, operator: str, threshold: float, direction: str, minutes: int) -> dict[str, Any]:
    return {
        "metricTrigger": {
            "metricName": "CpuUtilizationPercentage",
            "metricResourceUri": target,
            "timeGrain": "PT1M",
            "statistic": "Average",
            "timeWindow": f"PT{minutes}M",
            "timeAggregation": "Average",
            "operator": operator,
            "threshold": threshold,
        },
        "scaleAction": {
            "direction": direction,
            "type": "ChangeCount",
            "value": "1",
            "cooldown": f"PT{minutes}M",
        },
    }
