"""What a person says means no value is none, however it is written and in whichever file."""

from __future__ import annotations

import datetime as dt
import tempfile
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from cli import app
from shared import loopfile
from shared.errors import ConfigurationError
from shared.intake import ReadSpec, read_drop
from shared.reader import profile_files
from shared.reader.batches import open_sources
from tests.tables.written import Written

SAID = ("-999", "not asked")


def read(path: Path, **spec: Any) -> tuple[dict[str, str], dict[str, list[object]]]:
    sources = open_sources(profile_files.files_of(path), ReadSpec(**{"target": "", "nulls": SAID, **spec}))
    kinds = {name: sources.settled(name) for name in sources.found}
    table = pa.Table.from_batches(list(sources.batches(kinds)))
    return kinds, table.to_pydict()


@pytest.mark.parametrize(
    ("text", "kind", "values"),
    [
        ("1\n-999\n3\n", "integer", [1, None, 3]),
        ("1\n -999 \n3\n", "integer", [1, None, 3]),
        ("1.5\n-999.0\n3\n", "number", [1.5, None, 3.0]),
        ("1.5\nnot asked\n3\n", "number", [1.5, None, 3.0]),
        ("a\n not asked\nb\n", "string", ["a", None, "b"]),
        ("2024-01-01\nnot asked\n2024-01-02\n", "datetime", None),
        ("true\nnot asked\nfalse\n", "boolean", [True, None, False]),
    ],
)
def test_a_column_of_text_is_what_its_other_values_are(
    text: str, kind: str, values: list[object] | None, tmp_path: Path
) -> None:
    path = tmp_path / "table.csv"
    path.write_text("k,x\n" + "".join(f"1,{line}\n" for line in text.splitlines()))
    kinds, found = read(path)
    assert kinds["x"] == kind
    assert found["x"] == values if values is not None else found["x"][1] is None
    assert read(path, nulls=())[1]["x"][1] is not None


@pytest.mark.parametrize(
    "said",
    ["1900-01-01", "1900-01-01 00:00:00", "1900-01-01T00:00:00Z", "01 Jan 1900", "01.01.1900", "01/01/1900"],
)
@pytest.mark.parametrize(
    "type_", [pa.timestamp("us"), pa.timestamp("ms", "UTC"), pa.timestamp("ns"), pa.date32()]
)
def test_a_time_of_parquet_means_no_value_however_it_is_said(
    said: str, type_: pa.DataType, tmp_path: Path
) -> None:
    moments = pa.array([dt.date(1900, 1, 1), dt.date(2024, 1, 31), None]).cast(pa.timestamp("us")).cast(type_)
    pq.write_table(pa.table({"x": moments, "k": [1, 2, 3]}), tmp_path / "x.parquet")
    assert [value is None for value in read(tmp_path / "x.parquet", nulls=(said,))[1]["x"]] == [
        True,
        False,
        True,
    ]


def test_a_number_of_32_bits_means_no_value(tmp_path: Path) -> None:
    pq.write_table(
        pa.table({"x": pa.array([-999.9, 1.5], pa.float32()), "k": [1, 2]}), tmp_path / "x.parquet"
    )
    assert read(tmp_path / "x.parquet", nulls=("-999.9",))[1]["x"] == [None, 1.5]


def test_a_truth_value_of_parquet_means_no_value(tmp_path: Path) -> None:
    pq.write_table(pa.table({"x": [True, False], "k": [1, 2]}), tmp_path / "x.parquet")
    assert read(tmp_path / "x.parquet", nulls=("False",))[1]["x"] == [True, None]


NUMBERS = st.lists(st.one_of(st.none(), st.integers(-50, 50)), min_size=1, max_size=20)


