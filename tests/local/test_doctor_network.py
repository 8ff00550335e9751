"""`driftloop doctor` sees each link of a private network, one broken at a time."""

from __future__ import annotations

import os
import ssl
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from azure.ai.ml.entities import ManagedOnlineEndpoint
from azure.identity import DefaultAzureCredential

from cli import doctor_network, doctor_platform
from cli.diagnosis import Finding
from local.arm.group import GROUP
from local.azure import LocalAzure
from shared.azure.client import Workspace, credential
from shared.checkup.network_checkup import Network
from shared.checkup.platform_checkup import Surroundings
from shared.domain.loop import Overview
from shared.errors import ConfigurationError
from shared.ports import Ports
from shared.settings import Settings
from shared.wiring import azure_ports
from tests.contract.stage import eventually

NAME = "walled"
OUTSIDE = "8.8.8.8"
"""An address of the internet; as a name of a host it is itself, so that nothing is asked for it."""


@pytest.fixture(scope="module")
def azure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalAzure]:
    with LocalAzure(tmp_path_factory.mktemp("network")) as azure:
        yield azure


@pytest.fixture(autouse=True)
def settings(azure: LocalAzure, monkeypatch: pytest.MonkeyPatch) -> Iterator[Settings]:
    for name, value in azure.environment().items():
        monkeypatch.setenv(name, value)
    yield Settings.from_environment(os.environ)
    azure.control.put("/local/network", json={}).raise_for_status()


def _change(azure: LocalAzure, **body: Any) -> None:
    azure.control.put("/local/network", json={"private": True} | body).raise_for_status()


def _looked(settings: Settings, *endpoints: str) -> dict[str, Finding]:
    overviews = [_overview(name) for name in endpoints]
    found = doctor_network.examined(settings, Surroundings(settings), overviews, "ask a Reader")
    return {one.check: one for one in found}


def _overview(endpoint: str) -> Overview:
    return Overview(loop=endpoint, landing="landing/x/", endpoint=endpoint)


def _ill(found: dict[str, Finding]) -> set[str]:
    return {check for check, finding in found.items() if finding.state != "ok"}


def test_a_public_deployment_is_not_asked_for_a_network(settings: Settings) -> None:
    found = _looked(settings)
    assert set(found) == {"deliveries", "network"}
    assert found["network"] == Finding("network", "ok", "public: every address wants a token")


def test_a_whole_private_network_has_no_finding(settings: Settings, azure: LocalAzure) -> None:
    _change(azure)
    found = _looked(settings)
    assert _ill(found) == set()
    whole = {
        "account devstoreaccount1",
        "topic driftloop",
        "workspace driftloop",
        "vault local",
        "registry local",
    }
    for what in whole:
        assert {f"link to {what}", f"public access of {what}", f"names of {what}"} <= set(found)
    assert {
        "link to app func-local",
        "outbound of the app",
        "public access of the app",
        "managed network",
    } <= set(found)
    assert (
        found["link to account devstoreaccount1"].what
        == "private endpoints lead to its blob, queue, table, file"
    )
    assert found["public access of the app"].what == "open to alerts of Azure Monitor alone"
    assert found["outbound of the app"].what == "it goes through vnet-local/app"


