"""What every service of the workspace is given: settings, state, storage, tokens, time, and each other."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from azure.data.tables import TableServiceClient
from azure.storage.blob import BlobServiceClient, ContainerSasPermissions, generate_container_sas
from azure.storage.queue import QueueServiceClient

from local.identity.models import LocalCredential, Tokens
from local.identity.roles import Roles
from local.progress import Operations
from local.settings import ACCOUNT, PARTNER, Settings
from local.state import State
from local.throttle import Throttle

Clock = Callable[[], datetime]
Part = TypeVar("Part")


def utc_now() -> datetime:
    return datetime.now(UTC)


def container_sas(blobs: BlobServiceClient, container: str, *, write: bool, lasts: timedelta) -> str:
    """A SAS that is signed with a user delegation key of who the client is."""
    now = utc_now()
    key = blobs.get_user_delegation_key(now - timedelta(minutes=5), now + lasts)
    may = ContainerSasPermissions(read=True, list=True, write=write, create=write, add=write, delete=False)
    return generate_container_sas(
        ACCOUNT, container, user_delegation_key=key, permission=may, expiry=now + lasts
    )


class Service:
    """The workspace process's shared ground. A service adds its model in `start`; others get it by class."""

    def __init__(self, settings: Settings, state: State, clock: Clock = utc_now) -> None:
        self.settings = settings
        self.state = state
        self.clock = clock
        self.tokens = Tokens(settings, clock)
        self.roles = Roles()
        self.throttle = Throttle()
        self.operations = Operations(state, clock, settings.arm)
        self.credential = LocalCredential(self.tokens)
        verify = str(settings.bundle)
        self.blobs = BlobServiceClient(settings.storage("blob"), self.credential, connection_verify=verify)
        self.partner = BlobServiceClient(
            settings.storage("blob", PARTNER), self.credential, connection_verify=verify
        )
        self.queues = QueueServiceClient(settings.storage("queue"), self.credential, connection_verify=verify)
        self.tables = TableServiceClient(
            settings.storage("table"), credential=self.credential, connection_verify=verify
        )
        self._parts: dict[type[object], object] = {}

    def add(self, part: object) -> None:
        self._parts[type(part)] = part

    def get(self, kind: type[Part]) -> Part:
        """The model of class `kind`; LookupError when its service has not been started."""
        part = self._parts.get(kind)
        if not isinstance(part, kind):
            raise LookupError(f"No {kind.__name__} has been added: is its service started?")
        return part

    def sas(self, container: str, *, write: bool, lasts: timedelta = timedelta(hours=1)) -> str:
        """A short-lived SAS for a container, where the SDK takes nothing else; the account takes no other signature."""
        return container_sas(self.blobs, container, write=write, lasts=lasts)

    def close(self) -> None:
        for client in (self.blobs, self.partner, self.queues, self.tables):
            client.close()
        self.state.close()
