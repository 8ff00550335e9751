"""Batch endpoints are brought about once, the default deployment is what serves, and a question is one job."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from copy import copy
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest
from azure.ai.ml.entities import Environment

from cli import adopt
from shared.azure.client import Workspace
from shared.azure.registry import IMAGE
from shared.errors import AnswersAwaited, ConfigurationError, InvariantBroken
from shared.loopfile.definition import Serve
from shared.memory.batch_scores import MemoryBatch
from shared.ports import Answer, DeploymentSpec
from shared.serving.batch_calls import _read
from shared.serving.batch_endpoints import AzureBatch
from tests.contract.stage import COMPUTE, ROWS, VERIFIED, SdkStage, Stage, eventually, fresh

MODEL = b"""
flavors:
  python_function: {loader_module: sizes, code: ., python_version: 3.11.0}
signature:
  inputs: '[{"type": "long", "name": "x", "required": true}]'
"""
LOADER = b"""
class Sizes:
    def predict(self, rows, params=None):
        if (rows["x"] == 99).any():
            raise ValueError("nobody has ever seen 99")
        return ["large" if x > 1 else "small" for x in rows["x"]]

def _load_pyfunc(path):
    return Sizes()
"""
CONDA = b"""
dependencies: ['python=3.11', {pip: [mlflow-skinny==2.16.2, numpy==2.3.5, pandas==2.3.3, pyarrow==24.0.0]}]
"""
FILES = {"MLmodel": MODEL, "sizes.py": LOADER, "conda.yaml": CONDA}
UNSCORED = '{"input_data": {"columns": ["x"], "data": [[99]]}}'


def asked(stage: Stage, pair: str, deployment: str, payloads: Sequence[str], stamp: str) -> list[Answer]:
    """Ask again until there are answers, as the engine does at each tick."""

    def look() -> list[Answer] | None:
        try:
            return stage.ports.batch.predict(pair, deployment, payloads, stamp)
        except AnswersAwaited:
            return None

    found = eventually(look, lambda seen: seen is not None)
    assert found is not None
    return found


@pytest.fixture(scope="module")
def pair(stage: Stage) -> Iterator[str]:
    """A batch endpoint with two deployments, `old` the default."""
    batch, endpoint = stage.ports.batch, fresh("b")
    if isinstance(batch, MemoryBatch):
        batch.new_deployments_are = "ready"
        batch.answer = lambda endpoint, deployment, payload: (
            Answer(500, "", 0.0) if payload == UNSCORED else Answer(200, '["small", "large"]', 0.0)
        )
    model = stage.registered(fresh("m"), "1", FILES)
    eventually(lambda: batch.ensure_endpoint(endpoint), lambda seen: seen.state == "ready")
    for name in ("old", "new"):
        made = spec(endpoint, name, model)
        eventually(lambda made=made: batch.ensure_deployment(made), lambda seen: seen.state == "ready")  # type: ignore[misc]
    _set(stage, endpoint, {"old": 100})
    yield endpoint
    _set(stage, endpoint, {})
    for name in ("old", "new"):
        eventually(lambda name=name: batch.ensure_no_deployment(endpoint, name), bool)  # type: ignore[misc]


def spec(endpoint: str, name: str, model: str) -> DeploymentSpec:
    cluster = COMPUTE or "driftloop-cpu"
    return DeploymentSpec(endpoint, name, model, "Standard_DS3_v2", compute=cluster, tags={"a": "b"})


def _set(stage: Stage, endpoint: str, weights: dict[str, int]) -> None:
    stage.ports.batch.set_traffic(endpoint, weights)
    eventually(lambda: dict(stage.ports.batch.traffic(endpoint)), lambda seen: seen == weights)


def test_what_is_there_is_not_made_again(stage: Stage, pair: str) -> None:
    batch = stage.ports.batch
    assert batch.ensure_endpoint(pair).state == "ready"
    model = batch.deployed_model(pair, "old")
    assert batch.ensure_deployment(spec(pair, "old", model)).state == "ready"
    assert batch.deployments(pair) == {"old": model, "new": model}
    assert (batch.endpoint_state(pair), batch.deployment_state(pair, "none")) == ("ready", "missing")
    assert (batch.hold_scale(pair, "old"), batch.hold_scale(pair, "none")) == (1, 0)
    batch.free_scale(pair, "old")
    with pytest.raises(ConfigurationError, match="Somebody else made it"):
        batch.ensure_deployment(spec(pair, "old", "azureml:another:7"))


def test_the_default_deployment_is_the_traffic(stage: Stage, pair: str) -> None:
    batch = stage.ports.batch
    assert dict(batch.traffic(pair)) == {"old": 100}
    _set(stage, pair, {"new": 100})
    assert batch.set_by_us(pair)
    with pytest.raises(InvariantBroken, match="still"):
        batch.ensure_no_deployment(pair, "new")
    by_hand(stage, pair, "old")
    eventually(lambda: dict(batch.traffic(pair)), lambda seen: seen == {"old": 100})
    assert not batch.set_by_us(pair)
    with pytest.raises(InvariantBroken, match="one default"):
        batch.set_traffic(pair, {"old": 90, "new": 10})
    _set(stage, pair, {"old": 100})


def by_hand(stage: Stage, endpoint: str, name: str) -> None:
    """As `az ml batch-endpoint update --set-default` does."""
    batch = stage.ports.batch
    if isinstance(batch, MemoryBatch):
        batch.endpoints[endpoint].traffic = {name: 100}
        return
    assert isinstance(batch, AzureBatch)
    found = batch._endpoint(endpoint)
    found.defaults = {"deployment_name": name}
    batch._ml().batch_endpoints.begin_create_or_update(found)


def test_a_question_is_one_job_whose_answers_come_in_the_order_of_the_payloads(
    stage: Stage, pair: str
) -> None:
    batch = stage.ports.batch
    if isinstance(batch, MemoryBatch):
        batch.new_jobs_are = "running"
    with pytest.raises(AnswersAwaited) as first:
        batch.predict(pair, "new", [ROWS] * 12, "gate-r1")
    if isinstance(batch, MemoryBatch):
        batch.new_jobs_are = "completed"
        [job] = batch.scorings.values()
        with pytest.raises(AnswersAwaited) as again:
            batch.predict(pair, "new", [ROWS] * 12, "gate-r1")
        assert again.value.job == first.value.job
        job.status = "completed"

    answers = asked(stage, pair, "new", [ROWS] * 12, "gate-r1")

    assert {(answer.status, answer.body) for answer in answers} == {(200, '["small", "large"]')}
    assert len(answers) == 12
    assert batch.predict(pair, "new", [ROWS] * 12, "gate-r1") == answers, "no job is begun for what is known"
    assert batch.predict(pair, "new", [], "gate-r1") == []


def test_rows_that_were_not_scored_are_an_error_though_the_job_succeeds(stage: Stage, pair: str) -> None:
    """error_threshold -1: a job with bad files completes, and their rows are missing."""
    good, bad = asked(stage, pair, "old", [ROWS, UNSCORED], "metric-v1")
    assert (good.status, bad.status) == (200, 500)


def test_a_job_that_fails_answers_nothing(stage: Stage, pair: str) -> None:
    if isinstance(stage.ports.batch, MemoryBatch):
        stage.ports.batch.new_jobs_are = "failed"
    [answer] = asked(stage, pair, "old", [UNSCORED], "metric-v2")
    if isinstance(stage.ports.batch, MemoryBatch):
        stage.ports.batch.new_jobs_are = "completed"
    assert answer.status == 500
    assert "failed" in answer.body


def test_an_endpoint_that_is_not_there_is_told(stage: Stage) -> None:
    assert stage.ports.batch.endpoint_state(fresh("b")) == "missing"
    with pytest.raises(ConfigurationError, match="does not exist"):
        stage.ports.batch.traffic(fresh("b"))


@pytest.mark.parametrize(
    ("cells", "answers"),
    [
        (["007", "010", "100"], '["007", "010", 100]'),
        (["true", "false", "NaN"], '["true", "false", "NaN"]'),
        (["1.5", "", "2e-05"], "[1.5, null, 2e-05]"),
        (["a,b", "1_0", "inf"], '["a,b", "1_0", "inf"]'),
    ],
)
def test_each_answer_is_read_as_it_is_written_whatever_stands_in_other_rows(
    cells: list[str], answers: str
) -> None:
    payload = '{"input_data": {"columns": ["x"], "data": [[1], [2], [3]]}}'
    text = "".join(f'{row},"{cell}",00000.parquet\n' for row, cell in enumerate(cells))
    assert _read(text.encode(), [payload]) == [Answer(200, answers, 0.0)]


@pytest.mark.parametrize(
    "lines",
    [
        '0 Adelie 00000.parquet\n1 "New York" 00000.parquet\n',
        "1 New York 00000.parquet\n0 Adelie 00000.parquet\n",
        '0,Adelie,00000.parquet\n1,"New York",00000.parquet\n',
    ],
)
def test_a_scripts_answers_are_read_by_spaces_and_a_models_by_commas(lines: str) -> None:
    payload = '{"input_data": {"columns": ["x"], "data": [[1], [2]]}}'
    assert _read(lines.encode(), [payload]) == [Answer(200, '["Adelie", "New York"]', 0.0)]


def test_an_output_of_another_form_answers_nothing() -> None:
    assert [one.status for one in _read(b"0.3 setosa\nrow,prediction,file\n", [ROWS])] == [500]
    assert [one.status for one in _read(b"", [ROWS])] == [500]


SCRIPT = """
import os
from pathlib import Path
import pandas as pd