ACCOUNT = "account devstoreaccount1"
RULE = "driftloop-versions"
OPEN = {
    "publicNetworkAccess": "Enabled",
    "networkAcls": {"defaultAction": "Allow", "bypass": "AzureServices"},
}
ALERTS = {"action": "Allow", "tag": "ServiceTag", "ipAddress": "ActionGroup"}
BROKEN: dict[str, tuple[dict[str, Any], str, str, str]] = {
    "no endpoint": ({"without": ["pe-queue-local"]}, f"link to {ACCOUNT}", "broken", "leads to its queue"),
    "one that waits": (
        {"changed": {"pe-vault-local": {"status": "Pending", "description": "please"}}},
        "link to vault local",
        "broken",
        "pe-vault-local is Pending: please",
    ),
    "one that was rejected": (
        {"changed": {"pe-topic-local": {"status": "Rejected"}}},
        "link to topic driftloop",
        "broken",
        "is Rejected",
    ),
    "an open account": (
        {"changed": {"account": OPEN}},
        f"public access of {ACCOUNT}",
        "broken",
        "every network",
    ),
    "an open registry": (
        {"changed": {"registry": {"publicNetworkAccess": "Enabled"}}},
        "public access of registry local",
        "broken",
        "every network",
    ),
    "Event Grid shut out": (
        {"changed": {"account": {"networkAcls": {"defaultAction": "Deny", "bypass": "None"}}}},
        f"public access of {ACCOUNT}",
        "broken",
        "shuts trusted services out: Event Grid",
    ),
    "an app without a network": (
        {"changed": {"site": {"virtualNetworkSubnetId": None}}},
        "outbound of the app",
        "broken",
        "in no network",
    ),
    "another delegation": (
        {
            "changed": {
                "subnet": {"delegations": [{"properties": {"serviceName": "Microsoft.Web/serverFarms"}}]}
            }
        },
        "outbound of the app",
        "broken",
        "delegated to Microsoft.Web/serverFarms",
    ),
    "an app for everybody": (
        {"changed": {"web": {"ipSecurityRestrictionsDefaultAction": "Allow"}}},
        "public access of the app",
        "broken",
        "admits every network",
    ),
    "an app for somebody else": (
        {
            "changed": {
                "web": {"ipSecurityRestrictions": [ALERTS, {"action": "Allow", "ipAddress": "1.2.3.4/32"}]}
            }
        },
        "public access of the app",
        "broken",
        "admits 1.2.3.4/32",
    ),
    "no managed network": (
        {"changed": {"workspace": {"managedNetwork": None}}},
        "managed network",
        "broken",
        "the workspace has none",
    ),
    "one that was never made": (
        {"changed": {"workspace": {"managedNetwork": {"isolationMode": "AllowInternetOutbound"}}}},
        "managed network",
        "warning",
        "not provisioned",
    ),
    "no rule": ({"without": [RULE]}, "managed network", "broken", f"no rule {RULE}"),
    "a rule that is not approved": (
        {"changed": {RULE: {"status": "Inactive"}}},
        "managed network",
        "broken",
        f"{RULE} are not active",
    ),
    "a name that leads outside": (
        {"changed": {"site": {"defaultHostName": OUTSIDE}}},
        "names of app func-local",
        "warning",
        f"{OUTSIDE} is {OUTSIDE}",
    ),
    "a name that leads nowhere": (
        {"changed": {"vault": {"vaultUri": "https://nowhere.invalid/"}}},
        "names of vault local",
        "warning",
        "does not find nowhere.invalid",
    ),
}


@pytest.mark.parametrize("case", BROKEN)
def test_each_broken_link_is_one_finding(case: str, settings: Settings, azure: LocalAzure) -> None:
    body, check, state, words = BROKEN[case]
    _change(azure, **body)
    found = _looked(settings)

    assert _ill(found) == {check}
    assert found[check].state == state
    assert words in found[check].what
    assert found[check].fix


def test_selected_networks_with_nobody_selected_are_closed(settings: Settings, azure: LocalAzure) -> None:
    """The fallback for Event Grid (azure-docs, storage-network-security-limitations.md)."""
    _change(azure, changed={"account": {"publicNetworkAccess": "Enabled"}})
    found = _looked(settings)
    assert _ill(found) == set()
    assert found[f"public access of {ACCOUNT}"].what == "closed to everybody but selected networks"


def test_an_app_without_a_public_address_gets_no_alerts(settings: Settings, azure: LocalAzure) -> None:
    _change(azure, changed={"site": {"publicNetworkAccess": "Disabled"}})
    found = _looked(settings)
    assert _ill(found) == set()
    assert found["public access of the app"].what == "closed: no alert of Azure Monitor arrives"


