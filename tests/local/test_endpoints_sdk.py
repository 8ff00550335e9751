"""The unmodified SDK alone deploys, routes, calls, watches and deletes models that really serve."""

from __future__ import annotations

import json
import random
import subprocess
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pandas as pd
import psutil
import pytest
from azure.ai.ml import MLClient
from azure.ai.ml.entities import (
    CodeConfiguration,
    DataCollector,
    DeploymentCollection,
    Environment,
    IdentityConfiguration,
    ManagedIdentityConfiguration,
    ManagedOnlineDeployment,
    ManagedOnlineEndpoint,
    Model,
    OnlineDeployment,
    OnlineEndpoint,
    OnlineRequestSettings,
    ProbeSettings,
)
from azure.ai.ml.exceptions import MlException
from azure.core.exceptions import HttpResponseError, ResourceExistsError, ResourceNotFoundError
from azure.identity import DefaultAzureCredential
from azure.monitor.query import LogsQueryClient, LogsQueryPartialResult
from azure.storage.blob import BlobServiceClient
from scipy.stats import binom

from local.azure import LocalAzure
from local.endpoints import limits
from local.endpoints.board import Routed
from local.endpoints.exceptions import Refused
from local.jobs.environment import python_for
from local.settings import LOGS_WORKSPACE_ID, RESOURCE_GROUP, SUBSCRIPTION, WORKSPACE, WORKSPACE_ID
from shared.azure.arm import ResourceManager
from shared.errors import DriftloopError
from shared.ports import Scale
from shared.serving.autoscale import _properties
from shared.verdict import predictions
from tests.patience import until

ROW = {"row_id": "r-1", "x": 2.0}
SCORE = """
import json, os, time
from azureml_inference_server_http.api.aml_request import rawhttp
from azureml_inference_server_http.api.aml_response import AMLResponse

if os.environ.get("COLLECTS"):
    import pandas as pd
    from azureml.ai.monitoring import Collector
    from azureml.ai.monitoring.context import BasicCorrelationContext

def init():
    global factor, inputs, outputs
    time.sleep(float(os.environ.get("SLOW", "0")))
    if os.environ.get("BROKEN"):
        raise RuntimeError("the weights are for another model")
    with open(os.path.join(os.environ["AZUREML_MODEL_DIR"], "weights", "weights.json")) as file:
        factor = json.load(file)["factor"]
    collects = os.environ.get("COLLECTS")
    inputs = Collector(name="model_inputs") if collects else None
    outputs = Collector(name="model_outputs") if collects else None

@rawhttp
def run(request):
    rows = json.loads(request.get_data(as_text=True))["data"]
    time.sleep(float(os.environ.get("SLOW_ANSWER", "0")))
    if any(row["x"] < 0 for row in rows):
        raise ValueError("x is negative")
    answer = [{"row_id": row["row_id"], "prediction": row["x"] * factor} for row in rows]
    if inputs:
        context = BasicCorrelationContext(id=request.headers["x-request-id"])
        outputs.collect(pd.DataFrame(answer), inputs.collect(pd.DataFrame(rows), context))
    return AMLResponse([each["prediction"] for each in answer], 200, json_str=True)
"""


class Endpoint:
    """An endpoint with what its tests need."""

    def __init__(self, azure: LocalAzure, client: MLClient, folder: Path) -> None:
        self.azure = azure
        self.client = client
        self.folder = folder
        self.name = f"ep-{uuid.uuid4().hex[:8]}"
        made = ManagedOnlineEndpoint(name=self.name, auth_mode="aad_token")
        client.online_endpoints.begin_create_or_update(made).result()
        self.uri = str(client.online_endpoints.get(self.name).scoring_uri)
        self.token = str(client.online_endpoints.get_keys(self.name).access_token)
        self.http = httpx.Client(timeout=30)

    def deployment(self, name: str, factor: float = 1.0, **options: object) -> ManagedOnlineDeployment:
        code, weights = self.folder / "code", self.folder / f"{name}-{factor}" / "weights"
        code.mkdir(exist_ok=True)
        (code / "score.py").write_text(SCORE)
        weights.mkdir(parents=True, exist_ok=True)
        (weights / "weights.json").write_text(json.dumps({"factor": factor}))
        settings: dict[str, object] = {
            "model": Model(path=str(weights), name=f"{self.name}-{name}", type="custom_model"),
            "code_configuration": CodeConfiguration(code=str(code), scoring_script="score.py"),
            "environment": environment(self.folder, "pandas", "azureml-ai-monitoring"),
            "instance_type": "Standard_DS3_v2",
            "instance_count": 1,
        }
        return ManagedOnlineDeployment(name=name, endpoint_name=self.name, **(settings | options))

    def deploy(self, name: str, factor: float = 1.0, **options: object) -> ManagedOnlineDeployment:
        made = self.deployment(name, factor, **options)
        return self.client.online_deployments.begin_create_or_update(made).result()

    def traffic(self, **weights: int) -> None:
        endpoint = self.client.online_endpoints.get(self.name)
        endpoint.traffic = weights
        self.client.online_endpoints.begin_create_or_update(endpoint).result()

    def call(self, row: dict[str, object] | None = None, **headers: str) -> httpx.Response:
        given = {"authorization": f"Bearer {self.token}"} | {
            key.replace("_", "-"): headers[key] for key in headers
        }
        return self.http.post(self.uri, json={"data": [row or ROW]}, headers=given)

    def of(self, deployment: str, **headers: str) -> httpx.Response:
        return self.call(azureml_model_deployment=deployment, **headers)

    def faults(self, path: str = "", **body: object) -> None:
        self.azure.control.put(f"/local/endpoints/{self.name}{path}/faults", json=body).raise_for_status()


