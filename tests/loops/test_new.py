"""`driftloop new` on five unlike files: a loop that trains as it stands, or exactly what it needs to know."""

from __future__ import annotations

import gzip
import io
import json
import re
import shlex
import subprocess
from collections.abc import Callable
from fnmatch import fnmatchcase
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from jsonschema import Draft202012Validator
from typer.testing import CliRunner, Result

from cli import app
from cli import new as new_command
from local.jobs.environment import python_for
from shared import loopfile
from shared.errors import ConfigurationError
from shared.intake import DropFile, ReadSpec, read_drop


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same draws for each test, whichever ran before it."""
    monkeypatch.setitem(globals(), "RANDOM", np.random.default_rng(5))


RANDOM = np.random.default_rng(5)


def classification(rows: int = 240) -> bytes:
    """Two classes, ids, a column of no use."""
    x, y = RANDOM.normal(size=(2, rows))
    frame = pd.DataFrame({"customer_id": range(rows), "spend": x, "visits": y, "country": "NZ"})
    frame["plan"] = np.where(RANDOM.random(rows) < 0.5, "basic", "gold")
    frame["churned"] = np.where(
        x + y + (frame["plan"] == "gold") + RANDOM.normal(0, 0.3, rows) > 0.5, "yes", "no"
    )
    return frame.to_csv(index=False).encode()


def regression(rows: int = 300) -> bytes:
    """A price in large units, missing values, a boolean."""
    area, rooms = RANDOM.uniform(40, 200, rows), RANDOM.integers(1, 7, rows)
    frame = pd.DataFrame({"area": area, "rooms": rooms, "garden": RANDOM.random(rows) < 0.4})
    frame["price"] = 3000 * area + 20_000 * rooms + 50_000 * frame["garden"] + RANDOM.normal(0, 9000, rows)
    frame.loc[::11, "area"] = np.nan
    return frame.to_csv(index=False).encode()


def time_series(rows: int = 400) -> bytes:
    days = pd.date_range("2024-01-01", periods=rows)
    sales = 100 + 20 * (days.weekday >= 5) + 0.1 * np.arange(rows) + RANDOM.normal(0, 3, rows)
    return (
        pd.DataFrame({"day": days, "promotion": RANDOM.random(rows) < 0.1, "sales": sales})
        .to_csv(index=False)
        .encode()
    )


def many_categories(rows: int = 600) -> bytes:
    """A column of 80 towns, one of free text, three classes."""
    town = RANDOM.integers(0, 80, rows)
    frame = pd.DataFrame(
        {"town": [f"Town {n}" for n in town], "note": [f"text {n} {RANDOM.random()}" for n in range(rows)]}
    )
    frame["size"] = RANDOM.normal(size=rows)
    frame["grade"] = [["low", "middle", "high"][n % 3] for n in town]
    return frame.to_csv(index=False).encode()


def parquet_of_days(rows: int = 60) -> bytes:
    """The days are texts, as pandas writes what it read from a CSV."""
    days = pd.date_range("2024-01-01", periods=rows).strftime("%Y-%m-%d")
    written = io.BytesIO()
    pd.DataFrame({"day": days, "ice": RANDOM.normal(10, 2, rows)}).to_parquet(written)
    return written.getvalue()


def dirty(rows: int = 200) -> bytes:
    """BOM, semicolons, decimal commas, missing targets, odd column names, an empty column, quotes."""
    x = RANDOM.normal(10, 3, rows)
    lines = ['größe (cm);"the ""name"" ";empty;ok?']
    for n, value in enumerate(x):
        answer = "" if n % 17 == 0 else ("oui" if value > 10 else "non")
        lines.append(f'{value:.3f};"a; {n % 4}";;{answer}'.replace(".", ",", 1))
    return ("\ufeff" + "\r\n".join(lines) + "\r\n").encode()


FILES: dict[str, tuple[Callable[[], bytes], list[str]]] = {
    "churn": (classification, ["--target", "churned"]),
    "houses": (regression, ["--target", "price"]),
    "sales": (time_series, ["--target", "sales"]),
    "towns": (many_categories, ["--target", "grade"]),
    "dirty": (dirty, ["--target", "ok?"]),
}


def new(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["new", *arguments])


def made(tmp_path: Path, name: str) -> tuple[Path, Path]:
    """The data file and the loop that was made of it."""
    content, options = FILES[name]
    data = tmp_path / f"{name}.csv"
    data.write_bytes(content())
    result = new(name, "--data", str(data), "--folder", str(tmp_path), *options)
    assert result.exit_code == 0, result.output + str(result.exception)
    return data, tmp_path / name


# In make soak these three go all the way too: test_new_serves.py.
@pytest.mark.parametrize(
    "name", ["dirty", *(pytest.param(one, marks=pytest.mark.soak) for one in ("sales", "towns"))]
)
def test_a_file_becomes_a_loop_whose_model_answers(tmp_path: Path, name: str) -> None:
    data, folder = made(tmp_path, name)
    definition = loopfile.load(folder)
    drop = DropFile(path=data, name=data.name, size=data.stat().st_size)
    read_drop([drop], ReadSpec.of(definition.data, {}, b""), tmp_path / "out")
    assert definition.train.pipeline == "train.yml"
    answers = trained(folder, tmp_path)
    holdout = pd.read_parquet(tmp_path / "out" / "holdout")
    truth = holdout[definition.data.target]
    assert len(answers) == len(holdout) > 10
    known = truth.notna()
    if isinstance(answers[0], str):
        right = np.mean([a == t for a, t, k in zip(answers, truth.astype(str), known, strict=True) if k])
        assert right > 0.75
    else:
        error = np.sqrt(np.mean((np.array(answers) - truth)[known] ** 2))
        assert error < truth.std()


def in_environment_of(conda: Path) -> Path:
    return python_for(conda.name, {"condaFile": conda.read_text()})


def trained(folder: Path, tmp_path: Path, *, apart: bool = True) -> list[object]:
    """Train as the job would, and let the model answer the holdout rows as they come in a request.

    It answers as where it serves, in a process and an environment of its own; or where it was trained, which is sooner.
    """
    (tmp_path / "model").mkdir()
    columns = json.loads((folder / "train" / "columns.json").read_text())
    names = [name for kind in ("numbers", "texts", "words", "moments") for name in columns[kind]]
    train = "import runpy, sys\nrunpy.run_path(sys.argv.pop(1), run_name='__main__')\n"
    answer = (
        "import json, sys, mlflow, pandas as pd\n"
        "table = json.load(sys.stdin)\n"
        f"rows = pd.DataFrame(table['data'], columns=table['columns'])[{names!r}]\n"
        f"rows = rows.astype(dict.fromkeys({columns['numbers']!r}, float))\n"
        "answers = mlflow.pyfunc.load_model('model').predict(rows)\n"
        "print(json.dumps([a if isinstance(a, str) else float(a) for a in answers]))\n"
    )
    asked = pd.read_parquet(tmp_path / "out" / "holdout").to_json(orient="split", date_format="iso")
    order = [str(folder / "train" / "train.py"), str(tmp_path / "out" / "train"), str(tmp_path / "model")]
    if not apart:
        return json.loads(ran(folder / "environment.yml", ["-c", train + answer, *order], asked, tmp_path))
    ran(folder / "environment.yml", order, "", tmp_path)
    return json.loads(ran(tmp_path / "model" / "conda.yaml", ["-c", answer], asked, tmp_path))


def ran(conda: Path, arguments: list[str], asked: str, tmp_path: Path) -> str:
    """The last line that Python tells in the environment that a file describes."""
    environment = {
        "MLFLOW_TRACKING_URI": (tmp_path / "ml").as_uri(),
        "MLFLOW_ALLOW_FILE_STORE": "true",
        "PATH": "",
    }
    done = subprocess.run(
        [str(in_environment_of(conda)), *arguments],
        input=asked,
        capture_output=True,
        text=True,
        env=environment,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout.splitlines()[-1]


def test_editors_find_the_schema_of_the_loop_file(tmp_path: Path) -> None:
    """By the line that github.com/redhat-developer/yaml-language-server reads, relative to the file."""
    _, folder = made(tmp_path, "churn")
    text = (folder / "loop.yaml").read_text()
    line, _, path = text.splitlines()[0].partition("=")
    assert line == "# yaml-language-server: $schema"
    assert (folder / path).resolve() == tmp_path / "loop.schema.json"
    validator = Draft202012Validator(json.loads((folder / path).read_text()))
    assert list(validator.iter_errors(yaml.safe_load(text))) == []
    assert list(validator.iter_errors(yaml.safe_load(text) | {"metrics": {}}))


def test_what_is_of_no_use_is_left_out_and_said(tmp_path: Path) -> None:
    _, folder = made(tmp_path, "churn")
    definition = loopfile.load(folder)
    assert definition.data.id == "customer_id"
    assert definition.data.ignore == ("country",)
    assert "country has one value" in (folder / "README.md").read_text()
    assert '"visits"' in (folder / "train" / "columns.json").read_text()


def test_a_column_of_times_orders_the_holdout(tmp_path: Path) -> None:
    _, folder = made(tmp_path, "sales")
    definition = loopfile.load(folder)
    assert (definition.data.holdout.by, definition.data.holdout.column) == ("time", "day")
    assert "day" not in definition.drift.columns


def test_rows_that_depend_on_each_other_are_ranked_among_the_past_or_compared_once_a_customer(
    tmp_path: Path,
) -> None:
    rng = np.random.default_rng(7)
    level = np.repeat(rng.normal(size=60), 10)
    visits = pd.DataFrame({"customer_id": [f"C{i // 10:04d}" for i in range(600)], "spend": level})
    visits["again"] = np.where(rng.random(600) < 0.5, "yes", "no")
    shuffled = visits.sample(frac=1, random_state=1)
    walk = pd.DataFrame({"load": np.cumsum(rng.normal(size=600)), "busy": visits["again"]})
    seen = {}
    for name, frame, target in (("visits", shuffled, "again"), ("load", walk, "busy")):
        file = tmp_path / f"{name}.csv"
        frame.to_csv(file, index=False)
        result = new(name, "--data", str(file), "--target", target, "--folder", str(tmp_path / "loops"))
        assert result.exit_code == 0, result.output
        seen[name] = loopfile.load(tmp_path / "loops" / name / "loop.yaml")
    assert (seen["visits"].drift.cluster, seen["visits"].drift.reference.kind) == ("customer_id", "champion")
    assert (seen["visits"].data.holdout.by, seen["visits"].data.holdout.column) == ("group", "customer_id")
    assert (seen["load"].drift.cluster, seen["load"].drift.reference.kind) == (None, "last")
    assert "load resembles the row before it" in result.output.replace("\n", " ")


def test_a_schedule_is_written_where_it_is_asked_for(tmp_path: Path) -> None:
    data = tmp_path / "data.csv"
    data.write_bytes(classification())
    options = ["--data", str(data), "--folder", str(tmp_path), "--target", "churned"]
    assert new("churn", *options, "--schedule", "0 0 3 * * 1").exit_code == 0
    assert loopfile.load(tmp_path / "churn").retrain.schedule == "0 0 3 * * 1"
    again = new("churn", *options)
    assert "already exists" in str(again.exception)


@pytest.mark.parametrize(
    ("content", "options", "words"),
    [
        (
            classification(),
            [],
            "missing --target; choose one of customer_id, spend, visits, country, plan, churned",
        ),
        (classification(), ["--target", "churn"], "did 'churned' take its place"),
        (many_categories(), ["--target", "note"], "600 different texts in 600 rows"),
        (classification(), ["--target", "churned", "--task", "regression"], "a regression predicts numbers"),
        (
            classification(),
            ["--target", "churned", "--task", "guess"],
            "neither classification nor regression",
        ),
        (
            parquet_of_days(),
            ["--target", "ice"],
            "column 'day' is text in the file and holds times; if that is",
        ),
        (b"", ["--target", "x"], "empty-file"),
        (b"a,b\n1,2\n3,4\n", ["--target", "b", "--time", "a"], "not a column of times"),
        (b"a,b\n1,2\n3,4\n", ["--target", "b", "--time", "a"], "if it holds times, pass --column a=time"),
        (many_categories(), ["--target", "note"], "if they are numbers, pass --column note=number"),
        (b"a,b\n1,2\n3,4\n", ["--target", "b", "--column", "A=ignore"], "there is no column 'A'"),
        (b"a,b\n1,x\n3,x\n", ["--target", "b"], "b has one value (x) in 2 rows"),
        (b"a,b\n1,2\n3,2\n", ["--target", "b", "--task", "regression"], "b has one value (2) in 2 rows"),
        (b"a,b\n1,\n3,\n", ["--target", "b"], "b has no value in 2 rows"),
    ],
)
def test_what_cannot_be_told_from_the_data_is_named(
    tmp_path: Path, content: bytes, options: list[str], words: str
) -> None:
    data = tmp_path / "data.csv"
    data.write_bytes(content)
    result = new("loop", "--data", str(data), "--folder", str(tmp_path), *options)
    assert isinstance(result.exception, ConfigurationError)
    assert words in str(result.exception)
    assert not (tmp_path / "loop").exists()


def test_gzip_and_hostile_names_make_a_valid_loop(tmp_path: Path) -> None:
    data = tmp_path / "data.csv.gz"
    frame = pd.DataFrame({"a: {b}": range(40), "# $$ '\"": [1.5, 2.5] * 20, "t\\": ["x", "y"] * 20})
    data.write_bytes(gzip.compress(frame.to_csv(index=False).encode()))
    result = new("odd", "--data", str(data), "--folder", str(tmp_path), "--target", "t\\")
    assert result.exit_code == 0, result.exception
    assert loopfile.load(tmp_path / "odd").data.target == "t\\"


def test_a_column_of_no_use_that_a_person_leaves_out_is_left_out_of_drops_too(tmp_path: Path) -> None:
    """The loop file lacked it, so the first drop was refused."""
    data = tmp_path / "data.parquet"
    clock = pa.array(range(60), pa.time64("us"))
    pq.write_table(pa.table({"clock": clock, "a": [n * 1.5 for n in range(60)], "b": ["x", "y"] * 30}), data)
    options = ("--target", "b", "--column", "clock=ignore")
    result = new("clocks", "--data", str(data), "--folder", str(tmp_path), *options)
    assert result.exit_code == 0, result.output
    written = loopfile.load(tmp_path / "clocks").data
    assert written.ignore == ("clock",)
    spec = ReadSpec.of(written, {}, b"")
    drop = DropFile(data, "data.parquet", data.stat().st_size)
    assert read_drop([drop], spec, tmp_path / "out").rows == 60


def test_nothing_of_the_template_is_left_in_it(tmp_path: Path) -> None:
    _, folder = made(tmp_path, "houses")
    for file in folder.rglob("*"):
        if file.is_file() and file.suffix != ".py":
            assert "NAME" not in file.read_text() and "TARGET" not in file.read_text(), file
    assert {f.name for f in folder.iterdir()} >= {
        f.name for f in new_command.TEMPLATE.iterdir() if f.name[0] != "_"
    }


@pytest.mark.parametrize(
    ("values", "task", "metric", "note"),
    [
        ([n % 5 for n in range(60)], "classification", "balanced_accuracy", "(0, 1, 2, 3, 4), which are"),
        ([f"{(1, 4, 9)[n % 3]}.0" for n in range(60)], "classification", "balanced_accuracy", "(1, 4, 9), which"),
        ([(n * n * 37) % 4999 for n in range(60)], "regression", "rmse", "which are taken as a quantity"),
        ([f"{(n * n * 37) % 4999}.0" for n in range(60)], "regression", "rmse", "predicts b (regression)"),
        ([n * 0.37 for n in range(60)], "regression", "rmse", "predicts b (regression)"),
    ],
)  # fmt: skip
def test_the_task_of_numbers_is_settled_and_said(
    tmp_path: Path, values: list[object], task: str, metric: str, note: str
) -> None:
    """The same rule as the loop's own, on the same rows; the loop file says what was settled."""
    data = tmp_path / "data.csv"
    data.write_text("a,b\n" + "".join(f"{n * 1.5},{value}\n" for n, value in enumerate(values)))
    result = new("numbers", "--data", str(data), "--folder", str(tmp_path), "--target", "b")
    assert result.exit_code == 0, result.output
    assert note in " ".join(result.output.split())
    written = loopfile.load(tmp_path / "numbers" / "loop.yaml")
    assert written.data.task == task
    assert written.metric is not None and written.metric.name == metric
    assert (written.metric.at_least is None, written.metric.at_most is None) == (
        task == "regression",
        task == "classification",
    )
    assert json.loads((tmp_path / "numbers/train/columns.json").read_text())["task"] == task


