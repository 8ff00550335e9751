"""Accounts with folders (ADLS Gen2, SFTP): a rename tells of what no other event does, and a file has two events.

Shapes: learn.microsoft.com/azure/event-grid/event-schema-blob-storage, "Data Lake Storage Gen 2 events" and
"SFTP events". That a renamed file has no BlobCreated, and a renamed folder one event for all that is in it, is what the
schema there leaves no room for; github.com/MicrosoftDocs/azure-docs/issues/47857 reports the same of indexers.
"""

from __future__ import annotations

import json

import pytest

from shared.domain.event import InboxRecord, InboxState
from shared.domain.reason import Code
from shared.domain.version import DataVersion
from shared.errors import ConfigurationError
from shared.inbox import messages, recorder, unrouted
from shared.inbox.blob_events import Landed, Renamed
from shared.ports import Blob
from shared.runtime import tick
from shared.state import rows
from tests.engine.world import ACCOUNT, LOOP, World, csv, season

DFS = ACCOUNT.replace(".blob.", ".dfs.")


def renamed(source: str, destination: str, kind: str = "BlobRenamed", api: str = "RenameFile") -> str:
    data = {
        "api": api,
        "destinationUrl": f"{DFS}/{destination}",
        "sourceUrl": f"{DFS}/{source}",
        "sequencer": "00000000000004420000000000028963",
    }
    return json.dumps({"eventType": f"Microsoft.Storage.{kind}", "data": data, "dataVersion": "1"})


def folder(source: str, destination: str) -> str:
    return renamed(source, destination, "DirectoryRenamed", "RenameDirectory")


def created(api: str, name: str, etag: str = "0x1") -> str:
    data = {"api": api, "eTag": f'"{etag}"', "url": f"{DFS}/landing/birds/{name}", "contentLength": 0}
    return json.dumps({"type": "Microsoft.Storage.BlobCreated", "data": data, "specversion": "1.0"})


def versions(world: World) -> list[DataVersion]:
    found = world.ports.store.range("birds", "version-", limit=99)
    return [rows.decode(DataVersion, row) for row in found]


def records(world: World) -> list[InboxRecord]:
    return [rows.decode(InboxRecord, row) for row in world.ports.store.range("birds", "inbox-", limit=99)]


@pytest.mark.parametrize("api", ["RenameFile", "SftpRename"])
def test_a_file_that_is_renamed_into_the_landing_folder_is_a_drop(api: str) -> None:
    """Writers that finish by a rename: "write to a temporary name, then move"."""
    world = World()
    world.publish()
    world.land("2007.csv", csv(season(2007)))
    world.send(renamed("landing/staging/2007.csv", "landing/birds/2007.csv", api=api))
    (version,) = versions(world)
    assert version.source == "landing/birds/2007.csv" and version.rows == len(season(2007))
    (record,) = records(world)
    assert record.body["sequencer"] == "00000000000004420000000000028963"
    assert tick.sweep(world.ports) == 0, "the sweep knows it as the same drop"


@pytest.mark.parametrize("ending", ["._COPYING_", ".filepart", ".part", ".tmp", ".CRDOWNLOAD", "~"])
def test_a_file_whose_name_says_that_it_is_being_written_is_a_drop_once_it_is_renamed(ending: str) -> None:
    """`hadoop fs -put` and WinSCP (by default; Microsoft's page on SFTP has it disabled) write so, beside the file that
    it will be. Of an upload that breaks off half a file stays, whose closing is told of as that of a whole one."""
    world = World()
    world.publish()
    half = world.land(f"2007.csv{ending}", csv(season(2007).head(60)))  # cut at a line's end
    world.send(half)
    assert tick.sweep(world.ports) == 0
    (record,) = records(world)
    assert record.state is InboxState.IGNORED and versions(world) == []
    assert record.reason is not None and record.reason.code is Code.UNFINISHED_NAME
    world.land("2007.csv", csv(season(2007)))
    world.send(renamed(f"landing/birds/2007.csv{ending}", "landing/birds/2007.csv", api="SftpRename"))
    (version,) = versions(world)
    assert version.rows == len(season(2007))


def test_what_went_on_before_its_rename_was_read_is_told_of_by_its_next_event() -> None:
    world = World()
    world.publish()
    world.send(renamed("landing/staging/2007.csv", "landing/birds/2007.csv"))
    assert records(world) == [] and unrouted.newest(world.ports, 9) == []


@pytest.mark.parametrize(
    ("source", "target"),
    [
        ("landing/staging/run1", "landing/birds/run1"),
        ("landing/staging/", "landing/birds/"),
        ("x", "landing/birds"),
    ],
)
def test_a_folder_that_is_renamed_into_place_is_one_drop(source: str, target: str) -> None:
    """Its own name, that of the landing place, or one above it: of what is in it the one event tells."""
    world = World()
    world.publish()
    for part, year in enumerate((2007, 2008)):
        world.land(f"run1/part-{part}.csv", csv(season(year)))
    world.clock.advance(1)
    world.land("run1/_SUCCESS", b"")
    world.send(folder(source, target))
    (version,) = versions(world)
    assert version.source == "landing/birds/run1/"
    assert version.rows == len(season(2007)) + len(season(2008))


def test_a_folder_that_is_renamed_is_complete_once_it_has_been_quiet() -> None:
    """Its files keep the times at which they were written."""
    world = World()
    world.publish(LOOP.replace("target: species", "complete: {quiet: 10m}, target: species"))
    world.land("run1/part-0.csv", csv(season(2007)))
    world.clock.advance(3600)
    world.send(folder("landing/staging/run1", "landing/birds/run1"))
    world.ticks(2)
    assert versions(world) == []
    world.ticks(2, seconds=600)
    (version,) = versions(world)
    assert version.source == "landing/birds/run1/"


