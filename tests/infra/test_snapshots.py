"""Microsoft's compiler finds nothing in the templates; snapshots show what each deployment of docs/deploy.md makes."""

from __future__ import annotations

import json
import re
import shutil
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.infra.compiler import INFRA, ROOT, SUBSCRIPTION, RefusedDeployment, Snapshots
from tests.infra.terraform import Applied

ASKED = {
    "AZURE_ENV_NAME": "prod",
    "AZURE_LOCATION": "westeurope",
    "AZURE_PRINCIPAL_ID": "33333333-3333-3333-3333-333333333333",
    "DRIFTLOOP_AUTH_CLIENT_ID": "11111111-1111-1111-1111-111111111111",
    "DRIFTLOOP_AUTH_OBJECT_ID": "22222222-2222-2222-2222-222222222222",
}
"""What azd and infra/register-app.sh set in every environment."""

OURS = "rg-prod"
TABLE: dict[str, Any] = yaml.safe_load((INFRA / "identities.yaml").read_text())
ROLES: dict[str, Any] = yaml.safe_load((INFRA / "roles.yaml").read_text())


def _cases() -> dict[str, dict[str, str]]:
    """The table "What can be deployed" of docs/deploy.md: by name, what is set."""
    text = (ROOT / "docs" / "deploy.md").read_text()
    (table,) = re.findall(r"\n\| deployment \| .*?\n\n", text, re.DOTALL)
    rows = re.findall(r"^\| \*\*(.+?)\*\* \|(.*)\|$", table, re.MULTILINE)
    values = {"<subscription>": SUBSCRIPTION}
    return {name: dict(re.findall(r"`(\w+)=([^`]*)`", _filled(cells, values))) for name, cells in rows}


def _filled(text: str, values: Mapping[str, str]) -> str:
    for name, value in values.items():
        text = text.replace(name, value)
    return text


CASES = _cases()


class Snapshot:
    def __init__(self, text: str) -> None:
        self.text = text
        told = json.loads(text)
        self.found: list[dict[str, Any]] = told["predictedResources"]
        self.outputs: dict[str, Any] = told["outputs"]

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [one for one in self.found if one["type"] == kind]

    def one(self, kind: str) -> dict[str, Any]:
        (found,) = self.of(kind)
        return found


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, snapshots: Snapshots) -> Callable[[str], Snapshot]:
    """The snapshot of a case, made once."""
    known: dict[str, Snapshot] = {}

    def make(case: str) -> Snapshot:
        if case not in known:
            known[case] = Snapshot(snapshots.of(ASKED | CASES[case], tmp_path_factory.mktemp("case")))
        return known[case]

    return make


Made = Callable[[str], Snapshot]


def test_build_and_lint_print_nothing(snapshots: Snapshots) -> None:
    """With use-recent-api-versions and what-if-short-circuiting switched on by infra/bicepconfig.json."""
    rules = json.loads((INFRA / "bicepconfig.json").read_text())["analyzers"]["core"]["rules"]
    assert {"use-recent-api-versions", "what-if-short-circuiting"} <= set(rules)
    assert snapshots.diagnostics(INFRA) == []


def _plant(infra: Path, file: str, old: str, new: str) -> None:
    content = (infra / file).read_text()
    assert content.count(old) >= 1, f"{file} no longer holds {old!r}"
    (infra / file).write_text(content.replace(old, new, 1))


PRINTED = {
    "a property that the api-version does not have": (
        "modules/workspace.bicep",
        "workspaces@2025-12-01",
        "workspaces@2024-10-01",
        "BCP037",
    ),
    "an old api-version": (
        "modules/events.bicep",
        "systemTopics@2025-02-15",
        "systemTopics@2022-06-15",
        "use-recent-api-versions",
    ),
    "a name that a preview cannot know": (
        "main.bicep",
        "    topicName: topicName\n    grants",
        "    topicName: last(split(events.outputs.topicEndpoint, '/'))\n    grants",
        "what-if-short-circuiting",
    ),
}