def test_a_model_of_a_rare_class_says_it(tmp_path: Path) -> None:
    """One row in fifty is fraud, and no line parts it well: a model that is right most often never says so."""
    x, y = RANDOM.normal(size=(2, 2000))
    fraud = RANDOM.random(2000) < 0.08 * ((x > 0.5) & (y > 0))
    data = tmp_path / "payments.csv"
    pd.DataFrame({"x": x, "y": y, "fraud": np.where(fraud, "yes", "no")}).to_csv(data, index=False)
    done = new("payments", "--data", str(data), "--target", "fraud", "--folder", str(tmp_path))
    assert f"class yes is rare ({fraud.mean():.2%} of the rows)" in done.output
    definition = loopfile.load(tmp_path / "payments")
    assert definition.metric is not None
    assert (definition.metric.at_least, definition.metric.worse_by) == (0.5, 0.01)
    assert definition.gate.margin == 0.03
    assert definition.retrain.new_data == 1
    assert definition.metric.sample * fraud.mean() >= 30
    drop = DropFile(path=data, name=data.name, size=data.stat().st_size)
    read_drop([drop], ReadSpec.of(definition.data, {}, b""), tmp_path / "out")
    assert "yes" in trained(tmp_path / "payments", tmp_path, apart=False)


def shop(rows: int, hours: float = 24.0) -> pd.DataFrame:
    moments = pd.date_range("2024-01-01", periods=rows, freq=pd.Timedelta(hours=hours))
    sales = RANDOM.normal(100, 10, rows)
    parts = {"year": moments.year, "week": moments.isocalendar().week.to_numpy(), "weekday": moments.weekday}
    return pd.DataFrame({"at": moments, **parts, "seen": np.arange(rows) * 3 + 7, "sales": sales})