def environment(folder: Path, *packages: str) -> Environment:
    conda = folder / f"conda-{len(packages)}.json"  # JSON is YAML
    conda.write_text(json.dumps({"dependencies": ["python=3.11", {"pip": list(packages)}]}))
    return Environment(image="example/base:1", conda_file=str(conda))


def processes_of(folder: Path, endpoint: str) -> list[psutil.Process]:
    """The scoring processes of an endpoint: their entry script lies in the endpoint's own folder."""
    marker = str(folder / "endpoints" / endpoint)
    return [
        found for found in psutil.process_iter(["cmdline"]) if marker in " ".join(found.info["cmdline"] or [])
    ]


@pytest.fixture(scope="module")
def client(local_azure: LocalAzure) -> MLClient:
    return MLClient(DefaultAzureCredential(), SUBSCRIPTION, RESOURCE_GROUP, WORKSPACE)


@pytest.fixture(scope="module")
def pair(
    local_azure: LocalAzure, client: MLClient, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Endpoint]:
    """An endpoint with two deployments, blue doubles and green triples; green collects."""
    made = Endpoint(local_azure, client, tmp_path_factory.mktemp("pair"))
    collections = {
        name: DeploymentCollection(enabled="true") for name in ("model_inputs", "model_outputs", "request")
    }
    collector = DataCollector(collections=collections)
    blue = client.online_deployments.begin_create_or_update(made.deployment("blue", 2.0))
    made.deploy("green", 3.0, data_collector=collector, environment_variables={"COLLECTS": "yes"})
    blue.result()
    yield made
    client.online_endpoints.begin_delete(made.name).result()
    made.http.close()


@pytest.fixture
def logs(local_azure: LocalAzure) -> Iterator[Callable[[str], list[dict[str, object]]]]:
    endpoint = local_azure.environment()["DRIFTLOOP_LOGS_ENDPOINT"]
    with LogsQueryClient(DefaultAzureCredential(), endpoint=endpoint, retry_total=0) as made:

        def query(text: str) -> list[dict[str, object]]:
            table = made.query_workspace(LOGS_WORKSPACE_ID, text, timespan=timedelta(hours=1)).tables[0]
            return [dict(zip(table.columns, row, strict=True)) for row in table.rows]

        yield query


def test_ninety_ten_traffic_is_split_by_chance(pair: Endpoint) -> None:
    """Few calls show that both answer as often as they are drawn, many draws how often that is."""
    pair.traffic(blue=90, green=10)
    routed, chance = Routed("ep", "AADToken", weights={"blue": 90, "green": 10}), random.Random(1)
    for hits, number in (
        (sum(pair.call().json() == [6.0] for _ in range(150)), 150),
        (sum(routed.choose(chance) == "green" for _ in range(10_000)), 10_000),
    ):
        low, high = binom.ppf([1e-6, 1 - 1e-6], number, 0.1)
        assert low <= hits <= high


def test_the_header_chooses_a_deployment_even_without_traffic(pair: Endpoint) -> None:
    pair.traffic(BLUE=100)  # in lower case, as the client sends names
    assert {pair.of("blue").json()[0], pair.of("green").json()[0]} == {4.0, 6.0}
    assert pair.of("green").headers["azureml-model-deployment"] == "green"
    assert pair.of("red").status_code == 404
    assert pair.client.online_endpoints.get(pair.name).traffic == {"blue": 100, "green": 0}


def test_a_fresh_endpoint_object_wipes_the_traffic(pair: Endpoint) -> None:
    pair.traffic(blue=100)
    fresh = ManagedOnlineEndpoint(name=pair.name, auth_mode="aad_token")
    pair.client.online_endpoints.begin_create_or_update(fresh).result()
    assert set(pair.client.online_endpoints.get(pair.name).traffic.values()) == {0}
    assert pair.call().status_code == 404


@pytest.mark.parametrize(
    ("weights", "text"), [({"blue": 50}, "sum to 0 or 100"), ({"blue": 50, "red": 50}, "no such deployment")]
)
def test_traffic_that_cannot_be_is_refused(pair: Endpoint, weights: dict[str, int], text: str) -> None:
    with pytest.raises(HttpResponseError, match=text) as refused:
        pair.traffic(**weights)
    assert refused.value.status_code == 400


def test_a_wrong_token_is_unauthorized(pair: Endpoint) -> None:
    other = DefaultAzureCredential().get_token("https://management.azure.com/.default").token
    assert [pair.of("blue", authorization=f"Bearer {token}").status_code for token in ("x", other)] == [
        401,
        401,
    ]
    assert pair.http.post(pair.uri, json={}).status_code == 401


def is_guid(text: str) -> bool:
    return str(uuid.UUID(text)) == text


def test_the_services_request_id_is_a_guid_of_its_own_and_the_clients_is_sanitized(
    pair: Endpoint, logs: Callable[[str], list[dict[str, object]]]
) -> None:
    """`x-request-id` is overwritten with a GUID; `x-ms-client-request-id` keeps letters, digits, `-`, `_`, at most 40.

    Source: MicrosoftDocs/azure-ai-docs, how-to-troubleshoot-online-endpoints.md, "Request tracing", and
    includes/endpoint-monitor-traffic-reference.md (XRequestId, XMSClientRequestId, UserAgent at most 70).
    """
    mine = f"a.b c_-{uuid.uuid4().hex}-and-much-more-than-forty"
    kept = mine.replace(".", "").replace(" ", "")[:40]
    answer = pair.of("blue", x_request_id="mine-1", x_ms_client_request_id=mine, user_agent="u" * 99)
    assert is_guid(answer.headers["x-request-id"])
    query = f"AmlOnlineEndpointTrafficLog | where XMSClientRequestId == '{kept}'"
    [row] = until(lambda: logs(query))
    assert row["XRequestId"] == answer.headers["x-request-id"]
    assert row["UserAgent"] == "u" * 70


