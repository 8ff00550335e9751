"""A private deployment reaches everything through its network, and a public one has none of it."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
import yaml

from tests.infra.compiler import INFRA, ROOT, SUBSCRIPTION, RefusedDeployment, Snapshots
from tests.infra.templates import variables
from tests.infra.test_snapshots import ASKED, CASES, Snapshot

Made = Callable[[str], Snapshot]
NEW = "a private network"
THEIRS = "a private network that exists"
FURTHER = "a private network, closed further"
SELECTED = "a private network where Event Grid is shut out"
WITH_WORKSPACE = "a private network and an existing workspace"
PRIVATE = [case for case, given in CASES.items() if given.get("DRIFTLOOP_NETWORK") == "private"]
PUBLIC = [case for case in CASES if case not in PRIVATE]

ACCOUNTS, VAULTS = "Microsoft.Storage/storageAccounts", "Microsoft.KeyVault/vaults"
REGISTRIES, SITES = "Microsoft.ContainerRegistry/registries", "Microsoft.Web/sites"
TOPICS, ML = "Microsoft.EventGrid/topics", "Microsoft.MachineLearningServices/workspaces"
ENDPOINTS, ZONES = "Microsoft.Network/privateEndpoints", "Microsoft.Network/privateDnsZones"
CORE = "core.windows.net"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, snapshots: Snapshots) -> Made:
    known: dict[str, Snapshot] = {}

    def make(case: str) -> Snapshot:
        if case not in known:
            known[case] = Snapshot(snapshots.of(ASKED | CASES[case], tmp_path_factory.mktemp("case")))
        return known[case]

    return make


def test_the_cases_are_those_of_this_file() -> None:
    assert PRIVATE == [NEW, THEIRS, FURTHER, SELECTED, WITH_WORKSPACE]


# The public default


OPEN: dict[str, dict[str, Any]] = {
    ACCOUNTS: {
        "publicNetworkAccess": "Enabled",
        "networkAcls": {"defaultAction": "Allow", "bypass": "AzureServices"},
    },
    TOPICS: {"publicNetworkAccess": "Enabled"},
    SITES: {
        "publicNetworkAccess": "Enabled",
        "virtualNetworkSubnetId": None,
        "siteConfig": {"minTlsVersion": "1.2", "ftpsState": "Disabled", "http20Enabled": True},
    },
    VAULTS: {"publicNetworkAccess": None, "networkAcls": None},
    REGISTRIES: {"publicNetworkAccess": None, "networkRuleBypassOptions": None},
    ML: {"publicNetworkAccess": "Enabled", "managedNetwork": None, "imageBuildCompute": None},
}


@pytest.mark.parametrize("case", PUBLIC)
def test_nothing_of_a_network_is_in_a_public_deployment(case: str, made: Made) -> None:
    snapshot = made(case)
    assert not [one["id"] for one in snapshot.found if one["type"].startswith("Microsoft.Network/")]
    assert not snapshot.of(f"{ML}/outboundRules")
    for kind, wanted in OPEN.items():
        for one in snapshot.of(kind):
            assert {key: one["properties"].get(key) for key in wanted} == wanted, one["id"]
    assert {one["sku"]["name"] for one in snapshot.of(REGISTRIES)} <= {"Basic"}
    for cluster in snapshot.of(f"{ML}/computes"):
        assert "enableNodePublicIp" not in cluster["properties"]["properties"]
    assert "'DRIFTLOOP_ENDPOINT_ACCESS', 'enabled'" in _settings(snapshot)


def _settings(snapshot: Snapshot) -> str:
    (found,) = [one for one in snapshot.of(f"{SITES}/config") if one["name"].endswith("/appsettings")]
    return str(found["properties"])


CHOSEN = (
    "network",
    "networkAddresses",
    "existingAppSubnetId",
    "existingEndpointSubnetId",
    "existingZonesGroupId",
    "storageAccess",
    "appAccess",
    "trainingOutbound",
)


def test_the_workflow_keeps_a_private_deployment_private() -> None:
    """Each parameter has the public default, so that one which is not passed on would open what was closed."""
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "deploy.yml").read_text())
    given = workflow["jobs"]["deploy"]["env"]
    names = {name for name, parameter in variables().items() if parameter in CHOSEN}
    assert len(names) == len(CHOSEN)
    assert {name: given.get(name) for name in names} == {name: f"${{{{ vars.{name} }}}}" for name in names}


# Links


LINKS = {
    (ACCOUNTS, "st", "blob", (f"privatelink.blob.{CORE}",)),
    (ACCOUNTS, "st", "queue", (f"privatelink.queue.{CORE}",)),
    (ACCOUNTS, "st", "table", (f"privatelink.table.{CORE}",)),
    (TOPICS, "evgt-", "topic", ("privatelink.eventgrid.azure.net",)),
    (SITES, "func-", "sites", ("privatelink.azurewebsites.net",)),
}
"""Of what is Driftloop's in every private deployment: what, its name, which part of it, the zones that name it.
Source of the zones: learn.microsoft.com/azure/private-link/private-endpoint-dns."""
WORKSPACE_LINKS = {
    (ACCOUNTS, "stml", "blob", (f"privatelink.blob.{CORE}",)),
    (ACCOUNTS, "stml", "file", (f"privatelink.file.{CORE}",)),
    (VAULTS, "kv-", "vault", ("privatelink.vaultcore.azure.net",)),
    (REGISTRIES, "cr", "registry", ("privatelink.azurecr.io",)),
    (ML, "mlw-", "amlworkspace", ("privatelink.api.azureml.ms", "privatelink.notebooks.azure.net")),
}
"""Of a new workspace; the endpoints of one that exists are its owner's."""


