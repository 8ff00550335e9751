"""`driftloop doctor` finds each thing that is broken, one at a time, and says how to fix it."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from azure.core.exceptions import ResourceExistsError
from click.testing import Result
from typer.testing import CliRunner

import cli
from cli import doctor, doctor_events, doctor_platform, doctor_scale
from cli.diagnosis import Finding
from local.arm import network
from local.azure import LocalAzure
from local.state import State
from shared import loopfile
from shared.azure.client import Clients, Workspace, credential
from shared.checkup.checkup import Checkup
from shared.checkup.platform_checkup import Subscription, Surroundings
from shared.domain.event import EventKind, InboxRecord, InboxState
from shared.domain.loop import LoopState
from shared.domain.reason import Code, reason
from shared.domain.release import Champion
from shared.domain.version import DataVersion, VersionState
from shared.errors import ConfigurationError
from shared.inbox import unrouted
from shared.inbox.unrouted import Unrouted
from shared.loopfile.published import Assets, Published
from shared.ports import Change, Delete, Insert, Ports, Replace
from shared.runtime import publication
from shared.settings import Settings
from shared.state import rows
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
        indexed(azure, *doctor_platform.FUNCTIONS)
        yield azure


def indexed(azure: LocalAzure, *functions: str) -> None:
    """What the app's host tells the platform once it runs; here none does."""
    (azure.settings.folder / "host-functions.json").write_text(json.dumps(functions))


@pytest.fixture(autouse=True)
def ports(azure: LocalAzure, monkeypatch: pytest.MonkeyPatch) -> Iterator[Ports]:
    """The person's settings, and a published loop; roles that a test takes away are given back."""
    for name, value in azure.environment().items():
        monkeypatch.setenv(name, value)
    ports = azure_ports(Settings.from_environment(os.environ))
    definition = loopfile.parse(LOOP, file="loop.yaml")
    publication.publish(ports, Published(definition, Assets("azureml:p:1"), "ann", ports.clock.now()))
    ports.store.wake("patient", ports.clock.now())
    yield ports
    azure.control.put("/local/roles", json={}).raise_for_status()


def _doctor() -> tuple[int, dict[str, dict[str, Any]]]:
    """The exit code, and the worst finding of each check."""
    done = CliRunner().invoke(cli.app, ["doctor", "--json"])
    return done.exit_code, _worst(json.loads(done.stdout))


