"""`driftloop doctor` finds each thing that is broken, one at a time, and says how to mend it."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from azure.core.exceptions import ResourceExistsError
from typer.testing import CliRunner

from local.azure import LocalAzure
from shared import cli, loopfile, rows
from shared.azure.client import Clients, Workspace, credential
from shared.cli import doctoring
from shared.definition import Assets, Published
from shared.engine import publishing
from shared.model import Champion, DataVersion, EventKind, InboxRecord, InboxState, LoopState, VersionState
from shared.ports import Change, Delete, Insert, Ports, Replace
from shared.settings import Settings
from shared.wiring import azure_ports

LOOP = """
loop: patient
data: {landing: landing/patient/, target: species}
train: {pipeline: train.yml}
serve: {endpoint: patient}
"""


@pytest.fixture(scope="module")
def azure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalAzure]:
    with LocalAzure(tmp_path_factory.mktemp("doctor")) as azure:
        yield azure


@pytest.fixture(autouse=True)
def ports(azure: LocalAzure, monkeypatch: pytest.MonkeyPatch) -> Iterator[Ports]:
    """The person's settings, and a published loop; roles that a test takes away are given back."""
    for name, value in azure.environment().items():
        monkeypatch.setenv(name, value)
    ports = azure_ports(Settings.from_environment(os.environ))
    definition = loopfile.parse(LOOP, file="loop.yaml")
    publishing.publish(ports, Published(definition, Assets("azureml:p:1"), "ann", ports.clock.now()))
    ports.store.wake("patient", ports.clock.now())
    yield ports
    azure.control.put("/local/roles", json={}).raise_for_status()


def _doctor() -> tuple[int, dict[str, dict[str, Any]]]:
    """The exit code, and the worst finding of each check."""
    done = CliRunner().invoke(cli.app, ["doctor", "--json"])
    found: dict[str, dict[str, Any]] = {}
    for finding in json.loads(done.stdout):
        if finding["check"] not in found or finding["state"] == "broken":
            found[finding["check"]] = finding
    return done.exit_code, found


def _ill(findings: dict[str, dict[str, Any]]) -> set[str]:
    return {check for check, finding in findings.items() if finding["state"] != "ok"}


def _clients() -> Clients:
    return Clients(Settings.from_environment(os.environ), credential())


def test_a_healthy_deployment_has_no_finding() -> None:
    code, found = _doctor()

    assert (code, _ill(found)) == (0, set())
    assert {"settings", "clock", "queue", "poison", "table", "datastore", "logs", "unrouted"} <= set(found)
    assert {"loop patient", "endpoint patient", "container versions"} <= set(found)


def test_the_text_says_the_same() -> None:
    done = CliRunner().invoke(cli.app, ["doctor"])

    assert done.exit_code == 0
    assert "container versions: it is there" in done.stdout
    assert "mend:" not in done.stdout


def test_a_missing_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DRIFTLOOP_TOPIC_ENDPOINT")

    code, found = _doctor()

    assert (code, _ill(found)) == (1, {"settings"})
    assert "DRIFTLOOP_TOPIC_ENDPOINT" in found["settings"]["what"]


def test_a_missing_container() -> None:
    container = _clients().blobs().get_container_client("quarantine")
    container.delete_container()
    try:
        code, found = _doctor()
    finally:
        container.create_container()

    assert (code, _ill(found)) == (1, {"container quarantine"})
    assert "azd provision" in found["container quarantine"]["mend"]


def test_a_missing_queue() -> None:
    queue = _clients().queue()
    queue.delete_queue()
    try:
        code, found = _doctor()
    finally:
        _until_made(queue.create_queue)

    assert (code, _ill(found)) == (1, {"queue"})


def test_messages_that_nobody_takes(ports: Ports, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctoring, "LATE", timedelta(seconds=-1))  # else the test would last five minutes
    ports.queue.put("{}")
    try:
        code, found = _doctor()
    finally:
        _clients().queue().clear_messages()

    assert code == 1
    assert "the app does not take them" in found["queue"]["what"]


def test_poison_and_events_of_no_loop(ports: Ports) -> None:
    from azure.storage.queue import QueueClient

    settings = Settings.from_environment(os.environ)
    poison = QueueClient(settings.queue_service_uri, f"{settings.queue}-poison", credential=credential())
    poison.send_message("{}")
    ports.store.record_unrouted("stray", json.dumps({"code": "no-loop", "text": "nobody's"}))
    try:
        code, found = _doctor()
    finally:
        poison.clear_messages()
        _clients().table().delete_entity("unrouted", "stray")

    assert (code, _ill(found)) == (3, {"poison", "unrouted"}), "warnings only"


@pytest.mark.parametrize(
    ("role", "scope", "check"),
    [("AzureML Data Scientist", "workspace", "datastore"), ("Log Analytics Reader", "logs", "logs")],
)
def test_a_missing_role(role: str, scope: str, check: str, azure: LocalAzure) -> None:
    azure.control.put("/local/roles", json={"without": [["publisher", role, scope]]}).raise_for_status()

    code, found = _doctor()

    assert code == 1
    assert found[check]["state"] == "broken"
    assert f"'{role}'" in found[check]["what"]
    assert "docs/identities.md" in found[check]["mend"]


