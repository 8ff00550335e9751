"""`driftloop profile` and `driftloop compare`: what they print, write and exit with."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

import drift
from cli import app, session
from tests.tables.written import Written


@pytest.fixture
def files(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    quiet = pd.DataFrame({"income": rng.normal(40, 10, 2000), "town": rng.choice(["a", "b"], 2000)})
    again = pd.DataFrame({"income": rng.normal(40, 10, 2000), "town": rng.choice(["a", "b"], 2000)})
    quiet.to_parquet(tmp_path / "reference.parquet")
    again.to_csv(tmp_path / "quiet.csv", index=False)
    again.assign(income=again["income"] + 5).to_csv(tmp_path / "moved.csv", index=False)
    level = quiet["income"].mean() - again["income"].mean()
    again.assign(income=again["income"] + level + 1.4).to_csv(tmp_path / "little.csv", index=False)
    again.drop(columns="town").to_csv(tmp_path / "broken.csv", index=False)
    (tmp_path / "damaged.csv").write_bytes(b"income,town\n1,2,3\n")
    return tmp_path


def run(*words: object) -> tuple[int, str, str]:
    done = CliRunner().invoke(app, [str(word) for word in words])
    return done.exit_code, done.stdout, done.stderr


@pytest.mark.parametrize(
    ("current", "code", "said"),
    [
        ("quiet.csv", 0, "no drift"),
        ("little.csv", 0, "within the tolerances"),
        ("moved.csv", 1, "material drift in income: income moved up by 0.5"),
        ("broken.csv", 2, "broken  town is missing"),
    ],
)
def test_the_exit_code_tells_the_verdict(files: Path, current: str, code: int, said: str) -> None:
    done = run("compare", files / "reference.parquet", files / current)
    assert done[0] == code
    assert said in done[1].replace("\n", " ")


@pytest.mark.parametrize("current", ["damaged.csv", "nowhere.csv"])
def test_bad_input_is_told_on_stderr(files: Path, current: str) -> None:
    code, said, error = run("compare", files / "reference.parquet", files / current)
    assert (code, said) == (2, "")
    assert error.startswith("driftloop: ")
    assert current in error


def test_a_stored_profile_stands_for_its_rows(files: Path) -> None:
    code, said, _ = run("profile", files / "reference.parquet", "--output", files / "kept")
    assert code == 0
    assert "2,000 rows, 2 columns" in " ".join(said.split())
    (files / "reference.parquet").rename(files / "gone")
    code, said, _ = run("compare", files / "kept", files / "moved.csv", "--json")
    assert code == 1
    document = json.loads(said)
    assert document.pop("findings") == []
    report = drift.compare(files / "kept", pd.read_csv(files / "moved.csv", float_precision="round_trip"))
    assert document == {k: v for k, v in json.loads(json.dumps(report.to_dict())).items() if k != "findings"}
    assert report.columns[0].name == "income"


def test_a_tolerance_a_rate_and_columns_left_out_are_heeded(files: Path) -> None:
    moved = ("compare", files / "reference.parquet", files / "moved.csv")
    assert run(*moved, "--tolerance", 2)[0] == 0
    assert run(*moved, "--ignore", "income")[0] == 0
    assert json.loads(run(*moved, "--rate", 0.2, "--json")[1])["false_alarm_rate"] == 0.2
    assert run("compare", files / "reference.parquet", files / "broken.csv", "--ignore", "town")[0] == 0
    assert run(*moved, "--rate", 2)[0] == 2


def test_the_page_is_written(files: Path) -> None:
    page = files / "report.html"
    assert run("compare", files / "reference.parquet", files / "moved.csv", "--html", page)[0] == 1
    assert "income moved up by" in page.read_text(encoding="utf-8")


def test_a_damaged_stored_profile_is_bad_input(files: Path) -> None:
    (files / "kept").write_bytes(drift.profile(files / "reference.parquet").to_bytes()[:-9])
    code, _, error = run("compare", files / "kept", files / "quiet.csv")
    assert code == 2
    assert "damaged" in error


def test_segments_are_told_and_must_be_stored(files: Path) -> None:
    frame = pd.read_csv(files / "quiet.csv")
    frame.loc[frame["town"] == "a", "income"] += 8
    frame.to_csv(files / "segment.csv", index=False)
    reference = files / "reference.parquet"
    assert run("profile", reference, "-o", files / "kept", "--by", "town")[0] == 0
    code, said, _ = run("compare", files / "kept", files / "segment.csv")
    assert code == 1
    assert "a: material drift in income" in " ".join(said.split())
    assert "b: " not in said
    assert run("profile", reference, "-o", files / "plain")[0] == 0
    code, _, error = run("compare", files / "plain", files / "quiet.csv", "--by", "town")
    assert code == 2
    assert "--by town" in error


def test_a_broken_row_is_named_by_its_line_with_exit_code_2(files: Path) -> None:
    code, _, error = run("profile", files / "damaged.csv", "-o", files / "kept")
    assert code == 2 and "line 2" in error
    (files / "latin.csv").write_bytes("größe,town\n1,a\n".encode("latin-1"))
    code, _, error = run("profile", files / "latin.csv", "-o", files / "kept")
    assert code == 2 and "not UTF-8" in error and not (files / "kept").exists()


def test_what_was_read_is_never_written_over_and_a_place_that_cannot_be_is_named(files: Path) -> None:
    before = (files / "quiet.csv").read_bytes()
    for words in (("profile", "quiet.csv", "-o"), ("compare", "reference.parquet", "quiet.csv", "--html")):
        code, _, error = run(*(files / word if "." in word else word for word in words), files / "quiet.csv")
        assert code == 2 and "quiet.csv is what was read" in error
    assert (files / "quiet.csv").read_bytes() == before
    assert run("profile", files / "quiet.csv", "-o", files / "kept")[0] == 0
    code, _, error = run("profile", files / "kept", "-o", files / "again")
    assert code == 2 and "is a stored profile already" in error
    code, _, error = run("profile", files / "quiet.csv", "-o", files / "nowhere" / "kept")
    assert code == 2 and "kept cannot be written: No such file or directory" in error


def test_a_person_says_what_a_column_is(files: Path) -> None:
    (files / "dates.csv").write_text(
        "day,x\n" + "".join(f"0{1 + n % 9}/02/2024,{n % 7}\n" for n in range(60))
    )
    both = ("compare", files / "dates.csv", files / "dates.csv")
    code, said, _ = run(*both)
    assert code == 0 and "cannot be told apart" in " ".join(said.split())
    code, said, _ = run(*both, "--column", "day=day-first", "--json")
    assert code == 0 and {c["name"]: c["kind"] for c in json.loads(said)["columns"]}["day"] == "datetime"
    assert run(*both, "--column", "day=ignore", "--column", "x=category")[0] == 0
    code, _, error = run(*both, "--column", "dya=time")
    assert code == 2 and "dya" in error
    assert run(*both, "--column", "day=moment")[0] == 2


def test_a_report_that_compared_nothing_is_no_success(files: Path) -> None:
    (files / "head.csv").write_text("income,town\n")
    code, said, _ = run("compare", files / "head.csv", files / "quiet.csv")
    assert code == 2 and "nothing was compared" in " ".join(said.split())


def test_the_file_of_a_value_is_named_in_a_folder_too(tmp_path: Path) -> None:
    (tmp_path / "new").mkdir()
    for part in range(3):
        odd = "oops,a\n" if part == 1 else ""
        (tmp_path / "new" / f"p{part}.csv").write_text(
            "x,k\n" + "".join(f"{i},a\n" for i in range(100)) + odd
        )
    code, _, error = run("compare", tmp_path / "new" / "p0.csv", tmp_path / "new")
    assert (
        code == 2 and "new: 'p1.csv': column 'x' holds 101 values" in error and "'oops' in line 102" in error
    )
    assert "--null" in error and "--column" in error


def test_a_misspelt_option_is_refused(files: Path) -> None:
    for option in (["--ignore", "Town"], ["--column", "Town=category"]):
        code, said, error = run("compare", files / "reference.parquet", files / "quiet.csv", *option)
        assert (code, said) == (2, "") and "there is no column 'Town'; there is town" in error
        assert run("profile", files / "quiet.csv", "-o", files / "kept", *option)[0] == 2
    assert not (files / "kept").exists()
    twice = ["--column", "town=category", "--column", "town=text"]
    code, _, error = run("compare", files / "reference.parquet", files / "quiet.csv", *twice)
    assert code == 2 and "said to be category and text" in " ".join(error.replace("│", " ").split())


def test_what_is_left_out_may_be_of_any_type(tmp_path: Path) -> None:
    clock = pa.array([0, 1, 2] * 100, pa.time64("us"))
    pq.write_table(
        pa.table({"clock": clock, "x": [float(i % 7) for i in range(300)]}), tmp_path / "a.parquet"
    )
    for option in (["--ignore", "clock"], ["--column", "clock=ignore"]):
        assert run("compare", tmp_path / "a.parquet", tmp_path / "a.parquet", *option)[0] == 0


@pytest.mark.parametrize(
    ("first", "second", "options", "told"),
    [
        ([-999 if i % 10 == 0 else i % 50 for i in range(300)],
         [-999 if i % 10 == 0 else i * 7 % 50 for i in range(300)], ["--null", "-999"], ""),
        (["1.234.567", *(f"{1 + i % 9}.{i * 37 % 1000:03d}" for i in range(300))],
         [f"{1 + i % 9}.{i * 41 % 1000:03d}" for i in range(300)], [], ""),
        ([f"{1 + i % 28:02d}/{1 + i % 12:02d}/2024" for i in range(300)],
         [f"{1 + i % 12:02d}/{1 + i % 11:02d}/2024" for i in range(300)], [],
         "read with the day first like the same column"),
        ([f"€ {i % 50}" for i in range(300)], [f"$ {i % 50}" for i in range(300)], ["--column", "x=number"],
         "signs differ: '€' in first, '$' in second"),
        ([f"{i % 50 / 100}" for i in range(300)], [f"{i % 50}%" for i in range(300)], ["--column", "x=number"],
         "signs differ: none in first, '%' in second"),
    ],
)  # fmt: skip
def test_a_stored_profile_knows_how_its_file_was_read(
    first: list[object], second: list[object], options: list[str], told: str, tmp_path: Path
) -> None:
    for name, values in (("first.csv", first), ("second.csv", second)):
        (tmp_path / name).write_text("x;k\n" + "".join(f"{value};a\n" for value in values))
    at_once = run("compare", tmp_path / "first.csv", tmp_path / "second.csv", *options)
    kept, _, _ = run("profile", tmp_path / "first.csv", "-o", tmp_path / "first", *options)
    stored = run("compare", tmp_path / "first", tmp_path / "second.csv")
    assert kept == 0 and stored[0] == at_once[0] != 2
    for said in (at_once[1], stored[1]):
        words = " ".join(said.split()).replace("first.csv", "first").replace("second.csv", "second")
        assert told in words and ("signs differ" in words) == told.startswith("signs")
    assert "read as a fraction" not in stored[1] and "store both" not in stored[1]


def test_what_a_stored_profile_was_read_by_holds_for_its_reference_too(tmp_path: Path) -> None:
    for name, factor in (("first", 1), ("second", 7)):
        lines = "".join(f"{-999 if i % 10 == 0 else i * factor % 50}\n" for i in range(300))
        (tmp_path / f"{name}.csv").write_text(f"x\n{lines}")
    options = ["--null", "-999", "--column", "x=number-point"]
    assert run("profile", tmp_path / "second.csv", "-o", tmp_path / "second", *options)[0] == 0
    code, said, _ = run("compare", tmp_path / "first.csv", tmp_path / "second")
    assert code == 0 and "was read with" not in said


def test_what_was_told_when_it_was_stored_is_told_when_it_is_compared(tmp_path: Path) -> None:
    unclear = [f"{1 + i % 9}.{i * 37 % 1000:03d}" for i in range(300)]
    for name, values in (("clear", ["1.234.567", *unclear]), ("unclear", unclear)):
        (tmp_path / f"{name}.csv").write_text("x;k\n" + "".join(f"{value};a\n" for value in values))
    _, profiled, _ = run("profile", tmp_path / "unclear.csv", "-o", tmp_path / "kept")
    _, compared, _ = run("compare", tmp_path / "clear.csv", tmp_path / "kept")
    for said in (profiled, compared):
        assert "read as a fraction" in " ".join(said.split())


@pytest.mark.parametrize(
    ("first", "second", "told"),
    [
        (["--null", "-999"], [], "first was read with --null '-999', second with no --null"),
        ([], ["--null", "-1", "--null", "5"], "first was read with no --null, second with --null '-1' --null '5'"),
        (["--column", "x=number-comma"], ["--column", "x=number-point"],
         "first was read with --column x=number-comma, second with --column x=number-point"),
        (["--column", "x=number-comma"], [], "first was read with --column x=number-comma, second with no --column x"),
        (["--column", "x=number"], [], ""),
        (["--column", "k=category"], ["--column", "k=category"], ""),
        (["--null", "-1", "--null", "5"], ["--null", "5", "--null", "-1"], ""),
    ],
)  # fmt: skip
@pytest.mark.parametrize("both", [True, False])
def test_two_that_were_read_otherwise_are_told(
    first: list[str], second: list[str], told: str, both: bool, tmp_path: Path
) -> None:
    """Both stored, or one stored and the other read with what is said now."""
    (tmp_path / "table.csv").write_text("x;k\n" + "".join(f"{i % 50};a\n" for i in range(300)))
    for name, options in (("first", first), ("second", second)):
        assert run("profile", tmp_path / "table.csv", "-o", tmp_path / name, *options)[0] == 0
    if both or not second:
        _, said, _ = run("compare", tmp_path / "first", tmp_path / "second")
    else:
        (tmp_path / "second").unlink()
        (tmp_path / "table.csv").rename(tmp_path / "second")
        _, said, _ = run("compare", tmp_path / "first", tmp_path / "second", *second)
    words = " ".join(said.split())
    assert told in words and ("store both in the same way" in words) == bool(told)


@pytest.mark.parametrize(
    "reading", [{"hints": [1]}, {"signs": {"x": 1}}, {"columns": "no"}, {"nulls": 5}, {"findings": 5}]
)
def test_what_a_stored_profile_says_of_its_reading_is_looked_at(
    files: Path, reading: dict[str, object]
) -> None:
    kept = replace(drift.profile(files / "reference.parquet"), reading=reading)
    (files / "kept").write_bytes(kept.to_bytes())
    code, said, error = run("compare", files / "kept", files / "quiet.csv")
    assert (code, said) == (2, "") and "this stored profile is damaged" in error


def test_a_time_that_64_bits_do_not_hold_is_refused_whichever_way_it_is_read(tmp_path: Path) -> None:
    """Cast without a check it came out as another time, and only where nothing else was said."""
    near, far = (
        pa.array([begin + i * 604_800_000 for i in range(300)], pa.int64()).cast(pa.timestamp("ms"))
        for begin in (1_700_000_000_000, 2_534_023_007_990_000_000)
    )
    for name, moments in (("near", near), ("far", far)):
        pq.write_table(pa.table({"t": moments, "k": ["a"] * 300}), tmp_path / f"{name}.parquet")
    for option in ([], ["--column", "k=category"]):
        code, said, error = run("compare", tmp_path / "near.parquet", tmp_path / "far.parquet", *option)
        assert (
            (code, said) == (2, "") and "a time beyond the year 290,000" in error and "far.parquet" in error
        )


def test_no_zero_is_another_category_than_zero() -> None:
    ones = drift.profile(pa.table({"x": [0.0, 1.0] * 200}), columns={"x": "category"})
    others = drift.profile(pa.table({"x": [-0.0, 1.0] * 200}), grid=ones, columns={"x": "category"})
    assert not drift.compare(ones, others).detected


def test_in_a_pipe_a_column_is_one_line_however_long_its_name_is(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    name = "average household income before housing costs"
    for file, shift in (("a.csv", 0), ("b.csv", 5)):
        pd.DataFrame({name: rng.normal(shift, 1, 500).round(3)}).to_csv(tmp_path / file, index=False)
    told = run("compare", tmp_path / "a.csv", tmp_path / "b.csv")[1]
    (row,) = (line for line in told.splitlines()[1:] if name in line)
    assert "material" in row and "moved up by" in row
    assert "0 columns without" in told


def test_json_in_a_pipe_is_what_a_terminal_shows_without_its_colours(
    capsys: pytest.CaptureFixture[str],
) -> None:
    odd = {"a": "[red]\x1b[31m\x9b\u2028 :smile:", "b": [float("nan"), 1e-300, {}, []], "c": "x " * 20_000}
    session.print_json(odd)
    plain = capsys.readouterr().out
    session.out.print_json(json.dumps(odd, ensure_ascii=False))
    assert plain == capsys.readouterr().out


def test_a_commit_of_a_table_is_stored_again(tmp_path: Path) -> None:
    """Its name, TABLE@N, is that of no file."""
    table = Written()
    table.append([{"k": 1, "v": "a"}])
    table.write(tmp_path / "birds")
    for _ in range(2):
        code, said, error = run("profile", tmp_path / "birds@0", "-o", tmp_path / "birds.profile")
        assert (code, error) == (0, "") and "1 rows" in said
