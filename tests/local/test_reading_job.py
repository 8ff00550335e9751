"""The job that reads a drop: its program with real storage between it and the app, and all of it on Azure ML's runtime.

Sources: azure-ai-ml 1.28, identity/_credentials/_AzureMLSparkOnBehalfOfCredential.py (how a driver signs in);
learn.microsoft.com, rest/api/storageservices (Get Blob with If-Match answers 412, Put Block List); arrow#45283.
"""

from __future__ import annotations

import gzip
import io
import os
import shutil
import ssl
import uuid
from dataclasses import replace
from pathlib import Path

import httpx
import numpy as np
import pyarrow.parquet as pq
import pytest
from azure.identity import DefaultAzureCredential
from azure.storage.blob import BlobServiceClient
from pyarrow.csv import write_csv

from local.azure import LocalAzure
from local.jobs import spark_token
from local.settings import RESOURCE_GROUP, SUBSCRIPTION, WORKSPACE
from shared.azure import registry
from shared.azure.client import Workspace, credential
from shared.errors import Conflict
from shared.files.drop_files import Limits, ReadSpec
from shared.files.place import FileUnavailable
from shared.ports import Ports
from shared.settings import Settings
from shared.spark import blob_places
from shared.spark.read_answer import (
    ANSWER,
    MOST_ANSWER,
    PROGRESS,
    Changed,
    Read,
    Refused,
)
from shared.wiring import READINGS
from tests.drift.families import mixed
from tests.local.reading import SPEC, TABLE, Program, answer, asked, check_same, ended, here

needs_java = pytest.mark.skipif(shutil.which("java") is None, reason="no Java found: Spark needs Java 17")


@pytest.fixture
def name() -> str:
    return f"birds-read-{uuid.uuid4().hex[:8]}"


@pytest.fixture
def parquet(tmp_path: Path) -> Path:
    pq.write_table(TABLE, tmp_path / "rows.parquet", row_group_size=700)
    return tmp_path / "rows.parquet"


@pytest.fixture
def csv(tmp_path: Path) -> Path:
    content = io.BytesIO()
    write_csv(TABLE, content)
    (tmp_path / "rows.csv.gz").write_bytes(gzip.compress(content.getvalue()))
    return tmp_path / "rows.csv.gz"