def test_a_model_error_is_424_with_its_two_headers(pair: Endpoint) -> None:
    """Source: how-to-troubleshoot-online-endpoints.md, "Common error codes for managed online endpoints"."""
    failed = pair.call({"row_id": "r-2", "x": -1.0}, azureml_model_deployment="blue")
    assert failed.status_code == 424
    assert failed.headers["ms-azureml-model-error-statuscode"] == "500"
    assert failed.headers["ms-azureml-model-error-reason"]
    assert "x is negative" in pair.client.online_deployments.get_logs("blue", pair.name, lines=100)


def collected(pair: Endpoint, deployment: str, collection: str) -> list[dict[str, Any]]:
    """All lines of a collection, oldest first."""
    with BlobServiceClient(pair.azure.settings.storage("blob"), DefaultAzureCredential()) as blobs:
        container = blobs.get_container_client("azureml-blobstore")
        folder = f"modelDataCollector/{pair.name}/{deployment}/{collection}/"
        names = [
            name for name in container.list_blob_names(name_starts_with=folder) if name.endswith(".jsonl")
        ]
        found = [container.download_blob(name).readall() for name in names]
    return [json.loads(line) for lines in found for line in lines.splitlines()]


def batching(pair: Endpoint, rate: float, delay_s: float = 0.2) -> None:
    body = {"batch_rate": rate, "delay_s": delay_s}
    pair.azure.control.put("/local/endpoints/collector", json=body).raise_for_status()


def test_collected_rows_and_the_traffic_log_join_by_request_id(
    pair: Endpoint, logs: Callable[[str], list[dict[str, object]]]
) -> None:
    """Source of the fields: how-to-collect-production-data.md, "Store collected data in blob storage"."""
    client = f"join-{uuid.uuid4().hex[:8]}"
    batching(pair, 0.0)
    try:
        answers = [pair.of("green", x_ms_client_request_id=f"{client}-{n}") for n in range(5)]
        ids = {answer.headers["x-request-id"] for answer in answers}
        query = f"AmlOnlineEndpointTrafficLog | where XMSClientRequestId startswith '{client}'"
        logged = until(lambda: len(found := logs(query)) == 5 and found)
        rows = {str(row["XRequestId"]): row for row in logged}

        def of(name: str) -> dict[str, dict[str, Any]]:
            return {e["xrequestid"]: e for e in collected(pair, "green", name) if e["xrequestid"] in ids}

        inputs, outputs, payloads = (
            until(lambda name=name: len(found := of(name)) == 5 and found)
            for name in ("model_inputs", "model_outputs", "request")
        )
    finally:
        batching(pair, 0.3)
    one = next(iter(ids))
    assert set(rows) == set(inputs) == set(outputs) == set(payloads) == ids
    assert inputs[one]["data"] == [ROW]
    assert outputs[one]["data"] == [{"row_id": "r-1", "prediction": 6.0}]
    assert payloads[one]["data"] == {"data": [ROW]}
    assert set(inputs[one]) == {
        *("specversion", "id", "source", "type", "datacontenttype", "time", "data", "correlationid"),
        *("xrequestid", "modelversion", "collectdatatype", "agent", "contentrange"),
    }
    row = rows[one]
    assert (row["DeploymentName"], row["ResponseCode"], row["ModelStatusCode"]) == ("green", 200, 200)
    assert row["TimeGenerated"].tzinfo is not None and row["TotalDurationMs"] >= row["RequestDurationMs"]


def test_requests_that_come_close_together_share_a_line_and_inputs_are_cut_otherwise_than_outputs(
    pair: Endpoint,
) -> None:
    """Several requests in one JSON object under one `correlationid`, for each collection as it happens.

    Source: how-to-collect-production-data.md, "Data collector batching".
    """
    assert pair.azure.control.put("/local/endpoints/seed", json={"seed": 7}).status_code == 200
    batching(pair, 0.5, delay_s=1.5)
    try:
        rows = [{"row_id": f"b-{n}", "x": float(n)} for n in range(40)]
        ids = {pair.call(row, azureml_model_deployment="green").headers["x-request-id"] for row in rows}

        def lines(name: str) -> list[dict[str, Any]]:
            found = [line for line in collected(pair, "green", name) if line["correlationid"] in ids]
            return found if sum(len(line["data"]) for line in found) == len(rows) else []

        inputs, outputs = (until(lambda name=name: lines(name)) for name in ("model_inputs", "model_outputs"))
    finally:
        batching(pair, 0.3)
    cuts = [[len(line["data"]) for line in found] for found in (inputs, outputs)]
    assert max(cuts[0]) > 1 and max(cuts[1]) > 1
    assert cuts[0] != cuts[1]
    assert [row["row_id"] for line in inputs for row in line["data"]] == [row["row_id"] for row in rows]
    assert all(line["correlationid"] == line["xrequestid"] for line in inputs)


def test_a_payload_over_four_megabytes_is_collected_by_reference(pair: Endpoint) -> None:
    """Its line names the blob that has it. Source: how-to-collect-production-data.md, "Store large payloads"."""
    large = {"row_id": "large", "x": 1.0, "padding": "x" * 4_300_000}
    request = pair.call(large, azureml_model_deployment="green").headers["x-request-id"]

    def line() -> dict[str, Any] | None:
        found = [each for each in collected(pair, "green", "request") if each["xrequestid"] == request]
        return found[0] if found else None

    event = until(line)
    assert event["datainblob"] == "true"
    name = event["data"].partition("/azureml-blobstore/")[2]
    with BlobServiceClient(pair.azure.settings.storage("blob"), DefaultAzureCredential()) as blobs:
        stored = blobs.get_blob_client("azureml-blobstore", name).download_blob().readall()
    assert json.loads(stored) == {"data": [large]}


