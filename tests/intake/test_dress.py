"""Any dress: a table is dressed as people and programs dress theirs, and read back equal, or refused by name."""

from __future__ import annotations

import datetime as dt
import re
from decimal import Decimal
from pathlib import Path
from unittest import mock
from urllib.parse import quote

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import drift
from drift import DataError
from shared.errors import InputRejected
from shared.files.drop_files import Limits
from shared.intake import DropFile, ReadSpec
from shared.reader import profile_files
from shared.reader.batches import open_sources
from shared.values import nulls
from tests.intake.dressing import Read, column

QUICK = settings(max_examples=15, deadline=None, derandomize=True)


# --- numbers ---------------------------------------------------------------------------------------

FORMS = {  # thousands, decimals
    "plain": ("", "."),
    "english": (",", "."),
    "german": (".", ","),
    "german without groups": ("", ","),
    "french": ("\u202f", ","),
    "french, older": ("\u00a0", ","),
    "blanks": (" ", "."),
    "swiss": ("'", "."),
    "swiss, typographic": ("\u2019", "."),
}


def dressed(value: Decimal, form: str) -> str:
    group, mark = FORMS[form]
    return f"{value:,.2f}".replace(",", "G").replace(".", mark).replace("G", group)


@QUICK
@given(
    st.lists(st.decimals(-(10**9), 10**9, places=2), min_size=1, max_size=30),
    st.sampled_from(sorted(FORMS)),
    st.sampled_from(",;\t|"),
)
def test_numbers_are_read_in_every_usual_form(values: list[Decimal], form: str, separator: str) -> None:
    read = Read(column([dressed(v, form) for v in values], separator))
    assert read.kinds["x"] == "number"
    assert read.rows["x"] == [float(v) for v in values]


@QUICK
@given(st.lists(st.integers(100_000, 10**12), min_size=1))
def test_indian_groups_are_read(values: list[int]) -> None:
    def indian(value: int) -> str:
        head, tail = str(value)[:-3], str(value)[-3:]
        first = len(head) % 2
        pairs = [head[:first], *(head[i : i + 2] for i in range(first, len(head), 2))]
        return ",".join([*(p for p in pairs if p), tail])

    assert Read(column([indian(v) for v in values])).rows["x"] == values


@pytest.mark.parametrize(
    ("values", "separator", "kinds", "rows"),
    [
        (["1.234", "5.678"], ",", "number", [1.234, 5.678]),
        (["1.234", "5.678"], ";", "number", [1.234, 5.678]),
        (["1,234", "5,678"], ",", "integer", [1234, 5678]),
        (["1,234", "5,678"], ";", "number", [1.234, 5.678]),
        (["1.234", "0.5"], ";", "number", [1.234, 0.5]),
        (["1,234", "5,678,901"], ";", "integer", [1234, 5678901]),
    ],
)
def test_three_digits_after_the_only_mark_are_told_where_they_could_be_either(
    values: list[str], separator: str, kinds: str, rows: list[float]
) -> None:
    read = Read(column(values, separator))
    assert (read.kinds["x"], read.rows["x"]) == (kinds, rows)
    either = len({len(v) for v in values}) == 1 and not (separator == "," and "." in values[0])
    assert ("three digits" in read.findings) == either


def test_a_neighbour_shows_how_a_file_is_written() -> None:
    text = "x;y\n1.234;0,5\n5.678;12,25\n"
    assert Read(text).rows == {"x": [1234, 5678], "y": [0.5, 12.25]}
    assert Read(text, columns={"x": "number-point"}).rows["x"] == [1.234, 5.678]


@pytest.mark.parametrize("value", ["12 %", "€ 1,50", "$1,234.50", "15 EUR", "(1,234.50)"])
def test_percent_and_currencies_are_text_and_told_unless_a_person_says_number(value: str) -> None:
    values = [value, value.replace("1", "2")]
    read = Read(column(values))
    assert read.kinds["x"] == "string" and read.rows["x"] == values
    assert "signs or units" in read.findings
    assert Read(column(values), columns={"x": "number"}).kinds["x"] == "number"


