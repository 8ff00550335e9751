"""loops/iris has a contract, a metric and checks of its own, costs and a signal; each slip is told with its line."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from shared import loopfile

IRIS = Path(__file__).parents[2] / "loops" / "iris"


@pytest.mark.parametrize(
    ("file", "old", "new", "key", "fix"),
    [
        ("loop.yaml", "unique: [flower]", "unique: []", "data.contract[0].unique", "column names"),
        ("loop.yaml", "{rows_at_least: 20}", "{rows_atleast: 20}", "data.contract[3].rows_atleast", "did you mean"),
        ("loop.yaml", "{since}", "2026-01-01", "canary.signals[0].logs", "a text with {since}"),
        ("loop.yaml", "margin: 0.02", "margin: 2", "canary.signals[0].margin", "a share from 0, below 1"),
        ("loop.yaml", "name: accuracy,", "name: accuracy, estimate: true,", "metric.estimate", "drift.served"),
        ("florist.yaml", "metrics.earned ", "metrics.eaned ", "metrics.py", "did you mean earned?"),
        ("florist.yaml", "better: higher", "", "metric.better", "higher or lower"),
        ("florist.yaml", "[petals, giants]", "[petals, gaints]", "checks.py", "did you mean giants?"),
        ("florist.yaml", "weight: 0.5", "weight: 5", "drift.material.columns.sepal_width.weight", "from 0 to 1"),
        ("priced.yaml", "versicolor: 1, virginica: 2", "versicolor: 1", "metric.costs.setosa", "virginica"),
    ],
)  # fmt: skip
def test_each_slip_is_told_with_its_line_and_what_to_do(
    tmp_path: Path, file: str, old: str, new: str, key: str, fix: str
) -> None:
    folder = Path(shutil.copytree(IRIS, tmp_path / "iris"))
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