def test_faults_fail_and_slow_one_deployment_and_the_log_tells(
    pair: Endpoint, logs: Callable[[str], list[dict[str, object]]]
) -> None:
    pair.faults("/deployments/green", error_rate=0.5, delay_ms=40)
    try:
        answers = [pair.of("green", user_agent="faulty") for _ in range(40)]
    finally:
        pair.faults("/deployments/green", error_rate=0.0, delay_ms=0)
    failed = sum(answer.status_code == 424 for answer in answers)
    low, high = binom.ppf([1e-6, 1 - 1e-6], 40, 0.5)
    assert low <= failed <= high
    query = (
        f"AmlOnlineEndpointTrafficLog | where EndpointName == '{pair.name}' and UserAgent == 'faulty'"
        " | summarize requests = count(), failed = countif(toint(ResponseCode) >= 400), min(TotalDurationMs)"
        " by DeploymentName"
    )
    [row] = until(lambda: (found := logs(query)) and found[0]["requests"] == 40 and found)
    assert (row["DeploymentName"], row["failed"]) == ("green", failed)
    assert row["min_TotalDurationMs"] >= 40
    assert pair.of("green").status_code == 200


def test_shifted_predictions_are_another_value(pair: Endpoint) -> None:
    pair.faults("/deployments/green", shift_rate=1.0, shift_to="shifted")
    try:
        assert pair.of("green").json() == ["shifted"]
        assert pair.of("blue").json() == [4.0]
    finally:
        pair.faults("/deployments/green")
    assert pair.of("green").json() == [6.0]


def test_scoring_processes_listen_on_this_machine_only(pair: Endpoint, local_azure: LocalAzure) -> None:
    found = processes_of(local_azure.settings.folder, pair.name)
    addresses = {each.laddr.ip for one in found for each in one.net_connections() if each.status == "LISTEN"}
    assert addresses == {"127.0.0.1"}


def test_late_evidence_is_not_there_and_then_it_is(
    pair: Endpoint, local_azure: LocalAzure, logs: Callable[[str], list[dict[str, object]]]
) -> None:
    query = f"AmlOnlineEndpointTrafficLog | where XMSClientRequestId == 'late-{pair.name}' | count"
    local_azure.control.put("/local/logs", json={"delay_s": 3}).raise_for_status()
    try:
        pair.of("blue", x_ms_client_request_id=f"late-{pair.name}")
        assert logs(query) == [{"Count": 0}]
        assert until(lambda: logs(query) == [{"Count": 1}])
        local_azure.control.put("/local/logs", json={"fault": "error"}).raise_for_status()
        with pytest.raises(HttpResponseError):
            logs(query)
        local_azure.control.put("/local/logs", json={"fault": "empty"}).raise_for_status()
        assert logs(query) == [{"Count": 0}]
    finally:
        local_azure.control.put("/local/logs", json={"delay_s": 0.2, "fault": "none"}).raise_for_status()


def test_the_log_starts_late_loses_rows_answers_in_part_and_is_throttled(
    pair: Endpoint, local_azure: LocalAzure, logs: Callable[[str], list[dict[str, object]]]
) -> None:
    """Diagnostics take up to an hour to start (Azure Monitor, "Diagnostic settings"); a query's result may be partial
    (LogsQueryPartialResult of azure-monitor-query) and a user is throttled (HTTP 429, "Azure Monitor service limits").
    """

    def way(**body: object) -> None:
        local_azure.control.put("/local/logs", json=body).raise_for_status()

    client = f"way-{uuid.uuid4().hex[:8]}"
    query = f"AmlOnlineEndpointTrafficLog | where XMSClientRequestId startswith '{client}'"
    try:
        way(starts_s=3600)
        pair.of("blue", x_ms_client_request_id=f"{client}-early")
        way(starts_s=0, lost_rate=0.5, seed=3)
        sent = [f"{client}-{n}" for n in range(30)]
        for each in sent:
            pair.of("blue", x_ms_client_request_id=each)
        way(lost_rate=0)
        pair.of("blue", x_ms_client_request_id=f"{client}-last")
        until(lambda: any(row["XMSClientRequestId"] == f"{client}-last" for row in logs(query)))
        told = {str(row["XMSClientRequestId"]) for row in logs(query)}
        assert f"{client}-early" not in told
        assert 0 < len(told & set(sent)) < len(sent)
        way(fault="partial")
        with LogsQueryClient(
            DefaultAzureCredential(), endpoint=local_azure.environment()["DRIFTLOOP_LOGS_ENDPOINT"]
        ) as asked:
            answer = asked.query_workspace(LOGS_WORKSPACE_ID, query, timespan=timedelta(hours=1))
        assert isinstance(answer, LogsQueryPartialResult)
        assert 0 < len(answer.partial_data[0].rows) < len(told)
        way(fault="throttled")
        with pytest.raises(HttpResponseError) as refused:
            logs(query)
        assert refused.value.status_code == 429
    finally:
        way(fault="none", lost_rate=0, starts_s=0)


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("AmlOnlineEndpointTrafficLog | where Colour == 'red'", "Colour"),
        ("AmlOnlineEndpointTrafficLog | where ResponseCode == '200'", "int and string"),
        (
            "AmlOnlineEndpointTrafficLog | join kind=inner (Other) on XRequestId",
            "not among the queries",
        ),
        ("Other | take 1", "Other"),
    ],
)
def test_a_query_is_never_guessed(
    logs: Callable[[str], list[dict[str, object]]], query: str, text: str
) -> None:
    with pytest.raises(HttpResponseError, match=text):
        logs(query)


