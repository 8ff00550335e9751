"""Settings in, ports over Azure out; Azure's clients are imported when this is called, not before."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shared.clock import SystemClock
from shared.settings import Settings

if TYPE_CHECKING:
    from shared.ports import Ports

VERSIONS = "versions"
DOCUMENTS = "documents"


def azure_ports(settings: Settings) -> Ports:
    """All ports over one identity. Nothing is asked of Azure yet, and Azure ML's client is not imported yet."""
    from azure.data.tables import TableClient
    from azure.monitor.query import LogsQueryClient

    from shared.azure.blobs import AzureBlobs
    from shared.azure.client import Workspace, blob_service, credential, queue_client, topic_client
    from shared.azure.datastore import DefaultDatastore
    from shared.azure.documents import BlobDocuments
    from shared.azure.evidence import AzureEvidence
    from shared.azure.failures import BoundedTransport
    from shared.azure.queue import AzureQueue
    from shared.azure.serving import AzureServing
    from shared.azure.tables import TableStore
    from shared.azure.topic import AzureTopic
    from shared.azure.training import AzureTraining
    from shared.azure.versions import AzureVersions
    from shared.ports import Ports

    identity = credential()
    workspace = Workspace(settings, identity)
    blobs = blob_service(settings, identity)
    datastore = DefaultDatastore(workspace, identity)
    logs = LogsQueryClient(identity, endpoint=settings.logs_endpoint, transport=BoundedTransport())
    table = TableClient(
        settings.table_service_uri, settings.table, credential=identity, transport=BoundedTransport()
    )
    return Ports(
        store=TableStore(table),
        documents=BlobDocuments(blobs.get_container_client(DOCUMENTS)),
        blobs=AzureBlobs(blobs),
        versions=AzureVersions(blobs.get_container_client(VERSIONS), settings.datastore, workspace),
        training=AzureTraining(workspace, datastore),
        serving=AzureServing(workspace, identity),
        evidence=AzureEvidence(logs, settings.logs_workspace_id, datastore),
        topic=AzureTopic(topic_client(settings, identity), settings.topic_endpoint),
        queue=AzureQueue(queue_client(settings, identity)),
        clock=SystemClock(),
    )
