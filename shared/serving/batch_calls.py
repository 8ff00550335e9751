"""Rows become files, a call becomes a job, and its output becomes answers: each question once, however often asked.

Where a question's job is, stands in a blob beside its rows, under the question's own name. Lost between the call and
that blob, a job is begun again, with an output of its own.
"""

from __future__ import annotations

import csv
import json
import math
import uuid
from collections.abc import Mapping, Sequence
from io import BytesIO, StringIO

import requests
from azure.core.credentials import TokenCredential
from azure.core.exceptions import ResourceExistsError
from azure.storage.blob import ContainerClient

from shared import deadline
from shared.azure.client import ML_ROLE, Workspace
from shared.azure.datastore import Datastore
from shared.azure.failures import UNBOUNDED, asking
from shared.azure.job_steps import ENDED
from shared.domain.reason import Code
from shared.errors import AnswersAwaited, ConfigurationError, DependencyUnavailable
from shared.ports import Answer
from shared.redaction import safe
from shared.serving.endpoint_calls import ROLE, SCOPE
from shared.verdict import predictions

FOLDER, OUTPUT = "scores", "driftloop-scores"
"""Of the rows that are asked, in the versions container; of the answers, in the workspace's default datastore."""
_STORAGE_ROLE = "Storage Blob Data Contributor"
_CONNECT_S, _READ_S = 10.0, 60.0
_KIND = ".parquet"
"""Of the files of rows."""


class BatchCalls:
    """`rows` is the versions container, to which the workspace's datastore of this name points."""

    def __init__(
        self,
        workspace: Workspace,
        identity: TokenCredential,
        rows: ContainerClient,
        rows_datastore: str,
        scores: Datastore,
    ) -> None:
        self._workspace = workspace
        self._identity = identity
        self._rows = rows
        self._rows_datastore = rows_datastore
        self._scores = scores

    def answers(self, uri: str, deployment: str, key: str, payloads: Sequence[str]) -> list[Answer]:
        """One answer a payload, in order. AnswersAwaited while their job runs."""
        job, place = self._known(key) or self._begun(uri, deployment, key, payloads)
        with asking("Looking at a job", f"Azure ML job {job}", ML_ROLE):
            ended = ENDED.get(self._workspace().jobs.get(job).status or "")
        if ended is None:
            raise AnswersAwaited(job)
        if ended != "completed":
            return [Answer(500, f"batch job {job} {ended}", 0.0) for _ in payloads]
        return _read(self._output(job, place), payloads)

    def _known(self, key: str) -> tuple[str, str] | None:
        """Job and output; the first by name where two workers have begun one each."""
        with asking("Looking for a job's name", "the versions container", _STORAGE_ROLE):
            names = sorted(self._rows.list_blob_names(name_starts_with=f"{FOLDER}/{key}/jobs/"))
            if not names:
                return None
            found = json.loads(self._rows.download_blob(names[0]).readall())
        return found["job"], found["output"]

    def _begun(self, uri: str, deployment: str, key: str, payloads: Sequence[str]) -> tuple[str, str]:
        with asking("Writing rows to score", "the versions container", _STORAGE_ROLE, most_s=UNBOUNDED):
            for number, payload in enumerate(payloads):
                self._write(f"{FOLDER}/{key}/rows/{_file(number)}", _table(payload))
        place = f"{OUTPUT}/{key}/{uuid.uuid4().hex}"
        job = self._invoke(uri, deployment, f"{FOLDER}/{key}/rows/", place)
        with asking("Writing a job's name", "the versions container", _STORAGE_ROLE):
            self._write(f"{FOLDER}/{key}/jobs/{job}", json.dumps({"job": job, "output": place}).encode())
        return job, place

    def _write(self, name: str, content: bytes) -> None:
        try:
            self._rows.upload_blob(name, content, overwrite=False)
        except ResourceExistsError:
            return  # named by what it holds

    def _invoke(self, uri: str, deployment: str, rows: str, place: str) -> str:
        """By the address itself: the SDK's `invoke` keeps a chosen deployment for later calls, of any endpoint."""
        with asking("Getting a token", "Azure ML", ROLE):
            token = self._identity.get_token(SCOPE).token
        with asking("Reading a datastore", "the default datastore of Azure ML", ML_ROLE):
            store = self._scores.resource(self._workspace.resource)
        given = {
            "JobInputType": "UriFolder",
            "Uri": f"azureml://datastores/{self._rows_datastore}/paths/{rows}",
        }
        score = {"JobOutputType": "UriFile", "Uri": f"{store}/paths/{place}"}
        headers = {"Authorization": f"Bearer {token}", "azureml-model-deployment": deployment}
        body = {"properties": {"InputData": {"rows": given}, "OutputData": {"score": score}}}
        timeout_s = deadline.left_s(_CONNECT_S), deadline.left_s(_READ_S)
        try:
            reply = requests.post(uri, json=body, headers=headers, timeout=timeout_s, allow_redirects=False)
        except (requests.ConnectionError, requests.Timeout) as error:
            raise DependencyUnavailable(
                f"The batch endpoint does not answer ({type(error).__name__})."
            ) from None
        if reply.status_code in {401, 403}:
            raise ConfigurationError(
                f"The batch endpoint refused the call ({reply.status_code}). Give the identity that Driftloop runs "
                f"as the role '{ROLE}' on the workspace.",
                code=Code.ACCESS_REFUSED,
            )
        if reply.status_code in {408, 429} or reply.status_code >= 500:
            raise DependencyUnavailable(f"The batch endpoint does not answer ({reply.status_code}).")
        if reply.status_code not in {200, 201}:
            raise ConfigurationError(
                f"Deployment {deployment} cannot be called: {safe(reply.text)}", code=Code.REQUEST_REFUSED
            )
        return str(reply.json()["name"])

    def _output(self, job: str, place: str) -> bytes:
        """`predictions.csv`, which lies below the address of a job's output, or is what lies there."""
        for blob in self._scores.blobs(place):
            if blob.name in (place, f"{place}/predictions.csv"):
                return self._scores.read(blob.name)
        raise DependencyUnavailable(
            f"Azure ML job {job} has completed, and its predictions.csv is not there yet."
        )


