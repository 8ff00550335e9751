"""A batch endpoint routes to its default deployment, or to the one that a call names; a deployment costs nothing."""

from __future__ import annotations

import threading

from local.assets.models import Assets
from local.batch import rules
from local.endpoints.exceptions import Busy, NotThere, Refused
from local.jobs import compute
from local.progress import Status
from local.refusal import ArmError
from local.registries import models as registries
from local.service import Service
from local.settings import LOCATION, WORKSPACE_ID
from local.state import Document

ENDPOINT, DEPLOYMENT = "batch.endpoint", "batch.deployment"
PACED = ("batch.endpoint", "batch.deployment", "batch.delete")


class BatchEndpoints:
    """The batch endpoints of the workspace with their model deployments. Nothing runs before somebody calls."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._state = service.state
        self._lock = threading.RLock()
        self._operations = service.operations

    # --- endpoints

    def put(self, name: str, body: Document) -> tuple[Document, str, bool]:
        """The endpoint as it will be shown, its operation, and whether it is new."""
        with self._lock:
            old, properties = self._existing(ENDPOINT, name), body.get("properties") or {}
            if old is None:
                rules.check_name("endpoint", name)
                if (
                    self._state.get("online.endpoint", name) is not None
                ):  # both have the address NAME.REGION.…
                    raise Refused(f"The name '{name}' is taken in the region, by an online endpoint.")
            else:
                self._refuse_when_busy(old)
            if str(properties.get("authMode") or "AADToken").lower() != "aadtoken":
                raise Refused("A batch endpoint authenticates by AADToken alone: it has no keys.")
            default = str((properties.get("defaults") or {}).get("deploymentName") or "")
            if default and not self._serves(name, default):
                raise Refused(
                    f"'{default}' cannot be the default: '{name}' has no such deployment that succeeded."
                )
            kept = {
                "authMode": "AADToken",
                "description": properties.get("description"),
                "properties": properties.get("properties") or {},
                "defaults": {"deploymentName": default} if default else None,
                "scoringUri": f"{self._service.settings.arm}/batch/{name}/jobs",
            }
            return self._begun(ENDPOINT, name, body, kept, old)

    def get(self, name: str) -> Document:
        return self._shown(ENDPOINT, self._found(ENDPOINT, name))

    def all(self) -> list[Document]:
        found = (self._existing(ENDPOINT, name) for name in self._state.keys(ENDPOINT))
        return [self._shown(ENDPOINT, doc) for doc in found if doc is not None]

    def delete(self, name: str) -> str:
        """With its deployments, but not their jobs (how-to-mlflow-batch.md, "Clean up resources")."""
        with self._lock:
            doc = self._found(ENDPOINT, name)
            self._refuse_when_busy(doc)
            for key in self._state.keys(DEPLOYMENT, f"{name}/"):
                self._state.delete(DEPLOYMENT, key)
            return self._deleted(ENDPOINT, doc)

    # --- deployments

    def put_deployment(self, endpoint: str, name: str, body: Document) -> tuple[Document, str, bool]:
        with self._lock:
            self._found(ENDPOINT, endpoint)
            old = self._existing(DEPLOYMENT, f"{endpoint}/{name}")
            if old is not None:
                self._refuse_when_busy(old)
            else:
                rules.check_name("deployment", name)
                if len(self._state.keys(DEPLOYMENT, f"{endpoint}/")) >= rules.MOST_DEPLOYMENTS:
                    raise Refused(f"The endpoint '{endpoint}' has {rules.MOST_DEPLOYMENTS} deployments.")
            kept = self._checked(body.get("properties") or {})
            return self._begun(DEPLOYMENT, f"{endpoint}/{name}", body, kept, old)

    def deployment(self, endpoint: str, name: str) -> Document:
        self._found(ENDPOINT, endpoint)
        return self._shown(DEPLOYMENT, self._found(DEPLOYMENT, f"{endpoint}/{name}"))

    def deployments(self, endpoint: str) -> list[Document]:
        self._found(ENDPOINT, endpoint)
        found = (self._existing(DEPLOYMENT, key) for key in self._state.keys(DEPLOYMENT, f"{endpoint}/"))
        return [self._shown(DEPLOYMENT, doc) for doc in found if doc is not None]

    def delete_deployment(self, endpoint: str, name: str) -> str:
        with self._lock:
            doc, serving = self._found(DEPLOYMENT, f"{endpoint}/{name}"), self._found(ENDPOINT, endpoint)
            self._refuse_when_busy(doc)
            default = (serving["properties"]["defaults"] or {}).get("deploymentName", "")
            if default.lower() == name.lower():  # not documented: the strict guess
                raise Refused(
                    f"'{name}' is the default deployment of '{endpoint}'. Make another one the default first."
                )
            return self._deleted(DEPLOYMENT, doc)

    def called(self, endpoint: str, named: str) -> Document:
        """The stored deployment that a call goes to."""
        serving = self._found(ENDPOINT, endpoint)
        default = (serving["properties"]["defaults"] or {}).get("deploymentName", "")
        name = named or default
        if not name:
            raise Refused(f"The endpoint '{endpoint}' has no default deployment; name one.")
        found = self._found(DEPLOYMENT, f"{endpoint}/{name}")
        if self._state_of(found) != Status.SUCCEEDED:
            raise Refused(f"The deployment '{name}' is in the state '{self._state_of(found)}'.")
        return found

    def _checked(self, sent: Document) -> Document:
        """The properties as they are kept; Refused when no job could be made of them."""
        if (sent.get("deploymentConfiguration") or {}).get("deploymentConfigurationType", "Model") != "Model":
            raise ArmError(501, "NotEmulated", "The local Azure emulates model deployments alone.")
        model, code = str((sent.get("model") or {}).get("assetId") or ""), sent.get("codeConfiguration")
        if not model or registries.is_reference(model):
            raise Refused(
                f"A batch deployment serves a model that is registered in the workspace, not '{model}'."
            )
        found = self._service.get(Assets).find(model, "models")
        mlflow = str(found["properties"].get("modelType", "")).lower() == "mlflow_model"
        if not mlflow and not code:
            raise Refused("A batch deployment needs a scoring script, or a model of the type mlflow_model.")
        self._check_environment(code, str(sent.get("environmentId") or ""))
        cluster = self._cluster(str(sent.get("compute") or ""))
        count = rules.instances((sent.get("resources") or {}).get("instanceCount"))
        most = cluster["properties"]["properties"]["scaleSettings"]["maxNodeCount"]
        if count > most:
            raise Refused(
                f"{count} instances are asked for; the compute '{cluster['name']}' has at most {most} nodes."
            )
        settings = rules.settings({key: sent.get(key) for key in (*rules.DEFAULTS, "retrySettings")})
        return settings | {
            "model": {"referenceType": "Id", "assetId": found["id"]},
            "codeConfiguration": code,
            "environmentId": sent.get("environmentId"),
            "environmentVariables": sent.get("environmentVariables") or {},
            "compute": cluster["id"],
            "resources": {"instanceCount": count},
            "description": sent.get("description"),
            "properties": sent.get("properties") or {},
        }

    def _check_environment(self, code: Document | None, environment: str) -> None:
        if code and not environment:
            raise Refused("A batch deployment with a scoring script needs an environment.")
        if environment.removeprefix("azureml:").startswith("//registries/azureml/"):
            raise Refused("Curated environments are not supported in batch deployments.")
        if environment:
            self._service.get(Assets).find(environment, "environments")
        if code:
            self._service.get(Assets).find(code["codeId"], "codes")

    def _cluster(self, reference: str) -> Document:
        name = reference.rpartition("/")[2].removeprefix("azureml:")
        if not name or name.lower() == compute.SERVERLESS:
            raise Refused("A batch deployment runs on a compute cluster of the workspace: give it `compute`.")
        found = compute.get(self._service.state, name)
        if found["properties"]["computeType"] != "AmlCompute":
            raise Refused(
                f"'{name}' is of type {found['properties']['computeType']}, which runs no batch jobs."
            )
        return found

    # --- both

    def _begun(
        self, kind: str, key: str, body: Document, properties: Document, old: Document | None
    ) -> tuple[Document, str, bool]:
        now = self._service.clock().isoformat()
        system = {"createdAt": now, "createdBy": "local", "createdByType": "Application"}
        operation = self._operations.begin(kind, _id(key))
        address = self._operations.headers(operation)["Azure-AsyncOperation"]
        properties["properties"] = properties["properties"] | {"AzureAsyncOperationUri": address}
        doc = {
            "key": old["key"] if old else key,
            "location": body.get("location") or LOCATION,
            "tags": body.get("tags") or {},
            "properties": properties,
            "systemData": (old["systemData"] if old else system) | {"lastModifiedAt": now},
            "operation": operation,
            "doing": "Updating" if old else "Creating",
        }
        self._state.put(kind, key, doc)
        self._operations.finish(operation)
        shown = self._shown(kind, doc)
        shown["properties"] = shown["properties"] | {"provisioningState": doc["doing"]}
        return shown, operation, old is None

    def _deleted(self, kind: str, doc: Document) -> str:
        operation = self._operations.begin("batch.delete", _id(doc["key"]))
        self._state.put(kind, doc["key"], doc | {"operation": operation, "doing": "Deleting"})
        self._operations.finish(operation)
        return operation

    def _existing(self, kind: str, key: str) -> Document | None:
        """What is stored; what has been deleted since is gone."""
        found = self._state.get(kind, key)
        if found is None or found["doing"] != "Deleting" or self._running(found):
            return found
        self._state.delete(kind, key)
        return None

    def _found(self, kind: str, key: str) -> Document:
        found = self._existing(kind, key)
        if found is None:
            raise NotThere(kind.replace(".", " "), key)
        return found

    def _running(self, doc: Document) -> bool:
        return self._operations.look(doc["operation"]) is Status.RUNNING

    def _refuse_when_busy(self, doc: Document) -> None:
        if self._running(doc):
            raise Busy("batch resource", doc["key"], doc["doing"])

    def _state_of(self, doc: Document) -> str:
        status = self._operations.look(doc["operation"])
        return str(doc["doing"] if status is Status.RUNNING else status)

    def _serves(self, endpoint: str, name: str) -> bool:
        found = self._existing(DEPLOYMENT, f"{endpoint}/{name}")
        return found is not None and self._state_of(found) == Status.SUCCEEDED

    def _shown(self, kind: str, doc: Document) -> Document:
        """As Resource Manager answers it."""
        below = kind == DEPLOYMENT
        return {
            "id": _id(doc["key"]),
            "name": doc["key"].rpartition("/")[2],
            "type": "Microsoft.MachineLearningServices/workspaces/batchEndpoints" + "/deployments" * below,
            **{key: doc[key] for key in ("location", "tags", "systemData")},
            "properties": doc["properties"] | {"provisioningState": self._state_of(doc)},
        }


def _id(key: str) -> str:
    endpoint, _, deployment = key.partition("/")
    return f"{WORKSPACE_ID}/batchEndpoints/{endpoint}" + (f"/deployments/{deployment}" if deployment else "")