def test_planted_mistakes_are_printed(tmp_path: Path, snapshots: Snapshots) -> None:
    infra = Path(shutil.copytree(INFRA, tmp_path / "infra"))
    for file, old, new, _ in PRINTED.values():
        _plant(infra, file, old, new)
    printed = "\n".join(snapshots.diagnostics(infra))
    assert {mistake for mistake, (*_, code) in PRINTED.items() if code in printed} == set(PRINTED)


# Roles


def _scope_of(identifier: str, case: Mapping[str, str]) -> str:
    """The word of identities.yaml for the resource that an assignment is on; of a container or queue that is not in
    our account with the account's word before it."""
    where = identifier.split("/providers/Microsoft.Authorization/")[0]
    kind, name = where.split("/")[-2:]
    storage = case.get("DRIFTLOOP_EXISTING_WORKSPACE_STORAGE", "").rpartition("/")[2]
    if (kind, name) == ("storageAccounts", "partner"):
        return "landing-account"
    if kind == "storageAccounts":
        return "workspace-account" if name == storage or name.startswith("stml") else "account"
    if kind == "workspaces":
        return "logs" if "OperationalInsights" in where else "workspace"
    if kind == "registries" and "MachineLearningServices" in where:
        return "shared-registry"
    if kind == "privateEndpoints":
        return name.removeprefix("pe-").rpartition("-")[0]
    if kind == "resourceGroups":
        return "app-group"
    kinds = {"registries": "registry", "vaults": "vault", "components": "telemetry", "topics": "topic"}
    if "/storageAccounts/partner/" in where:
        return "landing"
    if kind in ("containers", "queues"):
        account = _scope_of(where.split("/blobServices/")[0].split("/queueServices/")[0], case)
        name = "own-landing" if (account, name) == ("account", "landing") else name
        return ("" if account == "account" else f"{account}/") + (name if kind == "containers" else "queue")
    return "endpoint-identity" if kind == "userAssignedIdentities" else kinds.get(kind, kind)


def _who(principal: str) -> str:
    if principal == ASKED["AZURE_PRINCIPAL_ID"]:
        return "publisher"
    pattern = r"/userAssignedIdentities/id-(\w+)-|/systemTopics/(?:evgst-)?([\w-]+?)(?:-\w{13})?'"
    (found,) = set(re.findall(pattern, principal))
    return found[0] or {"blobs": "blob-events", "workspace": "workspace-events"}.get(
        found[1], "landing-events"
    )


def roles_given(snapshot: Snapshot | Applied, case: Mapping[str, str]) -> Counter[tuple[str, str, str]]:
    names = {role["id"]: name for name, role in ROLES.items()}
    return Counter(
        (
            _who(one["properties"]["principalId"]),
            names[one["properties"]["roleDefinitionId"].rpartition("/")[2]],
            _scope_of(one["id"], case),
        )
        for one in snapshot.of("Microsoft.Authorization/roleAssignments")
    )


def _is_private(case: Mapping[str, str]) -> bool:
    return case.get("DRIFTLOOP_NETWORK") == "private"


def roles_wanted(case: Mapping[str, str]) -> Counter[tuple[str, str, str]]:
    """The rows of identities.yaml that this deployment gives."""
    left_out = set() if case.get("AZURE_PRINCIPAL_ID", "given") else {"publisher"}
    left_out |= {"workspace"} if case.get("DRIFTLOOP_EXISTING_WORKSPACE") else set()
    no_registry = case.get("DRIFTLOOP_EXISTING_WORKSPACE") and not case.get(
        "DRIFTLOOP_EXISTING_WORKSPACE_REGISTRY"
    )
    unscoped = {"registry"} if no_registry else set()
    unscoped |= set() if case.get("DRIFTLOOP_REGISTRY") else {"shared-registry"}
    return Counter(
        (row["who"], row["role"], row["scope"])
        for row in TABLE["grants"]
        + (TABLE["private"] if _is_private(case) else [])
        + (TABLE["landings"] if "DRIFTLOOP_LANDINGS" in case else [])
        + (TABLE["autoscale"] if case.get("DRIFTLOOP_AUTOSCALE") == "on" else [])
        if row["who"] not in left_out and row["scope"] not in unscoped
    )


