"""A drop that many tasks read becomes the version that one process reads: the same bytes, in whatever order."""

from __future__ import annotations

import pickle
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as arrow_csv
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import drift
from shared.errors import InputRejected
from shared.files import blocks
from shared.files.drop_files import Limits
from shared.intake import DropFile, Reading, ReadSpec
from shared.reader import drop_plan, even_batches, evidence_sample, first_look
from shared.reader.drop_plan import Alone, plan
from shared.reader.one_pass import merged, read
from shared.reader.part_summary import read_part
from shared.values.texts import Contradicted
from tests.drift.test_parts import shrunk

ROWS, STRETCH = 170, 32
ROW_RULES = (
    {"column": "weight", "at_least": -1.5, "on_breach": "drop_rows"},
    {"column": "word", "nulls_at_most": 0.01, "on_breach": "report"},
)
SPECS = {
    "by hash": ReadSpec(target="label", contract=ROW_RULES),
    "by time": ReadSpec(target="label", time="at", holdout_by="time"),
    "by group": ReadSpec(target="label", holdout_by="group", holdout_column="word"),
    "own labels": ReadSpec(target="label", origin="word", own=("adelie",), nulls=("gentoo",)),
}

SAMPLED = [
    ("by hash", "parquet"),
    ("by hash", "csv"),
    ("by time", "csv"),
    ("by group", "parquet"),
    ("own labels", "csv"),
]
"""Each of them, and each kind of file: that the rows are the same does not depend on both together."""


def rows(count: int, seed: int, lists: bool) -> pa.Table:
    rng = np.random.default_rng(seed)
    gaps = rng.random((4, count)) < 0.1
    moments = rng.integers(1_600_000_000, 1_700_000_000, count)
    cents = [Decimal(int(one)) / 100 for one in rng.integers(-999, 999, count)]
    columns = {
        "key": pa.array(rng.integers(0, 10 * count, count)),
        "weight": pa.array(rng.normal(size=count), mask=gaps[0]),
        "price": pa.array(cents, pa.decimal128(9, 2), mask=gaps[3]),
        "word": pa.array(rng.choice(["adelie", "gentoo", "a long name " * 3, ""], count), mask=gaps[1]),
        "note": pa.array([f'note {one} of many, "it"' for one in rng.integers(0, 99, count)]),
        "at": pa.array([datetime.fromtimestamp(int(one), UTC) for one in moments]),
        "late": pa.array([None] * (count - 3) + [1.5, 2.5, 3.5], pa.float64()),
        "label": pa.array(rng.choice(["a", "b"], count), mask=gaps[2]),
    }
    if lists:
        columns["embedding"] = pa.array(rng.normal(size=(count, 2)).tolist(), pa.list_(pa.float32()))
    return pa.table(columns)


def drop(table: pa.Table, cut: int, group: int, folder: Path, kind: str) -> list[DropFile]:
    found = []
    for number, part in enumerate((table.slice(0, cut), table.slice(cut))):
        path = folder / f"part-{number}.{kind}"
        if kind == "csv":
            arrow_csv.write_csv(part, path)
        else:
            pq.write_table(part, path, row_group_size=group)
        found.append(DropFile(path, path.name, path.stat().st_size))
    return found


def again(thing: Any) -> Any:
    """As it arrives in another process."""
    return pickle.loads(pickle.dumps(thing))  # noqa: S301 - our own


def by_spans(files: Sequence[DropFile], spec: ReadSpec, output: Path, most: int, shuffle: Any) -> Reading:
    settled = plan(files, spec)
    while True:
        spans = shuffle(settled.spans(most))
        try:
            parts = [again(read_part(again(settled), span, output)) for span in spans]
        except Contradicted as late:
            settled = settled.learned(again(late))
            continue
        return merged(settled, shuffle(parts), output)


def written(output: Path) -> dict[str, list[Any]]:
    """The rows of each side in their order and in their row groups, and the bytes of the samples."""
    found: dict[str, list[Any]] = {}
    for side in ("train", "holdout", "unlabelled", "rejected"):
        files = sorted((output / side).glob("*.parquet"))
        found[side] = [
            opened.read_row_group(group).to_pylist()
            for opened in map(pq.ParquetFile, files)
            for group in range(opened.num_row_groups)
        ]
    return found | {
        name: [(output / "sample" / f"{name}.parquet").read_bytes()] for name in ("all", "holdout")
    }


def small_bounds(small: pytest.MonkeyPatch) -> None:
    shrunk(small)
    for module in (even_batches, first_look, drop_plan):
        small.setattr(module, "STRETCH_ROWS", STRETCH)
    small.setattr(even_batches, "ROWS", 20)
    small.setattr(even_batches, "TEXT_BYTES", 300)
    small.setattr(evidence_sample, "SIZE", 30)
    small.setattr(evidence_sample, "LEAST", 10)
    small.setattr(blocks, "BLOCK_BYTES", 1024)


