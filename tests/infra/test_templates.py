"""The templates name what the code names: settings, containers, events, providers."""

from __future__ import annotations

import json
import re

import yaml

from shared.settings import Settings
from tests.infra.compiler import INFRA, ROOT
from tests.infra.templates import TEXTS, providers, settings

PLATFORM = {
    "AzureWebJobsDisableHomepage",
    "AzureWebJobsStorage__accountName",
    "AZURE_CLIENT_ID",
    "APPLICATIONINSIGHTS_CONNECTION_STRING",
    "APPLICATIONINSIGHTS_AUTHENTICATION_STRING",
    "PYTHON_APPLICATIONINSIGHTS_ENABLE_TELEMETRY",
}
"""For the host, azure-identity and the platform; as local authentication is off, none of them opens anything."""


def test_every_module_is_used() -> None:
    used = set(re.findall(r"'(modules/[\w/]+\.bicep)'", TEXTS["main.bicep"]))
    assert used == set(TEXTS) - {"main.bicep"}


def test_the_settings_are_the_products() -> None:
    """Exactly what shared/settings.py reads, what the functions' bindings name, and what the host needs.

    A connection by a user-assigned identity names the identity, or the platform does not wake the app
    (azure-functions-host#10904).
    """
    sources = "".join(path.read_text() for path in (ROOT / "functions").glob("*.py"))
    connections = {*re.findall(r'connection="(\w+)"', sources), "AzureWebJobsStorage"}
    parts = ("blobServiceUri", "queueServiceUri", "tableServiceUri", "credential", "clientId")
    wanted = {f"{connection}__{part}" for connection in connections for part in parts}
    wanted |= set(re.findall(r"%(\w+)%", sources)) | set(Settings.names()) | PLATFORM
    # The doctor's alone: the app never looks at what surrounds it.
    wanted.discard("DRIFTLOOP_APP_RESOURCE_GROUP")
    assert settings() == wanted


def test_names_in_the_templates_are_those_of_the_code() -> None:
    from local import settings as local
    from shared.azure.blobs import QUARANTINE
    from shared.wiring import DOCUMENTS, VERSIONS

    storage = TEXTS["modules/storage.bicep"]
    for container in (QUARANTINE, DOCUMENTS, VERSIONS, "landing", "labels"):
        assert f"'{container}'" in storage
    defaults = Settings.defaults()
    assert f"name: '{defaults['table']}'" in storage
    for queue in (defaults["queue"], defaults["runs"]):
        assert f"'{queue}'" in storage and f"'{queue}-poison'" in storage
    assert f"name: '{defaults['datastore']}'" in TEXTS["modules/training.bicep"]
    assert (defaults["queue"], defaults["runs"], defaults["table"], defaults["datastore"]) == (
        local.QUEUE,
        local.RUNS,
        local.TABLE,
        local.VERSIONS_DATASTORE,
    )


def test_every_event_that_is_subscribed_to_means_something() -> None:
    """The templates, the local Azure and the doctor name the same types, and the product reads each of them."""
    from cli.doctor_events import EVENTS, RENAMES
    from local.events.subscriptions import DEFAULT
    from shared.inbox import messages
    from shared.inbox.blob_events import Uninteresting

    pattern = r"'(Microsoft\.(?:Storage|MachineLearningServices)\.(?!StorageAccounts)\w+)'"
    subscribed = set(re.findall(pattern, TEXTS["main.bicep"] + TEXTS["modules/landing.bicep"]))
    assert subscribed == {kind for _, kind, _ in EVENTS.values()} | set(RENAMES)
    assert subscribed == {kind for one in DEFAULT for kind in one.event_types}
    url = "https://a.blob.core.windows.net/landing/x"
    for kind in subscribed:
        event = {
            "eventType": kind,
            "data": {
                "url": url,
                "destinationUrl": url,
                "eTag": "1",
                "runId": "r",
                "modelName": "m",
                "modelVersion": "1",
                "serviceName": "e",
            },
        }
        read = messages.parse(json.dumps(event), "https://a.blob.core.windows.net")
        assert not isinstance(read, Uninteresting), kind


def test_no_retired_event_type_is_subscribed_to() -> None:
    """Microsoft.MachineLearningServices.DatasetDriftDetected is gone from the list of event types of 2026-07."""
    assert "DatasetDriftDetected" not in "".join(TEXTS.values())


def test_the_doctor_asks_for_the_providers_of_the_templates() -> None:
    from cli.doctor_platform import PROVIDERS

    assert {*PROVIDERS, "Microsoft.Network"} == providers()


def test_azd_deploys_the_app_that_the_templates_tag() -> None:
    project = yaml.safe_load((ROOT / "azure.yaml").read_text())
    assert project["infra"] == {"provider": "bicep", "path": "infra", "module": "main"}
    (name,) = project["services"]
    assert f"'azd-service-name': '{name}'" in TEXTS["main.bicep"]
    assert project["services"][name] == {"project": ".", "language": "py", "host": "function"}


def test_no_host_name_of_a_cloud_is_written_down() -> None:
    """Suffixes come from the environment; Log Analytics' query API is the one that environment() does not know."""
    found = re.findall(
        r"[\w.]*(?:windows\.net|azurewebsites|azure\.com|loganalytics)[\w./]*", "".join(TEXTS.values())
    )
    assert {host.partition("/")[0] for host in found} == {
        "api.loganalytics.io",
        "api.loganalytics.us",
        "api.loganalytics.azure.cn",
    }


def test_a_parameter_that_azd_passes_exists_and_none_is_forgotten() -> None:
    document = json.loads((INFRA / "main.parameters.json").read_text())["parameters"]
    declared = re.findall(r"^param (\w+) \w+( =)?", TEXTS["main.bicep"], re.MULTILINE)
    assert set(document) <= {name for name, _ in declared}
    assert {name for name, default in declared if not default} <= set(document)


def test_a_cluster_of_ours_keeps_no_node_when_it_is_idle() -> None:
    """A node that waits is paid for: a cluster never has fewer than `scaleSettings.minNodeCount`
    (learn.microsoft.com/azure/templates/microsoft.machinelearningservices/workspaces/computes)."""
    least = [
        found
        for file in sorted(INFRA.rglob("*.bicep"))
        for found in re.findall(r"minNodeCount:\s*(\S+)", file.read_text())
    ]
    assert least and set(least) == {"0"}
