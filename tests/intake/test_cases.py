"""Situations that users of this field's tools reported in public, as files: compare, profile, new and a drop do alike.

The files lie beside the project; each folder's README names the report and what is right.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from cli import app
from shared.errors import InputRejected
from shared.intake import DropFile, Reading, ReadSpec
from shared.reader.one_pass import read

CASES = Path(__file__).parents[3] / "shared" / "cases"
pytestmark = pytest.mark.skipif(
    not CASES.exists(), reason="the cases beside the clone, shared/cases, are not part of the project"
)


def run(*words: object) -> tuple[int, str]:
    done = CliRunner().invoke(app, [str(word) for word in words])
    return done.exit_code, " ".join(f"{done.stdout} {done.stderr}".split())


def compared(first: str, second: str, *more: str) -> tuple[int, dict[str, Any]]:
    code, said = run("compare", CASES / first, CASES / second, "--json", *more)
    return code, json.loads(said) if said.startswith("{") else {"said": said}


def dropped(file: str, out: Path, known: Mapping[str, str] | None = None, **spec: Any) -> Reading:
    path = CASES / file
    drop = DropFile(path, path.name, path.stat().st_size)
    return read([drop], ReadSpec(**{"target": "target", **spec}, known_columns=known or {}), out)


def made(file: str, folder: Path) -> tuple[int, str]:
    return run(
        "new",
        "made",
        "--data",
        CASES / file,
        "--target",
        "target",
        "--task",
        "classification",
        "--folder",
        folder,
    )


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("03-empty-first-row-group/empty-first-row-group.parquet", "03-empty-first-row-group/far.parquet"),
        ("03-empty-first-row-group/parts", "03-empty-first-row-group/far.parquet"),
        ("05-null-markers/a.csv", "05-null-markers/b.csv"),
        ("06-thousands/us1.csv", "06-thousands/us2.csv"),
        ("06-thousands/de1.csv", "06-thousands/de2.csv"),
        ("16-sorted-numbers-are-ids/a.csv", "16-sorted-numbers-are-ids/b.csv"),
    ],
)
def test_what_moved_is_found(first: str, second: str) -> None:
    assert compared(first, second)[0] == 1


@pytest.mark.parametrize(
    ("first", "second", "told"),
    [
        (
            "03-empty-first-row-group/plain.parquet",
            "03-empty-first-row-group/empty-first-row-group.parquet",
            "",
        ),
        ("03-empty-first-row-group/plain.parquet", "03-empty-first-row-group/parts", ""),
        ("09-day-first-dates/jan.csv", "09-day-first-dates/feb.csv", "day first"),
        ("15-pandas-index-column/a.parquet", "15-pandas-index-column/b.parquet", "pandas' index"),
        ("15-pandas-index-column/a.csv", "15-pandas-index-column/b.csv", "pandas' index"),
        ("18-cr-only-crash/mac.csv", "18-cr-only-crash/mac.csv", ""),
        ("18-cr-only-crash/header.csv", "18-cr-only-crash/header.csv", ""),
        ("25-names-that-look-the-same/nfc.csv", "25-names-that-look-the-same/nfd.csv", ""),
    ],
)
def test_what_only_looks_different_is_quiet(first: str, second: str, told: str) -> None:
    code, document = compared(first, second)
    assert code == 0 and document["columns"]
    findings = document["findings"]
    assert not any(f["breaking"] for f in findings)
    assert told in " ".join(f["words"] for f in findings)


@pytest.mark.parametrize(
    ("file", "told"),
    [
        ("17-latin1-header-cli/latin1.csv", "not UTF-8"),
        ("23-row-number-cli/big.csv.gz", "line 150,002"),
    ],
)
def test_what_cannot_be_read_is_exit_code_2_everywhere(file: str, told: str, tmp_path: Path) -> None:
    code, said = run("profile", CASES / file, "-o", tmp_path / "kept")
    assert code == 2 and told in said
    code, said = run("compare", CASES / "17-latin1-header-cli/utf8.csv", CASES / file)
    assert code == 2 and told in said
    with pytest.raises(InputRejected, match=told):
        dropped(file, tmp_path / "out")


def test_a_report_of_nothing_is_no_success() -> None:
    code, document = compared("16-sorted-numbers-are-ids/norows.csv", "16-sorted-numbers-are-ids/a.csv")
    assert code == 2 and "nothing was compared" in document["headline"]


@pytest.mark.parametrize(
    ("file", "column", "kind", "profiled", "told"),
    [
        ("05-null-markers/a.csv", "x", "number", "numeric", "no value"),
        ("05-null-markers/none-a.csv", "x", "number", "numeric", "no value"),
        ("06-thousands/us1.csv", "price", "number", "numeric", ""),
        ("06-thousands/fr1.csv", "x", "number", "numeric", ""),
        ("06-thousands/de1.csv", "x", "number", "numeric", ""),
        ("09-day-first-dates/both.csv", "day", "datetime", "datetime", "day first"),
        ("10-big-integers/hash.csv", "user", "integer", "numeric", ""),
        ("10-big-integers/u.parquet", "user", "string", "id", "64 bits"),
        ("11-decimal-ids-collapse/d.parquet", "id2", "integer", "id", ""),
        ("22-first-line-is-no-header/sep.csv", "age", "integer", "numeric", ""),
        ("22-first-line-is-no-header/comment.csv", "age", "integer", "numeric", "passed over"),
        ("22-first-line-is-no-header/title.csv", "age", "integer", "numeric", "passed over"),
        ("22-first-line-is-no-header/trailing.csv", "x", "integer", "id", ""),
    ],
)
def test_a_column_is_what_it_is_in_a_drop_in_new_and_in_a_profile(
    file: str, column: str, kind: str, profiled: str, told: str, tmp_path: Path
) -> None:
    reading = dropped(file, tmp_path / "out")
    assert reading.columns[column] == kind and told in " ".join(reading.findings)
    code, said = made(file, tmp_path / "loops")
    assert code == 0 and told in said, said
    code, said = run("profile", CASES / file, "-o", tmp_path / "kept", "--json")
    assert code == 0
    document = json.loads(said)
    assert document["columns"][column] == profiled and told in " ".join(document["read"])


def test_times_are_those_of_the_calendar(tmp_path: Path) -> None:
    tags = dropped("09-day-first-dates/both.csv", tmp_path / "out", time="day").tags
    assert (tags["start"][:10], tags["end"][:10]) == ("2024-01-01", "2024-02-29")


@pytest.mark.parametrize(
    ("first", "second", "kinds", "spec"),
    [
        ("10-big-integers/a.csv", "10-big-integers/b.csv", ("integer", "integer"), {"id": "user"}),
        ("13-all-null-first-drop/a.csv", "13-all-null-first-drop/b.csv", ("nothing", "number"), {}),
        ("13-all-null-first-drop/a.parquet", "13-all-null-first-drop/b.parquet", ("nothing", "number"), {}),
        (
            "25-names-that-look-the-same/nfc.csv",
            "25-names-that-look-the-same/nfd.csv",
            ("number", "number"),
            {},
        ),
    ],
)
def test_the_next_drop_goes_on_from_the_first(
    first: str, second: str, kinds: tuple[str, str], spec: dict[str, str], tmp_path: Path
) -> None:
    before = dropped(first, tmp_path / "1", **spec)
    after = dropped(second, tmp_path / "2", before.columns, **spec)
    name = next(iter(before.columns))
    assert (before.columns[name], after.columns[name]) == kinds


def test_what_is_ignored_stops_nothing(tmp_path: Path) -> None:
    assert dropped("10-big-integers/u.parquet", tmp_path / "out", ignore=("user",)).rows == 50


def test_decimals_stay_apart(tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    dropped("11-decimal-ids-collapse/d.parquet", tmp_path / "out", id="id2")
    ids = [
        v
        for part in sorted((tmp_path / "out").rglob("*.parquet"))
        for v in pq.read_table(part)["id2"].to_pylist()
    ]
    assert len(set(ids)) == 60
