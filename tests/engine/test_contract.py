"""A drop that breaks the loop's contract is quarantined, loses rows that are kept, or is reported: as the rule says."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from datetime import timedelta

import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

import cli
from shared.audit import answer
from shared.domain.event import InboxState
from shared.domain.reason import Code
from shared.inbox import messages
from shared.runtime import unit_of_work
from shared.state import queries
from shared.words import say
from tests.engine.world import LOOP, World, csv, season


def with_contract(*rules: str) -> str:
    return LOOP.replace("ignore: [year]", f"ignore: [year], contract: [{', '.join(rules)}]")


def dropped(world: World, *rules: str, first_mass: float = -1.0) -> None:
    """A season whose third and fifth bird weigh nothing good."""
    birds = season(2007).reset_index(drop=True)
    birds.loc[[2, 4], "body_mass_g"] = first_mass
    world.publish(with_contract(*rules))
    world.drop("2007.csv", csv(birds))
    world.ticks(2)


def rejected(world: World, path: str) -> list[dict[str, object]]:
    names = world.ports.versions.list(f"{path}/rejected/")
    return [
        row
        for name in names
        for row in pq.read_table(io.BytesIO(world.ports.versions.read(name))).to_pylist()
    ]


def test_quarantine_keeps_the_whole_drop_out_and_names_rule_and_rows_and_no_value(world: World) -> None:
    dropped(world, "{column: body_mass_g, at_least: 0}")
    assert unit_of_work.read(world.ports, "birds").versions() == []
    (record,) = queries.set_aside(world.ports, "birds")
    assert record.state is InboxState.QUARANTINED and record.reason is not None
    assert record.reason.code is Code.CONTRACT_BROKEN
    text = say(record.reason)
    assert "'body_mass_g: at_least: 0': 2 of" in text and "(row 3, 5)" in text and "-1" not in text
    assert "data.contract" in text


def test_rows_that_break_a_rule_are_kept_apart_with_the_rule_and_train_nothing(world: World) -> None:
    dropped(world, "{column: body_mass_g, at_least: 0, on_breach: drop_rows}", "{unique: [row_id]}")
    (version,) = unit_of_work.read(world.ports, "birds").versions()
    birds = season(2007)
    assert (version.rows, version.rejected_rows) == (len(birds) - 2, 2)
    kept = rejected(world, version.path)
    assert [(row["row"], row["rules"], row["body_mass_g"]) for row in kept] == [
        (number, "body_mass_g: at_least: 0", -1) for number in (3, 5)
    ]
    assert {row["row_id"] for row in kept} == {"2007-002", "2007-005"}
    rest = [
        row["row_id"]
        for part in ("train", "holdout")
        for name in world.ports.versions.list(f"{version.path}/{part}/")
        for row in pq.read_table(io.BytesIO(world.ports.versions.read(name))).to_pylist()
    ]
    assert len(rest) == len(set(rest)) == version.rows and not {"2007-002", "2007-005"} & set(rest)
    said = [say(finding) for finding in version.findings]
    assert f"contract: 2 of {len(birds)} rows are rejected and kept apart" in said
    rules = json.loads(world.ports.documents.get(version.contract))["rules"]
    assert [(rule["broken"], rule["rows"], rule["first"]) for rule in rules] == [
        (True, 2, [3, 5]),
        (False, 0, []),
    ]
    (entry,) = [e for e in queries.entries(world.ports, "birds") if e.what == "version.created"]
    assert (entry.detail["contract"], entry.detail["rejected"]) == (version.contract, "2")


def test_the_command_shows_rejected_rows_as_they_were_read(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    dropped(world, "{column: body_mass_g, at_least: 0, on_breach: drop_rows}")
    monkeypatch.setattr("cli.session.ports", lambda: world.ports)
    told = CliRunner().invoke(cli.app, ["rejected", "birds/1", "-n", "1"]).output
    assert "1 of 2 rejected rows of version birds/1" in told and "body_mass_g: at_least: 0" in told
    document = json.loads(CliRunner().invoke(cli.app, ["rejected", "birds/1", "--json"]).output)
    assert document["rejected"] == 2 and [row["row"] for row in document["rows"]] == [3, 5]
    mended = CliRunner().invoke(cli.app, ["rejected", "birds/1", "--csv"]).output.replace(",-1.0,", ",4000,")
    world.drop("mended.csv", mended.encode())
    world.ticks(2)
    versions = unit_of_work.read(world.ports, "birds").versions()
    assert [(one.rows, one.rejected_rows) for one in versions][1] == (2, 0)
    none = CliRunner().invoke(cli.app, ["rejected", "birds/2"])
    assert "no row of version birds/2 was rejected" in str(none.exception)


def test_a_reported_breach_is_a_finding_and_the_version_is_judged_like_any_other(world: World) -> None:
    dropped(world, "{column: body_mass_g, at_least: 0, on_breach: report}")
    (version,) = unit_of_work.read(world.ports, "birds").versions()
    assert (version.rows, version.rejected_rows) == (len(season(2007)), 0)
    assert rejected(world, version.path) == []
    assert "contract: 'body_mass_g: at_least: 0': 2 of 83 rows (row 3, 5)" in map(say, version.findings)
    assert world.live() == 1


def test_a_drop_of_which_no_row_is_left_is_quarantined(world: World) -> None:
    dropped(world, "{column: species, values: [Dodo], on_breach: drop_rows}")
    (record,) = queries.set_aside(world.ports, "birds")
    assert "the contract rejects all 83 rows" in say(record.reason)


@pytest.mark.parametrize(
    ("rule", "found"),
    [
        ("{column: wing, at_least: 0}", "column wing is not there"),
        ("{column: island, at_least: 0}", "column island is string"),
        ("{column: wing, at_least: 0, on_breach: drop_rows}", "column wing is not there"),
        ("{rows_at_least: 84}", "83 rows"),
    ],
)
def test_a_rule_that_cannot_be_checked_holds_nothing_to_be_well(world: World, rule: str, found: str) -> None:
    dropped(world, rule)
    (record,) = queries.set_aside(world.ports, "birds")
    assert found in say(record.reason)


def test_a_changed_contract_lets_the_quarantined_drop_in_when_it_is_read_again(world: World) -> None:
    dropped(world, "{column: body_mass_g, at_least: 0}")
    world.publish(with_contract("{column: body_mass_g, at_least: -5}"))
    (record,) = queries.set_aside(world.ports, "birds")
    message = {"drop": record.key, "reason": "the contract was wrong"}
    world.send(messages.act_message("replay", "birds", message, "bob"))
    world.ticks(2)
    (version,) = unit_of_work.read(world.ports, "birds").versions()
    assert version.rows == 83 and not any("contract" in say(one) for one in version.findings)


@pytest.mark.parametrize(("hours", "states"), [(47, ["quarantined"]), (49, [])])
def test_the_age_of_its_newest_time_is_counted_from_when_the_drop_landed(
    world: World, hours: int, states: list[str]
) -> None:
    """Not from when it is read: a drop that waited a month is as fresh as it was."""
    world.publish(with_contract(f"{{column: seen, max_age: {hours}h}}"))
    birds = season(2007).assign(seen=(world.clock.now() - timedelta(hours=48)).isoformat())
    message = world.land("2007.csv", csv(birds))
    world.clock.advance(30 * 86400)
    world.send(message)
    assert [record.state for record in queries.set_aside(world.ports, "birds")] == states


def test_the_newest_rows_are_held_out_of_those_that_are_kept(world: World) -> None:
    """Rejected times in the future do not move the cut."""
    birds = season(2007).reset_index(drop=True)
    birds["seen"] = [f"2026-01-{1 + n % 28:02d}T00:00:00" for n in range(len(birds))]
    birds.loc[:39, "seen"] = "2099-01-01T00:00:00"
    rule = "{column: seen, below: 2030-01-01, on_breach: drop_rows}"
    holdout = "holdout: {by: time, fraction: 0.4, column: seen}"
    world.publish(with_contract(rule).replace("holdout: {fraction: 0.4}", holdout))
    world.drop("2007.csv", csv(birds))
    world.ticks(2)
    (version,) = unit_of_work.read(world.ports, "birds").versions()
    assert (version.rows, version.rejected_rows) == (len(birds) - 40, 40)
    assert 0.3 < version.holdout_rows / version.rows < 0.5


@pytest.mark.parametrize("known", [False, True])
def test_a_rule_names_a_column_in_whatever_form_of_unicode_it_is_typed(world: World, known: bool) -> None:
    if known:  # as the file of a version before has it
        world.drop("2008.csv", csv(season(2008).assign(größe=1)))
        world.ticks(2)
    world.publish(with_contract("{column: gro\u0308\u00dfe, at_least: 0}"))
    world.drop("2007.csv", csv(season(2007).assign(größe=1)))
    world.ticks(2)
    assert queries.set_aside(world.ports, "birds") == []


def test_the_audit_sees_that_what_rules_came_to_is_no_longer_what_the_ledger_names(world: World) -> None:
    dropped(world, "{column: body_mass_g, at_least: 0, on_breach: report}")
    unit = unit_of_work.read(world.ports, "birds")
    version, row = unit.version(1)
    other = world.ports.documents.put(b"{}")
    world.ports.store.commit("birds", [unit_of_work.update(row, replace(version, contract=other))])
    (found,) = answer.audit(world.ports, "birds").problems
    assert (found.code, found.facts["name"]) == (Code.AUDIT_DIFFERS, "contract")


def test_a_version_of_before_there_were_contracts_is_still_read(world: World) -> None:
    dropped(world, "{column: body_mass_g, at_least: -5}")
    world.publish(LOOP)
    world.drop("2008.csv", csv(season(2008)))
    world.ticks(2)
    before, now = unit_of_work.read(world.ports, "birds").versions()
    assert (bool(before.contract), now.contract, now.rejected_rows) == (True, "", 0)
