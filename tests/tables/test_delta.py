"""A Delta table is read as its log says, at each commit, or refused by name."""

from __future__ import annotations

import json
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.errors import InputRejected
from shared.intake import ReadSpec
from shared.reader import profile_files
from shared.reader.batches import open_sources
from shared.tables import delta_log, delta_table, snapshot, table_file
from shared.tables.deletion_vectors import deleted_rows
from shared.tables.snapshot import Deleted
from tests.tables.written import Row, Written, roaring, z85


def rows_of(folder: Path, version: int | None = None) -> Counter[str]:
    """What the one reader makes of a table."""
    try:
        files = delta_table.of_folder(folder, version)
    except InputRejected as refused:
        if refused.code != "no-data":
            raise
        return Counter()
    sources = open_sources(files, ReadSpec(target=""))
    types = {name: sources.settled(name) for name in sources.found}
    return counted(row for batch in sources.batches(types) for row in batch.to_pylist())


def counted(rows: Any) -> Counter[str]:
    return Counter(json.dumps(row, sort_keys=True, default=str) for row in rows)


# --- any commits, against what plain lists say ---------------------------------------------------

ROWS = st.lists(
    st.fixed_dictionaries({"k": st.integers(-9, 9), "v": st.sampled_from(["a", "b c", "ü", None])}),
    min_size=1,
    max_size=5,
)
ACTS = st.lists(
    st.one_of(
        ROWS.map(lambda rows: ("append", rows)),
        st.tuples(st.just("delete file"), st.integers(0, 9)),
        st.tuples(st.just("delete rows"), st.integers(0, 9), st.integers(1, 31), st.booleans()),
        st.sampled_from([("optimize",), ("new column",), ("rename",)]),
        st.tuples(st.just("checkpoint"), st.sampled_from(["classic", "parts", "v2"]), st.booleans()),
    ),
    max_size=8,
)


def act(table: Written, what: tuple[Any, ...]) -> None:
    names = list(table.live)
    match what:
        case ("append", rows):
            table.append([{**row, "w": 1.5} for row in rows])
        case ("delete file", at) if names:
            table.commit(table.remove(names[at % len(names)]))
        case ("delete rows", at, bits, inline) if names:
            name = names[at % len(names)]
            gone = {row for row in range(len(table.live[name][0])) if bits >> row & 1}
            table.delete_rows(name, gone or {0}, inline=inline, runs=inline)
        case ("optimize",):
            table.optimize()
        case ("new column",) if "w" not in table.columns:
            table.columns["w"] = "double"
            for rows, _, _ in table.live.values():  # files of before do not hold it
                rows[:] = [{**row, "w": None} for row in rows]
            table.commit(table.meta())
        case ("rename",) if table.mapping != "none" and "v" in table.columns:
            table.physical["renamed"] = table.physical.pop("v")
            table.columns = {{"v": "renamed"}.get(n, n): kind for n, kind in table.columns.items()}
            for rows, _, _ in table.live.values():
                rows[:] = [{**row, "renamed": row["v"]} for row in rows]
            table.commit(table.meta())
        case ("checkpoint", kind, clean):
            table.checkpoint(kind, clean=clean)


@settings(max_examples=60, deadline=None)
@given(ROWS, ACTS, st.sampled_from(["none", "name", "id"]), st.booleans())
def test_a_table_holds_what_a_naive_reading_of_its_commits_says(
    rows: list[Row], acts: list[tuple[Any, ...]], mapping: str, partitioned: bool
) -> None:
    table = Written(
        mapping=mapping,
        partitions=("v",) if partitioned else (),
        features=("deletionVectors", "v2Checkpoint"),
    )
    table.append(rows)
    for what in acts:
        if what[0] == "append" and "renamed" in table.columns:
            what = ("append", [{"k": row["k"], "renamed": row["v"]} for row in what[1]])
        if what == ("rename",) and partitioned:
            continue
        act(table, what)
    with tempfile.TemporaryDirectory() as folder:
        table.write(Path(folder))
        assert rows_of(Path(folder)) == counted(table.rows)