def test_a_busy_endpoint_refuses_changes_and_shows_old_traffic_while_stale(pair: Endpoint) -> None:
    pair.traffic(blue=100)
    pair.faults(busy_s=2, stale_s=0)
    with pytest.raises(ResourceExistsError, match="Updating") as busy:
        pair.traffic(blue=90, green=10)
    assert busy.value.status_code == 409
    until(lambda: pair.client.online_endpoints.get(pair.name).provisioning_state == "Succeeded")
    pair.faults(busy_s=0, stale_s=3)
    try:
        pair.traffic(green=100)
        assert pair.client.online_endpoints.get(pair.name).traffic == {"blue": 100, "green": 0}
        assert pair.call().json() == [6.0]
        assert until(lambda: pair.client.online_endpoints.get(pair.name).traffic["green"] == 100)
    finally:
        pair.faults(busy_s=0, stale_s=0)


def test_more_at_once_than_configured_is_429(pair: Endpoint) -> None:
    import concurrent.futures

    pair.faults("/deployments/blue", error_rate=0, delay_ms=500)
    try:
        with concurrent.futures.ThreadPoolExecutor(6) as pool:
            answers = [each.result() for each in [pool.submit(pair.of, "blue") for _ in range(6)]]
    finally:
        pair.faults("/deployments/blue", error_rate=0, delay_ms=0)
    assert sorted({answer.status_code for answer in answers}) == [200, 429]
    assert "max_concurrent_requests_per_instance" in next(a.text for a in answers if a.status_code == 429)


def test_a_failing_init_fails_the_deployment_with_the_end_of_its_log(pair: Endpoint) -> None:
    with pytest.raises(HttpResponseError, match="the weights are for another model"):
        pair.deploy("broken", environment_variables={"BROKEN": "yes"})
    assert pair.client.online_deployments.get("broken", pair.name).provisioning_state == "Failed"
    assert pair.of("broken").status_code == 404
    pair.client.online_deployments.begin_delete("broken", pair.name).result()
    with pytest.raises(ResourceNotFoundError):
        pair.client.online_deployments.get("broken", pair.name)


def test_a_package_that_is_not_installed_fails_the_deployment(pair: Endpoint) -> None:
    with pytest.raises(HttpResponseError, match=r"(?s)ImageBuildFailure.*no-such-package-of-ours"):
        pair.deploy(
            "lacking", environment=environment(pair.folder, "pandas", "no-such-package-of-ours", "numpy")
        )
    pair.client.online_deployments.begin_delete("lacking", pair.name).result()


def test_a_package_that_the_environment_does_not_name_is_not_there(pair: Endpoint) -> None:
    """This machine has it, the container that Azure makes from the environment has not (an environment is an image
    and a conda file: how-to-deploy-online-endpoints.md)."""
    made = pair.deployment(
        "forgot",
        environment=environment(pair.folder, "pandas"),
        environment_variables={"COLLECTS": "yes"},
    )
    with pytest.raises(HttpResponseError, match=r"(?s)502.*No module named 'azureml"):
        pair.client.online_deployments.begin_create_or_update(made).result()
    pair.client.online_deployments.begin_delete("forgot", pair.name).result()


def test_a_deployment_beyond_the_quota_fails_as_azure_says_it(
    pair: Endpoint, local_azure: LocalAzure
) -> None:
    local_azure.control.put("/local/quota", json={"cores": 1}).raise_for_status()
    try:
        with pytest.raises(HttpResponseError, match="Not enough quota available for Standard_DS3_v2"):
            pair.deploy("unaffordable")
    finally:
        local_azure.control.put("/local/quota", json={}).raise_for_status()
        pair.client.online_deployments.begin_delete("unaffordable", pair.name).result()


def test_a_deployment_is_creating_until_its_pace_is_over(pair: Endpoint, local_azure: LocalAzure) -> None:
    pace = {"kind": "deployment", "pace": "3 looks"}
    local_azure.control.put("/local/endpoints/pace", json=pace).raise_for_status()
    try:
        started = pair.client.online_deployments.begin_create_or_update(pair.deployment("slow"))
        with pytest.raises(ResourceExistsError):
            pair.client.online_deployments.begin_create_or_update(pair.deployment("slow"))
        assert pair.client.online_deployments.get("slow", pair.name).provisioning_state == "Creating"
        assert started.result().provisioning_state == "Succeeded"
    finally:
        local_azure.control.put("/local/endpoints/pace", json=pace | {"pace": "immediate"}).raise_for_status()
    pair.client.online_deployments.begin_delete("slow", pair.name).result()


@pytest.fixture(scope="module")
def mlflow_models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Model]:
    """One whose own conda.yaml asks for what it is made of alone, one that asks for the collector's package too, and
    one whose signature has a datetime."""
    folder = tmp_path_factory.mktemp("mlflow")
    script = (
        "import sys, pandas as pd, mlflow; from mlflow.models import infer_signature;"
        "from sklearn.linear_model import LinearRegression as L;"
        "x = pd.DataFrame({'a': [0., 1., 2.], 'b': [1., 0., 1.]}); y = x.a * 2 + x.b;"
        "made_of = ['mlflow==' + mlflow.__version__, 'scikit-learn'];"
        "save = lambda place, *more: mlflow.sklearn.save_model(L().fit(x, y), place,"
        " signature=infer_signature(x, y), serialization_format='cloudpickle', pip_requirements=[*made_of, *more]);"
        "save('bare/model'); save('collecting/model', 'azureml-ai-monitoring');"
        "from sklearn.dummy import DummyRegressor as L;"
        "x = x.assign(t=pd.Timestamp('2024-03-19', tz='UTC')); save('timed/model', 'azureml-ai-monitoring')"
    )
    command = [str(python_for("of the tests", {})), "-c", script]
    subprocess.run(command, check=True, capture_output=True, cwd=folder)
    return {
        name: Model(path=str(folder / name / "model"), name=f"mlflow-{name}", type="mlflow_model")
        for name in ("bare", "collecting", "timed")
    }


