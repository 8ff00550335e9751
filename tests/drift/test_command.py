"""`driftloop profile` and `driftloop compare`: what they print, write and exit with."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

import drift
from cli import app


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


def test_in_a_pipe_a_column_is_one_line_however_long_its_name_is(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    name = "average household income before housing costs"
    for file, shift in (("a.csv", 0), ("b.csv", 5)):
        pd.DataFrame({name: rng.normal(shift, 1, 500).round(3)}).to_csv(tmp_path / file, index=False)
    told = run("compare", tmp_path / "a.csv", tmp_path / "b.csv")[1]
    (row,) = (line for line in told.splitlines()[1:] if name in line)
    assert "material" in row and "moved up by" in row
    assert "0 columns without" in told
