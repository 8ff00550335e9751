"""Settings in, ports over Azure out; Azure's clients are imported when this is called, not before."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from shared.clock import SystemClock
from shared.settings import Settings

if TYPE_CHECKING:
    from shared.azure.failures import BoundedTransport
    from shared.ports import Ports, Sharing

VERSIONS = "versions"
DOCUMENTS = "documents"


def azure_ports(settings: Settings, transport: Callable[[], BoundedTransport] | None = None) -> Ports:
    """All ports over one identity. Nothing is requested from Azure yet, and Azure ML's client is not imported yet.

    Tests of what can break give a `transport` of their own, under Azure's unmodified clients.
    """
    from shared.azure import autoscale
    from shared.azure.arm import ResourceManager
    from shared.azure.autoscale import Autoscaling
    from shared.azure.blobs import AzureBlobs
    from shared.azure.client import Clients, Workspace, credential
    from shared.azure.datastore import Datastore
    from shared.azure.documents import BlobDocuments
    from shared.azure.endpoints import AzureServing
    from shared.azure.failures import BoundedTransport
    from shared.azure.jobs import AzureTraining
    from shared.azure.queue import AzureQueue
    from shared.azure.tables import TableStore
    from shared.azure.topic import AzureTopic
    from shared.azure.traffic_log import AzureEvidence
    from shared.azure.versions import AzureVersions
    from shared.intake.source_http import WebSources
    from shared.lineage.http_sink import HttpLineage
    from shared.lineage.openlineage import Place
    from shared.ports import Ports

    clients = Clients(settings, credential(), transport or BoundedTransport)
    workspace = Workspace(settings, clients.identity, clients.transport)
    blobs = clients.blobs()
    datastore = Datastore(workspace, clients)
    group = f"/subscriptions/{settings.subscription_id}/resourceGroups/{settings.autoscale_group}"
    scaling = (
        Autoscaling(ResourceManager(clients.identity, clients.transport, autoscale.ROLE), group)
        if settings.autoscale_group
        else None
    )
    place = Place(
        account=settings.blob_service_uri.partition("://")[2].strip("/"),
        workspace=f"azureml://{settings.subscription_id}/{settings.resource_group}/{settings.workspace}",
    )
    lineage = HttpLineage(settings.lineage_url, settings.lineage_key, place) if settings.lineage_url else None
    return Ports(
        store=TableStore(clients.table()),
        documents=BlobDocuments(blobs.get_container_client(DOCUMENTS)),
        blobs=AzureBlobs(blobs, clients.blobs),
        versions=AzureVersions(blobs.get_container_client(VERSIONS), settings.datastore, workspace),
        training=AzureTraining(
            workspace, datastore, partial(Datastore, workspace, clients), settings.registry
        ),
        serving=AzureServing(
            workspace, clients.identity, settings.endpoint_identity, settings.endpoint_access, scaling
        ),
        evidence=AzureEvidence(clients.logs(), settings.logs_workspace_id, datastore),
        sources=WebSources(settings.keys_by_host),
        topic=AzureTopic(clients.topic(), settings.topic_endpoint),
        queue=AzureQueue(clients.queue(), clients.queue(poison=True)),
        runs=AzureQueue(clients.queue(settings.runs), clients.queue(settings.runs, poison=True)),
        clock=SystemClock(),
        lineage=lineage,
    )


def azure_sharing(settings: Settings) -> Sharing:
    """The registry that environments share, by the identity of whoever shares."""
    from shared.azure.client import Workspace, credential
    from shared.azure.shared_assets import SharedAssets

    return SharedAssets(Workspace(settings, credential()), settings.registry)
