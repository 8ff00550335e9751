"""A step goes from its inputs' download to its outputs' upload; interrupted, it goes on or says why not."""

from __future__ import annotations

import json
import logging
import math
import os
import shutil
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from local.jobs import (
    compute,
    data_inputs,
    distribution,
    environment,
    spark_application,
    spark_storage,
    spark_token,
    storage,
)
from local.jobs.catalog import Catalog
from local.jobs.command import render
from local.jobs.exceptions import StepCanceled, StepFailed, StepLost, WorkspaceStopping
from local.jobs.launcher import started_at
from local.jobs.mlflow_store import Tracking
from local.jobs.plan import Source, Step, Target
from local.jobs.runs import Run, Runs, Status, error_document
from local.jobs.step_process import end, exit_code, last_words, lives, lost_because, recorded, start
from local.jobs.sweep import Sweep
from local.settings import ACCOUNT, RESOURCE_GROUP, SUBSCRIPTION, WORKSPACE, Settings
from local.state import Document

LOOK_S = 0.05
_KEPT_VARIABLES = {"HOME", "LANG", "LC_ALL", "TMPDIR", "TZ"}
LOG_NAME = "user_logs/std_log.txt"
_log = logging.getLogger(__name__)


Reads = Callable[[str, str], bool]
"""Whether an identity may read a container."""
Reached = Callable[[str], storage.Place]
"""The blobs behind an address; StepFailed where Spark could not reach them."""


