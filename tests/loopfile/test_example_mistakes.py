"""What the examples have of their own, from contract to estimate: each slip in it is told with its line."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from shared import loopfile

LOOPS = Path(__file__).parents[2] / "loops"


@pytest.mark.parametrize(
    ("file", "old", "new", "key", "fix"),
    [
        ("iris/loop.yaml", "unique: [flower]", "unique: []", "data.contract[0].unique", "column names"),
        ("iris/loop.yaml", "{rows_at_least: 20}", "{rows_atleast: 20}", "data.contract[3].rows_atleast", "did you"),
        ("iris/loop.yaml", "{since}", "2026-01-01", "canary.signals[0].logs", "a text with {since}"),
        ("iris/loop.yaml", "margin: 0.02", "margin: 2", "canary.signals[0].margin", "a share from 0, below 1"),
        ("iris/loop.yaml", "name: accuracy,", "name: accuracy, estimate: true,", "metric.estimate", "drift.served"),
        ("iris/florist.yaml", "metrics.earned ", "metrics.eaned ", "metrics.py", "did you mean earned?"),
        ("iris/florist.yaml", "better: higher", "", "metric.better", "higher or lower"),
        ("iris/florist.yaml", "[petals, giants]", "[petals, gaints]", "checks.py", "did you mean giants?"),
        ("iris/florist.yaml", "[promises]", "[promise]", "checks.py", "did you mean promises?"),
        ("iris/florist.yaml", "[promises]", "[promises, promises]", "gate.functions", "each once"),
        ("iris/florist.yaml", "weight: 0.5", "weight: 5", "drift.material.columns.sepal_width.weight", "from 0 to 1"),
        ("iris/priced.yaml", "versicolor: 1, virginica: 2", "versicolor: 1", "metric.costs.setosa", "virginica"),
        ("penguins/warden.yaml", "unique: [row_id]", "unique: []", "data.contract[0].unique", "column names"),
        ("penguins/warden.yaml", "metrics.harm ", "metrics.harn ", "metrics.py", "did you mean harm?"),
        ("penguins/warden.yaml", "range: [0, 13]", "positive: Gentoo", "metric.costs", "with metric.range"),
        ("penguins/warden.yaml", "Chinstrap: 1, Gentoo: 4", "Chinstrap: 1", "metric.costs.Adelie", "Gentoo"),
        ("penguins/warden.yaml", "estimate: true", "estimate: maybe", "metric.estimate", "true or false"),
        ("penguins/warden.yaml", "margin: 0.02", "margin: 2", "canary.signals[0].margin", "a share from 0, below 1"),
        ("penguins/warden.yaml", "https://colony", "http://colony", "canary.signals[0].url", "https"),
    ],
)  # fmt: skip
def test_each_slip_is_told_with_its_line_and_what_to_do(
    tmp_path: Path, file: str, old: str, new: str, key: str, fix: str
) -> None:
    folder = Path(shutil.copytree(LOOPS / Path(file).parent, tmp_path / "loop"))
    file = Path(file).name
    text = (folder / file).read_text()
    assert loopfile.load(folder / file)
    assert old in text
    (folder / file).write_text(text.replace(old, new, 1))
    with pytest.raises(loopfile.LoopFileError) as wrong:
        loopfile.load(folder / file)
    (mistake,) = [one for one in wrong.value.mistakes if one.key.startswith(key) or one.file == key]
    line = text[: text.index(old)].count("\n") + 1
    if mistake.file:  # own code: the file and line where the function belongs
        line = mistake.line
    assert mistake.line in range(line - 3, line + 2), "a missing key is on the line of its section"
    assert fix in mistake.allowed
