"""A folder is complete when it is quiet, or when its manifest says so; late, missing and different files are named."""

from __future__ import annotations

import gzip
import hashlib
import json
from base64 import b64encode
from dataclasses import replace
from datetime import timedelta
from typing import NoReturn

import pytest

from cli import diagnosis, doctor
from shared.domain.event import InboxRecord, InboxState
from shared.domain.reason import Code
from shared.domain.version import DataVersion
from shared.errors import DependencyUnavailable, InputRejected
from shared.intake import folders, manifest
from shared.loopfile import LoopFileError, parse
from shared.state import rows
from shared.words import say, say_all
from tests.engine.world import ACCOUNT, LOOP, World, created, csv, season

QUIET = LOOP.replace("landing: landing/birds/", "landing: landing/birds/, complete: {quiet: 10m}")
MANIFEST = LOOP.replace(
    "landing: landing/birds/", "landing: landing/birds/, complete: {manifest: manifest.json, wait: 10m}"
)
FIRST, SECOND = season(2007), season(2008)


def world(plan: str) -> World:
    found = World()
    found.publish(plan)
    return found


def versions(world: World) -> list[DataVersion]:
    return [rows.decode(DataVersion, row) for row in world.ports.store.range("birds", "version-", limit=9)]


def record(world: World, name: str) -> InboxRecord:
    every = [rows.decode(InboxRecord, row) for row in world.ports.store.range("birds", "inbox-", limit=99)]
    return next(one for one in every if one.body.get("name") == f"birds/{name}" and "folder" not in one.body)


# --- quiet ---------------------------------------------------------------------------------------


def test_a_folder_is_one_version_once_nothing_has_landed_in_it_for_so_long() -> None:
    birds = world(QUIET)
    birds.drop("2007/part-0.csv", csv(FIRST))
    birds.ticks(1, seconds=599)
    birds.drop("2007/part-1.csv", csv(SECOND))
    assert "read once nothing has landed there for 0:10:00" in say(record(birds, "2007/part-1.csv").reason)
    birds.ticks(1, seconds=599)
    assert versions(birds) == [], "its time began anew with the second file"
    due = birds.ports.store.overviews()[0].due_at
    assert due is not None and due <= birds.clock.now() + timedelta(seconds=2)
    birds.ticks(2, seconds=2)
    (version,) = versions(birds)
    assert (version.rows, version.source) == (len(FIRST) + len(SECOND), "landing/birds/2007/")


def test_a_file_whose_event_is_still_on_its_way_keeps_the_folder_open() -> None:
    birds = world(QUIET)
    birds.drop("2007/part-0.csv", csv(FIRST))
    birds.clock.advance(500)
    told_late = birds.land("2007/part-1.csv", csv(SECOND))
    birds.ticks(3, seconds=60)
    assert versions(birds) == []
    birds.ticks(3, seconds=300)
    birds.send(told_late)
    birds.ticks(2)
    (version,) = versions(birds)
    assert version.rows == len(FIRST) + len(SECOND)
    assert birds.state.set_aside == (), "it is in the version, so it is not late"


def renamed(birds: World, name: str, content: bytes) -> None:
    """What was written elsewhere an hour ago is given this name: it keeps its times, and its event names the folder
    (MicrosoftDocs/azure-docs#47857)."""
    birds.land(name, content)
    found = birds.ports.blobs._blobs
    blob, written = found["landing", f"birds/{name}"]
    before = blob.created_at - timedelta(hours=1)
    found["landing", f"birds/{name}"] = (replace(blob, created_at=before), written)


def moved(name: str) -> str:
    data = {"destinationUrl": f"{ACCOUNT.replace('.blob.', '.dfs.')}/landing/birds/{name}"}
    return json.dumps({"eventType": "Microsoft.Storage.DirectoryRenamed", "data": data})


def test_folders_that_are_renamed_into_one_are_quiet_from_their_events_on() -> None:
    birds = world(QUIET)
    for year, rows_of in ((2008, SECOND), (2007, FIRST)):
        renamed(birds, f"run/year={year}/part-0.csv", csv(rows_of.drop(columns="year")))
        birds.send(moved(f"run/year={year}"))
        birds.ticks(2)
    assert versions(birds) == []
    birds.ticks(3, seconds=590)
    assert [one.rows for one in versions(birds)] == [len(FIRST) + len(SECOND)]


