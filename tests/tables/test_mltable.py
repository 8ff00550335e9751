"""An MLTable is honoured to the letter, or refused by name."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner

import drift
from cli import app, session
from shared.domain.event import InboxRecord, InboxState
from shared.domain.version import DataVersion
from shared.errors import InputRejected
from shared.intake import ReadSpec, read_drop
from shared.reader import profile_files
from shared.reader.batches import open_sources
from shared.state import rows
from shared.tables import mltable
from tests.engine.world import World, csv, season

AS_AZURE_ML_SAVES_IT = """
paths:
- pattern: ./data/*.csv
transformations:
- read_delimited:
    delimiter: ','
    empty_as_string: false
    encoding: utf8
    header: all_files_same_headers
    include_path_column: false
    infer_column_types: true
    partition_size: 20971520
    path_column: Path
    support_multi_line: false
- convert_column_types:
  - columns: code
    column_type: string
  - columns: [x, y]
    column_type: float
  - columns: day
    column_type: {datetime: {formats: ["%d/%m/%Y"]}}
- drop_columns: [note]
type: mltable
"""


def table(folder: Path, text: str = AS_AZURE_ML_SAVES_IT) -> Path:
    (folder / "data").mkdir(parents=True)
    (folder / "MLTable").write_text(text)
    for part in (1, 2):
        (folder / f"data/{part}.csv").write_text(
            f"code,x,y,day,note\n1{part},1.5,2,01/02/2024,a\n1{part},2.5,3,03/02/2024,b\n"
        )
    (folder / "data/notes.txt").write_text("no table")
    return folder


def test_an_int_of_an_mltable_is_whole_however_it_is_written(tmp_path: Path) -> None:
    text = (
        "paths: [{file: t.csv}]\ntransformations: [{read_delimited: {}}, {convert_column_types: {columns: x, "
    )
    (tmp_path / "MLTable").write_text(f"{text}column_type: int}}}}]")
    (tmp_path / "t.csv").write_text("x,y\n01,a\n02,b\n")
    sources = open_sources(profile_files.files_of(tmp_path), ReadSpec(target=""))
    assert sources.found["x"] == "integer"
    assert [row["x"] for b in sources.batches(sources.found) for row in b.to_pylist()] == [1, 2]


def test_what_azure_ml_saves_is_read_as_it_says(tmp_path: Path) -> None:
    files = profile_files.files_of(table(tmp_path / "t"))
    assert [file.name for file in files] == ["data/1.csv", "data/2.csv"]
    found = open_sources(files, ReadSpec(target="")).found
    assert found == {"code": "string", "x": "number", "y": "integer", "day": "datetime"}
    assert profile_files.profile(tmp_path / "t/MLTable").profile.rows == 4
    by_process = read_drop(files, ReadSpec(target="y"), tmp_path / "out")
    assert (dict(by_process.columns), by_process.rows) == (found, 4)


def test_what_the_loop_file_says_wins(tmp_path: Path) -> None:
    spec = ReadSpec(target="", columns={"code": "number"})
    assert open_sources(profile_files.files_of(table(tmp_path / "t")), spec).found["code"] == "integer"


@pytest.mark.parametrize(
    ("kind", "path", "chosen"),
    [
        ("file", "./a.csv", ["a.csv"]),
        ("file", "in/b.csv", ["in/b.csv"]),
        ("folder", ".", ["a.csv", "in/b.csv", "in/deep/c.parquet"]),
        ("folder", "./in/", ["in/b.csv", "in/deep/c.parquet"]),
        ("pattern", "./*.csv", ["a.csv"]),
        ("pattern", "**/*.csv", ["a.csv", "in/b.csv"]),
        ("pattern", "in/[a-c].csv", ["in/b.csv"]),
        ("pattern", "./**", ["a.csv", "in/b.csv", "in/deep/c.parquet"]),
        ("pattern", "**/in/**/*.csv", ["in/b.csv"]),
        ("pattern", "in/**/deep/**/*", ["in/deep/c.parquet"]),
    ],
)
def test_paths_name_files_below_the_folder(kind: str, path: str, chosen: list[str]) -> None:
    names = ["MLTable", "a.csv", "in/b.csv", "in/deep/c.parquet", "_hidden/d.csv", ".e.csv"]
    steps = "transformations: [{read_parquet: {}}]"
    assert mltable.read(f"paths: [{{{kind}: '{path}'}}]\n{steps}".encode()).chosen(names) == chosen


def test_a_pattern_of_many_folders_takes_no_time() -> None:
    """Tried one after the other, the ways to match it would take years."""
    read = mltable.read(
        f"paths: [{{pattern: '{'**/a/' * 20}z'}}]\ntransformations: [{{read_parquet: {{}}}}]".encode()
    )
    with pytest.raises(InputRejected, match="nothing lies there"):
        read.chosen(["a/" * 60 + "x"])


