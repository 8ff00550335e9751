"""Each commit of a Delta table below the landing prefix is a drop, of exactly that snapshot."""

from __future__ import annotations

import shutil
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner

from cli import app, diagnosis, doctor, session
from shared import loopfile
from shared.domain.event import InboxRecord, InboxState
from shared.domain.reason import Code
from shared.domain.version import DataVersion
from shared.retraining import start
from shared.state import rows
from shared.words import say, say_all
from tests.engine.world import LOOP, World, csv, season
from tests.events.test_renames import renamed
from tests.tables.written import Written

BIRDS = {
    "row_id": "string",
    "species": "string",
    "island": "string",
    "bill_length_mm": "double",
    "bill_depth_mm": "double",
    "flipper_length_mm": "double",
    "body_mass_g": "double",
    "sex": "string",
    "year": "long",
}


def birds(year: int) -> list[dict[str, object]]:
    frame = season(year)[[*BIRDS]].astype(object)
    return frame.where(pd.notna(frame), None).to_dict("records")


class Landing:
    """A table whose new files are landed, its data first, and whose events are sent."""

    def __init__(self, world: World, **how: object) -> None:
        self.world, self.table = world, Written(columns=dict(BIRDS), features=("deletionVectors",), **how)  # type: ignore[arg-type]
        self.there: set[str] = set()

    def events(self) -> list[str]:
        new = [name for name in self.table.files if name not in self.there]
        self.there |= set(new)
        last = [name for name in new if name.startswith("_delta_log/")]
        return [
            self.world.land(f"table/{name}", self.table.files[name])
            for name in (*(n for n in new if n not in last), *last)
        ]

    def land(self) -> None:
        for event in self.events():
            self.world.clock.advance(1)
            self.world.send(event)


@pytest.fixture
def world() -> World:
    made = World()
    made.publish()
    made.clock.advance(1)
    return made


def versions(world: World) -> list[DataVersion]:
    return [rows.decode(DataVersion, row) for row in world.ports.store.range("birds", "version-", limit=99)]


def commits(world: World) -> dict[int, InboxRecord]:
    """Of each commit its record, the one of its newest ETag."""
    found = [rows.decode(InboxRecord, row) for row in world.ports.store.range("birds", "inbox-", limit=999)]
    return {
        int(one.body["name"].rpartition("/")[2].removesuffix(".json")): one
        for one in sorted(found, key=lambda one: one.received_at)
        if one.body["name"].endswith(".json") and one.body["name"].count(".") == 1
    }


def test_each_commit_is_a_version_of_exactly_its_snapshot(world: World) -> None:
    landing = Landing(world, partitions=("island",))
    table = landing.table
    table.append(birds(2007))
    landing.land()
    table.append(birds(2008))
    landing.land()
    name = next(iter(table.live))
    table.delete_rows(name, set(range(5)))
    landing.land()
    table.commit(table.remove(name))
    landing.land()
    assert [v.rows for v in versions(world)] == [len(rows) for rows in table.history]
    assert versions(world)[0].columns["island"] == "string"
    assert versions(world)[-1].source == f"landing/birds/table/_delta_log/{3:020d}.json"
    assert versions(world)[-1].table == "landing/birds/table"


def test_a_commit_that_changes_no_row_is_no_version(world: World) -> None:
    landing = Landing(world)
    table = landing.table
    table.create()
    landing.land()
    table.append(birds(2007))
    table.append(birds(2008))
    landing.land()
    table.optimize()
    table.commit(table.meta())
    landing.land()
    table.checkpoint("classic", clean=True)
    landing.land()
    for number in range(table.version):
        world.ports.blobs.delete("landing", f"birds/table/_delta_log/{number:020d}.json")
    assert [v.rows for v in versions(world)] == [len(table.history[1]), len(table.history[2])]
    reasons = {n: record.reason.code for n, record in commits(world).items() if record.reason}
    assert reasons == {
        **dict.fromkeys((0, 3, 4), Code.DELTA_NO_CHANGE),
        **dict.fromkeys((1, 2), Code.BECAME_VERSION),
    }
    table.append(birds(2009))
    landing.land()
    assert versions(world)[-1].rows == len(table.rows), (
        "from the checkpoint, though the log before it is gone"
    )


