"""A drop that is beyond the app is read by a job: once, whatever happens to the job, with the same version."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner

from cli import app, session
from shared import loopfile
from shared.domain.event import InboxRecord, InboxState
from shared.domain.reason import Code
from shared.domain.version import DataVersion
from shared.inbox import messages
from shared.intake import job_answers
from shared.memory import MemoryReading
from shared.spark.read_answer import ANSWER, PROFILE, PROGRESS
from shared.state import queries, rows
from shared.words import say, say_all
from tests.engine.world import LOOP, World, csv, season
from tests.tower.tower import page

READER = "azureml:driftloop-reader:1"
BY_JOB = LOOP.replace("holdout:", "reader: spark, holdout:")
SMALL = LOOP.replace("holdout:", "limits: {max_size_mb: 0.001}, holdout:")


def made(text: str = BY_JOB) -> World:
    world = World()
    world.publish(text, reader=READER)
    return world


def records(world: World) -> list[InboxRecord]:
    found = [rows.decode(InboxRecord, row) for row in world.ports.store.range("birds", "inbox-", limit=99)]
    return sorted(found, key=lambda record: record.body.get("name", "~"))


def versions(world: World) -> list[DataVersion]:
    return [rows.decode(DataVersion, row) for row in world.ports.store.range("birds", "version-", limit=99)]


def job(world: World) -> MemoryReading:
    """The newest one."""
    return list(world.ports.readings.jobs.values())[-1]


def finish(world: World) -> None:
    """Let the newest job read, and the loop see it."""
    world.ports.readings.finish(job(world).spec.name)
    world.ticks(2, 20)


def held(world: World, version: DataVersion) -> dict[str, str]:
    files = world.ports.versions.files
    return {
        name.removeprefix(version.path): hashlib.sha256(content).hexdigest()
        for name, content in files.items()
        if name.startswith(version.path)
    }


def folder(world: World) -> None:
    for year in (2007, 2008):
        world.land(f"all/year={year}/part-0.csv", csv(season(year).drop(columns="year")))
    world.drop("all/_SUCCESS", b"")


def manifest(world: World) -> None:
    content = csv(season(2008))
    world.land("m/a.csv", content)
    promised = {
        "name": "a.csv",
        "size": len(content),
        "md5": hashlib.md5(content, usedforsecurity=False).hexdigest(),
    }
    world.drop("m/manifest.json", json.dumps({"files": [promised]}).encode())


def mltable(world: World) -> None:
    world.land("t/a.csv", csv(season(2008)))
    told = "paths: [{file: ./a.csv}]\ntransformations: [{read_delimited: {delimiter: ','}}]\n"
    world.land("t/MLTable", told.encode())
    world.drop("t/_SUCCESS", b"")


@pytest.mark.parametrize(
    "land",
    [lambda world: world.drop("a.csv", csv(season(2008))), folder, manifest, mltable],
    ids=["a file", "a folder", "a manifest", "an MLTable"],
)
def test_the_version_is_the_one_that_the_app_would_have_made(land: Callable[[World], None]) -> None:
    plan = (
        BY_JOB if land is not manifest else BY_JOB.replace("id:", "complete: {manifest: manifest.json}, id:")
    )
    by_app, by_job = made(plan.replace("reader: spark", "reader: function")), made(plan)
    for world in (by_app, by_job):
        world.drop("first.csv", csv(season(2007)))
        if world is by_job:
            finish(world)
        world.live()
        land(world)
    finish(by_job)
    one, other = versions(by_app)[1], versions(by_job)[1]
    for name in ("columns", "content_hash", "rows", "train_rows", "holdout_rows", "labelled", "tags"):
        assert getattr(one, name) == getattr(other, name), name
    assert one.profile == other.profile
    assert held(by_app, one) == held(by_job, other)
    assert (one.verdict, one.drift_material) == (other.verdict, other.drift_material)
    *findings, how = other.findings
    assert (tuple(findings), how.code) == (one.findings, Code.READ_BY_JOB)
    assert [record.state for record in records(by_job)] == [InboxState.DONE] * len(records(by_job))


def test_what_is_beyond_the_app_is_given_to_a_job_that_is_submitted_once() -> None:
    world = made(SMALL)
    world.drop("a.csv", csv(season(2007)))
    assert [(record.state, record.by_job) for record in records(world)] == [(InboxState.READING, "too-large")]
    world.ticks(3, 20)
    assert [one.status for one in world.ports.readings.jobs.values()] == ["running"]
    assert world.state.reading and world.state.reading.job == job(world).spec.name
    finish(world)
    (version,) = versions(world)
    assert "beyond the app (too-large)" in say_all(version.findings)
    assert world.state.reading is None and len(world.state.read_by_jobs) == 1
    assert "drop.reading" in world.ledger()


def test_what_the_app_can_read_needs_no_job() -> None:
    world = made(LOOP)
    world.drop("a.csv", csv(season(2007)))
    assert (len(versions(world)), world.ports.readings.jobs) == (1, {})


@pytest.mark.parametrize(
    ("plan", "reader"),
    [
        (SMALL, ""),
        (SMALL.replace("limits:", "reader: function, limits:"), READER),
    ],
    ids=["published before", "reader: function"],
)
def test_without_a_job_it_is_refused_as_ever(plan: str, reader: str) -> None:
    world = World()
    world.publish(plan, reader=reader)
    world.drop("a.csv", csv(season(2007)))
    (record,) = records(world)
    assert (
        record.state is InboxState.QUARANTINED and record.reason and record.reason.code is Code("too-large")
    )


def test_a_job_has_a_limit_too() -> None:
    world = made(BY_JOB.replace("reader: spark", "reader: spark, spark: {max_size_gb: 0.000001}"))
    world.drop("a.csv", csv(season(2007)))
    (record,) = records(world)
    assert record.state is InboxState.QUARANTINED
    assert "data.spark.max_size_gb" in say(record.reason)


def test_small_drops_do_not_wait_for_the_job_and_large_ones_do() -> None:
    large = csv(season(2008)) + csv(season(2007)).split(b"\n", 1)[1]
    world = made(SMALL.replace("0.001", str((len(large) - 1) / 2**20)))
    world.drop("a.csv", large)
    world.drop("b.csv", csv(season(2009)))
    world.drop("c.csv", large.replace(b"Torgersen", b"Torgersee"))
    assert [record.state for record in records(world)] == [
        InboxState.READING,
        InboxState.DONE,
        InboxState.NEW,
    ]
    overview = world.ports.store.overview("birds")
    assert overview and "reads another drop" in say(overview.needs_attention)
    world.ticks(1, 20)
    finish(world)
    world.ticks(2, 20)
    assert [record.state for record in records(world)][2] is InboxState.READING
    finish(world)
    assert [version.source for version in versions(world)] == [
        f"landing/birds/{name}.csv" for name in ("b", "a", "c")
    ]


def test_a_job_that_fails_is_tried_again_and_then_the_drop_is_set_aside() -> None:
    world = made()
    world.drop("a.csv", csv(season(2007)))
    job(world).status, job(world).error = "failed", "the cluster was lost"
    world.ticks(2, 20)
    assert [one.status for one in world.ports.readings.jobs.values()] == ["failed", "running"]
    assert "drop.read_again" in world.ledger()
    standing = job_answers.standing(world.state, loopfile.parse(BY_JOB, file="loop.yaml"), world.clock.now())
    assert say(standing).endswith("which was to read the drop, failed: the cluster was lost")
    job(world).status = "completed"
    world.ticks(2, 20)
    (record,) = records(world)
    assert record.state is InboxState.QUARANTINED and record.reason
    assert record.reason.code is Code.READING_FAILED and "left no answer" in say(record.reason)
    again = {"drop": record.key, "reason": "the cluster is back"}
    world.send(messages.act_message("replay", "birds", again, "bob"))
    assert records(world)[0].state is InboxState.READING
    finish(world)
    assert len(versions(world)) == 1


def test_a_job_that_a_person_cancels_is_not_begun_again() -> None:
    """As with a training: who stops machines does not want others."""
    world = made()
    world.drop("a.csv", csv(season(2007)))
    job(world).status = "canceled"
    world.ticks(2, 20)
    (record,) = records(world)
    assert (record.state, len(world.ports.readings.jobs)) == (InboxState.QUARANTINED, 1)
    assert record.reason and "was cancelled" in say(record.reason)
    again = {"drop": record.key, "reason": "after all"}
    world.send(messages.act_message("replay", "birds", again, "bob"))
    finish(world)
    assert len(versions(world)) == 1


def test_a_job_that_was_cancelled_as_late_is_begun_again_also_after_a_crash() -> None:
    """The worker died between the cancel and the row that says so."""
    world = made()
    world.drop("a.csv", csv(season(2007)))
    world.clock.advance(7 * 3600)
    world.ports.readings.cancel(job(world).spec.name)
    world.ticks(2, 20)
    assert [one.status for one in world.ports.readings.jobs.values()] == ["canceled", "running"]


def test_a_job_that_takes_too_long_is_cancelled() -> None:
    world = made(BY_JOB.replace("reader: spark", "reader: spark, spark: {timeout: 1h, attempts: 1}"))
    world.drop("a.csv", csv(season(2007)))
    world.ticks(1, 3599)
    assert job(world).status == "running"
    world.ticks(2, 20)
    (record,) = records(world)
    assert job(world).status == "canceled"
    assert record.reason and record.reason.code is Code.READING_TIMED_OUT


@pytest.mark.parametrize("gone", [True, False], ids=["deleted", "overwritten"])
def test_a_drop_that_changes_meanwhile_is_superseded_and_its_job_cancelled(gone: bool) -> None:
    world = made()
    world.drop("a.csv", csv(season(2007)))
    if gone:
        world.ports.blobs.delete("landing", "birds/a.csv")
    else:
        world.land("a.csv", csv(season(2008)))
    world.ticks(1, 20)
    (record,) = records(world)
    assert (record.state, job(world).status) == (InboxState.SUPERSEDED, "canceled")
    assert world.state.reading is None


def test_a_part_that_changes_meanwhile_is_read_as_it_is_now() -> None:
    world = made()
    folder(world)
    world.land("all/year=2008/part-0.csv", csv(season(2009).drop(columns="year")))
    world.ports.readings.finish(job(world).spec.name)
    world.ticks(2, 20)
    assert len(world.ports.readings.jobs) == 2
    finish(world)
    (version,) = versions(world)
    assert version.rows == len(season(2007)) + len(season(2009))


def test_a_drop_is_read_anew_when_what_it_is_compared_with_changes() -> None:
    world = made()
    world.drop("a.csv", csv(season(2007)))
    world.publish(BY_JOB.replace("ignore: [year]", "ignore: [year, sex]"), reader=READER)
    world.ticks(2, 20)
    assert [one.status for one in world.ports.readings.jobs.values()] == ["canceled", "running"]
    finish(world)
    assert len(versions(world)) == 1


def test_the_budget_of_a_day_makes_the_next_drop_wait() -> None:
    world = made(BY_JOB.replace("reader: spark", "reader: spark, spark: {compute_per_day: 1h}"))
    world.drop("a.csv", csv(season(2007)))
    world.ticks(1, 3600)
    finish(world)
    world.drop("b.csv", csv(season(2008)))
    assert len(world.ports.readings.jobs) == 1
    overview = world.ports.store.overview("birds")
    assert overview and "data.spark.compute_per_day is 1:00:00" in say(overview.needs_attention)
    world.ticks(2, 86_400)
    assert len(world.ports.readings.jobs) == 2


def test_what_a_job_finds_wrong_with_a_drop_is_said_as_ever() -> None:
    world = made()
    world.drop("a.csv", b"a,b\n1,2\n")
    finish(world)
    (record,) = records(world)
    assert record.state is InboxState.QUARANTINED and record.reason
    assert record.reason.code is Code("missing-target")


def test_the_same_rows_again_are_a_duplicate() -> None:
    world = made()
    for name in ("a.csv", "b.csv"):
        world.drop(name, csv(season(2007)))
        finish(world)
    assert [record.state for record in records(world)] == [InboxState.DONE, InboxState.DUPLICATE]
    assert world.state.reading is None


def other_order(files: dict[str, bytes]) -> None:
    files[ANSWER] = files[ANSWER].replace(b'"order": "', b'"order": "0')


def other_counts(files: dict[str, bytes]) -> None:
    files[ANSWER] = files[ANSWER].replace(b'"train_rows": ', b'"train_rows": 9')


def no_profile(files: dict[str, bytes]) -> None:
    files[PROFILE] = b"PK"


def other_part(files: dict[str, bytes]) -> None:
    files[ANSWER] = files[ANSWER].replace(
        b'train/part-00000.parquet": {"etag": "', b'train/part-00000.parquet": {"etag": "f'
    )


def missing_part(files: dict[str, bytes]) -> None:
    files[ANSWER] = files[ANSWER].replace(b"holdout/part-00000", b"holdout/part-00001")


def more_parts(files: dict[str, bytes]) -> None:
    """Rows that are nobody's."""
    more = b'"parts": {"train/part-00001.parquet": {"etag": "a", "rows": 1}, '
    files[ANSWER] = files[ANSWER].replace(b'"parts": {', more)