@given(NUMBERS, st.sampled_from(["csv", "parquet", "floats"]))
@settings(max_examples=40, deadline=None)
def test_it_is_as_if_no_value_had_been_there(values: list[int | None], form: str) -> None:
    """The same rows in each form, with the number that is said and with nothing."""
    said = pa.table({"k": range(len(values)), "x": [-999 if v is None else v for v in values]})
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "table"
        if form == "csv":
            path.write_text(said.to_pandas().to_csv(index=False))
        else:
            kind = pa.int32() if form == "parquet" else pa.float32()
            pq.write_table(said.set_column(1, "x", said["x"].cast(kind)), path)
        assert read(path)[1]["x"] == values
        assert profile_files.profile(path, nulls=SAID).profile.columns["x"].nulls == values.count(None)


@pytest.mark.parametrize(
    ("said", "values", "left"),
    [
        ("9999999999999999", [9999999999999999, 9999999999999998, 1], [None, 9999999999999998, 1]),
        ("-9223372036854775808", [-(2**63), 1], [None, 1]),
        ("-3.4028234663852886e+38", [-3.4028234663852886e38, 1.5], [None, 1.5]),
        ("1e20", [10.0**20, 1.5], [None, 1.5]),
        ("0.5", [0, 1], [0, 1]),
        *((said, [1, 2**62], [1, 2**62]) for said in ("1e400", "9223372036854775808", "inf", "snan", "NaN")),
    ],
)
def test_what_says_so_may_be_as_large_as_numbers_are(
    said: str, values: list[float], left: list[float | None], tmp_path: Path
) -> None:
    """Fillers of rasters and of databases are the ends of their types."""
    pq.write_table(pa.table({"k": range(len(values)), "x": values}), tmp_path / "t.parquet")
    assert read(tmp_path / "t.parquet", nulls=(said,))[1]["x"] == left


def test_parquet_and_partitions_are_looked_at_too(tmp_path: Path) -> None:
    table = Written(columns={"k": "long", "v": "string", "w": "string"}, partitions=("w",))
    rows = [{"k": -999, "v": "a", "w": "x"}, {"k": 1, "v": "not asked", "w": "not asked"}]
    table.append(rows)
    _, found = read(table.write(tmp_path / "t"))
    assert sorted(zip(*found.values(), strict=True), key=str) == [(1, None, None), (None, "a", "x")]
    (tmp_path / "all/w=not asked").mkdir(parents=True)
    (tmp_path / "all/w=not asked/a.csv").write_text("k\n1\n")
    assert read(tmp_path / "all")[1]["w"] == [None]


def test_a_drop_a_loop_file_and_the_command_line_say_it(tmp_path: Path) -> None:
    birds = pd.DataFrame({"mass": [*range(40, 100), *[-999] * 20], "kind": ["a", "b"] * 40})
    file = tmp_path / "birds.csv"
    birds.to_csv(file, index=False)
    text = """
loop: birds
data: {landing: landing/birds/, target: kind, nulls: [-999, "not asked"]}
train: {pipeline: train.yml}
serve: {endpoint: birds}
"""
    data = loopfile.parse(text, file="loop.yaml").data
    assert data.nulls == SAID
    read_drop(profile_files.files_of(file), ReadSpec.of(data, {}, b""), tmp_path / "out")
    parts = pa.concat_tables([pq.read_table(part) for part in (tmp_path / "out").glob("[th]*/*.parquet")])
    assert parts["mass"].null_count == 20
    clean = tmp_path / "clean.csv"
    birds.assign(mass=birds["mass"].where(birds["mass"] != -999)).to_csv(clean, index=False)
    said = CliRunner().invoke(app, ["compare", str(clean), str(file), "--null", "-999"])
    assert said.exit_code == 0, said.output
    assert CliRunner().invoke(app, ["compare", str(clean), str(file)]).exit_code == 1
    made = ["new", "mine", "--data", str(file), "--target", "kind", "--folder", str(tmp_path)]
    assert CliRunner().invoke(app, [*made, "--null", "-999"]).exit_code == 0
    assert loopfile.load(tmp_path / "mine").data.nulls == ("-999",)
    with pytest.raises(ConfigurationError, match=r"data\.nulls"):
        loopfile.parse(text.replace('[-999, "not asked"]', "[-999, -999]"), file="loop.yaml")