@QUICK
@given(
    st.lists(st.integers(1, 10**6), min_size=25, max_size=60),
    st.sampled_from([*nulls.AMONG_VALUES, *nulls.ALWAYS]),
    st.data(),
)
def test_a_null_marker_leaves_numbers_numbers(values: list[int], marker: str, data: st.DataObject) -> None:
    where = data.draw(st.sets(st.integers(0, len(values) - 1), min_size=1, max_size=len(values) - 1))
    read = Read(column([marker if i in where else str(v) for i, v in enumerate(values)]))
    assert read.kinds["x"] == "integer"
    assert read.rows["x"] == [None if i in where else v for i, v in enumerate(values)]
    assert ("read as no value" in read.findings) == (marker not in nulls.ALWAYS)


def test_a_null_marker_is_a_word_among_words() -> None:
    assert Read(column(["None", "low", "-", "unknown"])).rows["x"] == ["None", "low", "-", "unknown"]


@QUICK
@given(st.lists(st.integers(-(2**70), 2**70) | st.integers(2**63 - 5, 2**63 + 5), min_size=1, max_size=30))
def test_whole_numbers_stay_apart_whatever_their_size(values: list[int]) -> None:
    try:
        read = Read(column([str(v) for v in values]))
    except InputRejected as rejection:
        assert rejection.code == "unparsable-numbers"
        return
    fits = all(-(2**63) <= v < 2**63 for v in values)
    assert read.kinds["x"] == ("integer" if fits else "string")
    assert read.rows["x"] == (values if fits else [str(v) for v in values])
    assert fits or "64 bits" in read.findings


@QUICK
@given(st.lists(st.integers(0, 10**38 - 1), min_size=1, max_size=30), st.sampled_from([0, 5]))
def test_decimals_that_are_whole_stay_apart(values: list[int], scale: int) -> None:
    values = [v % 10 ** (38 - scale) for v in values]
    exact = pa.array([Decimal(v) for v in values], pa.decimal128(38, scale))
    read = Read(pa.table({"x": exact, "n": [1] * len(values)}))
    assert len(set(read.rows["x"])) == len(set(values))
    assert [int(v) for v in read.rows["x"]] == values


def test_a_lossy_cast_is_a_finding() -> None:
    mixed = pa.table({"x": pa.array([Decimal("1234567890123456789.01")], pa.decimal128(30, 2)), "n": [1]})
    assert "rounds" in Read(mixed).findings
    assert "rounds" in Read(column(["0.5", "12345678901234567"])).findings


@pytest.mark.parametrize("late", ["007", "0x1F"])
@pytest.mark.parametrize("first", ["12", "1.5"])
def test_codes_are_never_numbers(late: str, first: str) -> None:
    rows = [first] * 500
    for sample in (100, 1 << 20):
        with mock.patch("shared.files.delimited.SAMPLE_BYTES", sample):
            for quoted in (late, f" {late}", f'"{late}"'):
                text = "n,x\n" + "\n".join(f"{i},{v}" for i, v in enumerate([*rows, quoted]))
                read = Read(text)
                assert (read.kinds["x"], read.rows["x"][-1]) == ("string", late)


# --- times -----------------------------------------------------------------------------------------