def test_columns_that_say_what_time_it_is_are_not_compared(tmp_path: Path) -> None:
    data = tmp_path / "shop.csv"
    shop(1100).to_csv(data, index=False)
    done = new("shop", "--data", str(data), "--target", "sales", "--folder", str(tmp_path))
    assert "column year only ever goes up or down with at" in done.output
    assert loopfile.load(tmp_path / "shop").drift.columns == ("week", "weekday")


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (80, "note: that is too few: every release waits for your decision until 20 are kept back"),
        (150, "note: that is few: to show that an equally good model is not worse by"),
        (3000, "note: that is enough to show that an equally good model is not worse by"),
    ],
)
def test_what_the_rows_can_show_is_told_before_anything_trains(tmp_path: Path, rows: int, said: str) -> None:
    data = tmp_path / "shop.csv"
    shop(rows).to_csv(data, index=False)
    done = new("shop", "--data", str(data), "--target", "sales", "--time", "none", "--folder", str(tmp_path))
    assert f"holdout: about {rows // 5:,} of {rows:,} rows are kept back" in done.output
    assert said in done.output
    (loss,) = re.findall(
        r"a loss of about (\S+) of rmse is found at its first drop in 8 of 10 cases", done.output
    )
    assert (float(loss) > 1) == (rows < 3000), "of a spread of 10"
    assert "209 an hour to the endpoint" in done.output
    definition = loopfile.load(tmp_path / "shop")
    assert definition.metric is not None
    assert definition.metric.at_most is not None


