"""Parquet files and what is in memory are profiled alike, or refused with the file's name and what to do."""

from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import drift


@pytest.mark.parametrize(
    "data", [b"PAR1", b"PAR1" + b"\x00" * 100, b"PAR1 no footer PAR1", b"nothing", b"a,b\n1,2\n", b""]
)
def test_what_is_no_parquet_file_is_refused_by_name(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "drop.parquet").write_bytes(data)
    with pytest.raises(drift.DataError, match=r"drop\.parquet"):
        drift.profile(tmp_path / "drop.parquet")


def test_a_truncated_parquet_page_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "drop.parquet"
    pq.write_table(pa.table({"a": list(range(10_000))}), path)
    data = bytearray(path.read_bytes())
    data[10:2000] = b"\xff" * 1990
    path.write_bytes(bytes(data))
    with pytest.raises(drift.DataError, match=r"drop\.parquet"):
        drift.profile(path)


ENCODINGS = {
    "dictionary": {},
    "plain": {"use_dictionary": False},
    "delta": {"use_dictionary": False, "column_encoding": {"w": "DELTA_BYTE_ARRAY", "a": "PLAIN"}},
    "delta of lengths": {
        "use_dictionary": False,
        "column_encoding": {"w": "DELTA_LENGTH_BYTE_ARRAY", "a": "BYTE_STREAM_SPLIT"},
    },
    "second version": {
        "data_page_version": "2.0",
        "use_dictionary": ["a"],
        "column_encoding": {"w": "DELTA_BYTE_ARRAY"},
    },
}


@pytest.mark.parametrize("by", [None, "g"])
@pytest.mark.parametrize("encoding", sorted(ENCODINGS.keys() - {"dictionary"}))
def test_it_does_not_matter_how_a_column_is_encoded(tmp_path: Path, encoding: str, by: str | None) -> None:
    """parquet-java writes its second version's texts as DELTA_BYTE_ARRAY, of which Arrow's `read_dictionary` says "Not
    yet implemented: DecodeArrow of DictAccumulator"."""
    words = [None if n % 17 == 0 else f"word {n % 7}" for n in range(3_000)]
    table = pa.table({"w": words, "a": [n * 0.5 for n in range(3_000)], "g": ["x", "y", "y"] * 1_000})
    for name in ("dictionary", encoding):
        options = dict(ENCODINGS[name])
        if "column_encoding" in options:
            options["column_encoding"] = {**options["column_encoding"], "g": "PLAIN"}
        pq.write_table(table, tmp_path / name, row_group_size=1_100, **options)
    wanted, found = (drift.profile(tmp_path / name, by=by) for name in ("dictionary", encoding))
    assert found.to_bytes() == wanted.to_bytes()


def test_folders_frames_and_tables_give_the_same_numbers(tmp_path: Path) -> None:
    frame = pd.DataFrame({"a": [1.5, 2.5, None, 4.0] * 30, "b": ["x", "y", "y", None] * 30})
    plain = drift.profile(frame)
    folder = tmp_path / "parts"
    folder.mkdir()
    frame[:50].to_parquet(folder / "one.parquet", index=False)
    frame[50:].to_parquet(folder / "two.parquet", index=False)
    (folder / "_SUCCESS").touch()
    for other in (
        drift.profile(folder),
        drift.profile(pa.table(frame)),
        drift.profile(iter(pa.table(frame).to_batches())),
    ):
        assert other.rows == plain.rows
        for name, column in plain.columns.items():
            assert other.columns[name].nulls == column.nulls
            mine, theirs = column.parts["values"], other.columns[name].parts["values"]
            assert mine.counts.tolist() == theirs.counts.tolist()


def test_row_groups_and_files_without_rows_change_nothing(tmp_path: Path) -> None:
    table = pa.table({"a": [n * 0.5 for n in range(100)], "b": ["x", "y"] * 50})
    pq.write_table(table, tmp_path / "plain.parquet")
    with pq.ParquetWriter(tmp_path / "gaps.parquet", table.schema) as writer:
        for part in (table.slice(0, 0), table.slice(0, 60), table.slice(0, 0), table.slice(60)):
            writer.write_table(part)
    parts = tmp_path / "parts"
    parts.mkdir()
    pq.write_table(table.slice(0, 0), parts / "0.parquet")
    pq.write_table(table, parts / "1.parquet")
    plain = counted(drift.profile(tmp_path / "plain.parquet"))
    assert counted(drift.profile(tmp_path / "gaps.parquet")) == plain
    assert counted(drift.profile(parts)) == plain
    assert counted(drift.profile([table.slice(0, 0), table])) == plain


def counted(profile: drift.Profile) -> object:
    """All that is counted; how rows follow each other is looked at block by block, so that blocks may show."""
    return profile.rows, [
        (c.name, c.kind, c.type, c.nulls, {name: part.counts.tolist() for name, part in c.parts.items()})
        for c in profile.columns.values()
    ]


def test_sorted_amounts_are_judged_and_row_numbers_are_not() -> None:
    def kind(values: list[int], name: str = "amount") -> str:
        return drift.profile({name: values}).columns[name].kind

    amounts = [n * n + 7 for n in range(200)]
    assert kind(amounts) == "numeric"
    assert kind(amounts, "paid") == "numeric"
    assert kind(list(range(500, 700))) == "id"
    assert {kind(amounts, name) for name in ("id", "customer_id", "PassengerId", "order key")} == {"id"}
    assert kind([2**62 + n * 3 for n in range(100)], "user id") == "id"


def test_a_report_that_compared_nothing_does_not_say_no_drift() -> None:
    empty = drift.profile(pa.table({"a": pa.array([], pa.float64())}))
    report = drift.compare(empty, drift.profile({"a": [1.0, 2.0]}))
    assert report.columns == () and "nothing was compared" in report.headline


def test_a_missing_path_and_an_empty_folder_are_told(tmp_path: Path) -> None:
    with pytest.raises(drift.DataError, match="no such file"):
        drift.profile(tmp_path / "nowhere.parquet")
    with pytest.raises(drift.DataError, match="no data file"):
        drift.profile(tmp_path)
