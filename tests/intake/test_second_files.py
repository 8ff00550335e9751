"""A second file is read as the first: parts of a folder, drops of a loop, and what is compared with a reference."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cli.compare import _both
from drift import Profile
from shared.errors import InputRejected
from shared.intake import ReadSpec
from shared.reader import profile_files
from shared.reader.one_pass import read
from tests.intake.dressing import column

Content = str | pa.Table | dict[str, "str | pa.Table"]


def put(content: Content, place: Path) -> Path:
    """A file, or a folder of files."""
    if isinstance(content, dict):
        for name, part in content.items():
            put(part, place / name)
        return place
    place.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(content, pa.Table):
        pq.write_table(content, place)
    else:
        place.write_text(content)
    return place


class Dropped:
    """A drop, after another one where there is one: types, values in any order, findings."""

    def __init__(
        self, place: Path, before: Dropped | None = None, *, champion: bool = True, **spec: Any
    ) -> None:
        if before is not None:
            known = before.reading
            reference = known.profile if champion else b""
            spec = {"known_columns": known.columns, "reference": reference, **spec}
        out = place.parent / f"{place.name}-out"
        self.reading = read(profile_files.files_of(place), ReadSpec(**{"target": "n", **spec}), out)
        self.kinds = dict(self.reading.columns)
        self.findings = " | ".join(self.reading.findings)
        tables = [pq.read_table(one) for one in sorted((out / "train").parent.glob("[thu]*/*.parquet"))]
        self.rows = pa.concat_tables(tables).sort_by("n").to_pydict()


def compared(first: Path, second: Path) -> tuple[Profile, Profile]:
    before, after = _both(first, second, None, {}, None, None)
    return before.profile, after.profile


# --- how numbers and dates are written ---------------------------------------------------------------

GERMAN = [f"{n}.{n}1,5" for n in range(10, 40)]
EITHER = [f"{n}.{n}1" for n in range(10, 40)]
DAYS = [f"{day:02}/01/2024" for day in range(1, 31)]
EARLY = [f"{day:02}/02/2024" for day in [1, 5, 9] * 10]


@pytest.mark.parametrize("champion", [True, False])
def test_a_drop_is_read_like_the_one_before_it(champion: bool, tmp_path: Path) -> None:
    """With a champion its profile says how; before there is one, the spec does."""

    def after(first: list[str], second: list[str]) -> Dropped:
        before = Dropped(put(column(first), tmp_path / "1"))
        hints = Profile.from_bytes(before.reading.profile).reading["hints"]
        how = {} if champion else {"hints": hints}
        return Dropped(put(column(second), tmp_path / "2"), before, champion=champion, **how)

    numbers = after(GERMAN, EITHER)
    assert numbers.rows["x"] == [float(value.replace(".", "")) for value in EITHER]
    assert "three digits" not in numbers.findings
    dates = after(DAYS, EARLY)
    assert {moment.month for moment in dates.rows["x"]} == {2}


def test_what_a_neighbour_showed_is_known_of_the_next_file(tmp_path: Path) -> None:
    first = put("x;y;n\n" + "".join(f"{n}.{n}1;{n},5;{n}\n" for n in range(10, 40)), tmp_path / "1")
    second = put("x;n;y\n" + "".join(f"{n}.{n}1;{n};{n}\n" for n in range(10, 40)), tmp_path / "2")
    drop = Dropped(second, Dropped(first))
    assert drop.rows["x"] == [float(f"{n}{n}1") for n in range(10, 40)]
    before, after = compared(first, second)
    assert before.columns["x"].grid.low == after.columns["x"].grid.low == 10101  # type: ignore[union-attr]


def test_a_file_that_is_written_otherwise_shows_it_by_its_other_columns(tmp_path: Path) -> None:
    first = put("x;y;n\n" + "".join(f"{n}.{n}1,5;{n},5;{n}\n" for n in range(10, 40)), tmp_path / "1")
    second = put("x;y;n\n" + "".join(f"{n},{n}1;{n}.5;{n}\n" for n in range(10, 40)), tmp_path / "2")
    assert Dropped(second, Dropped(first)).rows["x"] == [float(f"{n}{n}1") for n in range(10, 40)]


def test_a_reference_that_shows_nothing_is_read_like_what_is_compared_with_it(tmp_path: Path) -> None:
    first, second = put(column(EARLY), tmp_path / "1"), put(column(DAYS), tmp_path / "2")
    assert [side.columns["x"].kind for side in compared(first, second)] == ["datetime", "datetime"]


def test_parts_that_contradict_each_other_settle_nothing(tmp_path: Path) -> None:
    parts = {"a": column(EITHER), "b": column(GERMAN), "c": column(["1,234.5"])}
    assert "three digits" in Dropped(put(parts, tmp_path / "1")).findings
    parts = {"a": column(["31/01/2024"]), "b": column(["01/31/2024"]), "c": column(["01/02/2024"])}
    mixed = Dropped(put(parts, tmp_path / "2"))
    assert mixed.kinds["x"] == "string" and "cannot be told apart" in mixed.findings


def test_each_part_is_read_as_its_own_columns_show(tmp_path: Path) -> None:
    parts: dict[str, str | pa.Table] = {"a": "x;y;n\n1.234,5;0,5;1\n", "b": "x;y;n\n1,234;0.5;2\n"}
    assert Dropped(put(parts, tmp_path / "1")).rows["x"] == [1234.5, 1234]


# --- folders that are partitions -----------------------------------------------------------------------


def months(*names: str) -> dict[str, str | pa.Table]:
    """A file of Parquet in each of these folders."""
    return {
        f"month={name}/p": pa.table({"x": [1.0, 2.0], "n": [2 * at, 2 * at + 1]})
        for at, name in enumerate(names)
    }


def test_partitions_over_parquet_with_leading_zeros_are_codes_as_over_text(tmp_path: Path) -> None:
    first = Dropped(put(months("01", "02", "10"), tmp_path / "1"))
    assert first.rows["month"] == ["01", "01", "02", "02", "10", "10"]
    later = Dropped(put(months("11", "12"), tmp_path / "2"), first)
    assert later.kinds["month"] == "string"
    said = Dropped(put(months("01", "10"), tmp_path / "3"), columns={"month": "number"})
    assert said.rows["month"] == [1, 1, 10, 10]
    profile = profile_files.profile(tmp_path / "1").profile
    assert profile.columns["month"].type in ("string", "large_string")


def test_partitions_are_looked_at_together(tmp_path: Path) -> None:
    assert Dropped(put(months("2023", "all"), tmp_path / "1")).rows["month"][-1] == "all"
    assert Dropped(put(months("31-01-2024", "01-02-2024"), tmp_path / "2")).kinds["month"] == "datetime"
    many = months(*map(str, range(2000, 2040)), "other")
    assert Dropped(put(many, tmp_path / "3")).kinds["month"] == "string"


# --- columns without a value ---------------------------------------------------------------------------

EMPTY = [pa.float64(), pa.string(), pa.bool_(), pa.timestamp("us"), pa.decimal128(9, 2), pa.int32()]
LATER = [["a", "b"], [1.5, 2.5], [dt.datetime(2024, 1, 31, tzinfo=dt.UTC)] * 2, [True, False]]


@pytest.mark.parametrize("nothing", [*(pa.nulls(2, kind) for kind in EMPTY), pa.array([float("nan")] * 2)])
@pytest.mark.parametrize("later", LATER)
def test_a_column_without_a_value_has_no_type_whatever_its_file_says(
    nothing: pa.Array, later: list[Any], tmp_path: Path
) -> None:
    empty, full = pa.table({"x": nothing, "n": [1, 2]}), pa.table({"x": later, "n": [3, 4]})
    first, second = put(empty, tmp_path / "1"), put(full, tmp_path / "2")
    before = Dropped(first)
    assert before.kinds["x"] == "nothing" and "no value at all" in before.findings
    after = Dropped(second, before)
    assert after.rows["x"] == later
    back = Dropped(first, after)
    assert back.kinds == after.kinds and back.rows["x"] == [None, None]
    both = Dropped(put({"a": empty, "b": full}, tmp_path / "both"))
    assert both.kinds == after.kinds and both.rows["x"] == [None, None, *later]
    sides = compared(first, second)
    assert sides[0].columns["x"].kind == "empty"
    assert compared(second, first)[1].columns["x"].kind == "empty"


def test_no_number_is_no_category(tmp_path: Path) -> None:
    held = pa.table({"x": [1.0, float("nan"), 2.0], "n": [1, 2, 3]})
    found = profile_files.profile(put(held, tmp_path / "1"), columns={"x": "category"}).profile.columns["x"]
    assert found.nulls == 1 and found.parts["values"].keys == ("1", "2")  # type: ignore[union-attr]


def test_a_part_without_rows_says_nothing_of_the_columns(tmp_path: Path) -> None:
    full = pa.table({"x": [1.5], "n": [1]})
    for place, empty in enumerate([pa.table({}), pa.table({"y": [1]}).slice(0, 0), "y;n\n", "x;n\n\n"]):
        drop = Dropped(put({"a": empty, "b": full}, tmp_path / str(place)))
        assert drop.rows["x"] == [1.5]
        assert ("passed over" in drop.findings) == (place < 3)
    blank = Dropped(put({"a": "x;n\n;\n", "b": "x;n\n1.5;1\n"}, tmp_path / "blank"))
    assert blank.reading.rows == 2, "a row without a value is a row"


def test_a_category_that_was_text_stays_text_where_its_values_are_whole_numbers(tmp_path: Path) -> None:
    said = {"columns": {"x": "category"}}
    first = Dropped(put(column(["1", "2", "4S"]), tmp_path / "1"), **said)
    assert Dropped(put(column(["1", "2", "3"]), tmp_path / "2"), first, **said).rows["x"] == ["1", "2", "3"]
    assert Dropped(put(column(["1", "2", "3"]), tmp_path / "3"), **said).kinds["x"] == "integer"


def test_a_name_is_the_same_whatever_blank_it_holds(tmp_path: Path) -> None:
    first = Dropped(put("unit price;n\n1;2\n", tmp_path / "1"))
    assert list(Dropped(put("unit\u00a0price;n\n1;2\n", tmp_path / "2"), first).kinds) == ["unit price", "n"]


# --- times of 96 bits ----------------------------------------------------------------------------------


def test_far_times_of_96_bits_are_compared_as_they_are(tmp_path: Path) -> None:
    far = [dt.datetime(9999, 12, 31), dt.datetime(2024, 1, 31)]  # noqa: DTZ001 - INT96 has no zone
    table = pa.table({"x": pa.array(far, pa.timestamp("us")), "n": [1, 2]})
    pq.write_table(table, tmp_path / "far", use_deprecated_int96_timestamps=True)
    grid = profile_files.profile(tmp_path / "far").profile.columns["x"].grid
    assert grid is not None and grid.high == far[0].replace(tzinfo=dt.UTC).timestamp()


def test_times_of_96_bits_that_are_cut_are_told(tmp_path: Path) -> None:
    for last, told in ((1, True), (0, False)):
        table = pa.table({"x": pa.array([1_700_000_000_000_001_000 + last], pa.timestamp("ns")), "n": [1]})
        pq.write_table(table, tmp_path / "fine", use_deprecated_int96_timestamps=True)
        findings = [
            *Dropped(tmp_path / "fine").reading.findings,
            *profile_files.profile(tmp_path / "fine").findings,
        ]
        assert sum("finer than microseconds" in finding for finding in findings) == 2 * told


# --- quotes that nobody closes -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ('n;x\n1;"a\n2;b\n3;c\n', 2),
        ('x;n\na;1\nb;2\n"', 4),
        ('x;n\na;1\n"b;2\n"c";3\n', 3),
        ('n;x\n1;"a \\"q\\" b"\n2;"c\n3;d\n', 3),
        ('n;x\r\n1;a\r\n2;"b\r\n3;c\r\n', 3),
        ("n;x\n" + "1;a\n" * 70_000 + '2;"b\n3;c\n', 70_002),
    ],
)
def test_a_quote_that_is_never_closed_swallows_no_rows(text: str, line: int, tmp_path: Path) -> None:
    place = put(text, tmp_path / "1")
    for reading in (lambda: Dropped(place), lambda: profile_files.profile(place)):
        with pytest.raises(InputRejected, match=f"not closed in line {line:,} "):
            reading()


def test_quotes_within_values_are_no_open_ones(tmp_path: Path) -> None:
    rows = ['5" pipe', '"two\nlines"', '"a ""b"" c"', "plain"]
    text = "x;n\n" + "".join(f"{value};{at}\n" for at, value in enumerate(rows))
    assert Dropped(put(text, tmp_path / "1")).rows["x"] == ['5" pipe', "two\nlines", 'a "b" c', "plain"]