def _worst(findings: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for finding in findings:
        if finding["check"] not in found or finding["state"] == "broken":
            found[finding["check"]] = finding
    return found


def _around(ports: Ports) -> dict[str, dict[str, Any]]:
    """What stands around the app, alone: a whole examination for each mistake would take long."""
    settings = Settings.from_environment(os.environ)
    return _worst([asdict(one) for one in doctor_platform.examined(settings, ports, ports.store.overviews())])


def _ill(findings: dict[str, dict[str, Any]]) -> set[str]:
    return {check for check, finding in findings.items() if finding["state"] != "ok"}


def _clients() -> Clients:
    return Clients(Settings.from_environment(os.environ), credential())


def test_a_healthy_deployment_has_no_finding() -> None:
    code, found = _doctor()

    assert (code, _ill(found)) == (0, set())
    assert {"settings", "clock", "queue", "runs", "poison", "table", "datastore", "logs", "unrouted"} <= set(
        found
    )
    assert {"loop patient", "endpoint patient", "container versions", "container dead-letter"} <= set(found)
    assert {"ledger of patient", "folders of patient"} <= set(found)
    assert {"dead letters", "providers", "quota of patient", *doctor_events.EVENTS} <= set(found)
    identities = {
        f"identity {who}"
        for who in ("app", "blob-events", "workspace-events", "compute", "endpoint", "workspace")
    }
    assert identities <= set(found)


def test_the_text_says_the_same() -> None:
    done = CliRunner().invoke(cli.app, ["doctor"])

    assert done.exit_code == 0
    assert "container versions: exists" in done.stdout
    assert "fix:" not in done.stdout


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
    assert "azd provision" in found["container quarantine"]["fix"]


def test_a_missing_queue() -> None:
    queue = _clients().queue()
    queue.delete_queue()
    try:
        code, found = _doctor()
    finally:
        _until_made(queue.create_queue)

    assert (code, _ill(found)) == (1, {"queue"})


def test_messages_that_nobody_takes(ports: Ports, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "LATE", timedelta(seconds=-1))  # else the test would last five minutes
    ports.queue.put("{}")
    try:
        code, found = _doctor()
    finally:
        _clients().queue().clear_messages()

    assert code == 1
    assert "the app does not process them" in found["queue"]["what"]


def test_poison_and_events_of_no_loop(ports: Ports) -> None:
    from azure.storage.queue import QueueClient

    settings = Settings.from_environment(os.environ)
    poison = QueueClient(settings.queue_service_uri, f"{settings.queue}-poison", credential=credential())
    poison.send_message("{}")
    unrouted.put(ports, "stray", Unrouted(reason(Code.NO_LOOP, loop="x"), ports.clock.now()))
    try:
        code, found = _doctor()
    finally:
        poison.clear_messages()
        _clients().table().delete_entity("unrouted", "stray")

    assert (code, _ill(found)) == (3, {"poison", "unrouted"}), "warnings only"


def test_an_event_of_no_loop_that_is_old_or_was_taken_up_needs_nobody(ports: Ports) -> None:
    old, new = datetime(2026, 1, 1, tzinfo=UTC), datetime(2999, 1, 1, tzinfo=UTC)
    unrouted.put(ports, "old", Unrouted(reason(Code.NO_LOOP, loop="x"), old))
    unrouted.put(ports, "new", Unrouted(reason(Code.REPLAYED, loops="x", was="no-loop"), new))
    try:
        (found,) = doctor._unrouted(ports)
    finally:
        for key in ("old", "new"):
            _clients().table().delete_entity("unrouted", key)

    assert found.state == "ok"


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
    assert "docs/identities.md" in found[check]["fix"]


def test_a_provider_that_is_not_registered(azure: LocalAzure, ports: Ports) -> None:
    azure.control.put("/local/providers", json={"unregistered": ["Microsoft.EventGrid"]}).raise_for_status()
    try:
        found = _around(ports)
    finally:
        azure.control.put("/local/providers", json={}).raise_for_status()

    assert _ill(found) == {"providers"}
    assert found["providers"]["fix"].startswith("az provider register --namespace Microsoft.EventGrid")


@pytest.fixture
def subscriptions(azure: LocalAzure) -> Iterator[list[dict[str, Any]]]:
    """The event subscriptions; given back afterwards."""
    before = azure.control.get("/local/events/subscriptions").json()
    yield before["subscriptions"]
    azure.control.put("/local/events/subscriptions", json=before).raise_for_status()


def _subscribe(azure: LocalAzure, subscriptions: list[dict[str, Any]]) -> None:
    body = {"subscriptions": subscriptions}
    azure.control.put("/local/events/subscriptions", json=body).raise_for_status()


@pytest.mark.parametrize(
    ("missing", "told"),
    [({"tick", "sweep"}, "does not have sweep, tick"), (doctor_platform.FUNCTIONS, "act, alert, inbox")],
)
def test_functions_that_the_host_does_not_have(
    missing: set[str], told: str, azure: LocalAzure, ports: Ports
) -> None:
    indexed(azure, *(doctor_platform.FUNCTIONS - missing))
    try:
        found = _around(ports)
    finally:
        indexed(azure, *doctor_platform.FUNCTIONS)
    assert _ill(found) == {"functions"}
    assert found["functions"]["state"] == "broken"
    assert told in found["functions"]["what"]


def test_a_container_whose_events_nobody_subscribed_to(
    azure: LocalAzure, ports: Ports, subscriptions: list[dict[str, Any]]
) -> None:
    _subscribe(azure, [one for one in subscriptions if "labels" not in one["subject_begins_with"]])
    found = _around(ports)

    assert _ill(found) == {"events of container labels"}
    assert "azd provision" in found["events of container labels"]["fix"]


def test_events_that_go_to_another_queue(
    azure: LocalAzure, ports: Ports, subscriptions: list[dict[str, Any]]
) -> None:
    (workspace,) = [one for one in subscriptions if one["source"] == "workspace"]
    others = [one for one in subscriptions if one is not workspace]
    _subscribe(azure, [*others, workspace | {"queue": "elsewhere"}])
    found = _around(ports)

    told = ("ended runs", "changed runs", "registered models", "deployed models")
    assert _ill(found) == {f"events of {what}" for what in told}
    assert "devstoreaccount1/elsewhere" in found["events of ended runs"]["what"]


def test_a_filter_that_lets_some_types_through_only(
    azure: LocalAzure, ports: Ports, subscriptions: list[dict[str, Any]]
) -> None:
    (workspace,) = [one for one in subscriptions if one["source"] == "workspace"]
    others = [one for one in subscriptions if one is not workspace]
    kinds = [kind for kind in workspace["event_types"] if "Changed" not in kind]
    _subscribe(azure, [*others, workspace | {"event_types": kinds}])
    found = _around(ports)

    assert _ill(found) == {"events of changed runs"}


ELSEWHERE = LOOP.replace("landing/patient/", "partner:outbox/patient/")


@pytest.fixture
def elsewhere(ports: Ports) -> Iterator[None]:
    """The loop's drops land in a partner's account, which has folders."""
    there, here = (loopfile.parse(text, file="loop.yaml") for text in (ELSEWHERE, LOOP))
    publication.publish(ports, Published(there, Assets("azureml:p:1"), "ann", ports.clock.now()))
    yield
    publication.publish(ports, Published(here, Assets("azureml:p:1"), "ann", ports.clock.now()))


READS = ["app", "Storage Blob Data Reader", "landing"]


@pytest.mark.usefixtures("elsewhere")
def test_drops_in_another_account_need_a_role_there(azure: LocalAzure, ports: Ports) -> None:
    found = _around(ports)
    assert _ill(found) == {"identity app"}
    assert "'Storage Blob Data Reader' on landing partner:outbox" in found["identity app"]["what"]
    azure.control.put("/local/roles", json={"also": [READS]}).raise_for_status()
    found = _around(ports)
    assert _ill(found) == set()
    assert found["events of container partner:outbox"]["what"] == "partner-written brings them into the queue"


def test_a_role_on_a_container_in_which_no_drop_lands_is_told(azure: LocalAzure, ports: Ports) -> None:
    azure.control.put("/local/roles", json={"also": [READS]}).raise_for_status()
    found = _around(ports)
    assert _ill(found) == {"identity app"} and "which no call needs" in found["identity app"]["what"]


@pytest.mark.usefixtures("elsewhere")
def test_events_of_another_account_that_nobody_subscribed_to(
    azure: LocalAzure, ports: Ports, subscriptions: list[dict[str, Any]]
) -> None:
    azure.control.put("/local/roles", json={"also": [READS]}).raise_for_status()
    (partner,) = [one for one in subscriptions if one["source"] == "partner-storage"]
    others = [one for one in subscriptions if one is not partner]
    _subscribe(azure, [*others, partner | {"event_types": ["Microsoft.Storage.BlobCreated"]}])
    found = _around(ports)
    assert _ill(found) == {"renames in partner:outbox"}
    assert "BlobRenamed and Microsoft.Storage.DirectoryRenamed" in found["renames in partner:outbox"]["what"]
    _subscribe(azure, others)
    found = _around(ports)
    assert _ill(found) == {"events of container partner:outbox", "renames in partner:outbox"}
    assert "DRIFTLOOP_LANDINGS" in found["events of container partner:outbox"]["fix"]


def scaling(ports: Ports, group: str = "driftloop") -> Finding:
    overview = ports.store.overview("patient")
    assert overview is not None
    around = Surroundings(Settings.from_environment(os.environ))
    return next(iter(doctor_scale.examined(around, ports, group, overview)))


def test_what_scales_nothing_any_more_and_what_is_not_scaled_is_told(azure: LocalAzure, ports: Ports) -> None:
    definition = loopfile.parse(
        LOOP.replace("endpoint: patient", "endpoint: patient, autoscale: {max: 4}"), file="l"
    )
    publication.publish(ports, Published(definition, Assets("azureml:p:1"), "ann", ports.clock.now()))
    assert scaling(ports).what == "scaled: nothing serves yet"
    assert (scaling(ports, "").state, scaling(ports, "").fix.split()[3]) == ("broken", "DRIFTLOOP_AUTOSCALE")
    gone = f"{network.WORKSPACE_ID}/onlineEndpoints/patient/deployments/r0-a1"
    state = State(azure.settings.folder / "state.sqlite")
    state.put("autoscale-setting", "left", {"name": "left", "properties": {"targetResourceUri": gone}})
    try:
        assert (scaling(ports).state, scaling(ports).what.endswith("gone: left")) == ("warning", True)
        assert scaling(ports).fix.startswith("az monitor autoscale delete -g driftloop")
    finally:
        state.delete("autoscale-setting", "left")
        state.close()
    unscaled = Published(loopfile.parse(LOOP, file="l"), Assets("azureml:p:1"), "ann", ports.clock.now())
    publication.publish(ports, unscaled)


def test_an_account_of_another_subscription_is_its_owners_to_look_at(ports: Ports) -> None:
    overview = ports.store.overview("patient")
    assert overview is not None
    around = Surroundings(Settings.from_environment(os.environ))
    strange = replace(overview, landing="stranger:outbox/patient/")
    (finding,) = doctor_events.elsewhere(around, "q", [overview, strange])
    assert (finding.state, finding.check) == ("warning", "events of container stranger:outbox")


def test_an_event_that_could_not_be_delivered(azure: LocalAzure, ports: Ports) -> None:
    azure.control.put("/local/events/faults", json={"dead_letter": 1}).raise_for_status()
    ports.blobs.upload("landing", "patient/undelivered.csv", b"x")
    container = _clients().blobs().get_container_client("dead-letter")
    deadline = time.monotonic() + 60
    while not (letters := list(container.list_blobs())):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    settings = Settings.from_environment(os.environ)
    checkup = Checkup(settings, Workspace(settings, credential()))
    (told,) = doctor._dead_letters(checkup)
    for letter in letters:
        container.delete_blob(letter.name)
    (after,) = doctor._dead_letters(checkup)

    assert told.state == "warning"
    assert "could not deliver 1 events" in told.what
    assert "MaxDeliveryAttemptsExceeded, NotFound" in told.what
    assert after.state == "ok"


@pytest.fixture
def cluster(azure: LocalAzure) -> Iterator[Callable[[int], None]]:
    """Sets how many nodes the cluster keeps."""

    def keeps(nodes: int) -> None:
        found = {"size": "Standard_DS3_v2", "least_nodes": nodes, "most_nodes": 4}
        azure.control.put("/local/computes", json={"driftloop-cpu": found}).raise_for_status()

    yield keeps
    keeps(0)


ON_CLUSTER = LOOP.replace("{pipeline: train.yml}", "{pipeline: train.yml, compute: driftloop-cpu}")
ALLOWED = ON_CLUSTER.replace("driftloop-cpu}", "driftloop-cpu, idle_nodes: allow}")
KEEPS = "driftloop-cpu keeps 2 nodes of Standard_DS3_v2 when it is idle: 48 node hours a day"


@pytest.mark.parametrize(
    ("text", "nodes", "state", "words"),
    [
        (ON_CLUSTER, 0, "ok", "keeps no node"),
        (ON_CLUSTER, 2, "warning", KEEPS),
        (ALLOWED, 2, "ok", f"{KEEPS}, as train.idle_nodes allows"),
    ],
)
def test_a_cluster_that_keeps_nodes_when_it_is_idle(
    text: str, nodes: int, state: str, words: str, ports: Ports, cluster: Callable[[int], None]
) -> None:
    cluster(nodes)
    definition = loopfile.parse(text, file="loop.yaml")
    publication.publish(ports, Published(definition, Assets("azureml:p:1"), "ann", ports.clock.now()))
    workspace = Workspace(Settings.from_environment(os.environ), credential())

    [found] = doctor._compute(workspace, ports, ports.store.overviews()[0])

    assert found.state == state
    assert words in found.what
    assert ("--min-instances 0" in found.fix) == (state == "warning")


def test_a_cluster_of_another_machine_than_the_one_that_jobs_are_reckoned_with(
    ports: Ports, cluster: Callable[[int], None]
) -> None:
    cluster(0)
    definition = loopfile.parse(ON_CLUSTER + "cost: {node: Standard_DS2_v2}\n", file="loop.yaml")
    publication.publish(ports, Published(definition, Assets("azureml:p:1"), "ann", ports.clock.now()))
    workspace = Workspace(Settings.from_environment(os.environ), credential())

    price, nodes = doctor._compute(workspace, ports, ports.store.overviews()[0])

    assert (price.state, nodes.state) == ("warning", "ok")
    assert "jobs run on Standard_DS3_v2 (driftloop-cpu)" in price.what
    assert price.fix == "cost.node: Standard_DS3_v2, and publish"


def test_the_local_azure_has_no_cluster_that_keeps_more_nodes_than_it_may_have(azure: LocalAzure) -> None:
    found = {"size": "Standard_DS3_v2", "least_nodes": 5, "most_nodes": 4}
    refused = azure.control.put("/local/computes", json={"driftloop-cpu": found})
    assert (refused.status_code, "cannot keep 5 nodes of at most 4" in refused.text) == (400, True)


def published(folder: Path, text: str, pipeline: str = "not a component") -> Result:
    (folder / "loop.yaml").write_text(text)
    (folder / "train.yml").write_text(pipeline)
    return CliRunner().invoke(cli.app, ["publish", str(folder)])


def test_publish_refuses_a_cluster_that_keeps_nodes_before_anything_is_registered(
    tmp_path: Path, cluster: Callable[[int], None]
) -> None:
    """What goes on fails at the pipeline, which is the next thing to be looked at."""
    cluster(2)
    refused = published(tmp_path, ON_CLUSTER).exception
    assert isinstance(refused, ConfigurationError)
    assert refused.code is Code.IDLE_NODES
    assert str(refused).startswith(f"{KEEPS}; fix: az ml compute update -n driftloop-cpu --min-instances 0")
    assert "train.yml is not a valid" in str(published(tmp_path, ALLOWED).exception)
    cluster(0)
    assert "train.yml is not a valid" in str(published(tmp_path, ON_CLUSTER).exception)
    unknown = published(tmp_path, ON_CLUSTER.replace("driftloop-cpu", "elsewhere")).exception
    assert "the workspace has no compute elsewhere; correct `train.compute`" in str(unknown)


def test_publish_refuses_a_cluster_that_a_step_names_for_itself_and_that_keeps_nodes(
    tmp_path: Path, cluster: Callable[[int], None]
) -> None:
    cluster(2)
    step = "jobs: {train: {component: train.yml, compute: azureml:driftloop-cpu}}"
    elsewhere = ON_CLUSTER.replace("compute: driftloop-cpu", "attempts: 1")
    assert "driftloop-cpu" not in elsewhere
    refused = published(tmp_path, elsewhere, step).exception
    assert isinstance(refused, ConfigurationError) and str(refused).startswith(KEEPS)
    cluster(0)
    assert "train.yml is not a valid" in str(published(tmp_path, elsewhere, step).exception)


def test_too_few_cores_for_a_canary(azure: LocalAzure, ports: Ports) -> None:
    azure.control.put("/local/quota", json={"cores": 4}).raise_for_status()
    try:
        found = _around(ports)
    finally:
        azure.control.put("/local/quota", json={}).raise_for_status()

    assert _ill(found) == {"quota of patient"}
    assert "takes 5 cores" in found["quota of patient"]["what"]
    assert "4 of standardDSv2Family" in found["quota of patient"]["what"]


IDENTITIES = [
    ("app", "EventGrid Data Sender", "topic"),
    ("blob-events", "Storage Queue Data Message Sender", "queue"),
    ("workspace-events", "Storage Blob Data Contributor", "dead-letter"),
    ("compute", "Storage Blob Data Reader", "versions"),
    ("endpoint", "AcrPull", "registry"),
    ("workspace", "Storage Blob Data Reader", "versions"),
]


@pytest.mark.parametrize("row", IDENTITIES, ids=lambda row: str(row[0]))
def test_an_identity_without_one_of_its_roles(row: tuple[str, str, str], azure: LocalAzure) -> None:
    azure.control.put("/local/roles", json={"without": [row]}).raise_for_status()
    found = _identities(azure)

    assert [check for check, finding in found.items() if finding.state != "ok"] == [f"identity {row[0]}"]
    finding = found[f"identity {row[0]}"]
    assert (finding.state, finding.what) == ("broken", f"it does not have the role '{row[1]}' on {row[2]}")


def test_a_role_that_no_call_needs(azure: LocalAzure) -> None:
    row = ["compute", "AzureML Data Scientist", "workspace"]
    azure.control.put("/local/roles", json={"also": [row]}).raise_for_status()
    found = _identities(azure)

    assert found["identity compute"].state == "warning"
    assert "'AzureML Data Scientist' on driftloop" in found["identity compute"].what


def test_a_role_on_all_of_the_subscription_is_enough_and_more_than_was_meant(azure: LocalAzure) -> None:
    row = ["endpoint", "AcrPull", "registry"]
    wide = ["endpoint", "AcrPull", "subscription"]
    azure.control.put("/local/roles", json={"without": [row], "also": [wide]}).raise_for_status()
    found = _identities(azure)

    assert found["identity endpoint"].state == "warning"


def _identities(azure: LocalAzure) -> dict[str, Finding]:
    """This look alone: a whole examination for each role would take long."""
    settings = Settings.from_environment(os.environ)
    return {one.check: one for one in doctor_platform._identities(Surroundings(settings), settings, [])}


def test_who_may_not_read_the_subscription_is_told_what_was_not_looked_at(azure: LocalAzure) -> None:
    row = ["publisher", "Reader", "subscription"]
    azure.control.put("/local/roles", json={"without": [row]}).raise_for_status()
    code, found = _doctor()

    refused = {"providers", "functions", "events", "identities", "deliveries", "network"}
    assert (code, _ill(found)) == (3, refused | {"quota of patient", "scaling of patient"})
    assert all("'Reader'" in found[check]["what"] for check in _ill(found))
    assert found["events"]["fix"] == doctor_platform.NOT_LOOKED_AT


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
    stuck = reason(Code.STUCK, reason(Code.RELEASE_STUCK, failures=10), release=3)
    ports.store.describe(replace(overview, needs_attention=stuck))
    try:
        code, found = _doctor()
    finally:
        ports.store.describe(overview)

    assert (code, _ill(found)) == (3, {"loop patient"})
    assert found["loop patient"]["what"] == (
        "release 3 is stuck: manual review, after 10 failed attempts in a row"
    )


def test_a_clock_that_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "SKEW_BROKEN", timedelta(seconds=-1))
    code, found = _doctor()

    assert (code, _ill(found)) == (1, {"clock"})


