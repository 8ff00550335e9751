"""`driftloop explain LOOP --row`: the deployed model is asked why it answers as it does for one row."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cli import app, session
from shared.errors import ConfigurationError
from shared.ports import Answer
from tests.engine import test_served_estimate as estimating
from tests.engine.world import World, csv, lived, season

BIRD = {
    "island": "Biscoe",
    "bill_length_mm": 48.1,
    "bill_depth_mm": 15.1,
    "flipper_length_mm": 225.0,
    "body_mass_g": 5500.0,
    "sex": None,
}


@lived
def birds() -> World:
    made = World()
    made.publish()
    made.drop("2007.csv", csv(season(2007)))
    assert made.live() == 1
    return made


def told(world: World, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> dict[str, object]:
    monkeypatch.setattr(session, "ports", lambda: world.ports)
    done = CliRunner().invoke(app, ["explain", *arguments, "--json"])
    if done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception
    found: dict[str, object] = json.loads(done.stdout)
    return found


def adds(found: dict[str, object]) -> dict[str, float]:
    columns = found["columns"]
    assert isinstance(columns, list)
    return {one["column"]: one["adds"] for one in columns}


def test_the_column_that_the_model_goes_by_has_it_all(monkeypatch: pytest.MonkeyPatch) -> None:
    world = birds()
    found = told(world, monkeypatch, "birds", "--row", json.dumps(BIRD | {"row_id": "x", "species": "?"}))
    assert (found["release"], found["answer"], found["measured"]) == ("birds/1", "Gentoo", "share")
    parts = adds(found)
    assert set(parts) == set(BIRD), "neither id, target nor what the loop ignores"
    assert parts.pop("flipper_length_mm") > 0.3 and set(parts.values()) == {0}
    base, said = found["base"], found["said"]
    assert isinstance(base, float) and isinstance(said, float)
    assert base + sum(adds(found).values()) == pytest.approx(said)


def test_a_stated_probability_is_what_adds_up_and_people_read_it(monkeypatch: pytest.MonkeyPatch) -> None:
    made = estimating.world()
    found = told(made, monkeypatch, "birds/1", "--row", '{"a": 1.5, "b": 3}')
    assert found["measured"] == "probability" and found["said"] == pytest.approx(0.973, abs=0.001)
    assert adds(found)["b"] == 0 and 0.2 < adds(found)["a"] < 0.8
    done = CliRunner().invoke(app, ["explain", "birds", "--row", '{"a": 1.5, "b": 3}'])
    assert "release birds/1 answers yes" in done.stdout
    assert "the probability that it states for yes is 0.9734; it is 0." in done.stdout
    assert "It tells what the model goes by, not what causes anything." in done.stdout


def test_of_two_classes_the_probability_of_one_says_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    found = told(
        estimating.world(states=estimating.alone), monkeypatch, "birds", "--row", '{"a": 1.5, "b": 3}'
    )
    assert found["measured"] == "probability" and adds(found)["a"] > 0.2


def test_a_number_is_explained_in_its_own_unit(monkeypatch: pytest.MonkeyPatch) -> None:
    found = told(estimating.world("rmse", number=True), monkeypatch, "birds", "--row", '{"a": 1.5, "b": 0}')
    assert (found["answer"], found["measured"]) == (3.0, "number")
    assert adds(found)["a"] == pytest.approx(3.0 - float(str(found["base"]))) and adds(found)["b"] == 0


def test_what_is_no_number_has_no_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    made = estimating.world("rmse", number=True)
    usual = made.ports.serving.answer

    def endless(endpoint: str, deployment: str, payload: str) -> Answer:
        said = usual(endpoint, deployment, payload)
        return Answer(200, said.body.replace(str(json.loads(said.body)["predictions"][0]), "NaN", 1), 5.0)

    made.ports.serving.answer = endless
    with pytest.raises(ConfigurationError, match=r"gave no answer to \d+ of 301 rows, .* or no number"):
        told(made, monkeypatch, "birds", "--row", '{"a": 1.5, "b": 0}')


def test_a_request_that_was_served_is_named_by_its_id(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    world = birds()
    row = {"id": "2009-17", "request": "r", "inputs": BIRD, "output": "Gentoo"}
    world.ports.evidence.rows.setdefault(("birds", "r1-a1"), []).append(
        {**row, "time": (world.clock.now() - timedelta(hours=30)).isoformat()}
    )
    with pytest.raises(ConfigurationError, match=r"2009-17 is no file, .* row_id 2009-17 within 1 days"):
        told(world, monkeypatch, "birds", "--row", "2009-17")
    named = told(world, monkeypatch, "birds", "--row", "2009-17", "--days", "2")
    (tmp_path / "bird.json").write_text(json.dumps(BIRD))
    assert told(world, monkeypatch, "birds", "--row", str(tmp_path / "bird.json")) == named


@pytest.mark.parametrize(
    ("what", "row", "words"),
    [
        ("birds", "{", "--row is not JSON"),
        ("birds", "[1, 2]", "--row is not one JSON object"),
        ("birds", 300 * "7", "777 is no file, and r1-a1 was asked no row with row_id 777"),
        ("birds", '{"island": "Biscoe"}', "the row has no bill_length_mm, bill_depth_mm, flipper_length_mm"),
        ("birds/7", "{}", "birds has no release 7"),
        ("bird", "{}", "there is no loop 'bird'"),
    ],
)
def test_what_cannot_be_explained_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch, what: str, row: str, words: str
) -> None:
    with pytest.raises(ConfigurationError, match=words):
        told(birds(), monkeypatch, what, "--row", row)


def test_a_model_that_is_gone_or_refuses_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    world = birds()
    world.ports.serving.answer = lambda *_: Answer(400, '"no such island"', 5.0)
    with pytest.raises(ConfigurationError, match=r"gave no answer to .*status 400"):
        told(world, monkeypatch, "birds", "--row", json.dumps(BIRD))
    world = birds()
    world.drop("2008.csv", csv(season(2008, flipper_length_mm=1.02)))
    world.act("retrain")
    assert world.live() == 2
    world.ticks(20)
    with pytest.raises(ConfigurationError, match=r"birds/1 is not deployed.*; release 2 serves"):
        told(world, monkeypatch, "birds/1", "--row", json.dumps(BIRD))


def test_nothing_counts_what_was_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    world = birds()
    stamps: list[str] = []
    asked = world.ports.serving.predict

    def stamped(endpoint: str, deployment: str, payloads: list[str], stamp: str) -> list[Answer]:
        stamps.append(stamp)
        return asked(endpoint, deployment, payloads, stamp)

    monkeypatch.setattr(world.ports.serving, "predict", stamped)
    before = world.ledger()
    told(world, monkeypatch, "birds", "--row", json.dumps(BIRD))
    assert stamps == ["explain-birds-r1-a1"] and world.ledger() == before
