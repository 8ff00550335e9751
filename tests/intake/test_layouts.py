"""Siblings of the layouts and parts in test_dress.py: read as the table that they are, or refused or told by name."""

from __future__ import annotations

import bz2
import datetime as dt
import gzip
import io
import json
import random
import tarfile
import zlib
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from cli import app
from shared.errors import InputRejected
from shared.intake import ReadSpec
from shared.reader import profile_files
from shared.reader.batches import Sources, open_sources
from tests.intake.dressing import Read

ROWS = [[f"{i}.5", f"w{i % 3}", str(i % 2)] for i in range(40)]
PLAIN = {
    "x": [i + 0.5 for i in range(40)],
    "w": [f"w{i % 3}" for i in range(40)],
    "y": [i % 2 for i in range(40)],
}


def text(
    above: str = "", header: str = "x,w,y", tail: str = "", below: str = "", separator: str = ","
) -> str:
    lines = [header.replace(",", separator) + tail, *(separator.join(row) + tail for row in ROWS)]
    return above + "\n".join(lines) + "\n" + below


READ = {
    "SEP=": text("SEP=;\n", separator=";"),
    "sep= saved again": text("sep=;;;\n", separator=";"),
    "sep= of another separator": text("sep=;\n"),
    "comments as wide as the table": text("# exported, by hub, 7\n# units, are, cm\n"),
    "many columns without a name and a value": text(tail=",,,,,"),
    "two marks": "\ufeff\ufeff" + text(),
    "signs of no width": text(header="\u200bx,w\u200e,\u00a0y"),
    "numbers in a header": text().replace("x,w,y", "x,w,y"),
}


@pytest.mark.parametrize("name", sorted(READ))
def test_a_table_is_found(name: str) -> None:
    read = Read(READ[name])
    assert read.rows == PLAIN
    assert ("passed over" in read.findings) == ("comments" in name)


@pytest.mark.parametrize("header", ["x,2020,y", "0,1,2", "2019,2020,2021", "x,2024-01-31,y"])
def test_numbers_can_be_names(header: str) -> None:
    rows = "\n".join(f"{i}.5,{i},{i % 2}" for i in range(20))
    assert list(Read(f"{header}\n{rows}\n").kinds) == header.split(",")


@pytest.mark.parametrize(
    "content",
    [
        "\n".join(",".join(row) for row in ROWS),
        "5.1,3.5,setosa\n4.9,3.0,setosa\n",
        "39,State-gov,77516\n50,Private,83311\n",
    ],
)
def test_a_table_without_a_header_is_refused_by_name(content: str, tmp_path: Path) -> None:
    with pytest.raises(InputRejected) as refused:
        Read(content)
    assert refused.value.code == "no-header"
    assert content.split("\n", maxsplit=1)[0] in str(refused.value)


def test_a_header_like_values_is_one_where_it_names_the_target(tmp_path: Path) -> None:
    assert list(parts(tmp_path, {"a.csv": "5,7\n1,2\n3,4\n"}, target="7").found) == ["5", "7"]


@pytest.mark.parametrize("separator", ["^", "~", "\x01", "§", " "])
def test_another_separator_can_be_said_if_it_is_ascii(separator: str) -> None:
    if separator.isascii():
        assert Read(text(f"sep={separator}\n", separator=separator)).rows == PLAIN
        return
    with pytest.raises(InputRejected) as refused:
        Read(text(f"sep={separator}\n", separator=separator))
    assert refused.value.code == "unsupported-format"


def _tar(content: bytes) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        entry = tarfile.TarInfo("t.csv")
        entry.size = len(content)
        archive.addfile(entry, io.BytesIO(content))
    return packed.getvalue()