def test_where_the_newest_rows_judge_it_is_told_that_drops_bring_no_more_of_them(tmp_path: Path) -> None:
    data = tmp_path / "shop.csv"
    shop(150).to_csv(data, index=False)
    done = new("shop", "--data", str(data), "--target", "sales", "--time", "at", "--folder", str(tmp_path))
    assert "a release is judged on the newest drop's alone" in done.output
    assert "until drops have brought them" not in done.output


def test_what_is_printed_can_be_copied_whatever_the_paths_are(tmp_path: Path) -> None:
    """No line is broken in a pipe, and nothing in a name is taken for markup."""
    place = tmp_path / ("a-rather-long-folder-name-" * 3) / "[red]old"
    place.mkdir(parents=True)
    data = place / "customers[old].csv"
    data.write_bytes(classification())
    said = new("churn", "--data", str(data), "--target", "churned", "--folder", str(place)).output
    published, dropped = (shlex.split(line) for line in said.splitlines()[-2:])
    assert published == ["driftloop", "publish", str(place / "churn")]
    assert dropped == ["driftloop", "drop", "churn", str(data)]


def reviews(rows: int = 400) -> pd.DataFrame:
    """What people wrote, and whether it was praise: nothing but the words tells."""
    good, dull = ("lovely", "splendid", "superb", "charming"), ("broken", "awful", "useless", "late")
    praise = RANDOM.random(rows) < 0.5
    text = [
        f"it was {RANDOM.choice(good if one else dull)} and came on day {n} from shop {RANDOM.integers(99)}"
        for n, one in enumerate(praise)
    ]
    return pd.DataFrame({"review": text, "code": [f"K{n:05d}" for n in range(rows)], "praise": praise})