def no_json(files: dict[str, bytes]) -> None:
    files[ANSWER] = b"{"


def nested(files: dict[str, bytes]) -> None:
    """Deeper than Python goes."""
    files[ANSWER] = b"[" * 100_000


def told(**what: object) -> Callable[[dict[str, bytes]], None]:
    """A reading that says something else: no row of ours could hold it, or be read again."""

    def spoil(files: dict[str, bytes]) -> None:
        document = json.loads(files[ANSWER])
        document["reading"].update(what)
        files[ANSWER] = json.dumps(document).encode()

    return spoil


def changed_for_long(files: dict[str, bytes]) -> None:
    document = {"order": json.loads(files[ANSWER])["order"], "changed": "x" * 2_000_000}
    files[ANSWER] = json.dumps(document).encode()


SPOILT = [other_order, other_counts, no_profile, other_part, missing_part, more_parts, no_json, nested]


@pytest.mark.parametrize(
    "spoil",
    [
        *SPOILT,
        told(task=5),
        told(tags={"length": "9" * 5_000}),
        told(contract=[5]),
        told(columns={}),
        told(own_labels=10**9),
        changed_for_long,
    ],
)
def test_an_answer_that_is_none_is_not_believed(spoil: Callable[[dict[str, bytes]], None]) -> None:
    """Training code runs under the identity of these jobs: what lies there may be of anybody."""
    world = made()
    world.drop("a.csv", csv(season(2007)))
    world.ports.readings.finish(job(world).spec.name)
    spoil(job(world).files)
    world.ticks(2, 20)
    assert (versions(world), len(world.ports.readings.jobs)) == ([], 2)
    finish(world)
    assert len(versions(world)) == 1


