"""A backtest with the loop's own pipeline: its commands are run, its scoring code answers, its failures are told."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pandas as pd
import psutil
import pytest

from cli.past import baselines, chronicle, pipeline_file, simulation
from cli.past.model import Training
from cli.past.own_pipeline import OwnPipeline
from shared import loopfile
from shared.errors import ConfigurationError
from tests.engine.world import LOOP, season
from tests.patience import until

PIPELINE = """
type: pipeline
inputs:
  training_data: {type: uri_folder}
  least: {type: integer, default: 10}
  shift: {type: number, optional: true}
outputs:
  model: {type: custom_model}
jobs:
  train:
    type: command
    component: train/component.yml
    inputs: {table: "${{parent.jobs.prepare.outputs.table}}", least: "${{parent.inputs.least}}"}
    outputs: {model: "${{parent.outputs.model}}"}
  prepare:
    component: {code: prepare, command: "python prepare.py ${{inputs.rows}} ${{outputs.table}} $[[${{inputs.shift}}]]",
      inputs: {rows: {type: uri_folder}, shift: {type: number, optional: true}}, outputs: {table: {type: uri_folder}}}
    inputs: {rows: "${{parent.inputs.training_data}}", shift: "${{parent.inputs.shift}}"}
"""
PREPARE = """
import csv, sys
from pathlib import Path
import pyarrow.parquet as pq
rows = [row for part in sorted(Path(sys.argv[1]).glob("*.parquet")) for row in pq.read_table(part).to_pylist()]
with (Path(sys.argv[2]) / "birds.csv").open("w") as file:
    csv.writer(file).writerows([r["species"], r["flipper_length_mm"]] for r in rows)
Path("scratch.txt").write_text("not in the loop's folder")
"""
TRAIN = """
import csv, sys
from pathlib import Path
rows = list(csv.reader((Path(sys.argv[1]) / "birds.csv").open()))
if len(rows) < int(sys.argv[2]):
    sys.exit(f"{len(rows)} rows are too few")
lengths = {s: [float(r[1]) for r in rows if r[0] == s] for s in {r[0] for r in rows}}
(Path(sys.argv[3]) / "model.csv").write_text("\\n".join(f"{s},{sum(x) / len(x)}" for s, x in lengths.items()))
"""
SCORE = """
import csv, json, os
from pathlib import Path
def init():
    global means
    print("this goes to the log, not into an answer")
    root = Path(os.environ["AZUREML_MODEL_DIR"])
    assert [file.name for file in root.iterdir()] == ["model"], "as on Azure, it holds the model's folder"
    means = {s: float(m) for s, m in csv.reader((root / "model" / "model.csv").open())}
def run(raw):
    table = json.loads(raw)["input_data"]
    at = table["columns"].index("flipper_length_mm")
    return [min(means, key=lambda s: abs(means[s] - row[at])) for row in table["data"]]
"""
COMPONENT = """
inputs: {table: {type: uri_folder}, least: {type: integer}}
outputs: {model: {type: custom_model}}
code: .
command: python train.py ${{inputs.table}} ${{inputs.least}} ${{outputs.model}}
"""


SLEEPER = ["sleep", "86399"]
ENDLESS = """
type: pipeline
jobs:
  train:
    outputs: {code: "${{parent.outputs.model}}"}
    command: |
      sleep 86399 &
      printf 'J\\366rg'
      cat
      LAST