def test_a_missing_table() -> None:
    table = _clients().table()
    kept = list(table.list_entities())
    table.delete_table()
    try:
        code, found = _doctor()
    finally:
        _until_made(table.create_table)
        for entity in kept:
            table.upsert_entity(entity)

    assert code == 1
    assert found["table"]["state"] == "broken"


def test_a_tick_that_does_not_run(ports: Ports) -> None:
    ports.store.wake("patient", ports.clock.now() - timedelta(hours=1))
    try:
        code, found = _doctor()
    finally:
        token = ports.store.claim("patient", "test", ports.clock.now(), ports.clock.now())
        assert token is not None
        ports.store.settle("patient", token, None)

    assert (code, _ill(found)) == (1, {"loop patient"})


def test_a_loop_that_waits_for_a_person(ports: Ports) -> None:
    (overview,) = ports.store.overviews()
    ports.store.describe(replace(overview, attention="release 3 is stuck: no quota"))
    try:
        code, found = _doctor()
    finally:
        ports.store.describe(overview)

    assert (code, _ill(found)) == (3, {"loop patient"})
    assert found["loop patient"]["what"] == "release 3 is stuck: no quota"


def test_a_clock_that_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctoring, "SKEW_BROKEN", timedelta(seconds=-1))
    code, found = _doctor()

    assert (code, _ill(found)) == (1, {"clock"})


def test_a_drop_that_no_event_told_of_and_a_traffic_log_without_rows(ports: Ports) -> None:
    now = ports.clock.now()
    body = {"container": "landing", "name": "patient/a.csv", "etag": "e", "sequencer": ""}
    record = InboxRecord("k", EventKind.BLOB, now, body, InboxState.DONE)
    version = DataVersion(
        1, VersionState.READY, "landing/patient/a.csv", "e", "k", "p", "h", 1, 1, 0, {}, True, "", {}, now
    )
    champion = Champion(1, "r1-a1", "m", (1,), "", now - timedelta(hours=2))
    row = ports.store.read("patient", rows.LOOP)
    assert row is not None
    state = replace(rows.decode(LoopState, row), next_version=2, champion=champion)
    changes: list[Change] = [
        Insert(rows.inbox_key("k"), rows.encode(record)),
        Insert(rows.version_key(1), rows.encode(version)),
        Replace(rows.LOOP, rows.encode(state), row.etag),
    ]
    ports.store.commit("patient", changes)
    try:
        code, found = _doctor()
    finally:
        changed = ports.store.read("patient", rows.LOOP)
        assert changed is not None
        undone: list[Change] = [Delete(rows.inbox_key("k")), Delete(rows.version_key(1))]
        ports.store.commit("patient", [*undone, Replace(rows.LOOP, row.doc, changed.etag)])

    assert (code, _ill(found)) == (3, {"events of patient", "traffic log of patient"})
    assert "landing/patient/a.csv" in found["events of patient"]["what"]
    assert found["traffic log of patient"]["mend"].startswith("azd env set DRIFTLOOP_ENDPOINTS patient")


def test_an_endpoint_whose_deployment_failed(tmp_path: Path) -> None:
    from azure.ai.ml.entities import ManagedOnlineDeployment, ManagedOnlineEndpoint, Model

    ml = Workspace(Settings.from_environment(os.environ), credential())()
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "MLmodel").write_text("flavors: {}")
    (tmp_path / "model" / "conda.yaml").write_text("dependencies: [{pip: [nobody-has-this==1.0]}]")
    model = ml.models.create_or_update(Model(path=tmp_path / "model", name="m", type="mlflow_model"))
    ml.online_endpoints.begin_create_or_update(ManagedOnlineEndpoint(name="patient", auth_mode="aad_token"))
    _until_made(lambda: _ready(ml))
    deployment = ManagedOnlineDeployment(
        name="old", endpoint_name="patient", model=model.id, instance_type="Standard_DS3_v2", instance_count=1
    )
    ml.online_deployments.begin_create_or_update(deployment)
    deadline = time.monotonic() + 120
    while ml.online_deployments.get("old", "patient").provisioning_state not in {"Failed", "Succeeded"}:
        assert time.monotonic() < deadline
        time.sleep(0.3)
    try:
        code, found = _doctor()
    finally:
        ml.online_endpoints.begin_delete("patient")

    assert (code, _ill(found)) == (1, {"endpoint patient"})
    assert found["endpoint patient"]["what"] == "patient/old has failed"


def _ready(ml: Any) -> None:
    if ml.online_endpoints.get("patient").provisioning_state != "Succeeded":
        raise ResourceExistsError("not yet")


def _until_made(make: Any) -> None:
    """A name that was deleted a moment ago may be taken for a while."""
    deadline = time.monotonic() + 60
    while True:
        try:
            make()
            return
        except ResourceExistsError:
            assert time.monotonic() < deadline
            time.sleep(0.3)