def test_what_a_commit_brought_whose_files_are_gone_is_read_with_the_rewriting_after_it(world: World) -> None:
    """And a table whose newest commit before the loop is such a rewriting is read all the same."""
    landing = Landing(world)
    table = landing.table
    table.append(birds(2007))
    landing.land()
    table.append(birds(2008))
    gone = [*table.live][-1]
    table.optimize()
    landing.there.add(gone)
    landing.land()
    assert [v.rows for v in versions(world)] == [len(birds(2007)), len(table.rows)]
    fresh = World()
    before = Landing(fresh)
    before.table.append(birds(2007))
    before.table.append(birds(2008))
    before.table.optimize()
    before.events()
    fresh.clock.advance(60)
    fresh.publish()
    fresh.clock.advance(60)
    fresh.sweep()
    fresh.ticks(3)
    assert [v.rows for v in versions(fresh)] == [len(before.table.rows)]


def test_a_commit_with_a_checkpoint_of_its_own_is_judged_by_what_it_did(world: World) -> None:
    """Spark writes the checkpoint at once, and in it no file is said to change data."""
    landing = Landing(world)
    landing.table.append(birds(2007))
    landing.table.checkpoint("classic", clean=False)
    landing.land()
    landing.table.optimize()
    landing.table.checkpoint("v2", clean=True)
    landing.land()
    assert [v.rows for v in versions(world)] == [len(birds(2007))]
    reason = commits(world)[1].reason
    assert reason is not None and reason.code is Code.DELTA_NO_CHANGE


def test_a_table_that_is_emptied_is_told(world: World) -> None:
    landing = Landing(world)
    landing.table.append(birds(2007))
    landing.land()
    landing.table.commit(landing.table.remove(next(iter(landing.table.live))))
    landing.land()
    assert [v.rows for v in versions(world)] == [len(birds(2007))]
    reason = commits(world)[1].reason
    assert reason is not None and reason.code is Code.DELTA_EMPTY and "no row at commit 1" in say(reason)


def test_two_commits_in_quick_succession_are_two_versions_and_a_late_event_goes_not_back(
    world: World,
) -> None:
    landing = Landing(world)
    for year in (2007, 2008):
        landing.table.append(birds(year))
    first = landing.events()
    for event in first:
        world.send(event)
    assert [v.rows for v in versions(world)] == [len(birds(2007)), len(birds(2007)) + len(birds(2008))]
    world.clock.advance(60)
    landing.table.append(birds(2009))
    third = landing.events()
    world.clock.advance(60)
    landing.table.commit(landing.table.remove(next(iter(landing.table.live))))
    fourth = landing.events()
    for event in (*fourth, *third):
        world.send(event)
    assert [v.rows for v in versions(world)][2:] == [len(birds(2008)) + len(birds(2009))]
    late = commits(world)[2]
    assert late.state is InboxState.SUPERSEDED and late.reason and late.reason.code is Code.DELTA_OVERTAKEN