def init():
    global edge
    edge = float(next(Path(os.environ["AZUREML_MODEL_DIR"]).rglob("edge.txt")).read_text())

def run(mini_batch):
    found = []
    for file in mini_batch:
        rows = pd.read_parquet(file)
        if (rows["x"] == 99).any():
            continue
        said = ["very large" if x > edge else "small" for x in rows["x"]]
        found.append(pd.DataFrame({"row": range(len(rows)), "said": said, "file": os.path.basename(file)}))
    return pd.concat(found) if found else []
"""
NEEDS = ("pandas==2.3.3", "pyarrow==24.0.0", "azureml-core", "azureml-dataset-runtime[fuse]")


@pytest.mark.soak  # it builds an image of its own
def test_a_script_of_ones_own_scores_a_model_that_is_no_mlflow_model(
    stage: Stage, pair: str, tmp_path: Path
) -> None:
    if not isinstance(stage, SdkStage):
        pytest.skip("a model in memory is a function, whatever its kind")
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "score.py").write_text(SCRIPT)
    (tmp_path / "conda.yml").write_text(f"dependencies: ['python=3.11', pip, {{pip: {list(NEEDS)}}}]")
    made = Environment(name=fresh("e"), version="1", image=IMAGE, conda_file=str(tmp_path / "conda.yml"))
    environment = str(stage.ml.environments.create_or_update(made).id)
    model = stage.registered(fresh("m"), "1", {"edge.txt": b"1"})
    code = stage._published_code(tmp_path / "code")
    wanted = replace(spec(pair, "script", model), code=code, environment=environment)
    batch = stage.ports.batch
    try:
        assert (
            eventually(lambda: batch.ensure_deployment(wanted), lambda one: one.state != "creating").state
            == "ready"
        )
        good, bad = asked(stage, pair, "script", [ROWS, UNSCORED], "metric-v1")
        assert (good.status, good.body, bad.status) == (200, '["small", "very large"]', 500)
    finally:
        eventually(lambda: batch.ensure_no_deployment(pair, "script"), bool)


def test_adopt_takes_the_default_and_refuses_what_leaves_no_answers_to_read(stage: Stage, pair: str) -> None:
    if not isinstance(stage, SdkStage):
        pytest.skip("the command asks Azure ML itself, and nothing in memory")
    serve = Serve(type="batch", endpoint=pair, compute=COMPUTE or "driftloop-cpu")
    workspace = cast(Workspace, lambda: stage.ml)
    model = stage.ports.batch.deployed_model(pair, "old")
    assert adopt.serving(workspace, serve, "") == ("old", model)
    assert adopt.serving(workspace, serve, "new") == ("new", model)
    with pytest.raises(ConfigurationError, match="has new, old"):
        adopt.serving(workspace, serve, "none")
    found = stage.ml.batch_deployments.get("new", pair)
    assert found.output_file_name == adopt.PREDICTIONS
    adopt.refuse_unreadable(found)
    for setting, value in (("output_action", "summary_only"), ("output_file_name", "mine.csv")):
        other = copy(found)
        setattr(other.settings if hasattr(other, "settings") else other, setting, value)
        with pytest.raises(ConfigurationError, match="deploy its model with output_action append_row"):
            adopt.refuse_unreadable(other)
    with pytest.raises(ConfigurationError, match="does not exist"):
        adopt.serving(workspace, serve.model_copy(update={"endpoint": fresh("b")}), "")


@pytest.mark.skipif(VERIFIED, reason="an Azure account has no control surface")
def test_a_call_that_was_answered_and_not_written_down_is_made_again(
    stage: Stage, pair: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A crash between the call and the blob that names its job: nothing is lost, and outputs do not collide."""
    batch = stage.ports.batch
    if not isinstance(batch, AzureBatch):
        pytest.skip("nothing is written down in memory")
    calls, jobs = batch._calls, list[str]()
    real = calls._invoke

    def lost(*arguments: str) -> str:
        jobs.append(real(*arguments))
        raise ConnectionError("the process is gone")

    monkeypatch.setattr(calls, "_invoke", lost)
    with pytest.raises(ConnectionError):
        batch.predict(pair, "old", [ROWS], "crashed")
    monkeypatch.undo()

    [answer] = asked(stage, pair, "old", [ROWS], "crashed")
    assert answer.body == '["small", "large"]'
    eventually(lambda: str(batch._ml().jobs.get(jobs[0]).status), lambda seen: "COMPLETED" in seen.upper())