FOREIGN = {
    "JSON lines": '{"x": 1, "y": 2}\n{"x": 3, "y": 4}\n',
    "JSON array": json.dumps([{"x": 1, "y": 2}]),
    "JSON, pretty": json.dumps([{"x": 1, "y": 2}], indent=1),
    "XML": "<?xml version='1.0'?><Error><Code>BlobNotFound</Code></Error>",
    "HTML": "<!DOCTYPE html>\n<html><body>Sign in, please</body></html>",
    "Git LFS": "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n",
    "ARFF": "@relation t\n@attribute x numeric\n@data\n1,0\n",
    "SQL": "INSERT INTO t VALUES (1,'a');\n",
    "bzip2": bz2.compress(text().encode()),
    **{f"zlib, level {level}": zlib.compress(text().encode(), level) for level in (0, 1, 5, 6, 9)},
    "text no more: raw deflate": zlib.compress(text().encode() * 50)[2:],
    "text no more: like br": random.Random(1).randbytes(900),
    "JSON in UTF-16": json.dumps([{"x": 1}]).encode("utf-16"),
    "JSON in UTF-16 without a mark": '{"x": 1, "y": 2}\n'.encode("utf-16-le"),
    "JSON array of words": '["x","target"]\n[1.5,"a"]\n',
    "JSON array of numbers": "[1,2,3]\n[-1.5e3, 2, 3]\n",
    "tar": _tar(text().encode()),
    "gzip inside gzip": gzip.compress(gzip.compress(text().encode())),
    "tar archive inside gzip": gzip.compress(_tar(text().encode())),
    "PNG": b"\x89PNG\r\n\x1a\n" + bytes(60),
    "JPEG": b"\xff\xd8\xff\xe0\0\x10JFIF" + bytes(60),
    "GIF": b"GIF89a" + bytes(60),
    "TIFF": b"II*\0" + bytes(60),
}


@pytest.mark.parametrize("name", sorted(FOREIGN))
def test_what_is_no_table_is_refused_by_name(name: str) -> None:
    with pytest.raises(InputRejected) as refused:
        Read(FOREIGN[name])
    assert refused.value.code == "unsupported-format" and name.split(",")[0].split(" ")[0] in str(
        refused.value
    )


def test_text_that_begins_like_something_else_is_text() -> None:
    for name in ("x^", "x\u0001", "[a", "[1"):
        assert list(Read(f"{name},y\n1.5,a\n2.5,b\n").kinds) == [name, "y"]


def test_a_footer_of_two_lines_is_no_quote_that_is_not_closed() -> None:
    """Power BI writes its filters so. A quote that swallows rows holds separators."""
    with pytest.raises(InputRejected, match="1 value in line 42") as short:
        Read(text(below='"Applied filters:\nnone"\n'))
    with pytest.raises(InputRejected, match="quote that is not closed in line 42") as unclosed:
        Read(text(below='"1,w1,0\n2,w2,0\n3,w1,0"\n'))
    assert (short.value.code, unclosed.value.code) == ("ragged-rows", "field-too-large")


def test_what_only_says_a_separator_is_empty() -> None:
    with pytest.raises(InputRejected) as refused:
        Read("sep=;\n")
    assert refused.value.code == "empty-file"


def test_totals_and_rows_of_nothing_are_told() -> None:
    assert "looks like a total" in Read(text(below="820.0,Summe,\n")).findings
    assert "2 rows hold no value" in Read(text(below=",,\n,,\n")).findings
    assert not Read(text()).findings


def test_an_index_that_was_written_twice_is_left_out() -> None:
    assert list(Read(",Unnamed: 0,x\n0,0,1.5\n1,1,2.5\n").kinds) == ["x"]


# --- parts -----------------------------------------------------------------------------------------


def parts(folder: Path, files: Mapping[str, str | pa.Table], **spec: object) -> Sources:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, str):
            (folder / name).write_text(content)
        else:
            pq.write_table(content, folder / name)
    return open_sources(profile_files.files_of(folder), ReadSpec(**{"target": "", **spec}))


def test_parts_without_rows_say_nothing_of_the_others(tmp_path: Path) -> None:
    sources = parts(tmp_path, {"a.csv": text(), "b.csv": "x,w,y\n", "c.csv": "\n"})
    assert sources.found == {"x": "number", "w": "string", "y": "integer"}
    assert "is text" not in " ".join(sources.findings()) and "'c.csv' is empty" in " ".join(
        sources.findings()
    )
    empty = pa.table({"x": pa.array([], pa.string())})
    for name, first, second in (("1", empty, pa.table({"x": [1.5]})), ("2", pa.table({"x": [1.5]}), empty)):
        assert parts(tmp_path / name, {"a.parquet": first, "b.parquet": second}).found == {"x": "number"}


def test_an_index_or_an_ignored_column_in_some_parts_stops_nothing(tmp_path: Path) -> None:
    plain = pa.table({"x": [1.5, 2.5]})
    indexed = plain.append_column("__index_level_0__", pa.array([7, 9]))
    assert parts(tmp_path / "1", {"a.parquet": plain, "b.parquet": indexed}).found == {"x": "number"}
    files = {"a.csv": "x,z\n1,2\n", "b.csv": "x\n1\n"}
    assert parts(tmp_path / "2", files, ignore=("z",)).found == {"x": "integer"}
    with pytest.raises(InputRejected) as refused:
        parts(tmp_path / "3", files)
    assert refused.value.code == "mixed-schemas"


