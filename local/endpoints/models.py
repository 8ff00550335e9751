"""An endpoint's traffic names only deployments that serve, and sums to 100 or 0; when busy it refuses."""

from __future__ import annotations

import secrets
import threading
from datetime import datetime

from local.endpoints import limits
from local.endpoints.board import Board, Routed
from local.endpoints.deployments import Deployments
from local.endpoints.endpoint_faults import Faults
from local.endpoints.exceptions import Busy, NotEmulated, NotThere, Refused
from local.progress import Status
from local.service import Service
from local.settings import LOCATION, WORKSPACE_ID
from local.state import Document

KIND = "online.endpoint"
_AUTH_MODES = {"key": "Key", "aadtoken": "AADToken"}


class Endpoints:
    """The managed online endpoints of the workspace, and through them their deployments."""

    def __init__(self, service: Service) -> None:
        self._state = service.state
        self._clock = service.clock
        self._address = service.settings.arm
        self.operations = service.operations
        self.faults = Faults(service.state, service.clock)
        self.board = Board()
        self.deployments = Deployments(service, self.board, self.faults)
        self._lock = threading.RLock()

    def resume(self) -> None:
        """After a start: every endpoint is known to the router again, every deployment serves again."""
        for _, found in self._state.items(KIND):
            self._publish(found)
        self.deployments.resume()

    def put(self, name: str, body: Document) -> tuple[Document, str, bool]:
        """The endpoint as it will be shown, its operation, and whether it is new."""
        with self._lock:
            old, properties = self._existing(name), body.get("properties") or {}
            if old is not None:
                self.refuse_when_busy(name)
                before, after = (limits.identity_of(each.get("identity") or {}) for each in (old, body))
                limits.check_update(
                    f"The endpoint '{name}'", {"identity": before}, {"identity": after}, {"identity": {}}
                )
                limits.check_kept(f"The endpoint '{name}'", old["properties"], properties)
            else:
                limits.check_name("endpoint", name)
            traffic, mirror = self._traffic(name, properties)
            doc = self._document(name, body, properties, old)
            doc["before"] = doc["properties"].pop("traffic_before")
            doc["properties"] |= {"traffic": traffic, "mirrorTraffic": mirror}
            doc["shown_old_until"] = self.faults.stale_until(name).isoformat()
            doc["operation"] = self.operations.begin("endpoint", f"{WORKSPACE_ID}/onlineEndpoints/{name}")
            doc["doing"] = "Updating" if old else "Creating"
            self._state.put(KIND, name, doc)
            self._publish(doc)
            self.operations.finish(doc["operation"])
            shown = self._shown(doc)
            shown["properties"] = shown["properties"] | {"provisioningState": doc["doing"]}
            return shown, doc["operation"], old is None

    def get(self, name: str) -> Document:
        return self._shown(self._found(name))

    def all(self) -> list[Document]:
        return [self._shown(found) for name in self._state.keys(KIND) if (found := self._existing(name))]

    def delete(self, name: str) -> str:
        """The operation that deletes the endpoint with all its deployments. Their processes end at once."""
        with self._lock:
            doc = self._found(name)
            self.refuse_when_busy(name)
            self.deployments.delete_all(name)
            doc["operation"] = self.operations.begin(
                "endpoint.delete", f"{WORKSPACE_ID}/onlineEndpoints/{name}"
            )
            doc["doing"] = "Deleting"
            self._state.put(KIND, name, doc)
            self.board.endpoints.pop(name.lower(), None)
            self.operations.finish(doc["operation"])
            operation: str = doc["operation"]
            return operation

    def keys(self, name: str) -> Document:
        doc = self._found(name)
        if doc["properties"]["authMode"] != "Key":
            raise Refused(f"The endpoint '{name}' has no keys: its authentication mode is AADToken.")
        return {"primaryKey": doc["keys"][0], "secondaryKey": doc["keys"][1]}

    def refuse_when_busy(self, name: str) -> None:
        """NotThere or Busy unless the endpoint can be changed now."""
        doc = self._found(name)
        if self.faults.busy(name) or self.operations.look(doc["operation"]) is Status.RUNNING:
            raise Busy("online endpoint", name, doc["doing"])

    def _existing(self, name: str) -> Document | None:
        """The stored endpoint; one whose deletion has ended is gone."""
        found = self._state.get(KIND, name)
        if found is None or found["doing"] != "Deleting":
            return found
        if self.operations.look(found["operation"]) is Status.RUNNING:
            return found
        self._state.delete(KIND, name)
        return None

    def _found(self, name: str) -> Document:
        found = self._existing(name)
        if found is None:
            raise NotThere("online endpoint", name)
        return found

    def _traffic(self, name: str, properties: Document) -> tuple[dict[str, int], dict[str, int]]:
        """Live and mirrored traffic, by deployment."""
        sent = properties.get("mirrorTraffic") or {}
        mirror = {str(key).lower(): weight for key, weight in sent.items() if weight}
        traffic = {str(key).lower(): weight for key, weight in (properties.get("traffic") or {}).items()}
        for deployment, weight in traffic.items():
            if not isinstance(weight, int) or isinstance(weight, bool) or not 0 <= weight <= 100:
                raise Refused(
                    f"The traffic of '{deployment}' must be a whole number from 0 to 100, not {weight!r}."
                )
            if weight and not self.deployments.serves(name, deployment):
                raise Refused(
                    f"Traffic cannot go to '{deployment}': '{name}' has no such deployment that serves."
                )
        if sum(traffic.values()) not in (0, 100):
            raise Refused(f"The traffic of an endpoint must sum to 0 or 100, not {sum(traffic.values())}.")
        limits.check_mirror(mirror, traffic)
        for deployment in mirror:
            if not self.deployments.serves(name, deployment):
                raise Refused(
                    f"Traffic cannot be mirrored to '{deployment}': '{name}' has no such deployment that serves."
                )
        return traffic, mirror

    def _document(self, name: str, body: Document, sent: Document, old: Document | None) -> Document:
        mode = _AUTH_MODES.get(str(sent.get("authMode") or "").lower())
        if mode is None:
            raise NotEmulated(
                f"the authentication mode {sent.get('authMode')!r} (there are Key and AADToken)"
            )
        if sent.get("compute"):
            raise NotEmulated("Kubernetes online endpoints")
        if old and old["properties"]["authMode"] != mode:
            raise Refused(f"The authentication mode of '{name}' cannot be changed.")
        now = self._clock().isoformat()
        system = {"createdAt": now, "createdBy": "local", "createdByType": "Application"}
        return {
            "name": old["name"] if old else name,
            "location": body.get("location") or LOCATION,
            "tags": body.get("tags") or {},
            "identity": body.get("identity") or {"type": "SystemAssigned"},
            "properties": {
                "authMode": mode,
                "description": sent.get("description"),
                "properties": sent.get("properties") or {},
                "publicNetworkAccess": _access(sent.get("publicNetworkAccess")),
                "traffic_before": old["properties"]["traffic"] if old else {},
                "scoringUri": f"{self._address}/endpoints/{name}/score",
                "swaggerUri": f"{self._address}/endpoints/{name}/swagger.json",
            },
            "keys": old["keys"] if old else [secrets.token_urlsafe(24), secrets.token_urlsafe(24)],
            "systemData": (old["systemData"] if old else system) | {"lastModifiedAt": now},
        }

    def _publish(self, doc: Document) -> None:
        """New weights reach the router at once; what GET shows lags while the operation runs."""
        if doc["doing"] == "Deleting":
            return
        known = self.board.find(doc["name"])
        properties = doc["properties"]
        routed = Routed(
            doc["name"],
            properties["authMode"],
            tuple(doc["keys"]),
            properties["traffic"],
            properties["mirrorTraffic"],
        )
        if known is not None:
            routed.targets = known.targets
        self.board.endpoints[doc["name"].lower()] = routed

    def _shown(self, doc: Document) -> Document:
        running = self.operations.look(doc["operation"]) is Status.RUNNING
        busy = running or self.faults.busy(doc["name"])
        stale = running or self._clock() < datetime.fromisoformat(doc["shown_old_until"])
        traffic = doc["before"] if stale else doc["properties"]["traffic"]
        shown = {key: doc[key] for key in ("name", "location", "tags", "identity", "systemData")}
        state = doc["doing"] if running else "Updating" if busy else "Succeeded"
        return shown | {
            "id": f"{WORKSPACE_ID}/onlineEndpoints/{doc['name']}",
            "type": "Microsoft.MachineLearningServices/workspaces/onlineEndpoints",
            "kind": "Managed",
            "properties": doc["properties"] | {"traffic": traffic, "provisioningState": state},
        }


def _access(sent: object) -> str:
    """`Enabled` or `Disabled`, in any case (azure-rest-api-specs, machinelearningservices, PublicNetworkAccessType)."""
    known = {"": "Enabled", "enabled": "Enabled", "disabled": "Disabled"}
    found = known.get(str(sent or "").lower())
    if found is None:
        raise Refused(f"publicNetworkAccess is Enabled or Disabled, not '{sent}'.")
    return found
