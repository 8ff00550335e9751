"""Settings in, ports over Azure out; Azure's clients are imported when this is called, not before."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from shared.clock import SystemClock
from shared.settings import Settings

if TYPE_CHECKING:
    from shared.azure.client import Clients
    from shared.azure.failures import BoundedTransport
    from shared.lineage.http_sink import HttpLineage
    from shared.ports import Ports, Sharing
    from shared.serving.autoscale import Autoscaling

VERSIONS = "versions"
DOCUMENTS = "documents"
READINGS = "readings"


def azure_ports(settings: Settings, transport: Callable[[], BoundedTransport] | None = None) -> Ports:
    """All ports over one identity. Nothing is requested from Azure yet, and Azure ML's client is not imported yet.

    Tests of what can break give a `transport` of their own, under Azure's unmodified clients.
    """
    from shared.azure.blobs import AzureBlobs
    from shared.azure.client import Clients, Workspace, credential
    from shared.azure.datastore import Datastore
    from shared.azure.documents import BlobDocuments
    from shared.azure.failures import BoundedTransport
    from shared.azure.jobs import AzureTraining
    from shared.azure.queue import AzureQueue
    from shared.azure.reading_jobs import AzureReadings
    from shared.azure.tables import TableStore
    from shared.azure.topic import AzureTopic
    from shared.azure.versions import AzureVersions
    from shared.intake.source_http import WebSources
    from shared.ports import Ports
    from shared.serving.batch_calls import BatchCalls
    from shared.serving.batch_endpoints import AzureBatch
    from shared.serving.endpoints import AzureServing
    from shared.serving.traffic_log import AzureEvidence

    clients = Clients(settings, credential(), transport or BoundedTransport)
    workspace = Workspace(settings, clients.identity, clients.transport)
    blobs = clients.blobs()
    datastore = Datastore(workspace, clients)
    return Ports(
        store=TableStore(clients.table()),
        documents=BlobDocuments(blobs.get_container_client(DOCUMENTS)),
        blobs=AzureBlobs(blobs, clients.blobs),
        versions=AzureVersions(blobs.get_container_client(VERSIONS), settings.datastore, workspace),
        training=AzureTraining(
            workspace,
            datastore,
            partial(Datastore, workspace, clients),
            clients.signed_blob,
            settings.registry,
        ),
        readings=AzureReadings(
            workspace, blobs.get_container_client(READINGS), blobs.get_container_client(VERSIONS)
        ),
        serving=AzureServing(
            workspace,
            clients.identity,
            settings.endpoint_identity,
            settings.endpoint_access,
            _scaling(settings, clients),
        ),
        batch=AzureBatch(
            workspace,
            clients.identity,
            BatchCalls(
                workspace,
                clients.identity,
                blobs.get_container_client(VERSIONS),
                settings.datastore,
                datastore,
            ),
        ),
        evidence=AzureEvidence(clients.logs(), settings.logs_workspace_id, datastore),
        sources=WebSources(settings.keys_by_host),
        topic=AzureTopic(clients.topic(), settings.topic_endpoint),
        queue=AzureQueue(clients.queue(), clients.queue(poison=True)),
        runs=AzureQueue(clients.queue(settings.runs), clients.queue(settings.runs, poison=True)),
        clock=SystemClock(),
        lineage=_lineage(settings),
    )


def _scaling(settings: Settings, clients: Clients) -> Autoscaling | None:
    from shared.azure.arm import ResourceManager
    from shared.serving import autoscale

    if not settings.autoscale_group:
        return None
    group = f"/subscriptions/{settings.subscription_id}/resourceGroups/{settings.autoscale_group}"
    arm = ResourceManager(clients.identity, clients.transport, autoscale.ROLE)
    return autoscale.Autoscaling(arm, group)


def _lineage(settings: Settings) -> HttpLineage | None:
    from shared.lineage.http_sink import HttpLineage
    from shared.lineage.openlineage import Place

    if not settings.lineage_url:
        return None
    account = settings.blob_service_uri.partition("://")[2].strip("/")
    workspace = f"azureml://{settings.subscription_id}/{settings.resource_group}/{settings.workspace}"
    return HttpLineage(settings.lineage_url, settings.lineage_key, Place(account, workspace))


def azure_sharing(settings: Settings) -> Sharing:
    """The registry that environments share, by the identity of whoever shares."""
    from shared.azure.client import Workspace, credential
    from shared.azure.shared_assets import SharedAssets

    return SharedAssets(Workspace(settings, credential()), settings.registry)