@pytest.mark.parametrize("case", CASES)
def test_exactly_the_rows_of_the_table_are_given(case: str, made: Made) -> None:
    snapshot = made(case)
    assert roles_given(snapshot, CASES[case]) == roles_wanted(CASES[case])
    names = [one["id"] for one in snapshot.of("Microsoft.Authorization/roleAssignments")]
    assert len(set(names)) == len(names)
    assert not any("reference(" in name for name in names), "a preview shows no assignment without its name"


def test_a_role_beside_the_table_would_be_seen(tmp_path: Path, snapshots: Snapshots) -> None:
    infra = Path(shutil.copytree(INFRA, tmp_path / "planted"))
    _plant(infra, "modules/roles/topic.bicep", "for row in grants:", "for row in union(grants, [{ who: 'compute', scope: 'topic', key: 'k', roleId: grants[0].roleId, type: 'ServicePrincipal' }]):")  # fmt: skip  # noqa: E501
    found = Snapshot(snapshots.of(ASKED, tmp_path, infra))
    assert roles_given(found, {}) - roles_wanted({}) == Counter(
        {("compute", "EventGrid Data Sender", "topic"): 1}
    )


def test_the_app_comes_after_every_role_of_its_identity() -> None:
    """Else its first start is a storage that refuses it, which ends the host, again and again."""
    text = (INFRA / "main.bicep").read_text()
    (app,) = re.findall(r"^module app .*?^\}", text, re.DOTALL | re.MULTILINE)
    (listed,) = re.findall(r"dependsOn: \[(.*?)\]", app, re.DOTALL)
    giving = dict(
        re.findall(r"^module (rolesOn\w+) .*?grant\.scope == '?([\w-]+)'?\)", text, re.DOTALL | re.MULTILINE)
    )
    scopes = {row["scope"] for row in TABLE["grants"] if row["who"] == "app"}
    assert scopes <= {giving[name] for name in listed.split() if name in giving}


def test_the_app_runs_as_its_identity_alone(made: Made) -> None:
    site = made("a new workspace").one("Microsoft.Web/sites")
    assert site["identity"]["type"] == "UserAssigned"
    (identity,) = site["identity"]["userAssignedIdentities"]
    assert "/id-app-" in identity
    package = site["properties"]["functionAppConfig"]["deployment"]["storage"]["authentication"]
    assert package == {"type": "UserAssignedIdentity", "userAssignedIdentityResourceId": identity}


def test_nobody_but_a_person_can_lift_the_immutability_policy(made: Made) -> None:
    """No role that an identity has on our account or its group allows to write or delete the policy."""
    policy = "Microsoft.Storage/storageAccounts/blobServices/containers/immutabilityPolicies"
    for case in CASES:
        for who, role, scope in roles_given(made(case), CASES[case]):
            patterns = ROLES[role]["actions"]
            could = any(
                _allows(pattern, f"{policy}/{verb}") for pattern in patterns for verb in ("write", "delete")
            )
            assert not could or scope not in {"account", "versions", "dead-letter", "queue"}, (
                who,
                role,
                scope,
            )
        for workspace in made(case).of("Microsoft.MachineLearningServices/workspaces"):
            # A system-assigned one gets Azure AI Administrator on the group, with Microsoft.Storage/storageAccounts/*.
            assert workspace["identity"]["type"] == "UserAssigned"


def _allows(pattern: str, action: str) -> bool:
    return re.fullmatch(re.escape(pattern).replace(r"\*", ".*"), action, re.IGNORECASE) is not None


# What exists keeps what it has


@pytest.mark.parametrize("case", CASES)
def test_what_exists_is_not_written(case: str, made: Made) -> None:
    """azd deletes at `azd down` the groups that a snapshot predicts (azure-dev, resource_group_classifier.go)."""
    given, snapshot = CASES[case], made(case)
    groups = {one["name"] for one in snapshot.of("Microsoft.Resources/resourceGroups")}
    assert groups == (set() if "DRIFTLOOP_EXISTING_GROUP" in given else {OURS})
    theirs = {value.casefold() for name, value in given.items() if value.startswith("/subscriptions/")}
    assert theirs.isdisjoint(one["id"].casefold() for one in snapshot.found)


