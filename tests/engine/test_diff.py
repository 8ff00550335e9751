"""Two versions and two releases of a loop, side by side: the terminal, the page and its twin say the same."""

from __future__ import annotations

import json
from collections.abc import Iterator

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

import cli
from shared.diff import definition_diff, release_diff, version_diff
from shared.loopfile import parse
from shared.runtime import unit_of_work
from tests.engine.test_explanation import LIKE, OTHER, recorded
from tests.engine.world import LOOP, World, csv, season
from tests.tower.tower import checked, get, page, twin

CONTRACT = LOOP.replace(
    "holdout: {fraction: 0.4}}",
    "holdout: {fraction: 0.4},\n  contract: [{column: body_mass_g, at_most: 6300, on_breach: report}]}",
)
STEERS = "# \x1b[2J wipes a terminal"
SLICED = LOOP.replace("gate: {", "gate: {slices: {by: [island], floor: 0.5}, ").replace("0.85", "0.8")


@pytest.fixture(scope="module")
def world() -> World:
    """A quiet first version and a heavier second one, whose column `island` is gone; another definition for each."""
    made = World()
    made.ports.training.importances = {"birds-r1-a1": recorded(LIKE), "birds-r2-a1": recorded(OTHER)}
    made.publish()
    made.drop("2007.csv", csv(season(2007)))
    made.live()
    made.ticks(10)
    made.publish(SLICED, {"checks.py": f"a = 1\nb = 2\n{STEERS}\n"})
    heavier = season(2009, body_mass_g=1.3)
    made.drop(
        "2009.csv", csv(heavier.assign(colony="a", flipper_length_mm=heavier.flipper_length_mm.round(0)))
    )
    made.live()
    return made