# --- lists of numbers -------------------------------------------------------------------------------


@pytest.mark.parametrize("mapping", ["none", "name", "id"])
@pytest.mark.parametrize("kind", ["array<double>", "array<float>"])
def test_lists_of_numbers_are_a_column_each_as_in_parquet(mapping: str, kind: str, tmp_path: Path) -> None:
    """Without deleted rows, and as empty columns where a file is older than the column."""
    table = Written(mapping=mapping, features=("deletionVectors",))
    table.append([{"k": 1, "v": "before"}])
    table.columns["e"] = kind
    rows = [{"k": n, "v": "x", "e": None if n == 4 else [n + 0.5, n + 0.25]} for n in range(2, 7)]
    table.commit(table.meta())
    table.append(rows)
    table.delete_rows(list(table.live)[-1], {1})
    table.write(tmp_path)
    wide = [{"k": 1, "v": "before", "e_0": None, "e_1": None}]
    wide += [
        {"k": r["k"], "v": "x", "e_0": r["e"] and r["e"][0], "e_1": r["e"] and r["e"][1]}
        for r in rows
        if r["k"] != 3
    ]
    assert rows_of(tmp_path) == counted(wide)
    told = profile_files.profile(tmp_path).findings
    assert sum("'e' holds lists of 2 numbers, which are read as 'e_0' to 'e_1'" in one for one in told) == 1


def test_lists_of_which_no_file_has_one_and_lists_of_words_are_refused_by_name(tmp_path: Path) -> None:
    for kind in ("array<double>", "array<string>"):
        table = Written(columns={"k": "long", "e": kind})
        table.append([{"k": 1, "e": None if kind == "array<double>" else ["a"]}])
        folder = tmp_path / kind[6:9]
        table.write(folder)
        with pytest.raises(InputRejected, match="column 'e' of type 'list<") as refused:
            rows_of(folder)
        assert refused.value.code == "unsupported-column"


def test_lists_of_other_lengths_in_another_file_are_refused_by_name(tmp_path: Path) -> None:
    table = Written(columns={"k": "long", "e": "array<double>"})
    table.append([{"k": 1, "e": [1.0, 2.0]}])
    table.append([{"k": 2, "e": [1.0, 2.0, 3.0]}])
    table.write(tmp_path)
    with pytest.raises(InputRejected, match="e_2"):
        rows_of(tmp_path)


def test_each_commit_is_read_as_it_was(tmp_path: Path) -> None:
    table = Written(features=("deletionVectors",))
    table.append([{"k": 1, "v": "a"}, {"k": 2, "v": "b"}])
    table.append([{"k": 3, "v": "c"}])
    table.delete_rows(next(iter(table.live)), {0})
    table.checkpoint("classic", clean=False)
    table.commit(table.remove(next(iter(table.live))))
    table.write(tmp_path)
    for version, rows in enumerate(table.history):
        assert rows_of(tmp_path, version) == counted(rows), version
    assert profile_files.profile(Path(f"{tmp_path}@1")).profile.rows == 3
    assert profile_files.profile(tmp_path).profile.rows == 1


def test_partition_values_have_the_types_that_the_log_says(tmp_path: Path) -> None:
    table = Written(columns={"k": "long", "zip": "string", "year": "integer"}, partitions=("zip", "year"))
    table.append([{"k": 1, "zip": "01067", "year": 2024}, {"k": 2, "zip": None, "year": 2025}])
    sources = open_sources(delta_table.of_folder(table.write(tmp_path)), ReadSpec(target=""))
    assert dict(sources.found) == {"k": "integer", "zip": "string", "year": "integer"}
    assert rows_of(tmp_path) == counted(table.rows)


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        ("date", "2024-02-29", "2024-02-29"),
        ("timestamp", "2024-02-29T10:00:00.5Z", "2024-02-29 10:00:00.500000+00:00"),
        ("timestamp_ntz", "2024-02-29 10:00:00", "2024-02-29 10:00:00"),
        ("decimal(5,2)", "1.50", "1.50"),
        ("boolean", "true", "True"),
        ("byte", "-3", "-3"),
        ("double", "0.25", "0.25"),
        ("string", "a=b/c", "a=b/c"),
        ("long", None, "None"),
    ],
)
def test_values_of_partitions_are_parsed_by_type(kind: str, text: str | None, value: str) -> None:
    column = snapshot.TableColumn("p", kind, "p")
    assert str(table_file.value_of(column, text, "part").as_py()) == value


