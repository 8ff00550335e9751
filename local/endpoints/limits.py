"""What Azure refuses of an endpoint or a deployment because of a limit, or because it is fixed once it is made.

Sources in MicrosoftDocs/azure-ai-docs: how-to-manage-quotas.md (names of 3 to 32, 50 instances, 20 deployments,
500 requests a second), reference-yaml-deployment-managed-online.md (180,000 ms, probes),
how-to-safely-rollout-online-endpoints.md (mirrored traffic),
how-to-access-resources-from-endpoints-managed-identities.md (the identity),
concept-secure-online-endpoint.md (egress);
azure-ai-ml's constants/_endpoint.py (the pattern of names).
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from local import durations
from local.endpoints.exceptions import Refused
from local.sizes import size_of
from local.state import Document

MOST_INSTANCES = 50
MOST_DEPLOYMENTS = 20
LONGEST_TIMEOUT_S = 180.0
MOST_MIRRORED = 50
MOST_A_SECOND = 500
CANCELED = (
    "OperationCanceled",
    "Operation was canceled due to a previous operation waiting for lock confirmation.",
)
"""Source: how-to-troubleshoot-online-endpoints.md, "ERROR: OperationCanceled": trying again helps."""
_NAME = re.compile(r"[a-zA-Z][-a-zA-Z0-9]{1,30}[a-zA-Z0-9]")
_PROBES = ("livenessProbe", "readinessProbe")
_PROBE_COUNTS = ("failureThreshold", "successThreshold")


def check_name(kind: str, name: str) -> None:
    if not _NAME.fullmatch(name):
        raise Refused(
            f"'{name}' cannot name an online {kind}: 3 to 32 letters, digits and '-', first a letter, last none of '-'."
        )


def check_deployment(properties: Document, instances: object) -> None:
    """Size, number of instances, timeout and probes."""
    size = str(properties.get("instanceType") or "")
    if size_of(size) is None:
        raise Refused(f"The region does not offer the instance type '{size}' for online deployments.")
    if not isinstance(instances, int) or not 1 <= instances <= MOST_INSTANCES:
        raise Refused(f"A deployment has 1 to {MOST_INSTANCES} instances, not {instances!r}.")
    timeout = str((properties.get("requestSettings") or {}).get("requestTimeout") or "PT5S")
    if not 0 < seconds(timeout) <= LONGEST_TIMEOUT_S:
        raise Refused(
            f"request_timeout_ms is at most {LONGEST_TIMEOUT_S * 1000:.0f}, not {seconds(timeout) * 1000:.0f}."
        )
    for name in _PROBES:
        _check_probe(name, properties.get(name) or {})


def _check_probe(name: str, probe: Document) -> None:
    for key in _PROBE_COUNTS:
        if probe.get(key) is not None and probe[key] < 1:
            raise Refused(f"{name}: {key} is at least 1, not {probe[key]}.")
    if name == "livenessProbe" and probe.get("successThreshold") not in (None, 1):
        raise Refused("livenessProbe: successThreshold must be 1.")
    for key in ("timeout", "period"):
        if probe.get(key) is not None and seconds(str(probe[key])) < 1:
            raise Refused(f"{name}: {key} is at least one second, not {probe[key]}.")


def check_update(what: str, old: Document, new: Document, fixed: Mapping[str, object]) -> None:
    """`fixed`: key -> its default; what is fixed when the thing is made stays as it was."""
    for key, default in fixed.items():
        before, after = old.get(key) or default, new.get(key) or default
        if before != after:
            raise Refused(
                f"{what}: '{key}' is fixed when it is made; it is {before!r} and cannot become {after!r}."
            )


OF_THE_SERVICE = frozenset({"createdAt", "createdBy", "lastModifiedAt"})


def check_kept(what: str, old: Document, new: Document) -> None:
    """Source: the REST specification of OnlineEndpoint: properties "can be added, but not removed or altered".

    Its client shows the service's own among them (entities/_endpoint/online_endpoint.py), and sends them back.
    """
    sent = new.get("properties") or {}
    for key, value in (old.get("properties") or {}).items():
        if key not in OF_THE_SERVICE and sent.get(key) != value:
            raise Refused(
                f"{what}: the property '{key}' can be neither removed nor altered; it is {value!r}."
            )


def check_mirror(mirror: Mapping[str, int], traffic: Mapping[str, int]) -> None:
    """At most half of the traffic, to one deployment, which has no live traffic."""
    wanted = {name: weight for name, weight in mirror.items() if weight}
    if len(wanted) > 1:
        raise Refused("Traffic can be mirrored to one deployment only.")
    for name, weight in wanted.items():
        if not 0 < weight <= MOST_MIRRORED:
            raise Refused(f"At most {MOST_MIRRORED} % of the traffic can be mirrored, not {weight} %.")
        if traffic.get(name.lower()):
            raise Refused(f"'{name}' has live traffic, so none can be mirrored to it.")


def identity_of(sent: Document) -> Document:
    """Type and ids, without what the service adds."""
    ids = sent.get("userAssignedIdentities") or {}
    return {
        "type": str(sent.get("type") or "SystemAssigned").lower(),
        "ids": sorted(each.lower() for each in ids),
    }


def seconds(duration: str) -> float:
    """An ISO 8601 duration such as PT5S."""
    found = durations.parsed(duration)
    if found is None:
        raise Refused(f"{duration!r} is not an ISO 8601 duration such as PT5S.")
    return found.total_seconds()