@pytest.fixture
def told(world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[CliRunner]:
    monkeypatch.setattr("cli.diff.ports", lambda: world.ports)
    yield CliRunner()


def said(runner: CliRunner, *arguments: str) -> str:
    done = runner.invoke(cli.app, ["diff", *arguments])
    assert done.exit_code == 0, done.output
    return done.output


def test_two_versions_differ_in_facts_schema_and_drift_by_column(world: World, told: CliRunner) -> None:
    text = said(told, "birds")
    assert "body_mass_g" in text and "material" in text
    assert "colony" in text and "the same, " not in text
    shown = twin(world.ports, "/loops/birds/versions/diff?before=1&after=2")
    assert {line["what"]: (line["before"], line["after"]) for line in shown["schema"]}["colony"][0] == ""
    assert shown["moved"][0]["name"] == "body_mass_g" and shown["moved"][0]["shape"]["before"]
    assert {line["what"] for line in shown["facts"] if line["same"]} >= {"labelled", "rejected_rows"}
    document = json.loads(said(told, "birds", "1", "2", "--json"))
    assert document["report"]["columns"][0]["name"] == "body_mass_g"
    assert document["report"]["headline"] == shown["headline"]


def test_the_page_says_where_no_false_alarm_rate_holds(world: World) -> None:
    """A series: each row resembles the one before it."""
    assert "at most 1 % raise an alarm" in page(world.ports, "/loops/birds/versions/diff")
    made = World()
    made.publish()
    rng = np.random.default_rng(3)
    for year in (2007, 2008):
        birds = pd.concat([season(2007)] * 5, ignore_index=True)
        birds["row_id"] = [f"{year}-{n:04d}" for n in range(len(birds))]
        birds["level"] = np.cumsum(rng.normal(size=len(birds)))
        made.drop(f"{year}.csv", csv(birds))
    found = twin(made.ports, "/loops/birds/versions/diff")
    assert any("resembles the row before it" in one for one in found["findings"])
    assert found["false_alarm_rate"] is None
    assert "no false-alarm rate holds" in page(made.ports, "/loops/birds/versions/diff")


def test_the_other_way_round_the_effect_has_the_other_sign(world: World) -> None:
    current = unit_of_work.read(world.ports, "birds")
    effects = []
    for pair in ((1, 2), (2, 1)):
        report = version_diff.versions(current, *pair).report
        assert report
        effects.append(report["body_mass_g"].effect.value)
    assert effects[0] > 0 > effects[1]


def test_a_version_beside_itself_is_the_same_in_everything(world: World) -> None:
    found = version_diff.versions(unit_of_work.read(world.ports, "birds"), 2, 2)
    assert found.schema == found.contract == () and all(fact.same for fact in found.facts)
    assert found.report and not found.report.detected


def test_rules_that_one_version_breaks_stand_beside_what_they_came_to_in_the_other() -> None:
    made = World()
    made.publish()
    made.drop("2007.csv", csv(season(2007)))
    made.publish(CONTRACT)
    made.drop("2008.csv", csv(season(2008)))
    made.drop("2009.csv", csv(season(2009, body_mass_g=1.3)))
    current = unit_of_work.read(made.ports, "birds")
    without, beside = (version_diff.versions(current, *pair).contract or () for pair in ((1, 2), (2, 3)))
    assert next((one.before, one.after) for one in without) == (None, "kept")
    (heavy,) = (one for one in beside if "body_mass_g" in one.rule)
    assert heavy.before == "kept" and "rows break it" in str(heavy.after) and heavy.broken
    path = "/loops/birds/versions/diff?before=1&after=3"
    assert "not in its contract" in page(made.ports, path)
    del made.ports.documents.contents[current.version(3)[0].contract]
    html = page(made.ports, path)
    assert "It cannot be compared." in html and "body_mass_g" in html, (
        "what is lost is not called no contract"
    )


def test_a_profile_that_is_lost_hides_nothing_else(world: World) -> None:
    made = world.copy()
    version = unit_of_work.read(made.ports, "birds").version(1)[0]
    del made.ports.documents.contents[version.profile]
    shown = twin(made.ports, "/loops/birds/versions/diff?before=1&after=2")
    assert shown["lost"] and shown["schema"] and shown["moved"] == []


def test_two_releases_differ_in_definition_code_data_metric_importance_and_decisions(
    world: World, told: CliRunner
) -> None:
    text = said(told, "birds", "1", "2", "--releases")
    for words in (
        "metric.at_least",
        "gate.slices.by",
        "+a = 1",
        "island=",
        "agreement 0.69 of 1",
        "smoke test",
    ):
        assert words in text, words
    assert r"+# \x1b[2J wipes" in text and "\x1b" not in text
    shown = twin(world.ports, "/loops/birds/releases/diff?before=1&after=2")
    facts = {line["what"]: (line["before"], line["after"]) for line in shown["facts"]}
    assert facts["model"] == ("birds:1", "birds:2") and facts["pipeline"][0] == "birds-training:1"
    keys = {line["what"]: (line["before"], line["after"]) for line in shown["definition"]}
    assert keys["metric.at_least"] == ("0.85", "0.8") and keys["gate.slices.by"] == ("", '["island"]')
    assert shown["code"] == [
        {"file": "checks.py", "lines": ["@@ -0,0 +1,3 @@", "+a = 1", "+b = 2", f"+{STEERS}"], "left_out": 0}
    ]
    assert (shown["only_before"], shown["only_after"], shown["both"]) == ([], [2], 1)
    assert shown["sides"][0]["name"] == "all rows" and shown["sides"][1]["before"] is None
    assert shown["importance"][0] == {"name": "island", "before": 0.01, "after": 0.4}
    assert next(line["kind"] for line in shown["decisions"]) == "smoke test"
    html = page(world.ports, "/loops/birds/releases/diff?before=1&after=2")
    assert checked(html).found == [] and 'class="added"' in html
    document = json.loads(said(told, "birds", "1", "2", "--releases", "--json"))
    assert document["importance"]["agreement"] == pytest.approx(0.69, abs=0.01)


def test_a_definition_that_is_lost_is_not_called_the_same(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = world.copy()
    del made.ports.documents.contents[made.release(1).definition]
    monkeypatch.setattr(unit_of_work, "_published", {})
    monkeypatch.setattr("cli.diff.ports", lambda: made.ports)
    text = said(CliRunner(), "birds", "1", "2", "--releases")
    assert "the same in every key" not in text and "agreement 0.69 of 1" in text
    html = page(made.ports, "/loops/birds/releases/diff?before=1&after=2")
    assert html.count("It cannot be compared.") == 2 and "The same in every key" not in html


def test_an_explanation_that_is_lost_hides_nothing_else(world: World) -> None:
    made = world.copy()
    current = unit_of_work.read(made.ports, "birds")
    del made.ports.documents.contents[current.release(1)[0].explanation]
    found = release_diff.releases(current, 1, 2)
    assert len(found.lost) == 1 and found.importance.agreement is None and found.definition


def test_what_importances_are_measured_by_must_be_the_same() -> None:
    made = World()
    shap = recorded(OTHER, "mean absolute SHAP value")
    made.ports.training.importances = {"birds-r1-a1": recorded(LIKE), "birds-r2-a1": shap}
    made.publish()
    made.drop("2007.csv", csv(season(2007)))
    made.live()
    made.ticks(10)
    made.drop("2009.csv", csv(season(2009, body_mass_g=1.3)))
    made.live()
    assert "say nothing beside each other" in page(made.ports, "/loops/birds/releases/diff?before=1&after=2")


def test_keys_of_a_definition_are_told_with_their_defaults_and_no_secret() -> None:
    before = parse(LOOP, file="loop.yaml")
    source = '{url: "https://example.com/x?sig=Zm9vYmFyYmF6cXV4", every: "0 0 2 * * 1"}'
    after = parse(LOOP.replace("id: row_id", f"id: row_id, source: {source}"), file="loop.yaml")
    found = {one.what: (one.before, one.after) for one in definition_diff.keys(before, after)}
    assert found["data.source.every"] == (None, "0 0 2 * * 1")
    assert "Zm9vYmFy" not in str(found)
    assert definition_diff.keys(before, before) == ()
    (change,) = definition_diff.code(
        {"metrics.py": "password = 'old-one'\n"}, {"metrics.py": "password = 'Zm9v'\n"}
    )
    assert change.lines[1:] == ("-password = '***'", "+password = '***'")


def test_numbers_that_are_none_are_told(world: World, told: CliRunner) -> None:
    for path in ("versions/diff?before=1&after=99", "releases/diff?before=1&after=99"):
        reply = get(world.ports, f"/loops/birds/{path}")
        assert reply.status == 404 and b"99" in reply.content
    done = told.invoke(cli.app, ["diff", "birds", "1", "99"])
    assert "birds has no data version 99" in str(done.exception)