def test_an_mlflow_model_without_the_collectors_package_does_not_start(
    pair: Endpoint, mlflow_models: dict[str, Model]
) -> None:
    """Source: Azure/azureml-examples, pull requests 3904, 3923 and 4008: the generated script imports
    `azureml.ai.monitoring`, the environment is made from the model's own conda.yaml, the probes get 502."""
    made = ManagedOnlineDeployment(
        name="bare",
        endpoint_name=pair.name,
        model=mlflow_models["bare"],
        instance_type="Standard_DS3_v2",
        instance_count=1,
    )
    with pytest.raises(HttpResponseError, match=r"(?s)502.*No module named 'azureml"):
        pair.client.online_deployments.begin_create_or_update(made).result()
    pair.client.online_deployments.begin_delete("bare", pair.name).result()


@contextmanager
def mlflow_deployment(
    pair: Endpoint, name: str, model: Model
) -> Iterator[Callable[[object], httpx.Response]]:
    """A deployment of this name that collects, and what calls it."""
    collections = {name: DeploymentCollection(enabled="true") for name in ("model_inputs", "model_outputs")}
    made = ManagedOnlineDeployment(
        name=name,
        endpoint_name=pair.name,
        model=model,
        instance_type="Standard_DS3_v2",
        instance_count=1,
        data_collector=DataCollector(collections=collections),
    )
    pair.client.online_deployments.begin_create_or_update(made).result()
    headers = {"authorization": f"Bearer {pair.token}", "azureml-model-deployment": name}
    yield lambda body: pair.http.post(pair.uri, json=body, headers=headers)
    pair.client.online_deployments.begin_delete(name, pair.name).result()


def test_an_mlflow_model_serves_without_code(pair: Endpoint, mlflow_models: dict[str, Model]) -> None:
    with mlflow_deployment(pair, "mlflow", mlflow_models["collecting"]) as call:
        body = {"input_data": {"columns": ["a", "b"], "index": [0, 1], "data": [[1, 1], [3, 0]]}}
        assert call(body).json() == pytest.approx([3.0, 6.0])
        wrong = call({"data": []})
        assert (wrong.status_code, wrong.headers["ms-azureml-model-error-statuscode"]) == (424, "400")
        [event] = until(lambda: collected(pair, "mlflow", "model_outputs"))
    assert [row["0"] for row in event["data"]] == pytest.approx([3.0, 6.0])


def test_an_mlflow_model_takes_a_time_without_a_zone_and_collects_it_as_a_number(
    pair: Endpoint, mlflow_models: dict[str, Model]
) -> None:
    """Sources: Azure/azureml-assets, mlflow_score_script.py, which has inference-schema read a frame against the types
    of the signature, and collects what came of it; azureml-ai-monitoring 1.0.0, payload/logdata.py, which writes a
    frame with `to_json(orient="records")`: times are milliseconds since 1970."""
    at = pd.Timestamp("2024-03-19T12:00", tz="UTC")
    rows = pd.DataFrame({"a": [1.0, 3.0], "b": [1.0, 0.0], "t": [at, at]})
    with mlflow_deployment(pair, "timed", mlflow_models["timed"]) as call:
        sent = json.loads(predictions.payload(rows))
        assert call(sent).json() == pytest.approx([8 / 3, 8 / 3])
        for row in sent["input_data"]["data"]:
            row[2] += "Z"
        assert call(sent).status_code == 424
        [event] = until(lambda: collected(pair, "timed", "model_inputs"))
    assert {row["t"] for row in event["data"]} == {1710849600000}


def test_a_restarted_workspace_serves_the_same_deployments(pair: Endpoint, local_azure: LocalAzure) -> None:
    pair.traffic(blue=100)
    before = {found.pid for found in processes_of(local_azure.settings.folder, pair.name)}
    assert before
    local_azure.part("workspace").kill()
    until(lambda: not any(psutil.pid_exists(pid) for pid in before))
    local_azure.stop_part("workspace")
    local_azure.start_workspace()
    assert pair.call().json() == [4.0]
    assert pair.of("green").json() == [6.0]


def test_a_deployment_that_was_being_created_is_finished_after_a_restart(
    pair: Endpoint, local_azure: LocalAzure
) -> None:
    slow = pair.deployment("late", 5.0, environment_variables={"SLOW": "2"})
    pair.client.online_deployments.begin_create_or_update(slow)
    local_azure.stop_part("workspace")
    local_azure.start_workspace()

    def made() -> OnlineDeployment:
        return pair.client.online_deployments.get("late", pair.name)

    assert until(lambda: made().provisioning_state != "Creating")
    assert made().provisioning_state == "Succeeded"
    assert pair.of("late").json() == [10.0]
    pair.client.online_deployments.begin_delete("late", pair.name).result()


def test_assets_by_id_are_enough_for_a_deployment_and_invoke_reaches_it(pair: Endpoint) -> None:
    blue = pair.client.online_deployments.get("blue", pair.name)
    made = ManagedOnlineDeployment(
        name="byid",
        endpoint_name=pair.name,
        model=blue.model,
        environment=blue.environment,
        code_configuration=CodeConfiguration(code=blue.code_configuration.code, scoring_script="score.py"),
        instance_type="Standard_DS3_v2",
        instance_count=1,
    )
    pair.client.online_deployments.begin_create_or_update(made).result()
    assert {found.name for found in pair.client.online_deployments.list(pair.name)} >= {"blue", "byid"}
    assert pair.name in {found.name for found in pair.client.online_endpoints.list()}
    file = pair.folder / "request.json"
    file.write_text(json.dumps({"data": [ROW]}))
    answer = pair.client.online_endpoints.invoke(pair.name, request_file=str(file), deployment_name="byid")
    assert json.loads(answer) == [4.0]
    pair.client.online_deployments.begin_delete("byid", pair.name).result()


