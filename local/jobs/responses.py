"""Jobs as Azure Resource Manager shows them, and runs as the run history does."""

from __future__ import annotations

from starlette.responses import Response

from local.identity.roles import PUBLISHER
from local.jobs import compute, spark_storage, storage
from local.jobs import spark_token as tokens
from local.jobs.execution import LOG_NAME, log_blob
from local.jobs.models import Jobs
from local.jobs.notices import experiment_id
from local.jobs.runs import Run, Status
from local.settings import WORKSPACE_ID
from local.state import Document
from local.web import Call, listing, reply

PIPELINE_LOG = "logs/azureml/executionlogs.txt"


def put_job(call: Call) -> Response:
    _jobs(call).submit(call.path("name"), call.body, by_person=call.who == PUBLISHER)
    return reply(_resource(_jobs(call), call.path("name")), 201)


def get_job(call: Call) -> Response:
    return reply(_resource(_jobs(call), call.path("name")))


def list_jobs(call: Call) -> Response:
    jobs, view = _jobs(call), call.query("listViewType", "ActiveOnly")
    archived = view == "ArchivedOnly"
    shown = [run for run in reversed(jobs.runs.roots()) if view == "All" or run.hidden is archived]
    return listing(call, [_resource(jobs, run.id) for run in shown], ("listViewType",))


def cancel_job(call: Call) -> Response:
    operation = _jobs(call).cancel(call.path("name"))
    return reply({}, 202, call.service.operations.result_headers(operation))


def get_run(call: Call) -> Response:
    return reply(_history(call, _jobs(call).root(call.path("run"))))


def get_details(call: Call) -> Response:
    run = _jobs(call).root(call.path("run"))
    return reply(_history(call, run) | {"logFiles": _log_files(call, run)})


def get_children(call: Call) -> Response:
    """The nodes that have begun; Azure makes no runs for steps that never do."""
    jobs, parent = _jobs(call), _jobs(call).root(call.path("run"))
    children = [run for run in jobs.runs.of(parent.root) if run.parent == parent.id]
    return reply({"value": [_history(call, run) for run in children if run.status is not Status.NOT_STARTED]})


def get_run_data(call: Call) -> Response:
    return reply({"runMetadata": _history(call, _jobs(call).root(str(call.body.get("runId"))))})


def patch_run(call: Call) -> Response:
    """What may change after the submission: name, description, tags, properties, archiving."""
    body = call.body

    def edit(run: Run) -> None:
        run.display_name = body.get("displayName") or run.display_name
        run.description = body.get("description") or run.description
        run.tags |= body.get("tags") or {}
        run.properties |= body.get("properties") or {}
        if body.get("hidden") is not None:
            run.hidden = bool(body["hidden"])

    _jobs(call).root(call.path("run"))
    return reply(_history(call, _jobs(call).runs.change(call.path("run"), edit)))


def resolve_uris(call: Call) -> Response:
    """Where outputs are, by their asset ids: what `jobs.download` asks for."""
    found = {each: _jobs(call).catalog.resolved(str(each)) for each in call.body.get("values") or []}
    return reply({"values": {each: known for each, known in found.items() if known}})


def resolve_models(call: Call) -> Response:
    found = {each: _jobs(call).catalog.resolved(str(each)) for each in call.body.get("values") or []}
    paths = {each: {"path": known["uri"], "type": known["type"]} for each, known in found.items() if known}
    return reply({"values": paths})


def list_computes(call: Call) -> Response:
    return listing(call, compute.all_of(call.service.state))


def get_compute(call: Call) -> Response:
    return reply(compute.get(call.service.state, call.path("name")))


def set_computes(call: Call) -> Response:
    """PUT /local/computes {"cpu-cluster": {"size": "Standard_DS3_v2", "least_nodes": 0}}: these alone."""
    compute.replace(call.service.state, call.body)
    return reply(status=204)


def set_soft_delete(call: Call) -> Response:
    """PUT /local/soft-delete {"workspace-account": false}: what Spark reads directly lies where there is none."""
    spark_storage.keep_deleted(call.service.state, bool(call.body["workspace-account"]))
    return reply(status=204)


def spark_token(call: Call) -> Response:
    """What the driver of a Spark application asks for."""
    return reply(tokens.issue(call.service, _jobs(call).runs.get(str(call.body.get("runId"))), call.body))


def add_fault(call: Call) -> Response:
    _jobs(call).add_fault(call.body)
    return reply(status=204)


def _jobs(call: Call) -> Jobs:
    return call.service.get(Jobs)


def _resource(jobs: Jobs, name: str) -> Document:
    run = jobs.root(name)
    resource: Document = {
        "id": f"{WORKSPACE_ID}/jobs/{run.id}",
        "name": run.id,
        "type": "Microsoft.MachineLearningServices/workspaces/jobs",
        "properties": None,  # how Azure says that this is a node of a pipeline: its place is the run history
        "systemData": {"createdAt": run.created_at, "createdBy": "local", "createdByType": "Application"},
    }
    job = jobs.runs.job(name)
    if job is not None and run.id == run.root:
        resource["properties"] = {
            **job["properties"],
            "status": run.status.value,
            "displayName": run.display_name,
            "description": run.description,
            "experimentName": run.experiment,
            "tags": run.tags,
            "properties": run.properties,
            "isArchived": run.hidden,
            "services": {},
        }
    return resource


def _history(call: Call, run: Run) -> Document:
    return {
        "runId": run.id,
        "runUuid": run.id,
        "rootRunId": run.root,
        "parentRunId": run.parent or None,
        "experimentId": experiment_id(run.experiment),
        "status": run.status.value,
        "displayName": run.display_name,
        "description": run.description,
        "runType": run.kind,
        "createdUtc": run.created_at,
        "startTimeUtc": run.started_at or None,
        "endTimeUtc": run.ended_at or None,
        "lastModifiedUtc": run.ended_at or run.started_at or run.created_at,
        "hidden": run.hidden,
        "tags": run.tags,
        "properties": run.properties,
        "error": run.error,
        "warnings": [],
        "services": {},
        **compute.of_run(call.service.state, run),
        "outputs": {
            name: {"assetId": output["asset_id"], "type": output["type"]}
            for name, output in run.outputs.items()
        },
    }


def _log_files(call: Call, run: Run) -> dict[str, str]:
    """The logs' addresses, readable for an hour, brought up to date first."""
    jobs = _jobs(call)
    if run.step is None:
        nodes = [each for each in jobs.runs.of(run.root) if each.path]
        lines = [f"{each.path}: {each.status.value}" for each in nodes]
        name, blob = PIPELINE_LOG, f"ExperimentRun/dcid.{run.id}/{PIPELINE_LOG}"
        call.service.blobs.get_blob_client(storage.ARTIFACTS_CONTAINER, blob).upload_blob(
            "\n".join(lines), overwrite=True
        )
    else:
        name, blob = LOG_NAME, log_blob(run.id)
        jobs.execution.upload_log(run.id)
    client = call.service.blobs.get_blob_client(storage.ARTIFACTS_CONTAINER, blob)
    if not client.exists():
        return {}
    return {name: f"{client.url}?{call.service.sas(storage.ARTIFACTS_CONTAINER, write=False)}"}
