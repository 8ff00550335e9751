"""Bytes are read exactly as their event named them, and versions never change."""

from __future__ import annotations

import base64
import gzip
import json
import os
import random
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from shared import deadline
from shared.assets import same_asset
from shared.azure.blobs import AzureBlobs
from shared.azure.client import Clients, credential
from shared.azure.failures import BoundedTransport
from shared.domain.window import WindowKind
from shared.errors import Conflict, InputRejected, InvariantBroken
from shared.memory import MemoryPorts
from shared.memory.outbound import MemoryQueue
from shared.ports import Blob, Ports
from shared.settings import Settings
from tests.contract.stage import VERIFIED
from tests.hostile.corpus import NAMES, UNADDRESSABLE


def test_a_document_is_found_by_the_hash_of_its_content(ports: Ports, loop: str) -> None:
    content = f"profile of {loop}".encode()

    digest = ports.documents.put(content)

    assert ports.documents.put(content) == digest
    assert ports.documents.get(digest) == content


def test_a_document_that_is_gone_is_told(ports: Ports) -> None:
    with pytest.raises(InvariantBroken, match="is gone"):
        ports.documents.get("0" * 64)


def test_a_blob_is_downloaded_as_it_was_uploaded(ports: Ports, loop: str, tmp_path: Path) -> None:
    content = bytes(range(256)) * 400
    blob = ports.blobs.upload("landing", f"{loop}/a.csv", content)

    ports.blobs.download(blob, tmp_path / "a")

    assert (tmp_path / "a").read_bytes() == content
    assert blob.size_bytes == len(content)
    assert '"' not in blob.etag
    assert ports.blobs.find("landing", f"{loop}/a.csv") == blob
    assert list(ports.blobs.list("landing", f"{loop}/")) == [blob]


def test_a_file_is_uploaded(ports: Ports, loop: str, tmp_path: Path) -> None:
    (tmp_path / "in").write_bytes(b"a,b\n1,2\n")

    blob = ports.blobs.upload("landing", f"{loop}/a.csv", tmp_path / "in")

    assert blob.size_bytes == 8


@pytest.fixture
def many(ports: Ports, loop: str, tmp_path: Path) -> dict[Path, Blob]:
    """Places and blobs, each with its own name as content; one of them is too large to be one of many at once."""
    times = {20: (1 << 22) + 1}
    (folder := tmp_path / "up").mkdir()
    for number in range(21):
        (folder / f"{number}").write_bytes(b"%d" % number * times.get(number, 1))
    ports.blobs.upload_all("landing", {f"{loop}/{file.name}": file for file in folder.iterdir()})
    blobs = list(ports.blobs.list("landing", f"{loop}/"))
    assert len(blobs) == 21
    return {tmp_path / blob.name.rpartition("/")[2]: blob for blob in blobs}


def test_many_blobs_are_downloaded_each_to_its_place(ports: Ports, many: dict[Path, Blob]) -> None:
    ports.blobs.download_all(many)
    assert all(place.read_bytes()[:2] == place.name.encode()[:2] for place in many)
    assert [place.stat().st_size for place in many] == [blob.size_bytes for blob in many.values()]
    ports.blobs.download_all({})


def test_one_of_many_blobs_that_was_overwritten_is_a_conflict(ports: Ports, many: dict[Path, Blob]) -> None:
    changed = list(many.values())[7]
    ports.blobs.upload("landing", changed.name, b"another")
    with pytest.raises(Conflict, match="overwritten or deleted"):
        ports.blobs.download_all(many)


class Together(BoundedTransport):
    """Answers no request for a blob until another one is made."""

    other = threading.Barrier(2)

    def send(self, request: Any, **kwargs: Any) -> Any:
        if request.method == "GET" and not request.url.endswith("/20"):
            self.other.wait(60)
        return super().send(request, **kwargs)


def test_many_small_blobs_are_not_waited_for_one_by_one(ports: Ports, many: dict[Path, Blob]) -> None:
    if isinstance(ports, MemoryPorts):
        pytest.skip("nothing is waited for in memory")
    clients = Clients(Settings.from_environment(os.environ), credential(), Together)
    AzureBlobs(clients.blobs(), clients.blobs).download_all(many)
    small = {place: blob for place, blob in many.items() if blob.size_bytes < 100}
    with deadline.within(0), pytest.raises(deadline.TimeIsUp):  # their threads know the end, too
        ports.blobs.download_all(small)


def test_an_empty_blob_is_downloaded(ports: Ports, loop: str, tmp_path: Path) -> None:
    blob = ports.blobs.upload("landing", f"{loop}/empty", b"")

    ports.blobs.download(blob, tmp_path / "a")

    assert (tmp_path / "a").read_bytes() == b""


