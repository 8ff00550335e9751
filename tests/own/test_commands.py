"""validate, publish and backtest take a loop's own code as they take its loop file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

import cli
from shared.domain.reason import Code
from shared.errors import ConfigurationError
from tests.engine.world import LOOP, season

CODE = """
import numpy as np

def wrong(truth, predictions, rows, weights):
    return float(np.average(truth != predictions, weights=weights))

def weighed(truth, predictions, rows, weights):
    return np.where(truth == predictions, 0.0, rows["body_mass_g"].fillna(0) / 1000)
"""
METRIC = "metric: {name: metrics.%s, better: lower, at_most: 0.1%s}"


def folder(tmp_path: Path, code: str = CODE, function: str = "wrong", more: str = "") -> Path:
    text = LOOP.replace("metric: {name: f1_macro, at_least: 0.85}", METRIC % (function, more))
    (tmp_path / "loop.yaml").write_text(text)
    (tmp_path / "train.yml").write_text("")
    (tmp_path / "metrics.py").write_text(code)
    return tmp_path


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli.app, list(arguments), env={"COLUMNS": "200"})


def test_validate_loads_own_code_apart_and_says_where_it_fails(tmp_path: Path) -> None:
    done = run("validate", str(folder(tmp_path)))
    assert done.exit_code == 0, done.output
    assert "is valid" in done.output
    done = run("validate", str(folder(tmp_path, "import os\n" + CODE)))
    assert isinstance(done.exception, ConfigurationError)
    assert "metrics.py:1: found import of os" in str(done.exception)
    marked = f"{CODE}\nopen({str(tmp_path / 'mark')!r}, 'w')\n"
    done = run("validate", str(folder(tmp_path, marked)))
    assert isinstance(done.exception, ConfigurationError)
    assert done.exception.code is Code.OWN_CODE_FORBIDDEN
    assert "metrics.py:10 was stopped: it asked for the file" in str(done.exception)
    assert not (tmp_path / "mark").exists()


@pytest.mark.soak  # tests/loops/test_florist.py asks the same of a whole loop
@pytest.mark.parametrize(("function", "more"), [("wrong", ""), ("weighed", ", range: [0, 10]")])
def test_a_backtest_judges_by_own_code_and_draws_its_values(tmp_path: Path, function: str, more: str) -> None:
    past = tmp_path / "past"
    past.mkdir()
    for number, frame in enumerate((season(2007), season(2008), season(2009, flipper_length_mm=0.8)), 1):
        named = frame.assign(row_id=[f"{number}-{n}" for n in range(len(frame))])
        named.to_csv(past / f"{number}.csv", index=False)
    loop = folder(tmp_path, function=function, more=more)
    done = run("backtest", str(loop), "--data", str(past), "--set", "gate.on_inconclusive=promote", "--json")
    assert done.exit_code == 0, done.output
    runs = {one["rule"]: one for one in json.loads(done.stdout)}
    steps = runs["loop"]["steps"]
    assert runs["loop"]["metric"] == f"metrics.{function}" and runs["loop"]["sign"] == -1
    assert steps[0]["score"] is None and steps[1]["score"] == pytest.approx(0, abs=0.1)
    assert steps[2]["score"] > 0.1 and "significantly above the threshold" in steps[2]["words"]