@pytest.mark.parametrize("name", ["a%20b.csv", "%2F.csv"])
def test_a_name_that_no_escape_was_made_in_is_found(name: str) -> None:
    """Some clients send names as they are (github.com/Azure/azure-sdk-for-net/issues/23634)."""
    world = World()
    world.publish()
    event = world.land(name, csv(season(2007)))
    world.send(event)
    assert [version.rows for version in versions(world)] == [len(season(2007))]
    world.land(f"x{name}", csv(season(2008)))
    world.send(renamed("landing/staging/a.csv", f"landing/birds/x{name}"))
    assert len(versions(world)) == 2


def test_a_rename_beside_every_landing_place_is_kept_with_its_reason() -> None:
    world = World()
    world.publish()
    world.send(folder("landing/a", "landing/birdsong"))
    ((_, kept),) = unrouted.newest(world.ports, 9)
    assert kept.reason.code.value == "no-landing"


def test_a_rename_of_another_account_is_foreign() -> None:
    world = World()
    world.publish()
    world.send(renamed("landing/a", "landing/birds/a").replace("account.dfs", "evil.example"))
    ((_, kept),) = unrouted.newest(world.ports, 9)
    assert kept.reason.code.value == "foreign-account"


def test_a_rename_to_what_is_no_name_is_kept_with_its_reason() -> None:
    world = World()
    world.publish()
    world.land("2007.csv", csv(season(2007)))
    odd, good = (renamed("landing/a", f"landing/birds/{name}") for name in ("a%01b.csv", "2007.csv"))
    assert recorder.receive(world.ports, f"[{odd}, {good}]", ACCOUNT) == ["birds"]
    ((_, kept),) = unrouted.newest(world.ports, 9)
    assert kept.reason.code.value == "blob-name"
    assert len(records(world)) == 1


def test_a_rename_whose_place_cannot_be_read_holds_up_no_other_event(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where somebody else's account has taken the app's role away."""
    world = World()
    world.publish()
    world.land("2007.csv", csv(season(2007)))
    names, find = [f"{year}.csv" for year in (2006, 2007, 2008)], world.ports.blobs.find

    def refused(container: str, name: str) -> Blob | None:
        if name != "birds/2007.csv":
            raise ConfigurationError("Looking for a blob was refused.")
        return find(container, name)

    monkeypatch.setattr(world.ports.blobs, "find", refused)
    for name in names:
        recorder.keep_poison(world.ports, renamed("landing/a", f"landing/birds/{name}"))
    assert tick.sweep(world.ports, ACCOUNT) == 1
    assert [one.body["name"] for one in records(world)] == ["birds/2007.csv"]
    assert sorted(one.reason.code.value for _, one in unrouted.newest(world.ports, 9)) == [
        "poison",
        "poison",
        "replayed",
    ]


def test_a_folder_ends_although_nothing_was_written_into_its_last_file() -> None:
    """A client that writes nothing need not flush: of `_SUCCESS` there may be no event but that it was made."""
    seen = messages.parse(created("CreateFile", "run1/_SUCCESS"), ACCOUNT)
    assert seen == Landed("landing", "birds/run1/_SUCCESS", "0x1", "")
    world = World()
    world.publish()
    world.land("run1/part-0.csv", csv(season(2007)))
    blob = world.ports.blobs.upload("landing", "birds/run1/_SUCCESS", b"")
    world.send(created("CreateFile", "run1/_SUCCESS", blob.etag))
    assert len(versions(world)) == 1


def test_a_folder_whose_end_is_flushed_after_all_is_read_once() -> None:
    world = World()
    world.publish()
    world.land("run1/part-0.csv", csv(season(2007)))
    for api in ("CreateFile", "FlushWithClose"):
        blob = world.ports.blobs.upload("landing", "birds/run1/_SUCCESS", b"")
        world.send(created(api, "run1/_SUCCESS", blob.etag))
    assert len(versions(world)) == 1
    assert sorted(one.state for one in records(world)) == [InboxState.DONE, InboxState.DUPLICATE]


@pytest.mark.parametrize(("first", "last"), [("CreateFile", "FlushWithClose"), ("SftpCreate", "SftpCommit")])
def test_a_file_is_read_once_it_is_written_in_whichever_order_its_events_come(first: str, last: str) -> None:
    """An SftpCommit states a length of 0 in the documentation's own sample: the blob is asked, not the event."""
    world = World()
    world.publish()
    begun = world.ports.blobs.upload("landing", "birds/2007.csv", b"").etag
    written = world.ports.blobs.upload("landing", "birds/2007.csv", csv(season(2007))).etag
    world.send(created(last, "2007.csv", written))
    world.send(created(first, "2007.csv", begun))
    assert [version.etag for version in versions(world)] == [written]
    assert [record.state for record in records(world)] == [InboxState.DONE]


def test_the_same_rename_delivered_twice_is_one_drop() -> None:
    world = World()
    world.publish()
    world.land("2007.csv", csv(season(2007)))
    event = renamed("landing/staging/2007.csv", "landing/birds/2007.csv")
    assert recorder.receive(world.ports, event, ACCOUNT) == ["birds"]
    world.send(event)
    assert len(records(world)) == 1 and len(versions(world)) == 1


def test_a_rename_is_read_in_both_schemas() -> None:
    event = json.loads(folder("landing/a", "landing/birds/r%C3%BCn"))
    cloud = {"type": event["eventType"], "data": event["data"], "specversion": "1.0"}
    for one in (event, cloud):
        seen = messages.parse(json.dumps(one), ACCOUNT)
        assert isinstance(seen, Renamed) and (seen.container, seen.name) == ("landing", "birds/rün/")