REFUSED = {
    "paths: [{file: data/1.csv}]\ntransformations: [{read_delimited: {}}, &x {drop_columns: x}, *x]": "bad-mltable",
    "paths: [{file: 'https://other.blob.core.windows.net/c/x.csv'}]": "mltable-elsewhere",
    "paths: [{file: 'azureml://datastores/d/paths/x.csv'}]": "mltable-elsewhere",
    "paths: [{file: '../x.csv'}]": "mltable-elsewhere",
    "paths: [{file: /etc/passwd}]": "mltable-elsewhere",
    "paths: [{file: data/9.csv}]\ntransformations: [{read_parquet: {}}]": "bad-mltable",
    "paths: [{pattern: '*.json'}]\ntransformations: [{read_parquet: {}}]": "bad-mltable",
    "paths: [{file: data/1.csv}]\ntransformations: [{read_parquet: {}}]": "bad-mltable",
    "paths: [{file: data/1.csv}]\ntransformations: [{read_delimited: {delimiter: ';'}}]": "bad-mltable",
    "paths: [{file: data/1.csv}]\ntransformations: [{read_delimited: {}}, {keep_columns: [x, z]}]": "bad-mltable",
    "paths: [{file: data/1.csv}]": "bad-mltable",
    "paths: []": "bad-mltable",
    "paths: [data/1.csv]": "bad-mltable",
    "{": "bad-mltable",
    "paths: " + "[" * 5000: "bad-mltable",
    "paths: [{file: data/1.csv}]\ntransformations: [{read_delimited: {header: no_header}}]": "mltable-step",
    "paths: [{file: data/1.csv}]\ntransformations: [{read_delimited: {encoding: latin1}}]": "mltable-step",
    "paths: [{file: data/1.csv}]\ntransformations: [{read_delimited: {include_path_column: true}}]": "mltable-step",
    "paths: [{file: data/1.csv}]\ntransformations: [{read_delimited: {other: true}}]": "mltable-step",
    "paths: [{file: data/1.csv}]\ntransformations: [{read_delimited: {}}, {filter: 'col(\"x\") > 2'}]": "mltable-step",
    "paths: [{file: data/1.csv}]\ntransformations: [{read_delimited: {}}, {take: 5}]": "mltable-step",
    "paths: [{folder: .}]\ntransformations: [{read_delta_lake: {version_as_of: 1}}]": "mltable-step",
    "paths: [{file: data/1.csv}]\ntransformations: [read_json_lines]": "mltable-step",
    "paths: [{file: data/1.csv}]\ntransformations: [{read_delimited: {}}, {convert_column_types: {columns: x, "
    "column_type: {boolean: {true_values: [y], false_values: [n]}}}}]": "mltable-step",
}


@pytest.mark.parametrize("text", REFUSED)
def test_what_is_not_honoured_is_refused_by_name(text: str, tmp_path: Path) -> None:
    with pytest.raises(InputRejected) as refused:
        open_sources(profile_files.files_of(table(tmp_path / "t", text)), ReadSpec(target=""))
    assert refused.value.code == REFUSED[text], str(refused.value)


def test_a_folder_with_an_mltable_is_a_drop_of_what_it_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World()
    world.publish()
    monkeypatch.setattr(session, "ports", lambda: world.ports)
    folder = tmp_path / "birds"
    (folder / "parts").mkdir(parents=True)
    season(2007).to_csv(folder / "parts/a.csv", index=False)
    pd.DataFrame({"of": ["another table"]}).to_csv(folder / "other.csv", index=False)
    (folder / "MLTable").write_text("paths: [{folder: ./parts}]\ntransformations: [{read_delimited: {}}]")
    assert CliRunner().invoke(app, ["drop", "birds", str(folder)]).exit_code == 0
    world.sweep()
    world.ticks(2)
    (row,) = world.ports.store.range("birds", "version-", limit=9)
    assert rows.decode(DataVersion, row).rows == len(season(2007))
    world.land("next/MLTable", b"paths: [{file: ../2007.csv}]\ntransformations: [{read_delimited: {}}]")
    world.drop("next/_SUCCESS", b"")
    world.land("alone.csv", csv(season(2008)))
    world.drop("MLTable", b"paths: [{file: alone.csv}]")
    found = [rows.decode(InboxRecord, row) for row in world.ports.store.range("birds", "inbox-", limit=99)]
    codes = {one.reason.code.value for one in found if one.state is InboxState.QUARANTINED and one.reason}
    assert codes == {"mltable-elsewhere", "bad-mltable"}


def test_columns_are_judged_on_this_machine_as_in_a_drop(tmp_path: Path) -> None:
    lines = "".join(f"{n % 4},{n % 2}\n" for n in range(300))
    text = "transformations: [{read_delimited: {}}, {convert_column_types: [{columns: code, column_type: string}]}]"
    (tmp_path / "a.csv").write_text(f"code,target\n{lines}")
    (tmp_path / "MLTable").write_text(f"paths: [{{file: a.csv}}]\n{text}")
    here = profile_files.profile(tmp_path).profile
    drop = read_drop(profile_files.files_of(tmp_path), ReadSpec(target="target"), tmp_path / "out")
    there = drift.Profile.from_bytes(drop.profile)
    assert {n: c.kind for n, c in here.columns.items()} == {n: c.kind for n, c in there.columns.items()}
