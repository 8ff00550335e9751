"""A Delta table with deleted rows is read by a Spark job to the version that the app makes of it, commit by commit."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from local.azure import LocalAzure
from shared.domain.event import InboxState
from shared.domain.version import DataVersion
from shared.ports import Ports
from shared.runtime.unit_of_work import read as state_of
from shared.settings import Settings
from shared.state import queries
from shared.wiring import azure_ports
from tests.acceptance.conftest import App, season
from tests.engine.test_delta import BIRDS
from tests.patience import until
from tests.tables.written import Written

ROWS, LAST = 150_000, f"_delta_log/{1:020d}.json"
"""Rows of a file; two of them are three stretches."""

pytestmark = [
    pytest.mark.soak,
    pytest.mark.timeout(3000),
    pytest.mark.skipif(shutil.which("java") is None, reason="no Java found: Spark needs Java 17"),
]


def table() -> Written:
    """Two commits: two files, then a deletion vector that takes rows of the first and the second stretch."""
    random = np.random.default_rng(3)
    seasons = pd.concat([season(year) for year in (2007, 2008, 2009)], ignore_index=True)[[*BIRDS]]
    made = Written(columns=dict(BIRDS), features=("deletionVectors",))
    added = []
    for part in range(2):
        birds = seasons.iloc[random.integers(0, len(seasons), ROWS)].astype(object)
        birds["row_id"] = [f"b{part}-{number:06d}" for number in range(ROWS)]
        added += made.add(birds.where(pd.notna(birds), None).to_dict("records"))
    made.create(*added)
    made.delete_rows(next(iter(made.live)), set(range(100)) | set(range(140_000, 140_500)))
    return made


def landed(ports: Ports, loop: str, made: Written) -> None:
    """Its data first, as a writer of Delta does; the last commit when the one before is a version."""
    for name in sorted(made.files, key=lambda name: name.startswith("_delta_log/")):
        if name == LAST:
            until(lambda: len(state_of(ports, loop).versions()) == 1, within_s=900)
        ports.blobs.upload("landing", f"{loop}/table/{name}", made.files[name])


def waiting(ports: Ports, loop: str) -> list[str]:
    """Commits of the table that are not done with."""
    logs = [one for one in queries.inbox(ports, loop) if one.subject.endswith(".json")]
    return [f"{one.subject} {one.state.value}" for one in logs if one.state is not InboxState.DONE]


def test_a_job_reads_each_commit_of_a_table_as_the_app_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, versions = table(), {}
    with LocalAzure(tmp_path / "azure", functions_host=True) as azure:
        for name, value in azure.environment().items():
            monkeypatch.setenv(name, value)
        app, ports = App(azure, tmp_path), azure_ports(Settings.from_environment(azure.environment()))
        for loop, reader in (("by-job", "spark"), ("by-app", "function")):
            app.publish(loop, f"data.reader={reader}", "retrain.on=[schedule, alert]", "gate.slices=null")
            landed(ports, loop, made)
            until(lambda loop=loop: len(state_of(ports, loop).versions()) == 2, within_s=900)
            versions[loop] = state_of(ports, loop).versions()
            until(lambda loop=loop: not waiting(ports, loop), within_s=120)

        def same(one: DataVersion) -> tuple[object, ...]:
            return one.rows, one.columns, one.content_hash, one.train_rows, one.holdout_rows

        assert [one.rows for one in versions["by-job"]] == [len(rows) for rows in made.history]
        for job, own in zip(*versions.values(), strict=True):
            assert same(job) == same(own)
            assert ports.documents.get(job.profile) == ports.documents.get(own.profile)
            assert (job.findings[-1].facts["alone"], job.findings[-1].facts["tasks"] > 1) == ("", True)
        assert app.run("audit", "by-job").returncode == 0