def test_an_existing_workspace_gets_only_what_is_driftloops(made: Made) -> None:
    for case, given in CASES.items():
        if "DRIFTLOOP_EXISTING_WORKSPACE" in given:
            elsewhere = [one for one in made(case).found if f"/resourceGroups/{OURS}" not in one["id"]]
            kinds = {one["type"] for one in elsewhere}
            assert kinds <= {
                "Microsoft.MachineLearningServices/workspaces/datastores",
                "Microsoft.MachineLearningServices/workspaces/computes",
                "Microsoft.MachineLearningServices/workspaces/outboundRules",
                "Microsoft.Authorization/roleAssignments",
                "Microsoft.EventGrid/systemTopics/eventSubscriptions",
                "Microsoft.Insights/diagnosticSettings",
            }
            names = {
                one["name"].rpartition("/")[2] for one in elsewhere if "roleAssignments" not in one["type"]
            }
            assert all(name.startswith("driftloop") for name in names)


def test_the_region_of_an_existing_workspace_is_used_where_azure_asks_for_it(made: Made) -> None:
    case = "an existing workspace"
    region = CASES[case]["DRIFTLOOP_EXISTING_WORKSPACE_LOCATION"]
    assert region != ASKED["AZURE_LOCATION"]
    cluster = made(case).one("Microsoft.MachineLearningServices/workspaces/computes")
    topics = {one["name"]: one["location"] for one in made(case).of("Microsoft.EventGrid/systemTopics")}
    assert cluster["location"] == region
    assert [place for name, place in topics.items() if "workspace" in name] == [region]


