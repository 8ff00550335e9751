"""The loop's own pipeline as the learner: the commands of its steps are run here, and its model answers.

The steps run one after another in folders of their own, in a Python that the user names, which must have what the
loop's environment file lists. Nothing of Azure is there: no environment is built, no identity, no compute.
"""

from __future__ import annotations

import hashlib
import json
import os
import shlex
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import pandas as pd

from cli.past import pipeline_file
from cli.past.model import Trained, Training
from cli.past.pipeline_file import Step
from shared.domain.window import WindowKind
from shared.errors import ConfigurationError
from shared.loopfile import Definition
from shared.port_rules import TABLE, table
from shared.retraining.asked_window import asked_window
from shared.stats.metrics import class_name, key_name
from shared.verdict import predictions

MOST_MODELS = 3
"""Models that are kept ready to answer: champion, challenger, and the one before."""

_SHELL = "/bin/bash"
SCORER = Path(__file__).with_name("scorer.py")


@dataclass(eq=False)
class OwnModel:
    """A model folder, asked through a process of the loop's own Python."""

    classes: tuple[str, ...]
    folder: Path
    scoring: str
    serve: str
    """online or batch: what its scoring code is given."""
    python: str
    pool: list[OwnModel]
    """Models that have a process, the one asked last at the end."""
    process: subprocess.Popen[str] | None = None

    def predict(self, frame: pd.DataFrame) -> list[object]:
        body = self._ask(frame)
        values, problem = predictions.read_answer(200, body, len(frame))
        if problem:
            raise ConfigurationError(
                f"the model in {self.folder} does not answer {len(frame)} rows: {str(body)[:300]}"
            )
        return values

    def probabilities(self, frame: pd.DataFrame) -> list[dict[str, float]]:
        stated = predictions.read_stated(self._ask(frame), len(frame))
        rows = [row for row in stated if isinstance(row, dict)]
        if len(rows) < len(frame):
            raise ConfigurationError(
                "the loop's model states no probabilities of its classes, which the loop's metric needs"
            )
        known = {key_name(name): name for name in self.classes}
        return [{known.get(key_name(key), str(key)): float(p) for key, p in row.items()} for row in rows]

    def _ask(self, frame: pd.DataFrame) -> object:
        if self in self.pool:
            self.pool.remove(self)
        self.pool.append(self)
        while len(self.pool) > MOST_MODELS:
            self.pool.pop(0).close()
        if self.process is None:
            logged = {
                "MLFLOW_TRACKING_URI": (self.folder.parents[1] / "mlruns").as_uri()
            }  # else it is made here
            self.process = subprocess.Popen(
                [self.python, str(SCORER), str(self.folder), self.scoring, self.serve], env={**os.environ, **logged},
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            )  # fmt: skip
        stdin, stdout = _pipes(self.process)
        try:
            stdin.write(predictions.payload(frame) + "\n")
            stdin.flush()
        except BrokenPipeError:
            pass  # it has ended, and its last words are on standard error
        if not (line := stdout.readline()):
            raise ConfigurationError(
                f"the scoring process of {self.folder} has ended; its words are above. --python names the Python "
                "that has the loop's packages"
            )
        return json.loads(line)

    def close(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.communicate()
            self.process = None


def _pipes(process: subprocess.Popen[str]) -> tuple[IO[str], IO[str]]:
    assert process.stdin is not None and process.stdout is not None
    return process.stdin, process.stdout


@dataclass
class OwnPipeline:
    """A `Trainer`. The same window gives the same model, so it is trained once, whichever policy asks."""

    folder: Path
    definition: Definition
    python: str
    job_s: float | None = None
    """How long each job counts; None: as long as it took here."""
    _made: dict[str, Trained] = field(default_factory=dict)
    _pool: list[OwnModel] = field(default_factory=list)
    _stack: ExitStack = field(default_factory=ExitStack)

    def __post_init__(self) -> None:
        self._kind = asked_window(self.folder, self.definition)
        self._steps = pipeline_file.steps(
            self.folder / self.definition.train.pipeline, dict(self.definition.train.parameters)
        )

    def __enter__(self) -> OwnPipeline:
        self._place = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="driftloop-")))
        return self

    def __exit__(self, *why: object) -> None:
        for model in self._pool:
            model.close()
        self._stack.close()

    def __call__(self, training: Training) -> Trained:
        key = _digest(training.parts)
        if key not in self._made:
            self._made[key] = self._trained(training, self._place / key)
        return self._made[key]

    def _trained(self, training: Training, place: Path) -> Trained:
        data = place / "training_data"
        data.mkdir(parents=True)
        for name, content in training.parts.items():
            (data / name).write_bytes(content)
        if self._kind is WindowKind.ROWS:
            (data / TABLE).write_bytes(table((f"./{name}" for name in sorted(training.parts)), self._kind))
        began, outputs, longest = (
            time.monotonic(),
            {"parent.inputs.training_data": data},
            self.definition.train.timeout,
        )
        error = ""
        for step in self._steps:
            left_s = longest.total_seconds() - (time.monotonic() - began)
            if error := _run(step, place / step.name, outputs, self.python, left_s):
                break
        took_s = time.monotonic() - began if self.job_s is None else self.job_s
        if error:
            return Trained(None, took_s, error)
        given = [class_name(value) for value in training.rows[training.target].dropna()]
        scoring = self.definition.serve.scoring
        model = OwnModel(
            tuple(sorted(set(given))) if training.classify else (),
            outputs[pipeline_file.MODEL],
            str((self.folder / scoring).resolve()) if scoring else "",
            self.definition.serve.type,
            self.python,
            self._pool,
        )
        return Trained(model, took_s)