def test_a_model_learns_from_the_words_of_a_text(tmp_path: Path) -> None:
    """A file of texts has no other column, and a boolean target; codes, one a row, are still of no use."""
    data = tmp_path / "reviews.csv"
    reviews().to_csv(data, index=False)
    done = new("reviews", "--data", str(data), "--target", "praise", "--folder", str(tmp_path))
    assert done.exit_code == 0, done.exception
    assert (
        "column review has 400 different texts in 400 rows: the baseline learns from its words" in done.output
    )
    assert "column code has 400 different texts in 400 rows: left out" in done.output
    definition = loopfile.load(tmp_path / "reviews")
    drop = DropFile(path=data, name=data.name, size=data.stat().st_size)
    read_drop([drop], ReadSpec.of(definition.data, {}, b""), tmp_path / "out")
    answers = trained(tmp_path / "reviews", tmp_path, apart=False)
    truth = pd.read_parquet(tmp_path / "out" / "holdout").praise.astype(str)
    assert np.mean([one == said for one, said in zip(truth, answers, strict=True)]) > 0.9


def test_row_numbers_are_no_feature_and_a_word_in_a_few_values_is_no_id(tmp_path: Path) -> None:
    """As R writes them, also where some rows have no target; `number` is a column that says none or big."""
    frame = pd.read_csv(io.BytesIO(classification())).drop(columns="customer_id")
    frame.insert(0, "rownames", range(1, len(frame) + 1))
    frame["number"] = np.where(frame["visits"] > 0, "big", "none")
    frame["year"] = 1700 + frame["rownames"]
    frame.loc[::9, "churned"] = None
    data = tmp_path / "r.csv"
    frame.to_csv(data, index=False)
    done = new("patients", "--data", str(data), "--target", "churned", "--folder", str(tmp_path))
    assert "column rownames numbers the rows: left out" in done.output
    assert "looks like an id" not in done.output and "year numbers" not in done.output
    assert loopfile.load(tmp_path / "patients").data.ignore == ("rownames", "country")