def test_no_blob_is_none(ports: Ports, loop: str) -> None:
    assert ports.blobs.find("landing", f"{loop}/none") is None
    assert list(ports.blobs.list("landing", f"{loop}/")) == []


def test_an_overwritten_blob_is_not_read_in_place_of_the_one_that_was_meant(
    ports: Ports, loop: str, tmp_path: Path
) -> None:
    first = ports.blobs.upload("landing", f"{loop}/a.csv", b"first")
    second = ports.blobs.upload("landing", f"{loop}/a.csv", b"second")
    assert first.etag != second.etag

    with pytest.raises(Conflict, match="overwritten or deleted"):
        ports.blobs.download(first, tmp_path / "a")
    with pytest.raises(Conflict, match="overwritten or deleted"):
        ports.blobs.quarantine(first, "{}")


def test_a_deleted_blob_is_a_conflict(ports: Ports, loop: str, tmp_path: Path) -> None:
    blob = ports.blobs.upload("landing", f"{loop}/a.csv", b"first")

    with pytest.raises(Conflict, match="overwritten or deleted"):
        ports.blobs.download(replace(blob, name=f"{loop}/b.csv"), tmp_path / "a")


@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_hostile_names_stay_names(ports: Ports, loop: str, tmp_path: Path, name: str) -> None:
    blob = ports.blobs.upload("landing", f"{loop}/{name}", b"data")

    listed = [one.name for one in ports.blobs.list("landing", f"{loop}/")]
    assert [one.replace("\\", "/") for one in listed] == [f"{loop}/{name}".replace("\\", "/")]
    ports.blobs.download(blob, tmp_path / "a")
    ports.blobs.quarantine(blob, '{"code": "name"}')
    assert ports.blobs.find("landing", f"{loop}/{name}") == blob
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


@pytest.mark.parametrize("name", [*UNADDRESSABLE, "..", "", "x" * 1025], ids=ascii)
def test_names_that_would_lead_elsewhere_are_rejected(ports: Ports, tmp_path: Path, name: str) -> None:
    blob = Blob("landing", name, "0x1", 1, ports.clock.now())

    with pytest.raises(InputRejected, match="cannot be addressed"):
        ports.blobs.find("landing", name)
    with pytest.raises(InputRejected, match="cannot be addressed"):
        ports.blobs.download(blob, tmp_path / "a")
    ports.blobs.quarantine(blob, '{"code": "blob-name"}')


@pytest.mark.parametrize("container", ["", "..", "a/b", "UPPER", "a?b", "-a-", "x" * 64])
def test_what_is_no_container_is_rejected(ports: Ports, container: str) -> None:
    with pytest.raises(InputRejected, match="not a container name"):
        ports.blobs.find(container, "a")


def test_quarantine_can_be_repeated(ports: Ports, loop: str, tmp_path: Path) -> None:
    blob = ports.blobs.upload("landing", f"{loop}/a.csv", b"data")

    ports.blobs.quarantine(blob, '{"code": "first"}')
    ports.blobs.quarantine(blob, '{"code": "again"}')

    assert reason(ports, blob, tmp_path / "reason") == '{"code": "again"}'


def reason(ports: Ports, blob: Blob, to: Path) -> str:
    """What stands beside a quarantined blob."""
    if isinstance(ports, MemoryPorts):
        return ports.blobs.quarantined[blob.container, blob.name, blob.etag]
    place = f"{blob.container}/{blob.name}/{blob.etag}"
    copy, note = (ports.blobs.find("quarantine", name) for name in (place, f"{place}.reason.json"))
    assert copy is not None and note is not None and copy.size_bytes == blob.size_bytes
    ports.blobs.download(note, to)
    return to.read_text()


PARTNER = "partner:outbox"
"""A container of somebody else's account, which the local Azure has beside ours."""


@pytest.mark.skipif(VERIFIED, reason="no Azure account of somebody else is known here")
def test_a_blob_of_another_account_is_read_as_one_of_ours(ports: Ports, loop: str, tmp_path: Path) -> None:
    content = b"a,b\n1,2\n" * 1000
    ours = ports.blobs.upload("landing", f"{loop}/a.csv", b"another one")
    blob = ports.blobs.upload(PARTNER, f"{loop}/a.csv", content)
    assert ports.blobs.find(PARTNER, f"{loop}/a.csv") == blob
    assert list(ports.blobs.list(PARTNER, f"{loop}/")) == [blob]
    ports.blobs.download(blob, tmp_path / "a")
    assert (tmp_path / "a").read_bytes() == content
    assert ports.blobs.find("landing", f"{loop}/a.csv") == ours


