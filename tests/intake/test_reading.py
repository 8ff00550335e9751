"""A drop becomes the same version whatever it comes as, split honestly, with what people should know said."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

import drift
from shared.errors import InputRejected, InvariantBroken
from shared.intake import DropFile, Reading, ReadSpec, read_drop, rejections

Read = Callable[..., Reading]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """Read files given as content (bytes, text or a table), in order of their names."""
    count = iter(range(1000))

    def read(*contents: bytes | str | pa.Table, names: tuple[str, ...] = (), **spec: Any) -> Reading:
        number = next(count)
        files = []
        for place, content in enumerate(contents):
            path = tmp_path / f"in-{number}-{place}"
            if isinstance(content, pa.Table):
                pq.write_table(content, path)
            else:
                path.write_bytes(content.encode() if isinstance(content, str) else content)
            files.append(DropFile(path, names[place] if names else f"part-{place}", path.stat().st_size))
        return read_drop(files, ReadSpec(**{"target": "target", **spec}), tmp_path / f"out-{number}")

    return read


def written(read_into: Path, number: int = 0) -> tuple[pa.Table, pa.Table]:
    folder = read_into / f"out-{number}"
    return pq.read_table(folder / "train"), pq.read_table(folder / "holdout")


def csv(count: int, *, start: int = 0, target: str = "ab") -> str:
    lines = [
        f"k{n},{n * 7 % 1000},{n / 8},{'xyz'[n % 3]},{target[n % len(target)]}"
        for n in range(start, start + count)
    ]
    return "id,whole,real,word,target\n" + "\n".join(lines) + "\n"


def rejection(read: Read, *contents: bytes | str | pa.Table, **spec: Any) -> InputRejected:
    with pytest.raises(InputRejected) as caught:
        read(*contents, **spec)
    return caught.value


def test_types_tags_and_files(read: Read, tmp_path: Path) -> None:
    text = (
        "id,when,n,x,flag,code,word,empty,target\n"
        "1,2026-01-02,3,1.5,true,007,a,,yes\n"
        "2,2026-01-01T12:00:00+02:00,4,NA,FALSE,012,,,no\n"
        "3,2026-01-03 10:30,5,2e3,true,123,b,,yes\n"
    )
    reading = read(text, id="id", time="when")
    assert reading.columns == {
        "id": "integer", "when": "datetime", "n": "integer", "x": "number", "flag": "boolean", "code": "string",
        "word": "string", "empty": "nothing", "target": "string",
    }  # fmt: skip
    assert (reading.rows, reading.labelled) == (3, True)
    assert reading.findings[0] == "column 'empty' has no value at all"
    assert reading.tags["length"] == "3"
    assert reading.tags["start"] == "2026-01-01 10:00:00+00:00"
    assert reading.tags["end"] == "2026-01-03 10:30:00+00:00"
    assert reading.tags["schema"] == reading.schema_hash
    train, holdout = written(tmp_path)
    both = pa.concat_tables([train, holdout]).sort_by("id")
    assert both["when"][1].as_py() == datetime(2026, 1, 1, 10, tzinfo=UTC)
    assert both["x"].to_pylist() == [1.5, None, 2000.0]
    assert both["code"].to_pylist() == ["007", "012", "123"]
    profile = drift.Profile.from_bytes(reading.profile)
    assert profile.rows == 3 and "id" in profile.ignored and profile.target == "target"


def test_no_tag_holds_what_cannot_be_printed(read: Read) -> None:
    reading = read("\x1b[31mx\u202ey\u202e,target\n1,a\n2,b\n")
    assert all(tag.isprintable() for tag in reading.tags.values())
    assert next(iter(reading.columns)) == "\x1b[31mx\u202ey", (
        "but for signs around it, a name stays as it came"
    )


def test_very_many_categories_are_read(read: Read) -> None:
    reading = read("x,target\n" + "\n".join(f"category {n},{n % 3}" for n in range(300_000)))
    assert reading.rows == 300_000 and len(reading.profile) < 2_000_000


def test_the_reasons_in_the_docs_are_the_reasons(read: Read) -> None:
    page = Path(__file__).parents[2] / "docs" / "reference-rejections.md"
    assert rejections.reference() in page.read_text(), (
        "write the page anew from shared.intake.rejections.reference()"
    )


def test_median_and_sd_are_told_by_column(read: Read) -> None:
    reading = read("x,y,target\n1,10,a\n2,20,b\n9,60,a\n")
    assert reading.tags["median"] == "x=2; y=20"
    assert reading.tags["sd"] == "x=4.3589; y=26.4575"


def test_the_same_rows_are_the_same_content_however_they_come(read: Read) -> None:
    text = csv(100)
    head, *lines = text.splitlines()
    reading = read(text)
    table = pa.table({
        "target": ["ab"[n % 2] for n in range(100)],
        "word": pa.array(["xyz"[n % 3] for n in range(100)]).dictionary_encode(),
        "real": [n / 8 for n in range(100)],
        "whole": pa.array([float(n * 7 % 1000) for n in range(100)], pa.float32()),
        "id": [f"k{n}" for n in range(100)],
    })  # fmt: skip
    same = [
        read("\n".join([head, *reversed(lines)])),
        read(gzip.compress(text.encode())),
        read(text.encode("utf-16")),
        read(text.replace(",", ";").replace(".", ",")),
        read("\n".join([head, *lines[:30]]), "\n".join([head, *lines[30:]])),
        read(table),
        read(table.slice(0, 50), table.slice(50)),
        read(table.slice(0, 50), "\n".join([head, *lines[50:]])),
    ]
    assert {other.content_hash for other in same} == {reading.content_hash}
    assert {other.holdout_rows for other in same} == {reading.holdout_rows}
    different = [
        read(text.replace("k7,", "k8,")),
        read(text.replace("word", "words")),
        read(text + lines[0]),
        read("\n".join([head, *lines[1:], lines[1]])),
    ]
    assert reading.content_hash not in {other.content_hash for other in different}


def test_large_whole_numbers_are_told_apart_and_zeros_are_not(read: Read) -> None:
    one, other = f"x,target\n{2**60},a\n", f"x,target\n{2**60 + 1},a\n"
    assert read(one).content_hash != read(other).content_hash
    assert read("x,target\n0.0,a\n").content_hash == read("x,target\n-0.0,a\n").content_hash


def test_the_same_drop_is_written_as_the_same_bytes(read: Read, tmp_path: Path) -> None:
    first, second = read(csv(3000)), read(csv(3000))
    assert first == second
    for side in ("train", "holdout"):
        pair = [(tmp_path / f"out-{n}" / side / "part-00000.parquet").read_bytes() for n in (0, 1)]
        assert pair[0] == pair[1]


def test_about_the_fraction_is_kept_back(read: Read, tmp_path: Path) -> None:
    reading = read(csv(5000), holdout_fraction=0.2)
    assert reading.train_rows + reading.holdout_rows == 5000
    assert 0.17 < reading.holdout_rows / 5000 < 0.23
    train, holdout = written(tmp_path)
    assert set(train["id"].to_pylist()).isdisjoint(holdout["id"].to_pylist())
    assert (train.num_rows, holdout.num_rows) == (reading.train_rows, reading.holdout_rows)


def test_a_row_that_comes_again_relabelled_stays_on_its_side(read: Read, tmp_path: Path) -> None:
    head, *lines = csv(300).splitlines()
    again = [line[:-1] + "z" for line in reversed(lines)]
    read("\n".join([head, *lines]), id="id")
    read("\n".join([head.replace("id,whole", "whole,id"), *(_swapped(line) for line in again)]), id="id")
    sides = [
        {tuple(row[c] for c in ("whole", "real", "word")) for row in written(tmp_path, n)[1].to_pylist()}
        for n in (0, 1)
    ]
    assert sides[0] == sides[1] and len(sides[0]) > 30


def _swapped(line: str) -> str:
    first, second, *rest = line.split(",")
    return ",".join([second, f"new-{first}", *rest])


def test_duplicates_fall_on_one_side(read: Read, tmp_path: Path) -> None:
    rows = [f"{n},{n % 50},a" for n in range(1000)]
    read("id,x,target\n" + "\n".join(rows), id="id")
    train, holdout = written(tmp_path)
    assert set(train["x"].to_pylist()).isdisjoint(holdout["x"].to_pylist())
    assert holdout.num_rows > 0


def test_the_time_of_a_row_is_no_feature(read: Read, tmp_path: Path) -> None:
    rows = [f"2026-01-{1 + n % 28:02},{n % 50},a" for n in range(1000)]
    reading = read("when,x,target\n" + "\n".join(rows), time="when")
    train, holdout = written(tmp_path)
    assert set(train["x"].to_pylist()).isdisjoint(holdout["x"].to_pylist())
    assert "when" not in drift.Profile.from_bytes(reading.profile).columns
    assert read("when,target\n" + "\n".join(f"2026-01-0{n},1" for n in range(1, 9)), time="when").rows == 8


def test_the_newest_are_kept_back_by_time(read: Read, tmp_path: Path) -> None:
    days = [f"2026-01-{1 + n * 5 % 28:02},{n},1.0" for n in range(28)]
    reading = read(
        "when,x,target\n" + "\n".join([*days, ",99,1.0"]),
        holdout_by="time",
        time="when",
        holdout_fraction=0.25,
    )
    train, holdout = written(tmp_path)
    assert reading.holdout_rows == 7
    assert pc.max(train["when"]).as_py() < pc.min(holdout["when"]).as_py()
    assert 99 in train["x"].to_pylist(), "a row without a time is never called new"


def test_rows_of_one_moment_stay_together(read: Read) -> None:
    text = "when,x,target\n" + "\n".join(f"2026-01-0{1 + n // 5},{n},1" for n in range(20))
    assert read(text, holdout_by="time", holdout_column="when", holdout_fraction=0.1).holdout_rows == 5


def test_rows_of_one_moment_only_are_trained_on(read: Read) -> None:
    for count in (1, 2, 30):
        text = "when,x,target\n" + "\n".join(f"2026-01-01,{n},1" for n in range(count))
        assert read(text, holdout_by="time", holdout_column="when").train_rows == count


def test_groups_stay_together(read: Read, tmp_path: Path) -> None:
    text = "who,x,target\n" + "\n".join(f"p{n % 40},{n},a" for n in range(800))
    read(text, holdout_by="group", holdout_column="who")
    train, holdout = written(tmp_path)
    assert set(train["who"].to_pylist()).isdisjoint(holdout["who"].to_pylist())
    assert holdout.num_rows > 0


def test_a_time_that_is_none_is_refused(read: Read) -> None:
    assert rejection(read, csv(10), holdout_by="time", holdout_column="word").code == "holdout-impossible"
    assert rejection(read, "note,target\n1,a\n", ignore=("note",)).code == "holdout-impossible"


def test_what_has_no_label_is_unlabelled(read: Read) -> None:
    reading = read("x,target\n1,\n2,\n", known_columns={"x": "integer", "target": "string"})
    assert not reading.labelled and reading.columns["target"] == "string"
    assert "unlabelled" in " ".join(reading.findings)
    partly = read("x,target\n1,a\n2,\n")
    assert partly.labelled and "1 of 2 rows have no target: no training sees them" in partly.findings


def test_rows_without_a_label_are_kept_apart_and_never_trained_on(read: Read, tmp_path: Path) -> None:
    lines = [f"{n},{'' if n % 2 else 'ab'[n % 4 // 2]}" for n in range(400)]
    reading = read("x,target\n" + "\n".join(lines) + "\n")
    sides = {
        side: pq.read_table(tmp_path / "out-0" / side).column("target") for side in ("train", "unlabelled")
    }
    assert sides["train"].null_count == 0 < len(sides["train"]) == reading.train_rows
    assert sides["unlabelled"].null_count == len(sides["unlabelled"]) > 0
    assert reading.rows == 400 == reading.train_rows + reading.holdout_rows + len(sides["unlabelled"])
    whole = read("x,target\n1,a\n2,b\n")
    assert whole.rows == whole.train_rows + whole.holdout_rows
    assert not (tmp_path / "out-1" / "unlabelled").exists()


def test_one_row_is_a_drop(read: Read) -> None:
    reading = read("x,target\n1,a\n")
    assert (reading.rows, reading.train_rows + reading.holdout_rows) == (1, 1)
    assert any("holdout" in finding for finding in reading.findings)


KNOWN = {"id": "string", "whole": "integer", "real": "number", "word": "string", "target": "string"}


def test_columns_may_come_in_another_order_and_more_may_come(read: Read) -> None:
    table = pa.table({"new": [1], "target": ["a"], "word": ["x"], "real": [1], "whole": [2.5], "id": ["k"]})
    reading = read(table, known_columns=KNOWN)
    assert list(reading.columns) == [*KNOWN, "new"]
    assert (reading.columns["real"], reading.columns["whole"]) == ("number", "number")
    assert set(reading.findings) >= {"column 'new' is new", "column 'whole' was integer and is number now"}


def test_text_that_looks_like_numbers_stays_text_where_it_was_text(read: Read) -> None:
    assert (
        read("zip,target\n12,a\n34,b\n", known_columns={"zip": "string", "target": "string"}).columns["zip"]
        == "string"
    )


def test_a_renamed_column_is_guessed(read: Read) -> None:
    text = csv(20).replace("whole", "whole_number")
    assert "'whole_number' may be 'whole' renamed" in str(rejection(read, text, known_columns=KNOWN))
    assert rejection(read, csv(20).replace("real,", ""), known_columns=KNOWN).code == "ragged-rows"


def test_a_renamed_column_is_guessed_by_its_values(read: Read) -> None:
    first = read(csv(400))
    text = csv(400).replace("real", "measure").replace("word", "letter").replace("whole", "z")
    spec = {"known_columns": first.columns, "reference": first.profile}
    told = str(rejection(read, text, **spec))
    assert "'measure' may be 'real' renamed" in told
    assert "'letter' may be 'word' renamed" in told
    assert "'z' may be 'whole' renamed" in told
    other = text.replace("x,", "q,").replace("y,", "q,").replace("z,", "q,", 1)
    assert "'letter'" not in str(rejection(read, other, **spec))


def test_late_labels_have_an_id_and_a_target_only(read: Read) -> None:
    assert read("id,target\n1,a\n2,b\n", id="id").columns == {"id": "integer", "target": "string"}


def test_an_ignored_column_may_go_change_or_be_of_no_use(read: Read) -> None:
    known = {**KNOWN, "note": "number"}
    assert "note" not in read(csv(20), known_columns=known, ignore=("note",)).columns
    notes = csv(20).replace("word", "note")
    assert (
        read(notes, known_columns={**known, "word": "string"}, ignore=("note", "word")).columns["note"]
        == "string"
    )
    nested = pa.table({"x": [1, 2], "target": ["a", "b"], "deep": [[1], [2]]})
    reading = read(nested, ignore=("deep",))
    assert "deep" not in reading.columns and "'deep'" in " ".join(reading.findings)


def test_files_of_one_drop_belong_together(read: Read) -> None:
    one, other = "x,target\n1,a\n", "x,y,target\n1,2,a\n"
    assert rejection(read, one, other).code == "mixed-schemas"
    assert (
        rejection(read, pa.table({"x": [1], "target": ["a"]}), pa.table({"x": ["1"], "target": ["a"]})).code
        == "mixed-schemas"
    )
    assert read(one, "target,x\nb,2.5\n").columns == {"x": "number", "target": "string"}


def test_a_folder_of_many_parts_is_one_drop(read: Read) -> None:
    reading = read(*(csv(10, start=10 * n) for n in range(12)))
    assert reading.rows == 120 and reading.content_hash == read(csv(120)).content_hash


def test_the_reference_gives_the_grid_and_damage_to_it_is_not_the_drop_s_fault(read: Read) -> None:
    first = read(csv(500))
    second = read(csv(500, start=500), reference=first.profile, known_columns=first.columns)
    assert drift.Profile.from_bytes(second.profile).rows == 500
    with pytest.raises(InvariantBroken, match="stored profile"):
        read(csv(10), reference=b"DRIFTPRF broken")


def test_every_code_has_a_remedy_that_ends_its_text(read: Read) -> None:
    error = rejection(read, "x,label\n1,a\n")
    assert error.code == "missing-target"
    assert str(error) == (
        "there is no column 'target' (data.target) among 'x', 'label';"
        " add the column, or correct data.target in the loop file"
    )


def test_of_many_files_alike_the_first_are_told_and_how_many_there_are(read: Read) -> None:
    """Spark before 3.0 writes an empty file for each partition without rows (databricks/spark-csv#453: 201 of 202;
    apache/spark#23052): thousands of sentences would fit no row of a table."""
    titled = ["Our birds\n\n" + csv(2, start=2 * n) for n in range(60)]
    found = read(*titled, *["" for _ in range(9)], " \n").findings
    assert f"{60 - 50} more of its files are told of like these" in found
    (no_bytes,) = (words for words in found if "0 bytes" in words)
    assert no_bytes.endswith("and 4 more have 0 bytes and are passed over")
    assert sum("Our birds" in words for words in found) == 50
    assert any("is empty and is passed over" in words for words in found)