def test_in_another_account_with_folders_each_commit_is_a_rename() -> None:
    """So does Spark over abfss: a commit is written under another name, and renamed when it is whole."""
    world = World()
    world.publish(LOOP.replace("landing: landing/birds/", "landing: partner:outbox/birds/"))
    table = Written(columns=dict(BIRDS), partitions=("island",), features=("deletionVectors",))
    there: set[str] = set()

    def commit() -> None:
        new = sorted(set(table.files) - there, reverse=True)  # the log last
        for name in new:
            world.ports.blobs.upload("partner:outbox", f"birds/table/{name}", table.files[name])
        there.update(new)
        log = f"outbox/birds/table/_delta_log/{table.version:020d}.json"
        event = renamed(f"{log}.tmp", log).replace("account.dfs", "partner.dfs")
        world.clock.advance(1)
        world.send(event)

    table.append(birds(2007))
    commit()
    table.delete_rows(next(iter(table.live)), {0, 2})
    commit()
    table.optimize()
    commit()
    assert [v.rows for v in versions(world)] == [len(rows) for rows in table.history[:2]]
    assert {v.table for v in versions(world)} == {"partner:outbox/birds/table"}
    table.commit({"add": {"path": "abfss://ours@account/x.parquet", "partitionValues": {}, "size": 1}})
    commit()
    (place,) = world.ports.blobs.quarantined
    assert place[:2] == ("partner:outbox", f"birds/table/_delta_log/{3:020d}.json")
    assert world.sweep() == len(table.files) - 4, "the files beside the commits, which are no drops"


def test_a_table_that_is_deleted_and_made_anew_is_read(world: World) -> None:
    """As by a job that writes it every night into an empty folder: each time its commits begin with 0."""
    expected = []
    for year in (2007, 2008, 2009):
        for blob in list(world.ports.blobs.list("landing", "birds/table/")):
            world.ports.blobs.delete("landing", blob.name)
        world.clock.advance(60)
        landing = Landing(world)
        landing.table.append(birds(year))
        landing.land()
        expected.append(len(birds(year)))
        assert [v.rows for v in versions(world)] == expected
    landing.table.append(birds(2007))
    landing.land()
    assert [v.rows for v in versions(world)] == [*expected, len(birds(2009)) + len(birds(2007))]


def test_a_copy_that_is_repeated_takes_a_table_not_back(world: World) -> None:
    """Its commits land in any order, and those that were passed over are no versions afterwards either."""
    landing = Landing(world)
    for year in (2007, 2008, 2009):
        landing.table.append(birds(year))
    for name in sorted(landing.table.files, reverse=True):
        event = world.land(f"table/{name}", landing.table.files[name])
        world.clock.advance(1)
        if not name.startswith("_delta_log/"):
            world.send(event)
    world.sweep()
    world.ticks(3)
    events = []
    for name in sorted(landing.table.files, reverse=True):
        world.clock.advance(1)
        events.append(world.land(f"table/{name}", landing.table.files[name]))
    for event in reversed(events):
        world.send(event)
    assert versions(world)[-1].rows == len(landing.table.rows)


def test_of_a_table_that_was_there_before_its_loop_only_the_newest_commit_is_read() -> None:
    world = World()
    landing = Landing(world)
    for year in (2007, 2008, 2009):
        landing.table.append(birds(year))
    landing.events()
    world.clock.advance(60)
    world.publish()
    world.clock.advance(60)
    assert world.sweep() == 3 + 3, "three data files, which are no drops, and three commits"
    world.ticks(5)
    assert [v.rows for v in versions(world)] == [len(landing.table.rows)]


def test_who_copies_the_log_first_is_waited_for(world: World) -> None:
    """azcopy and the like go by name, and `_` comes before letters."""
    landing = Landing(world)
    landing.table.append(birds(2007))
    landing.table.append(birds(2008))
    log, data = landing.table.version + 1, sorted(landing.table.files)
    for name in data[:log]:
        world.send(world.land(f"table/{name}", landing.table.files[name]))
    assert commits(world)[1].state is InboxState.NEW
    assert commits(world)[0].state is InboxState.SUPERSEDED
    world.ticks(8, seconds=60)
    assert versions(world) == []
    for name in data[log:]:
        world.land(f"table/{name}", landing.table.files[name])
    world.ticks(2, seconds=40)
    assert [v.rows for v in versions(world)] == [len(landing.table.rows)]