def test_what_was_renamed_into_a_quiet_folder_without_an_event_keeps_it_open() -> None:
    birds = world(QUIET)
    birds.drop("run/part-0.csv", csv(FIRST))
    birds.clock.advance(590)
    renamed(birds, "run/part-1.csv", csv(SECOND))
    birds.ticks(3, seconds=100)
    assert versions(birds) == []
    birds.ticks(3, seconds=400)
    assert [one.rows for one in versions(birds)] == [len(FIRST) + len(SECOND)]


def test_what_was_renamed_into_a_folder_after_it_was_read_is_late_whenever_it_was_written() -> None:
    birds = world(QUIET)
    birds.drop("run/part-0.csv", csv(FIRST))
    birds.ticks(3, seconds=601)
    renamed(birds, "run/part-1.csv", csv(SECOND))
    birds.send(moved("run"))
    birds.ticks(1)
    late = record(birds, "run/part-1.csv").reason
    assert late is not None and late.code is Code.LATE_FILE
    read = record(birds, "run/part-0.csv").reason
    assert read is not None and read.code is Code.FOLDER_NOT_QUIET, "it is in the version"


# --- copies --------------------------------------------------------------------------------------


def test_a_file_that_is_being_copied_keeps_its_folder_open() -> None:
    birds = world(QUIET)
    birds.drop("run/part-0.csv", csv(FIRST))
    begun = birds.ports.blobs.copy("landing", "birds/run/part-1.csv", "pending")
    birds.send(created(f"{ACCOUNT}/landing/{begun.name}", begun.etag))
    birds.ticks(5, seconds=500)
    assert versions(birds) == []
    birds.land("run/part-1.csv", csv(SECOND))
    birds.ticks(4, seconds=601)
    assert [one.rows for one in versions(birds)] == [len(FIRST) + len(SECOND)]


@pytest.mark.parametrize("ended", ["succeeded", "failed", "never"])
def test_a_folder_that_has_ended_waits_for_what_is_being_copied(ended: str) -> None:
    birds = world(LOOP)
    birds.drop("run/part-0.csv", csv(FIRST))
    birds.ports.blobs.copy("landing", "birds/run/part-1.csv", "pending")
    birds.drop("run/_SUCCESS", b"")
    birds.ticks(2, seconds=60)
    waits = birds.ports.store.overviews()[0].needs_attention
    assert versions(birds) == [] and waits is not None and Code.COPY_UNDER_WAY in waits.codes()
    if ended == "succeeded":
        birds.land("run/part-1.csv", csv(SECOND))
    elif ended == "failed":
        birds.ports.blobs.copy("landing", "birds/run/part-1.csv", "failed")
    birds.ticks(2, seconds=3600)
    found = record(birds, "run/_SUCCESS")
    if ended == "succeeded":
        assert [one.rows for one in versions(birds)] == [len(FIRST) + len(SECOND)]
    else:
        assert found.reason is not None and found.reason.code is Code.COPY_INCOMPLETE
        assert "part-1.csv" in say(found.reason) and versions(birds) == []


def test_what_lands_after_the_folder_was_read_is_told_by_name_and_nothing_is_read_twice() -> None:
    birds = world(QUIET)
    birds.drop("2007/part-0.csv", csv(FIRST))
    birds.ticks(3, seconds=601)
    birds.drop("2007/part-1.csv", csv(SECOND))
    birds.ticks(3, seconds=601)
    assert len(versions(birds)) == 1
    late = record(birds, "2007/part-1.csv")
    assert late.state is InboxState.QUARANTINED
    assert "after its folder landing/birds/2007 was read as version 1" in say(late.reason)
    assert [one.source for one in birds.state.set_aside] == ["landing/birds/2007/part-1.csv"]
    birds.drop("2007/_SUCCESS", b"")
    assert [one.rows for one in versions(birds)] == [len(FIRST), len(FIRST) + len(SECOND)]