@pytest.mark.skipif(VERIFIED, reason="no Azure account of somebody else is known here")
def test_what_is_quarantined_of_another_account_lies_in_ours(ports: Ports, loop: str, tmp_path: Path) -> None:
    content = bytes(range(256)) * 20_000  # more than one request brings
    blob = ports.blobs.upload(PARTNER, f"{loop}/a.csv", content)
    for note in ('{"code": "first"}', '{"code": "again"}'):
        ports.blobs.quarantine(blob, note)
    assert reason(ports, blob, tmp_path / "note") == note
    if not isinstance(ports, MemoryPorts):
        kept = ports.blobs.find("quarantine", f"{blob.container}/{blob.name}/{blob.etag}")
        assert kept is not None
        ports.blobs.download(kept, tmp_path / "kept")
        assert (tmp_path / "kept").read_bytes() == content
    ports.blobs.upload(PARTNER, f"{loop}/a.csv", b"overwritten")
    with pytest.raises(Conflict):
        ports.blobs.quarantine(blob, "{}")


def test_a_version_is_written_once(ports: Ports, loop: str, tmp_path: Path) -> None:
    file = tmp_path / "train.parquet"
    file.write_bytes(b"rows")

    ports.versions.write(f"{loop}/1/train/a", file)
    ports.versions.write(f"{loop}/1/train/a", file)

    assert ports.versions.read(f"{loop}/1/train/a") == b"rows"
    file.write_bytes(b"ROWS")
    with pytest.raises(InvariantBroken, match="other content"):
        ports.versions.write(f"{loop}/1/train/a", file)
    assert ports.versions.read(f"{loop}/1/train/a") == b"rows"


def test_a_version_that_is_gone_is_told(ports: Ports, loop: str) -> None:
    with pytest.raises(InvariantBroken, match="is gone"):
        ports.versions.read(f"{loop}/1/none")


def test_a_window_is_put_together_from_versions(ports: Ports, loop: str, tmp_path: Path) -> None:
    for number in (1, 2):
        (tmp_path / "file").write_bytes(f"rows {number}".encode())
        ports.versions.write(f"{loop}/{number}/train/a", tmp_path / "file")
    parts = {f"v{number}.parquet": f"{loop}/{number}/train/a" for number in (1, 2)}

    ports.versions.assemble(f"{loop}/window", parts)
    ports.versions.assemble(f"{loop}/window", parts)

    assert ports.versions.list(f"{loop}/window/") == [f"{loop}/window/v{number}.parquet" for number in (1, 2)]
    assert ports.versions.read(f"{loop}/window/v2.parquet") == b"rows 2"
    with pytest.raises(InvariantBroken):
        ports.versions.assemble(f"{loop}/window", {"v1.parquet": f"{loop}/2/train/a"})
    with pytest.raises(InvariantBroken, match="is gone"):
        ports.versions.assemble(f"{loop}/window", {"v3.parquet": f"{loop}/3/train/a"})


def test_a_data_asset_is_registered_once(ports: Ports, loop: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"rows")
    ports.versions.write(f"{loop}/1/train/a", tmp_path / "file")
    tags = {"Length": "1", "driftloop.loop": loop}

    asset = ports.versions.register(loop, "1", f"{loop}/1", tags, "the first")

    assert ports.versions.register(loop, "1", f"{loop}/1", tags, "the first") == asset
    another = ports.versions.register(loop, "1", f"{loop}/2", tags, "another")
    assert same_asset(another, f"azureml:{loop}:1-2"), "a version that is somebody else's stays theirs"
    assert ports.versions.register(loop, "1", f"{loop}/2", tags, "another") == another


