"""Documents are blobs named by the hash of their content, so that storing twice changes nothing."""

from __future__ import annotations

import hashlib

from azure.core.exceptions import HttpResponseError
from azure.storage.blob import ContainerClient

from shared.azure.failures import asking, code_of, lost
from shared.azure.service_codes import THERE
from shared.domain.reason import Code
from shared.errors import InvariantBroken

ROLE = "Storage Blob Data Contributor"


class BlobDocuments:
    """`Documents` over one container."""

    def __init__(self, container: ContainerClient) -> None:
        self._container = container
        self._resource = f"container {container.container_name}"

    def put(self, content: bytes) -> str:
        digest = hashlib.sha256(content).hexdigest()
        with asking("Writing a document", self._resource, ROLE):
            try:
                self._container.upload_blob(digest, content, overwrite=False)
            except HttpResponseError as error:
                if code_of(error) not in THERE:
                    raise
        return digest

    def get(self, digest: str) -> bytes:
        with asking("Reading a document", self._resource, ROLE):
            try:
                content: bytes = self._container.download_blob(digest).readall()
            except HttpResponseError as error:
                if why := lost(error, self._resource):
                    raise InvariantBroken(f"Document {digest} {why}", code=Code.DOCUMENT_LOST) from None
                raise
        if hashlib.sha256(content).hexdigest() != digest:
            raise InvariantBroken(
                f"Document {digest} in {self._resource} does not have the content that its name promises.",
                code=Code.DOCUMENT_LOST,
            )
        return content