@pytest.mark.parametrize(("order", "kind"), [("grade", "champion"), ("size", "last")])
def test_a_file_that_is_sorted_by_its_classes_is_no_series(tmp_path: Path, order: str, kind: str) -> None:
    """As the classic ones are: neighbours are alike because they are of one class."""
    grade = RANDOM.integers(0, 3, 400)
    frame = pd.DataFrame(
        {"size": RANDOM.normal(grade, 0.4), "weight": RANDOM.normal(grade, 0.4), "grade": grade}
    )
    frame = (
        frame.sort_values("grade") if order == "grade" else frame.assign(size=np.cumsum(frame["size"] - 1))
    )
    data = tmp_path / "graded.csv"
    frame.to_csv(data, index=False)
    done = new("graded", "--data", str(data), "--target", "grade", "--folder", str(tmp_path))
    assert loopfile.load(tmp_path / "graded").drift.reference.kind == kind
    assert ("resembles the row before it" in done.output) == (kind == "last")


def test_a_column_that_is_the_answer_is_told(tmp_path: Path) -> None:
    frame = pd.read_csv(io.BytesIO(classification())).assign(visits=1.5)
    frame["left"] = frame["churned"].map({"yes": "gone", "no": "here"})
    data = tmp_path / "customers.csv"
    frame.to_csv(data, index=False)
    done = new("customers", "--data", str(data), "--target", "churned", "--folder", str(tmp_path))
    assert "column left tells churned without error" in done.output and "--column left=ignore" in done.output
    assert done.output.count("without error") == 1


