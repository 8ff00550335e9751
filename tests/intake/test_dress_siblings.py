"""Further siblings of the dresses in test_dress.py, test_forms.py and test_layouts.py: read right, or told."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from cli import app
from shared.errors import InputRejected
from shared.files.delimited import Delimited
from shared.intake import DropFile, ReadSpec
from shared.reader import profile_files
from shared.reader.batches import open_sources
from shared.reader.checked_files import check_files
from shared.reader.one_pass import read
from tests.intake.dressing import Read, column

FAR = 253_402_300_800_000_000
"""The year 10000, in microseconds."""


def table(values: pa.Array) -> pa.Table:
    return pa.table({"x": values, "n": [number % 2 for number in range(len(values))]})


def stored(path: Path, values: pa.Array) -> Path:
    pq.write_table(table(values), path)
    return path


def run(*words: object) -> tuple[int, str]:
    done = CliRunner().invoke(app, [str(word) for word in words])
    return done.exit_code, f"{done.stdout} {done.stderr}"


# --- typed columns ---------------------------------------------------------------------------------


def test_floats_of_16_bits_are_numbers() -> None:
    """Their statistics in a footer are bytes (apache/parquet-format, LogicalTypes.md, "FLOAT16")."""
    halves = table(pa.array([np.float16(1.5), np.float16(65504), None], pa.float16()))
    assert Read(halves).rows["x"] == [1.5, 65504.0, None]
    assert Read(table(pa.array([np.float16("nan")] * 2, pa.float16()))).kinds["x"] == "nothing"


PERIOD = {"ARROW:extension:name": "pandas.period", "ARROW:extension:metadata": '{"freq": "M"}'}


def test_types_of_an_application_s_own_are_read_as_they_are_stored_or_told() -> None:
    """DuckDB and others call text JSON; what pandas.period counts, a file's reader need not know."""
    texts = pa.ExtensionArray.from_storage(pa.json_(), pa.array(['{"a": 1}', "{}"]))
    read = Read(table(texts))
    assert read.rows["x"] == ['{"a": 1}', "{}"] and not read.findings
    field = pa.field("x", pa.int64(), metadata=PERIOD)
    months = pa.table([pa.array([648, 649]), pa.array([0, 1])], schema=pa.schema([field, ("n", pa.int64())]))
    told = Read(months)
    assert told.rows["x"] == [648, 649] and "'x' is of type 'pandas.period' in the file" in told.findings
    assert "period" not in Read(months, ignore=("x",)).findings
    signed = pa.ExtensionArray.from_storage(pa.bool8(), pa.array([1, 0], pa.int8()))
    assert "arrow.bool8" in Read(table(signed)).findings
    named = pa.ExtensionArray.from_storage(pa.uuid(), pa.array([b"0" * 16, b"1" * 16], pa.binary(16)))
    with pytest.raises(InputRejected, match=r"fixed_size_binary\[16\]") as refused:
        Read(table(named))
    assert refused.value.code == "unsupported-column"


@pytest.mark.parametrize(
    "more", [{}, {"time": "x"}, {"time": "x", "holdout_by": "time"}, {"cluster": "x"}, {"slices": ("x",)}]
)
def test_a_time_of_a_year_that_python_does_not_have_stops_no_drop(
    more: dict[str, Any], tmp_path: Path
) -> None:
    path = stored(
        tmp_path / "far", pa.array([FAR + day * 86_400_000_000 for day in range(60)], pa.timestamp("us"))
    )
    reading = read(
        [DropFile(path, "far", 1)], ReadSpec(target="n", holdout_fraction=0.5, **more), tmp_path / "out"
    )
    assert reading.tags["start"] == f"{FAR // 10**6} seconds since 1970" and reading.rows == 60
    assert run("profile", path, "-o", tmp_path / "kept", "--by", "x")[0] == 0


# --- where a value stands --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "said", "odd"),
    [
        (["2024-01-31", "10:15"], "time", "'10:15' in line 3"),
        (["31/01/2024", "01/13/2024"], "day-first", "'01/13/2024' in line 3"),
        (["31/01/2024"] * 30_000 + ["01/13/2024"], "day-first", "'01/13/2024' in line 30,002"),
        (["24-01-31", "31-13-24"], "year-first", "'31-13-24' in line 3"),
    ],
)
def test_what_is_no_time_is_told_with_its_file_and_line(values: list[str], said: str, odd: str) -> None:
    with pytest.raises(
        InputRejected, match=f"'table': column 'x' holds {odd}, which is not a time"
    ) as refused:
        Read(column(values), columns={"x": said})
    assert refused.value.code == "no-time"


