"""Driver, a worker of an executor, and the host die by SIGKILL while a job reads a drop: it becomes one version."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import psutil
import pyarrow as pa
import pytest

from local.azure import LocalAzure
from shared.files.drop_files import DropFile
from shared.intake import drops
from shared.reader.one_pass import read
from shared.runtime.unit_of_work import read as state_of
from shared.settings import Settings
from shared.state import queries
from shared.wiring import azure_ports
from tests.acceptance.conftest import App, season
from tests.patience import until

LOOP, ROWS = "heavy", 600_000
"""Rows: five stretches, so that there are tasks side by side."""

pytestmark = [
    pytest.mark.soak,
    pytest.mark.timeout(3000),
    pytest.mark.skipif(shutil.which("java") is None, reason="no Java found: Spark needs Java 17"),
]


def large() -> pd.DataFrame:
    """Seasons over and over, each bird a little different."""
    random = np.random.default_rng(11)
    birds = pd.concat([season(year) for year in (2007, 2008, 2009)], ignore_index=True)
    many = birds.iloc[random.integers(0, len(birds), ROWS)].reset_index(drop=True)
    many["row_id"] = [f"b{number:07d}" for number in range(ROWS)]
    for name in ("bill_length_mm", "bill_depth_mm", "body_mass_g"):
        many[name] = (many[name] * random.normal(1, 0.02, ROWS)).round(2)
    return many


def processes(job: str, part: str) -> list[psutil.Process]:
    """Those of a job whose command names it and `part`."""
    found = []
    for one in psutil.process_iter(["cmdline", "ppid"]):
        command = " ".join(one.info["cmdline"] or ())
        if f"/{job}/" in command and part in command:
            found.append(one)
    return found


def workers(job: str) -> list[psutil.Process]:
    """Of the executor: processes in its folder that Spark's daemon has forked and that have begun to work."""
    found = []
    for one in psutil.process_iter(["cwd", "cmdline"]):
        inside = f"/{job}/executor" in (one.info["cwd"] or "")
        if inside and "pyspark.daemon" in " ".join(one.info["cmdline"] or ()):
            found.append(one)
    ids = {one.pid for one in found}
    with_parent = [one for one in found if one.ppid() in ids]
    return [one for one in with_parent if sum(one.cpu_times()[:2]) > 1]


def patient(look: Callable[[], object]) -> object:
    def safely() -> object:
        try:
            return look()
        except psutil.Error:
            return None

    return until(safely, within_s=900)


def test_a_drop_is_read_once_whatever_dies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with LocalAzure(tmp_path / "azure", functions_host=True) as azure:
        for name, value in azure.environment().items():
            monkeypatch.setenv(name, value)
        app, ports = App(azure, tmp_path), azure_ports(Settings.from_environment(azure.environment()))
        app.publish(
            LOOP,
            "data.reader=spark",
            "data.spark.attempts=3",
            "retrain.on=[schedule, alert]",
            "gate.slices=null",
        )
        rows = large()
        app.drop(LOOP, "all.csv", rows)

        def job() -> str:
            found = queries.loop(ports, LOOP).reading
            return str(found.facts["job"]) if found else ""

        first = str(until(job, within_s=120))
        blob = ports.blobs.find("landing", f"{LOOP}/all.csv")
        assert blob is not None
        spec = drops.landed(drops.spec_of(state_of(ports, LOOP)), blob)
        patient(lambda: workers(first))
        for one in processes(first, ""):
            one.kill()
        second = str(patient(lambda: job() if job() not in ("", first) else ""))
        worker = patient(lambda: workers(second))
        assert isinstance(worker, list)
        worker[0].kill()
        app.azure.part("host").kill()
        app.azure.stop_part("host")
        app.azure.start_host()
        until(lambda: queries.inbox(ports, LOOP)[0].state.value == "done", within_s=900)
        unit = state_of(ports, LOOP)
        (version,) = unit.versions()
        assert app.run("audit", LOOP).returncode == 0
        assert not worker[0].is_running()
        how = version.findings[-1]
        assert (how.facts["job"], how.facts["alone"], how.facts["tasks"] > 1) == (second, "", True)
        place = tmp_path / "all.csv"
        rows.to_csv(place, index=False)
        one_pass = read([DropFile(place, blob.name, place.stat().st_size)], spec, tmp_path / "out")
        assert (version.rows, version.content_hash) == (one_pass.rows, one_pass.content_hash)
        assert ports.documents.get(version.profile) == one_pass.profile
        held = {name for name in ports.versions.list(version.path) if "/train/" in name}
        assert len(held) == 5
        kept = pa.concat_tables(
            [pa.parquet.read_table(pa.BufferReader(ports.versions.read(name))) for name in sorted(held)]
        )
        assert kept.equals(pa.parquet.read_table(tmp_path / "out" / "train"))