@pytest.mark.soak
@pytest.mark.parametrize(("time", "estimator"), [("day", "linear"), ("none", "trees")])
def test_the_baseline_of_a_series_is_chosen_by_how_it_goes_on(
    tmp_path: Path, time: str, estimator: str
) -> None:
    """A trend: trees know it between days that they have seen, and do not continue it. The newest rows come first."""
    days = pd.date_range("2024-01-01", periods=300)
    wave = 30 * np.sign(np.sin(np.arange(300) / 3))
    data = tmp_path / "series.csv"
    pd.DataFrame({"day": days, "load": np.arange(300) + wave})[::-1].to_csv(data, index=False)
    assert chosen(tmp_path, data, "load", "--time", time) == estimator


@pytest.mark.soak
def test_a_class_of_one_row_stops_nothing(tmp_path: Path) -> None:
    """The baseline is still chosen: here only trees see that the middle is another class."""
    x = RANDOM.normal(size=11_000)
    kind = np.where(abs(x) < 0.7, "middle", "edge")
    kind[0] = "once"
    data = tmp_path / "kinds.csv"
    pd.DataFrame({"x": x, "kind": kind}).to_csv(data, index=False)
    assert chosen(tmp_path, data, "kind") == "trees"


def chosen(tmp_path: Path, data: Path, target: str, *options: str) -> str:
    """The estimator of the baseline that is made of a file, trained as its loop would."""
    done = new("chosen", "--data", str(data), "--target", target, "--folder", str(tmp_path), *options)
    assert done.exit_code == 0, done.exception
    definition = loopfile.load(tmp_path / "chosen")
    drop = DropFile(path=data, name=data.name, size=data.stat().st_size)
    read_drop([drop], ReadSpec.of(definition.data, {}, b""), tmp_path / "out")
    trained(tmp_path / "chosen", tmp_path)
    (told,) = (tmp_path / "ml").rglob("estimator")
    return told.read_text()