class Execution:
    """Performs steps: each call of `perform` brings one run to its end, from wherever it is."""

    def __init__(
        self,
        runs: Runs,
        catalog: Catalog,
        tracking: Tracking,
        folder: Path,
        keeper: int,
        reads: Reads,
        reached: Reached,
        settings: Settings,
    ) -> None:
        self._runs = runs
        self._reads = reads
        self._reached = reached
        self._settings = settings
        self._catalog = catalog
        self._blobs = catalog.blobs
        self._tracking = tracking
        self._folder = folder
        self._keeper = {"pid": keeper, "started_at": started_at(keeper)}
        self.stopping = threading.Event()

    def folder(self, run_id: str) -> Path:
        return self._folder / run_id

    def perform(self, run_id: str) -> None:
        """Bring the run to an end, and never raise: whatever goes wrong is the run's error."""
        try:
            self._perform(self._runs.known(run_id))
        except WorkspaceStopping:
            return
        except StepCanceled:
            self._fail(run_id, Status.CANCELED)
        except StepFailed as failure:
            self._fail(run_id, Status.FAILED, error_document(failure.code, str(failure)))
        except Exception as failure:  # noqa: BLE001 - a step's thread has no caller that could be told
            _log.exception("run %s failed in the local workspace", run_id)
            message = f"The local workspace failed: {type(failure).__name__}: {failure}"
            self._fail(run_id, Status.FAILED, error_document("SystemError", message))

    def _perform(self, run: Run) -> None:
        if run.status.ended:
            return
        if run.kind == "sweep":
            self._choose(run)
            return
        if run.status in (Status.QUEUED, Status.PREPARING, Status.STARTING):
            run = self._move(run, Status.PREPARING)
            self._suffer_fault(run)
            if self._reused(run):
                return
            self._prepare(run)
            run = self._launch(run)
        if run.status in (Status.RUNNING, Status.CANCEL_REQUESTED):
            self._await_exit(run)
            run = self._move(run, Status.FINALIZING)
        self._finalize(run)

    def _move(self, run: Run, status: Status) -> Run:
        moved = self._runs.move(run.id, status)
        self._raise_if_unwanted(moved)
        return moved

    def _raise_if_unwanted(self, run: Run) -> None:
        if run.status in (Status.CANCEL_REQUESTED, Status.CANCELED):
            raise StepCanceled
        if self.stopping.is_set():
            raise WorkspaceStopping

    def _suffer_fault(self, run: Run) -> None:
        """What the control surface asked for this job: failure, or slowness."""
        fault = self._runs.known(run.root).fault or {}
        deadline = time.monotonic() + float(fault.get("seconds") or 0)
        while time.monotonic() < deadline:
            time.sleep(LOOK_S)
            self._raise_if_unwanted(self._runs.known(run.id))
        if fault.get("kind") == "fail":
            raise StepFailed(str(fault.get("message") or "The control surface asked for this failure."))

    # --- reuse

    def _reused(self, run: Run) -> bool:
        """Take over an earlier run's outputs when a pipeline's step would do the same again."""
        if run.id == run.root or run.plan_step.search_values:
            return False
        step = run.plan_step
        key = self._catalog.reuse_key(step, {name: self._uri(run, s) for name, s in step.inputs.items()})
        earlier = self._catalog.reusable(key) if key and not self._rerun_is_forced(run) else None
        if earlier is None or not self._catalog.still_there(earlier):
            self._runs.change(run.id, lambda stored: setattr(stored, "reuse_key", key))
            return False

        properties = {"azureml.isreused": "true", "azureml.reusedrunid": earlier.id}
        properties |= {"azureml.reusedpipelinerunid": earlier.root}
        self._complete(run, {name: earlier.outputs[name]["uri"] for name in step.outputs}, properties)
        return True

    def _rerun_is_forced(self, run: Run) -> bool:
        job = self._runs.job(run.root) or {}
        settings = job["properties"].get("settings") or {}
        return str(settings.get("force_rerun", settings.get("ForceRerun", False))).lower() == "true"

    # --- before the command

    def _prepare(self, run: Run) -> None:
        folder = self.folder(run.id)
        attempted = recorded(folder)
        if lives(attempted):  # the workspace was killed between the start of the command and its receipt
            end(attempted)
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        order = self._application(run) if _is_spark(run) else self._command(run)
        file = folder / "order.json"
        file.touch(mode=0o600)
        file.write_text(json.dumps({**order, "cwd": str(folder / "code"), "keeper": self._keeper}))

    def _command(self, run: Run) -> Document:
        step, code = run.plan_step, self.folder(run.id) / "code"
        name, asset = self._catalog.environment_of(step)
        python = environment.python_for(name, asset)
        (code / "outputs").mkdir(parents=True)  # Azure ML makes it, and keeps what is left there
        if step.spec.get("code"):
            self._download(step, self._catalog.code(step.spec["code"]), code)
        inputs = {key: self._input(run, key, source) for key, source in step.inputs.items()}
        outputs = {key: str(self._output(run, key, target)) for key, target in step.outputs.items()}
        line = render(str(step.spec.get("command") or ""), inputs, outputs, step.search_values)
        return {
            "command": [shutil.which("bash") or "/bin/sh", "-c", line],
            "env": self._variables(run, python, inputs, outputs),
            "places": distribution.places(step),
        }

    def _application(self, run: Run) -> Document:
        """A Spark application, which gets addresses; what lies there is behind them when it begins."""
        step, folder = run.plan_step, self.folder(run.id)
        home = spark_application.java()
        python = spark_application.python_for(*self._catalog.environment(step.spec.get("environment")))
        self._download(step, self._catalog.code(step.spec["code"]), folder / "code")
        inputs = {key: self._uri(run, source) for key, source in step.inputs.items()}
        outputs = {key: self._catalog.output_uri(run, key, t) for key, t in step.outputs.items()}
        for key, source in step.inputs.items():
            if source.kind != "literal":
                brought = self._bring(run, inputs[key], required=True)
                if data_inputs.way_of(step, key).type == "mltable":
                    for named in data_inputs.table(brought, inputs[key]).addresses():
                        self._bring(run, named, required=True)
                inputs[key] = spark_storage.address(inputs[key])
        for key, uri in outputs.items():
            self._bring(run, uri, required=False)
            outputs[key] = spark_storage.address(uri)
        arguments = render(str(step.spec.get("args") or ""), inputs, outputs, {})
        signs_in = spark_token.variables(self._settings, run.id)
        variables = {**self._variables(run, python, inputs, outputs), "JAVA_HOME": home, **signs_in}
        conf = spark_token.conf(self._settings, run.id)
        return spark_application.Application(step.spec, folder, python).order(arguments, variables, conf)

    def _bring(self, run: Run, uri: str, *, required: bool) -> Path:
        """What lies at an address, for Spark; at that of an output there may be something as well."""
        place = self._reached(uri)
        target = spark_storage.folder_of(self.folder(run.id) / "stores", place)
        target.parent.mkdir(parents=True, exist_ok=True)
        found = storage.blobs_at(self._blobs, place)
        if found or required:
            one_file = [name for name, _ in found] == [""]
            self._download(run.plan_step, place, target.parent if one_file else target)
        return target

    def _input(self, run: Run, name: str, source: Source) -> str:
        uri = self._uri(run, source)
        way = data_inputs.way_of(run.plan_step, name)
        if source.kind == "literal" or way.mode == "direct":
            return uri
        target = self.folder(run.id) / "inputs" / name
        found = self._download(run.plan_step, storage.place_of(uri), target)
        if way.type != "mltable":
            return str(found)
        table = data_inputs.table(found, uri)
        if not way.evaluated:
            return str(found)
        shutil.rmtree(target)
        target.mkdir()
        for place in table.places():
            within = place.path if place.path.endswith("/") else str(Path(place.path).parent)
            self._download(run.plan_step, place, target / ACCOUNT / place.container / within)
        return str(target)

    def _download(self, step: Step, place: storage.Place, target: Path) -> Path:
        """As the identity that the step runs as; a person's own credentials reach what the person may read."""
        who = compute.identity_of(step)
        if who and not self._reads(who, place.container):
            raise StepFailed(
                f"The {who} identity is not authorized to read the container '{place.container}'. "
                "Give it the role 'Storage Blob Data Reader' on the storage account."
            )
        return storage.download(self._blobs, place, target)

    def _uri(self, run: Run, source: Source) -> str:
        """A literal's text, or the address of the data that an input is."""
        if source.kind == "literal":
            return source.value
        if source.kind == "asset":
            return self._catalog.uri(source.value)
        maker = next(other for other in self._runs.of(run.root) if other.path == source.value and other.step)
        return maker.outputs[source.output]["uri"]

    def _output(self, run: Run, name: str, target: Target) -> Path:
        place = self.folder(run.id) / "outputs" / name
        (place.parent if target.type == "uri_file" else place).mkdir(parents=True, exist_ok=True)
        return place

    def _variables(
        self, run: Run, python: Path, inputs: dict[str, str], outputs: dict[str, str]
    ) -> dict[str, str]:
        """A clean environment: what the workspace process knows is none of a step's business."""
        kept = {key: value for key, value in os.environ.items() if key in _KEPT_VARIABLES}
        return {
            **kept,
            "PATH": os.pathsep.join([str(python.parent), os.environ.get("PATH", os.defpath)]),
            "PYTHONUNBUFFERED": "1",
            "AZUREML_RUN_ID": run.id,
            "AZUREML_ROOT_RUN_ID": run.root,
            "AZUREML_EXPERIMENT_NAME": run.experiment,
            "AZUREML_ARM_SUBSCRIPTION": SUBSCRIPTION,
            "AZUREML_ARM_RESOURCEGROUP": RESOURCE_GROUP,
            "AZUREML_ARM_WORKSPACE_NAME": WORKSPACE,
            "AZUREML_ARM_PROJECT_NAME": run.experiment,
            **{f"AZURE_ML_INPUT_{name}": value for name, value in inputs.items()},
            **{f"AZURE_ML_OUTPUT_{name}": value for name, value in outputs.items()},
            **self._tracking.begin(run.experiment, run.id),
            **run.plan_step.environment_variables,
        }

    # --- the command

    def _launch(self, run: Run) -> Run:
        self._raise_if_unwanted(self._runs.known(run.id))
        process = start(self.folder(run.id))

        def edit(stored: Run) -> None:
            stored.process = process
            stored.status = Status.RUNNING

        return self._runs.change(run.id, edit)

    def _await_exit(self, run: Run) -> None:
        folder, limit_s = self.folder(run.id), run.plan_step.timeout_s
        deadline = math.inf if limit_s is None or not run.started_at else _seconds(run.started_at) + limit_s
        try:
            while (code := exit_code(folder)) is None:
                self._raise_if_unwanted(self._runs.known(run.id))
                if not lives(run.process) and exit_code(folder) is None:
                    raise StepLost(lost_because(folder))
                if time.time() > deadline:
                    raise StepFailed(f"The step ran longer than its limit of {limit_s:g} s.")
                time.sleep(LOOK_S)
        finally:
            end(run.process)  # what the command left in the background ends too, as in a container
        if code != 0:
            words = spark_application.last_words if _is_spark(run) else last_words
            raise StepFailed(f"The step's command ended with exit code {code}.\n{words(folder)}")

    # --- after the command

    def _finalize(self, run: Run) -> None:
        uris: dict[str, str] = {}
        for name, target in run.plan_step.outputs.items():
            uris[name] = self._catalog.output_uri(run, name, target)
            place = storage.place_of(uris[name])
            source = self.folder(run.id) / "outputs" / name
            if _is_spark(run):
                source = spark_storage.folder_of(self.folder(run.id) / "stores", place)
                storage.remove_others(self._blobs, source, place)
            if not source.exists():
                raise StepFailed(f"The step ended well, but did not write its output '{name}'.")
            storage.upload(self._blobs, source, place)
        artifacts = self.folder(run.id) / "code" / "outputs"  # Azure ML keeps what a step leaves there
        if artifacts.is_dir() and any(artifacts.iterdir()):
            place = storage.Place(storage.ARTIFACTS_CONTAINER, f"{artifacts_of(run.id)}/outputs")
            storage.upload(self._blobs, artifacts, place)
        self._complete(run, uris, {})

    def _choose(self, run: Run) -> None:
        """The outputs of a sweep are those of its best trial."""
        step, sweep = run.plan_step, Sweep.read(run.plan_step.sweep or {})
        self._move(run, Status.FINALIZING)
        found: dict[str, float] = {}
        for trial in self._runs.of(run.root):
            metric = self._tracking.metric(run.experiment, trial.id, sweep.metric)
            if trial.path in step.trials and trial.status is Status.COMPLETED and metric is not None:
                found[trial.id] = metric
        if not found:
            raise StepFailed(self._why_no_trial(run, sweep))
        best = self._runs.known(sweep.best(found))
        uris = {name: self._catalog.output_uri(run, name, target) for name, target in step.outputs.items()}
        for name, uri in uris.items():
            storage.copy(self._blobs, storage.place_of(best.outputs[name]["uri"]), storage.place_of(uri))
        self._complete(run, uris, {"best_child_run_id": best.id, "score": str(found[best.id])})

    def _why_no_trial(self, run: Run, sweep: Sweep) -> str:
        """Of each trial what kept it from being the best, said once where it was the same."""
        step = run.plan_step
        trials = [each for each in self._runs.of(run.root) if each.path in step.trials]
        ended_well = sum(each.status is Status.COMPLETED for each in trials)
        errors = [str(each.error["error"]["message"]) for each in trials if each.error]
        text = f"None of {len(trials)} trials ended well and logged '{sweep.metric}': {ended_well} ended without it"
        told = [f"{errors.count(each)} failed: {each}" for each in dict.fromkeys(errors)]
        return "; ".join([text, *told[:3]])

    def _complete(self, run: Run, uris: dict[str, str], properties: dict[str, str]) -> None:
        """Register the outputs and end the run in one transaction: after a crash, all of it is there or none."""
        self.upload_log(run.id)

        def edit(stored: Run) -> None:
            for name, target in run.plan_step.outputs.items():
                stored.outputs[name] = self._catalog.registered(run, name, target, uris[name])
            stored.properties |= properties
            stored.status = Status.COMPLETED
            if stored.reuse_key:
                self._catalog.remember(stored)

        self._runs.change(run.id, edit)
        shutil.rmtree(self.folder(run.id), ignore_errors=True)

    def _fail(self, run_id: str, status: Status, error: Document | None = None) -> None:
        self.upload_log(run_id)
        self._runs.move(run_id, status, error)
        shutil.rmtree(self.folder(run_id), ignore_errors=True)

    def upload_log(self, run_id: str) -> None:
        """Bring the log's blob up to date with what the step has written."""
        with suppress(FileNotFoundError):
            text = (self.folder(run_id) / "std_log.txt").read_bytes()
            client = self._blobs.get_blob_client(storage.ARTIFACTS_CONTAINER, log_blob(run_id))
            client.upload_blob(text, overwrite=True)


def _is_spark(run: Run) -> bool:
    return run.plan_step.spec.get("type") == "spark"


def _seconds(moment: str) -> float:
    return datetime.fromisoformat(moment).timestamp()


def artifacts_of(run_id: str) -> str:
    return f"ExperimentRun/dcid.{run_id}"


def log_blob(run_id: str) -> str:
    return f"{artifacts_of(run_id)}/{LOG_NAME}"