@pytest.mark.parametrize(
    ("kind", "values", "odd"),
    [
        ("datetime", ["2024-01-31", "soon"], "'soon' in line 3"),
        ("number", ["1.5", "5%"], "'5%' in line 3"),
        ("number", ["1.5", "007"], "'007' in line 3"),
        ("integer", ["7", str(2**63)], f"'{2**63}' in line 3"),
        ("boolean", ["true", "0"], "'0' in line 3"),
    ],
)
def test_what_makes_text_of_a_column_is_named_with_its_line(
    kind: str, values: list[str], odd: str, tmp_path: Path
) -> None:
    (tmp_path / "t.csv").write_text(column(values))
    spec = ReadSpec(target="n", known_columns={"x": kind, "n": "integer"})
    told = f"'x' was {kind} and is string now: {odd} of 't.csv'"
    with pytest.raises(InputRejected, match=told) as refused:
        read([DropFile(tmp_path / "t.csv", "t.csv", 1)], spec, tmp_path / "out")
    assert refused.value.code == "retyped-column"


def test_an_infinite_number_is_told_with_its_file_and_row_by_every_door(tmp_path: Path) -> None:
    stored(tmp_path / "a.parquet", pa.array([1.5] * 40))
    stored(tmp_path / "b.parquet", pa.array([1.5] * 8 + [float("inf")] + [2.5] * 40))
    (tmp_path / "c").mkdir()
    (tmp_path / "c/t.csv").write_text(column(["0.5"] * 8 + ["1e400"] + ["2.5"] * 40))
    files = {
        "'b.parquet'": [DropFile(tmp_path / name, name, 1) for name in ("a.parquet", "b.parquet")],
        "'t.csv'": [DropFile(tmp_path / "c/t.csv", "t.csv", 1)],
    }
    for name, parts in files.items():
        told = f"{name}: column 'x' holds a number that is infinite .* in data row 9"
        with pytest.raises(InputRejected, match=told):
            read(parts, ReadSpec(target="n"), tmp_path / "out")
        with pytest.raises(InputRejected, match=told):
            check_files(parts, ReadSpec(target="n", contract=({"column": "n", "at_least": 0},)))
    for path in (tmp_path, tmp_path / "c/t.csv"):
        assert path == tmp_path or run("compare", path, path)[0] == 2
    code, said = run("compare", tmp_path / "a.parquet", tmp_path / "b.parquet")
    assert code == 2 and "in data row 9" in said


def test_a_contract_is_not_kept_by_what_no_drop_could_be(tmp_path: Path) -> None:
    spec = ReadSpec(target="n", contract=({"column": "n", "at_least": 0},))
    for content, code in (
        ("x,n\n", "header-only"),
        (column([*map(str, range(500)), "oops"], ","), "unparsable-numbers"),
    ):
        (tmp_path / "t.csv").write_text(content)
        with (
            mock.patch("shared.files.delimited.SAMPLE_BYTES", 400),
            pytest.raises(InputRejected) as refused,
        ):
            check_files([DropFile(tmp_path / "t.csv", "t.csv", 1)], spec)
        assert refused.value.code == code


def test_what_fails_in_no_foreseen_way_is_no_drift(tmp_path: Path) -> None:
    path = stored(tmp_path / "a.parquet", pa.array([1.5]))
    with mock.patch.object(profile_files, "open_sources", side_effect=TypeError("odd")):
        for words in (("compare", path, path), ("profile", path, "-o", tmp_path / "kept")):
            code, said = run(*words)
            assert code == 2 and "a.parquet cannot be read (TypeError)" in said


# --- numbers ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "numbers"),
    [
        (["5,-", "7,50"], [5.0, 7.5]),
        (["5.-", "CHF 1'000.-"], [5.0, 1000.0]),
        (["1.234,-", "5,-- €"], [1234.0, 5.0]),
        (["5.—", "7.–"], [5.0, 7.0]),
        (["€ 5,-", "kr 7,-"], [5.0, 7.0]),
        (["5,- kr", "7,- €"], [5.0, 7.0]),
        (["5,-€", "7,-kr"], [5.0, 7.0]),
        (["- 5", "\u2212 7.5"], [-5.0, -7.5]),
        (["5-", "5,5-"], [-5.0, -5.5]),
        (["₿ 5", "7¢"], [5.0, 7.0]),
    ],
)
def test_prices_without_cents_are_not_negative_and_blanks_part_no_minus(
    values: list[str], numbers: list[float]
) -> None:
    assert "is text" in Read(column(values)).findings
    read = Read(column(values), columns={"x": "number"})
    assert read.rows["x"] == numbers and "'—'" not in read.findings


