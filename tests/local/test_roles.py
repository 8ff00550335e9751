"""The local Azure refuses what infra/identities.yaml does not give, which is what the app uses and no more (S08)."""

from __future__ import annotations

import os
import ssl
import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from azure.core.exceptions import ClientAuthenticationError

from cli import idle_nodes
from local.azure import LocalAzure
from local.identity.exceptions import Forbidden
from local.identity.roles import INFRA, Grant, Roles
from local.settings import REGISTRY, REGISTRY_ID
from shared import loopfile
from shared.azure.client import Workspace, credential
from shared.azure.registry import Registry
from shared.azure.shared_assets import SharedAssets
from shared.checkup.checkup import Checkup
from shared.checkup.network_checkup import Network
from shared.checkup.platform_checkup import Surroundings
from shared.domain.ledger import LedgerEntry
from shared.errors import AnswersAwaited, ConfigurationError, DependencyUnavailable, DriftloopError
from shared.ports import DeploymentSpec, JobSpec, Ports, Scale
from shared.settings import Settings
from shared.wiring import azure_ports
from tests.contract.stage import ROWS, SdkStage, eventually

LOOP = Path(__file__).parents[2] / "loops" / "penguins"
TABLE: dict[str, Any] = yaml.safe_load((INFRA / "identities.yaml").read_text())
ENFORCED = ("workspace", "shared-registry", "app-group", "topic", "logs", "subscription")
"""The scopes whose calls the local Azure refuses one by one; the others' roles it only knows."""


def _declared(who: str) -> set[tuple[str, str]]:
    return {
        (action, row["scope"])
        for row in TABLE["grants"] + TABLE["autoscale"] + TABLE["held"]
        if row["who"] == who and row["scope"] in ENFORCED
        for action in row["actions"]
    }


@pytest.fixture(scope="module")
def azure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalAzure]:
    """A local Azure that nobody else asks for anything."""
    with LocalAzure(tmp_path_factory.mktemp("roles")) as azure:
        yield azure


@pytest.fixture
def app(azure: LocalAzure, monkeypatch: pytest.MonkeyPatch) -> Ports:
    return _ports(azure, monkeypatch, "app")


def _ports(azure: LocalAzure, monkeypatch: pytest.MonkeyPatch, who: str, **more: str) -> Ports:
    for name, value in (azure.environment(who) | more).items():
        monkeypatch.setenv(name, value)
    return azure_ports(Settings.from_environment(os.environ))


@pytest.fixture
def roles(azure: LocalAzure) -> Iterator[httpx.Client]:
    """The control surface; every role is given back afterwards."""
    yield azure.control
    azure.control.put("/local/roles", json={}).raise_for_status()


def _asked(control: httpx.Client, who: str) -> set[tuple[str, str]]:
    asked = control.get("/local/roles", params={"forget": "1"}).json()["asked"]
    return {(action, scope) for name, action, scope in asked if name == who}


_GROUP = "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/driftloop/providers"
_WORKSPACE = f"azureml:{_GROUP}/Microsoft.MachineLearningServices/workspaces/driftloop"
IDENTITY = f"{_GROUP}/Microsoft.ManagedIdentity/userAssignedIdentities/endpoints"


