"""A folder of partitions is one drop; what is no part of it does not count."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cli import app, session
from shared.domain.event import InboxRecord, InboxState
from shared.domain.reason import Code
from shared.domain.version import DataVersion
from shared.errors import InputRejected
from shared.reader import profile_files
from shared.runtime import tick
from shared.state import rows
from shared.words import say, say_all
from tests.engine.world import ACCOUNT, World, created, csv, season


def test_a_folder_of_partitions_becomes_one_version_with_their_columns() -> None:
    world = World()
    world.publish()
    for year in (2007, 2008):
        birds = season(year).drop(columns="year")
        world.land(f"all/year={year}/part-0.csv", csv(birds))
    world.land("all/_temporary/0/part-0.csv", b"half of it")
    world.land("all/year=2009/part-0.csv", b"")
    world.land("all/year=2008/part-1.csv.filepart", b"species\nhalf of")
    world.drop("all/_SUCCESS", b"")
    (row,) = world.ports.store.range("birds", "version-", limit=9)
    version = rows.decode(DataVersion, row)
    assert version.rows == len(season(2007)) + len(season(2008))
    assert version.columns["year"] == "integer"
    assert "0 bytes" in say_all(version.findings)


def test_a_folder_on_this_machine_is_read_as_the_app_reads_it(tmp_path: Path) -> None:
    world = World()
    world.publish()
    names = ("all/a.csv", "all/old/b.csv", "all/ended/c.csv", "all/ended/_SUCCESS", "all/_temporary/d.csv")
    for year, name in enumerate(names, 2007):
        content = csv(season(year)) if year < 2010 else b""
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(content)
        world.land(name, content)
    world.drop("all/_SUCCESS", b"")
    (row,) = world.ports.store.range("birds", "version-", limit=9)
    version, here = rows.decode(DataVersion, row), profile_files.profile(tmp_path / "all")
    assert here.profile.rows == version.rows == len(season(2007))
    (left_out,) = (words for words in here.findings if "not read" in words)
    assert left_out in say_all(version.findings) and "'old/b.csv'" in left_out
    with pytest.raises(InputRejected, match=r"no data file, but 'all/a\.csv'"):
        profile_files.profile(tmp_path)


def test_driftloop_drop_brings_the_partitions_of_a_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World()
    world.publish()
    monkeypatch.setattr(session, "ports", lambda: world.ports)
    for year in (2007, 2008):
        (tmp_path / f"all/year={year}").mkdir(parents=True)
        season(year).drop(columns="year").to_csv(tmp_path / f"all/year={year}/part-0.csv", index=False)
    (tmp_path / "all/notes").mkdir()
    (tmp_path / "all/notes/read-me.txt").write_text("about these birds")
    done = CliRunner().invoke(app, ["drop", "birds", str(tmp_path / "all")])
    assert done.exit_code == 0 and "left out: notes/read-me.txt" in done.output, done.output
    world.sweep()
    world.ticks(2)
    (row,) = world.ports.store.range("birds", "version-", limit=9)
    version = rows.decode(DataVersion, row)
    assert (version.rows, version.columns["year"]) == (len(season(2007)) + len(season(2008)), "integer")


@pytest.mark.parametrize(
    ("name", "why"),
    [("2007.csv.filepart", "still being written"), ("_2007.csv", "not data"), ("in/.2007.csv", "not data")],
)
def test_driftloop_drop_takes_no_name_that_the_app_would_pass_over(
    name: str, why: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World()
    world.publish()
    monkeypatch.setattr(session, "ports", lambda: world.ports)
    (tmp_path / "2007.csv").write_bytes(csv(season(2007)))
    done = CliRunner().invoke(app, ["drop", "birds", str(tmp_path / "2007.csv"), "--name", name])
    assert done.exit_code != 0 and f"{name}: " in str(done.exception) and why in str(done.exception)
    assert list(world.ports.blobs.list("landing", "birds/")) == []


def records(world: World) -> list[InboxRecord]:
    return [rows.decode(InboxRecord, row) for row in world.ports.store.range("birds", "inbox-", limit=9)]


def test_the_sweep_takes_no_file_that_is_only_begun() -> None:
    world = World()
    world.publish()
    world.land("over-sftp.csv", b"")
    assert tick.sweep(world.ports) == 0
    world.drop("over-sftp.csv", csv(season(2007)))
    assert [record.state for record in records(world)] == [InboxState.DONE]
    world.land("stays-empty.csv", b"")
    world.clock.advance(2 * 3600)
    assert tick.sweep(world.ports) == 1
    world.ticks()
    assert sorted(record.state for record in records(world)) == [InboxState.DONE, InboxState.QUARANTINED]


def test_the_sweep_takes_no_file_that_somebody_still_writes() -> None:
    """What is flushed can be read (apache/hadoop#2587), and only its close has an event (azure-docs#101653)."""
    world = World()
    world.publish()
    content = csv(season(2007))
    for size in (500, 1000):
        world.land("big.csv", content[:size])
        world.clock.advance(120)
        assert tick.sweep(world.ports) == 0
    world.drop("big.csv", content)
    world.sweep()
    assert [record.state for record in records(world)] == [InboxState.DONE]


def test_an_append_blob_is_read_once_nobody_appends_to_it() -> None:
    """It is made empty, and what is appended has no event
    (learn.microsoft.com/azure/event-grid/event-schema-blob-storage)."""
    world = World()
    world.publish()
    event = json.loads(world.land("log.csv", b""))
    event["data"] |= {"blobType": "AppendBlob", "contentLength": 0}
    world.send(json.dumps(event))
    world.land("log.csv", csv(season(2007)))
    world.sweep()
    world.ticks(2)
    assert [record.state for record in records(world)] == [InboxState.DONE]


def test_a_blob_that_is_being_copied_is_read_once_its_copy_has_ended() -> None:
    """The event comes when the copy begins (MicrosoftDocs/azure-docs#74041, #114316); its end has another ETag."""
    world = World()
    world.publish()
    begun = world.ports.blobs.copy("landing", "birds/a.csv", "pending")
    world.send(created(f"{ACCOUNT}/landing/birds/a.csv", begun.etag))
    assert world.sweep() == 0
    (record,) = records(world)
    assert record.state is InboxState.IGNORED and record.reason is not None
    assert record.reason.code is Code.COPY_UNDER_WAY
    world.land("a.csv", csv(season(2007)))
    assert world.sweep() == 1
    world.ticks(2)
    assert sorted(record.state for record in records(world)) == [InboxState.DONE, InboxState.IGNORED]


def test_a_copy_that_failed_says_so() -> None:
    world = World()
    world.publish()
    world.ports.blobs.copy("landing", "birds/a.csv", "failed")
    world.clock.advance(3600)
    assert world.sweep() == 1
    world.ticks(1)
    (record,) = records(world)
    assert record.reason is not None and record.reason.code is Code.COPY_INCOMPLETE
    assert "ended as failed" in say_all([record.reason])


def test_a_partition_of_a_column_whose_name_begins_with_a_mark_is_data() -> None:
    """As to Spark (SPARK-16975, apache/spark#31169)."""
    world = World()
    world.publish()
    world.land("run/year=2007/p.csv", csv(season(2007).drop(columns="year")))
    world.land("run/year=2008/_m=1/p.csv", csv(season(2008).drop(columns="year").assign(_m=1)))
    world.drop("run/_SUCCESS", b"")
    (record,) = [one for one in records(world) if one.body["name"].endswith("_SUCCESS")]
    assert record.reason is not None and record.reason.code is Code.MIXED_SCHEMAS, "no file is passed over"
    for year in (2007, 2008):
        world.land(f"all/_season={year}/p.csv", csv(season(year)))
    world.drop("all/_SUCCESS", b"")
    (row,) = world.ports.store.range("birds", "version-", limit=9)
    assert rows.decode(DataVersion, row).rows == len(season(2007)) + len(season(2008))


def test_files_of_an_ended_folder_that_lie_in_no_partition_are_told() -> None:
    world = World()
    world.publish()
    world.land("run/p.csv", csv(season(2007)))
    world.land("run/more/p.csv", csv(season(2008)))
    world.land("run/own/p.csv", csv(season(2009)))
    world.land("run/own/_SUCCESS", b"")
    world.drop("run/_SUCCESS", b"")
    (row,) = world.ports.store.range("birds", "version-", limit=9)
    told = say_all(rows.decode(DataVersion, row).findings)
    assert "'more/p.csv' of the folder: in no partition of it, not read" in told and "own" not in told
    world.land("deep/more/p.csv", csv(season(2008)))
    world.drop("deep/_SUCCESS", b"")
    (record,) = [one for one in records(world) if one.body["name"] == "birds/deep/_SUCCESS"]
    assert record.reason is not None and "'more/p.csv' in folders that are no partitions" in say(
        record.reason
    )


@pytest.mark.parametrize(
    "log",
    [
        "metadata/v1.metadata.json",
        ".hoodie/hoodie.properties",
        "year=2007/_delta_log/00000000000000000000.json",
        "year=2007/.hoodie_partition_metadata",
        "year=2007/metadata/v1.metadata.json",
    ],
)
def test_a_folder_of_a_table_with_deleted_rows_is_quarantined_by_name(log: str) -> None:
    world = World()
    world.publish()
    world.land("table/part-0.csv", csv(season(2007)))
    world.land(f"table/{log}", b"{}")
    world.drop("table/_SUCCESS", b"")
    (record,) = records(world)
    assert record.state is InboxState.QUARANTINED
    assert record.reason is not None and record.reason.code is Code.DELTA_TABLE