@pytest.mark.parametrize("value", ["5.00 CR", "7.00DR", "(5)%", "(5) €", "(-5)", "-(5)", "48.85N", "2,35° W"])
def test_other_signs_around_numbers_are_told(value: str) -> None:
    """CR and DR are how banks write what is due (credit, debit)."""
    assert "numbers in a form that is not read" in Read(column([value, value])).findings


@pytest.mark.parametrize("word", ["DEU", "USD", "A$", "kr", "Fr", "lei", "Ft", "kg", "km/h"])
def test_a_unit_without_a_number_is_no_number(word: str) -> None:
    assert not Read(column([word, word])).findings


@pytest.mark.parametrize("mark", "`´′ʼ＇‘")
def test_other_marks_between_thousands_are_told(mark: str) -> None:
    assert "numbers in a form that is not read" in Read(column([f"1{mark}234.5", f"2{mark}000"])).findings


@pytest.mark.parametrize("mark", [",", ".", " ", "\u202f", "'"])
def test_long_numbers_in_groups_are_as_exact_as_others(mark: str) -> None:
    def grouped(number: int) -> str:
        return f"{number:,}".replace(",", mark)

    fits = Read(column([grouped(2**53 + 1), grouped(2**63 - 1)]))
    assert fits.rows["x"] == [2**53 + 1, 2**63 - 1]
    beyond = Read(column([grouped(2**63), grouped(1_000)]))
    assert beyond.rows["x"] == [grouped(2**63), grouped(1_000)] and "64 bits" in beyond.findings
    fraction = "1.5" if mark in ",'" else "1,5"
    assert "rounds" in Read(column([grouped(2**53 + 1), fraction])).findings


@pytest.mark.parametrize(
    ("late", "row"),
    [
        ("12345678901234567", "0.5"),
        ("1234567890123456789.01", "0.5"),
        ("9007199254740993", "0.5"),
        ("-9007199254740993", "0.5"),
        (" 9007199254740995", "0.5"),
        ("9007199254740995.0", "0.5"),
        ("9007199254740995,0", "0,5"),
        ("9,007,199,254,740,995", "1,234.5"),
        ("9.007.199.254.740.995", "1.234,5"),
    ],
)
def test_what_a_float_rounds_is_told_wherever_it_stands(late: str, row: str) -> None:
    rows = [row] * 500
    told = Read(column([late, *rows])).findings
    with mock.patch("shared.files.delimited.SAMPLE_BYTES", 400):
        assert told and Read(column([*rows, late])).findings == told


def test_columns_of_large_numbers_are_parsed_again_at_once(tmp_path: Path) -> None:
    names = [f"c{place}" for place in range(40)]
    lines = [",".join(names), *[",".join(["1.5e20"] * 40)] * 90]
    (tmp_path / "t.csv").write_text("\n".join(lines) + "\n")
    sources = open_sources([DropFile(tmp_path / "t.csv", "t.csv", 1)], ReadSpec(target=""))
    kinds = {name: sources.settled(name) for name in sources.found}
    with mock.patch.object(Delimited, "_read", autospec=True, side_effect=Delimited._read) as parsed:
        list(sources.batches(kinds))
    whole = parsed.call_count
    (tmp_path / "u.csv").write_text("\n".join(lines) + "\n")
    with mock.patch("shared.files.delimited.SAMPLE_BYTES", 1_000):
        sources = open_sources([DropFile(tmp_path / "u.csv", "u.csv", 1)], ReadSpec(target=""))
    with mock.patch.object(Delimited, "_read", autospec=True, side_effect=Delimited._read) as parsed:
        list(sources.batches(kinds))
    assert parsed.call_count == whole + 1


def test_digits_with_an_e_may_be_codes() -> None:
    assert Read(column(["0123e4", "00E12"])).rows["x"] == ["0123e4", "00E12"]
    read = Read(column(["12e45", "7"]))
    assert read.rows["x"] == [12e45, 7.0] and "say `text`" in read.findings
    for usual in ("1e+05", "1.5e5", "2e-3"):
        assert not Read(column([usual, "7"])).findings
    assert "code" not in Read(column(["12e45", "7"]), columns={"x": "number"}).findings
    assert "0 as a 64-bit float, for example '1e-400'" in Read(column(["1e-400", "0e-400"])).findings