def test_the_app_is_given_exactly_what_it_uses(
    azure: LocalAzure, roles: httpx.Client, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Each call of the ports, once: what it asks for is what the table says that it needs.

    As every call is refused without its action (below), dropping any one action breaks this test.
    """
    publisher = _ports(azure, monkeypatch, "publisher")
    identity = credential()
    ml = Workspace(Settings.from_environment(os.environ), identity)()
    stage = SdkStage(publisher, ml, identity, tmp_path)
    files = {"MLmodel": b"flavors: {}", "conda.yaml": b"dependencies: [pip]"}
    model = stage.registered("in-batch", "1", files)
    _asked(roles, "app")
    stage.ports = _ports(azure, monkeypatch, "app", DRIFTLOOP_ENDPOINT_IDENTITY=IDENTITY)

    name = _life(stage, tmp_path)
    _in_batch(stage.ports, f"{name}-batch", model)

    assert _asked(roles, "app") == _declared("app")
    found = ml.online_endpoints.get(name).identity
    assert [one.resource_id for one in found.user_assigned_identities] == [IDENTITY]


def _life(stage: SdkStage, folder: Path) -> str:
    """From a data version to the end of a deployment, by the app's own calls; the endpoint's name."""
    ports, name = stage.ports, f"r{uuid.uuid4().hex[:10]}"
    (folder / "rows").write_text("x\n1\n")
    ports.versions.write(f"{name}/1/rows", folder / "rows")
    ports.versions.register(name, "1", f"{name}/1", {}, "")
    slow = stage.job("slow")
    ports.training.ensure_job(slow)
    ports.training.cancel(slow.name)
    assert stage.ended(stage.job("failing")).status == "failed"
    eventually(lambda: ports.serving.ensure_endpoint(name), lambda seen: seen.state == "ready")
    scale = Scale(min=1, max=3, cpu_above=70, cpu_below=30, minutes=5)
    assert stage.deployed(replace(stage.deployment(name, "good"), scale=scale)).state == "ready"
    broken = stage.deployment(name, "bad", broken=True)
    assert stage.deployed(replace(broken, scale=scale)).state == "failed"
    assert ports.serving.hold_scale(name, "good") == 1
    ports.serving.free_scale(name, "good")
    ports.serving.set_traffic(name, {"good": 100})
    assert eventually(lambda: ports.serving.traffic(name), bool) == {"good": 100}
    answers = eventually(lambda: ports.serving.predict(name, "good", [ROWS], "r1"), bool)
    assert answers[0].status == 200
    now = ports.clock.now()
    ports.evidence.traffic(name, now - timedelta(minutes=5), now)
    ports.evidence.predictions(name, "good", now - timedelta(minutes=5), now)
    ports.topic.publish(
        name, [LedgerEntry(1, now, "me", "inbox", "loop.published", name, "", "", {}, "", "")]
    )
    eventually(lambda: ports.serving.ensure_no_deployment(name, "bad"), bool)
    _looks_back(ports)
    return name


def _in_batch(ports: Ports, name: str, model: str) -> None:
    """The same of a batch endpoint, up to the job that scores rows."""
    batch = ports.batch
    eventually(lambda: batch.ensure_endpoint(name), lambda seen: seen.state == "ready")
    spec = DeploymentSpec(name, "good", model, "", compute="driftloop-cpu")
    eventually(lambda: batch.ensure_deployment(spec), lambda seen: seen.state == "ready")
    with pytest.raises(AnswersAwaited):
        batch.predict(name, "good", [ROWS], "r1")
    batch.set_traffic(name, {"good": 100})
    batch.set_traffic(name, {})
    assert batch.deployments(name)
    eventually(lambda: batch.ensure_no_deployment(name, "good"), bool)


def _looks_back(ports: Ports) -> None:
    """At what a release of an earlier time, or of somebody else's model, was made of; here nothing is left of it."""
    gone = f"gone-{uuid.uuid4().hex[:8]}"
    assert ports.training.model(f"azureml:{gone}:1") is None
    assert ports.training.newest_model(gone) is None
    assert ports.training.model(f"azureml://registries/{REGISTRY}/models/{gone}/versions/1") is None
    for kind in ("environments", "codes"):
        assert ports.training.digest(f"{_WORKSPACE}/{kind}/{gone}/versions/1") is None


def test_the_publisher_is_given_exactly_what_it_uses(
    azure: LocalAzure, roles: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """driftloop publish, status, doctor and explain."""
    app = _ports(azure, monkeypatch, "app")
    eventually(lambda: app.serving.ensure_endpoint("penguins"), lambda seen: seen.state == "ready")
    ports = _ports(azure, monkeypatch, "publisher")
    _asked(roles, "publisher")
    definition = loopfile.load(LOOP / "loop.yaml")

    workspace = Workspace(Settings.from_environment(os.environ), credential())
    assets = Registry(workspace).register(LOOP, definition, lambda what: None)
    sharing = SharedAssets(workspace, REGISTRY_ID)
    assert sharing.ensure_environment(assets.environment, "penguins", uuid.uuid4().hex[:8])
    with pytest.raises(DriftloopError, match="99"):
        sharing.ensure_model("azureml:penguins:99", "penguins", "99")
    assert ports.serving.traffic("penguins") == {}
    with pytest.raises(DriftloopError, match="does not serve"):  # it may ask, and there is nobody
        ports.serving.predict("penguins", "gone", [ROWS], "explain")
    settings = Settings.from_environment(os.environ)
    checkup = Checkup(settings, Workspace(settings, credential()))
    assert checkup.datastore() == "versions"
    assert idle_nodes.idle(Workspace(settings, credential()), "driftloop-cpu").nodes == 0
    assert checkup.endpoint("penguins") == {"penguins": "Succeeded"}
    now = ports.clock.now()
    ports.evidence.traffic("penguins", now - timedelta(minutes=5), now)
    around = Surroundings(settings)
    assert around.registration("Microsoft.Web") == "Registered"
    assert len(around.subscriptions("storage")) == 2
    assert around.traffic_logs("penguins") == [settings.logs_workspace_id]
    assert around.quota("Standard_DS3_v2") is not None
    assert around.functions() == set()  # no host runs here
    assert around.scaled(settings.autoscale_group, "penguins") == {}
    assert around.roles(around.principals()["app"])
    azure.control.put("/local/network", json={"private": True}).raise_for_status()
    network = Network(settings)
    assert network.is_private() and len(network.targets()) == 6 and network.links()
    assert network.way() is not None and network.managed_network().rules
    (topic,) = around.system_topics("storage")
    assert network.deliveries(topic["id"], now - timedelta(minutes=5), now)[0] == 0
    azure.control.put("/local/network", json={}).raise_for_status()

    assert _asked(roles, "publisher") == _declared("publisher")


CALLS: dict[str, tuple[str, Callable[[Ports], object]]] = {
    "Topic.publish": ("EventGrid Data Sender", lambda ports: ports.topic.publish("l", [_entry(ports)])),
    "Evidence.traffic": (
        "Log Analytics Reader",
        lambda ports: ports.evidence.traffic("e", ports.clock.now() - timedelta(hours=1), ports.clock.now()),
    ),
    "Serving.ensure_endpoint": ("AzureML Data Scientist", lambda ports: ports.serving.ensure_endpoint("e")),
    "Training.ensure_job": (
        "AzureML Data Scientist",
        lambda ports: ports.training.ensure_job(JobSpec("j", "e", "azureml:c:1", "azureml:d:1")),
    ),
    "Versions.register": (
        "AzureML Data Scientist",
        lambda ports: ports.versions.register("d", "1", "d/1", {}, ""),
    ),
}


def _entry(ports: Ports) -> LedgerEntry:
    return LedgerEntry(1, ports.clock.now(), "me", "inbox", "loop.published", "l", "", "", {}, "", "")


@pytest.mark.parametrize("call", CALLS)
def test_a_call_without_its_role_says_which_role_is_missing(
    call: str, app: Ports, roles: httpx.Client
) -> None:
    role, attempt = CALLS[call]
    (row,) = [row for row in TABLE["grants"] if row["who"] == "app" and row["role"] == role]
    assert call in row["for"]
    roles.put("/local/roles", json={"without": [["app", role, row["scope"]]]}).raise_for_status()

    with pytest.raises(ConfigurationError, match=f"the role\\s'{role}'"):
        attempt(app)


def test_without_a_storage_role_there_is_no_token_for_storage(app: Ports, roles: httpx.Client) -> None:
    rows = [row for row in TABLE["grants"] if row["who"] == "app" and row["role"].startswith("Storage ")]
    without = [["app", row["role"], row["scope"]] for row in rows]
    roles.put("/local/roles", json={"without": without}).raise_for_status()

    with pytest.raises(DependencyUnavailable, match="no token could be had"):
        app.store.overviews()


def test_every_declared_action_is_refused_without_it() -> None:
    for who in ("app", "publisher"):
        for action, scope in sorted(_declared(who)):
            roles = Roles()
            roles.demand(who, action, scope)
            roles.change(denied=[action])
            with pytest.raises(Forbidden, match="does not have authorization to perform action"):
                roles.demand(who, action, scope)


def test_nobody_may_what_no_row_gives() -> None:
    roles = Roles()
    workspace = "Microsoft.MachineLearningServices/workspaces"
    assert not roles.allows("app", f"{workspace}/write", "workspace"), "notActions count"
    assert not roles.allows("app", f"{workspace}/jobs/write", "logs"), "a role counts on its scope only"
    assert not roles.allows("compute", f"{workspace}/models/versions/write", "workspace")
    assert not roles.allows("publisher", "Microsoft.EventGrid/events/send/action", "topic")
    roles.change([Grant("app", "AzureML Data Scientist", "workspace")])
    assert not roles.allows("app", f"{workspace}/jobs/read", "workspace")


def test_the_app_gets_a_token_by_the_client_id_of_its_identity_alone(
    azure: LocalAzure, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As App Service answers an app with user-assigned identities only ("Unable to load the proper Managed Identity",
    App Service's documentation of the identity endpoint); azure-identity takes the id from AZURE_CLIENT_ID."""
    for name, value in azure.environment("app").items():
        monkeypatch.setenv(name, value)
    assert credential().get_token("https://storage.azure.com/.default").token

    monkeypatch.delenv("AZURE_CLIENT_ID")
    with pytest.raises(ClientAuthenticationError, match="managed identity configuration not found"):
        credential().get_token("https://storage.azure.com/.default")


def test_a_token_is_given_only_to_who_is_known(azure: LocalAzure) -> None:
    settings = azure.settings
    for header in ("", "guessed", settings.header_of("stranger")):
        answer = httpx.get(
            f"{settings.arm}/msi/token?resource={settings.arm}",
            headers={"X-IDENTITY-HEADER": header},
            verify=ssl.create_default_context(cafile=str(settings.bundle)),
            trust_env=False,
        )
        assert answer.status_code == 401
