"""A drop that many tasks read becomes the version that one pass makes, through storage that refuses as Azure does.

Sources: learn.microsoft.com, rest/api/storageservices/create-user-delegation-sas and get-user-delegation-key;
Azure/azureml-assets, annotation_compute_histogram/run.py (what executors lack).
"""

from __future__ import annotations

import pickle
import traceback
import uuid
from dataclasses import replace
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from azure.core.credentials import AccessToken
from azure.storage.blob import BlobClient
from pyarrow.csv import write_csv

import drift
from local.azure import LocalAzure
from local.identity.models import LocalCredential, Tokens
from local.service import utc_now
from shared.files.drop_files import Limits, ReadSpec
from shared.ports import Ports
from shared.spark import program, span_task
from shared.spark.read_answer import Changed, Read, Refused
from shared.wiring import READINGS
from tests.drift.families import mixed
from tests.intake.test_spans import SPECS, rows, small_bounds
from tests.local.executors import Apart, Here, again
from tests.local.reading import Program, answer, asked, check_same, here

LIMITS = Limits(memory_mb=8192, seconds=3600)
MANY = 300_000
"""Rows: three stretches."""


@pytest.fixture
def name() -> str:
    return f"birds-read-{uuid.uuid4().hex[:8]}"


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    small_bounds(monkeypatch)


def landed(table: pa.Table, folder: Path, kind: str, cut: int = 90) -> list[Path]:
    found = []
    for number, part in enumerate((table.slice(0, cut), table.slice(cut))):
        place = folder / f"part-{number}.{kind}"
        if kind == "csv":
            write_csv(part, place)
        else:
            pq.write_table(part, place, row_group_size=30)
        found.append(place)
    return found


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize(
    ("loop", "kind", "known"),
    [
        pytest.param(loop, *files, marks=() if number % 4 in (0, 3) else pytest.mark.soak)  # each once
        for number, (loop, files) in enumerate(product(SPECS, (("parquet", True), ("csv", False))))
    ],
)
def test_many_tasks_make_the_version_of_one_pass(
    local_azure: LocalAzure, ports: Ports, name: str, tmp_path: Path, kind: str, loop: str, known: bool
) -> None:
    table = rows(170, 3, lists=False)
    reference = drift.profile(rows(100, 100, lists=False).drop(["at", "note"])).to_bytes() if known else b""
    spec = replace(SPECS[loop], reference=reference, limits=LIMITS)
    files = landed(table, tmp_path, kind)
    job, blobs = asked(ports, name, *files, spec=spec)
    executors = Here()
    Program(local_azure, ports, job, executors).run()
    found = answer(ports, job)
    assert isinstance(found, Read) and (found.tasks, found.alone) == (2, "")
    assert len(executors.tasks) == 6
    check_same(ports, found, name, here(files, blobs, tmp_path / "out", spec), tmp_path / "out")


def test_tasks_that_know_nothing_of_the_driver_read_a_drop(
    local_azure: LocalAzure, ports: Ports, name: str, tmp_path: Path
) -> None:
    """Neither its environment nor its folder, its files or its token."""
    table = mixed(np.random.default_rng(5), MANY).select(["plain_0", "wide", "gaps_0", "word_2", "word_7"])
    spec = ReadSpec(target=table.column_names[0], limits=LIMITS)
    pq.write_table(table, tmp_path / "rows.parquet", row_group_size=50_000)
    job, blobs = asked(ports, name, tmp_path / "rows.parquet", spec=spec)
    executors = Apart(tmp_path, local_azure.settings.bundle)
    Program(local_azure, ports, job, executors).run()
    found = answer(ports, job)
    assert isinstance(found, Read) and found.tasks == 2
    assert {part for part in found.parts if part.startswith("train")} == {
        f"train/part-{number:05d}.parquet" for number in range(3)
    }
    one = here([tmp_path / "rows.parquet"], blobs, tmp_path / "out", spec)
    check_same(ports, found, name, one, tmp_path / "out")


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize(
    ("more", "alone"),
    [
        ({"contract": ({"unique": ["key"], "on_breach": "drop_rows"},)}, "unique"),
        ({"cluster": "word", "slices": ("word",)}, "cluster,slices"),
    ],
)
def test_what_one_task_must_read_it_reads_and_says_why(
    local_azure: LocalAzure, ports: Ports, name: str, tmp_path: Path, more: dict[str, Any], alone: str
) -> None:
    spec = replace(SPECS["by hash"], limits=LIMITS, **more)
    files = landed(rows(170, 3, lists=False), tmp_path, "parquet")
    job, blobs = asked(ports, name, *files, spec=spec)
    Program(local_azure, ports, job, Here()).run()
    found = answer(ports, job)
    assert isinstance(found, Read) and (found.tasks, found.alone) == (1, alone)
    check_same(ports, found, name, here(files, blobs, tmp_path / "out", spec), tmp_path / "out")