@pytest.mark.parametrize("kind", [WindowKind.ROWS, WindowKind.FILES])
def test_a_table_names_the_parts_of_versions_and_copies_none(
    ports: Ports, loop: str, tmp_path: Path, kind: WindowKind
) -> None:
    """By addresses in full: reference-yaml-mltable.md, and azureml-examples#2048 for a short one."""
    parts = [f"{loop}/{number}/train/part-0.parquet" for number in (1, 2)]
    for part in parts:
        (tmp_path / "file").write_bytes(part.encode())
        ports.versions.write(part, tmp_path / "file")

    ports.versions.tabulate(f"{loop}/t", parts, kind)
    ports.versions.tabulate(f"{loop}/t", parts, kind)

    assert ports.versions.list(f"{loop}/t/") == [f"{loop}/t/MLTable"]
    said = yaml.safe_load(ports.versions.read(f"{loop}/t/MLTable"))
    assert (said["type"], said.get("transformations")) == (
        "mltable",
        [{"read_parquet": {"include_path_column": False}}] if kind is WindowKind.ROWS else None,
    )
    addresses = [path["file"] for path in said["paths"]]
    assert [
        address.partition("/paths/")[2] or address.partition("versions/")[2] for address in addresses
    ] == parts
    with pytest.raises(InvariantBroken, match="other content"):
        ports.versions.tabulate(f"{loop}/t", parts[:1], kind)

    asset = ports.versions.register(f"{loop}-t", "1", f"{loop}/t", {"versions": "1,2"}, "both", kind)

    assert ports.versions.register(f"{loop}-t", "1", f"{loop}/t", {}, "both", kind) == asset
    assert same_asset(asset, f"azureml:{loop}-t:1")


def test_a_message_is_in_the_queue_as_it_was_put(ports: Ports, loop: str) -> None:
    message = json.dumps({"text": f"ü {loop}"}, ensure_ascii=False)

    ports.queue.put(message)

    assert message in waiting(ports)


def waiting(ports: Ports) -> list[str]:
    """What the queue holds, decoded as the Functions host decodes it."""
    if isinstance(ports, MemoryPorts):
        return ports.queue.messages
    if VERIFIED:
        pytest.skip("the deployed app takes the message before anyone else can look")
    clients = Clients(Settings.from_environment(os.environ), credential(), BoundedTransport)
    taken = clients.queue().receive_messages(messages_per_page=32, visibility_timeout=30)
    return [base64.b64decode(one.content).decode() for one in taken]


def test_what_failed_five_times_is_handed_over_until_it_is_removed(ports: Ports, loop: str) -> None:
    texts = [f'{{"InsertionTime": "{loop}"}}', f"no JSON of {loop}"]
    if isinstance(ports.queue, MemoryQueue):
        ports.queue.failed += texts
    else:
        with Clients(Settings.from_environment(os.environ), credential()).queue(poison=True) as queue:
            for text in texts:
                queue.send_message(text)

    mine = [one for one in ports.queue.poisoned() if loop in one.text]

    assert [one.text for one in mine] == texts
    for one in mine:
        ports.queue.remove(one)
        ports.queue.remove(one)  # already gone: nothing happens
    assert [one for one in ports.queue.poisoned() if loop in one.text] == []


def test_messages_are_enqueued(ports: Ports) -> None:
    ports.queue.put('{"text": "ü"}')


@pytest.mark.parametrize("size", [100, 40 * 1024 * 1024])
def test_a_blob_that_says_that_it_is_gzip_is_downloaded_as_it_is_stored(
    ports: Ports, loop: str, tmp_path: Path, size: int
) -> None:
    """github.com/Azure/azure-sdk-for-python/issues/23714: the SDK unpacks by itself, and fails above one chunk."""
    from azure.storage.blob import ContentSettings

    from shared.azure.blobs import AzureBlobs

    if not isinstance(ports.blobs, AzureBlobs):
        pytest.skip("blobs in memory have no properties")
    packed = gzip.compress(random.Random(1).randbytes(size), 1)
    client = ports.blobs._service.get_blob_client("landing", f"{loop}/a.csv")
    client.upload_blob(
        packed, content_settings=ContentSettings(content_encoding="gzip", content_type="text/csv")
    )
    blob = ports.blobs.find("landing", f"{loop}/a.csv")
    assert blob is not None
    ports.blobs.download(blob, tmp_path / "a")
    assert (tmp_path / "a").read_bytes() == packed


@pytest.mark.parametrize("mark", ["hdi_isfolder", "Hdi_isfolder"])
def test_a_directory_is_no_blob(ports: Ports, loop: str, mark: str) -> None:
    """github.com/Azure/azure-sdk-for-python/issues/30470: a listing shows directories as empty blobs with a mark; with
    a capital where Go wrote it (fsspec/adlfs#418, Azure/azure-storage-azcopy#3312)."""
    from shared.azure.blobs import AzureBlobs

    if not isinstance(ports.blobs, AzureBlobs):
        pytest.skip("blobs in memory have no directories")
    client = ports.blobs._service.get_blob_client("landing", f"{loop}/run1")
    client.upload_blob(b"", metadata={mark: "true"})
    kept = ports.blobs.upload("landing", f"{loop}/run1/part-0.csv", b"a,b\n1,2\n")
    assert list(ports.blobs.list("landing", f"{loop}/")) == [kept]
    assert ports.blobs.find("landing", f"{loop}/run1") is None