def test_the_providers_of_a_network_are_asked_for_in_one_alone(settings: Settings, azure: LocalAzure) -> None:
    azure.control.put("/local/providers", json={"unregistered": ["Microsoft.App"]}).raise_for_status()
    try:
        public = _looked(settings)
        _change(azure)
        private = _looked(settings)
    finally:
        azure.control.put("/local/providers", json={}).raise_for_status()
    assert (_ill(public), _ill(private)) == (set(), {"network"})
    assert private["network"].fix == "az provider register --namespace Microsoft.App"


def test_who_may_not_look_is_told_so(settings: Settings, azure: LocalAzure) -> None:
    azure.control.put(
        "/local/roles", json={"without": [["publisher", "Reader", "subscription"]]}
    ).raise_for_status()
    try:
        found = _looked(settings)
    finally:
        azure.control.put("/local/roles", json={}).raise_for_status()
    assert {one.state for one in found.values()} == {"warning"}
    assert {one.fix for one in found.values()} == {"ask a Reader"}


def test_the_roles_of_a_private_network_are_no_surplus_in_one(settings: Settings, azure: LocalAzure) -> None:
    """infra/identities.yaml, `private`: the workspace's own."""
    row = ["workspace", "Azure AI Enterprise Network Connection Approver", "account"]
    azure.control.put("/local/roles", json={"also": [row]}).raise_for_status()
    try:
        public = _workspace(settings)
        _change(azure)
        private = _workspace(settings)
    finally:
        azure.control.put("/local/roles", json={}).raise_for_status()
    assert (public.state, "which no call needs" in public.what) == ("warning", True)
    assert "'Reader' on workspace-blob" in private.what and "Approver" not in private.what


def _workspace(settings: Settings) -> Finding:
    found = doctor_platform._identities(Surroundings(settings), settings, [])
    return next(one for one in found if one.check == "identity workspace")


# Endpoints


def test_a_misspelt_access_of_endpoints_is_refused(azure: LocalAzure) -> None:
    given = azure.environment() | {"DRIFTLOOP_ENDPOINT_ACCESS": "Private"}
    with pytest.raises(
        ConfigurationError, match=r"DRIFTLOOP_ENDPOINT_ACCESS is 'Private'.* enabled or disabled"
    ):
        Settings.from_environment(given)


