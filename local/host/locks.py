"""Who holds the lease of a listener's lock blob runs the timer: 60 s long, renewed at half-time, tried each 60 s."""

import logging
import threading
from collections.abc import Callable

from azure.core.exceptions import (
    AzureError,
    HttpResponseError,
    ResourceExistsError,
    ResourceNotFoundError,
)
from azure.storage.blob import BlobLeaseClient, ContainerClient

from local.host.pace import Pace
from local.host.storage import tried

LEASE_S = 60.0
RENEWED_EVERY_S = 30.0
TRIED_EVERY_S = 60.0

log = logging.getLogger(__name__)


class ListenerLock:
    """The lock of one listener. A lost lease is noticed at its next renewal, and ends the host."""

    def __init__(
        self, container: ContainerClient, name: str, pace: Pace, fatal: Callable[[str], None]
    ) -> None:
        self._container, self._name, self._pace, self._fatal = container, name, pace, fatal
        self._blob = container.get_blob_client(name)
        self._lease: BlobLeaseClient | None = None
        self._released = threading.Event()

    def acquire(self) -> bool:
        """Try once; AzureError when storage does not answer as it should."""
        duration_s = self._pace.lease_s(LEASE_S)
        try:
            self._lease = self._blob.acquire_lease(lease_duration=duration_s)
        except ResourceNotFoundError:
            self._create()
            self._lease = self._blob.acquire_lease(lease_duration=duration_s)
        except HttpResponseError as error:
            if error.status_code == 409:
                return False
            raise
        self._released = threading.Event()
        threading.Thread(target=self._renew, args=(self._lease, self._released), daemon=True).start()
        return True

    def release(self) -> None:
        lease, self._lease = self._lease, None
        self._released.set()
        if lease is not None:
            try:
                lease.release()
            except AzureError as error:
                log.debug("lock %s was not released: %s", self._name, error)

    def _create(self) -> None:
        for make in (self._container.create_container, lambda: self._blob.upload_blob(b"", overwrite=False)):
            try:
                make()
            except ResourceExistsError:
                log.debug("lock %s was made by someone else", self._name)

    def _renew(self, lease: BlobLeaseClient, released: threading.Event) -> None:
        while not released.wait(self._pace.of(RENEWED_EVERY_S)):
            try:
                tried(lease.renew, self._pace)
            except AzureError as error:
                if not released.is_set():
                    self._fatal(f"lock {self._name} could not be renewed: {error}")
                return
