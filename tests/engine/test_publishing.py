"""Who may publish beside whom."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from shared import loopfile
from shared.errors import ConfigurationError
from shared.loopfile.published import Assets, Published
from shared.runtime import publication, tick, unit_of_work
from shared.state import rows
from tests.engine.world import LOOP, World, csv, season

OTHER = LOOP.replace("loop: birds", "loop: others")


def test_a_loop_on_another_loops_endpoint_is_refused() -> None:
    world = World()
    world.publish()

    with pytest.raises(ConfigurationError, match="endpoint birds belongs to loop birds; give others its own"):
        world.publish(OTHER.replace("landing/birds/", "landing/others/"))


def test_an_endpoint_is_another_loops_however_it_is_spelled() -> None:
    world = World()
    world.publish()
    with pytest.raises(ConfigurationError, match="endpoint birds belongs to loop birds"):
        world.publish(
            OTHER.replace("landing/birds/", "landing/others/").replace("endpoint: birds", "endpoint: Birds")
        )


MOVED = LOOP.replace("endpoint: birds", "endpoint: elsewhere")


@pytest.mark.parametrize("moved", [MOVED, LOOP.replace("endpoint: birds", "endpoint: Birds")])
def test_a_loop_whose_model_serves_keeps_its_endpoint(moved: str) -> None:
    """Else its champion were told to be gone, and every release after it would wait for one that is not there."""
    world = World()
    world.publish()
    world.drop("2007.csv", csv(season(2007)))
    world.live()
    world.clock.advance(1)
    with pytest.raises(ConfigurationError, match=r"release 1 .* serves on online endpoint birds: keep"):
        world.publish(moved)
    tick.sweep(world.ports, "")
    assert world.state.unserved is None
    other = moved.replace("loop: birds", "loop: others").replace("landing/birds/", "landing/others/")
    if moved is MOVED:
        world.publish(other)  # as the refusal advises


def test_a_batch_endpoint_of_the_same_name_is_another_endpoint() -> None:
    definition = loopfile.parse(LOOP, file="loop.yaml")
    serve = definition.serve.model_copy(update={"type": "batch"})
    world = World()
    world.publish()
    world.drop("2007.csv", csv(season(2007)))
    world.live()
    with pytest.raises(ConfigurationError, match="serves on online endpoint birds"):
        batch = definition.model_copy(update={"serve": serve})
        assets = Assets(pipeline="azureml:birds-training:1")
        publication.publish(world.ports, Published(batch, assets, "ann", world.clock.now()))


def test_a_loop_may_move_until_a_release_is_open_and_after_its_abort() -> None:
    world = World()
    world.publish()
    world.publish(MOVED)
    world.publish()
    world.ports.training.new_jobs_are = "running"
    world.drop("2007.csv", csv(season(2007)))
    world.ticks(2)
    with pytest.raises(ConfigurationError, match=r"release 1 .* is open .*`driftloop abort birds/1`"):
        world.publish(MOVED)
    world.act("abort", 1)
    world.ticks(5)
    world.publish(MOVED)
    assert unit_of_work.read(world.ports, "birds").published().definition.serve.endpoint == "elsewhere"


@pytest.mark.parametrize("landing", ["landing/birds/", "landing/birds/young/"])
def test_a_loop_whose_drops_are_another_loops_is_refused(landing: str) -> None:
    world = World()
    world.publish()

    with pytest.raises(ConfigurationError, match=f"`data.landing` {landing} overlaps landing/birds/ of loop"):
        world.publish(OTHER.replace("landing/birds/", landing).replace("endpoint: birds", "endpoint: others"))


def test_a_loop_that_was_woken_before_it_was_published_is_in_nobodys_way() -> None:
    world = World()
    world.ports.store.wake("unknown", world.clock.now())

    world.publish()

    assert world.state.loop == "birds"


@pytest.mark.parametrize("content", [None, b'{"schema": 99}', b"{}"])
def test_a_definition_that_is_lost_or_cannot_be_read_is_mended_by_publishing_again(
    content: bytes | None,
) -> None:
    """A person deleted the document, or an older Driftloop came back: the loop stops and says so, and goes on."""
    world = World()
    world.publish()
    documents, lost = world.ports.documents.contents, world.state.definition
    del documents[lost]
    if content is not None:
        documents[lost] = content
    unit_of_work._published.clear()
    world.drop("2007.csv", csv(season(2007)))
    stopped = world.ports.store.overview("birds")
    assert stopped is not None and stopped.needs_attention is not None
    world.clock.advance(1)
    world.publish()
    world.clock.advance(600)
    tick.tick(world.ports)
    assert world.live() == 1


def spoiled(world: World) -> None:
    found = world.ports.store.overview("birds")
    assert found is not None
    world.ports.store.describe(replace(found, landing="landing/elsewhere/", endpoint="other"))


@pytest.mark.parametrize(
    "spoil", [lambda world: world.ports.store._lines.clear(), spoiled], ids=["gone", "edited"]
)
def test_publishing_the_same_again_makes_the_overview_anew(spoil: Callable[[World], None]) -> None:
    """By it events and people find the loop."""
    world = World()
    world.publish()
    world.drop("2007.csv", csv(season(2007)))
    assert world.live() == 1
    before, entries = world.ports.store.overview("birds"), len(world.ledger())
    assert before is not None
    spoil(world)
    world.publish()
    after = world.ports.store.overview("birds")
    assert after is not None and after.due_at is not None, "its next run is asked for"
    kept = {"due_at": before.due_at, "swept_at": before.swept_at, "run_asked": before.run_asked}
    assert replace(after, **kept) == before
    assert len(world.ledger()) == entries, "nothing in the loop changed"


def test_a_row_that_cannot_be_read_keeps_nobody_from_publishing() -> None:
    world = World()
    world.publish()
    world.drop("2007.csv", csv(season(2007)))
    assert world.live() == 1
    stored = world.ports.store.rows["birds"]
    stored[rows.version_key(1)] = replace(stored[rows.version_key(1)], doc="{")
    world.publish(LOOP.replace("bake_minutes: 1}", "bake_minutes: 2}"))
    assert world.ledger().count("loop.published") == 2
