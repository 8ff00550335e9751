"""Cores by machine size: what deployments take of the region's quota; one that finds too little left fails."""

from __future__ import annotations

from math import ceil

from local.endpoints.exceptions import DeploymentFailed, Refused
from local.settings import SUBSCRIPTION
from local.sizes import SIZES, size_of
from local.state import Document, State

MOST = 10_000
"""The limit of each family and of all, until a test sets another."""

RESERVE = 1.2
_KIND, _KEY = "quota", "cores"
_ML = "Microsoft.MachineLearningServices"


def limit(state: State, cores: int, at_once: bool = False) -> None:
    state.put(_KIND, _KEY, {"cores": cores, "at_once": at_once})


def refuse_at_once(state: State, deployment: Document, old: Document | None) -> None:
    """Refused, where the quota is set so: azure-ai-docs tell of an operation that ends with OutOfQuota, and
    MicrosoftLearning/mslearn-azure-ml#30 of an answer 400."""
    needed, has = _cores(deployment), _cores(old) if old else 0
    taken, most = sum(_taken(state).values()), _most(state)
    if (state.get(_KIND, _KEY) or {}).get("at_once") and needed > has and taken - has + needed > most:
        size = deployment["properties"]["instanceType"]
        raise Refused(
            "InferencingClient HttpRequest error, error detail: VmSize: Not enough quota available for "
            f"{size} in SubscriptionId {SUBSCRIPTION}. Current usage/limit: {taken}/{most}. Additional "
            f"needed: {needed - has} Please see troubleshooting guide."
        )


def sizes() -> list[Document]:
    return [
        {"name": name, "family": family, "vCPUs": cores, "supportedComputeTypes": ["AmlCompute"]}
        for name, (family, cores) in SIZES.items()
    ]


def usages(state: State) -> list[Document]:
    """Dedicated cores of each family and of all, as deployments take them; no job takes any here."""
    taken, most = _taken(state), _most(state)
    found = [_usage("TotalDedicatedCores", "totalDedicatedCores", sum(taken.values()), most)]
    for family, count in sorted(taken.items()):
        found.append(_usage(family, "vmFamily/dedicatedCores", count, most))
        found.append(_usage(family, "vmFamily/lowPriorityCores", 0, -1))
    return found


def demand(state: State, deployment: Document) -> None:
    """DeploymentFailed, in Azure's words, when a deployment that is on record is more than the quota holds."""
    needed = _cores(deployment)
    taken, most = sum(_taken(state).values()), _most(state)
    if needed and taken > most:
        raise DeploymentFailed(
            "OutOfQuota",
            f"Not enough quota available for {deployment['properties']['instanceType']} in SubscriptionId "
            f"{SUBSCRIPTION}. Current usage/limit: {taken - needed}/{most}. Additional needed: {needed}.",
        )


def _taken(state: State) -> dict[str, int]:
    taken = dict.fromkeys((family for family, _ in SIZES.values()), 0)
    for _, deployment in state.items("online.deployment"):
        if deployment["phase"] in ("starting", "serving") and _cores(deployment):
            taken[SIZES[_size(deployment)][0]] += _cores(deployment)
    return taken


def _size(deployment: Document) -> str:
    return size_of(str(deployment["properties"].get("instanceType"))) or ""


def _cores(deployment: Document) -> int:
    """Of a size that is known, with the reserve that Azure keeps."""
    _, each = SIZES.get(_size(deployment), ("", 0))
    return ceil(each * int(deployment["properties"]["instances"]) * RESERVE)


def _most(state: State) -> int:
    return int((state.get(_KIND, _KEY) or {"cores": MOST})["cores"])


def _usage(name: str, kind: str, count: int, most: int) -> Document:
    return {
        "id": f"/subscriptions/{SUBSCRIPTION}/providers/{_ML}/locations/local/usages/{name}",
        "type": f"{_ML}/{kind}/usages",
        "name": {"value": name, "localizedValue": name},
        "unit": "Count",
        "currentValue": count,
        "limit": most,
    }
