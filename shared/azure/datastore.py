"""A datastore of the workspace: in the default one jobs leave their outputs and the collector its rows."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from azure.storage.blob import BlobProperties, ContainerClient

from shared.azure.client import ML_ROLE, Clients
from shared.azure.failures import UNBOUNDED, asking
from shared.domain.reason import Code
from shared.errors import ConfigurationError

if TYPE_CHECKING:
    from azure.ai.ml import MLClient

ROLE = "Storage Blob Data Reader"


class Datastore:
    """The default one, where no name is given. Looked up once a process: a workspace keeps its datastores."""

    def __init__(self, ml: Callable[[], MLClient], clients: Clients, name: str = "") -> None:
        self._ml = ml
        self._clients = clients
        self._name = name
        self._lock = threading.Lock()
        self._found: tuple[str, ContainerClient] | None = None

    def uri(self, folder: str) -> str:
        return f"azureml://datastores/{self._lookup()[0]}/paths/{folder}/"

    def resource(self, workspace: str) -> str:
        """Its id in Resource Manager, below that of its workspace."""
        return f"{workspace}/datastores/{self._lookup()[0]}"

    def find(self, name: str) -> BlobProperties | None:
        """The blob of exactly this name; None when it is not there."""
        return next((blob for blob in self.blobs(name) if blob.name == name), None)

    def blobs(self, prefix: str) -> Iterator[BlobProperties]:
        container = self._lookup()[1]
        with asking("Listing blobs", f"container {container.container_name}", ROLE, most_s=UNBOUNDED):
            yield from container.list_blobs(name_starts_with=prefix)

    def read_address(self, address: str) -> bytes | None:
        """The content of a blob of this datastore by its address; None for an address elsewhere."""
        here, there = urlsplit(self._lookup()[1].url), urlsplit(address)
        folder = f"{here.path}/"
        if (there.hostname, there.port) != (here.hostname, here.port) or not there.path.startswith(folder):
            return None
        return self.read(unquote(there.path.removeprefix(folder)))

    def read(self, name: str) -> bytes:
        container = self._lookup()[1]
        with asking("Reading a blob", f"container {container.container_name}", ROLE, most_s=UNBOUNDED):
            content: bytes = container.download_blob(name).readall()
        return content

    def _lookup(self) -> tuple[str, ContainerClient]:
        with self._lock:
            if self._found is None:
                self._found = self._asked()
            return self._found

    def _asked(self) -> tuple[str, ContainerClient]:
        with asking("Reading a datastore", f"datastore {self._name or '(default)'} of Azure ML", ML_ROLE):
            stores = self._ml().datastores
            store = stores.get(self._name) if self._name else stores.get_default()
        container = getattr(store, "container_name", None) or getattr(store, "filesystem", None)
        if container is None:
            raise ConfigurationError(
                f"Datastore {store.name} holds no blobs: it is of type {store.type}.",
                code=Code.MODEL_UNSERVABLE,
            )
        account = f"{store.protocol}://{store.account_name}.blob.{store.endpoint}"
        # By identity, whatever the datastore itself is configured with.
        return str(store.name), self._clients.container(account, str(container))