def test_files_that_nobody_named_become_no_part_of_a_version() -> None:
    world = made()
    world.drop("a.csv", csv(season(2007)))
    world.ports.readings.finish(job(world).spec.name)
    job(world).rows["train/part-00001.parquet"] = b"rows of somebody else"
    document = json.loads(job(world).files[ANSWER])
    document["parts"]["train/part-00001.parquet"] = {"etag": "etag", "rows": 0}
    job(world).files[ANSWER] = json.dumps(document).encode()
    world.ticks(2, 20)
    (version,) = versions(world)
    assert {name for name in held(world, version) if "train" in name} == {"/train/part-00000.parquet"}


@pytest.mark.parametrize(
    "name",
    ["train/more.parquet", "../../other/train/part-00000.parquet", "train/part-00001.parquet.bak", "x"],
)
def test_no_file_is_taken_that_no_version_has(name: str) -> None:
    """What lies in a version's folder is trained on, whatever it is called and whoever counted its rows."""
    world = made()
    world.drop("a.csv", csv(season(2007)))
    world.ports.readings.finish(job(world).spec.name)
    etag = job(world).leave(name, job(world).rows["train/part-00000.parquet"])
    document = json.loads(job(world).files[ANSWER])
    document["parts"][name] = {"etag": etag, "rows": 1}
    job(world).files[ANSWER] = json.dumps(document).encode()
    world.ticks(2, 20)
    assert (versions(world), len(world.ports.readings.jobs)) == ([], 2)
    assert not world.ports.versions.files