@pytest.mark.parametrize("beside", ["-", "7", "1,234.5", "1,5", "1.234,5"])
def test_exponents_are_told_beside_whatever_makes_numbers(beside: str) -> None:
    assert "say `text`" in Read(column(["12e45", beside, "7"])).findings
    small = "1,5e-400" if beside == "1,5" else "1e-400"
    assert f"0 as a 64-bit float, for example '{small}'" in Read(column([small, beside, "7"])).findings
    assert not Read(column(["12e45 of it", "1e-400x", beside, "soon", "then", "never"])).findings


@pytest.mark.parametrize(
    ("values", "said", "more"),
    [
        (pa.array([2**64 - 1, 1], pa.uint64()), str(2**64 - 1), {}),
        (pa.array([Decimal(10**30), Decimal(1)], pa.decimal128(38, 0)), str(10**30), {}),
        (pa.array([Decimal("-9.99"), Decimal(1)], pa.decimal32(5, 2)), "-9.99", {}),
        (pa.array([Decimal("-9.99"), Decimal(1)], pa.decimal64(17, 2)), "-9.99", {}),
        (pa.array([Decimal(-999), Decimal(1)], pa.decimal64(12, 0)), "-999", {}),
        (pa.array([Decimal("-9.99"), Decimal(1)], pa.decimal256(50, 2)), "-9.99", {}),
        (pa.array([-999.9, 1.0]).cast(pa.float16()), "-999.9", {}),
        (pa.array([-1.0, 1_706_688_000.0], pa.float32()), "-1", {"columns": {"x": "time"}}),
        (pa.array([-1, 20240], pa.float32()).cast(pa.float16()), "-1", {"columns": {"x": "time"}}),
        (pa.array([-1, 1_706_695_200]), "-1", {"columns": {"x": "time"}}),
        (pa.array([-1.0, 1_706_695_200.0]), "-1", {"columns": {"x": "time"}}),
        (pa.array([19000101, 20240131], pa.int32()), "19000101", {"columns": {"x": "time"}}),
    ],
    ids=[
        "uint64",
        "decimal",
        "decimal32",
        "decimal64",
        "whole64",
        "decimal256",
        "half",
        "floats of 32 bits",
        "half of days",
        "seconds",
        "floats of seconds",
        "dates",
    ],
)
def test_a_typed_number_that_means_no_value_does_whatever_its_column_becomes(
    values: pa.Array, said: str, more: dict[str, Any]
) -> None:
    read = Read(table(values), nulls=(said,), **more)
    assert [value is None for value in read.rows["x"]] == [True, False]


def test_a_number_of_few_bits_is_no_other_that_is_said() -> None:
    assert Read(table(pa.array([5, 1], pa.int8())), nulls=("261", "-251", "5.5")).rows["x"] == [5, 1]
    for kind in (pa.float64(), pa.float32(), pa.float16()):
        with pytest.raises(InputRejected, match="infinite"):
            Read(table(pa.array([float("inf"), 1.5]).cast(kind)), nulls=("1.7976931348623157e308",))


# --- text that looks like something else -----------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "told"),
    [
        (
            ["true"] * 50 + ["1", "0"],
            "holds true and false, and something that is neither, and is text, for example '1'",
        ),
        (["true", "false", "maybe"], "'maybe'"),
        (['=""001""', '=""002""'], "formulas of Excel"),
        (["=A1+B1", "=SUM(A1:A3)"], "formulas of Excel"),
        (["24-Jan", "25-Feb"], "looks like dates"),
        (["31 / 01 / 2024"], "looks like dates"),
        (["'2024-01-01"], "looks like dates"),
        (["[31/Jan/2024:10:15:30 +0100]"], "looks like dates"),
    ],
)
def test_text_that_looks_like_something_else_is_told(values: list[str], told: str) -> None:
    read = Read(column(values))
    assert read.kinds["x"] == "string" and told in read.findings
    plain = [value.replace('""', '"') for value in values]
    assert told in Read(table(pa.array(plain))).findings, "in Parquet, too"


def test_no_date_is_no_value_however_it_is_written() -> None:
    for none, value in (
        ("00/00/0000", "31/01/2024"),
        ("00.00.0000", "31.01.2024"),
        ("0000-00-00T00:00:00Z", "2024-01-31T00:00:00Z"),
    ):
        read = Read(column([none, value]))
        assert (
            read.rows["x"] == [None, dt.datetime(2024, 1, 31, tzinfo=dt.UTC)] and f"'{none}'" in read.findings
        )