def test_a_time_without_a_zone_in_a_partition_is_told(tmp_path: Path) -> None:
    table = Written(columns={"k": "long", "at": "timestamp"}, partitions=("at",))
    table.append([{"k": 1, "at": "2024-01-01 10:00:00"}])
    log = {f"{0:020d}.json": table.write(tmp_path) / f"_delta_log/{0:020d}.json"}
    found = delta_log.replay(delta_log.needed(log, 0, "t"), log, "t")
    assert isinstance(found, snapshot.Snapshot) and "without a zone" in found.told[0]
    assert "without a zone" in profile_files.profile(tmp_path).findings[0], "as of a drop"


def test_a_column_that_a_table_widened_has_the_type_of_the_table(tmp_path: Path) -> None:
    table = Written(columns={"k": "integer", "v": "string"}, features=("typeWidening",))
    table.append([{"k": 1, "v": "a"}])
    table.columns["k"] = "double"
    table.commit(table.meta())
    sources = open_sources(delta_table.of_folder(table.write(tmp_path)), ReadSpec(target=""))
    assert sources.found["k"] == "number"


# --- deletion vectors ----------------------------------------------------------------------------


@given(
    st.sets(st.one_of(st.integers(0, 300), st.integers(65_000, 70_000), st.integers(2**32, 2**32 + 9))),
    st.booleans(),
)
@settings(deadline=None)
def test_a_deletion_vector_gives_the_rows_that_it_holds(rows: set[int], runs: bool) -> None:
    content = roaring(rows, runs=runs)
    there = Deleted("", z85(content), 0, len(content), len(rows))
    assert deleted_rows(there, "part", 2**33).tolist() == sorted(rows)


@pytest.mark.parametrize("runs", [True, False])
def test_deletion_vectors_of_many_rows_have_other_containers(runs: bool) -> None:
    rows = [*range(10_000), *range(70_000, 200_000, 3), *range(300_000, 300_010), 400_000]
    content = roaring(rows, runs=runs)
    there = Deleted("", z85(content), 0, len(content), len(rows))
    assert deleted_rows(there, "part", 500_000).tolist() == rows


def test_the_example_of_the_protocol() -> None:
    """The file name of PROTOCOL.md's example 1. Its example 3 is of an older format, which other readers refuse, too;
    delta-kernel-rs has the same rows as tables hold them (kernel/src/actions/deletion_vector.rs, its tests)."""
    inline = "^Bg9^0rr910000000000iXQKl0rr91000f55c8Xg0@@D72lkbi5=-{L"
    assert deleted_rows(Deleted("", inline, 0, 44, 6), "part", 30).tolist() == [3, 4, 7, 11, 18, 29]
    told = {
        "storageType": "u",
        "pathOrInlineDv": "ab^-aqEH.-t@S}K{vb[*k^",
        "sizeInBytes": 40,
        "cardinality": 6,
    }
    assert Deleted.of(told).file == "ab/deletion_vector_d2c639aa-8816-431a-aaf6-d3fe2512ff61.bin"