def test_a_file_that_was_vacuumed_is_told_by_name(world: World) -> None:
    landing = Landing(world)
    landing.table.append(birds(2007))
    gone = next(iter(landing.table.live))
    landing.there.add(gone)
    landing.land()
    for _ in range(4):
        world.ticks(1, seconds=1200)
    record = commits(world)[0]
    assert record.state is InboxState.QUARANTINED and record.reason is not None
    assert record.reason.code is Code.DELTA_FILES_MISSING and gone in say(record.reason)
    landing.table.append(birds(2008))
    landing.table.commit(landing.table.remove(gone))
    landing.land()
    assert [v.rows for v in versions(world)] == [len(birds(2008))]


def test_a_hostile_log_is_quarantined(world: World) -> None:
    landing = Landing(world)
    landing.table.append(birds(2007))
    landing.table.commit({"add": {"path": "../../secrets/part.parquet", "partitionValues": {}, "size": 1}})
    landing.land()
    record = commits(world)[1]
    assert record.state is InboxState.QUARANTINED
    assert record.reason is not None and record.reason.code is Code.DELTA_ELSEWHERE


def test_a_gigantic_log_is_refused_before_it_is_downloaded(world: World) -> None:
    world.publish(LOOP.replace("data: {", "data: {limits: {max_size_mb: 0.01}, "))
    landing = Landing(world)
    landing.table.append([{**birds(2007)[0], "sex": "x" * 5}])
    landing.table.files[f"_delta_log/{0:020d}.json"] += b"\n" * 20_000
    landing.land()
    record = commits(world)[0]
    assert record.reason is not None and record.reason.code is Code.DELTA_LOG_TOO_LARGE


def test_a_later_commit_takes_the_place_of_earlier_ones_in_the_training_window(world: World) -> None:
    landing = Landing(world)
    for year in (2007, 2008):
        landing.table.append(birds(year))
        landing.land()
    world.drop("2009.csv", csv(season(2009)))
    found = versions(world)
    assert [bool(v.table) for v in found] == [True, True, False]
    wanted = {"all": (2, 3), "{last: 2}": (2, 3), "newest": (3,)}
    for window, numbers in wanted.items():
        definition = loopfile.parse(LOOP.replace("data: {", f"data: {{window: {window}, "), file="loop.yaml")
        assert start.window(found, definition, world.clock.now(), 1) == numbers, window


def test_of_a_table_that_only_grows_each_commit_may_be_what_it_added(world: World) -> None:
    world.publish(LOOP.replace("data: {", "data: {delta: appended, "))
    landing = Landing(world, partitions=("island",))
    table = landing.table
    for year in (2007, 2008):
        table.append(birds(year))
        landing.land()
    table.optimize()
    landing.land()
    table.append(birds(2009))
    landing.land()
    found = versions(world)
    assert [v.rows for v in found] == [len(birds(year)) for year in (2007, 2008, 2009)]
    definition = loopfile.parse(LOOP, file="loop.yaml")
    assert start.window(found, definition, world.clock.now(), 1) == (1, 2, 3), (
        "none takes the place of another"
    )
    table.commit(table.remove(next(iter(table.live))))
    landing.land()
    record = commits(world)[4]
    assert record.state is InboxState.QUARANTINED
    assert record.reason is not None and record.reason.code is Code.DELTA_NOT_APPENDED


def test_the_doctor_misses_no_end_in_a_table(world: World) -> None:
    landing = Landing(world, partitions=("island",))
    landing.table.append(birds(2007))
    landing.events()
    (overview,) = world.ports.store.overviews()
    assert [one.state for one in doctor._folders(world.ports, overview)] == [diagnosis.OK]


