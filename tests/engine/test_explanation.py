"""What a model goes by, as its training recorded it, is kept with the release and held beside the champion's."""

from __future__ import annotations

import json

import pytest

from cli.explain import release_story
from shared.audit import answer
from shared.audit.exported_release import export
from shared.domain.reason import Code
from shared.gate import importance
from shared.memory.exported_ports import exported_ports
from shared.state import queries
from shared.words import say
from tests.engine.world import World, csv, season
from tests.tower.tower import page, twin

LIKE = {"bill_length_mm": 0.3, "flipper_length_mm": 0.2, "island": 0.01}
OTHER = {"island": 0.4, "bill_length_mm": 0.02, "flipper_length_mm": 0.01}
FAMILY = {"in_the_quarter_before_the_application_" * 3 + end: 0.0 for end in ("first", "last")}
"""They differ at their end alone."""


def recorded(columns: dict[str, float], method: str = "permutation importance") -> bytes:
    return json.dumps({"method": method, "metric": "f1_macro", "rows": 120, "columns": columns}).encode()


def released(first: bytes, second: bytes) -> World:
    """Two releases, whose trainings recorded this."""
    world = World()
    world.ports.training.importances = {"birds-r1-a1": first, "birds-r2-a1": second}
    world.publish()
    world.drop("2007.csv", csv(season(2007)))
    world.live()
    world.ticks(10)
    world.drop("2009.csv", csv(season(2009, body_mass_g=1.3)))
    world.live()
    return world


@pytest.fixture(scope="module")
def world() -> World:
    return released(recorded(LIKE), recorded(OTHER | FAMILY))


def test_a_release_tells_what_its_model_goes_by_and_that_the_champion_goes_by_something_else(
    world: World,
) -> None:
    first, second = world.release(1).explained, world.release(2).explained
    assert first and first.code is Code.EXPLAINED
    assert say(first) == (
        "it goes by bill_length_mm 0.3, flipper_length_mm 0.2, island 0.01 "
        "(permutation importance of f1_macro on 120 rows)"
    )
    assert second and second.code is Code.EXPLAINED_OTHERWISE
    assert "agreement 0.69 of 1 with release 1, which goes by bill_length_mm 0.3" in say(second)
    assert world.release(2).phase.value == "live", "it decides nothing"


def test_story_ledger_page_and_exported_file_have_it(world: World) -> None:
    words = say(world.release(2).explained)
    assert any(f"explained: {words}" in why for _, _, why in release_story(world.ports, "birds", 2)[1])
    told = [e for e in queries.entries(world.ports, "birds") if "explanation" in e.detail]
    assert [e.subject for e in told] == ["release 1", "release 2"]
    assert told[1].detail["explanation"] == world.release(2).explanation
    html = page(world.ports, "/loops/birds/releases/2")
    assert "What it goes by" in html and "agreement 0.69" in html
    shown = twin(world.ports, "/loops/birds/releases/2")["importance"]
    assert shown[0] == {"name": "island", "challenger": 0.4, "champion": 0.01}
    assert len({one["name"] for one in shown}) == len(OTHER | FAMILY)
    there = exported_ports(export(world.ports, "birds", 2))
    assert json.loads(there.documents.get(world.release(2).explanation))["agreement"] == pytest.approx(
        0.69, abs=0.01
    )


def test_an_audit_tells_that_it_was_lost(world: World) -> None:
    assert answer.audit(world.ports, "birds").problems == ()
    made = world.copy()
    del made.ports.documents.contents[made.release(2).explanation]
    (problem,) = answer.audit(made.ports, "birds").problems
    assert (problem.code, problem.facts["of"]) == (Code.AUDIT_DOCUMENT, "release 2")


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"not json", "JSONDecodeError"),
        (b'{"columns": []}', "no columns with numbers"),
        (b'{"columns": {"a": "much"}}', "column 'a' has 'much', which is no number"),
        (b'{"columns": {"a": true}}', "which is no number"),
        (b'{"columns": {"a": NaN}}', "which is no number"),
        (b'{"columns": {"a": 1' + b"0" * 400 + b"}}", "which is no number"),
        (b"[" * 100_000, "RecursionError"),
        (json.dumps({"columns": {str(n): 1 for n in range(2001)}}).encode(), "2001 columns; at most 2000"),
    ],
)
def test_what_cannot_be_used_is_told_and_stops_nothing(content: bytes, why: str) -> None:
    world = World()
    world.ports.training.importances = {"birds-r1-a1": content}
    world.publish()
    world.drop("2007.csv", csv(season(2007)))
    assert world.live() == 1
    told = world.release(1).explained
    assert told and told.code is Code.IMPORTANCE_UNUSABLE and why in say(told)
    assert world.release(1).explanation == ""


def test_nothing_is_told_where_nothing_was_recorded() -> None:
    world = released(b"", recorded(LIKE))
    assert world.release(1).explained is None
    second = world.release(2).explained
    assert second and second.code is Code.EXPLAINED and "agreement" not in second.facts


def test_two_methods_are_not_held_beside_each_other() -> None:
    shap = importance.read(recorded(LIKE, "mean absolute SHAP value"))
    assert importance.explained(shap, importance.read(recorded(OTHER))).agreement is None


def test_agreement_is_1_for_the_same_order_and_less_the_more_the_moved_columns_matter() -> None:
    """The gain of b, a, c by the worth 3, 2, 1 is (2 + 3/log2(3) + 1/2) / (3 + 2/log2(3) + 1/2)."""
    worth = {"a": 3.0, "b": 2.0, "c": 1.0}
    assert importance.agreement({"a": 9, "b": 5, "c": 0.1}, worth) == 1.0
    assert importance.agreement({"b": 3, "a": 2, "c": 1}, worth) == pytest.approx(0.9225, abs=1e-4)
    little = importance.agreement({"a": 3, "c": 2, "b": 1}, worth)
    much = importance.agreement({"c": 3, "b": 2, "a": 1}, worth)
    assert little is not None and much is not None and 1 > little > much > 0.7
    assert importance.agreement({"new": 1.0}, worth) == pytest.approx(
        (3 / 1.58496 + 2 / 2 + 1 / 2.32193) / (3 + 2 / 1.58496 + 1 / 2), abs=1e-4
    ), "a column that the champion does not know is worth nothing, those it lacks come last"
    assert importance.agreement(worth, {"a": 0.0, "b": -1.0}) is None
