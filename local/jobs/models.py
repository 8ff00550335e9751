"""The workspace's jobs: submitted once under a name, told about truthfully, ended for good when asked to."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable
from functools import partial
from os import getppid

from local.assets.models import Assets
from local.jobs import compute, data_inputs, spark_storage
from local.jobs.catalog import Catalog
from local.jobs.conductor import Conductor
from local.jobs.exceptions import already_exists, invalid, not_found
from local.jobs.execution import Execution
from local.jobs.mlflow_store import Tracking
from local.jobs.notices import model_registered, run_changed
from local.jobs.plan import Plan, plan_of
from local.jobs.runs import Run, Runs, Status
from local.jobs.sweep import with_trials
from local.service import Service
from local.state import Document

_NAME = re.compile(r"[a-zA-Z0-9][\w\-]{0,254}")
FAULTS = ("fail", "stick", "slow")


class Jobs:
    """What HTTP, other services and tests ask of jobs."""

    def __init__(self, service: Service, publish: Callable[[Document], None]) -> None:
        self._service = service
        self._publish = publish
        self.runs = Runs(service.state, self._publish_change)
        self.catalog = Catalog(service.get(Assets), self.runs, service.state, service.blobs)
        tracking = Tracking(service.settings.folder / "mlruns")
        self.execution = Execution(
            self.runs,
            self.catalog,
            tracking,
            service.settings.folder / "jobs",
            keeper=getppid(),
            reads=service.roles.reads,
            reached=partial(spark_storage.place, service.state),
            settings=service.settings,
        )
        self._conductor = Conductor(self.runs, self.execution.perform, self._collect_outputs, self._ended)

    def start(self) -> None:
        self._conductor.resume()

    def stop(self) -> None:
        """End what runs; the next start says of it that it was lost."""
        self.execution.stopping.set()
        self._conductor.stop()

    def submit(self, name: str, body: Document, *, by_person: bool = True) -> None:
        """Write the job and begin it. ArmError when it cannot be executed, or the name is taken."""
        if not _NAME.fullmatch(name):
            raise invalid(f"'{name}' cannot name a job: letters, digits, '-' and '_', at most 255.")
        if self.runs.job(name) is not None:
            raise already_exists(name)
        properties = body.get("properties") or {}
        asked = plan_of(properties, self.catalog.component)
        compute.check(self._service.state, asked, by_person)
        data_inputs.check(asked, self.catalog.data_type)
        self.begin(name, properties, with_trials(asked, name))

    def begin(self, name: str, properties: Document, plan: Plan, trouble: str = "") -> None:
        """Write a job whose plan is made, and begin it. `trouble`: why it is going to fail, where that is known."""
        runs = _runs_of(name, properties, plan)
        runs[0].fault = {"kind": "fail", "message": trouble} if trouble else self._next_fault(name)
        if not self.runs.add(runs, {"properties": properties, "outputs": _outputs(name, plan)}):
            raise already_exists(name)
        self._conductor.advance(name)

    def root(self, name: str) -> Run:
        """The job of this name; 404 for a name that is none, or that is a node's."""
        run = self.runs.get(name)
        if run is None:
            raise not_found(name)
        return run

    def cancel(self, name: str) -> str:
        """Ask for the job's end; returns the operation that ends with it."""
        self.root(name)
        operation = self._service.operations.begin("job.cancel", name)

        def ask(run: Run) -> None:
            run.cancel_operations += [operation] if run.id == name else []
            waits = run.step is not None and run.status is Status.QUEUED
            run.status = Status.CANCELED if waits else Status.CANCEL_REQUESTED

        root = self.runs.change(name, ask)
        if root.status.ended:
            self._ended(root)
            return operation
        for run in self.runs.of(name)[1:]:
            if run.status.active:
                self.runs.change(run.id, ask)
        self._conductor.advance(name)
        return operation

    def tell_of_model(self, plural: str, resource: Document) -> None:
        """A listener of the assets."""
        if plural == "models":
            self._publish(model_registered(resource))

    def _publish_change(self, run: Run) -> None:
        for event in run_changed(run):
            self._publish(event)

    def add_fault(self, fault: Document) -> None:
        """Let the next job whose name matches suffer: fail, stick in Starting, or be slow."""
        if fault.get("kind") not in FAULTS:
            raise invalid(f"A fault's kind is one of {', '.join(FAULTS)}, not {fault.get('kind')!r}.")
        self._service.state.put("job.fault", uuid.uuid4().hex, fault)

    def _next_fault(self, name: str) -> Document | None:
        with self._service.state.transaction():
            for key, fault in self._service.state.items("job.fault"):
                if re.search(str(fault.get("match") or ""), name):
                    self._service.state.delete("job.fault", key)
                    return fault
        return None

    def _collect_outputs(self, pipeline: Run) -> None:
        """A pipeline's outputs are those of the steps that made them."""
        made = (self.runs.job(pipeline.id) or {}).get("outputs") or {}

        def collect(run: Run) -> None:
            for name, (maker, output) in made.items():
                found = self.runs.known(maker).outputs.get(output)
                if found is not None:
                    run.outputs[name] = found

        self.runs.change(pipeline.id, collect)

    def _ended(self, root: Run) -> None:
        for operation in root.cancel_operations:
            self._service.operations.finish(operation)


def run_id(root: str, path: str) -> str:
    """A node's run id follows from the job's name and its place, so that a restart finds it again."""
    if "#" in path:
        sweep, _, number = path.rpartition("#")
        return f"{run_id(root, sweep)}_{number}"
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"{root}/{path}")) if path else root


def _runs_of(name: str, properties: Document, plan: Plan) -> list[Run]:
    """The job's run first, then one for each node."""
    experiment = str(properties.get("experimentName") or "Default")
    display_name = str(properties.get("displayName") or name)
    kind = str(properties["jobType"]).lower()
    root = Run(name, name, "", "", kind, experiment, display_name)
    root.tags = dict(properties.get("tags") or {})
    root.properties = {key: str(value) for key, value in (properties.get("properties") or {}).items()}
    root.description = str(properties.get("description") or "")
    if "" in plan.steps:
        root.step = plan.steps[""].to_document()
    runs = [root]
    for path in plan.pipelines:
        runs.append(_node(root, path, "pipeline"))
    for path, step in plan.steps.items():
        if path:
            node = _node(root, path, "sweep" if step.sweep is not None else step.spec.get("type", "command"))
            node.step = step.to_document()
            runs.append(node)
    return runs


def _node(root: Run, path: str, kind: str) -> Run:
    outer, _, node = path.rpartition("#" if "#" in path else "/")
    run = Run(run_id(root.id, path), root.id, run_id(root.id, outer), path, kind, root.experiment, node)
    run.properties = {"azureml.pipelinerunid": root.id, "azureml.moduleName": node, "azureml.nodepath": path}
    return run


def _outputs(name: str, plan: Plan) -> dict[str, list[str]]:
    return {output: [run_id(name, source.value), source.output] for output, source in plan.outputs.items()}