@pytest.mark.parametrize(
    "log",
    [
        *("inner/_delta_log/0.json", ".hoodie/hoodie.properties", "metadata/v1.metadata.json"),
        *("inner/metadata/v1.metadata.json", "year=2007/.hoodie_partition_metadata"),
    ],
)
def test_a_folder_that_keeps_deleted_rows_is_refused_by_name(log: str, tmp_path: Path) -> None:
    with pytest.raises(InputRejected) as refused:
        parts(tmp_path, {"part-0.parquet": pa.table({"x": [1]}), log: "{}"})
    assert refused.value.code == "delta-table"


def test_new_takes_a_folder_as_the_others_do(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    for name in ("a.csv", "b.csv"):
        (tmp_path / "data" / name).write_text(text())
    words = [
        "new",
        "made",
        "--data",
        tmp_path / "data",
        "--target",
        "y",
        "--task",
        "classification",
        "--folder",
        tmp_path,
    ]
    done = CliRunner().invoke(app, [str(word) for word in words])
    assert done.exit_code == 0 and (tmp_path / "made" / "loop.yaml").exists()


# --- typed columns ---------------------------------------------------------------------------------


def table(values: pa.Array) -> pa.Table:
    return pa.table({"x": values, "n": list(range(len(values)))})


def test_what_a_person_says_of_a_typed_column_is_done_or_refused() -> None:
    seconds = table(pa.array([1_706_695_200, 1_706_781_600]))
    moments = [dt.datetime(2024, 1, day, 10, tzinfo=dt.UTC) for day in (31,)]
    assert Read(seconds, columns={"x": "time"}).rows["x"][:1] == moments
    dates = Read(table(pa.array([20240131], pa.int32())), columns={"x": "time"})
    assert dates.rows["x"] == [dt.datetime(2024, 1, 31, tzinfo=dt.UTC)]
    big = Read(table(pa.array([2**64 - 1, 1], pa.uint64())), columns={"x": "number"})
    assert big.kinds["x"] == "number" and "rounds" in big.findings
    exact = table(pa.array([Decimal(10**30)], pa.decimal128(38, 0)))
    assert Read(exact, columns={"x": "number"}).rows["x"] == [1e30]
    for values, said, code in (
        (pa.array([True, False]), "number", "unparsable-numbers"),
        (pa.array([dt.date(2024, 1, 31)]), "number", "unparsable-numbers"),
        (pa.array([True, False]), "time", "no-time"),
        (pa.array([1.5, 2.5]), "time", "no-time"),
    ):
        with pytest.raises(InputRejected) as refused:
            Read(table(values), columns={"x": said})
        assert refused.value.code == code


@pytest.mark.parametrize(
    ("values", "told"),
    [
        (["1.5", "2"], "holds numbers"),
        (["2024-01-31", "31 Jan 2024"], "holds times"),
        (["007", "12"], ""),
        (["low", "high"], ""),
        (["", ""], ""),
    ],
)
def test_text_in_parquet_that_holds_something_else_is_told(values: list[str], told: str) -> None:
    read = Read(table(pa.array(values)))
    assert read.kinds["x"] == "string" and read.rows["x"] == values
    assert (told or "is text") in read.findings if told else "is text" not in read.findings
    assert (
        "is text" not in Read(table(pa.array(values)), known_columns={"x": "string", "n": "integer"}).findings
    )


def test_nanoseconds_that_are_cut_are_told() -> None:
    fine = Read(table(pa.array([1_706_695_200_000_000_123], pa.timestamp("ns"))))
    assert "finer than microseconds" in fine.findings
    assert not Read(table(pa.array([1_706_695_200_000_000_000], pa.timestamp("ns")))).findings


@pytest.mark.parametrize("name", [" x ", "x\u200b", "\ufeffx"])
def test_names_are_trimmed_in_parquet_too(name: str) -> None:
    assert list(Read(pa.table({name: [1.5], "n": [1]})).kinds) == ["x", "n"]
    with pytest.raises(InputRejected) as refused:
        Read(pa.table({" ": [1.5], "n": [1]}))
    assert refused.value.code == "empty-header"


def test_names_in_angles_are_names() -> None:
    """As MetaTrader exports prices."""
    read = Read("<DATE>\t<OPEN>\n2024.01.31\t1.5\n")
    assert list(read.rows) == ["<DATE>", "<OPEN>"]
