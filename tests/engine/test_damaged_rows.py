"""One row that is damaged, or that a newer version wrote, is told with its place and hides none of the others."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace

import pytest
from typer.testing import CliRunner, Result

from cli import app, doctor
from shared.audit import answer
from shared.domain.reason import Code
from shared.errors import ConfigurationError
from shared.runtime import unit_of_work
from shared.state import ledger_pages, queries, rows
from tests.engine.world import World, two_releases
from tests.tower.tower import twin


@pytest.fixture
def world() -> World:
    return two_releases()


def damage(world: World, key: str) -> None:
    stored = world.ports.store.rows["birds"]
    stored[key] = replace(stored[key], doc="not JSON")


def newer(world: World, key: str) -> None:
    """As an app that was downgraded since left it."""
    stored = world.ports.store.rows["birds"]
    stored[key] = replace(stored[key], doc=json.dumps({"schema": rows.SCHEMA + 1, "content": {}}))


ENTRIES = [rows.ledger_key(seq) for seq in (1, 4)]
OLD = [rows.release_key(1), rows.version_key(1)]


Spoil = Callable[[World, str], None]


@pytest.mark.parametrize("spoil", [damage, newer])
@pytest.mark.parametrize("key", [*ENTRIES, *OLD])
def test_the_audit_names_it_and_compares_the_rest(world: World, key: str, spoil: Spoil) -> None:
    before = answer.audit(world.ports, "birds").served
    assert before is not None
    spoil(world, key)
    world.ports.serving.endpoints["birds"].traffic = {"mallory": 100}
    seen = answer.audit(world.ports, "birds")
    found = [(p.code, p.facts.get("place")) for p in seen.problems]
    assert found == [(Code.AUDIT_UNREADABLE, None), (Code.AUDIT_DIFFERS, "endpoint birds")]
    assert key in str(seen.problems[0].facts["error"])
    assert seen.served is not None and (seen.served.release, seen.served.model) == (2, before.model)


def lose(world: World, key: str) -> None:
    del world.ports.store.rows["birds"][key]


@pytest.mark.parametrize("spoil", [damage, newer, lose])
def test_the_ledger_speaks_and_is_compared_where_the_loops_own_row_cannot_be_read(
    world: World, spoil: Spoil
) -> None:
    """What such a row leads to says that the audit names it and compares the rest."""
    before = answer.audit(world.ports, "birds").served
    spoil(world, rows.LOOP)
    damage(world, rows.version_key(1))
    world.ports.serving.endpoints["birds"].traffic = {"mallory": 100}
    seen = answer.audit(world.ports, "birds")
    assert seen.served == before
    code = Code.AUDIT_MISSING if spoil is lose else Code.AUDIT_UNREADABLE
    assert [(p.code, p.facts["of"]) for p in seen.problems] == [
        (code, "loop"),
        (Code.AUDIT_UNREADABLE, "version 1"),
        (Code.AUDIT_DIFFERS, "loop"),
    ]


def test_a_loop_of_which_there_is_nothing_is_none(world: World) -> None:
    with pytest.raises(ConfigurationError, match="there is no loop 'finches'"):
        answer.audit(world.ports, "finches")


def test_the_newest_entry_is_told_once(world: World) -> None:
    damage(world, rows.ledger_key(world.state.ledger_seq))
    codes = [problem.code for problem in answer.audit(world.ports, "birds").problems]
    assert codes.count(Code.AUDIT_UNREADABLE) == 1 and Code.LEDGER_HEAD_DIFFERS not in codes


def test_an_entry_that_is_gone_beside_it_is_told_too(world: World) -> None:
    damage(world, rows.ledger_key(4))
    del world.ports.store.rows["birds"][rows.ledger_key(5)]
    codes = {problem.code for problem in answer.audit(world.ports, "birds").problems}
    assert {Code.AUDIT_UNREADABLE, Code.LEDGER_ENTRY_MISSING} <= codes


def test_a_definition_that_is_lost_hides_nothing_of_the_audit(world: World) -> None:
    world.ports.documents.contents.pop(world.release(2).definition)
    unit_of_work._published.clear()
    seen = answer.audit(world.ports, "birds")
    assert seen.served is not None and seen.served.release == 2
    assert Code.AUDIT_DOCUMENT in {problem.code for problem in seen.problems}


COMMANDS = {
    ("status", "birds"): [rows.release_key(1), rows.version_key(1)],
    ("releases", "birds"): [rows.release_key(1)],
    ("versions", "birds"): [rows.version_key(1)],
    ("explain", "birds"): [rows.ledger_key(4)],
    ("explain", "birds/1"): [rows.release_key(1), rows.ledger_key(4)],
    ("explain", "birds/2"): [rows.ledger_key(4)],
}


def run(world: World, monkeypatch: pytest.MonkeyPatch, *words: str) -> Result:
    monkeypatch.setattr("cli.session.ports", lambda: world.ports)
    monkeypatch.setattr("cli.records.ports", lambda: world.ports)
    return CliRunner().invoke(app, list(words))


@pytest.mark.parametrize(("words", "keys"), COMMANDS.items(), ids=map(" ".join, COMMANDS))
def test_a_command_shows_all_the_rest_and_ends_with_1(
    world: World, words: tuple[str, ...], keys: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = run(world, monkeypatch, *words)
    assert whole.exit_code == 0
    for key in keys:
        damage(world, key)
    seen = run(world, monkeypatch, *words)
    assert seen.exit_code == 1
    assert all(f"not shown: row {key}" in seen.stderr for key in keys), seen.stderr
    assert "restore the row from the table's backup" in seen.stderr
    missing = [line for line in whole.stdout.splitlines() if line not in seen.stdout]
    assert len(missing) < len(whole.stdout.splitlines()) / 2, missing


def test_the_open_release_hides_neither_the_loop_nor_its_traffic(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.ports.training.new_jobs_are = "running"
    world.act("retrain")
    world.ticks(3)
    assert world.state.open_release == 3
    damage(world, rows.release_key(3))
    said = run(world, monkeypatch, "status", "birds")
    assert said.exit_code == 1 and "r2-a1 100 %" in said.stdout
    assert [p.code for p in answer.audit(world.ports, "birds").problems] == [Code.AUDIT_UNREADABLE]
    for path in ("/loops/birds", "/loops/birds/live"):
        assert twin(world.ports, path)["loop"] == "birds"


def test_the_pages_show_all_the_rest(world: World) -> None:
    world.drop("bad.csv", b"nothing")
    world.ticks(2)
    (aside,) = queries.set_aside(world.ports, "birds")
    keys = [*OLD, rows.ledger_key(4), rows.inbox_key(aside.key)]
    for key in keys:
        damage(world, key)
    page = twin(world.ports, "/loops/birds")
    assert [one["number"] for one in page["releases"]] == [2]
    assert all(any(key in why for why in page["unread"]) for key in keys), page["unread"]
    assert twin(world.ports, "/loops/birds/releases/2")["timeline"]
    assert twin(world.ports, "/loops/birds/versions/2")["number"] == 2
    audit = twin(world.ports, "/loops/birds/audit")
    assert audit["chain"]["release"] == 2
    assert any(rows.ledger_key(4) in problem for problem in audit["check"]["problems"])


def test_a_moment_is_found_past_entries_that_cannot_be_read(world: World) -> None:
    current = unit_of_work.read(world.ports, "birds")
    at = {entry.seq: entry.at for entry in queries.entries(world.ports, "birds")}
    wanted = {seq: ledger_pages.seq_at(current, moment) for seq, moment in at.items()}
    middle = (current.state.ledger_seq + 1) // 2
    damage(world, rows.ledger_key(middle))
    assert {seq: ledger_pages.seq_at(current, moment) for seq, moment in at.items()} == wanted


def test_the_doctor_names_each(world: World) -> None:
    overview = world.ports.store.overview("birds")
    assert overview is not None
    for key in (*OLD, rows.ledger_key(4)):
        damage(world, key)
    said = [*doctor._loop(world.ports, overview), *doctor._ledger(world.ports, overview)]
    broken = " ".join(finding.what for finding in said if finding.state == doctor.BROKEN)
    assert all(key in broken for key in (*OLD, rows.ledger_key(4))), broken
    assert list(doctor._events(world.ports, overview)), "and goes on"