def text(values: list[str]) -> bytes:
    """A column of numbers whose late rows are something else."""
    lines = [f"{number % 3},{value},{'ab'[number % 2]}\n" for number, value in enumerate(values)]
    return ("key,late,label\n" + "".join(lines)).encode()


@pytest.mark.usefixtures("small")
def test_a_row_that_contradicts_the_plan_makes_another_one(
    local_azure: LocalAzure, ports: Ports, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shared.files.delimited.SAMPLE_BYTES", 200)
    (tmp_path / "a.csv").write_bytes(text([*map(str, range(150)), *(f"00{number}" for number in range(60))]))
    spec = ReadSpec("label", limits=LIMITS)
    job, blobs = asked(ports, name, tmp_path / "a.csv", spec=spec)
    executors = Here()
    Program(local_azure, ports, job, executors).run()
    found = answer(ports, job)
    assert isinstance(found, Read) and found.reading.columns["late"] == "string"
    one = here([tmp_path / "a.csv"], blobs, tmp_path / "out", spec)
    check_same(ports, found, name, one, tmp_path / "out")


@pytest.mark.usefixtures("small")
def test_what_is_wrong_with_a_drop_is_said_as_by_one_pass(
    local_azure: LocalAzure, ports: Ports, name: str, tmp_path: Path
) -> None:
    lines = [b"key,label\n", *(b"%d,a\n" % number for number in range(200)), b"1,2,3,4\n"]
    (tmp_path / "a.csv").write_bytes(b"".join(lines))
    spec = ReadSpec("label", limits=LIMITS)
    told = []
    for executors, job_name in ((Here(), name), (None, f"{name}-alone")):
        job, _ = asked(ports, job_name, tmp_path / "a.csv", spec=spec)
        Program(local_azure, ports, job, executors).run()
        found = answer(ports, job)
        assert isinstance(found, Refused)
        told.append((found.code, found.text.replace(job_name, "")))
    assert told[0] == told[1]


class Meanwhile(Here):
    """Something happens between the plan and its tasks."""

    def __init__(self, happens: Any) -> None:
        super().__init__()
        self._happens = happens

    def each(self, plan: Any, tasks: Any) -> Any:
        return super().each(plan, self._happens(plan, tasks) or tasks)


@pytest.mark.usefixtures("small")
def test_a_blob_that_another_task_finds_changed_is_told_by_name(
    local_azure: LocalAzure, ports: Ports, name: str, tmp_path: Path
) -> None:
    files = landed(rows(170, 3, lists=False), tmp_path, "parquet")
    job, blobs = asked(ports, name, *files, spec=replace(SPECS["by hash"], limits=LIMITS))

    def overwrite(plan: Any, tasks: Any) -> None:
        ports.blobs.upload("landing", blobs[1].name, b"another")

    Program(local_azure, ports, job, Meanwhile(overwrite)).run()
    assert answer(ports, job) == Changed(blobs[1].name)


@pytest.mark.usefixtures("small")
def test_a_task_that_needs_more_memory_than_its_share_leaves_the_drop_to_one(
    local_azure: LocalAzure, ports: Ports, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = landed(rows(170, 3, lists=False), tmp_path, "parquet")
    spec = replace(SPECS["by hash"], limits=LIMITS)
    job, blobs = asked(ports, name, *files, spec=spec)
    monkeypatch.setattr(span_task, "peak_mb", lambda: 20_000.0)
    Program(local_azure, ports, job, Here()).run()
    found = answer(ports, job)
    assert isinstance(found, Read) and (found.tasks, found.alone) == (1, "beyond")
    check_same(ports, found, name, here(files, blobs, tmp_path / "out", spec), tmp_path / "out")


class As:
    """An identity of the local Azure, as the driver of a job signs in."""

    def __init__(self, azure: LocalAzure, who: str) -> None:
        self._credential = LocalCredential(Tokens(azure.settings, utc_now), who)

    def get_token(self, *scopes: str, **options: Any) -> AccessToken:
        return self._credential.get_token(*scopes, **options)


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize(("who", "alone"), [("workspace", ""), ("blob-events", "not-delegated")])
def test_the_identity_of_the_job_may_sign_and_one_that_may_not_reads_alone(
    local_azure: LocalAzure, ports: Ports, name: str, tmp_path: Path, who: str, alone: str
) -> None:
    """As where the deployment is older than the role."""
    files = landed(rows(170, 3, lists=False), tmp_path, "parquet")
    spec = replace(SPECS["by hash"], limits=LIMITS)
    job, blobs = asked(ports, name, *files, spec=spec)
    Program(local_azure, ports, job)
    account = local_azure.settings.storage("blob")
    program.Job(account, READINGS, name, As(local_azure, who), Here()).run()
    found = answer(ports, job)
    assert isinstance(found, Read) and found.alone == alone
    check_same(ports, found, name, here(files, blobs, tmp_path / "out", spec), tmp_path / "out")


@pytest.mark.usefixtures("small")
def test_nothing_secret_travels_but_in_the_task_itself(
    local_azure: LocalAzure,
    ports: Ports,
    name: str,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(0)
    files = landed(rows(170, 3, lists=False), tmp_path, "parquet")
    job, _ = asked(ports, name, *files, spec=replace(SPECS["by hash"], limits=LIMITS))
    plans = []
    executors = Meanwhile(lambda plan, tasks: plans.append(plan))
    Program(local_azure, ports, job, executors).run()
    signatures = [
        address.partition("sig=")[2].partition("&")[0]
        for task in executors.tasks
        for address in (*task.files.values(), *task.parts.values())
    ]
    assert all(signatures) and len(set(signatures)) > len(executors.tasks)
    left = b"".join(ports.readings.left(name, file, 10**9) for file in ("answer.json", "progress.json"))
    told = "".join([*capfd.readouterr(), left.decode(), repr(executors.tasks), str(pickle.dumps(plans[0]))])
    assert not [one for one in signatures if one in told]
    assert not [record for record in caplog.records if any(one in record.getMessage() for one in signatures)
                and record.name.startswith(("azure", "shared"))]  # fmt: skip


@pytest.mark.usefixtures("small")
def test_what_a_task_says_of_storage_that_fails_holds_no_address(
    local_azure: LocalAzure, ports: Ports, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Clients tell of a connection that cannot be made with the whole of the signed address."""
    client = partial(BlobClient.from_blob_url, retry_total=0)
    monkeypatch.setattr(BlobClient, "from_blob_url", client)
    files = landed(rows(170, 3, lists=False), tmp_path, "parquet")
    job, _ = asked(ports, name, *files, spec=replace(SPECS["by hash"], limits=LIMITS))
    port, told = f":{local_azure.settings.blob_port}/", []

    def unreachable(plan: Any, tasks: Any) -> None:
        task = tasks[-1]
        there = {name: address.replace(port, ":1/") for name, address in task.files.items()}
        try:
            span_task.run(again(plan), replace(task, files=there), lambda size: None)
        except span_task.SpanUnavailable as error:
            told.append("".join(traceback.format_exception(error)))

    Program(local_azure, ports, job, Meanwhile(unreachable)).run()
    assert len(told) == 1 and "part-1.parquet" in told[0]
    assert "sig=" not in told[0]