@pytest.mark.parametrize("content", [b'{"read": 1e400, "tasks": 1e999}', b"[" * 100_000])
def test_a_strange_word_of_progress_stops_nothing(content: bytes, caplog: pytest.LogCaptureFixture) -> None:
    world = made()
    world.drop("a.csv", csv(season(2007)))
    job(world).files[PROGRESS] = content
    world.ticks(1, 20)
    assert world.state.reading is not None
    assert "a part of a loop failed" not in caplog.text
    finish(world)
    assert len(versions(world)) == 1


@pytest.mark.parametrize("plan", [BY_JOB, LOOP], ids=["by job", "by the app"])
def test_a_version_that_no_row_holds_is_refused_by_name(plan: str) -> None:
    world = made(plan)
    frame = season(2007)
    wide = {f"{number} {'w' * 250}": None for number in range(1_900)}
    world.drop("a.csv", csv(frame.join(pd.DataFrame(wide, index=frame.index))))
    if plan is BY_JOB:
        finish(world)
    (record,) = records(world)
    assert record.state is InboxState.QUARANTINED and record.reason is not None
    assert record.reason.code is Code.VERSION_TOO_LARGE
    world.drop("b.csv", csv(frame))
    assert world.state.reading is not None or len(versions(world)) == 1, "nothing waits for it"