# --- layout ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "content",
    [
        "2024-01-01,a\n2024-01-02,b\n",
        "31.01.2024;1,5\n01.02.2024;2,5\n",
        "1,5;a\n2,5;b\n",
        "a,true,true\nb,false,true\n",
        "7,2024-01-01,a\n8,2024-01-02,b\n",
    ],
)
def test_a_first_line_of_times_truth_values_or_decimal_commas_is_no_header(content: str) -> None:
    with pytest.raises(InputRejected, match="begins with values") as refused:
        Read(content)
    assert refused.value.code == "no-header"


@pytest.mark.parametrize("header", ["2024-01-31,2024-02-29", "true,n", "1-5,6-10", "Q1 2024,01/24"])
def test_a_header_of_times_above_numbers_is_one(header: str) -> None:
    assert list(Read(f"{header}\n1,2\n3,4\n").kinds) == header.split(",")


def test_dashes_below_the_names_are_no_row() -> None:
    """As sqlcmd writes them (learn.microsoft.com/sql/tools/sqlcmd, option -h)."""
    for end in ("\n", "\r\n", "\r"):
        read = Read(f"w,what{end}-,----{end}a,b{end}c,d{end}")
        assert read.rows == {"w": ["a", "c"], "what": ["b", "d"]} and "'-,----'" in read.findings
    assert Read("x;w\n-;-\n1;a\n").rows == {"x": [None, 1], "w": ["-", "a"]}


def test_a_mark_where_files_were_put_together_is_no_part_of_a_value() -> None:
    one, more = "w,x\na,1\n", '\ufeffb,2\n\ufeff"c,d",3\n'
    for encoding in ("utf-8", "utf-8-sig", "utf-16"):
        read = Read(one.encode(encoding) + more.encode("utf-8" if encoding[-3:] == "sig" else encoding))
        assert read.rows == {"w": ["a", "b", "c,d"], "x": [1, 2, 3]} and not read.findings
    assert Read("x,w\n1,a\n" + "\ufeff2,b\n" * 3).kinds["x"] == "integer"
    within = Read('x,w\n1,"a\n\ufeffb"\n\ufeff2,"c\n\ufeff\ufeffd"\n\ufeff3,e\n')
    assert within.rows == {"x": [1, 2, 3], "w": ["a\n\ufeffb", "c\n\ufeff\ufeffd", "e"]}


def test_a_file_that_r_wrote_with_blanks_is_told_with_what_helps() -> None:
    """write.table names its rows and not their column (stat.ethz.ch/R-manual, "write.table", CSV files)."""
    read = Read('"x" "w"\n"1" 1.5 "a"\n"2" 2.5 "b"\n')
    assert "if blanks separate values, write a comma" in read.findings


@pytest.mark.parametrize(
    ("content", "what"),
    [
        ('[null, {"x": 1}]', "JSON"),
        ("[NaN, 1]", "JSON"),
        ("[true]", "JSON"),
        ("-----BEGIN PGP MESSAGE-----\n\nhQEMA\n", "PGP"),
    ],
)
def test_more_that_is_no_table_is_refused_by_name(content: str, what: str) -> None:
    with pytest.raises(InputRejected, match=what) as refused:
        Read(content)
    assert refused.value.code == "unsupported-format"


# --- parts -----------------------------------------------------------------------------------------


def laid(folder: Path, files: dict[str, str]) -> list[DropFile]:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content)
    return profile_files.files_of(folder)


def test_a_part_of_one_row_and_no_header_is_not_lost(tmp_path: Path) -> None:
    files = laid(tmp_path, {"a.csv": "x,w,n\n1.5,a,1\n", "b.csv": "2.5,b,2\n"})
    with pytest.raises(InputRejected, match=r"'b\.csv' has values in place of names: '2\.5,b,2'") as refused:
        open_sources(files, ReadSpec(target=""))
    assert refused.value.code == "no-header"
    years = laid(tmp_path / "years", {"a.csv": "x,2023\n1.5,1\n", "b.csv": "x,2024\n"})
    assert "it is passed over" in " ".join(open_sources(years, ReadSpec(target="")).findings())


def test_names_of_partitions_that_look_the_same_are_the_same(tmp_path: Path) -> None:
    files = laid(tmp_path, {"caf\u00e9=1/t.csv": "x,n\n1,2\n", "cafe\u0301=2/t.csv": "x,n\n1,2\n"})
    assert open_sources(files, ReadSpec(target="caf\u00e9")).found["caf\u00e9"] == "integer"
    assert "cafe\u0301" in open_sources(files, ReadSpec(target="cafe\u0301")).found