DATES = {
    "%Y-%m-%d": "",
    "%Y/%m/%d": "",
    "%d %b %Y": "",
    "%d-%b-%y": "",
    "%B %d, %Y": "",
    "%a, %d %b %Y": "",
    "%d/%m/%Y": "day-first",
    "%d.%m.%Y": "dotted",
    "%d-%m-%Y": "day-first",
    "%d.%m.%y": "dotted",
    "%m/%d/%Y": "month-first",
}
CLOCKS = {"": 86_400, " %H:%M": 60, " %H:%M:%S": 1, "T%H:%M:%SZ": 1, " %I:%M %p": 60, " %H:%M:%S +0000": 1}
_RECENT = st.datetimes(dt.datetime(1970, 1, 1), dt.datetime(2068, 12, 31))  # noqa: DTZ001 - as text has them


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    st.lists(_RECENT, min_size=1, max_size=20),
    st.sampled_from(sorted(DATES)),
    st.sampled_from(sorted(CLOCKS)),
)
def test_dates_are_read_in_their_order_or_told(moments: list[dt.datetime], date: str, clock: str) -> None:
    moments = [m.replace(microsecond=0) for m in moments]
    unit = CLOCKS[clock]
    expected = [
        dt.datetime.fromtimestamp(m.replace(tzinfo=dt.UTC).timestamp() // unit * unit, dt.UTC)
        for m in moments
    ]
    text = column([m.strftime(date + clock) for m in moments], "|")
    read = Read(text)
    shown = DATES[date] in ("", "dotted") or any(m.day > 12 for m in moments)
    if shown:
        assert read.kinds["x"] == "datetime" and read.rows["x"] == expected
        return
    assert read.kinds["x"] == "string" and "cannot be told apart" in read.findings
    assert Read(text, columns={"x": DATES[date]}).rows["x"] == expected
    with pytest.raises(InputRejected) as refused:
        Read(text, columns={"x": "time"})
    assert refused.value.code == "ambiguous-dates"
    with pytest.raises(InputRejected) as refused:
        Read(text, known_columns={"x": "datetime", "n": "integer"})
    assert refused.value.code == "ambiguous-dates"


@pytest.mark.parametrize(
    "values", [["31/01/2024", "01/31/2024"], ["30/02/2024"], ["2024-02-30"], ["32/01/2024"]]
)
def test_what_is_no_date_stays_text(values: list[str]) -> None:
    assert Read(column(values)).rows["x"] == values
    with pytest.raises(InputRejected) as refused:
        Read(column(values), columns={"x": "time"})
    assert refused.value.code == "no-time"


def test_far_times_of_96_bits_are_not_wrapped(tmp_path: Path) -> None:
    far = [dt.datetime(9999, 12, 31), dt.datetime(1, 1, 1)]  # noqa: DTZ001 - INT96 has no zone
    table = pa.table({"x": pa.array(far, pa.timestamp("us")), "n": [1, 2]})
    pq.write_table(table, tmp_path / "far", use_deprecated_int96_timestamps=True)
    sources = open_sources([DropFile(tmp_path / "far", "far", 1)], ReadSpec(target=""))
    (batch,) = sources.batches({"x": "datetime"})
    assert batch.column(0).to_pylist()[0] == far[0].replace(tzinfo=dt.UTC)


BYTES = [pa.binary(), pa.large_binary(), pa.dictionary(pa.int32(), pa.binary())]
TEXTS = [pa.string(), pa.large_string(), pa.string_view()]


@pytest.mark.parametrize("kind", [*TEXTS, *BYTES], ids=str)
def test_no_text_is_longer_than_the_limit_of_whatever_type(kind: pa.DataType) -> None:
    long = pa.table({"x": pa.array(["w", "l" * 5_000]).cast(pa.binary()).cast(kind), "n": [1, 2]})
    assert Read(long).rows["x"][1] == "l" * 5_000
    with pytest.raises(InputRejected) as refused:
        Read(long, limits=Limits(max_field_bytes=4_999))
    assert refused.value.code == "field-too-large"


@pytest.mark.parametrize("kind", TEXTS, ids=str)
def test_no_text_of_whatever_type_holds_bytes_that_are_no_text(kind: pa.DataType) -> None:
    bad = pa.array([b"ok", b"\xff\xfe"], pa.binary())
    text = pa.Array.from_buffers(pa.string(), 2, bad.buffers())
    with pytest.raises(InputRejected) as refused:
        Read(pa.table({"x": text.cast(kind), "n": [1, 2]}))
    assert refused.value.code == "damaged-parquet"


@pytest.mark.parametrize("kind", BYTES, ids=str)
def test_text_that_no_word_says_is_text_is_text(kind: pa.DataType) -> None:
    """Impala and Hive write BYTE_ARRAY without the word UTF8 (SPARK-2927, apache/iceberg#11367)."""
    words = ["größe", None, "", "w", "w", "12"]
    table = pa.table({"x": pa.array([None if w is None else w.encode() for w in words], kind), "n": range(6)})
    read = Read(table)
    assert read.rows["x"] == words and read.kinds["x"] == "string"
    assert Read(table, nulls=("w",)).rows["x"] == ["größe", None, "", None, None, "12"]


def test_bytes_that_are_no_text_are_refused_by_name_unless_ignored(tmp_path: Path) -> None:
    late = [b"word"] * 2_500 + [b"\xff\xd8\xff"]  # beyond the rows that are looked at first
    table = pa.table({"x": pa.array(late, pa.binary()), "n": range(len(late))})
    with pytest.raises(InputRejected, match=r"'x' of type 'binary'") as refused:
        Read(table)
    assert refused.value.code == "unsupported-column"
    assert Read(table, ignore=("x",)).rows["n"] == list(range(len(late)))


def test_views_of_bytes_are_refused_before_they_are_read_as_text() -> None:
    """Arrow 24 has few kernels for them, and one of these ended the process."""
    table = pa.table({"x": pa.array([b"w", None]).cast(pa.binary_view()), "n": [1, 2]})
    with pytest.raises(InputRejected, match=r"'x' of type 'binary_view'"):
        Read(table)
    assert Read(table, ignore=("x",)).rows["n"] == [1, 2]


def test_a_page_that_is_damaged_is_told_with_its_file(tmp_path: Path) -> None:
    path = tmp_path / "drop.parquet"
    pq.write_table(pa.table({"x": [n * 0.5 for n in range(10_000)]}), path)
    content = bytearray(path.read_bytes())
    content[40:2_000] = b"\xff" * 1_960
    path.write_bytes(bytes(content))
    with pytest.raises(DataError, match=r"drop\.parquet.*damaged.*Write the file again"):
        profile_files.profile(path)


# --- layout ----------------------------------------------------------------------------------------

TABLE = [["n", "größe", "text"], *([str(i), f"{i}.5", f"w{i % 3}"] for i in range(40))]
PLAIN = {
    "n": list(range(40)),
    "größe": [i + 0.5 for i in range(40)],
    "text": [f"w{i % 3}" for i in range(40)],
}


def text(
    separator: str = ",", end: str = "\n", above: str = "", tail: str = "", header_tail: str = ""
) -> str:
    lines = [separator.join(row) + (tail if i else header_tail or tail) for i, row in enumerate(TABLE)]
    return above + end.join(lines) + end


LAYOUTS = {
    "sep": text(";", above="sep=;\n"),
    "sep, comma": text(above='"sep=,"\r\n', end="\r\n"),
    "sep, tab": text("\t", above="sep=\t\n"),
    "comments": text(above="# exported 2026-01-01, by hub 7\n# units: cm\n"),
    "slashes": text(above="// exported\n"),
    "title": text(above="Monthly report\n\n"),
    "title, no blank line": text(above="Report of May\n"),
    "title as wide as the table": text(above="Monthly report,,\n"),
    "title and comment": text(above="Report\n\n# units\n"),
    "trailing": text(tail=","),
    "trailing in rows only": text(tail=",", header_tail=" "),
    "trailing in the header only": text(header_tail=","),
    "blank lines": text(above="\n\n") + "\n\n",
    "carriage returns": text(end="\r"),
    "carriage returns, quoted": text(end="\r").replace("w1", '"w1"'),
    "windows": text(end="\r\n"),
    "bom": "\ufeff" + text(),
    "semicolons, decimal commas": text(";").replace(".5", ",5"),
    "blanks": text(", "),
}


@pytest.mark.parametrize("layout", sorted(LAYOUTS))
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-16-le"])
def test_a_table_is_found_however_it_is_laid_out(layout: str, encoding: str) -> None:
    content = LAYOUTS[layout] if encoding == "utf-8" else LAYOUTS[layout].lstrip("\ufeff")
    read = Read(content.encode(encoding))
    assert read.rows == PLAIN
    assert ("passed over" in read.findings) == any(w in layout for w in ("comment", "title", "slashes"))


@pytest.mark.parametrize(
    ("separator", "told"),
    [
        ("~", "if '~' separates values, write it in a first line as sep=~"),
        ("$", "if '$' separates values, write it in a first line as sep=$"),
        ("::", "if '::' separates values, write a comma"),
        ("\x01", "if '\\x01' separates values, write a comma"),
        ("§", "if '§' separates values, write a comma"),
        (" ", "if blanks separate values, write a comma"),
    ],
)
def test_a_separator_that_is_not_read_is_told_with_what_helps(separator: str, told: str) -> None:
    """Also columns that blanks align, as R and Fortran print them."""
    width = 9 if separator == " " else 0
    read = Read("".join(separator.join(cell.ljust(width) for cell in row) + "\n" for row in TABLE))
    assert len(read.kinds) == 1 and told in read.findings
    if "sep=" in told:
        assert Read(f"sep={separator}\n" + text(separator)).rows == PLAIN


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_quotes_around_whole_lines_are_told(separator: str) -> None:
    """As Excel writes what was pasted into one column: each line is one value."""
    lines = [separator.join(row) for row in TABLE]
    read = Read("".join(f'"{line}"\n' for line in lines))
    assert len(read.kinds) == 1 and "write no quotes around whole lines" in read.findings
    assert Read("".join(f"{line}\n" for line in lines)).rows == PLAIN
    name = Read('name\n"Smith, John"\n"Doe, Jane"\n')
    assert "quotes" not in name.findings and name.rows["name"] == ["Smith, John", "Doe, Jane"]


def test_a_sentence_in_each_row_is_one_column() -> None:
    read = Read("what people said\n" + "".join(f"{'very ' * (n % 5)}good\n" for n in range(40)))
    assert "separate" not in read.findings


def test_what_is_no_header_is_refused_by_its_line() -> None:
    for content in (
        "x,y\n1,2,3\n4,5,6\n",
        "report, of May\nx,y,z\n1,2,3\n",
        "word\nhello, world\nfoo, bar\n",
    ):
        with pytest.raises(InputRejected) as refused:
            Read(content)
        assert refused.value.code == "ragged-rows" and "line 2" in str(refused.value)


@QUICK
@given(st.lists(st.text('ab"\\,; \n', max_size=8), min_size=2, max_size=20))
def test_quotes_behind_a_backslash_are_read(values: list[str]) -> None:
    assume(
        any(re.search(r'"[ab ]', v) for v in values)
    )  # before a separator or a line's end it could end the value
    values = [f"v{v}v" for v in values]
    escaped = [v.replace("\\", "\\\\").replace('"', '\\"') for v in values]
    content = "x,n\n" + "".join(f'"{v}",{i}\n' for i, v in enumerate(escaped))
    assume('\\"' in content)
    read = Read(content)
    assert read.rows["x"] == values


@QUICK
@given(st.integers(0, 3000), st.sampled_from([200, 4 << 20]))
def test_a_ragged_row_is_named_by_its_line(place: int, block: int) -> None:
    lines = ["a,b,c", *(f"{i},{i}.5,w" for i in range(3000))]
    lines.insert(place + 1, "1,2")
    for above, offset in (("", 0), ("# one\n# two\n", 2)):
        with (
            mock.patch("shared.files.blocks.BLOCK_BYTES", block),
            pytest.raises(InputRejected) as refused,
        ):
            Read(above + "\n".join(lines))
        assert refused.value.code == "ragged-rows"
        assert f"line {place + 2 + offset:,} (data row {place + 1:,})" in str(refused.value)


def test_a_value_that_is_no_number_is_named_by_its_line() -> None:
    rows = [str(i) for i in range(3000)]
    rows[1234] = "broken"
    with pytest.raises(InputRejected) as refused:
        Read(column(rows))
    assert "'broken' in line 1,236" in str(refused.value)


CELLS = [
    "", "7", "2.5", "1,5", "1.234", "1,234.5", "word", "-", "007", "true", "2024-01-31", "31/01/2024", "01/02/2024",
    "9223372036854775808", "2024-01-31T10:00:00Z", "1e5", " 8 ", "12 %", "1e999", "inf", " NULL ", "31/01/24",
    "24-01-30",
]  # fmt: skip


@settings(max_examples=25, deadline=None, derandomize=True)
@given(st.lists(st.sampled_from(CELLS), min_size=1, max_size=6), st.integers(40, 900), st.integers(200, 2000))
def test_it_does_not_matter_which_rows_come_first(cells: list[str], sample: int, block: int) -> None:
    """What the first rows show is only a first guess; blocks are parsed side by side."""
    content = column([cell for cell in cells for _ in range(40)])

    def outcome() -> object:
        try:
            read = Read(content)
        except InputRejected as rejection:
            return rejection.code
        return read.kinds, read.rows

    whole = outcome()
    reader = "shared.files"
    with (
        mock.patch(f"{reader}.delimited.SAMPLE_BYTES", sample),
        mock.patch(f"{reader}.blocks.BLOCK_BYTES", block),
    ):
        assert outcome() == whole


# --- columns ---------------------------------------------------------------------------------------


def test_an_id_that_looks_like_a_date_is_told_of_no_date() -> None:
    content = "bird,told\n" + "".join(f"2007-{n:03d},2007-{n:03d}\n" for n in range(40))
    assert Read(content).findings.count("looks like dates") == 2
    findings = Read(content, id="bird").findings
    assert findings.count("looks like dates") == 1 and "'told' holds what looks like dates" in findings


@pytest.fixture
def indexed() -> pa.Table:
    import pandas as pd

    frame = pd.DataFrame({"x": [0.5, 1.5, 2.5], "w": ["a", "b", "a"]}, index=[304, 340, 47])
    return pa.Table.from_pandas(frame)


def test_pandas_index_is_left_out_and_told(indexed: pa.Table) -> None:
    for content in (
        indexed,
        indexed.to_pandas().to_csv(),
        "Unnamed: 0,x,w\n304,0.5,a\n340,1.5,b\n47,2.5,a\n",
    ):
        read = Read(content)
        assert read.rows == {"x": [0.5, 1.5, 2.5], "w": ["a", "b", "a"]}
        assert "pandas' index" in read.findings
    kept = Read("Unnamed: 0,x\n304,0.5\n340,1.5\n", columns={"Unnamed: 0": "id"})
    assert kept.rows["Unnamed: 0"] == [304, 340]
    named = indexed.to_pandas().rename_axis("customer")
    assert "customer" in Read(pa.Table.from_pandas(named)).kinds, (
        "an index with a name is a column like others"
    )
    with pytest.raises(InputRejected) as refused:
        Read(",x\nanna,1\nbert,2\n")
    assert refused.value.code == "empty-header"


def test_names_that_look_the_same_are_the_same() -> None:
    composed, apart = "caf\u00e9", "cafe\u0301"
    assert list(Read(f"{apart},n\n1,2\n").kinds) == [composed, "n"]
    assert list(Read(f"{composed},n\n1,2\n", known_columns={apart: "integer"}).kinds) == [apart, "n"]
    with pytest.raises(InputRejected) as refused:
        Read(f"{composed},{apart}\n1,2\n")
    assert refused.value.code == "duplicate-header"


def test_what_is_ignored_stops_nothing() -> None:
    assert Read(column(["1", "inf", "1e999"]), ignore=("x",)).kinds["n"] == "integer"
    assert Read(column([*map(str, range(40)), "broken"]), ignore=("x",)).kinds["n"] == "integer"
    huge = pa.table({"x": pa.array([2**64 - 1], pa.uint64()), "n": [1], "deep": [[1]]})
    assert "n" in Read(huge, ignore=("x", "deep")).kinds
    twice = [pa.array([1.5, 2.5]), pa.array(["a", "b"])]
    for content in (
        "x,n,x\n1,5,a\n2,6,b\n",
        pa.table([twice[0], pa.array([5, 6]), twice[1]], ["x", "n", "x"]),
    ):
        assert Read(content, ignore=("x",)).rows == {"n": [5, 6]}
        with pytest.raises(InputRejected) as refused:
            Read(content)
        assert refused.value.code == "duplicate-header"


def test_a_person_says_what_a_column_is() -> None:
    assert Read(column(["12", "34"]), columns={"x": "text"}).rows["x"] == ["12", "34"]
    assert Read(column(["1,234", "5,678"]), columns={"x": "number-point"}).rows["x"] == [1234, 5678]
    assert Read(column(["007", "12"]), columns={"x": "number"}).rows["x"] == [7, 12]
    for values, kind in ((["01", "02"], "integer"), (["01", "2.0"], "number"), (["0" + "9" * 20], "number")):
        assert Read(column(values), columns={"x": "number"}).kinds["x"] == kind
    assert Read(column(["12", "-", "34"]), columns={"x": "number"}).rows["x"] == [12, None, 34]
    assert Read(pa.table({"x": ["1,5", "2,25"], "n": [1, 2]}), columns={"x": "number"}).rows["x"] == [
        1.5,
        2.25,
    ]
    assert ReadSpec(target="t", columns={"a": "ignore"}).ignore == ("a",)


def test_a_column_of_the_files_and_of_their_folders_names_is_told(tmp_path: Path) -> None:
    for value in (5, 6):
        (tmp_path / f"x={value}").mkdir()
        (tmp_path / f"x={value}/a.csv").write_text(f"x,n\n{value}.5,2\n")
    read = profile_files.profile(tmp_path)
    assert [line for line in read.findings if "'x' is read from the files" in line] == list(read.findings)
    assert len(read.findings) == 1 and read.profile.columns["x"].type == "double"


def test_files_that_differ_in_a_type_are_compared_with_what_was_lost(tmp_path: Path) -> None:
    for name, numbers in (("a", pa.array([1, 2**60 + 1])), ("b", pa.array([1.5, 2.5]))):
        pq.write_table(pa.table({"x": numbers}), tmp_path / f"{name}.parquet")
    assert "'x' has values that a 64-bit float rounds" in " ".join(profile_files.profile(tmp_path).findings)


def test_of_a_folder_no_file_is_read_that_is_hidden_or_being_written(tmp_path: Path) -> None:
    for name in ("a.csv", "b.csv.tmp", "c.csv.filepart", "d.csv~", "e.csv._COPYING_", ".f.csv", "_g/h.csv"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("x,n\n1.5,2\n")
    assert [file.name for file in profile_files.files_of(tmp_path)] == ["a.csv"]
    with pytest.raises(InputRejected):
        profile_files.files_of(tmp_path / "_g" / "none")
    assert profile_files.profile(tmp_path / "b.csv.tmp").profile.rows == 1, "a person named it"


def test_folders_of_partitions_give_columns(tmp_path: Path) -> None:
    for year, empty in ((2007, False), (2008, True), (2009, False)):
        place = tmp_path / "birds" / f"year={year}" / "town=K%C3%B6ln"
        place.mkdir(parents=True)
        (place / "part-0.csv").write_text("" if empty else f"x,w\n{year}.5,a\n{year + 1}.5,b\n")
    (tmp_path / "birds" / "_temporary").mkdir()
    (tmp_path / "birds" / "_temporary" / "part-0.csv").write_text("damaged")
    (tmp_path / "birds" / "_SUCCESS").touch()
    sources = open_sources(profile_files.files_of(tmp_path / "birds"), ReadSpec(target=""))
    assert sources.found == {"x": "number", "w": "string", "year": "integer", "town": "string"}
    rows = [row for batch in sources.batches(sources.found) for row in batch.to_pylist()]
    assert [r["year"] for r in rows] == [2007, 2007, 2009, 2009] and rows[0]["town"] == "Köln"
    assert "0 bytes" in " ".join(sources.findings())
    assert profile_files.profile(tmp_path / "birds").profile.rows == 4


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_partitions_of_which_some_look_like_numbers_are_text(form: str, tmp_path: Path) -> None:
    """Names of folders are text whatever lies in them; so Spark resolves it (apache/spark, PartitioningUtils.scala)."""
    for value in ("1", "x", "003"):
        (place := tmp_path / f"shop={value}").mkdir()
        write(pa.table({"x": [1.5, 2.5]}), place / f"part-0.{form}")
    sources = open_sources(profile_files.files_of(tmp_path), ReadSpec(target=""))
    assert sources.found == {"x": "number", "shop": "string"}
    rows = [row for batch in sources.batches(sources.found) for row in batch.to_pylist()]
    assert {row["shop"] for row in rows} == {"1", "x", "003"}


@pytest.mark.parametrize("form", ["csv", "parquet"])
@pytest.mark.parametrize("value", ["NA", "null", "N/A", "None", "-", "n.a.", "", "\ufffd", " x"])
def test_a_partition_is_read_as_the_same_text_in_a_file(value: str, form: str, tmp_path: Path) -> None:
    one = pa.table({"x": range(60), "region": [v for v in (value, "EU", "US") for _ in range(20)]})
    for region, rows in zip((value, "EU", "US"), (one[n : n + 20] for n in (0, 20, 40)), strict=True):
        (place := tmp_path / "parts" / f"region={quote(region, '')}").mkdir(parents=True)
        write(rows.drop_columns("region"), place / f"part-0.{form}")
    write(one, tmp_path / f"one.{form}")
    read = []
    for path in (tmp_path / f"one.{form}", tmp_path / "parts"):
        sources = open_sources(profile_files.files_of(path), ReadSpec(target=""))
        rows = [row for batch in sources.batches(sources.found) for row in batch.to_pylist()]
        read.append((sources.found, sorted(rows, key=lambda row: row["x"])))
        assert not any("no value" in told for told in sources.findings())
    assert read[0] == read[1]


def write(table: pa.Table, path: Path) -> None:
    if path.suffix == ".parquet":
        pq.write_table(table, path)
    else:
        path.write_text(table.to_pandas().to_csv(index=False))


def test_a_delta_table_without_a_commit_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "_delta_log").mkdir()
    pq.write_table(pa.table({"x": [1]}), tmp_path / "part-0.parquet")
    with pytest.raises(InputRejected) as refused:
        profile_files.profile(tmp_path)
    assert refused.value.code == "delta-log-gap"


def test_what_arrow_does_not_read_is_not_called_damaged_alone(tmp_path: Path) -> None:
    """Polars writes integers of 128 bits (pola-rs/polars#25965), Hadoop LZO, which Arrow refuses by name
    (arrow.apache.org/docs/cpp/parquet.html, "Compression")."""
    plain, other = tmp_path / "plain.parquet", tmp_path / "lzo.parquet"
    pq.write_table(pa.table({"a": [i % 50 for i in range(300)]}), plain, compression="none")
    raw = plain.read_bytes()
    footer = len(raw) - 8 - int.from_bytes(raw[-8:-4], "little")
    codec = raw.index(b"\x01a\x15\x00", footer) + 3  # the name, then the codec: thrift writes 3 as 6
    other.write_bytes(raw[:codec] + b"\x06" + raw[codec + 1 :])
    with pytest.raises(InputRejected) as refused:
        list(open_sources([DropFile(other, "lzo", 1)], ReadSpec(target="")).batches({"a": "integer"}))
    with pytest.raises(DataError) as told:
        drift.profile(other)
    for words in (str(refused.value), str(told.value)):
        assert "LZO" in words and "in a form that Arrow" in words
