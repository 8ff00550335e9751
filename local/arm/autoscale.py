"""Azure Monitor's autoscale settings of online deployments, as strict as documented, and one look of its engine.

Sources: the fields' limits from the specification of Microsoft.Insights/autoscalesettings 2022-10-01 (time grain from
1 minute, window from 5 minutes, both to 12 hours, cooldown from 1 minute to 1 week, `enabled` false by default);
azure-monitor-docs autoscale/autoscale-understanding-settings.md (20 profiles, 10 rules, how rules are combined, the
check for flapping); azure-ai-docs how-to-autoscale-endpoints.md (metrics, the target) and its
reference-yaml-deployment-managed-online.md; github.com/Azure/vm-scale-sets/issues/4 (the target is immutable, and takes
no setting with it).
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from local import durations
from local.endpoints import limits
from local.endpoints.models import Endpoints
from local.refusal import ArmError
from local.service import Service
from local.settings import RESOURCE_GROUP, SUBSCRIPTION, WORKSPACE_ID
from local.state import Document

KIND = "autoscale-setting"
MOST_PROFILES, MOST_RULES = 20, 10
_METRICS = {
    "deployments": (
        "CpuUtilizationPercentage",
        "CpuMemoryUtilizationPercentage",
        "DiskUtilization",
        "DeploymentCapacity",
    ),
    "onlineEndpoints": ("RequestsPerMinute", "RequestLatency", "RequestLatency_P95", "ConnectionsActive"),
}
_WORDS = {
    "operator": (
        *("Equals", "NotEquals", "GreaterThan"),
        *("GreaterThanOrEqual", "LessThan", "LessThanOrEqual"),
    ),
    "statistic": ("Average", "Min", "Max", "Sum", "Count"),
    "timeAggregation": ("Average", "Minimum", "Maximum", "Total", "Count", "Last"),
    "direction": ("None", "Increase", "Decrease"),
    "type": ("ChangeCount", "PercentChangeCount", "ExactCount", "ServiceAllowedNextValue"),
}
_SPANS = {
    "timeGrain": (timedelta(minutes=1), timedelta(hours=12)),
    "timeWindow": (timedelta(minutes=5), timedelta(hours=12)),
    "cooldown": (timedelta(minutes=1), timedelta(weeks=1)),
}
_BEYOND = {
    "GreaterThan": lambda value, threshold: value > threshold,
    "GreaterThanOrEqual": lambda value, threshold: value >= threshold,
    "LessThan": lambda value, threshold: value < threshold,
    "LessThanOrEqual": lambda value, threshold: value <= threshold,
}


def settings(service: Service) -> list[Document]:
    return [found for _, found in service.state.items(KIND)]


def setting(service: Service, name: str) -> Document:
    found = service.state.get(KIND, name.lower())
    if found is None:
        what = f"Microsoft.Insights/autoscalesettings/{name}"
        raise ArmError(404, "ResourceNotFound", f"The Resource '{what}' was not found.")
    return found


def delete(service: Service, name: str) -> bool:
    """Whether there was one."""
    there = service.state.get(KIND, name.lower()) is not None
    service.state.delete(KIND, name.lower())
    return there


def put(service: Service, name: str, body: Document) -> tuple[Document, bool]:
    """The setting, and whether it is new."""
    if not body.get("location"):
        raise ArmError(400, "LocationRequired", "The location property is required for this definition.")
    properties = dict(body.get("properties") or {})
    target, old = _target(service, properties), service.state.get(KIND, name.lower())
    if old is not None and old["properties"]["targetResourceUri"].lower() != target.lower():
        message = (
            f"The autoscale setting '{name}' under resource group '{RESOURCE_GROUP}' is referencing target resource "
            f"'{old['properties']['targetResourceUri']}'. The target resource reference is immutable. If you want to "
            "change it, please create a new autoscale setting with a different name."
        )
        raise ArmError(400, "TargetResourceIdIsImmutable", message)
    for other in settings(service):
        same = other["properties"]["targetResourceUri"].lower() == target.lower()
        if same and other["name"].lower() != name.lower():
            message = f"The resource '{target}' has the autoscale setting '{other['name']}' already."
            raise ArmError(409, "Conflict", message)
    _check_profiles(properties.get("profiles"), target)
    made = {
        "id": f"/subscriptions/{SUBSCRIPTION}/resourceGroups/{RESOURCE_GROUP}"
        f"/providers/microsoft.insights/autoscalesettings/{name}",
        "name": name,
        "type": "Microsoft.Insights/autoscaleSettings",
        "location": body["location"],
        "tags": body.get("tags") or {},
        "properties": {"name": name, "enabled": False} | properties,
    }
    service.state.put(KIND, name.lower(), made)
    return made, old is None


def _target(service: Service, properties: Document) -> str:
    target = str(properties.get("targetResourceUri") or "")
    endpoint, name = _named(target)
    if not service.get(Endpoints).deployments.serves(endpoint, name):
        raise _wrong(f"targetResourceUri '{target}' is no deployment that serves.")
    return target


def _named(target: str) -> tuple[str, str]:
    before, _, rest = target.partition("/onlineEndpoints/")
    parts = rest.split("/")
    if before.lower() != WORKSPACE_ID.lower() or len(parts) != 3 or parts[1] != "deployments":
        raise _wrong(f"targetResourceUri '{target}' is not the id of an online deployment.")
    return parts[0], parts[2]


def _check_profiles(profiles: object, target: str) -> None:
    if not isinstance(profiles, list) or not 1 <= len(profiles) <= MOST_PROFILES:
        raise _wrong(f"A setting has 1 to {MOST_PROFILES} profiles.")
    for profile in profiles:
        rules = profile.get("rules")
        if not profile.get("name") or not isinstance(rules, list) or len(rules) > MOST_RULES:
            raise _wrong(f"A profile has a name and at most {MOST_RULES} rules.")
        span = _capacity(profile.get("capacity") or {})
        for rule in rules:
            _check_rule(rule.get("metricTrigger") or {}, rule.get("scaleAction") or {}, target, span)


def _capacity(capacity: Document) -> int:
    """How far apart the most and the fewest are."""
    numbers = [capacity.get(name) for name in ("minimum", "default", "maximum")]
    if not all(isinstance(one, str) and one.isdigit() for one in numbers):
        raise _wrong("minimum, default and maximum of a capacity are whole numbers, each as a text.")
    least, usual, most = (int(str(one)) for one in numbers)
    if not 1 <= least <= usual <= most <= limits.MOST_INSTANCES:
        raise _wrong(
            f"A capacity of {least}, {usual}, {most} does not rise from 1 to {limits.MOST_INSTANCES}."
        )
    return most - least


def _check_rule(trigger: Document, action: Document, target: str, span: int) -> None:
    for name, known in _WORDS.items():
        value = (trigger if name in ("operator", "statistic", "timeAggregation") else action).get(name)
        if value not in known:
            raise _wrong(f"{name} is one of {', '.join(known)}, not {value!r}.")
    for name, (least, most) in _SPANS.items():
        value = durations.parsed(str((action if name == "cooldown" else trigger).get(name)))
        if value is None or not least <= value <= most:
            raise _wrong(f"{name} is from {least} to {most}, not {value}.")
    if isinstance(trigger.get("threshold"), bool) or not isinstance(trigger.get("threshold"), int | float):
        raise _wrong(f"threshold is a number, not {trigger.get('threshold')!r}.")
    _check_metric(trigger, target)
    change = str(action.get("value", "1"))
    if not change.isdigit() or not 1 <= int(change) <= max(
        span, 1
    ):  # sdk-for-net#43948: no more than the span
        raise _wrong(f"The value of a scale action is a whole number from 1 to {span}, not {change}.")


def _check_metric(trigger: Document, target: str) -> None:
    source, name = str(trigger.get("metricResourceUri") or ""), trigger.get("metricName")
    endpoint = target.partition("/deployments/")[0]
    kind = {target.lower(): "deployments", endpoint.lower(): "onlineEndpoints"}.get(source.lower())
    if kind is None:
        raise _wrong(f"metricResourceUri '{source}' is neither the deployment nor its endpoint.")
    if name not in _METRICS[kind]:
        raise _wrong(f"There is no metric {name!r} of {kind}.")


def _wrong(message: str) -> ArmError:
    return ArmError(400, "BadRequest", message)


def look(service: Service, name: str, cpu: float) -> int:
    """One look of the engine while the deployment's processors are so busy: how many machines it has afterwards.

    Any rule is enough to scale out; all must agree to scale in, and what would have to scale out again is left alone.
    A number outside the bounds is brought inside at once. On Azure it takes minutes; how many is not documented.
    """
    properties = setting(service, name)["properties"]
    deployments = service.get(Endpoints).deployments
    endpoint, deployment = _named(properties["targetResourceUri"])
    now = deployments.instances(endpoint, deployment)
    if not properties["enabled"]:
        return now
    (profile,) = properties["profiles"]
    least, most = (int(profile["capacity"][bound]) for bound in ("minimum", "maximum"))
    wanted = min(max(now + _change(profile["rules"], cpu, now), least), most)
    if wanted != now:
        deployments.scale(endpoint, deployment, wanted)
    return wanted


def _change(rules: list[Document], cpu: float, now: int) -> int:
    out = [rule for rule in rules if rule["scaleAction"]["direction"] == "Increase"]
    down = [rule for rule in rules if rule["scaleAction"]["direction"] == "Decrease"]
    steps = [int(rule["scaleAction"].get("value", "1")) for rule in out if _holds(rule, cpu)]
    if steps:
        return max(steps)
    if not down or not all(_holds(rule, cpu) for rule in down):
        return 0
    fewer = min(int(rule["scaleAction"].get("value", "1")) for rule in down)
    left = now - fewer
    flaps = left < 1 or any(_holds(rule, cpu * now / left) for rule in out)
    return 0 if flaps else -fewer


def _holds(rule: dict[str, Any], cpu: float) -> bool:
    trigger = rule["metricTrigger"]
    return bool(_BEYOND[trigger["operator"]](cpu, trigger["threshold"]))