def test_a_contract_is_kept_by_the_job_too() -> None:
    rule = "contract: [{column: flipper_length_mm, at_least: 175, on_breach: drop_rows}], holdout:"
    by_app, by_job = (made(plan.replace("holdout:", rule, 1)) for plan in (LOOP, BY_JOB))
    for world in (by_app, by_job):
        world.drop("a.csv", csv(season(2007)))
    finish(by_job)
    (one,), (other,) = versions(by_app), versions(by_job)
    assert one.rejected_rows == other.rejected_rows > 0
    assert (one.contract, held(by_app, one)) == (other.contract, held(by_job, other))


def test_the_reader_needs_nothing_that_the_runtime_lacks(tmp_path: Path) -> None:
    """Azure ML's Spark runtime 3.5 has no pydantic (microsoft/synapse-spark-runtime, Synapse-Python311-CPU.yml)."""
    (tmp_path / "a.csv").write_bytes(csv(season(2007)))
    code = f"""
import sys
sys.modules["pydantic"] = None
from pathlib import Path
from shared.files.drop_files import DropFile, ReadSpec
from shared.reader.one_pass import read
from shared.spark import program
folder = Path({str(tmp_path)!r})
rules = ({{"column": "flipper_length_mm", "at_least": 175, "on_breach": "report"}},)
spec = ReadSpec("species", contract=rules)
print(len(read([DropFile(folder / "a.csv", "a.csv", 1)], spec, folder / "out").contract))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "1", done.stderr


def test_status_tells_of_the_job(monkeypatch: pytest.MonkeyPatch) -> None:
    world = made()
    monkeypatch.setattr(session, "ports", lambda: world.ports)
    world.drop("a.csv", csv(season(2007)))
    world.ports.readings.tell(job(world).spec.name, 600, job(world).spec.order.count(b" "))
    world.ticks(2, 60)
    told = CliRunner().invoke(app, ["status", "birds"], terminal_width=200).output
    assert f"Azure ML job {job(world).spec.name}" in "".join(told.split("\n")), told
    assert queries.loop(world.ports, "birds").reading is not None
    seen = page(world.ports, "/loops/birds")
    assert "A drop is read" in seen and f"runs/{job(world).spec.name}" in seen
    finish(world)
    assert "A drop is read" not in page(world.ports, "/loops/birds")