REFUSED = {
    "a workspace in our own group": (
        {"DRIFTLOOP_EXISTING_GROUP": "Team-ML"},
        "could lift the immutability policy",
    ),
    "a workspace that nobody has read": (
        {"DRIFTLOOP_EXISTING_WORKSPACE_STORAGE": ""},
        "Run infra/read-existing.sh",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_deployed_is_refused(case: str, tmp_path: Path, snapshots: Snapshots) -> None:
    changed, words = REFUSED[case]
    with pytest.raises(RefusedDeployment, match=words):
        snapshots.of(ASKED | CASES["an existing workspace"] | changed, tmp_path)


def test_a_landing_account_that_nobody_has_read_is_refused(tmp_path: Path, snapshots: Snapshots) -> None:
    unread = ASKED | CASES["drops in another account"] | {"DRIFTLOOP_LANDING_LOCATIONS": ""}
    with pytest.raises(RefusedDeployment, match=r"Run infra/read-existing\.sh"):
        snapshots.of(unread, tmp_path)


def test_events_of_another_account_come_by_its_one_topic(made: Made) -> None:
    """In the account's own group and region, or by the topic that it has; renames are told of as well."""
    for case, mine in (
        ("drops in another account", True),
        ("drops in an account with a system topic", False),
    ):
        snapshot = made(case)
        topics = [one for one in snapshot.of("Microsoft.EventGrid/systemTopics") if "partner" in one["name"]]
        assert [one["location"] for one in topics] == (["northeurope"] if mine else [])
        assert all("/resourceGroups/sales/" in one["id"] for one in topics)
        (subscription,) = [
            one
            for one in snapshot.of("Microsoft.EventGrid/systemTopics/eventSubscriptions")
            if "/resourceGroups/sales" in one["id"]
        ]
        asked = subscription["properties"]["filter"]
        assert asked["includedEventTypes"] == [
            f"Microsoft.Storage.{kind}" for kind in ("BlobCreated", "BlobRenamed", "DirectoryRenamed")
        ]
        assert asked["advancedFilters"][0]["values"] == ["/blobServices/default/containers/outbox/"]
        queue = subscription["properties"]["deliveryWithResourceIdentity"]["destination"]["properties"]
        assert queue["resourceId"].startswith(f"/subscriptions/{SUBSCRIPTION}/resourceGroups/{OURS}/")


# Secrets, settings, alerts

SAFE: dict[str, dict[str, object]] = {
    "Microsoft.Storage/storageAccounts": {
        "allowBlobPublicAccess": False,
        "allowSharedKeyAccess": False,
        "minimumTlsVersion": "TLS1_2",
        "supportsHttpsTrafficOnly": True,
    },
    "Microsoft.Storage/storageAccounts/blobServices/containers": {"publicAccess": "None"},
    "Microsoft.Web/sites": {"httpsOnly": True},
    "Microsoft.Web/sites/basicPublishingCredentialsPolicies": {"allow": False},
    "Microsoft.EventGrid/topics": {"disableLocalAuth": True, "minimumTlsVersionAllowed": "1.2"},
    "Microsoft.ContainerRegistry/registries": {"adminUserEnabled": False, "anonymousPullEnabled": False},
    "Microsoft.KeyVault/vaults": {"enableRbacAuthorization": True, "enablePurgeProtection": True},
    "Microsoft.Insights/components": {"DisableLocalAuth": True},
    "Microsoft.MachineLearningServices/workspaces": {"systemDatastoresAuthMode": "identity"},
    "Microsoft.MachineLearningServices/workspaces/computes": {"disableLocalAuth": True},
}
KEYS = re.compile(r"(?i)listKeys|listAccountSas|AccountKey|SharedAccessKey|primaryKey|InstrumentationKey")


def _unsafe(snapshot: Snapshot) -> list[str]:
    found = [f"gives a key: {word}" for word in KEYS.findall(snapshot.text)]
    for kind, wanted in SAFE.items():
        for one in snapshot.of(kind):
            has = one["properties"]
            found += [
                f"{one['name']}: {key} is {has.get(key)}" for key in wanted if has.get(key) != wanted[key]
            ]
    return found


@pytest.mark.parametrize("case", CASES)
def test_nothing_is_open_and_no_key_works(case: str, made: Made) -> None:
    assert _unsafe(made(case)) == []


UNSAFE = {
    "account keys": ("modules/storage.bicep", "allowSharedKeyAccess: false", "allowSharedKeyAccess: true"),
    "a public container": ("modules/storage.bicep", "publicAccess: 'None'", "publicAccess: 'Blob'"),
    "an open registry": ("modules/dependencies.bicep", "adminUserEnabled: false", "adminUserEnabled: true"),
    "a key in a setting": (
        "modules/app.bicep",
        "AZURE_CLIENT_ID: identity.properties.clientId",
        "AZURE_CLIENT_ID: listKeys(resourceId('Microsoft.Storage/storageAccounts', name), '2025-06-01').keys[0].value",
    ),
}


def test_each_planted_hole_is_seen(tmp_path: Path, snapshots: Snapshots) -> None:
    infra = Path(shutil.copytree(INFRA, tmp_path / "planted"))
    for hole in UNSAFE.values():
        _plant(infra, *hole)
    found = _unsafe(Snapshot(snapshots.of(ASKED, tmp_path, infra)))
    for words in ("allowSharedKeyAccess", "publicAccess", "adminUserEnabled", "gives a key"):
        assert any(words in one for one in found), (words, found)


def test_no_key_of_a_host_is_in_a_snapshot(made: Made) -> None:
    case = "keys of hosts that ask for one"
    secret = CASES[case]["DRIFTLOOP_HTTP_KEYS"].partition("=")[2]
    assert secret
    assert secret not in made(case).text


def test_no_key_for_lineage_is_in_a_snapshot(made: Made) -> None:
    case = "lineage for Marquez or another tool"
    assert CASES[case]["DRIFTLOOP_LINEAGE_KEY"] not in made(case).text
    assert CASES[case]["DRIFTLOOP_LINEAGE_URL"] in made(case).text


def test_no_secret_is_in_a_snapshot(made: Made) -> None:
    """The webhook's address may hold a key: ARM keeps it nowhere, an output would print it again."""
    case = "a webhook for what needs a person"
    secret = CASES[case]["DRIFTLOOP_NOTIFY_WEBHOOK"]
    assert secret.startswith("https://") and "?" in secret
    assert secret.partition("?")[2] not in made(case).text
    assert (
        made(case)
        .one("Microsoft.EventGrid/topics/eventSubscriptions")["name"]
        .endswith("/driftloop-needs-a-person")
    )


def test_each_endpoint_has_a_traffic_log_and_an_alert(made: Made) -> None:
    case = "endpoints"
    names = [name.strip() for name in CASES[case]["DRIFTLOOP_ENDPOINTS"].split(",")]
    assert len(names) == 2 and ", " in CASES[case]["DRIFTLOOP_ENDPOINTS"]
    logs = made(case).of("Microsoft.Insights/diagnosticSettings")
    assert [one["id"].split("/onlineEndpoints/")[1].split("/")[0] for one in logs] == names
    assert all(
        one["properties"]["logs"][0] == {"category": "AmlOnlineEndpointTrafficLog", "enabled": True}
        for one in logs
    )
    rules = made(case).of("Microsoft.Insights/scheduledQueryRules")
    assert [one["name"] for one in rules] == [f"{name}-errors" for name in names]


def test_the_alert_counts_a_failing_model_and_not_ourselves(made: Made) -> None:
    """A model that fails is answered with 424 and its own code in ModelStatusCode; our requests carry an id of ours."""
    rule = made("endpoints").of("Microsoft.Insights/scheduledQueryRules")[0]
    (criterion,) = rule["properties"]["criteria"]["allOf"]
    where, summary = criterion["query"].splitlines()[1:]
    assert where == '| where EndpointName == "churn" and XMSClientRequestId !startswith "driftloop-"'
    for condition in (
        "toint(ResponseCode) == 424",
        "toint(ResponseCode) >= 500",
        "toint(ModelStatusCode) >= 500",
    ):
        assert condition in summary


def test_the_settings_reach_the_app(made: Made) -> None:
    text = str(made("a new workspace").of("Microsoft.Web/sites/config")[0]["properties"])
    for name in ("AzureWebJobsStorage__clientId", "AZURE_CLIENT_ID", "DRIFTLOOP_STORAGE__clientId"):
        assert re.search(rf"'{name}', reference\('[^']*/id-app-\w+', '[\d-]+'\)\.clientId", text), name
    assert "createObject('AzureWebJobsStorage__accountName', parameters('storageAccountName'))" in text
    assert "FUNCTIONS_WORKER_RUNTIME" not in text, "Flex Consumption refuses it"


def test_memory_redundancy_and_size_are_parameters(made: Made) -> None:
    case = "other sizes"
    given, snapshot = CASES[case], made(case)
    site = snapshot.one("Microsoft.Web/sites")["properties"]["functionAppConfig"]["scaleAndConcurrency"]
    assert str(site["instanceMemoryMB"]) == given["DRIFTLOOP_INSTANCE_MEMORY"]
    accounts = {one["sku"]["name"] for one in snapshot.of("Microsoft.Storage/storageAccounts")}
    assert accounts == {given["DRIFTLOOP_STORAGE_REDUNDANCY"]}
    cluster = snapshot.one("Microsoft.MachineLearningServices/workspaces/computes")["properties"][
        "properties"
    ]
    assert cluster["vmSize"] == given["DRIFTLOOP_TRAINING_VM_SIZE"]


def test_a_salt_changes_every_name_that_stays_taken(made: Made) -> None:
    kinds = (
        "Microsoft.KeyVault/vaults",
        "Microsoft.MachineLearningServices/workspaces",
        "Microsoft.Web/sites",
    )
    for kind in (*kinds, "Microsoft.Storage/storageAccounts"):
        before, after = (
            {one["name"] for one in made(case).of(kind)}
            for case in ("a new workspace", "names that are still taken")
        )
        assert before.isdisjoint(after), kind


def test_events_of_drops_alone_are_passed_on(made: Made) -> None:
    blobs, workspace = made("a new workspace").of("Microsoft.EventGrid/systemTopics/eventSubscriptions")
    (condition,) = blobs["properties"]["filter"]["advancedFilters"]
    assert condition["values"] == [
        f"/blobServices/default/containers/{name}/" for name in ("landing", "labels")
    ]
    assert workspace["properties"]["filter"]["advancedFilters"] == []
    for one in (blobs, workspace):
        assert one["properties"]["deliveryWithResourceIdentity"]["identity"] == {"type": "SystemAssigned"}
        assert one["properties"]["deadLetterWithResourceIdentity"]["identity"] == {"type": "SystemAssigned"}