@given(st.integers(0, 60), st.integers(0, 255))
@settings(deadline=None)
def test_a_spoilt_deletion_vector_is_refused_or_has_as_many_rows_as_the_log_says(at: int, byte: int) -> None:
    content = bytearray(roaring([1, 5, 70_000]))
    content[at % len(content)] = byte
    there = Deleted("", z85(bytes(content)), 0, len(content), 3)
    try:
        found = deleted_rows(there, "part", 100_000)
    except InputRejected as refused:
        assert refused.code == "bad-delta-log"
    else:
        assert len(found) == 3 and found[-1] < 100_000


def test_runs_that_come_again_and_again_are_not_spread_out() -> None:
    """60,000 of them are 240 kB in the log, and would be 31 GB of rows."""
    head = b"".join(
        n.to_bytes(size, "little") for n, size in ((1681511377, 4), (1, 8), (0, 4), (12347, 4), (1, 1))
    )
    content = head + b"\0\0\xff\xff" + (9).to_bytes(2, "little") + 9 * b"\0\0\xff\xff" + b"\0"
    there = Deleted("", z85(content), 0, len(content), 1 << 16)
    with pytest.raises(InputRejected, match="its runs have another size"):
        deleted_rows(there, "part", 1 << 20)


def test_a_deletion_vector_with_another_checksum_is_refused(tmp_path: Path) -> None:
    table = Written(features=("deletionVectors",))
    table.append([{"k": 1, "v": "a"}, {"k": 2, "v": "b"}])
    table.delete_rows(next(iter(table.live)), {1})
    name = next(n for n in table.files if n.endswith(".bin"))
    table.files[name] = table.files[name][:-1] + b"!"
    with pytest.raises(InputRejected, match="checksum") as refused:
        rows_of(table.write(tmp_path))
    assert refused.value.code == "bad-delta-log"


# --- hostile and broken logs ---------------------------------------------------------------------


def _line(table: Written, version: int, **changes: Any) -> None:
    """The first `add` of a commit, changed."""
    name = f"_delta_log/{version:020d}.json"
    lines = [json.loads(line) for line in table.files[name].decode().splitlines()]
    next(line["add"] for line in lines if "add" in line).update(changes)
    table.files[name] = "".join(json.dumps(line) + "\n" for line in lines).encode()


def _text_of(table: Written, old: str, new: str) -> None:
    name = f"_delta_log/{0:020d}.json"
    table.files[name] = table.files[name].replace(old.encode(), new.encode())


