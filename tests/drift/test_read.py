"""Files that people really send are read, or refused with the file's name and what to do."""

import gzip
import threading
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest import mock

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import drift
from drift import read


def _profile(folder: Path, data: bytes, name: str = "drop.csv") -> drift.Profile:
    path = folder / name
    path.write_bytes(data)
    return drift.profile(path)


@pytest.mark.parametrize(
    ("data", "kinds"),
    [
        (b"a,b\n1,x\n2,y\n", {"a": "numeric", "b": "category"}),
        (b"\xef\xbb\xbfa,b\n1,x\n2,y\n", {"a": "numeric", "b": "category"}),
        ("a,b\n1,ä\n2,y\n".encode("utf-16"), {"a": "numeric", "b": "category"}),
        (b"a;b\r\n1,5;x\r\n2,25;y\r\n", {"a": "numeric", "b": "category"}),
        (b"a\tb\n1\t2.5\n", {"a": "numeric", "b": "numeric"}),
        (b'a,b\n1,"two\nlines, ""quoted"""\n2,y\n', {"a": "numeric", "b": "category"}),
        (b"a,b\n1e309,x\n2,y\n", {"a": "numeric", "b": "category"}),
        (b"a,b\n1,\n,\n", {"a": "numeric", "b": "empty"}),
        (b"a,when\n1,2024-01-01T10:00:00\n", {"a": "numeric", "when": "datetime"}),
        (b"a, b\n1, x\n", {"a": "numeric", "b": "category"}),
        (b"a,b", {"a": "empty", "b": "empty"}),
        (b"a,b\n1,x", {"a": "numeric", "b": "category"}),
    ],
)
def test_a_csv_is_read(tmp_path: Path, data: bytes, kinds: dict[str, str]) -> None:
    profile = _profile(tmp_path, data)
    assert {name: column.kind for name, column in profile.columns.items()} == kinds


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "empty"),
        (b"\n\n", "empty"),
        (b"a,b\n1,2,3\n4\n", "cannot be parsed"),
        (b"a,a\n1,2\n", "appears twice"),
        (b"a,\n1,2\n", "no name"),
        (b"a,b\n1,x\x00y\n", "NUL"),
        (b"\xff\xfea\x00,\x00\x00\xd8", "UTF-16"),
        (b"a,b\n1,\xff\xfe\xfd\n", "UTF-8"),
        (b"\x1f\x8b\x08\x00garbage", "gzip"),
    ],
)
def test_a_bad_csv_is_refused_by_name(tmp_path: Path, data: bytes, words: str) -> None:
    with pytest.raises(drift.DataError, match=words) as caught:
        _profile(tmp_path, data)
    assert "drop.csv" in str(caught.value)


@pytest.mark.parametrize("data", [b"PAR1", b"PAR1" + b"\x00" * 100, b"PAR1 no footer PAR1", b"nothing"])
def test_a_bad_parquet_file_is_refused_by_name(tmp_path: Path, data: bytes) -> None:
    with pytest.raises(drift.DataError, match=r"drop\.parquet"):
        _profile(tmp_path, data, "drop.parquet")


def test_a_truncated_parquet_page_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "drop.parquet"
    pq.write_table(pa.table({"a": list(range(10_000))}), path)
    data = bytearray(path.read_bytes())
    data[10:2000] = b"\xff" * 1990
    path.write_bytes(bytes(data))
    with pytest.raises(drift.DataError, match=r"drop\.parquet"):
        drift.profile(path)


@pytest.mark.timeout(20)
@pytest.mark.parametrize("bad", [b"\xff\xfe", b"word_7 \xc3"])
def test_bytes_that_are_no_text_are_refused_wherever_they_come(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bad: bytes
) -> None:
    monkeypatch.setattr("drift.read._BLOCK_BYTES", 1000)
    rows = [b"%d,word_%d" % (i, i % 7) for i in range(1000)]
    with pytest.raises(drift.DataError, match=r"drop\.csv: the text is not UTF-8"):
        _profile(tmp_path, b"\n".join([b"a,b", *rows, b"1," + bad, *rows]))


