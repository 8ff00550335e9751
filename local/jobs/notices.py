"""What Azure ML tells the world about runs and models, in the Event Grid schema."""

from __future__ import annotations

import uuid

from local.jobs.runs import Run
from local.settings import WORKSPACE_ID
from local.state import Document

_RUN_TYPES = {"pipeline": "azureml.PipelineRun", "command": "azureml.scriptrun", "sweep": "hyperdrive"}
_PREFIX = "Microsoft.MachineLearningServices."


def experiment_id(name: str) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"{WORKSPACE_ID}/experiments/{name}"))


def run_changed(run: Run) -> list[Document]:
    """The run's new status; its completion is told a second time, as an event of its own."""
    experiment = experiment_id(run.experiment)
    data: Document = {
        "experimentId": experiment,
        "experimentName": run.experiment,
        "runId": run.id,
        "runType": _RUN_TYPES.get(run.kind),
        "runTags": run.tags,
        "runProperties": run.properties,
    }
    subject = f"experiments/{experiment}/runs/{run.id}"
    changed = {"runStatus": run.status.value, **data}
    events = [{"subject": subject, "eventType": f"{_PREFIX}RunStatusChanged", "data": changed}]
    if run.status.value == "Completed":
        events.append({"subject": subject, "eventType": f"{_PREFIX}RunCompleted", "data": data})
    return events


def model_registered(resource: Document) -> Document:
    """A new model version."""
    name, version = resource["id"].split("/")[-3], resource["name"]
    properties = resource["properties"]
    data = {"ModelName": name, "ModelVersion": version}
    data |= {"ModelTags": properties.get("tags") or {}, "ModelProperties": properties.get("properties") or {}}
    return {"subject": f"models/{name}:{version}", "eventType": f"{_PREFIX}ModelRegistered", "data": data}