def _links(snapshot: Snapshot) -> list[tuple[str, str, str, tuple[str, ...]]]:
    records = {one["name"].partition("/")[0]: one for one in snapshot.of(f"{ENDPOINTS}/privateDnsZoneGroups")}
    found = []
    for endpoint in snapshot.of(ENDPOINTS):
        (connection,) = endpoint["properties"]["privateLinkServiceConnections"]
        target, (group,) = (
            connection["properties"]["privateLinkServiceId"],
            connection["properties"]["groupIds"],
        )
        kind, name = target.split("/providers/")[1].rsplit("/", 1)
        configurations = records[endpoint["name"]]["properties"]["privateDnsZoneConfigs"]
        zones = tuple(one["properties"]["privateDnsZoneId"].rpartition("/")[2] for one in configurations)
        found.append((kind, re.sub(r"\w{13}$", "", name), group, zones))
    return found


@pytest.mark.parametrize("case", PRIVATE)
def test_every_link_is_made_once_with_its_names(case: str, made: Made) -> None:
    wanted = LINKS if case == WITH_WORKSPACE else LINKS | WORKSPACE_LINKS
    found = _links(made(case))
    assert len(found) == len(set(found))
    assert set(found) == wanted


@pytest.mark.parametrize("case", PRIVATE)
def test_every_link_leads_to_something_of_this_deployment(case: str, made: Made) -> None:
    ids = {one["id"] for one in made(case).found}
    for endpoint in made(case).of(ENDPOINTS):
        (connection,) = endpoint["properties"]["privateLinkServiceConnections"]
        assert connection["properties"]["privateLinkServiceId"] in ids


def test_each_zone_is_made_and_asked_in_the_network(made: Made) -> None:
    snapshot = made(NEW)
    network = snapshot.one("Microsoft.Network/virtualNetworks")
    used = {zone for *_, zones in _links(snapshot) for zone in zones}
    assert {one["name"] for one in snapshot.of(ZONES)} == used
    links = snapshot.of(f"{ZONES}/virtualNetworkLinks")
    assert {one["name"].split("/")[0] for one in links} == used
    for one in links:
        assert one["properties"] == {"registrationEnabled": False, "virtualNetwork": {"id": network["id"]}}


def test_the_app_goes_out_through_a_subnet_of_its_own(made: Made) -> None:
    """Delegated to Microsoft.App/environments, at least a /27, no underscore, nothing else in it
    (learn.microsoft.com/azure/azure-functions/functions-networking-options)."""
    snapshot = made(NEW)
    network = snapshot.one("Microsoft.Network/virtualNetworks")
    app, endpoints = network["properties"]["subnets"]
    (delegation,) = app["properties"]["delegations"]
    assert delegation["properties"]["serviceName"] == "Microsoft.App/environments"
    assert app["properties"]["addressPrefix"] == "10.77.0.0/26"
    assert "_" not in app["name"] and "serviceEndpoints" not in app["properties"]
    site = snapshot.one(SITES)
    assert site["properties"]["virtualNetworkSubnetId"] == f"{network['id']}/subnets/{app['name']}"
    assert site["location"] == network["location"]
    within = {one["properties"]["subnet"]["id"] for one in snapshot.of(ENDPOINTS)}
    assert within == {f"{network['id']}/subnets/{endpoints['name']}"}


