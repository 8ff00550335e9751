"""Where a table begins, and where the value stands that keeps one out: told as it is, or not at all."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from unittest import mock

import pyarrow as pa
import pytest
from typer.testing import CliRunner

from cli import app
from shared.errors import InputRejected
from shared.files import layout
from shared.intake import DropFile, ReadSpec
from shared.reader import profile_files
from shared.reader.one_pass import read
from tests.intake.dressing import Read, column

FAR = 10**18
"""The year 33658, in microseconds."""


def drop(folder: Path, files: Mapping[str, str]) -> list[DropFile]:
    found = []
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        found.append(DropFile(path, name, len(text), below=name))
    return found


# --- where a table begins ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "content",
    [
        "False,True\nTrue,False\nFalse,True\n",  # pd.get_dummies(flag).to_csv(index=False)
        "name,true\na,false\nb,true\n",
        "1,000\t2,000\t3,000\n5\t6\t7\n8\t9\t7\n",
        "0,1\t0,2\t0,3\n5,5\t6,5\t7,5\n8\t9\t7\n",
        "1 000;2 000;3 000\n5;6;7\n8;9;7\n",
        "0.1,0.2,0.3\n5,6,7\n8,9,7\n",
        "500\t1,000\t1,500\n5\t6\t7\n8\t9\t7\n",
    ],
)
def test_truth_values_and_numbers_that_count_can_be_names(content: str) -> None:
    read = Read(content)
    separator = next(mark for mark in "\t;," if mark in content)
    assert list(read.kinds) == content.split("\n", maxsplit=1)[0].split(separator)
    assert len(next(iter(read.rows.values()))) == content.count("\n") - 1


@pytest.mark.parametrize(
    "content",
    [
        "true,true,a\nfalse,true,b\n",
        "a;1,5\nb;2,5\n",
        "1,5;1.5\n2,5;2.5\n",
        "true,2024-01-01\nfalse,2024-01-02\n",
    ],
)
def test_a_first_row_is_none(content: str) -> None:
    with pytest.raises(InputRejected, match="begins with values"):
        Read(content)


def test_a_header_is_told_from_values_without_looking_at_all_of_these() -> None:
    names = ["2020", *(f"feature_{place}" for place in range(400))]
    with mock.patch.object(layout, "_kind", side_effect=layout._kind) as looked:
        Read("\n".join([",".join(names), *[",".join(["1.5"] * len(names))] * 40]) + "\n")
    assert looked.call_count < 200


@pytest.mark.parametrize(
    "content", ["x\n--\n1\n2\n", "a,b\n--,--\n1,2\n", "a,b\n-,--\n1,2\n", "amount,b\n---,---\n1,2\n"]
)
def test_a_first_row_of_missing_values_is_one(content: str) -> None:
    read = Read(content)
    assert (
        len(next(iter(read.rows.values()))) == content.count("\n") - 1 and "passed over" not in read.findings
    )


def test_dashes_below_the_names_are_no_row_where_separators_end_the_lines() -> None:
    read = Read("id|what|\n--|----|\n1|a|\n2|b|\n")
    assert read.rows == {"id": [1, 2], "what": ["a", "b"]}


def test_a_sign_that_may_separate_is_named_as_it_stands_in_the_file() -> None:
    assert "if '^' separates values, write a comma" in Read("a^b\n1^2^3\n4^5^6\n").findings
    assert "write it in a first line as sep=^" in Read("a^b\n1^2\n4^5\n").findings


# --- which value it is -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("good", "spec", "code"),
    [
        ("2024", {"known_columns": {"day": "integer"}}, "retyped-column"),
        ("2024-01-05", {"columns": {"day": "time"}}, "no-time"),
        ("31.01.2024", {"columns": {"day": "day-first"}}, "no-time"),
    ],
)
def test_an_odd_value_of_a_partition_is_told_by_its_file(
    good: str, spec: dict[str, dict[str, str]], code: str, tmp_path: Path
) -> None:
    files = drop(tmp_path, {f"day={good}/y.csv": "n\n1\n", "day=abc/x.csv": "n\n2\n"})
    with pytest.raises(InputRejected, match="'abc'") as refused:
        read(files, ReadSpec(target="n", **spec), tmp_path / "out")  # type: ignore[arg-type]
    assert refused.value.code == code
    assert "y.csv" not in str(refused.value) and "in line" not in str(refused.value)


@pytest.mark.parametrize(
    ("values", "odd"),
    [
        (["1,5", "2,5", "3,5", "abc", "def"], "'abc' in line 5"),
        (["1,5", "2,5", "1,234.5"], "'1,234.5' in line 4"),
        (["1.5", "2.5", "1.234,5"], "'1.234,5' in line 4"),
    ],
)
def test_what_made_text_of_numbers_is_no_number_of_their_style(
    values: list[str], odd: str, tmp_path: Path
) -> None:
    files = drop(
        tmp_path, {"a.csv": column(["0,5", "2,75"]) if "," in values[0] else "", "b.csv": column(values)}
    )
    with pytest.raises(InputRejected) as refused:
        read(files, ReadSpec(target="n", known_columns={"x": "number", "n": "integer"}), tmp_path / "out")
    assert refused.value.code == "retyped-column"
    assert f"was number and is string now: {odd} of 'b.csv'" in str(refused.value)


@pytest.mark.parametrize("odd", ["abc", "1,234.5"])
def test_a_word_among_decimal_commas_is_named_and_no_number(odd: str) -> None:
    with pytest.raises(InputRejected, match=f"among them '{odd}' in line 502"):
        Read(column(["1,5"] * 500 + [odd]))


# --- times that no calendar of Python's has ----------------------------------------------------------


@pytest.mark.parametrize(
    ("micros", "told"), [(FAR, "1000000000000 seconds"), (-FAR, "-1000000000000 seconds")]
)
def test_a_time_that_arrow_writes_in_another_year_is_told_in_seconds(
    micros: int, told: str, tmp_path: Path
) -> None:
    import pyarrow.parquet as pq

    times = pa.array([0, micros, 5], pa.timestamp("us"))
    pq.write_table(pa.table({"x": times, "n": [0, 1, 0]}), tmp_path / "far")
    tags = read([DropFile(tmp_path / "far", "far", 1)], ReadSpec(target="n", time="x"), tmp_path / "out").tags
    assert f"{told} since 1970" in (tags["start"], tags["end"])


# --- errors that nobody foresaw ----------------------------------------------------------------------


def test_memory_that_a_broken_file_asks_for_is_no_drift(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("x,n\n1,2\n")
    with mock.patch.object(
        profile_files, "open_sources", side_effect=pa.ArrowMemoryError("malloc of size 99 failed")
    ):
        done = CliRunner().invoke(app, ["compare", str(tmp_path / "a.csv"), str(tmp_path / "a.csv")])
    assert done.exit_code == 2
    assert "malloc of size 99 failed" in " ".join(done.stderr.split())
