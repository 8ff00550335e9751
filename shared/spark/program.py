"""The program of the job: it runs in the driver of a Spark application, on Azure ML's runtime as that is.

Everything is asked for over HTTPS, as the identity that the job runs as: `abfss` needs another kind of account, `wasbs`
a key, and a datastore without credentials an account without soft delete. Executors have no identity: what they may
touch is signed for them (`signed_blobs`).
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import threading
from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING

from azure.storage.blob import BlobServiceClient

from shared import accounts
from shared.intake.rejections import listed, rejected
from shared.reader.child import peak_mb
from shared.spark.answered import answered
from shared.spark.blob_places import BlobFile, BlobFolder
from shared.spark.drop_shares import Executors, Shares
from shared.spark.read_answer import (
    ANSWER,
    ORDER,
    PROFILE,
    PROGRESS,
    REFERENCE,
    ROWS,
    Answer,
    Read,
    Refused,
    written,
)
from shared.spark.read_order import Order, OrderedFile
from shared.spark.signed_blobs import SignedBlobs, SignedWire
from shared.spark.spark_executors import SparkExecutors

if TYPE_CHECKING:
    from azure.core.credentials import TokenCredential

TELLS_EVERY_S = 20.0
LOOKS_EVERY_S = 0.5


class Job:
    """One order, in the folder that has the job's name; without executors the driver reads it alone."""

    def __init__(
        self,
        account: str,
        container: str,
        name: str,
        identity: TokenCredential,
        executors: Executors | None = None,
    ) -> None:
        self._account, self._identity, self._name = account, identity, name
        self._services = {"": BlobServiceClient(account, credential=identity)}
        self._container = self._services[""].get_container_client(container)
        self._asked = self._read(ORDER)
        self._order = Order.from_bytes(self._asked)
        self._fetched, self._ended = 0, threading.Event()
        self._executors, self._shared = executors, None
        self._rows = BlobFolder(lambda file: self._container.get_blob_client(f"{name}/{ROWS}/{file}"))
        if executors is not None:
            limits = self._order.spec["limits"]
            signed = SignedBlobs(timedelta(seconds=limits["seconds"]))
            wire = SignedWire(self._container, name, self._services, signed)
            share = limits["memory_mb"] // executors.side_by_side
            self._shared = Shares(executors, wire, self._rows, share)

    def run(self) -> None:
        for watch in (self._tell, self._watch):
            threading.Thread(target=watch, daemon=True).start()
        reference, rows = self._read(REFERENCE), self._rows
        self._give(answered(self._order, reference, self._place, rows, lambda: rows.written, self._shared))

    def _place(self, one: OrderedFile) -> BlobFile:
        account, container = accounts.split(one.container)
        client = self._service(account).get_blob_client(container, one.name)
        return BlobFile(client, one.name, one.etag, one.size, self._count)

    def _service(self, account: str) -> BlobServiceClient:
        """Of a storage account; the empty name is that of our own."""
        if account not in self._services:
            address = accounts.address(self._account, account)
            self._services[account] = BlobServiceClient(address, credential=self._identity)
        return self._services[account]

    def _count(self, size: int) -> None:
        self._fetched += size

    def _give(self, answer: Answer) -> None:
        """The answer comes last: where it lies, all else does."""
        if isinstance(answer, Read):
            self._write(PROFILE, answer.reading.profile)
        self._write(ANSWER, written(answer, hashlib.sha256(self._asked).hexdigest()))
        self._ended.set()

    def _tell(self) -> None:
        """How far it is, for people: a file of text may be read twice."""
        of = sum(one.size for one in self._order.files)
        while not self._ended.wait(TELLS_EVERY_S):
            self._write(PROGRESS, json.dumps({"read": self._read_bytes, "of": of, **self._how}).encode())

    @property
    def _read_bytes(self) -> int:
        return self._fetched + (self._executors.fetched if self._executors else 0)

    @property
    def _how(self) -> dict[str, object]:
        return {} if self._shared is None else {"tasks": self._shared.tasks, "alone": self._shared.alone}

    def _watch(self) -> None:
        """A drop that takes more memory than its job has is refused by name, before the cluster ends the driver."""
        most = self._order.spec["limits"]["memory_mb"]
        while not self._ended.wait(LOOKS_EVERY_S):
            if peak_mb() > most:
                names = listed([one.name for one in self._order.files], most=1)
                told = rejected("too-much-memory", f"{names} takes more than {most:,} MB of memory to read")
                self._give(Refused(told.code, str(told)))
                os._exit(0)

    def _read(self, file: str) -> bytes:
        content: bytes = self._container.download_blob(f"{self._name}/{file}").readall()
        return content

    def _write(self, file: str, content: bytes) -> None:
        self._container.upload_blob(f"{self._name}/{file}", content, overwrite=True)


def main(arguments: Sequence[str] | None = None) -> None:
    """`SparkSession` first: an application without one is given up, and the way to sign in asks it where to."""
    from azure.ai.ml.identity import AzureMLOnBehalfOfCredential
    from pyspark.sql import SparkSession

    asked = argparse.ArgumentParser()
    for name in ("account", "container", "name"):
        asked.add_argument(f"--{name}", required=True)
    given = asked.parse_args(arguments)
    session = SparkSession.builder.getOrCreate()
    try:
        identity, executors = AzureMLOnBehalfOfCredential(), SparkExecutors(session)
        Job(given.account, given.container, given.name, identity, executors).run()
    finally:
        session.stop()