"""


@pytest.fixture
def loop(tmp_path: Path) -> Path:
    for name, text in {
        "loop.yaml": LOOP.replace("serve: {", "serve: {scoring: score, environment: env.yml, "),
        "train.yml": PIPELINE,
        "env.yml": "",
        "prepare/prepare.py": PREPARE,
        "train/train.py": TRAIN,
        "train/component.yml": COMPONENT,
        "score/score.py": SCORE,
    }.items():
        file = tmp_path / "loop" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return tmp_path / "loop"


@pytest.fixture
def own(loop: Path) -> Iterator[OwnPipeline]:
    with OwnPipeline(loop, loopfile.load(loop), sys.executable, None) as made:
        yield made


def training(tmp_path: Path, rows: int) -> Training:
    birds = season(2007).head(rows)
    birds.to_parquet(tmp_path / "part.parquet")
    return Training({"0.parquet": (tmp_path / "part.parquet").read_bytes()}, birds, "species", classify=True)


def test_the_pipelines_model_serves_the_past(loop: Path, tmp_path: Path) -> None:
    (tmp_path / "drops").mkdir()
    for number, frame in enumerate((season(2007), season(2008), season(2009, flipper_length_mm=0.8)), 1):
        frame.to_csv(tmp_path / "drops" / f"{number}.csv", index=False)
    definition = loopfile.load(loop)
    past, rule = (
        chronicle.read(tmp_path / "drops", timedelta(days=7)),
        baselines.rules(definition, "0 0 3 * * 1")[0],
    )
    with OwnPipeline(loop, definition, sys.executable, None) as trainer:
        found = simulation.run(rule, past, trainer, lambda _: None)
    assert [step.alarm for step in found.steps] == [False, False, True]
    assert found.steps[1].score is not None and found.steps[1].score > 0.9
    assert found.steps[2].score is not None and found.steps[2].score < 0.6
    assert found.steps[2].retrained and found.failed == ()
    assert 0 < found.job_hours < 0.2, "as long as the commands took"
    assert not list(loop.rglob("scratch.txt")), "steps run on copies of the loop's code"


def test_a_pipeline_that_reads_a_table_of_rows_gets_one_over_the_same_files(
    loop: Path, tmp_path: Path
) -> None:
    """Relative paths are of the MLTable's own folder: reference-yaml-mltable.md."""
    typed = PIPELINE.replace("training_data: {type: uri_folder}", "training_data: {type: mltable}")
    (loop / "train.yml").write_text(typed.replace("rows: {type: uri_folder}", "rows: {type: mltable}"))
    named = """
import yaml
told = yaml.safe_load((Path(sys.argv[1]) / "MLTable").read_text())
assert told["paths"] == [{"file": "./0.parquet"}] and told["transformations"], told
"""
    (loop / "prepare/prepare.py").write_text(PREPARE + named)
    with OwnPipeline(loop, loopfile.load(loop), sys.executable, None) as made:
        assert made(training(tmp_path, 50)).error == ""


def test_a_step_that_fails_fails_its_job_with_its_words(own: OwnPipeline, tmp_path: Path) -> None:
    found = own(training(tmp_path, 5))
    assert found.model is None and found.error == "step train ended with exit code 1: 5 rows are too few"


def test_the_same_window_is_trained_once_and_a_model_answers_after_others_took_its_process(
    own: OwnPipeline, tmp_path: Path
) -> None:
    given = training(tmp_path, 60)
    model = own(given).model
    assert model is not None and own(given).model is model
    asked = pd.DataFrame({"flipper_length_mm": [190.0, 220.0], "sex": [None, "male"]})
    before = model.predict(asked)
    model.close()  # type: ignore[attr-defined]  # as the pool does
    assert model.predict(asked) == before
    with pytest.raises(ConfigurationError, match="states no probabilities"):
        model.probabilities(asked)


BY_FILE = """
import pandas as pd
from score_rows import init, nearest
def run(mini_batch):
    found = []
    for file in mini_batch:
        said = nearest(pd.read_parquet(file)["flipper_length_mm"])
        found.append(pd.DataFrame({"row": range(len(said)), "said": said, "file": file.rpartition("/")[2]}))
    return pd.concat(found)[::-1]
"""


def test_a_batch_endpoints_script_is_given_a_file(loop: Path, tmp_path: Path) -> None:
    rows = SCORE[: SCORE.index("def run")] + (
        "def nearest(lengths):\n    return [min(means, key=lambda s: abs(means[s] - x)) for x in lengths]\n"
    )
    (loop / "score/score_rows.py").write_text(rows)
    (loop / "score/score.py").write_text(BY_FILE)
    (loop / "env.yml").write_text("- azureml-core\n- azureml-dataset-runtime[fuse]\n")
    file, canary = loop / "loop.yaml", "canary: {step: {max_hours: 1}, bake_minutes: 1}\n"
    text = file.read_text().replace("serve: {", "serve: {type: batch, compute: cpu, ")
    file.write_text(text[: text.index("canary:")] + canary)
    with OwnPipeline(loop, loopfile.load(loop), sys.executable) as trainer:
        model = trainer(training(tmp_path, 60)).model
        assert model is not None
        near, far = model.predict(pd.DataFrame({"flipper_length_mm": [190.0, 220.0]}))
        assert (near, far) != (far, near)
        assert model.predict(pd.DataFrame({"flipper_length_mm": [220.0, 190.0]})) == [far, near]