HOSTILE: dict[str, tuple[str, Callable[[Written], object]]] = {
    "up": ("delta-elsewhere", lambda t: _line(t, 1, path="../other/part.parquet")),
    "up, escaped": ("delta-elsewhere", lambda t: _line(t, 1, path="x/%2e%2e/%2e%2e/part.parquet")),
    "of another account": (
        "delta-elsewhere",
        lambda t: _line(t, 1, path="abfss://c@other.dfs.core.windows.net/part.parquet"),
    ),
    "a file address": ("delta-elsewhere", lambda t: _line(t, 1, path="file:/etc/passwd")),
    "from the root": ("delta-elsewhere", lambda t: _line(t, 1, path="/etc/passwd")),
    "a vector elsewhere": (
        "delta-elsewhere",
        lambda t: _line(
            t,
            1,
            deletionVector={
                "storageType": "p",
                "pathOrInlineDv": "s3://x/y.bin",
                "sizeInBytes": 1,
                "cardinality": 1,
            },
        ),
    ),
    "a vector above": (
        "delta-elsewhere",
        lambda t: _line(
            t,
            1,
            deletionVector={
                "storageType": "u",
                "pathOrInlineDv": "../x" + z85(b"0123456789abcdef"),
                "sizeInBytes": 1,
                "cardinality": 1,
            },
        ),
    ),
    "a lost commit": ("delta-log-gap", lambda t: t.files.pop(f"_delta_log/{0:020d}.json")),
    "a lost file": ("delta-files-missing", lambda t: t.files.pop(next(iter(t.live)))),
    "a longer file": ("bad-delta-log", lambda t: t.files.update({next(iter(t.live)): b"x" * 9})),
    "an unknown feature": (
        "delta-feature",
        lambda t: _text_of(
            t,
            '"minReaderVersion": 1, "minWriterVersion": 2',
            '"minReaderVersion": 3, "minWriterVersion": 7, "readerFeatures": ["catalogManaged"]',
        ),
    ),
    "a later protocol": (
        "delta-feature",
        lambda t: _text_of(t, '"minReaderVersion": 1', '"minReaderVersion": 4'),
    ),
    "other files": ("delta-feature", lambda t: _text_of(t, '"provider": "parquet"', '"provider": "orc"')),
    "an odd mapping": (
        "delta-feature",
        lambda t: (
            _text_of(t, '"minReaderVersion": 1', '"minReaderVersion": 2'),
            _text_of(t, '"configuration": {}', '"configuration": {"delta.columnMapping.mode": "magic"}'),
        ),
    ),
    "no JSON": ("bad-delta-log", lambda t: t.files.update({f"_delta_log/{1:020d}.json": b"{"})),
    "a list": ("bad-delta-log", lambda t: t.files.update({f"_delta_log/{1:020d}.json": b"[]\n"})),
    "deep JSON": ("bad-delta-log", lambda t: t.files.update({f"_delta_log/{1:020d}.json": b"[" * 100_000})),
    "no UTF-8": ("bad-delta-log", lambda t: t.files.update({f"_delta_log/{1:020d}.json": b"\xff\xfe{}\n"})),
    "no schema": ("bad-delta-log", lambda t: _text_of(t, '"metaData"', '"other"')),
    "no protocol": ("bad-delta-log", lambda t: _text_of(t, '"protocol"', '"other"')),
    "a number for a path": ("bad-delta-log", lambda t: _line(t, 1, path=None, size="x")),
    "a partition that is no number": (
        "bad-delta-log",
        lambda t: (
            _text_of(t, '"partitionColumns": []', '"partitionColumns": ["k"]'),
            _line(t, 1, partitionValues={"k": "many"}),
        ),
    ),
    "a checkpoint of garbage": (
        "bad-delta-log",
        lambda t: t.files.update({f"_delta_log/{1:020d}.checkpoint.parquet": b"PAR1 no footer PAR1"}),
    ),
    "a sidecar above": (
        "delta-elsewhere",
        lambda t: t.files.update(
            {f"_delta_log/{1:020d}.checkpoint.{'a' * 36}.json": b'{"sidecar": {"path": "../../x.parquet"}}\n'}
        ),
    ),
    "a sidecar that is lost": (
        "delta-log-gap",
        lambda t: t.files.update(
            {f"_delta_log/{1:020d}.checkpoint.{'a' * 36}.json": b'{"sidecar": {"path": "x.parquet"}}\n'}
        ),
    ),
    "a commit of the year 3000": (
        "delta-log-too-large",
        lambda t: t.files.update({f"_delta_log/{10**19}.json": b"{}\n"}),
    ),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_a_hostile_log_is_refused_by_name(what: str, tmp_path: Path) -> None:
    code, spoil = HOSTILE[what]
    table = Written()
    table.append([{"k": 1, "v": "a"}])
    table.append([{"k": 2, "v": "b"}])
    spoil(table)
    with pytest.raises(InputRejected) as refused:
        rows_of(table.write(tmp_path))
    assert refused.value.code == code, str(refused.value)


def test_a_table_of_too_many_files_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delta_log, "MOST_FILES", 2)
    table = Written()
    for k in range(3):
        table.append([{"k": k, "v": "a"}])
    with pytest.raises(InputRejected) as refused:
        rows_of(table.write(tmp_path))
    assert refused.value.code == "delta-log-too-large"


