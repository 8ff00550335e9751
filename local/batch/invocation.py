"""A call of a batch endpoint is a job under the caller's name, of one step, `batchscoring`, with one output, `score`.

Sources in MicrosoftDocs/azure-ai-docs, articles/machine-learning: how-to-authenticate-batch-endpoint.md (the job runs
as the caller; the caller and the cluster's identity both read what lies in a datastore without a secret),
how-to-use-batch-model-deployments.md (`azureml-core` and `azureml-dataset-runtime[fuse]` are required; a job whose
output file exists fails; what a call may lay over the deployment's settings), how-to-troubleshoot-batch-endpoints.md
(how the failures read).
"""

from __future__ import annotations

import json
import uuid
from pathlib import Path

import yaml

from local import durations
from local.assets.models import Assets
from local.batch import rules
from local.batch.models import BatchEndpoints
from local.endpoints.exceptions import Refused
from local.jobs import environment, storage
from local.jobs.exceptions import StepFailed
from local.jobs.models import Jobs
from local.jobs.plan import Plan, Source, Step, Target
from local.service import Service
from local.state import Document

STEP, OUTPUT = "batchscoring", "score"
NEEDED = ("azureml-core", "azureml-dataset-runtime")
"""What an environment with a script must ask for. Azure's runner imports them; ours does not, and installs neither."""
_DRIVER = Path(__file__).parent / "runner" / "driver.py"
_READ = "Microsoft.MachineLearningServices/workspaces/computes/read"


def invoke(service: Service, endpoint: str, named: str, body: Document, who: str) -> Document:
    """The job that was begun, as the endpoint answers."""
    call = rules.lowered(body.get("properties"))
    rules.refuse_what_model_deployments_do_not_take(call)
    deployment = service.get(BatchEndpoints).called(endpoint, named)["properties"]
    kind, data = rules.data_input(call)
    target = rules.output(call)
    laid_over = {key: call.get(key) for key in (*rules.DEFAULTS, "retrySettings")}
    settings = rules.settings(
        deployment | {key: value for key, value in laid_over.items() if value is not None}
    )
    service.roles.demand(who, _READ, "workspace")
    name, jobs = f"batchjob-{uuid.uuid4()}", service.get(Jobs)
    try:
        step = _step(service, deployment, settings, Source("asset", data, type=kind), target)
        trouble = _trouble(service, step, target, settings, who)
    except StepFailed as error:
        raise Refused(str(error)) from error
    properties = {
        "jobType": "Pipeline",
        "experimentName": endpoint,  # azureml-examples, mlflow-for-batch-tabular.ipynb
        "displayName": name,
        "jobs": {},
        "inputs": {},
        "outputs": {},
        "settings": {},
        "tags": {},
        "properties": {"azureml.deploymentname": named or "", "azureml.endpointname": endpoint},
    }
    plan = Plan(steps={STEP: step}, outputs={OUTPUT: Source("step", STEP, OUTPUT)})
    jobs.begin(name, properties, plan, trouble)
    return {
        "id": f"/batchEndpoints/{endpoint}/jobs/{name}",
        "name": name,
        "properties": {"status": "Preparing"},
    }


def _step(service: Service, deployment: Document, settings: Document, data: Source, target: str) -> Step:
    code, model = deployment["codeConfiguration"], deployment["model"]["assetId"]
    catalog = service.get(Jobs).catalog
    place = storage.place_of(catalog.uri(model))
    timeout = durations.parsed(str(settings["retrySettings"]["timeout"]))
    order = {
        "script": code["scoringScript"] if code else "",
        "model_name": Path(place.path.rstrip("/")).name,
        "mini_batch_size": settings["miniBatchSize"],
        "error_threshold": settings["errorThreshold"],
        "max_retries": settings["retrySettings"]["maxRetries"],
        "timeout_s": timeout.total_seconds() if timeout else 0,
        "output_action": settings["outputAction"],
        "output_file_name": settings["outputFileName"],
    }
    spec = {
        "type": "command",
        "command": f'python "{_DRIVER}" "${{{{inputs.data}}}}" "${{{{inputs.model}}}}" "${{{{outputs.{OUTPUT}}}}}"',
        "code": code["codeId"] if code else None,
        "conda_file": _conda(service, deployment, place),
        "is_deterministic": False,  # each call is a job of its own, whose results nobody takes over
        "outputs": {OUTPUT: {"type": "uri_folder"}},
    }
    variables = {str(key): str(value) for key, value in deployment["environmentVariables"].items()}
    return Step(
        path=STEP,
        spec=spec,
        inputs={"data": data, "model": Source("asset", model)},
        outputs={OUTPUT: Target(type="uri_folder", uri=target)},
        environment_variables=variables | {"LOCAL_BATCH": json.dumps(order)},
        compute=deployment["compute"],
    )


def _conda(service: Service, deployment: Document, model: storage.Place) -> str:
    """Of the environment that is named, without what only Azure's own runner needs; else of the MLflow model."""
    if deployment["environmentId"]:
        found = service.get(Assets).find(deployment["environmentId"], "environments")["properties"]
        asked = environment.requirements(found) if found.get("condaFile") else []
        names = {
            line.partition("[")[0].partition("=")[0].partition("<")[0].partition(">")[0] for line in asked
        }
        if missing := [each for each in NEEDED if each not in {name.strip().lower() for name in names}]:
            raise StepFailed(f"No module named 'azureml': the environment does not ask for {missing[0]}.")
        return str(
            yaml.safe_dump(
                {"dependencies": [{"pip": [line for line in asked if not line.startswith(NEEDED)]}]}
            )
        )
    conda = storage.Place(model.container, f"{model.path.rstrip('/')}/conda.yaml")
    found_blob = storage.blobs_at(service.blobs, conda)
    if not found_blob:
        return "dependencies: []"
    return service.blobs.get_blob_client(conda.container, conda.path).download_blob().readall().decode()


def _trouble(service: Service, step: Step, target: str, settings: Document, who: str) -> str:
    """Why the job will fail once it runs; empty: nothing that is known now."""
    place = storage.place_of(service.get(Jobs).catalog.uri(step.inputs["data"].value))
    if not service.roles.reads(who, place.container):
        return (
            "ScriptExecutionException was caused by StreamAccessException. StreamAccessException was caused by "
            f"AuthenticationException: the caller, {who}, may not read the container '{place.container}'."
        )
    if target:
        there = storage.place_of(f"{target}{settings['outputFileName']}")
        if storage.blobs_at(service.blobs, there):
            return f"The output file {there.path} exists; a batch job overwrites none. Use a unique output location."
    return ""