def test_a_header_alone_gives_a_profile_without_rows(tmp_path: Path) -> None:
    profile = _profile(tmp_path, b"a,b\n")
    assert profile.rows == 0
    assert list(profile.columns) == ["a", "b"]


def test_gzip_folders_and_parquet_give_the_same_numbers(tmp_path: Path) -> None:
    frame = pd.DataFrame({"a": [1.5, 2.5, None, 4.0] * 30, "b": ["x", "y", "y", None] * 30})
    text = frame.to_csv(index=False).encode()
    plain = _profile(tmp_path, text)
    packed = _profile(tmp_path, gzip.compress(text), "drop.csv.gz")
    folder = tmp_path / "parts"
    folder.mkdir()
    frame[:50].to_parquet(folder / "one.parquet")
    frame[50:].to_parquet(folder / "two.parquet")
    (folder / "_SUCCESS").touch()
    for other in (packed, drift.profile(folder), drift.profile(frame), drift.profile(pa.table(frame))):
        assert other.rows == plain.rows
        for name, column in plain.columns.items():
            assert other.columns[name].nulls == column.nulls
            mine, theirs = column.parts["values"], other.columns[name].parts["values"]
            assert mine.counts.tolist() == theirs.counts.tolist()


def test_a_type_that_changes_late_restarts_the_file_with_a_wider_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("drift.read._BLOCK_BYTES", 1000)
    rows = [f"{i},{i}" for i in range(1000)] + ["1000.5,word"]
    profile = _profile(tmp_path, "\n".join(["a,b", *rows]).encode())
    assert profile.columns["a"].kind == "numeric"
    assert profile.columns["b"].kind in ("category", "text", "id")
    assert profile.rows == 1001


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from(["", "7", "2.5", "word"]), min_size=1, max_size=12), st.integers(30, 400))
def test_blocks_that_are_parsed_side_by_side_give_what_one_block_gives(cells: list[str], size: int) -> None:
    """Whatever each block makes of a column before those in front of it have told its type."""
    rows = [f"{number}.5,{cell}" for number, cell in enumerate(cell for cell in cells for _ in range(40))]
    with TemporaryDirectory() as folder:
        whole = _profile(Path(folder), "\n".join(["a,b", *rows]).encode())
        with mock.patch("drift.read._BLOCK_BYTES", size):
            parts = drift.profile(Path(folder) / "drop.csv")
    assert parts.to_bytes() == whole.to_bytes()


def test_a_reader_that_stops_early_leaves_no_thread_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("drift.read._BLOCK_BYTES", 1000)
    path = tmp_path / "drop.csv"
    path.write_bytes(b"a,b\n" + b"1,2\n" * 10_000)
    threads = threading.active_count()
    tables = read.csv_tables(path, {})
    assert next(tables).num_rows + next(tables).num_rows < 10_000
    tables.close()  # type: ignore[attr-defined]  # it is a generator
    assert threading.active_count() == threads


def test_a_quoted_newline_at_a_block_s_end_is_not_a_row_s_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("drift.read._BLOCK_BYTES", 97)
    rows = [f'{i},"line\nbreak, {i % 3}"' for i in range(500)]
    profile = _profile(tmp_path, "\n".join(["a,b", *rows, ""]).encode())
    assert profile.rows == 500
    assert profile.columns["b"].counts is not None
    assert len(profile.columns["b"].counts.keys) == 3


def test_a_missing_path_and_an_empty_folder_are_told(tmp_path: Path) -> None:
    with pytest.raises(drift.DataError, match="no such file"):
        drift.profile(tmp_path / "nowhere.csv")
    with pytest.raises(drift.DataError, match="no data file"):
        drift.profile(tmp_path)