def test_driftloop_drop_uploads_of_a_table_what_is_not_there_yet(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "ports", lambda: world.ports)
    table = Written(columns=dict(BIRDS))
    for year in (2007, 2008):
        table.append(birds(year))
        done = CliRunner().invoke(app, ["drop", "birds", str(table.write(tmp_path / "table"))])
        assert done.exit_code == 0, done.output
        uploaded = {blob.name: blob.etag for blob in world.ports.blobs.list("landing", "birds/table/")}
        assert len(uploaded) == len(table.files)
        world.sweep()
        world.ticks(3)
    assert [v.rows for v in versions(world)] == [len(rows) for rows in table.history]
    other = Written(columns={"k": "long", "v": "string"})
    other.append([{"k": 1, "v": "a"}])
    made_anew = tmp_path / "c" / "table"
    shutil.copytree(tmp_path / "table", made_anew)
    for commit in made_anew.glob(
        "_delta_log/*.json"
    ):  # files are named by chance, so that sizes may be the same
        commit.write_text(commit.read_text().replace("part-", "trap-"))
    for folder in (other.write(tmp_path / "b" / "table"), made_anew):
        done = CliRunner().invoke(app, ["drop", "birds", str(folder)])
        assert done.exit_code != 0 and "another Delta table" in str(done.exception)
    assert uploaded == {blob.name: blob.etag for blob in world.ports.blobs.list("landing", "birds/table/")}


def test_what_lies_in_a_table_is_read_by_its_commits_alone(world: World) -> None:
    """Not by a _SUCCESS, nor by its quiet time; and a table that is the landing prefix itself is told."""
    world.publish(LOOP.replace("data: {", "data: {complete: {quiet: 1m}, "))
    landing = Landing(world)
    landing.table.append(birds(2007))
    landing.land()
    world.drop("table/_SUCCESS", b"")
    world.ticks(4, seconds=60)
    assert len(versions(world)) == 1
    world.drop(f"_delta_log/{0:020d}.json", b"{}")
    world.drop(f"_hidden/_delta_log/{0:020d}.json", b"{}")
    found = [rows.decode(InboxRecord, row) for row in world.ports.store.range("birds", "inbox-", limit=99)]
    codes = {one.body["name"].removeprefix("birds/"): one.reason.code for one in found if one.reason}
    assert codes["table/_SUCCESS"] is Code.TABLE_FOLDER
    assert codes[f"_delta_log/{0:020d}.json"] is Code.DELTA_AT_LANDING
    assert codes[f"_hidden/_delta_log/{0:020d}.json"] is Code.HIDDEN_NAME
    assert not say_all(versions(world)[0].findings).count("zone")


def test_of_a_table_only_what_was_added_is_new_data() -> None:
    """Each commit has all rows of the one before it: counted whole, every one of them would double the data."""
    world = World()
    world.publish(LOOP.replace("retrain: {", "retrain: {on: [alert], new_data: 1, "))
    landing = Landing(world)
    for year, most, releases in ((2007, 99, 1), (2008, 40, 1), (2009, 99, 2)):
        landing.table.append(birds(year)[:most])
        landing.land()
        world.live()
        world.ticks(7)
        assert world.state.next_release == 1 + releases, year


def test_what_its_commits_added_is_not_new_in_the_whole_table() -> None:
    """`data.delta` was `appended`, and each commit was trained on by itself."""
    world = World()
    plan = LOOP.replace("retrain: {", "retrain: {on: [alert], new_data: 1, ")
    appended = plan.replace("data: {", "data: {delta: appended, ")
    world.publish(appended)
    landing = Landing(world)
    for loop, year, most, releases in ((appended, 2007, 83, 1), (appended, 2008, 96, 2), (plan, 2009, 9, 2)):
        world.publish(loop)
        world.clock.advance(1)
        landing.table.append(birds(year)[:most])
        landing.land()
        world.live()
        world.ticks(7)
        assert world.state.next_release == 1 + releases, year
    assert versions(world)[-1].rows == 83 + 96 + 9