def _diagnostics(ports: Ports) -> Finding:
    settings = Settings.from_environment(os.environ)
    (overview,) = ports.store.overviews()
    (finding,) = doctor_platform._diagnostics(Surroundings(settings), ports, settings, overview)
    return finding


def test_a_drop_that_no_event_told_of_and_a_traffic_log_that_is_off(
    ports: Ports, azure: LocalAzure, monkeypatch: pytest.MonkeyPatch
) -> None:
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
    azure.control.put("/local/logs", json={"off": ["patient"]}).raise_for_status()
    try:
        code, found = _doctor()
        azure.control.put("/local/logs", json={"off": []}).raise_for_status()
        on = _diagnostics(ports)
        monkeypatch.setenv("DRIFTLOOP_LOGS_WORKSPACE_ID", "00000000-0000-0000-0000-000000000001")
        elsewhere = _diagnostics(ports)
    finally:
        azure.control.put("/local/logs", json={"off": []}).raise_for_status()
        changed = ports.store.read("patient", rows.LOOP)
        assert changed is not None
        undone: list[Change] = [Delete(rows.inbox_key("k")), Delete(rows.version_key(1))]
        ports.store.commit("patient", [*undone, Replace(rows.LOOP, row.doc, changed.etag)])

    ill = {"events of patient", "traffic log of patient", "diagnostics of patient", "loop patient"}
    assert (code, _ill(found)) == (1, ill)
    assert "endpoint patient is gone" in found["loop patient"]["what"]  # no release ever made it
    assert found["diagnostics of patient"]["what"].startswith("its traffic log is switched off")
    assert (on.state, elsewhere.state) == ("ok", "broken")
    assert "another Log Analytics workspace" in elsewhere.what
    assert "landing/patient/a.csv" in found["events of patient"]["what"]
    assert found["traffic log of patient"]["fix"].startswith("azd env set DRIFTLOOP_ENDPOINTS patient")


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


