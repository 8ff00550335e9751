"""What the app asks a job that reads a drop, what it answers, and its program without Spark."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from azure.identity import DefaultAzureCredential
from azure.storage.blob import ContentSettings

from local.azure import LocalAzure
from shared.azure.blobs import AzureBlobs
from shared.files.drop_files import DropFile, Limits, Reading, ReadSpec
from shared.port_rules import READING_TAG
from shared.ports import Blob, Blobs, JobSeen, Ports, ReadingSpec
from shared.reader.one_pass import read
from shared.spark import program
from shared.spark.drop_shares import Executors
from shared.spark.read_answer import ANSWER, MOST_ANSWER, MOST_PROFILE, PROFILE, Answer, Read, believed
from shared.spark.read_order import Order, OrderedFile
from shared.wiring import READINGS
from tests.drift.families import mixed
from tests.patience import until

TABLE = mixed(np.random.default_rng(0), 3000)
SPEC = ReadSpec(target=TABLE.column_names[0], limits=Limits(memory_mb=4096))


def asked(
    ports: Ports, name: str, *files: Path, code: str = "", spec: ReadSpec = SPEC, encoding: str = ""
) -> tuple[ReadingSpec, list[Blob]]:
    """What the app asks for these files, which have landed, and say this of their encoding."""
    blobs = [_landed(ports.blobs, f"{name}/{file.name}", file, encoding) for file in files]
    order = Order(tuple(OrderedFile.of(one, one.name, None, None) for one in blobs), spec.to_document())
    tags = {READING_TAG: ports.documents.put(order.to_bytes())}
    size = ("Standard_E4s_v3", 4, 1, spec.limits.memory_mb)
    return ReadingSpec(name, "birds", code, *size, order.to_bytes(), spec.reference, tags), blobs


def _landed(blobs: Blobs, name: str, file: Path, encoding: str) -> Blob:
    blob = blobs.upload("landing", name, file)
    if encoding:
        assert isinstance(blobs, AzureBlobs)
        client = blobs._service.get_blob_client("landing", name)
        client.set_http_headers(ContentSettings(content_encoding=encoding))
        blob = blobs.find("landing", name) or blob
    return blob


def answer(ports: Ports, spec: ReadingSpec, error: str = "") -> Answer:
    content = ports.readings.left(spec.name, ANSWER, MOST_ANSWER)
    assert content, error
    return believed(content, spec.tags[READING_TAG], ports.readings.left(spec.name, PROFILE, MOST_PROFILE))


def here(files: list[Path], blobs: list[Blob], output: Path, spec: ReadSpec = SPEC) -> Reading:
    """What the app would have read."""
    drop = [DropFile(f, b.name, b.size_bytes, b.name) for f, b in zip(files, blobs, strict=True)]
    return read(drop, spec, output)


def check_same(ports: Ports, found: Answer, name: str, one: Reading, output: Path) -> None:
    """The reading to the byte, and the rows of all files of the version."""
    assert isinstance(found, Read), found
    there, wanted = (json.dumps(reading.to_document(), default=dict) for reading in (found.reading, one))
    assert there == wanted
    assert found.reading.profile == one.profile
    for _ in range(2):
        ports.readings.take(name, {part: one.etag for part, one in found.parts.items()}, f"birds/{name}")
    got = output / "got"
    for part in found.parts:
        (got / part).parent.mkdir(parents=True, exist_ok=True)
        (got / part).write_bytes(ports.versions.read(f"birds/{name}/{part}"))
    for side in {part.rpartition("/")[0] for part in found.parts} - {"sample"}:
        assert pq.read_table(got / side).equals(pq.read_table(output / side)), side
    for sample in ("all", "holdout"):
        file = f"sample/{sample}.parquet"
        assert pq.read_table(got / file).equals(pq.read_table(output / file)), file


class Program:
    """The program in this process, as a person who may do all that the job's identity may."""

    def __init__(
        self, azure: LocalAzure, ports: Ports, spec: ReadingSpec, executors: Executors | None = None
    ) -> None:
        self._azure, self._executors = azure, executors
        ports.documents.put(spec.order)
        for file, content in (("order.json", spec.order), ("reference.bin", spec.reference)):
            ports.blobs.upload(READINGS, f"{spec.name}/{file}", content)
        self._name = spec.name

    def run(self) -> None:
        account = self._azure.settings.storage("blob")
        program.Job(account, READINGS, self._name, DefaultAzureCredential(), self._executors).run()


def ended(ports: Ports, spec: ReadingSpec) -> JobSeen:
    until(lambda: ports.readings.ensure(spec).status != "running", within_s=600)
    return ports.readings.ensure(spec)