def test_what_lies_beside_the_commits_is_no_commit(tmp_path: Path) -> None:
    table = Written()
    table.append([{"k": 1, "v": "a"}])
    table.append([{"k": 2, "v": "b"}])
    beside = (
        *(f"{0:020d}.{1:020d}.compacted.json", f"{1:020d}.crc", f".{1:020d}.json.crc", "x.json.tmp"),
        *(f"_staged_commits/{2:020d}.x.json", f"{1:020d}.checkpoint.{1:010d}.{2:010d}.parquet"),
    )
    for name in beside[:-1]:
        table.files[f"_delta_log/{name}"] = b"not for readers"
    assert rows_of(table.write(tmp_path)) == counted(table.rows)
    found = delta_log.needed([*beside, f"{0:020d}.json", f"{1:020d}.json"], 1, "t")
    assert found.checkpoint == (), "half a checkpoint is none"


def test_a_table_within_a_folder_that_is_none_is_named(tmp_path: Path) -> None:
    table = Written()
    table.append([{"k": 1, "v": "a"}])
    table.write(tmp_path / "inner")
    with pytest.raises(InputRejected, match="inner") as refused:
        profile_files.files_of(tmp_path)
    assert refused.value.code == "delta-table"


@pytest.mark.parametrize("place", ["v=a", "v=a/part.parquet", "_change_data", "_delta_log"])
def test_what_lies_in_a_table_is_not_read_beside_its_log(place: str, tmp_path: Path) -> None:
    """Its files hold rows that are deleted, and those of its change data feed each change of a row."""
    table = Written(partitions=("v",))
    table.append([{"k": 1, "v": "a"}])
    table.commit(table.remove(next(iter(table.live))), *table.add([{"k": 2, "v": "a"}]))
    here = table.write(tmp_path) / place
    if here.suffix:
        here.write_bytes(b"")
    else:
        here.mkdir(exist_ok=True)
    with pytest.raises(InputRejected, match=tmp_path.name) as refused:
        profile_files.files_of(here)
    assert refused.value.code == "delta-table"


def test_an_mltable_reads_no_table_by_its_files(tmp_path: Path) -> None:
    table = Written()
    table.append([{"k": 1, "v": "a"}])
    table.write(tmp_path / "inner")
    (tmp_path / "MLTable").write_text("paths: [{folder: ./inner}]\ntransformations: [read_parquet]")
    with pytest.raises(InputRejected, match="inner") as refused:
        profile_files.files_of(tmp_path)
    assert refused.value.code == "delta-table"


def test_of_a_commit_that_is_not_there_the_newest_is_named(tmp_path: Path) -> None:
    table = Written()
    table.append([{"k": 1, "v": "a"}])
    table.write(tmp_path / "birds")
    with pytest.raises(InputRejected, match=r"has no commit 7; name birds@0"):
        profile_files.files_of(tmp_path / "birds@7")


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda t: _text_of(t, '"size"', '"other"'), "lacks 'size' in one of its actions"),
        (lambda t: t.files.update({f"_delta_log/{1:020d}.json": b"[1]\n"}), "has an action of another form"),
        (lambda t: _text_of(t, '"protocol"', '"other"'), "cannot be read: 'no protocol tells what"),
    ],
)
def test_what_is_wrong_with_a_log_is_told_in_words(
    change: Callable[[Written], object], told: str, tmp_path: Path
) -> None:
    table = Written()
    table.append([{"k": 1, "v": "a"}])
    change(table)
    with pytest.raises(InputRejected) as refused:
        rows_of(table.write(tmp_path))
    assert told in str(refused.value) and "''" not in str(refused.value)


def test_columns_are_found_in_files_in_any_case(tmp_path: Path) -> None:
    """Delta preserves case when it stores a schema, and does not compare it (learn.microsoft.com,
    azure/databricks/delta/schema-validation); Spark resolves Parquet's columns so (SPARK-25132). It was read as if the
    file lacked them."""
    table = Written(columns={"K": "long", "v": "string", "V2": "string"})
    table.append([{"K": 1, "v": "a", "V2": "b"}])
    table.columns = {"k": "long", "V": "string", "V2": "string"}
    table.commit(table.meta())
    assert rows_of(table.write(tmp_path)) == counted([{"k": 1, "V": "a", "V2": "b"}])