@pytest.fixture(scope="module")
def endpoint(azure: LocalAzure) -> Iterator[str]:
    """Made as a release makes it, by an app of a private deployment."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in (azure.environment() | {"DRIFTLOOP_ENDPOINT_ACCESS": "disabled"}).items():
            patch.setenv(name, value)
        ports: Ports = azure_ports(Settings.from_environment(os.environ))
        eventually(lambda: ports.serving.ensure_endpoint(NAME), lambda seen: seen.state == "ready")
    yield NAME


def test_a_release_makes_endpoints_without_a_public_address(
    settings: Settings, azure: LocalAzure, endpoint: str
) -> None:
    found = Network(settings).endpoint(endpoint)
    assert found is not None and found.access == "Disabled"
    _change(azure)
    assert _looked(settings, endpoint)[f"public access of endpoint {endpoint}"].what == "closed"


def test_an_endpoint_of_before_the_network_is_found(settings: Settings, azure: LocalAzure) -> None:
    before = azure_ports(settings).serving
    eventually(lambda: before.ensure_endpoint("older"), lambda seen: seen.state == "ready")
    _change(azure)
    found = _looked(settings, "older", "not-made-yet")
    assert _ill(found) == {"public access of endpoint older"}
    assert "az ml online-endpoint update -n older" in found["public access of endpoint older"].fix


def test_the_local_azure_knows_two_states_of_an_address(settings: Settings, azure: LocalAzure) -> None:
    """azure-rest-api-specs, machinelearningservices, PublicNetworkAccessType."""
    ml = Workspace(settings, credential())()
    made = ManagedOnlineEndpoint(name="half", auth_mode="aad_token", public_network_access="sometimes")
    with pytest.raises(Exception, match="Enabled or Disabled"):
        ml.online_endpoints.begin_create_or_update(made)


# Deliveries


def test_events_that_do_not_get_through_are_told_before_they_are_dead(
    settings: Settings, azure: LocalAzure
) -> None:
    """A firewall shuts out the dead letters with the events; Azure Monitor counts the attempts
    (azure-monitor-docs, metrics of Microsoft.EventGrid/systemTopics)."""
    ports = azure_ports(settings)
    ports.blobs.upload("landing", "walled/well.csv", b"x")
    before = _until(settings, lambda one: not one.what.startswith("0 events"))
    assert (before.state, before.what) == (
        "ok",
        "1 events were delivered in the last hour, no attempt failed",
    )

    told = azure.control.get("/local/events/subscriptions").json()
    elsewhere = [one | {"queue": "nowhere"} for one in told["subscriptions"]]
    azure.control.put("/local/events/subscriptions", json={"subscriptions": elsewhere}).raise_for_status()
    try:
        ports.blobs.upload("landing", "walled/ill.csv", b"x")
        after = _until(settings, lambda one: one.state != "ok")
    finally:
        azure.control.put("/local/events/subscriptions", json=told).raise_for_status()
    assert after.state == "warning", "some were delivered"
    assert "failed in the last hour, 1 events were delivered" in after.what
    assert "DRIFTLOOP_STORAGE_ACCESS selected-networks" in after.fix


def _until(settings: Settings, is_so: Any) -> Finding:
    deadline = time.monotonic() + 60
    while True:
        (found,) = doctor_network._deliveries(Surroundings(settings), Network(settings))
        if is_so(found):
            return found
        assert time.monotonic() < deadline, found
        time.sleep(0.3)


TOPIC = f"{GROUP}/providers/Microsoft.EventGrid/systemTopics/evgst-blobs-local"
NOW = "2026-01-01T00:00:00Z/2026-01-01T01:00:00Z"


@pytest.mark.parametrize(
    ("query", "status", "words"),
    [
        (
            {"metricnames": "Deliveries", "timespan": NOW, "aggregation": "Total"},
            400,
            "Failed to find metric",
        ),
        (
            {"metricnames": "DeliverySuccessCount", "timespan": "PT1H", "aggregation": "Total"},
            400,
            "timespan",
        ),
        ({"metricnames": "DeliverySuccessCount", "timespan": NOW}, 501, "aggregation"),
    ],
)
def test_the_local_azure_refuses_what_monitor_does_not_know(
    query: dict[str, str], status: int, words: str, azure: LocalAzure
) -> None:
    """Source: azure-monitor-docs, reference of the REST API, Metrics - List."""
    token = DefaultAzureCredential().get_token(azure.settings.arm + "/.default").token
    url = f"{azure.settings.arm}{TOPIC}/providers/Microsoft.Insights/metrics"
    answer = httpx.get(
        url,
        params=query | {"api-version": "2023-10-01"},
        headers={"authorization": f"Bearer {token}"},
        verify=ssl.create_default_context(cafile=str(azure.settings.bundle)),
    )
    assert answer.status_code == status
    assert words in answer.text


@pytest.mark.parametrize(
    "body",
    [
        {"changed": {"pe-blob-local": {"status": "Maybe"}}},
        {"changed": {"pe-nothing": {}}},
        {"without": ["pe-nothing"]},
        {"privat": True},
    ],
)
def test_a_misspelt_change_of_the_network_is_refused(body: dict[str, Any], azure: LocalAzure) -> None:
    assert azure.control.put("/local/network", json=body).status_code == 400