def _file(number: int) -> str:
    return f"{number:05d}{_KIND}"


def _table(payload: str) -> bytes:
    """The rows of a request as a table: what the model gets is what it would get of a request."""
    asked = json.loads(payload)["input_data"]
    content = BytesIO()
    predictions.untyped(asked["data"], asked["columns"]).to_parquet(content, index=False)
    return content.getvalue()


def _read(text: bytes, payloads: Sequence[str]) -> list[Answer]:
    """`predictions.csv` has row, prediction and file, without a header: by commas of an MLflow model, by spaces of a
    script's frame (MicrosoftDocs/azure-ai-docs, how-to-mlflow-batch.md, how-to-image-processing-batch.md). Workers end
    in no order, and what could not be scored is not in it.
    """
    said: dict[str, dict[str, object]] = {}
    lines = text.decode()
    for row, prediction, file in _cells(lines, ",") or _cells(lines, " "):
        said.setdefault(file, {})[row] = _plain(prediction)
    return [_answer(said.get(_file(number), {}), payload) for number, payload in enumerate(payloads)]


def _cells(text: str, separator: str) -> list[tuple[str, str, str]]:
    """Row, prediction, file of each line that has them; a prediction may hold spaces that nobody has quoted."""
    lines = (cells for cells in csv.reader(StringIO(text, newline=""), delimiter=separator) if len(cells) > 2)
    return [
        (cells[0], separator.join(cells[1:-1]), cells[-1])
        for cells in lines
        if cells[0].isdecimal() and cells[-1].endswith(_KIND) and (separator == " " or len(cells) == 3)
    ]


def _answer(said: Mapping[str, object], payload: str) -> Answer:
    rows = [str(row) for row in range(len(json.loads(payload)["input_data"]["data"]))]
    if said.keys() != set(rows):
        return Answer(500, f"the batch job scored {len(said)} of {len(rows)} rows", 0.0)
    return Answer(200, json.dumps([said[row] for row in rows]), 0.0)


def _plain(cell: str) -> object:
    """What JSON would have said: a number, nothing where there is none, else text, as of the class 007 or true."""
    try:
        value = json.loads(cell)
    except ValueError:
        return cell or None
    return value if type(value) in (int, float) and abs(value) < math.inf else cell
