"""One identity and one Azure ML client a process: made when first needed, quiet, and safe to share by threads."""

from __future__ import annotations

import base64
import json
import logging
import threading
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from azure.core.credentials import TokenCredential
from azure.data.tables import TableClient
from azure.eventgrid import EventGridPublisherClient
from azure.identity import DefaultAzureCredential
from azure.monitor.query import LogsQueryClient
from azure.storage.blob import BlobClient, BlobServiceClient, ContainerClient
from azure.storage.blob import ExponentialRetry as BlobRetry
from azure.storage.queue import ExponentialRetry as QueueRetry
from azure.storage.queue import QueueClient

from shared import accounts, deadline
from shared.azure.arm import ResourceManager
from shared.azure.failures import BoundedTransport
from shared.settings import Settings

if TYPE_CHECKING:
    from azure.ai.ml import MLClient

ML_ROLE = "AzureML Data Scientist"


def credential() -> TokenCredential:
    """The app's managed identity on Azure; on a person's machine, whoever is signed in."""
    return DefaultAzureCredential(exclude_interactive_browser_credential=True, transport=BoundedTransport())


@dataclass(frozen=True)
class Clients:
    """Azure's clients over one identity. `transport` is the one seam under them, for tests of what can break."""

    settings: Settings
    identity: TokenCredential
    transport: Callable[[], BoundedTransport] = BoundedTransport

    def blobs(self, account: str = "") -> BlobServiceClient:
        """Of our storage account, or of the one of this name."""
        ours = self.settings.blob_service_uri
        address = accounts.address(ours, account) if account else ours
        return BlobServiceClient(address, self.identity, **self._storage(BlobRetry))

    def signed_blob(self, address: str) -> BlobClient:
        """By an address with a signature, which is all that it may be read with."""
        return BlobClient.from_blob_url(address, **self._storage(BlobRetry))

    def container(self, account: str, name: str) -> ContainerClient:
        return ContainerClient(account, name, credential=self.identity, **self._storage(BlobRetry))

    def queue(self, name: str = "", *, poison: bool = False) -> QueueClient:
        """The queue of this name, or of events; or the one into which the host moves what failed in it five times."""
        name = (name or self.settings.queue) + ("-poison" if poison else "")
        uri = self.settings.queue_service_uri
        return QueueClient(uri, name, credential=self.identity, **self._storage(QueueRetry))

    def table(self) -> TableClient:
        uri, name = self.settings.table_service_uri, self.settings.table
        return TableClient(
            uri, name, credential=self.identity, transport=self.transport(), retry_backoff_factor=0.2
        )

    def logs(self) -> LogsQueryClient:
        endpoint = self.settings.logs_endpoint
        return LogsQueryClient(self.identity, endpoint=endpoint, transport=self.transport())

    def topic(self) -> EventGridPublisherClient:
        """It takes no transport: `topic.py` bounds each call."""
        return EventGridPublisherClient(self.settings.topic_endpoint, self.identity)

    def _storage(self, retry: type[BlobRetry] | type[QueueRetry]) -> dict[str, Any]:
        """Storage's own retries wait for 15 s and more; here a person or a function waits for the answer."""
        policy = retry(initial_backoff=0, increment_base=2, retry_total=3, random_jitter_range=1)
        return {"retry_policy": policy, "transport": self.transport()}


def claimed(identity: TokenCredential, *kinds: str) -> str:
    """The first of these claims that the identity's token makes, for the ledger; empty when it makes none.

    Whether it may do anything is decided by Azure, which checks the token.
    """
    token = identity.get_token("https://storage.azure.com/.default").token
    try:
        payload = token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    except (IndexError, ValueError):
        return ""
    return next((str(claims[kind]) for kind in kinds if claims.get(kind)), "")


class Workspace:
    """Makes the workspace's `MLClient` at the first call: importing it takes seconds, and many calls need none."""

    def __init__(
        self,
        settings: Settings,
        identity: TokenCredential,
        transport: Callable[[], BoundedTransport] = BoundedTransport,
    ) -> None:
        self.name = settings.workspace
        self._settings = settings
        self._identity = identity
        self._transport = transport
        self._lock = threading.Lock()
        self._client: MLClient | None = None

    @property
    def resource(self) -> str:
        """Its id in Resource Manager."""
        group = (
            f"/subscriptions/{self._settings.subscription_id}/resourceGroups/{self._settings.resource_group}"
        )
        return f"{group}/providers/Microsoft.MachineLearningServices/workspaces/{self.name}"

    @cached_property
    def arm(self) -> ResourceManager:
        """What Azure ML's client does not show of the workspace's assets."""
        return ResourceManager(self._identity, self._transport, ML_ROLE)

    def __call__(self) -> MLClient:
        with self._lock:
            if self._client is None:
                with deadline.uncounted():
                    self._client = self._make()
            return self._client

    def _make(self) -> MLClient:
        from marshmallow.warnings import ChangedInMarshmallow4Warning, RemovedInMarshmallow4Warning

        # azure-ai-ml is written for marshmallow 3, which warns of 4 in hundreds of places. Both are pinned.
        for category in (ChangedInMarshmallow4Warning, RemovedInMarshmallow4Warning):
            warnings.filterwarnings("ignore", category=category)
        from azure.ai.ml import MLClient

        client = MLClient(
            self._identity,
            self._settings.subscription_id,
            self._settings.resource_group,
            self._settings.workspace,
            show_progress=False,
            enable_telemetry=False,
            transport=self._transport(),
        )
        # It logs each call, and warns of experimental classes of its own; what goes wrong is raised and told by us.
        for logger in ("azure.ai.ml", "azure.ai.ml._telemetry"):
            logging.getLogger(logger).setLevel(logging.CRITICAL)
        return client