def test_a_model_may_answer_with_text_of_several_lines(loop: Path, tmp_path: Path) -> None:
    score = SCORE.replace("return [", "return json.dumps([").replace(
        'table["data"]]', 'table["data"]], indent=1)'
    )
    (loop / "score/score.py").write_text(score)
    with OwnPipeline(loop, loopfile.load(loop), sys.executable) as trainer:
        model = trainer(training(tmp_path, 60)).model
        assert model is not None
        asked = pd.DataFrame({"flipper_length_mm": [190.0, 220.0]})
        assert len(model.predict(asked)) == len(model.predict(asked.head(1))) + 1 == 2


def test_a_command_is_asked_nothing_and_leaves_nothing_behind(loop: Path, tmp_path: Path) -> None:
    """Its output may have any name and be in any encoding; what it began ends with it, or with its time."""
    file = loop / "train.yml"
    for last, limit, words in (
        ("false", "6h", "ended with exit code 1: J\ufffdrg"),
        ("sleep 86399", "1s", "ran into train.timeout"),
    ):
        file.write_text(ENDLESS.replace("LAST", last))
        plan = loopfile.load(loop, overrides=(f"train.timeout={limit}",))
        with OwnPipeline(loop, plan, sys.executable, 0.0) as trainer:
            found = trainer(training(tmp_path, 20))
            assert (found.error, found.took_s) == (f"step train {words}", 0.0)
        until(lambda: not [one for one in psutil.process_iter(["cmdline"]) if one.info["cmdline"] == SLEEPER])


def sweep(goal: str) -> str:
    return f"""
type: pipeline
jobs:
  choose:
    type: sweep
    trial:
      code: .
      outputs: {{model: {{type: custom_model}}}}
      command: sh trial.sh ${{{{search_space.x}}}} ${{{{outputs.model}}}}
    outputs: {{model: "${{{{parent.outputs.model}}}}"}}
    sampling_algorithm: grid
    search_space: {{x: {{type: choice, values: [1, 3, 2]}}}}
    objective: {{goal: {goal}, primary_metric: m}}
outputs: {{model: {{type: custom_model}}}}
"""


@pytest.mark.parametrize(("goal", "best"), [("maximize", "3"), ("minimize", "1")])
def test_of_a_sweeps_trials_the_best_is_the_model(loop: Path, tmp_path: Path, goal: str, best: str) -> None:
    """A trial logs to files as mlflow does: mlruns/EXPERIMENT/RUN/metrics/NAME, each line time, value and step."""
    (loop / "train.yml").write_text(sweep(goal))
    (loop / "trial.sh").write_text(
        'runs="${MLFLOW_TRACKING_URI#file://}/0/r/metrics"; mkdir -p "$runs"; echo "17 $1 0" > "$runs/m"; '
        'echo "Adelie,$1" > "$2/model.csv"'
    )
    with OwnPipeline(loop, loopfile.load(loop), sys.executable, 60.0) as trainer:
        found = trainer(training(tmp_path, 20))
        assert found.took_s == 60.0 and found.model is not None
        assert (found.model.folder / "model.csv").read_text().strip() == f"Adelie,{best}"  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            ("component: train/component.yml", 'component: "azureml:t:1"'),
            "step train is azureml:t:1, which is in Azure",
        ),
        (("type: command", "type: parallel"), "step train is a parallel"),
        (("train/component.yml", "train/none.yml"), "none.yml cannot be read"),
        (("${{parent.inputs.training_data}}", "${{parent.jobs.train.outputs.model}}"), "wait for each other"),
        (("type: pipeline\n", "type: command\n"), "no pipeline with jobs"),
        (('{model: "${{parent.outputs.model}}"}', "{}"), "no step gives"),
    ],
)
def test_what_cannot_run_here_is_named_before_anything_runs(
    loop: Path, change: tuple[str, str], words: str
) -> None:
    file = loop / "train.yml"
    file.write_text(PIPELINE.replace(*change, 1))
    with pytest.raises(ConfigurationError, match=words):
        pipeline_file.steps(file, {})