def test_the_program_reads_blobs_by_range_and_writes_what_the_app_writes(
    local_azure: LocalAzure,
    ports: Ports,
    name: str,
    parquet: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(blob_places, "READ_BYTES", 300_000)
    monkeypatch.setattr(blob_places, "WRITTEN_BYTES", 200_000)
    spec, blobs = asked(ports, name, parquet)
    Program(local_azure, ports, spec).run()
    one = here([parquet], blobs, tmp_path / "out")
    check_same(ports, answer(ports, spec), name, one, tmp_path / "out")


def test_text_that_is_packed_is_read_alike(
    local_azure: LocalAzure, ports: Ports, name: str, csv: Path, tmp_path: Path
) -> None:
    spec, blobs = asked(ports, name, csv)
    Program(local_azure, ports, spec).run()
    check_same(ports, answer(ports, spec), name, here([csv], blobs, tmp_path / "out"), tmp_path / "out")


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
def test_what_blobs_say_of_their_encoding_changes_nothing(
    local_azure: LocalAzure,
    ports: Ports,
    name: str,
    parquet: Path,
    csv: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    encoding: str,
) -> None:
    """github.com/Azure/azure-sdk-for-python/issues/23714: the SDK unpacks by itself, also a range of a file."""
    monkeypatch.setattr(blob_places, "READ_BYTES", 30_000)
    for number, file in enumerate((parquet, csv)):
        spec, blobs = asked(ports, f"{name}-{number}", file, encoding=encoding)
        Program(local_azure, ports, spec).run()
        out = tmp_path / f"out-{number}"
        check_same(ports, answer(ports, spec), spec.name, here([file], blobs, out), out)


def test_a_blob_that_is_another_by_now_is_told_by_name(
    local_azure: LocalAzure, ports: Ports, name: str, parquet: Path, csv: Path
) -> None:
    spec, blobs = asked(ports, name, parquet, csv)
    ports.blobs.upload("landing", blobs[1].name, b"another")
    Program(local_azure, ports, spec).run()
    assert answer(ports, spec) == Changed(blobs[1].name)


def test_what_is_wrong_with_a_drop_is_the_answer(
    local_azure: LocalAzure, ports: Ports, name: str, tmp_path: Path
) -> None:
    (tmp_path / "rows.csv").write_bytes(b"a,b\n1,2\n")
    spec, _ = asked(ports, name, tmp_path / "rows.csv")
    Program(local_azure, ports, spec).run()
    found = answer(ports, spec)
    assert isinstance(found, Refused) and found.code == "missing-target"


def test_storage_that_fails_is_no_fault_of_the_drop(
    local_azure: LocalAzure, ports: Ports, name: str, parquet: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Damage is an OSError in Arrow's words; what storage answers must not be taken for it."""
    spec, _ = asked(ports, name, parquet)
    fetch = blob_places.BlobFile._fetch

    def fails(file: blob_places.BlobFile, begin: int, size: int) -> bytes:
        if begin > 1000:
            raise FileUnavailable("500 InternalError")
        return fetch(file, begin, size)

    monkeypatch.setattr(blob_places.BlobFile, "_fetch", fails)
    monkeypatch.setattr(blob_places, "READ_BYTES", 1000)
    with pytest.raises(FileUnavailable):
        Program(local_azure, ports, spec).run()
    assert ports.readings.left(name, ANSWER, MOST_ANSWER) == b""


def test_a_file_that_was_written_again_is_not_taken(
    local_azure: LocalAzure, ports: Ports, name: str, parquet: Path
) -> None:
    spec, _ = asked(ports, name, parquet)
    Program(local_azure, ports, spec).run()
    found = answer(ports, spec)
    assert isinstance(found, Read)
    ports.blobs.upload(READINGS, f"{name}/rows/train/part-00000.parquet", b"of somebody else")
    with pytest.raises(Conflict, match=r"train/part-00000\.parquet"):
        etags = {part: one.etag for part, one in found.parts.items()}
        ports.readings.take(name, etags, f"birds/{name}")


def test_a_driver_gets_no_token_unless_its_job_runs(local_azure: LocalAzure) -> None:
    settings = local_azure.settings
    place = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/{RESOURCE_GROUP}/providers"
    workspace = f"Microsoft.MachineLearningServices/workspaces/{WORKSPACE}/getuseraccesstokenforspark"
    body = {
        "oboToken": spark_token.of_run(settings, "none"),
        "runId": "none",
        "resource": "https://storage.azure.com",
    }
    trusted = ssl.create_default_context(cafile=str(settings.bundle))
    with httpx.Client(base_url=settings.arm, verify=trusted, trust_env=False) as client:
        reply = client.post(f"{spark_token.PATH}{place}/{workspace}", json=body)
    assert (reply.status_code, "does not run" in reply.text) == (401, True)


@pytest.fixture(scope="module")
def reader(local_azure: LocalAzure) -> str:
    """As `driftloop publish` registers it."""
    with pytest.MonkeyPatch.context() as patch:
        for key, value in local_azure.environment("publisher").items():
            patch.setenv(key, value)
        workspace = Workspace(Settings.from_environment(os.environ), credential())
        made = registry.Registry(workspace).reader()
        assert registry.Registry(workspace).reader() == made
        return made


@needs_java
@pytest.mark.soak
@pytest.mark.timeout(1200)
class TestOnSpark:
    """Its Arrow reads no footer as ours writes it (arrow#45283), and packs other bytes: both are made good."""

    def test_the_runtime_reads_what_the_app_reads(
        self, ports: Ports, reader: str, name: str, parquet: Path, csv: Path, tmp_path: Path
    ) -> None:
        for number, file in enumerate((parquet, csv)):
            spec, blobs = asked(ports, f"{name}-{number}", file, code=reader, encoding="gzip")
            seen = ended(ports, spec)
            out = tmp_path / f"out-{number}"
            check_same(ports, answer(ports, spec, seen.error), spec.name, here([file], blobs, out), out)
        assert seen.status == "completed"

    def test_a_drop_that_takes_too_much_memory_is_refused_by_name(
        self, ports: Ports, reader: str, name: str, parquet: Path
    ) -> None:
        spec, _ = asked(ports, name, parquet, code=reader, spec=replace(SPEC, limits=Limits(memory_mb=64)))
        seen = ended(ports, spec)
        found = answer(ports, spec, seen.error)
        assert isinstance(found, Refused) and found.code == "too-much-memory"

    def test_a_job_is_cancelled(self, ports: Ports, reader: str, name: str, parquet: Path) -> None:
        spec, _ = asked(ports, name, parquet, code=reader)
        ports.readings.ensure(spec)
        ports.readings.cancel(name)
        assert ended(ports, spec).status == "canceled"
        assert ports.readings.left(name, PROGRESS, 1000) == b""

    def test_tasks_of_its_executor_share_a_drop_and_no_log_holds_a_signature(
        self, local_azure: LocalAzure, ports: Ports, reader: str, name: str, tmp_path: Path
    ) -> None:
        table = mixed(np.random.default_rng(5), 300_000)
        wide = ReadSpec(target=table.column_names[0], limits=Limits(memory_mb=8192, seconds=3600))
        place = tmp_path / "rows.parquet"
        pq.write_table(table, place, row_group_size=50_000)
        spec, blobs = asked(ports, name, place, code=reader, spec=wide)
        seen = ended(ports, spec)
        found = answer(ports, spec, seen.error)
        assert isinstance(found, Read) and (found.tasks, found.alone) == (3, "")
        out = tmp_path / "out"
        check_same(ports, found, name, here([place], blobs, out, wide), out)
        logs = BlobServiceClient(
            local_azure.settings.storage("blob"), DefaultAzureCredential()
        ).get_container_client("azureml")
        left = {one: logs.download_blob(one).readall() for one in logs.list_blob_names() if name in one}
        assert any(left.values())
        assert [one for one, content in left.items() if b"sig=" in content] == []
