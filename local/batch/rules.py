"""What Azure refuses of a batch endpoint, a deployment on it, or a call.

Sources in MicrosoftDocs/azure-ai-docs, articles/machine-learning: reference-yaml-endpoint-batch.md (aad_token alone,
the default deployment), reference-yaml-deployment-batch.md (keys and defaults of a model deployment),
how-to-use-batch-model-deployments.md (registered models, a cluster, no curated environment, what an output may be),
how-to-mlflow-batch.md (an environment with a script), how-to-manage-quotas.md (names, 20 deployments, 50 instances),
how-to-access-data-batch-endpoints-jobs.md (one data input, one output in a Blob datastore, no literals, no MLTable, no
job properties for a model deployment); azure-ai-ml's BatchDeploymentProperties (error_threshold from -1).
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from local import durations
from local.endpoints.exceptions import NotEmulated, Refused
from local.settings import DATASTORES, WORKSPACE_ID
from local.state import Document

MOST_DEPLOYMENTS = 20
MOST_INSTANCES = 50
ACTIONS = {"appendrow": "AppendRow", "summaryonly": "SummaryOnly"}
DEFAULTS: Document = {
    "errorThreshold": -1,
    "loggingLevel": "Info",
    "maxConcurrencyPerInstance": 1,
    "miniBatchSize": 10,
    "outputAction": "AppendRow",
    "outputFileName": "predictions.csv",
}
RETRIES: Document = {"maxRetries": 3, "timeout": "PT30S"}
_NAME = re.compile(r"[a-zA-Z][-a-zA-Z0-9]{1,30}[a-zA-Z0-9]")
_INPUTS = ("UriFolder", "UriFile")
_OUTPUT = re.compile(
    rf"(?:azureml:)?(?:{re.escape(WORKSPACE_ID)}|azureml:/)/datastores/(?P<store>[^/]+)/paths/(?P<path>.+)",
    re.IGNORECASE,
)


def check_name(kind: str, name: str) -> None:
    if not _NAME.fullmatch(name):
        raise Refused(
            f"'{name}' cannot name a batch {kind}: 3 to 32 letters, digits and '-', first a letter, last none of '-'."
        )


def settings(sent: Mapping[str, object]) -> Document:
    """A deployment's, or those that a call lays over them, each checked and with its default."""
    found = DEFAULTS | {key: value for key, value in sent.items() if value is not None}
    action = ACTIONS.get(str(found["outputAction"]).lower())
    if action is None:
        raise Refused(f"output_action is append_row or summary_only, not {found['outputAction']!r}.")
    retries = RETRIES | {
        key: value for key, value in _mapping(found.get("retrySettings")).items() if value is not None
    }
    timeout = durations.parsed(str(retries["timeout"]))
    if timeout is None or timeout.total_seconds() <= 0:
        raise Refused(f"The timeout of a mini-batch is a duration above 0, not {retries['timeout']!r}.")
    for key, value, least in (
        ("miniBatchSize", found["miniBatchSize"], 1),
        ("maxConcurrencyPerInstance", found["maxConcurrencyPerInstance"], 1),
        ("errorThreshold", found["errorThreshold"], -1),
        ("retrySettings.maxRetries", retries["maxRetries"], 0),
    ):
        if not isinstance(value, int) or isinstance(value, bool) or value < least:
            raise Refused(f"{key} is a whole number from {least}, not {value!r}.")
    if "/" in str(found["outputFileName"]):
        raise Refused(f"output_file_name is a file's name, not {found['outputFileName']!r}.")
    return found | {"outputAction": action, "retrySettings": retries}


def instances(sent: object) -> int:
    count = 1 if sent is None else sent
    if not isinstance(count, int) or isinstance(count, bool) or not 1 <= count <= MOST_INSTANCES:
        raise Refused(f"A batch job has 1 to {MOST_INSTANCES} instances, not {sent!r}.")
    return count


def lowered(sent: object) -> Document:
    """A call's keys alike however they are spelt: REST's samples say `InputData`, Azure's client `inputData`."""
    return {str(key)[:1].lower() + str(key)[1:]: value for key, value in _mapping(sent).items()}


def data_input(call: Document) -> tuple[str, str]:
    """Type and address of the one input."""
    if call.get("dataset"):
        raise NotEmulated("a call with `dataset`, of the API before inputs had names")
    inputs = _mapping(call.get("inputData"))
    if len(inputs) != 1:
        raise Refused(f"A model deployment takes exactly one data input, not {len(inputs)}.")
    given = lowered(next(iter(inputs.values())))
    kind, uri = str(given.get("jobInputType") or ""), str(given.get("uri") or "")
    if kind not in _INPUTS:
        raise Refused(f"A model deployment takes an input of type {' or '.join(_INPUTS)}, not {kind!r}.")
    if not uri:
        raise Refused("The input has no uri.")
    return kind, uri


def output(call: Document) -> str:
    """Where the one output goes, in the short form of a datastore's address; empty: Azure's usual place."""
    outputs = _mapping(call.get("outputData"))
    old = lowered(call.get("outputDataset"))
    if len(outputs) + bool(old) > 1:
        raise Refused("A model deployment gives exactly one output.")
    if not outputs and not old:
        return ""
    uri = f"{old.get('datastoreId')}/paths/{str(old.get('path') or '').lstrip('/')}"
    if outputs:
        given = lowered(next(iter(outputs.values())))
        if given.get("jobOutputType") != "UriFile":
            raise Refused(f"The output is of type UriFile, not {given.get('jobOutputType')!r}.")
        uri = str(given.get("uri") or "")
    found = _OUTPUT.fullmatch(uri)
    if found is None or found["store"] not in DATASTORES:
        raise Refused(
            f"An output lies in a Blob datastore of the workspace: <datastore id>/paths/…, not {uri!r}."
        )
    return f"azureml://datastores/{found['store']}/paths/{found['path'].rstrip('/')}/"


def refuse_what_model_deployments_do_not_take(call: Document) -> None:
    if lowered(call.get("properties")):
        raise Refused("Job properties can be set for pipeline component deployments only.")
    if call.get("name"):
        raise NotEmulated("a job's name in a call: Azure's client sends it in a private preview alone")


def _mapping(found: object) -> Mapping[str, object]:
    if found is None:
        return {}
    if not isinstance(found, Mapping):
        raise Refused(f"An object is expected, not {found!r}.")
    return found