def test_a_network_that_exists_gets_endpoints_alone(made: Made) -> None:
    given, snapshot = CASES[THEIRS], made(THEIRS)
    kinds = {one["type"] for one in snapshot.found if one["type"].startswith("Microsoft.Network/")}
    assert kinds == {ENDPOINTS, f"{ENDPOINTS}/privateDnsZoneGroups"}
    site = snapshot.one(SITES)["properties"]
    assert site["virtualNetworkSubnetId"] == given["DRIFTLOOP_EXISTING_APP_SUBNET"]
    within = {one["properties"]["subnet"]["id"] for one in snapshot.of(ENDPOINTS)}
    assert within == {given["DRIFTLOOP_EXISTING_ENDPOINT_SUBNET"]}
    zones = re.findall(r'"privateDnsZoneId": "([^"]+)/providers', snapshot.text)
    assert set(zones) == {given["DRIFTLOOP_EXISTING_DNS_ZONES"]}
    assert SUBSCRIPTION in given["DRIFTLOOP_EXISTING_DNS_ZONES"]


# What is closed, and what cannot be


CLOSED: dict[str, dict[str, Any]] = {
    ACCOUNTS: {
        "publicNetworkAccess": "Disabled",
        "networkAcls": {"defaultAction": "Deny", "bypass": "AzureServices"},
    },
    TOPICS: {"publicNetworkAccess": "Disabled"},
    VAULTS: {
        "publicNetworkAccess": "Disabled",
        "networkAcls": {"defaultAction": "Deny", "bypass": "AzureServices"},
    },
    REGISTRIES: {"publicNetworkAccess": "Disabled", "networkRuleBypassOptions": "AzureServices"},
    ML: {"publicNetworkAccess": "Disabled"},
}


def _opened(snapshot: Snapshot) -> set[tuple[str, str]]:
    """(type and beginning of the name, property) of what differs from CLOSED."""
    return {
        (re.sub(r"\w{13}$", "", one["id"].split("/providers/")[-1]), key)
        for kind, wanted in CLOSED.items()
        for one in snapshot.of(kind)
        for key in wanted
        if one["properties"].get(key) != wanted[key]
    }


@pytest.mark.parametrize("case", PRIVATE)
def test_everything_is_closed_but_what_is_named(case: str, made: Made) -> None:
    ours = (f"{ACCOUNTS}/st", "publicNetworkAccess")
    assert _opened(made(case)) == ({ours} if case == SELECTED else set())
    assert {one["sku"]["name"] for one in made(case).of(REGISTRIES)} <= {"Premium"}, (
        "private endpoints want it"
    )


def test_what_is_left_open_would_be_seen(made: Made) -> None:
    assert {kind.partition("/")[0] for kind, _ in _opened(made("a new workspace"))} == {
        kind.partition("/")[0] for kind in CLOSED
    }


@pytest.mark.parametrize("case", PRIVATE)
def test_event_grid_comes_in_as_a_trusted_service_under_its_own_identity(case: str, made: Made) -> None:
    """It never delivers over a private endpoint (learn.microsoft.com/azure/event-grid/consume-private-endpoints); with
    the firewall on, the system-assigned identity alone works (MicrosoftDocs/azure-docs#105746). Queue and dead letters
    are in one account, so that both are open to it (#84665)."""
    snapshot = made(case)
    (account,) = [one for one in snapshot.of(ACCOUNTS) if re.fullmatch(r"st(?!ml\w{13}$)\w{13}", one["name"])]
    assert account["properties"]["networkAcls"]["bypass"] == "AzureServices"
    for one in snapshot.of("Microsoft.EventGrid/systemTopics/eventSubscriptions"):
        for way, place in (
            ("deliveryWithResourceIdentity", "destination"),
            ("deadLetterWithResourceIdentity", "deadLetterDestination"),
        ):
            found = one["properties"][way]
            assert found["identity"] == {"type": "SystemAssigned"}
            assert found[place]["properties"]["resourceId"] == account["id"]


def test_alerts_alone_reach_the_public_address_of_the_app(made: Made) -> None:
    """A webhook of an action group must be publicly reachable; the service tag ActionGroup names where it comes from
    (learn.microsoft.com/azure/azure-monitor/alerts/action-groups)."""
    site = made(NEW).one(SITES)["properties"]
    (rule,) = site["siteConfig"]["ipSecurityRestrictions"]
    assert site["publicNetworkAccess"] == "Enabled"
    assert (rule["action"], rule["tag"], rule["ipAddress"]) == ("Allow", "ServiceTag", "ActionGroup")
    assert site["siteConfig"]["ipSecurityRestrictionsDefaultAction"] == "Deny"
    assert site["siteConfig"]["scmIpSecurityRestrictionsDefaultAction"] == "Deny"
    assert site["siteConfig"]["scmIpSecurityRestrictionsUseMain"] is False
    assert made(NEW).one("Microsoft.Insights/actionGroups")


