"""The templates say nothing that Azure does not know, give nothing away, and each planted mistake is caught (S08)."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from shared.settings import Settings
from tests.infra import bicep, checks

ROOT = Path(__file__).parents[2]
INFRA = ROOT / "infra"
PLATFORM = {
    "APPLICATIONINSIGHTS_CONNECTION_STRING",
    "APPLICATIONINSIGHTS_AUTHENTICATION_STRING",
    "PYTHON_APPLICATIONINSIGHTS_ENABLE_TELEMETRY",
}
"""Asked for by the platform. The first names where telemetry goes; as local authentication is off, it opens nothing."""


def test_the_templates_have_no_problem() -> None:
    assert checks.problems(INFRA) == []


def test_every_file_was_read() -> None:
    files = {path.relative_to(INFRA).as_posix() for path in INFRA.rglob("*.bicep")}
    assert {"main.bicep", "modules/app.bicep", "modules/roles.bicep", "modules/storage.bicep"} <= files
    used = set(re.findall(r"'(modules/\w+\.bicep)'", (INFRA / "main.bicep").read_text()))
    assert used == files - {"main.bicep"}


def _replace(file: str, old: str, new: str) -> Callable[[Path], None]:
    def plant(infra: Path) -> None:
        path = infra / file
        content = path.read_text()
        assert content.count(old) >= 1, f"{file} no longer holds {old!r}"
        path.write_text(content.replace(old, new, 1))

    return plant


PLANTED = {
    "a misspelt property": (
        _replace("modules/storage.bicep", "allowCrossTenantReplication", "allowCrossTenantReplicaton"),
        "has no property 'properties.allowCrossTenantReplicaton'",
    ),
    "a misspelt property in a variable": (
        _replace("modules/subscriptions.bicep", "queueMessageTimeToLiveInSeconds", "queueMessageTimeToLive"),
        "queueMessageTimeToLive'",
    ),
    "a property at the wrong level": (
        _replace("modules/app.bicep", "httpsOnly: true", "minTlsVersion: '1.2'"),
        "has no property 'properties.minTlsVersion'",
    ),
    "an undefined symbol": (
        _replace("modules/events.bicep", "source: account.id", "source: acount.id"),
        "'acount' is used in 'blobEvents' but not defined",
    ),
    "an unknown resource type": (
        _replace("modules/events.bicep", "Microsoft.EventGrid/topics@", "Microsoft.EventGrid/topic@"),
        "resource type 'Microsoft.EventGrid/topic' is not known",
    ),
    "an unknown API version": (
        _replace("modules/events.bicep", "EventGrid/topics@2025-02-15", "EventGrid/topics@2025-02-16"),
        "API version 'Microsoft.EventGrid/topics@2025-02-16' is not known",
    ),
    "an unused parameter": (
        _replace("modules/events.bicep", "source: workspaceId", "source: account.id"),
        "param 'workspaceId' is never used",
    ),
    "a parameter that the module does not take": (
        _replace(
            "main.bicep",
            "versionsImmutableDays: versionsImmutableDays",
            "versionsDays: versionsImmutableDays",
        ),
        "module 'storage' has no parameter 'versionsDays'",
    ),
    "an output that the module does not give": (
        _replace("main.bicep", "events.outputs.topicEndpoint", "events.outputs.topicAddress"),
        "events.outputs.topicAddress is not an output",
    ),
    "a parameter without a value": (
        _replace("main.parameters.json", '"authClientId"', '"authClient"'),
        "'authClientId' is missing",
    ),
    "a parameter without a description": (
        _replace("modules/app.bicep", "@description('Version of Python.')\n", ""),
        "param 'pythonVersion' has no @description",
    ),
    "a public container": (
        _replace("modules/storage.bicep", "publicAccess: 'None'", "publicAccess: 'Blob'"),
        "properties.publicAccess must be 'None', not 'Blob'",
    ),
    "an account that allows public containers": (
        _replace("modules/storage.bicep", "    allowBlobPublicAccess: false\n", ""),
        "properties.allowBlobPublicAccess must be 'false', not 'nothing'",
    ),
    "account keys": (
        _replace("modules/storage.bicep", "allowSharedKeyAccess: false", "allowSharedKeyAccess: true"),
        "properties.allowSharedKeyAccess must be 'false', not 'true'",
    ),
    "an old TLS": (
        _replace("modules/storage.bicep", "'TLS1_2'", "'TLS1_0'"),
        "properties.minimumTlsVersion must be 'TLS1_2', not 'TLS1_0'",
    ),
    "plain HTTP": (
        _replace("modules/app.bicep", "httpsOnly: true", "httpsOnly: false"),
        "properties.httpsOnly must be 'true', not 'false'",
    ),
    "a storage key in a setting": (
        _replace(
            "modules/app.bicep",
            "AzureWebJobsStorage__credential: 'managedidentity'",
            "AzureWebJobsStorage: 'AccountKey=${account.listKeys().keys[0].value}'",
        ),
        "is, or gives, a key",
    ),
    "text that is no Bicep": (
        _replace("modules/app.bicep", "resource plan ", "resource = plan "),
        "is no Bicep",
    ),
}


@pytest.mark.parametrize("mistake", PLANTED)
def test_a_planted_mistake_is_caught(mistake: str, tmp_path: Path) -> None:
    plant, told = PLANTED[mistake]
    copy = Path(shutil.copytree(INFRA, tmp_path / "infra"))
    plant(copy)
    found = checks.problems(copy)
    assert any(told in problem for problem in found), found


def test_the_settings_are_the_products() -> None:
    """Exactly what shared/settings.py reads, what the functions' bindings name, and what the host needs."""
    sources = "".join(path.read_text() for path in (ROOT / "functions").glob("*.py"))
    connections = {*re.findall(r'connection="(\w+)"', sources), "AzureWebJobsStorage"}
    parts = ("blobServiceUri", "queueServiceUri", "tableServiceUri", "credential")
    wanted = {f"{connection}__{part}" for connection in connections for part in parts}
    wanted |= set(re.findall(r"%(\w+)%", sources)) | set(Settings.names()) | PLATFORM
    # The public cloud's address of the query API is the default; another cloud's is set by hand.
    wanted.discard("DRIFTLOOP_LOGS_ENDPOINT")
    assert checks.settings(INFRA) == wanted


