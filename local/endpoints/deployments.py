"""A deployment is Succeeded when its process serves; else Failed, with the end of the process's log."""

from __future__ import annotations

import json
import logging
import re
import shutil
import threading
import uuid
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path

from local.endpoints import bodies, container, limits, quota, scorer
from local.endpoints.board import Board, Target
from local.endpoints.collector import Collector
from local.endpoints.endpoint_faults import Faults
from local.endpoints.exceptions import Busy, DeploymentFailed, NotThere, Refused
from local.progress import Status
from local.service import Service
from local.settings import WORKSPACE_ID
from local.state import Document

KIND = "online.deployment"
ENDING_WITHIN_S = 5.0
_log = logging.getLogger(__name__)


class Deployments:
    """All endpoints' deployments. Processes are started in threads; the state says how far each one is."""

    def __init__(self, service: Service, board: Board, faults: Faults) -> None:
        self._service = service
        self._state = service.state
        self._board = board
        self._faults = faults
        self._lock = threading.RLock()
        self._folder = service.settings.folder / "endpoints"
        self._starting = ThreadPoolExecutor(max_workers=4, thread_name_prefix="deployment")
        self._stopping = threading.Event()
        self.operations = service.operations
        self.collector = Collector(service, faults)

    def resume(self) -> None:
        """Start again what served, and wait for it; what was being started goes on being started."""
        shutil.rmtree(self._folder, ignore_errors=True)
        found = [doc for _, doc in self._state.items(KIND) if doc["phase"] in ("starting", "serving")]
        started = [(doc["phase"], self._start(doc)) for doc in found]
        for phase, done in started:
            if phase == "serving":
                done.result()

    def stop(self) -> None:
        """End every scoring process; the state keeps what served."""
        self._stopping.set()
        self._starting.shutdown(cancel_futures=True)
        for routed in self._board.endpoints.values():
            for target in routed.targets.values():
                target.scoring.stop()
        self.collector.stop()

    def revive(self, target: Target) -> None:
        """Start a container again whose process is gone, as the platform does, from what is stored now."""
        doc = self._state.get(KIND, f"{target.endpoint}/{target.name}")
        gone = doc is not None and doc["phase"] == "serving" and target.scoring.child.poll() is not None
        if doc is None or not gone or target.reviving or self._stopping.is_set():
            return
        target.reviving = True
        self._starting.submit(self._revived, doc, target)

    def _revived(self, doc: Document, dead: Target) -> None:
        try:
            target = self._target(doc)
        except DeploymentFailed as error:
            _log.error("the container of %s/%s does not start: %s", doc["endpoint"], doc["name"], error)
        else:
            self._swap(target)
        finally:
            dead.reviving = False

    def put(self, endpoint: str, name: str, body: Document) -> tuple[Document, str, bool]:
        """The deployment as it will be shown, its operation, and whether it is new."""
        with self._lock:
            old = self._existing(endpoint, name)
            if old is not None:
                self._refuse_when_busy(old)
            properties = bodies.checked(self._service, body)
            self._check_limits(endpoint, name, properties, old)
            doc = bodies.document(self._service, endpoint, name, body, properties, old)
            quota.refuse_at_once(self._state, doc, old)
            doc["operation"] = self.operations.begin("deployment", _id(endpoint, name))
            address = self.operations.headers(doc["operation"])["Azure-AsyncOperation"]
            doc["properties"]["properties"] |= {"AzureAsyncOperationUri": address}  # as Azure keeps it
            self._state.put(KIND, f"{endpoint}/{name}", doc)
        shown = bodies.shown(doc, doc["doing"])
        self._start(doc)
        return shown, doc["operation"], old is None

    def _check_limits(self, endpoint: str, name: str, properties: Document, old: Document | None) -> None:
        if old is not None:
            fixed = {"egressPublicNetworkAccess": "Enabled"}
            limits.check_update(f"The deployment '{name}'", old["properties"], properties, fixed)
            return
        limits.check_name("deployment", name)
        if len(self._state.keys(KIND, f"{endpoint}/")) >= limits.MOST_DEPLOYMENTS:
            raise Refused(
                f"The endpoint '{endpoint}' has {limits.MOST_DEPLOYMENTS} deployments, as many as it may."
            )

    def get(self, endpoint: str, name: str) -> Document:
        doc = self._found(endpoint, name)
        return bodies.shown(doc, self._provisioning_state(doc))

    def of(self, endpoint: str) -> list[Document]:
        names = [key.rpartition("/")[2] for key in self._state.keys(KIND, f"{endpoint}/")]
        found = [doc for name in names if (doc := self._existing(endpoint, name)) is not None]
        return [bodies.shown(doc, self._provisioning_state(doc)) for doc in found]

    def instances(self, endpoint: str, name: str) -> int:
        return int(self._found(endpoint, name)["properties"]["instances"])

    def scale(self, endpoint: str, name: str, instances: int) -> None:
        """To so many machines, as Azure Monitor does; the one process here stays."""
        with self._lock:
            doc = self._found(endpoint, name)
            doc["properties"]["instances"] = instances
            doc["sku"] = doc["sku"] | {"capacity": instances}
            self._state.put(KIND, f"{endpoint}/{name}", doc)

    def serves(self, endpoint: str, name: str) -> bool:
        routed = self._board.find(endpoint)
        return routed is not None and name.lower() in routed.targets

    def delete(self, endpoint: str, name: str) -> str:
        """The operation that deletes it; its process ends before the operation does."""
        with self._lock:
            doc = self._found(endpoint, name)
            self._refuse_when_busy(doc)
            routed = self._board.find(endpoint)
            if routed is not None and routed.weights.get(name.lower(), 0) > 0:
                raise Refused(
                    f"The deployment '{name}' has live traffic. Set its traffic to 0 before deleting it."
                )
            if routed is not None and routed.mirrored.get(name.lower()):  # not documented: the strict guess
                raise Refused(f"The deployment '{name}' gets mirrored traffic. End that before deleting it.")
            operation = self.operations.begin("deployment.delete", _id(endpoint, name))
            doc |= {"operation": operation, "doing": "Deleting", "phase": "deleting"}
            self._state.put(KIND, f"{endpoint}/{name}", doc)
        self._end(endpoint, name)
        self.operations.finish(operation)
        return operation

    def delete_all(self, endpoint: str) -> None:
        with self._lock:
            docs = [doc for _, doc in self._state.items(KIND, f"{endpoint}/")]
            for doc in docs:
                if doc["phase"] == "starting":
                    raise Busy("online deployment", doc["name"], doc["doing"])
            for doc in docs:
                self._end(endpoint, doc["name"])
                self._state.delete(KIND, f"{endpoint}/{doc['name']}")

    def log(self, endpoint: str, name: str, lines: int) -> str:
        doc = self._found(endpoint, name)
        file = self._log_file(doc)
        text = file.read_text(errors="replace") if file.exists() else ""
        return "\n".join(text.splitlines()[-lines:])

    def _existing(self, endpoint: str, name: str) -> Document | None:
        """The stored deployment; one whose deletion has ended is gone."""
        found = self._state.get(KIND, f"{endpoint}/{name}")
        if found is None or found["phase"] != "deleting":
            return found
        if self.operations.look(found["operation"]) is Status.RUNNING:
            return found
        self._state.delete(KIND, f"{endpoint}/{name}")
        return None

    def _found(self, endpoint: str, name: str) -> Document:
        found = self._existing(endpoint, name)
        if found is None:
            raise NotThere("online deployment", f"{endpoint}/{name}")
        return found

    def _provisioning_state(self, doc: Document) -> str:
        status = self.operations.look(doc["operation"])
        return str(doc["doing"] if status is Status.RUNNING else status)

    def _refuse_when_busy(self, doc: Document) -> None:
        if self.operations.look(doc["operation"]) is Status.RUNNING:
            raise Busy("online deployment", doc["name"], doc["doing"])

    def _start(self, doc: Document) -> Future[None]:
        done = self._starting.submit(self._provision, doc)
        done.add_done_callback(partial(self._account_for, doc))
        return done

    def _account_for(self, doc: Document, done: Future[None]) -> None:
        """An error of ours must not leave the operation running for ever. But when we are being ended, our
        helpers die before we are told: what was being started is then started again after the restart."""
        error = None if done.cancelled() else done.exception()
        if error is not None and not self._stopping.wait(ENDING_WITHIN_S):
            _log.error("The deployment %s/%s failed in us", doc["endpoint"], doc["name"], exc_info=error)
            self._fail(doc, DeploymentFailed("InternalServerError", f"{type(error).__name__}: {error}"))

    def _provision(self, doc: Document) -> None:
        try:
            if self._faults.cancels(doc["endpoint"]):
                raise DeploymentFailed(*limits.CANCELED)
            target = self._target(doc)
        except DeploymentFailed as error:
            if not self._stopping.is_set():
                self._fail(doc, error)
            return
        if self._swap(target):
            self._ended(doc, "serving", None)

    def _swap(self, target: Target) -> bool:
        """From now on this process serves; False when nobody wants it any more."""
        routed = self._board.find(target.endpoint)
        if self._stopping.is_set() or routed is None:
            target.scoring.stop()
            return False
        before = routed.targets.get(target.name.lower())
        routed.targets[target.name.lower()] = target
        if before is not None:
            before.scoring.stop()
        return True

    def _target(self, doc: Document) -> Target:
        quota.demand(self._state, doc)
        instance = uuid.uuid4().hex
        folder = self._folder / doc["endpoint"] / doc["name"] / instance
        found = container.fetch(self._service, doc["properties"], folder)
        settings = bodies.serving(doc["properties"])
        self.collector.serving(doc["endpoint"], doc["name"], instance, settings.rolling)
        variables = self._variables(doc, settings, folder) | (
            doc["properties"].get("environmentVariables") or {}
        )
        plan = scorer.Plan(
            f"{doc['endpoint']}.{doc['name']}",
            found.python,
            found.code,
            found.script,
            found.model,
            variables,
            self._log_file(doc),
        )
        return Target(doc["endpoint"], doc["name"], scorer.start(plan, self._stopping), instance, *settings)

    def _variables(self, doc: Document, settings: bodies.Serving, folder: Path) -> dict[str, str]:
        """What Azure's collector reads: which collections are on, and where it sends its rows."""
        names = {
            name: rate for name, rate in settings.collected.items() if name not in ("request", "response")
        }
        if not names:
            return {}
        chosen = {name: {"enabled": True, "sampleRatePercentage": rate * 100} for name, rate in names.items()}
        file = folder / "mdc-config.json"
        file.write_text(json.dumps({"runMode": "cloud", "collections": chosen}))
        host, port = self.collector.address(doc["endpoint"], doc["name"])
        return {
            "AZUREML_MDC_CONFIG_PATH": str(file),
            "AZUREML_MDC_HOST": host,
            "AZUREML_MDC_PORT": str(port),
            "LOCAL_COLLECTIONS": " ".join(names),
        }

    def _fail(self, doc: Document, error: DeploymentFailed) -> None:
        self._ended(doc, "failed", {"code": error.code, "message": str(error), "details": []})

    def _ended(self, doc: Document, phase: str, error: Document | None) -> None:
        with self._lock:
            current = self._state.get(KIND, f"{doc['endpoint']}/{doc['name']}")
            if current is not None and current["operation"] == doc["operation"]:
                self._state.put(KIND, f"{doc['endpoint']}/{doc['name']}", current | {"phase": phase})
        self.operations.finish(doc["operation"], error)

    def _end(self, endpoint: str, name: str) -> None:
        routed = self._board.find(endpoint)
        target = routed.targets.pop(name.lower(), None) if routed is not None else None
        if target is not None:
            target.scoring.stop()

    def _log_file(self, doc: Document) -> Path:
        name = re.sub(r"[^A-Za-z0-9.-]", "_", f"{doc['endpoint']}.{doc['name']}")
        return self._service.settings.logs / f"{name}.{doc['operation'][:8]}.log"


def _id(endpoint: str, name: str) -> str:
    return f"{WORKSPACE_ID}/onlineEndpoints/{endpoint}/deployments/{name}"
