"""What a deployment's body says, checked before anything is started, and what is answered with it."""

from __future__ import annotations

from typing import NamedTuple

from local.endpoints import container, limits
from local.endpoints.exceptions import NotEmulated, Refused
from local.service import Service
from local.settings import LOCATION, WORKSPACE_ID
from local.state import Document

ROLLING = {
    "year": "%Y",
    "month": "%Y/%m",
    "day": "%Y/%m/%d",
    "hour": "%Y/%m/%d/%H",
    "minute": "%Y/%m/%d/%H/%M",
}


class Serving(NamedTuple):
    """How the router treats a deployment. The defaults are Azure's."""

    timeout_s: float
    most_at_once: int
    collected: dict[str, float]
    rolling: str


def checked(service: Service, body: Document) -> Document:
    """The properties without nulls; Refused or NotEmulated when nothing could be started from them."""
    properties = {key: value for key, value in (body.get("properties") or {}).items() if value is not None}
    if properties.get("endpointComputeType") != "Managed":
        raise NotEmulated(f"the compute type {properties.get('endpointComputeType')!r} (there is Managed)")
    if (properties.get("scaleSettings") or {}).get("scaleType", "Default") != "Default":
        raise NotEmulated("automatic scaling")
    model, code = properties.get("model"), properties.get("codeConfiguration")
    if not code and not (model and container.is_mlflow(service, model)):
        raise Refused("A deployment needs a code configuration, or a model of the type mlflow_model.")
    if code and not properties.get("environmentId"):
        raise Refused("A deployment with a code configuration needs an environment.")
    limits.check_deployment(properties, (body.get("sku") or {}).get("capacity", 1))
    collector = properties.get("dataCollector")
    if collector:
        properties["dataCollector"] = _collector(collector)
    return properties


def _collector(sent: Document) -> Document:
    if (sent.get("requestLogging") or {}).get("captureHeaders"):
        raise NotEmulated("the collector's captureHeaders")
    rolling = str(sent.get("rollingRate") or "Hour")
    if rolling.lower() not in ROLLING:
        raise Refused(f"The collector's rolling rate is one of {', '.join(ROLLING)}, not {rolling!r}.")
    collections = {
        name.lower(): {
            "dataCollectionMode": str(each.get("dataCollectionMode", "Disabled")).capitalize(),
            "samplingRate": 1.0 if each.get("samplingRate") is None else each["samplingRate"],
            "dataId": each.get("dataId"),
            "clientId": each.get("clientId"),
        }
        for name, each in (sent.get("collections") or {}).items()
    }
    return {"collections": collections, "rollingRate": rolling.capitalize()}


def serving(properties: Document) -> Serving:
    request = properties.get("requestSettings") or {}
    at_once = request.get("maxConcurrentRequestsPerInstance") or 1
    instances = properties.get("instances", 1)
    collector = properties.get("dataCollector") or {"collections": {}, "rollingRate": "Hour"}
    collected = {
        name: float(each["samplingRate"])
        for name, each in collector["collections"].items()
        if each["dataCollectionMode"] == "Enabled"
    }
    return Serving(
        limits.seconds(request.get("requestTimeout") or "PT5S"),
        2 * at_once * instances,  # Azure's own rule; what is more at once is answered with 429
        collected,
        str(collector["rollingRate"]).lower(),
    )


def document(
    service: Service, endpoint: str, name: str, body: Document, properties: Document, old: Document | None
) -> Document:
    """What is stored; its operation is added when it begins."""
    now = service.clock().isoformat()
    system = {"createdAt": now, "createdBy": "local", "createdByType": "Application"}
    sku = body.get("sku") or {"name": "Default", "capacity": 1}
    defaults = {"scaleSettings": {"scaleType": "Default"}, "environmentVariables": {}, "properties": {}}
    return {
        "name": old["name"] if old else name,
        "endpoint": endpoint,
        "location": body.get("location") or LOCATION,
        "tags": body.get("tags") or {},
        "sku": sku,
        "properties": defaults | properties | {"instances": sku.get("capacity") or 1},
        "systemData": (old["systemData"] if old else system) | {"lastModifiedAt": now},
        "doing": "Updating" if old else "Creating",
        "phase": "starting",
    }


def shown(doc: Document, provisioning_state: str) -> Document:
    """As ARM answers it."""
    kept = {key: doc[key] for key in ("name", "location", "tags", "sku", "systemData")}
    properties = {key: value for key, value in doc["properties"].items() if key != "instances"}
    return kept | {
        "id": f"{WORKSPACE_ID}/onlineEndpoints/{doc['endpoint']}/deployments/{doc['name']}",
        "type": "Microsoft.MachineLearningServices/workspaces/onlineEndpoints/deployments",
        "kind": "Managed",
        "properties": properties | {"provisioningState": provisioning_state},
    }
