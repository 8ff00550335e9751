"""Autoscale settings are refused as Azure documents it, before anything could come to rest on one that does nothing."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from local.arm import autoscale
from local.refusal import ArmError
from shared.ports import Scale
from shared.serving.autoscale import _properties

DEPLOYMENT = f"{autoscale.WORKSPACE_ID}/onlineEndpoints/birds/deployments/r1-a1"
SOUND: dict[str, Any] = _properties("driftloop-birds-r1-a1", DEPLOYMENT, Scale(1, 5, 70, 30, 5), 1)[
    "profiles"
][0]


def changed(*path: str | int, to: object) -> list[dict[str, Any]]:
    profile = copy.deepcopy(SOUND)
    place: Any = profile
    for part in path[:-1]:
        place = place[part]
    place[path[-1]] = to
    return [profile]


TRIGGER, ACTION = ("rules", 0, "metricTrigger"), ("rules", 0, "scaleAction")
REFUSED = {
    "no profile": ([], "1 to 20 profiles"),
    "21 profiles": ([SOUND] * 21, "1 to 20 profiles"),
    "11 rules": (changed("rules", to=SOUND["rules"][:1] * 11), "at most 10 rules"),
    "a number in a capacity": (changed("capacity", "minimum", to=1), "each as a text"),
    "more at least than at most": (changed("capacity", "minimum", to="6"), "does not rise"),
    "51 machines": (changed("capacity", "maximum", to="51"), "does not rise from 1 to 50"),
    "a short window": (changed(*TRIGGER, "timeWindow", to="PT4M"), "timeWindow is from 0:05:00"),
    "a long window": (changed(*TRIGGER, "timeWindow", to="PT13H"), "timeWindow is from"),
    "a fine grain": (changed(*TRIGGER, "timeGrain", to="PT30S"), "timeGrain is from 0:01:00"),
    "no rest": (changed(*ACTION, "cooldown", to="PT0S"), "cooldown is from 0:01:00"),
    "a long rest": (changed(*ACTION, "cooldown", to="P8D"), "cooldown is from"),
    "a duration of ours": (changed(*ACTION, "cooldown", to="5m"), "cooldown is from"),
    "an operator of ours": (changed(*TRIGGER, "operator", to=">"), "operator is one of"),
    "an aggregation of metrics": (
        changed(*TRIGGER, "timeAggregation", to="Max"),
        "timeAggregation is one of",
    ),
    "a statistic of time": (changed(*TRIGGER, "statistic", to="Maximum"), "statistic is one of"),
    "a direction": (changed(*ACTION, "direction", to="Out"), "direction is one of"),
    "a text as a threshold": (changed(*TRIGGER, "threshold", to="70"), "threshold is a number"),
    "a metric of virtual machines": (changed(*TRIGGER, "metricName", to="Percentage CPU"), "no metric"),
    "another deployment's metric": (
        changed(*TRIGGER, "metricResourceUri", to=f"{DEPLOYMENT}2"),
        "neither the deployment nor its endpoint",
    ),
    "a step larger than the span": (changed(*ACTION, "value", to="5"), "from 1 to 4"),
    "no step": (changed(*ACTION, "value", to="0"), "from 1 to 4"),
}


def test_what_the_product_writes_is_taken() -> None:
    autoscale._check_profiles([SOUND], DEPLOYMENT)
    latency = changed(*TRIGGER, "metricResourceUri", to=DEPLOYMENT.partition("/deployments/")[0])
    latency[0]["rules"][0]["metricTrigger"]["metricName"] = "RequestLatency"
    autoscale._check_profiles(latency, DEPLOYMENT)


@pytest.mark.parametrize("case", REFUSED)
def test_what_azure_refuses_is_refused(case: str) -> None:
    profiles, words = REFUSED[case]
    with pytest.raises(ArmError, match=words) as refused:
        autoscale._check_profiles(profiles, DEPLOYMENT)
    assert (refused.value.status, refused.value.code) == (400, "BadRequest")


@pytest.mark.parametrize(
    ("cpu", "now", "change"),
    [(71, 2, 1), (70, 2, 0), (50, 2, 0), (29, 2, -1), (30, 2, 0), (29, 1, 0)],
)
def test_any_rule_scales_out_and_all_scale_in(cpu: float, now: int, change: int) -> None:
    assert autoscale._change(SOUND["rules"], cpu, now) == change


def test_what_would_come_back_at_once_is_left_alone() -> None:
    """azure-monitor-docs autoscale-understanding-settings.md, flapping: of two at 40 % one would be at 80 %."""
    eager = copy.deepcopy(SOUND["rules"])
    eager[1]["metricTrigger"]["threshold"] = 45
    assert autoscale._change(eager, 40, 2) == 0
    assert autoscale._change(eager, 30, 2) == -1
