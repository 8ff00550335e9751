"""What tasks may touch: single blobs, to read or to write, signed by the driver for as long as its job may last.

Executors have no identity of their own, and the driver's token is wider and ends after an hour or so without a way to
renew it there. So the driver asks each account for a user delegation key and signs with it (learn.microsoft.com,
rest/api/storageservices/get-user-delegation-key and create-user-delegation-sas): an account without keys of its own
takes that signature, and it opens no more than the identity of the job may open itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from azure.core.exceptions import HttpResponseError
from azure.storage.blob import BlobSasPermissions, generate_blob_sas

if TYPE_CHECKING:
    from azure.storage.blob import BlobClient, BlobServiceClient, ContainerClient, UserDelegationKey

    from shared.spark.blob_places import BlobFile

_CLOCKS_APART = timedelta(minutes=15)
_LONGEST = timedelta(days=7) - 2 * _CLOCKS_APART
"""A key is good for seven days at most."""


class NotDelegated(Exception):
    """The identity of the job may not sign for that account."""


class SignedBlobs:
    """Signs addresses until `lasts` from now on. What it gives out is secret."""

    def __init__(self, lasts: timedelta) -> None:
        now = datetime.now(UTC)
        self._begins, self._ends = now - _CLOCKS_APART, now + min(lasts, _LONGEST)
        self._keys: dict[str, UserDelegationKey] = {}

    def read(self, service: BlobServiceClient, blob: BlobClient) -> str:
        """The address by which this blob can be read; NotDelegated."""
        return self._signed(service, blob, BlobSasPermissions(read=True))

    def write(self, service: BlobServiceClient, blob: BlobClient) -> str:
        """The address by which this blob can be written; NotDelegated."""
        return self._signed(service, blob, BlobSasPermissions(create=True, write=True))

    def _signed(self, service: BlobServiceClient, blob: BlobClient, may: BlobSasPermissions) -> str:
        account = str(service.account_name)
        if account not in self._keys:
            self._keys[account] = self._key(service)
        sas = generate_blob_sas(
            account,
            blob.container_name,
            blob.blob_name,
            user_delegation_key=self._keys[account],
            permission=may,
            expiry=self._ends,
            protocol="https",
        )
        return f"{blob.url}?{sas}"

    def _key(self, service: BlobServiceClient) -> UserDelegationKey:
        try:
            return service.get_user_delegation_key(self._begins, self._ends)
        except HttpResponseError as error:
            if error.status_code != 403:
                raise
            raise NotDelegated(service.account_name) from None


class SignedWire:
    """The blobs between a driver and its tasks: the drop's, and those of the job's folder."""

    def __init__(
        self,
        container: ContainerClient,
        folder: str,
        services: Mapping[str, BlobServiceClient],
        signed: SignedBlobs,
    ) -> None:
        self._container, self._folder = container, folder
        self._services, self._signed = services, signed

    def reads(self, file: BlobFile) -> str:
        """Its address, signed for reading; NotDelegated."""
        if file.client is None:
            raise RuntimeError(f"{file.name} is no file of this process")
        return self._signed.read(self._service(file.client), file.client)

    def writes(self, name: str) -> str:
        """The address of a file of the folder, signed for writing; NotDelegated."""
        blob = self._container.get_blob_client(f"{self._folder}/{name}")
        return self._signed.write(self._service(blob), blob)

    def _service(self, blob: BlobClient) -> BlobServiceClient:
        return next(one for one in self._services.values() if blob.url.startswith(f"{one.url.rstrip('/')}/"))