def test_of_a_table_beside_files_only_its_own_rows_are_not_new() -> None:
    world = World()
    world.publish(LOOP.replace("retrain: {", "retrain: {on: [alert], new_data: 1, "))
    world.drop("2007.csv", csv(season(2007)))
    world.live()
    world.ticks(7)
    landing = Landing(world)
    landing.table.append(birds(2008))
    landing.land()
    world.live()
    world.ticks(7)
    assert world.release(2).versions == (1, 2)
    landing.table.append([*birds(2009), *birds(2007)])
    landing.land()
    assert world.release(3).versions == (1, 3)


def test_a_table_that_goes_back_is_a_version_again(world: World) -> None:
    """RESTORE (docs.delta.io, delta-utility) commits what an earlier version had; the rows between are to be gone."""
    landing = Landing(world)
    table = landing.table
    table.append(birds(2007))
    landing.land()
    table.append([{**bird, "body_mass_g": 1e9} for bird in birds(2008)])
    bad = list(table.live)[1]
    landing.land()
    table.commit(table.remove(bad))
    landing.land()
    table.commit({"txn": {"appId": "a", "version": 1}})
    landing.land()
    first, second, third = versions(world)
    assert third.content_hash == first.content_hash != second.content_hash
    definition = loopfile.parse(LOOP, file="loop.yaml")
    assert start.window([first, second, third], definition, world.clock.now(), 1) == (3,)
    table.optimize()
    landing.land()
    # A MERGE that changed no value.
    table.commit(table.remove(next(iter(table.live))), *table.add(birds(2007)))
    landing.land()
    assert len(versions(world)) == 3
    same = commits(world)[5]
    assert same.state is InboxState.DUPLICATE and same.version == 3


def test_the_whole_table_takes_the_place_of_what_its_commits_added(world: World) -> None:
    """`data.delta` may be said otherwise later: no row is to be trained on twice."""
    appended = LOOP.replace("data: {", "data: {delta: appended, ")
    world.publish(appended)
    landing = Landing(world)
    windows = []
    definition = loopfile.parse(LOOP, file="loop.yaml")
    for year, plan in ((2007, appended), (2008, appended), (2009, LOOP), (2007, appended)):
        world.publish(plan)
        world.clock.advance(1)
        landing.table.append([{**bird, "row_id": f"{bird['row_id']}-{len(windows)}"} for bird in birds(year)])
        landing.land()
        windows.append(start.window(versions(world), definition, world.clock.now(), 1))
    assert windows == [(1,), (1, 2), (3,), (3, 4)]


def test_of_commits_that_wait_for_a_job_the_newest_is_read() -> None:
    """A table that is committed to each minute is never read up to date by jobs that take more than that each."""
    world = World()
    world.publish(LOOP.replace("data: {", "data: {reader: spark, "), reader="azureml:driftloop-reader:1")
    world.clock.advance(1)
    landing = Landing(world)
    jobs = world.ports.readings.jobs

    def finish() -> None:
        world.ports.readings.finish(list(jobs)[-1])
        world.ticks(3, 20)

    for year in (2007, 2008, 2009):
        landing.table.append(birds(year))
        landing.land()
    landing.table.optimize()
    landing.land()
    finish()
    finish()
    assert [v.rows for v in versions(world)] == [len(birds(2007)), len(landing.table.rows)]
    told = {n: one.reason.code for n, one in commits(world).items() if one.reason}
    assert told == {
        **dict.fromkeys((0, 3), Code.BECAME_VERSION),
        **dict.fromkeys((1, 2), Code.DELTA_OVERTAKEN),
    }
    landing.table.append([{**bird, "year": 2010} for bird in birds(2007)])
    first = landing.events()
    landing.table.commit({"protocol": {"minReaderVersion": 9, "minWriterVersion": 9}})
    (broken,) = landing.events()
    world.send(broken)
    world.ticks(2, 20)
    for event in first:
        world.send(event)
    finish()
    assert versions(world)[-1].rows == len(landing.table.rows), "nothing newer is to be read"
