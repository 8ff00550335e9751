"""The same rows in the same order become the same version, to the byte, however they are cut into files."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from itertools import pairwise
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
from drift import profiler
from shared.files.drop_files import Limits
from shared.intake import DropFile, ReadSpec, read_drop
from shared.reader import drop_plan, even_batches, first_look
from shared.reader.batches import open_sources
from shared.reader.one_pass import read
from shared.values.joined_words import JoinedWords, Mask

CONTRACT = (
    {"column": "weight", "at_least": -2.5, "on_breach": "drop_rows"},
    {"unique": ["key"], "on_breach": "drop_rows"},
    {"column": "word", "nulls_at_most": 0.5, "on_breach": "report"},
)
SPECS = {
    "by hash": ReadSpec(target="label", contract=CONTRACT),
    "by time": ReadSpec(target="label", time="at", holdout_by="time"),
    "by group": ReadSpec(target="label", holdout_by="group", holdout_column="word", cluster="word"),
}


def rows(count: int, seed: int) -> pa.Table:
    rng = np.random.default_rng(seed)
    gaps = rng.random((3, count)) < 0.1
    moments = rng.integers(1_600_000_000, 1_700_000_000, count)
    words = rng.choice(["adelie", "gentoo", "a long name " * 3, ""], count)
    return pa.table(
        {
            "key": pa.array(rng.integers(0, 10 * count, count)),
            "weight": pa.array(rng.normal(size=count), mask=gaps[0]),
            "word": pa.array(words, mask=gaps[1]),
            "at": pa.array([datetime.fromtimestamp(int(one), UTC) for one in moments]),
            "label": pa.array(rng.choice(["a", "b"], count), mask=gaps[2]),
        }
    )


def files(table: pa.Table, cuts: Sequence[int], group: int, folder: Path, kind: str) -> list[DropFile]:
    ends = [0, *sorted(cuts), table.num_rows]
    found = []
    for number, (start, end) in enumerate(pairwise(ends)):
        path, part = folder / f"part-{number:03d}.{kind}", table.slice(start, end - start)
        if kind == "csv":
            arrow_csv.write_csv(part, path)
        else:
            pq.write_table(part, path, row_group_size=group)
        found.append(DropFile(path, path.name, path.stat().st_size))
    return found


def came_to(found: list[DropFile], spec: ReadSpec, folder: Path) -> tuple[dict[str, Any], dict[str, bytes]]:
    """Everything that reading gives, and every byte that it writes."""
    reading = read(found, spec, folder)
    written = {str(one.relative_to(folder)): one.read_bytes() for one in sorted(folder.rglob("*.parquet"))}
    return {**reading.to_document(), "profile": reading.profile}, written


@pytest.mark.parametrize(("spec", "kind"), [*((spec, "parquet") for spec in SPECS), ("by hash", "csv")])
@settings(max_examples=6, deadline=None, derandomize=True)
@given(
    seed=st.integers(0, 99),
    cuts=st.lists(st.integers(0, 90), max_size=5),
    group=st.integers(1, 40),
    known=st.booleans(),
)
def test_however_it_is_cut_a_drop_reads_alike(
    spec: str, kind: str, seed: int, cuts: list[int], group: int, known: bool
) -> None:
    """With batches of 16 rows, blocks of 32 and 200 bytes of text, so that small drops have many of each."""
    table = rows(90, seed)
    reference = drift.profile(rows(60, 100).drop(["at"])).to_bytes() if known else b""
    asked = ReadSpec(**{**SPECS[spec].__dict__, "reference": reference})
    with pytest.MonkeyPatch.context() as small, tempfile.TemporaryDirectory() as place:
        small.setattr(even_batches, "ROWS", 16)
        small.setattr(even_batches, "TEXT_BYTES", 200)
        for module in (profiler, even_batches, first_look, drop_plan):
            small.setattr(module, "STRETCH_ROWS", 32)
        (whole := Path(place, "whole")).mkdir()
        (parts := Path(place, "parts")).mkdir()
        one = came_to(files(table, [], 90, whole, kind), asked, Path(place, "a"))
        cut = came_to(files(table, cuts, group, parts, kind), asked, Path(place, "b"))
    assert cut[0] == one[0]
    assert cut[1] == one[1]


def test_batches_end_by_rows_and_by_the_bytes_of_texts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(even_batches, "ROWS", 4)
    monkeypatch.setattr(even_batches, "TEXT_BYTES", 10)
    texts = ["", "1234567", "12", "1", "1", "1", "1", "12345678901", None, "", "1"]
    batches = pa.table({"word": texts}).to_batches(max_chunksize=3)
    lengths = [batch.num_rows for batch in even_batches.even(batches)]
    assert lengths == [4, 4, 3]
    assert [one for batch in even_batches.even(batches) for one in batch["word"].to_pylist()] == texts


def test_a_wide_drop_has_fewer_rows_a_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(even_batches, "CELLS", 6)
    wide = pa.table({name: range(7) for name in "abc"})
    assert [batch.num_rows for batch in even_batches.even(wide.to_batches())] == [2, 2, 2, 1]


def test_ten_times_the_files_are_no_more_expressions_made_ready(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To make one ready takes longer than to match it against a small file's words."""
    made = Counter[int]()
    matching = JoinedWords.matching

    def counted(joined: JoinedWords, pattern: str) -> Mask:
        made[number] += 1
        return matching(joined, pattern)

    monkeypatch.setattr(JoinedWords, "matching", counted)
    for number in (4, 40):
        (folder := tmp_path / str(number)).mkdir()
        cuts = range(0, 400, 400 // number)[1:]
        found = open_sources(files(rows(400, 1), cuts, 400, folder, "csv"), SPECS["by hash"])
        assert len(found.parts) == number
    assert made[40] == made[4] > 0


@pytest.mark.soak
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_ten_thousand_part_files_are_one_drop_within_the_limits(tmp_path: Path, kind: str) -> None:
    """Of memory as a loop has it; on a machine that is shared the clock says little."""
    (folder := tmp_path / "in").mkdir()
    found = files(rows(200_000, 1), range(20, 200_000, 20), 20, folder, kind)
    assert len(found) == 10_000
    spec = replace(SPECS["by hash"], limits=Limits(seconds=1000))
    assert read_drop(found, spec, tmp_path / "out").rows > 100_000
