"""Jobs that read drops: submitted once, known as ours, cancelled, and taken by the ETags that they named."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from local.azure import LocalAzure
from shared.errors import ConfigurationError, Conflict
from shared.memory import MemoryPorts
from shared.port_rules import READING_TAG
from shared.ports import Ports, ReadingSpec
from shared.spark.read_answer import PROGRESS, ROWS
from shared.wiring import READINGS
from tests.contract.stage import VERIFIED, eventually, fresh

pytestmark = pytest.mark.skipif(VERIFIED, reason="an Azure account has no control surface: left out")
WORKSPACE = "/subscriptions/s/resourceGroups/g/providers/Microsoft.MachineLearningServices/workspaces/w"
CODE = f"{WORKSPACE}/codes/reader/versions/1"
PART = "train/part-00000.parquet"


@pytest.fixture
def spec(request: pytest.FixtureRequest, ports: Ports) -> ReadingSpec:
    """Of a job that never begins, whichever ports it is of."""
    name = fresh("read")
    if not isinstance(ports, MemoryPorts):
        azure: LocalAzure = request.getfixturevalue("local_azure")
        azure.control.post("/local/jobs/faults", json={"kind": "stick", "match": name}).raise_for_status()
    return ReadingSpec(
        name,
        "contract",
        CODE,
        "Standard_E4s_v3",
        4,
        1,
        4096,
        b'{"files": []}',
        b"grid",
        {READING_TAG: "digest"},
    )


@pytest.fixture
def leave(ports: Ports, spec: ReadingSpec) -> Callable[[str, bytes], str]:
    """What the job writes; the ETag of rows."""

    def written(file: str, content: bytes) -> str:
        if not isinstance(ports, MemoryPorts):
            return ports.blobs.upload(READINGS, f"{spec.name}/{file}", content).etag
        job = ports.readings.jobs[spec.name]
        if not file.startswith(f"{ROWS}/"):
            job.files[file] = content
            return ""
        return job.leave(file.removeprefix(f"{ROWS}/"), content)

    return written


def test_a_job_is_submitted_once_and_looked_at_by_its_name(ports: Ports, spec: ReadingSpec) -> None:
    assert ports.readings.ensure(spec).status == "running"
    again = ports.readings.ensure(replace(spec, instance_type="Standard_E8s_v3"))
    assert again.status == "running" and spec.name in again.studio_url


def test_a_job_of_that_name_that_is_not_ours_is_left_alone(ports: Ports, spec: ReadingSpec) -> None:
    ports.readings.ensure(spec)
    with pytest.raises(ConfigurationError, match="is not ours"):
        ports.readings.ensure(replace(spec, tags={READING_TAG: "another order"}))


def test_it_is_cancelled_once_and_what_never_was_is_no_error(ports: Ports, spec: ReadingSpec) -> None:
    ports.readings.cancel(fresh("never"))
    ports.readings.ensure(spec)
    ports.readings.cancel(spec.name)
    assert eventually(lambda: ports.readings.ensure(spec), lambda seen: seen.status != "running").status == (
        "canceled"
    )
    ports.readings.cancel(spec.name)


def test_what_a_job_left_is_read_up_to_a_size(
    ports: Ports, spec: ReadingSpec, leave: Callable[[str, bytes], str]
) -> None:
    assert ports.readings.left(spec.name, PROGRESS, 100) == b""
    ports.readings.ensure(spec)
    assert ports.readings.left(spec.name, PROGRESS, 100) == b""
    told = json.dumps({"read": 5, "of": 10}).encode()
    leave(PROGRESS, told)
    assert ports.readings.left(spec.name, PROGRESS, 100) == told
    assert ports.readings.left(spec.name, PROGRESS, len(told) - 1) == b""


def test_rows_are_taken_under_the_etag_that_the_job_named(
    ports: Ports, spec: ReadingSpec, leave: Callable[[str, bytes], str], tmp_path: Path
) -> None:
    ports.readings.ensure(spec)
    etag, path = leave(f"{ROWS}/{PART}", b"rows"), f"contract/{spec.name}"
    with pytest.raises(Conflict, match="another file"):
        ports.readings.take(spec.name, {PART: f"{etag}0"}, path)
    assert ports.versions.list(path) == []
    for _ in range(2):
        ports.readings.take(spec.name, {PART: etag}, path)
    assert ports.versions.read(f"{path}/{PART}") == b"rows"
