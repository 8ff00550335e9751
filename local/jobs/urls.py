"""The addresses of jobs, of the run history and of the data plane that says where outputs are."""

from __future__ import annotations

from starlette.routing import BaseRoute

from local.assets.models import Assets
from local.events import publish
from local.jobs import responses, spark_token
from local.jobs.models import Jobs
from local.service import Service
from local.web import WORKSPACE_PATH, action_of, arm, control, opened, secured

_HISTORY = f"/history/v1.0{WORKSPACE_PATH}"
_BOTH = ("arm", "ml")
_RUNS = "Microsoft.MachineLearningServices/workspaces/experiments/runs/"

routes: list[BaseRoute] = [
    arm("/computes", responses.list_computes),
    arm("/computes/{name}", responses.get_compute),
    arm("/jobs", responses.list_jobs),
    arm("/jobs/{name}", responses.get_job),
    arm("/jobs/{name}", responses.put_job, ["PUT"]),
    arm("/jobs/{name}/cancel", responses.cancel_job, ["POST"]),
    secured(f"{_HISTORY}/runs/{{run}}", responses.get_run, audiences=_BOTH, action=_RUNS + "read"),
    secured(
        f"{_HISTORY}/runs/{{run}}/details", responses.get_details, audiences=_BOTH, action=_RUNS + "read"
    ),
    secured(
        f"{_HISTORY}/runs/{{run}}/children", responses.get_children, audiences=_BOTH, action=_RUNS + "read"
    ),
    secured(f"{_HISTORY}/rundata", responses.get_run_data, ["POST"], audiences=_BOTH, action=_RUNS + "read"),
    secured(
        f"{_HISTORY}/experiments/{{e}}/runs/{{run}}",
        responses.patch_run,
        ["PATCH"],
        audiences=_BOTH,
        action=_RUNS + "write",
    ),
    secured(
        f"/data/v1.0{WORKSPACE_PATH}/dataversion/batchGetResolvedUris",
        responses.resolve_uris,
        ["POST"],
        audiences=_BOTH,
        action=action_of("/data/versions", "GET"),
    ),
    secured(
        f"/modelregistry/v1.0{WORKSPACE_PATH}/models/batchGetResolvedUris",
        responses.resolve_models,
        ["POST"],
        audiences=_BOTH,
        action=action_of("/models/versions", "GET"),
    ),
    opened(f"{spark_token.PATH}{WORKSPACE_PATH}/{{operation}}", responses.spark_token, ["POST"]),
    control("/computes", responses.set_computes, ["PUT"]),
    control("/soft-delete", responses.set_soft_delete, ["PUT"]),
    control("/jobs/faults", responses.add_fault, ["POST"]),
]

_started: list[Jobs] = []


def start(service: Service) -> None:
    jobs = Jobs(service, publish=lambda event: publish(service, event))
    service.add(jobs)
    service.get(Assets).listeners.append(jobs.tell_of_model)
    _started.append(jobs)
    jobs.start()


def stop() -> None:
    while _started:
        _started.pop().stop()
