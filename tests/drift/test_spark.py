"""A profile that Spark makes agrees with one process. Needs pyspark 4 (extra `spark`) and Java 17 on the PATH."""

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

import drift
from drift import grid
from tests.drift.families import mixed

pytestmark = [
    pytest.mark.soak,
    pytest.mark.timeout(900),
    pytest.mark.filterwarnings("ignore"),  # pyspark's own
    pytest.mark.skipif(shutil.which("java") is None, reason="no Java found: Spark needs Java 17"),
]


@pytest.fixture(scope="module")
def spark() -> Iterator[Any]:
    sql = pytest.importorskip(
        "pyspark.sql", reason="pyspark is not installed: pip install 'driftloop[spark]'"
    )
    os.environ["PYSPARK_PYTHON"] = sys.executable
    os.environ["SPARK_LOCAL_IP"] = "127.0.0.1"
    os.environ["PYTHONPATH"] = os.pathsep.join(
        [str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")]
    )
    session = (
        sql.SparkSession.builder.master("local[2]")
        .config("spark.ui.enabled", "false")
        .config("spark.driver.host", "127.0.0.1")
        .config("spark.sql.session.timeZone", "UTC")
        .getOrCreate()
    )
    yield session
    session.stop()


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("rows") / "rows.parquet"
    pq.write_table(mixed(np.random.default_rng(0), 60_000), path, row_group_size=7_000)
    return path


def _alike(ours: drift.Profile, theirs: drift.Profile) -> None:
    assert theirs.rows == ours.rows
    assert list(theirs.columns) == list(ours.columns)
    for name, column in ours.columns.items():
        other = theirs.columns[name]
        assert (other.kind, other.rows, other.nulls) == (column.kind, column.rows, column.nulls)
        for part, mine in column.parts.items():
            if isinstance(mine, grid.Grid):
                a, b = grid.union(mine, other.parts[part])
                assert a.counts.tolist() == b.counts.tolist()
                assert a.sums == pytest.approx(b.sums, rel=1e-9, abs=1e-6)
            else:
                assert other.parts[part].keys == mine.keys
                assert other.parts[part].counts.tolist() == mine.counts.tolist()


def test_against_a_reference_spark_counts_what_one_process_counts(spark: Any, rows: Path) -> None:
    from drift import spark as on_spark

    reference = drift.profile(mixed(np.random.default_rng(1), 30_000))
    frame = spark.read.parquet(str(rows)).repartition(5)
    theirs = on_spark.profile(frame, grid=reference)
    ours = drift.profile(rows, grid=reference)
    _alike(ours, theirs)
    verdicts = [
        {c.name: (c.detected, c.material) for c in drift.compare(reference, p).columns}
        for p in (ours, theirs)
    ]
    assert verdicts[0] == verdicts[1]


def test_without_a_reference_all_partitions_count_on_one_grid(spark: Any, rows: Path) -> None:
    from drift import spark as on_spark

    theirs = on_spark.profile(spark.read.parquet(str(rows)).repartition(4), by="word_0")
    assert all(part.grid.error == 0 for part in theirs.columns.values() if part.grid is not None)
    assert {c.kind for c in theirs.columns.values()} == {"numeric", "category"}
    assert sum(p.rows for p in theirs.segments.values()) == theirs.rows == 60_000
    assert not drift.compare(theirs, rows).detected


def test_a_frame_without_rows_has_a_profile(spark: Any, rows: Path) -> None:
    from drift import spark as on_spark

    empty = on_spark.profile(spark.read.parquet(str(rows)).limit(0))
    assert empty.rows == 0
    assert len(empty.columns) == 40