@pytest.mark.parametrize(
    ("spec", "kind"),
    [
        pytest.param(spec, kind, marks=() if (spec, kind) in SAMPLED else pytest.mark.soak)
        for spec in SPECS
        for kind in ("parquet", "csv")
    ],
)
@settings(max_examples=2, deadline=None, derandomize=True)
@given(
    seed=st.integers(0, 99),
    cut=st.integers(1, ROWS - 3),
    group=st.integers(10, 60),
    most=st.integers(2, 9),
    known=st.booleans(),
    data=st.data(),
)
def test_any_spans_come_to_what_one_process_reads(
    spec: str, kind: str, seed: int, cut: int, group: int, most: int, known: bool, data: st.DataObject
) -> None:
    def shuffle(things: Any) -> list[Any]:
        return data.draw(st.permutations(things))

    table = rows(ROWS, seed, lists=kind == "parquet")
    reference = drift.profile(rows(100, 100, lists=False).drop(["at", "note"])).to_bytes() if known else b""
    asked = replace(SPECS[spec], reference=reference)
    with pytest.MonkeyPatch.context() as small, tempfile.TemporaryDirectory() as place:
        small_bounds(small)
        (folder := Path(place, "in")).mkdir()
        files = drop(table, cut, group, folder, kind)
        one = read(files, asked, Path(place, "one"))
        many = by_spans(files, asked, Path(place, "many"), most, shuffle)
        assert len(list(Path(place, "many", "train").iterdir())) > 1
        assert many == one
        assert written(Path(place, "many")) == written(Path(place, "one"))


def test_a_version_has_the_hash_and_the_split_that_it_had(tmp_path: Path) -> None:
    """As they were when a drop was one pass: a version of before is recognised when its rows come again."""
    rows_ = [
        f"{k},{k * 7 % 13},{k * k % 101 / 8},2024-01-{1 + k % 28:02d} 0{k % 10}:00:00,{f'w{k % 3}' if k % 5 else ''},"
        f"{'ab'[k % 2]}\n"
        for k in range(40)
    ]
    file = tmp_path / "a.csv"
    file.write_text("id,n,x,at,word,label\n" + "".join(rows_))
    spec = ReadSpec(target="label", id="id")
    reading = read([DropFile(file, "a.csv", file.stat().st_size)], spec, tmp_path / "out")
    assert reading.content_hash == "2d21cf123e41f59873962f76a08742cea5fd8c8a325108dbb3bea58e80247be5"
    assert pq.read_table(tmp_path / "out" / "holdout")["id"].to_pylist() == [3, 8, 18, 26]


def test_a_reference_that_was_stored_before_is_read_and_compared() -> None:
    """Counted as one pass did it, before parts merged: its form is the same, and rows like its own are no drift."""
    stored = Path("tests/data/profile-of-before.bin").read_bytes()
    before = drift.Profile.from_bytes(stored)
    assert before.to_bytes() == stored

    def now(shift: float) -> drift.Profile:
        rng = np.random.default_rng(1)
        x = np.round(rng.normal(shift, size=5000), 3)
        words = rng.choice(["a", "b", "c"], 5000)
        return drift.profile(pa.table({"n": rng.poisson(4, 5000), "x": x, "word": words}), grid=before)

    assert not drift.compare(before, now(0)).detected
    assert drift.compare(before, now(1))["x"].material


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"contract": ({"unique": ["key"], "on_breach": "drop_rows"},)}, (Alone.UNIQUE,)),
        ({"cluster": "word"}, (Alone.CLUSTER,)),
        ({"slices": ("word", "missing")}, (Alone.SLICES,)),
    ],
)
def test_a_drop_whose_rows_need_those_before_them_is_one_span_and_says_why(
    more: dict[str, Any], why: tuple[Alone, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_bounds(monkeypatch)
    files = drop(rows(ROWS, 1, lists=False), 90, 30, tmp_path, "parquet")
    free, alone = plan(files, SPECS["by hash"]), plan(files, replace(SPECS["by hash"], **more))
    assert (free.alone, alone.alone) == ((), why)
    assert (len(free.spans(4)), len(alone.spans(4))) == (4, 1)


def test_a_span_names_its_files_and_begins_with_a_stretch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_bounds(monkeypatch)
    settled = plan(drop(rows(ROWS, 1, lists=False), 100, 30, tmp_path, "csv"), SPECS["by hash"])
    spans = settled.spans(3)
    assert [(span.first, span.stop) for span in spans] == [(0, 64), (64, 128), (128, 192)]
    assert [span.files for span in spans] == [
        ("part-0.csv",),
        ("part-0.csv", "part-1.csv"),
        ("part-1.csv",),
    ]


@pytest.mark.parametrize("late", ["inf", "many"])
def test_what_only_the_whole_shows_is_refused_as_by_one_process(
    late: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_bounds(monkeypatch)
    table = rows(ROWS, 1, lists=False)
    if late == "inf":
        values = table["weight"].to_pylist()
        values[150] = float("inf")
        place = table.column_names.index("weight")
        table = table.set_column(place, "weight", pa.array(values, pa.float64()))
    (folder := tmp_path / "in").mkdir()
    files = drop(table, 90, 30, folder, "csv")
    spec = SPECS["by group"] if late == "inf" else replace(SPECS["by group"], limits=Limits(max_rows=150))
    told = []
    for reader in (
        lambda: read(files, spec, tmp_path / "one"),
        lambda: by_spans(files, spec, tmp_path / "many", 4, list),
    ):
        with pytest.raises(InputRejected) as refused:
            reader()
        told.append((refused.value.code, str(refused.value)))
    assert told[0] == told[1]