def test_a_setting_that_is_missing_or_too_many_would_be_seen(tmp_path: Path) -> None:
    copy = Path(shutil.copytree(INFRA, tmp_path / "infra"))
    _replace("modules/app.bicep", "    DRIFTLOOP_TABLE: 'driftloop'\n", "    DRIFTLOOP_TABEL: 'driftloop'\n")(
        copy
    )
    assert checks.settings(copy) ^ checks.settings(INFRA) == {"DRIFTLOOP_TABLE", "DRIFTLOOP_TABEL"}


def test_names_in_the_templates_are_those_of_the_code() -> None:
    from local import settings as local
    from shared.azure.blobs import QUARANTINE
    from shared.wiring import DOCUMENTS, VERSIONS

    storage = (INFRA / "modules" / "storage.bicep").read_text()
    for container in (QUARANTINE, DOCUMENTS, VERSIONS, "landing", "labels"):
        assert f"'{container}'" in storage
    defaults = Settings.defaults()
    assert f"name: '{defaults['table']}'" in storage and f"name: '{defaults['queue']}'" in storage
    assert f"name: '{defaults['queue']}-poison'" in storage
    machinelearning = (INFRA / "modules" / "machinelearning.bicep").read_text()
    assert f"name: '{defaults['datastore']}'" in machinelearning
    assert (
        defaults["queue"],
        defaults["table"],
        defaults["datastore"],
    ) == (local.QUEUE, local.TABLE, local.VERSIONS_DATASTORE)


def test_events_are_filtered_to_what_is_dropped() -> None:
    subscriptions = (INFRA / "modules" / "subscriptions.bicep").read_text()
    prefixes = re.findall(r"'/blobServices/default/containers/(\w+)/'", subscriptions)
    assert prefixes == ["landing", "labels"]
    assert subscriptions.count("deadLetterWithResourceIdentity: undelivered") == 2
    assert subscriptions.count("deliveryWithResourceIdentity: delivery") == 2


def test_every_event_that_is_read_is_subscribed_to() -> None:
    """The templates, the local Azure and the doctor name the same types, and each of them means something to us."""
    from cli.doctor_platform import EVENTS
    from local.events.subscriptions import DEFAULT
    from shared.inbox import messages

    template = (INFRA / "modules" / "subscriptions.bicep").read_text()
    subscribed = set(re.findall(r"'(Microsoft\.(?:Storage|MachineLearningServices)\.\w+)'", template))
    assert subscribed == {kind for _, kind, _ in EVENTS.values()}
    assert subscribed == {kind for one in DEFAULT for kind in one.event_types}
    url = "https://a.blob.core.windows.net/landing/x"
    for kind in subscribed:
        event = {"eventType": kind, "data": {"url": url, "eTag": "1", "runId": "r"}}
        read = messages.parse(json.dumps(event), "https://a.blob.core.windows.net")
        assert not isinstance(read, messages.Uninteresting), kind
    source = (ROOT / "shared" / "inbox" / "messages.py").read_text()
    known = set(re.findall(r'"(microsoft\.\w+\.\w+)"', source))
    assert known == {kind.lower() for kind in subscribed}, "an event is read that nobody subscribes to"


def test_the_doctor_asks_for_the_providers_of_the_templates() -> None:
    from cli.doctor_platform import PROVIDERS

    files = [bicep.read(path) for path in INFRA.rglob("*.bicep")]
    used = {resource.kind_text.partition("/")[0] for file in files for resource in file.of("resource")}
    assert set(PROVIDERS) == used - {"Microsoft.Authorization", "Microsoft.Resources"}


def test_azd_deploys_the_app_that_the_templates_tag() -> None:
    import yaml

    project = yaml.safe_load((ROOT / "azure.yaml").read_text())
    assert project["infra"] == {"provider": "bicep", "path": "infra", "module": "main"}
    (name,) = project["services"]
    assert f"'azd-service-name': '{name}'" in (INFRA / "main.bicep").read_text()
    assert project["services"][name] == {"project": ".", "language": "py", "host": "function"}


def test_the_known_names_come_from_where_they_say() -> None:
    document = json.loads((Path(__file__).parent / "azure_types.json").read_text())
    assert all(re.fullmatch(r"azure-(mgmt-\w+|ai-ml)", name) for name in document["sources"])
    assert all(re.search(r" at [0-9a-f]{40}$", where) for where in checks.VERSIONS.values())
