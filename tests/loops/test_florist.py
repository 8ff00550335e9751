"""The irises judged by a florist's own metric and checks, and by a table of costs, drop by drop."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner

import cli
from cli.past import baselines, chronicle, simulation, stand_ins
from local.logs.models import COLUMNS
from local.logs.query import Table, run
from shared import loopfile
from shared.loopfile import own_code

LOOP = Path(__file__).parents[2] / "loops" / "iris"


@pytest.fixture(scope="module")
def past(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two deliveries like each other, and one with two irises mixed up and some flowers measured in millimetres."""
    folder = tmp_path_factory.mktemp("irises")
    flowers = pd.read_csv(LOOP / "iris.csv").sample(frac=1, random_state=3)
    parts = [flowers[:75], flowers[75:110], flowers[110:].reset_index(drop=True)]
    parts[2] = parts[2].replace({"species": {"virginica": "setosa", "setosa": "virginica"}})
    parts[2].loc[:4, "petal_length"] *= 10
    parts[2].loc[:4, "petal_length"] += 10
    for number, part in enumerate(parts, 1):
        part.to_csv(folder / f"{number}.csv", index=False)
    return folder


@pytest.mark.parametrize(
    ("file", "metric"),
    [("florist.yaml", "metrics.earned"), pytest.param("priced.yaml", "cost", marks=pytest.mark.soak)],
)
def test_each_is_valid_and_judges_the_past(past: Path, file: str, metric: str) -> None:
    done = CliRunner().invoke(cli.app, ["validate", str(LOOP / file)], env={"COLUMNS": "200"})
    assert done.exit_code == 0, done.output
    definition = loopfile.load(LOOP / file, overrides=("gate.on_inconclusive=promote",))
    code = own_code.sources(definition, LOOP)
    rule = baselines.rules(definition, "0 0 3 * * 1")[0]
    ours = simulation.run(
        rule,
        chronicle.read(past, timedelta(days=7)),
        stand_ins.trainer(stand_ins.linear, 1800),
        lambda _: None,
        code,
    )
    second, third = ours.steps[1:]
    assert second.score is not None and third.score is not None
    assert ours.metric == metric and not second.alarm, second.words
    assert ours.sign * (second.score - third.score) > 0.5
    assert third.alarm and "significantly" in third.words
    if metric != "cost":
        assert "check giants finds drift: 5 flowers" in third.words
        assert "check petals: petals are longer or shorter" in third.words and "no alarm" in third.words
        assert "check giants says: 0 flowers" in second.words


@pytest.mark.parametrize("file", ["loop.yaml", "florist.yaml"])
def test_the_signal_counts_what_the_model_refuses_and_no_crash(file: str) -> None:
    """Whatever a container answers but 200 is a 424 of the endpoint (how-to-troubleshoot-online-endpoints.md)."""
    (signal,) = loopfile.load(LOOP / file).canary.signals
    at = datetime(2026, 1, 1, 12, tzinfo=UTC)
    known = dict.fromkeys(COLUMNS) | {"TimeGenerated": at, "EndpointName": "e", "DeploymentName": "r2-a1"}
    codes = [(200, 200), (424, 400), (424, 500), (424, 502), (429, None), (401, None)]
    asked = [
        {**known, "XMSClientRequestId": "", "ResponseCode": code, "ModelStatusCode": model}
        for code, model in codes
    ]
    span = {"since": "2026-01-01T11:00:00Z", "until": "2026-01-01T13:00:00Z"}
    text = signal.asked({"endpoint": "e", "canary": "r2-a1", "champion": "r1-a1", **span})
    found = run(text, Table(COLUMNS, asked))
    assert found.rows == [{"deployment": "r2-a1", "hits": 1, "total": 6}]