def test_a_deployment_with_traffic_cannot_be_deleted(pair: Endpoint) -> None:
    pair.traffic(blue=100)
    with pytest.raises(HttpResponseError, match="live traffic"):
        pair.client.online_deployments.begin_delete("blue", pair.name).result()


def test_keys_where_the_endpoint_has_them_and_delete_leaves_no_process(
    local_azure: LocalAzure, client: MLClient, tmp_path: Path
) -> None:
    made = Endpoint(local_azure, client, tmp_path)
    keyed = f"{made.name}-k"
    client.online_endpoints.begin_create_or_update(
        ManagedOnlineEndpoint(name=keyed, auth_mode="key")
    ).result()
    keys = client.online_endpoints.get_keys(keyed)
    uri = str(client.online_endpoints.get(keyed).scoring_uri)
    statuses = [
        made.http.post(uri, json={}, headers={"authorization": f"Bearer {key}"}).status_code
        for key in (keys.primary_key, keys.secondary_key, "wrong")
    ]
    assert statuses == [404, 404, 401]  # 404: let in, but no deployment has traffic
    made.deploy("only")
    assert processes_of(local_azure.settings.folder, made.name)
    for name in (made.name, keyed):
        client.online_endpoints.begin_delete(name).result()
        with pytest.raises(ResourceNotFoundError):
            client.online_endpoints.get(name)
    assert not processes_of(local_azure.settings.folder, made.name)
    assert made.http.post(made.uri, json={}).status_code == 404
    made.http.close()


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"instance_type": "Standard_Imaginary_v9"}, "does not offer the instance type"),
        ({"instance_count": 51}, "1 to 50 instances"),
        ({"request_settings": OnlineRequestSettings(request_timeout_ms=180_001)}, "at most 180000"),
        ({"liveness_probe": ProbeSettings(success_threshold=2)}, "successThreshold must be 1"),
        ({"readiness_probe": ProbeSettings(failure_threshold=0)}, "failureThreshold is at least 1"),
    ],
)
def test_a_deployment_beyond_a_limit_is_refused(pair: Endpoint, options: dict[str, Any], text: str) -> None:
    """Sources: how-to-manage-quotas.md (names, instances), reference-yaml-deployment-managed-online.md (timeout,
    probes), how-to-troubleshoot-online-endpoints.md (a size that the region does not have)."""
    made = pair.deployment("toomuch")
    for name, value in options.items():
        setattr(made, name, value)
    with pytest.raises((HttpResponseError, MlException), match=text):
        pair.client.online_deployments.begin_create_or_update(made, skip_script_validation=True).result()


@pytest.mark.parametrize("name", ["ab", "ends-with-", "1-begins", "a" * 33, "under_score"])
def test_a_name_that_azure_does_not_take_is_refused_without_the_clients_help(name: str) -> None:
    """Source: how-to-manage-quotas.md; azure-ai-ml checks the same before it sends (constants/_endpoint.py)."""
    with pytest.raises(Refused, match="3 to 32"):
        limits.check_name("deployment", name)
    limits.check_name("deployment", "r12-a1")


def test_an_endpoints_identity_and_a_deployments_egress_are_fixed(pair: Endpoint) -> None:
    """Sources: how-to-access-resources-from-endpoints-managed-identities.md; concept-secure-online-endpoint.md."""
    endpoint = pair.client.online_endpoints.get(pair.name)
    assigned = ManagedIdentityConfiguration(resource_id=f"/subscriptions/{SUBSCRIPTION}/x/id-endpoint")
    endpoint.identity = IdentityConfiguration(type="user_assigned", user_assigned_identities=[assigned])
    with pytest.raises(HttpResponseError, match="'identity' is fixed"):
        pair.client.online_endpoints.begin_create_or_update(endpoint).result()
    deployment = pair.client.online_deployments.get("blue", pair.name)
    deployment.egress_public_network_access = "disabled"
    with pytest.raises(HttpResponseError, match="'egressPublicNetworkAccess' is fixed"):
        pair.client.online_deployments.begin_create_or_update(deployment).result()


@pytest.mark.parametrize(
    ("mirror", "text"),
    [
        ({"green": 60}, "At most 50 %"),
        ({"green": 10, "blue": 10}, "one deployment only"),
        ({"blue": 10}, "has live traffic"),
        ({"red": 10}, "no such deployment"),
    ],
)
def test_mirrored_traffic_has_its_limits(pair: Endpoint, mirror: dict[str, int], text: str) -> None:
    """Source: how-to-safely-rollout-online-endpoints.md, "Test the deployment with mirrored traffic"."""
    pair.traffic(blue=100)
    endpoint = pair.client.online_endpoints.get(pair.name)
    endpoint.mirror_traffic = mirror
    with pytest.raises(HttpResponseError, match=text):
        pair.client.online_endpoints.begin_create_or_update(endpoint).result()