def test_what_lands_before_a_quiet_folder_could_be_read_is_read_with_it_and_nothing_twice(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    birds = world(QUIET)
    birds.drop("2007/part-0.csv", csv(FIRST))

    def away(*_: object) -> NoReturn:
        raise DependencyUnavailable("the storage account does not answer")

    with monkeypatch.context() as patched:
        patched.setattr(birds.ports.blobs, "download", away)
        birds.ticks(2, seconds=601)
        birds.drop("2007/part-1.csv", csv(SECOND))
    birds.ticks(3, seconds=120)
    assert versions(birds) == [], "its time began anew"
    birds.ticks(3, seconds=400)
    assert [one.rows for one in versions(birds)] == [len(FIRST) + len(SECOND)]
    assert birds.state.set_aside == ()


def test_a_success_ends_the_folder_at_once_and_its_quiet_time_reads_it_no_second_time() -> None:
    birds = world(QUIET)
    birds.drop("2007/part-0.csv", csv(FIRST))
    birds.drop("2007/_SUCCESS", b"")
    assert len(versions(birds)) == 1
    before = birds.ledger()
    birds.ticks(3, seconds=601)
    assert (len(versions(birds)), birds.state.folders) == (1, {})
    assert [what for what in birds.ledger() if what.startswith("drop.")] == [
        what for what in before if what.startswith("drop.")
    ]


def test_folders_are_quiet_apart_and_files_beside_them_are_drops_of_their_own() -> None:
    birds = world(QUIET)
    birds.drop("a/year=2007/part-0.csv", csv(FIRST.drop(columns="year")))
    birds.drop("alone.csv", csv(SECOND))
    birds.drop("a/_temporary/0/part-0.csv", b"half of it")
    birds.drop("b/part-0.csv", csv(season(2009)))
    birds.ticks(1, seconds=300)
    birds.drop("a/year=2008/part-0.csv", csv(SECOND.drop(columns="year")))
    birds.ticks(4, seconds=301)
    found = {version.source.removeprefix("landing/birds/"): version.rows for version in versions(birds)}
    assert found == {"alone.csv": len(SECOND), "b/": len(season(2009)), "a/": len(FIRST) + len(SECOND)}


def test_more_folders_than_are_looked_after_at_once_wait_for_their_turn_and_hold_up_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each were one more name in the loop's own row, and without that row not even an abort is done."""
    monkeypatch.setattr(folders, "MOST_FOLDERS", 2)
    birds = world(QUIET)
    for number in range(5):
        for part in ("1.csv", "2.csv"):
            rows_of = season(2007).assign(row_id=lambda frame, at=f"{number}{part}": frame.row_id + at)
            birds.drop(f"{number}/{part}", csv(rows_of))
    assert (len(birds.state.folders), birds.state.more_folders) == (2, True)
    birds.act("pause")
    assert birds.state.paused is not None
    birds.act("resume")
    birds.ticks(4, seconds=200)
    assert {one.source for one in versions(birds)} == {f"landing/birds/{number}/" for number in range(5)}
    assert (birds.state.folders, birds.state.more_folders) == ({}, False)
    assert birds.ports.store.range("birds", rows.FOLDER_WAITS) == []


def test_the_sweep_finds_a_folder_that_no_event_told_of() -> None:
    birds = world(QUIET)
    birds.land("2007/part-0.csv", csv(FIRST))
    assert birds.sweep() == 1
    birds.ticks(3, seconds=601)
    assert len(versions(birds)) == 1


# --- manifest ------------------------------------------------------------------------------------


def promised(content: bytes, name: str = "part-0.csv", **changes: object) -> dict[str, object]:
    return {
        "name": name,
        "size": len(content),
        "md5": hashlib.md5(content, usedforsecurity=False).hexdigest(),
        **changes,
    }


def told(*files: object) -> bytes:
    return json.dumps({"files": files}).encode()


def test_a_manifest_names_what_is_read_and_what_is_beside_it_is_told() -> None:
    birds = world(MANIFEST)
    birds.drop("2007/part-0.csv", csv(FIRST))
    birds.drop("2007/notes.csv", b"not,data\n1,2\n")
    birds.drop("2007/_SUCCESS", b"")
    assert versions(birds) == [], "this loop's folders end with a manifest"
    birds.drop("2007/manifest.json", told(promised(csv(FIRST))))
    (version,) = versions(birds)
    assert (version.rows, version.source) == (len(FIRST), "landing/birds/2007/")
    assert "'notes.csv' of the folder: not in the manifest, not read" in say_all(version.findings)


def test_a_manifest_waits_for_the_files_that_it_names_and_names_those_that_are_missing() -> None:
    birds = world(MANIFEST)
    birds.drop("2007/manifest.json", told(promised(csv(FIRST)), promised(csv(SECOND), "part-1.csv")))
    birds.drop("2007/part-0.csv", csv(FIRST)[:-1])
    birds.ticks(1, seconds=60)
    waits = birds.ports.store.overviews()[0].needs_attention
    assert "'part-0.csv' has" in say(waits)
    assert "'part-1.csv' has not landed" in say(waits)
    birds.drop("2007/part-0.csv", csv(FIRST))
    birds.drop("2007/part-1.csv", csv(SECOND))
    birds.ticks(2, seconds=60)
    (version,) = versions(birds)
    assert version.rows == len(FIRST) + len(SECOND)


def test_files_that_never_come_are_told_by_name_when_the_wait_is_over() -> None:
    birds = world(MANIFEST)
    birds.drop("2007/part-0.csv", csv(FIRST))
    birds.drop("2007/manifest.json", told(promised(csv(FIRST)), "part-1.csv"))
    birds.ticks(2, seconds=301)
    closed = record(birds, "2007/manifest.json")
    assert (closed.state, closed.reason and closed.reason.code) == (
        InboxState.QUARANTINED,
        Code.MANIFEST_DIFFERS,
    )
    assert "'part-1.csv' has not landed" in say(closed.reason)


def test_a_file_that_holds_something_else_is_told_by_name() -> None:
    birds = world(MANIFEST)
    birds.drop("2007/part-0.csv", csv(FIRST))
    birds.drop("2007/manifest.json", told(promised(csv(FIRST), md5="0" * 32)))
    closed = record(birds, "2007/manifest.json")
    assert (closed.state, versions(birds)) == (InboxState.QUARANTINED, [])
    assert "'part-0.csv' has MD5" in say(closed.reason)


def test_a_manifest_is_json_or_csv_with_an_md5_in_hex_or_as_azure_writes_it() -> None:
    md5 = hashlib.md5(b"x", usedforsecurity=False)
    for md5_text in (md5.hexdigest(), b64encode(md5.digest()).decode()):
        (found,) = manifest.read(f"name,size,md5\na.csv,1,{md5_text}\n".encode(), "m.csv")
        assert (found.name, found.size_bytes, found.md5) == ("a.csv", 1, md5.digest())
    assert [one.name for one in manifest.read(b'["a.csv", {"name": "b/c.csv"}]', "m.json")] == [
        "a.csv",
        "b/c.csv",
    ]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "gzip"])