def _run(step: Step, place: Path, outputs: dict[str, Path], python: str, left_s: float) -> str:
    """Run one step; empty when it went well, else its last words. What it gives is added to `outputs`."""
    trials, until = step.trials or ({},), time.monotonic() + left_s
    places = [place / f"trial{number}" for number in range(len(trials))]
    for at, values in zip(places, trials, strict=True):
        if error := _command(step, at, values, outputs, python, until - time.monotonic()):
            return f"step {step.name} {error}"
    best = places[0]
    if step.metric:
        scores = {at: score for at in places if (score := _logged(at, step.metric)) is not None}
        if not scores:
            return f"step {step.name}: no trial has logged {step.metric}"
        best = (min if step.lower else max)(scores, key=scores.__getitem__)
    for name, target in step.outputs.items():
        outputs[f"parent.jobs.{step.name}.outputs.{name}"] = _output(best, name)
        if target:
            outputs[target] = _output(best, name)
    return ""


def _output(place: Path, name: str) -> Path:
    """Alone in a folder, which a model's scoring code gets."""
    return place / "outputs" / name / name


def _command(
    step: Step, place: Path, trial: Mapping[str, str], outputs: Mapping[str, Path], python: str, left_s: float
) -> str:
    code = place / "code"
    if step.code is None:
        code.mkdir(parents=True)
    else:
        shutil.copytree(step.code, code, ignore=shutil.ignore_patterns("__pycache__", ".git"))
    values = {
        f"inputs.{name}": str(outputs.get(given, given))
        for name, given in step.inputs.items()
        if given in outputs or not given.startswith("parent.")  # else it is optional, and nobody gives it
    }
    values |= {
        f"{kind}.{name}": value for kind in ("inputs", "search_space") for name, value in trial.items()
    }
    for name in step.outputs:
        _output(place, name).mkdir(parents=True)
        values[f"outputs.{name}"] = str(_output(place, name))
    return _shell(pipeline_file.filled(step.command, values), code, _environment(step, place, python), left_s)


def _shell(command: str, code: Path, environment: Mapping[str, str], left_s: float) -> str:
    """Run it as a job does: nobody answers its questions, and what it began ends with it."""
    with tempfile.TemporaryFile() as said, tempfile.TemporaryFile() as complained:
        process = subprocess.Popen(
            [_SHELL, "-c", command], cwd=code, env=environment, start_new_session=True,
            stdin=subprocess.DEVNULL, stdout=said, stderr=complained,
        )  # fmt: skip
        try:
            ended = process.wait(max(left_s, 0))
        except subprocess.TimeoutExpired:
            return "ran into train.timeout"
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        words = [*_lines(said), *_lines(complained)] or ["without a word"]
    return f"ended with exit code {ended}: {words[-1][:300]}" if ended else ""


def _lines(file: IO[bytes]) -> list[str]:
    file.seek(0)
    return file.read().decode(errors="replace").strip().splitlines()


def _logged(place: Path, metric: str) -> float | None:
    """The newest value in MLflow's files: a line is time, value and step."""
    found = place.glob(f"mlruns/*/*/metrics/{metric}")
    lines = [line.split() for file in found for line in file.read_text().splitlines()]
    return float(max(lines, key=lambda line: int(line[0]))[1]) if lines else None


def _environment(step: Step, place: Path, python: str) -> dict[str, str]:
    """`python` is the one that was named; what MLflow logs stays with the step."""
    found = shutil.which(python)
    if found is None:
        raise ConfigurationError(f"--python {python}: there is no such program")
    names = place / "bin"
    names.mkdir()
    for name in ("python", "python3"):
        wrapper = names / name
        wrapper.write_text(f'#!/bin/sh\nexec {shlex.quote(str(Path(found).absolute()))} "$@"\n')
        wrapper.chmod(0o755)
    return {
        **os.environ,
        "PATH": f"{names}{os.pathsep}{os.environ.get('PATH', '')}",
        "MLFLOW_TRACKING_URI": (place / "mlruns").as_uri(),
        **step.variables,
    }


def _digest(parts: Mapping[str, bytes]) -> str:
    digest = hashlib.sha256()
    for name in sorted(parts):
        digest.update(hashlib.sha256(parts[name]).digest())
    return digest.hexdigest()[:16]