def test_an_app_that_is_closed_to_alerts_has_no_action_group(made: Made) -> None:
    snapshot = made(FURTHER)
    site = snapshot.one(SITES)["properties"]
    assert (site["publicNetworkAccess"], site["siteConfig"]["ipSecurityRestrictions"]) == ("Disabled", [])
    assert not snapshot.of("Microsoft.Insights/actionGroups")
    (rule,) = snapshot.of("Microsoft.Insights/scheduledQueryRules")
    assert rule["properties"]["actions"] == {"actionGroups": []}


# Azure ML's managed network


def test_the_workspace_has_a_managed_network_that_reaches_the_data(made: Made) -> None:
    """Made at once: deployments do not start it (learn.microsoft.com/azure/machine-learning/how-to-managed-network)."""
    snapshot = made(NEW)
    workspace = snapshot.one(ML)["properties"]
    assert workspace["managedNetwork"] == {"isolationMode": "AllowInternetOutbound"}
    assert workspace["provisionNetworkNow"] is True
    (account,) = [one["id"] for one in snapshot.of(ACCOUNTS) if not one["name"].startswith("stml")]
    rule = snapshot.one(f"{ML}/outboundRules")
    assert rule["properties"]["destination"] == {
        "serviceResourceId": account,
        "subresourceTarget": "blob",
        "sparkEnabled": False,
    }


def test_images_are_built_on_the_cluster_as_a_registry_in_a_network_cannot(made: Made) -> None:
    snapshot = made(NEW)
    cluster = snapshot.one(f"{ML}/computes")
    assert cluster["name"].endswith("/" + snapshot.one(ML)["properties"]["imageBuildCompute"])
    assert cluster["properties"]["properties"]["enableNodePublicIp"] is False


def test_approved_outbound_is_package_indexes_through_the_cheaper_firewall(made: Made) -> None:
    snapshot = made(FURTHER)
    network = snapshot.one(ML)["properties"]["managedNetwork"]
    assert network == {"isolationMode": "AllowOnlyApprovedOutbound", "firewallSku": "Basic"}
    rules = [one["properties"] for one in snapshot.of(f"{ML}/outboundRules")]
    hosts = {one["destination"] for one in rules if one["type"] == "FQDN"}
    assert hosts == {"pypi.org", "*.pythonhosted.org", "anaconda.com", "*.anaconda.com", "*.anaconda.org"}
    assert not any(CORE in host for host in hosts), "storage is reached by endpoints, never by name"


def test_the_network_of_a_workspace_that_exists_gets_one_rule(made: Made) -> None:
    rule = made(WITH_WORKSPACE).one(f"{ML}/outboundRules")
    assert rule["name"].endswith("/driftloop-versions")
    assert "/resourceGroups/team-ml/" in rule["id"]


@pytest.mark.parametrize("case", PRIVATE)
def test_endpoints_of_releases_are_closed_with_the_workspace(case: str, made: Made) -> None:
    assert "'DRIFTLOOP_ENDPOINT_ACCESS', 'disabled'" in _settings(made(case))


# Order, refusals


def test_each_thing_comes_after_what_it_needs() -> None:
    """Endpoints and names before the app, whose package and state lie behind them; the workspace's role before the rule
    that it approves, the rule before the cluster (pulumi-azure-native#3212)."""
    text = (INFRA / "main.bicep").read_text()

    def after(module: str) -> set[str]:
        (body,) = re.findall(rf"^module {module} .*?^\}}", text, re.DOTALL | re.MULTILINE)
        return set(re.findall(r"\w+", re.findall(r"dependsOn: \[(.*?)\]", body, re.DOTALL)[-1]))

    assert {"storageEndpoints", "workspaceEndpoints"} <= after("app")
    for endpoints in ("storageEndpoints", "workspaceEndpoints", "appEndpoint"):
        assert {"privateNetwork", "dnsZones"} <= after(endpoints)
    assert "storageEndpoints" in after("workspace")
    assert {"rolesOnAccount", "workspace"} <= after("outboundRules")
    assert "outboundRules" in after("training")


REFUSED = {
    "one subnet without the other": (
        {"DRIFTLOOP_EXISTING_APP_SUBNET": CASES[THEIRS]["DRIFTLOOP_EXISTING_APP_SUBNET"]},
        "or neither",
    ),
    "addresses of Docker's": ({"DRIFTLOOP_NETWORK_ADDRESSES": "172.17.3.0/24"}, "which Docker uses"),
    "nothing to build images on": ({"DRIFTLOOP_TRAINING_MAX_NODES": "0"}, "the cluster builds the images"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_work_is_refused(case: str, tmp_path: Any, snapshots: Snapshots) -> None:
    changed, words = REFUSED[case]
    with pytest.raises(RefusedDeployment, match=words):
        snapshots.of(ASKED | CASES[NEW] | changed, tmp_path)