def test_years_are_told_where_they_may_order_the_rows(tmp_path: Path) -> None:
    """A yearly series without a date: the year is a number, which no row is ordered by."""
    data = tmp_path / "sunspots.csv"
    frame = pd.DataFrame({"YEAR": np.arange(1700, 1900), "wheat": RANDOM.integers(1, 9, 200), "spots": 1.5})
    frame["spots"] += RANDOM.normal(size=200)
    frame.to_csv(data, index=False)
    options = ["--data", str(data), "--target", "spots", "--folder", str(tmp_path)]
    done = new("spots", *options)
    assert "column YEAR counts years" in done.output and "column wheat" not in done.output
    refused = new("again", *options, "--time", "YEAR")
    assert "write them as dates (1950-01-01)" in str(refused.exception)
    assert "write them" not in str(new("again", *options, "--time", "wheat").exception)
    frame.assign(YEAR=frame["YEAR"].map("{}-01-01".format)).to_csv(data, index=False)
    assert "newest rows by YEAR kept back" in new("dated", *options).output
    assert loopfile.load(tmp_path / "dated").data.time == "YEAR"


def test_of_two_keys_the_one_that_tells_more_apart_says_whom_rows_are_about(tmp_path: Path) -> None:
    """A number that begins again with each species occurs in several rows as well."""
    bird = np.arange(600) // 2
    frame = pd.DataFrame(
        {"sample number": np.arange(600) % 120 + 1, "individual id": [f"N{n}" for n in bird]}
    )
    frame["mass"] = RANDOM.normal(size=600)
    frame["sex"] = RANDOM.choice(["f", "m"], 600)
    frame["nest"] = None
    data = tmp_path / "birds.csv"
    frame.sample(frac=1, random_state=1).to_csv(data, index=False)
    done = new("nests", "--data", str(data), "--target", "sex", "--folder", str(tmp_path))
    assert loopfile.load(tmp_path / "nests").drift.cluster == "individual id"
    assert done.output.count("nest has no value at all") == 1
    assert "from 2 columns" in done.output


def test_an_embedding_of_lists_is_named_as_one_vector(tmp_path: Path) -> None:
    rng = np.random.default_rng(4)
    values = rng.normal(size=(300, 8)).round(3)
    frame = pd.DataFrame(
        {
            "picture": values.tolist(),
            "picture_far": values.tolist(),
            "picture_width": values[:, 0],
            "part_0": 1.5,
            "kept": np.where(values[:, 0] > 0, "y", "n"),
        }
    )
    frame.to_parquet(tmp_path / "pictures.parquet", index=False)
    options = ["--data", str(tmp_path / "pictures.parquet"), "--folder", str(tmp_path), "--target", "kept"]
    done = new("pictures", *options)
    assert done.exit_code == 0, done.output + str(done.exception)
    text = (tmp_path / "pictures" / "loop.yaml").read_text()
    assert 'vectors: {"picture": ["picture_[0-9]*"], "picture_far": ["picture_far_[0-9]*"]}' in text
    columns = [f"picture_{n}" for n in range(8)]
    others = [*(f"picture_far_{n}" for n in range(8)), "picture_width", "part_0"]
    (pattern,) = loopfile.load(tmp_path / "pictures").drift.vectors["picture"]
    assert [name for name in [*columns, *others] if fnmatchcase(name, pattern)] == columns