def test_a_manifest_may_be_packed_and_encoded_as_files_may(encoding: str) -> None:
    text = '["ä.csv", "b.csv"]'
    content = gzip.compress(text.encode()) if encoding == "gzip" else text.encode(encoding)
    assert [one.name for one in manifest.read(content, "m.json")] == ["ä.csv", "b.csv"]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x1f\x8bhalf",
        b"[]",
        b"{",
        b'{"files": 3}',
        b'["../a"]',
        b'["/a"]',
        b'["a", "a"]',
        b'[{"size": 3}]',
        b'[{"name": "a", "md5": "x"}]',
        b'[{"name": "a", "size": 1e400}]',
        b"[1]",
        b"\xff",
    ],
)
def test_a_manifest_that_cannot_be_meant_is_rejected_by_name(content: bytes) -> None:
    with pytest.raises(InputRejected) as told_why:
        manifest.read(content, "m.json")
    assert told_why.value.code == "bad-manifest"


def test_quiet_or_a_manifest_but_not_both() -> None:
    for wrong, found in (("{}", "neither quiet nor manifest"), ("{quiet: 10m, manifest: m.json}", "both of")):
        with pytest.raises(LoopFileError, match=found):
            parse(QUIET.replace("{quiet: 10m}", wrong), file="loop.yaml")


@pytest.mark.parametrize(
    ("plan", "told"),
    [(LOOP, "have no _SUCCESS"), (MANIFEST, "have no manifest.json"), (QUIET, "")],
)
def test_the_doctor_misses_what_ends_this_loops_folders(plan: str, told: str) -> None:
    birds = world(plan)
    birds.land("2007/part-0.csv", csv(FIRST))
    (overview,) = birds.ports.store.overviews()
    found = [one for one in doctor._folders(birds.ports, overview) if one.state != diagnosis.OK]
    assert [told in one.what for one in found] == ([True] if told else [])