def test_mirrored_traffic_is_copied_and_nobody_sees_its_answer(
    pair: Endpoint, logs: Callable[[str], list[dict[str, object]]]
) -> None:
    """At half of the traffic; not of a request that names its deployment. how-to-safely-rollout-online-endpoints.md.
    Whether the service's own log has a row for a copy is not documented; here it has."""
    pair.traffic(blue=100)
    endpoint = pair.client.online_endpoints.get(pair.name)
    endpoint.mirror_traffic = {"green": 50}
    pair.client.online_endpoints.begin_create_or_update(endpoint).result()
    assert pair.client.online_endpoints.get(pair.name).mirror_traffic == {"green": 50}
    mine = uuid.uuid4().hex
    calls = 60
    assert {pair.call(x_ms_client_request_id=mine).json()[0] for _ in range(calls)} == {4.0}
    named = uuid.uuid4().hex
    assert {pair.of("blue", x_ms_client_request_id=named).json()[0] for _ in range(20)} == {4.0}

    query = f"AmlOnlineEndpointTrafficLog | where XMSClientRequestId == '{mine}'"
    low, high = binom.ppf([1e-6, 1 - 1e-6], calls, 0.5)

    def of(name: str, rows: list[dict[str, object]]) -> int:
        return sum(row["DeploymentName"] == name for row in rows)

    # Rows come late and in no order: the copies of the last calls may stand before the calls themselves.
    seen = until(
        lambda: found if of("blue", found := logs(query)) >= calls and of("green", found) >= low else None
    )
    assert of("blue", seen) == calls
    assert of("green", seen) <= high
    assert len({row["XRequestId"] for row in seen}) == len(seen)
    of_named = f"AmlOnlineEndpointTrafficLog | where XMSClientRequestId == '{named}'"
    rows = until(lambda: found if len(found := logs(of_named)) >= 20 else None)
    assert {row["DeploymentName"] for row in rows} == {"blue"}

    pair.client.online_endpoints.begin_create_or_update(
        _without_mirror(pair.client.online_endpoints.get(pair.name))
    ).result()


def _without_mirror(endpoint: OnlineEndpoint) -> OnlineEndpoint:
    endpoint.mirror_traffic = {}
    return endpoint


def test_a_request_past_its_timeout_is_408_and_its_model_goes_on(pair: Endpoint) -> None:
    """Sources: how-to-troubleshoot-online-endpoints.md, "Common error codes for managed online endpoints";
    azure-sdk-for-python#36296: the container goes on, so that it takes its share of 2 x concurrency."""
    pair.deploy(
        "hasty",
        request_settings=OnlineRequestSettings(
            request_timeout_ms=300, max_concurrent_requests_per_instance=1
        ),
        environment_variables={"SLOW_ANSWER": "2"},
    )
    assert [pair.of("hasty").status_code for _ in range(3)] == [408, 408, 429]
    pair.client.online_deployments.begin_delete("hasty", pair.name).result()


def test_a_container_that_died_is_a_model_error_until_it_is_started_again(
    pair: Endpoint, local_azure: LocalAzure
) -> None:
    """No 503 is documented for managed endpoints: what the container does not answer with 200 is a 424."""
    pair.deploy("frail")
    for process in processes_of(local_azure.settings.folder, f"{pair.name}/frail"):
        process.kill()
    answer = pair.of("frail")
    assert (answer.status_code, answer.headers["ms-azureml-model-error-statuscode"]) == (424, "502")
    assert pair.client.online_deployments.get("frail", pair.name).provisioning_state == "Succeeded"
    until(lambda: pair.of("frail").status_code == 200)
    pair.client.online_deployments.begin_delete("frail", pair.name).result()


def test_an_endpoint_takes_five_hundred_requests_a_second() -> None:
    """Source: how-to-manage-quotas.md, "Azure Machine Learning online endpoints and batch endpoints"."""
    routed = Routed("ep", "AADToken")
    assert [routed.admits(7, limits.MOST_A_SECOND) for _ in range(501)].count(False) == 1
    assert routed.admits(8, limits.MOST_A_SECOND)


def test_an_endpoints_properties_can_be_added_only(pair: Endpoint) -> None:
    """Source: Azure/azure-rest-api-specs, EndpointPropertiesBase.properties."""
    endpoints, name = pair.client.online_endpoints, f"{pair.name}-p"
    for properties in ({"team": "birds"}, {"team": "birds", "cost": "1"}):
        made = ManagedOnlineEndpoint(name=name, auth_mode="aad_token", properties=properties)
        endpoints.begin_create_or_update(made).result()
    for properties in ({"team": "fish", "cost": "1"}, {"team": "birds"}):
        made = ManagedOnlineEndpoint(name=name, auth_mode="aad_token", properties=properties)
        with pytest.raises(HttpResponseError, match="neither removed nor altered"):
            endpoints.begin_create_or_update(made).result()
    endpoints.begin_delete(name).result()


def test_a_browsers_preflight_gets_no_permission(pair: Endpoint) -> None:
    """Source: how-to-troubleshoot-online-endpoints.md, "Blocked by CORS policy"."""
    asked = {"origin": "https://somewhere.example", "access-control-request-method": "POST"}
    answer = pair.http.options(pair.uri, headers=asked)
    assert answer.status_code >= 400
    assert "access-control-allow-origin" not in answer.headers


def test_an_autoscale_setting_is_of_one_deployment_for_ever(pair: Endpoint) -> None:
    """Sources: beside `local.arm.autoscale`."""
    arm, scale = ResourceManager(DefaultAzureCredential()), Scale(1, 3, 70, 30, 5)
    place = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/{RESOURCE_GROUP}/providers/Microsoft.Insights"

    def put(name: str, deployment: str, location: str = "local") -> None:
        target = f"{WORKSPACE_ID}/onlineEndpoints/{pair.name}/deployments/{deployment}"
        body = {"location": location, "properties": _properties(name, target, scale, 1)}
        arm.put(f"{place}/autoscalesettings/{name}", "2022-10-01", body)

    put("first", "blue")
    put("first", "blue")
    for what, code in (
        (("first", "green"), "TargetResourceIdIsImmutable"),
        (("second", "blue"), "Conflict"),
        (("second", "none"), "BadRequest"),
        (("second", "green", ""), "LocationRequired"),
    ):
        with pytest.raises(DriftloopError, match=code):
            put(*what)
    arm.delete(f"{place}/autoscalesettings/first", "2022-10-01")