TEMPLATE = {
    "includedEventTypes": ["Microsoft.Storage.BlobCreated"],
    "advancedFilters": [
        {
            "operatorType": "StringBeginsWith",
            "key": "subject",
            "values": [
                "/blobServices/default/containers/landing/",
                "/blobServices/default/containers/labels/",
            ],
        }
    ],
}


LANDING = "/blobServices/default/containers/landing/blobs/x"
FILTERS: dict[str, tuple[dict[str, Any], str, bool]] = {
    "the template's": ({}, LANDING, True),
    "in any case": ({}, LANDING.upper(), True),
    "another container": ({}, LANDING.replace("landing", "versions"), False),
    "another beginning": ({"subjectBeginsWith": "/blobServices/default/containers/labels/"}, LANDING, False),
    "another end": ({"subjectEndsWith": ".csv"}, LANDING, False),
    "another type": ({"includedEventTypes": ["Microsoft.Storage.BlobDeleted"]}, LANDING, False),
    "on the data": (
        {"advancedFilters": [{"operatorType": "NumberGreaterThan", "key": "data.contentLength", "value": 9}]},
        LANDING,
        False,
    ),
}


@pytest.mark.parametrize("name", FILTERS)
def test_a_filter_is_read_as_event_grid_reads_it(name: str) -> None:
    more, subject, passes = FILTERS[name]
    found = Subscription("driftloop-blobs", "Succeeded", "a/q", "a/dead-letter", TEMPLATE | more)

    assert found.passes("Microsoft.Storage.BlobCreated", subject) is passes


def test_what_a_subscription_lacks_is_told() -> None:
    well = Subscription("s", "Succeeded", "a/q", "a/dead-letter", {})
    told = {
        one: doctor_events._delivery("events", [one], "a", "q", "azd provision")
        for one in (
            well,
            replace(well, dead_letter=""),
            replace(well, state="Failed"),
            replace(well, queue=""),
        )
    }

    assert [finding.state for finding in told.values()] == ["ok", "warning", "broken", "broken"]
    assert "no storage queue" in told[replace(well, queue="")].what
