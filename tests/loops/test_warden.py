"""loops/penguins/warden.yaml: contract, own metric, costs, signal and estimate in one loop."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner

import cli
from cli.past import baselines, chronicle, stand_ins
from cli.past.simulation import Past
from shared import loopfile
from shared.loopfile import own_code
from shared.runtime import unit_of_work
from shared.verdict import served_inputs
from shared.words import say, say_all

LOOP = Path(__file__).parents[2] / "loops" / "penguins"
BEGAN = datetime(2026, 3, 2, 6, tzinfo=UTC)


def birds(rows: int, seed: int, first: str) -> pd.DataFrame:
    from palmerpenguins import load_penguins

    drawn = load_penguins().dropna().sample(rows, replace=True, random_state=seed).reset_index(drop=True)
    drawn.insert(0, "row_id", [f"{first}-{n}" for n in range(rows)])
    return drawn


@pytest.fixture(scope="module")
def past(tmp_path_factory: pytest.TempPathFactory) -> Past:
    """A season of 400 birds, of which two break the contract; then two days of requests like it."""
    folder = tmp_path_factory.mktemp("warden")
    season = birds(400, 1, "s")
    season.loc[3, "body_mass_g"] = 8.2  # pounds, or kilograms
    pd.concat([season, season[:1]]).to_csv(folder / "1.csv", index=False)
    asked = birds(300, 2, "q").drop(columns=["species", "year"])
    rows = json.loads(asked.to_json(orient="records"))
    times = tuple(BEGAN + timedelta(hours=6, minutes=9 * n) for n in range(len(rows)))
    definition = loopfile.load(LOOP / "warden.yaml", overrides=("gate.on_inconclusive=promote",))
    (rule, *_) = baselines.rules(definition, "0 0 3 * * 1", served=True)
    drops = ((BEGAN, folder / "1.csv"), (BEGAN + timedelta(days=7), folder / "2.csv"))
    history = chronicle.History(drops, served=chronicle.Served(times, tuple(rows)))
    code = own_code.sources(definition, LOOP)
    made = Past(rule, history, stand_ins.trainer(stand_ins.linear, 1800), code)
    made.until(BEGAN)
    made.drop(history.drops[0][1])
    made.until(BEGAN + timedelta(days=3))
    return made


def test_it_is_valid_and_the_key_of_the_signals_host_is_nowhere_in_it() -> None:
    done = CliRunner().invoke(cli.app, ["validate", str(LOOP / "warden.yaml")], env={"COLUMNS": "200"})
    assert done.exit_code == 0, done.output


def test_the_contract_rejects_a_twin_and_a_weight_in_other_units(past: Past) -> None:
    version = unit_of_work.read(past.ports, "warden").version(1)[0]
    assert version.rows == 399, say_all(version.findings)


def test_the_gate_judges_by_harm_and_a_day_of_requests_is_estimated_by_it(past: Past) -> None:
    state = unit_of_work.read(past.ports, "warden").state
    assert state.champion is not None
    windows = served_inputs.windows(past.ports.documents, state)
    found = [one.estimate for one in windows if one.estimate is not None]
    assert found, say(state.served_verdict)
    assert all(one.metric == "metrics.harm" and 0 <= one.low <= one.value <= one.high < 4 for one in found)
    assert "metrics.harm" in say(state.served_verdict)


def test_the_signal_is_asked_of_the_colonys_own_system() -> None:
    (signal,) = loopfile.load(LOOP / "warden.yaml").canary.signals
    span = {"since": "2026-01-01T11:00:00Z", "until": "2026-01-01T13:00:00Z"}
    address = signal.asked({"endpoint": "e", "canary": "r2-a1", "champion": "r1-a1", **span})
    assert address.startswith("https://colony.example.com/rings?since=2026-01-01T11")
