"""A command that asks for something waits for what the loop makes of it, says it, and exits by it."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

import cli
from cli import acts, session
from tests.engine.world import LOOP, World, csv, season


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    """Release 1 is live, and whatever comes into the queue is taken up at once."""
    world = World()
    world.publish()
    world.drop("2007.csv", csv(season(2007)))
    world.ticks(6)
    monkeypatch.setattr(session, "ports", lambda: world.ports)
    monkeypatch.setattr(session, "who", lambda: "ann")
    monkeypatch.setattr(world.ports.queue, "put", world.send)
    monkeypatch.setattr(acts, "WAIT_S", 5.0)
    monkeypatch.setattr(acts, "POLL_S", 0.01)
    return world


def run(*arguments: str) -> tuple[int, str]:
    done = CliRunner().invoke(cli.app, list(arguments))
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done.exit_code, " ".join(done.output.split())


def test_what_was_done_is_told(world: World) -> None:
    code, words = run("pause", "birds", "-m", "lunch")
    assert (code, words) == (0, "Done: pause birds: paused by ann: lunch")
    assert world.state.paused is not None


def test_a_release_that_starts_is_told_with_its_number(world: World) -> None:
    world.drop("2008.csv", csv(season(2008)))
    world.ticks(8)
    code, words = run("retrain", "birds")
    assert (code, world.state.open_release) == (0, 2)
    assert "release 2 started" in words


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (["abort", "birds/1"], "Refused: abort birds/1: "),
        (["resume", "birds"], "Refused: resume birds: "),
        (["rollback", "birds", "--to", "9"], "Refused: rollback birds --to 9: "),
        (["release", "birds", "nobody:1"], "Refused: release birds nobody:1: "),
    ],
)
def test_what_makes_no_sense_now_is_refused_with_its_reason(
    world: World, command: list[str], words: str
) -> None:
    code, said = run(*command)
    assert code == 1
    assert said.startswith(words) and len(said) > len(words) + 10


def test_a_denied_training_is_refused_and_one_that_waits_is_not(world: World) -> None:
    world.publish(f"mode: observe\n{LOOP}")
    code, said = run("retrain", "birds", "--json")
    answer = json.loads(said)
    assert (code, answer["refused"], answer["outcome"]["code"]) == (1, True, "would-start")
    world.publish()
    run("pause", "birds")
    code, said = run("retrain", "birds")
    assert (code, said.startswith("Done: retrain birds: waiting: ")) == (0, True)


def test_nobody_is_waited_for_without_end(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(world.ports.queue, "put", lambda message: None)
    assert run("pause", "birds", "--no-wait") == (
        0,
        "Queued: pause birds. Follow it with: driftloop status birds",
    )
    monkeypatch.setattr(acts, "WAIT_S", 0.05)
    code, said = run("retrain", "birds")
    assert code == 0
    assert "It stays on record" in said and "driftloop doctor" in said
