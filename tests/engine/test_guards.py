"""Guards that no other test would miss: each by the promise that it keeps."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest

from shared.audit import answer
from shared.audit.differences import compare
from shared.audit.record import Record
from shared.domain.loop import LoopState
from shared.domain.reason import Code, reason
from shared.domain.release import Phase
from shared.errors import ConfigurationError
from shared.inbox import recorder, unrouted
from shared.inbox.landings import covering
from shared.loopfile.definition import Breaker
from shared.release import adoption, frozen, restore
from shared.retraining import due
from shared.runtime import overview_row, strangers, unit_of_work
from shared.state import queries
from tests.core.world import NOW, begun, definition
from tests.engine.test_faults import birds, canaried, served
from tests.engine.test_isolation import attention
from tests.engine.world import LOOP, World, csv, one_release, season
from tests.faults import PERMANENT
from tests.simulator.reader import reading_in_process

PAUSED = reason(Code.PAUSED_BY_PERSON, actor="ann", why="lunch")


@pytest.fixture(autouse=True, scope="module")
def reader() -> Iterator[None]:
    with reading_in_process():
        yield


def state(**more: object) -> LoopState:
    return replace(LoopState("birds", "digest", "ann", NOW), **more)  # type: ignore[arg-type]  # passed on


def needs(state: LoopState, **release: object) -> Code | None:
    opened = replace(begun(), **release) if release else None  # type: ignore[arg-type]  # passed on
    found = overview_row.needs_attention(state, opened, (), NOW, Breaker(unhelped=3))
    return found.code if found else None


def test_releases_that_do_not_help_are_shown_from_the_breakers_number_on_and_between_releases() -> None:
    assert needs(state(unhelped_in_row=2)) is None
    assert needs(state(unhelped_in_row=3)) is Code.NOT_HELPING
    assert needs(state(unhelped_in_row=3), phase=Phase.TRAINING) is None


def test_a_loop_without_a_model_is_shown_once_its_first_release_has_failed_and_none_is_open() -> None:
    assert needs(state(last_outcome="failed")) is Code.NO_FIRST_MODEL
    assert needs(state(last_outcome="failed"), phase=Phase.TRAINING) is None


def test_a_way_back_that_is_stuck_is_shown_although_the_loop_is_paused() -> None:
    """A pause holds what goes forward; whoever paused it would think that all was at rest."""
    assert needs(state(paused=PAUSED)) is Code.PAUSED_BY_PERSON
    assert needs(state(paused=PAUSED), phase=Phase.ROLLING_BACK) is Code.PAUSED_BY_PERSON
    assert needs(state(paused=PAUSED), phase=Phase.ROLLING_BACK, stuck=True) is Code.LOOP_WAITS
    long_ago = NOW - timedelta(hours=1, seconds=1)
    for phase, code in ((Phase.ROLLING_BACK, Code.LOOP_WAITS), (Phase.SHIFTING, Code.PAUSED_BY_PERSON)):
        assert needs(state(paused=PAUSED), phase=phase, phase_since_at=long_ago) is code


def test_a_drop_that_cannot_be_read_is_shown_although_the_loop_is_paused() -> None:
    """Drops become versions in a paused loop too: whoever paused it would not look for what keeps them."""
    life = served()
    life.act("pause")
    life.broken = lambda call: PERMANENT["refused"](call.name) if call.name == "blobs.download_all" else None
    life.drop("2.csv", birds(2, 1.0))
    life.round()
    assert "paused by bob" in attention(life) and "blobs.download_all was refused" in attention(life)
    life.broken = lambda call: None
    for _ in range(12):
        life.round()
    assert "refused" not in attention(life)


def test_a_look_that_sees_nothing_new_ends_a_suspicion_in_a_paused_loop_too() -> None:
    suspected = replace(begun(), phase=Phase.CANARY, suspect={"r1-a1": 100}, suspect_at=NOW)
    assert frozen.fold(suspected, None, definition(), NOW).suspect_at is None


@pytest.mark.parametrize(("fault", "told"), [("foreign", True), ("unclassed", False)])
def test_only_an_error_that_nobody_raised_on_purpose_is_logged_with_where_it_was(
    fault: str, told: bool, caplog: pytest.LogCaptureFixture
) -> None:
    life = canaried()
    life.broken = lambda call: PERMANENT[fault](call.name) if call.name == "serving.traffic" else None
    life.round()
    assert any(record.exc_info for record in caplog.records) is told


@pytest.mark.parametrize(
    ("phase", "paused", "code"),
    [
        (Phase.RETIRING, False, Code.RESTORE_RELEASE_ENDS),
        (Phase.RETIRING, True, Code.ACT_WHILE_FROZEN),
        (Phase.CLEANING, False, Code.RESTORE_RELEASE_ENDS),
        (Phase.CLEANING, True, Code.RESTORE_RELEASE_ENDS),
        (Phase.CANARY, True, Code.RESTORE_RELEASE_OPEN),
    ],
)
def test_a_restore_that_comes_too_early_names_what_ends_the_wait(
    phase: Phase, paused: bool, code: Code
) -> None:
    current = unit_of_work.read(one_release().ports, "birds")
    current.state = replace(current.state, paused=PAUSED if paused else None)
    assert restore._too_early(current, replace(begun(), phase=phase)).code is code


SECRET = "AccountKey=" + "Ab1/" * 21 + "Ab=="


@pytest.mark.parametrize(
    ("event", "altered"),
    [
        ({"driftloop": "alert", "rule": "birds-errors", "condition": "Fired", "words": SECRET}, False),
        ({"driftloop": "alert", "rule": SECRET, "condition": "Fired"}, True),
    ],
)
def test_what_is_kept_without_its_secret_is_tried_again_only_where_it_means_the_same(
    event: dict[str, object], altered: bool
) -> None:
    world = World()
    recorder.keep_poison(world.ports, json.dumps(event))
    [(_, kept)] = unrouted.newest(world.ports, 9)
    assert "Ab1/" not in kept.message
    assert kept.altered is altered


def test_who_gives_no_reason_is_on_record_with_that() -> None:
    world = one_release()
    world.act("pause", reason="")
    (told,) = [one for one in queries.inbox(world.ports, "birds") if one.body.get("verb") == "pause"]
    assert told.reason is not None and told.reason.facts["why"] == "no reason given"


def test_of_a_version_whose_beginning_is_not_at_hand_nothing_is_said_to_differ() -> None:
    """A page reads a stretch of a long ledger."""
    world = one_release()
    entries = queries.entries(world.ports, "birds")
    last = max(n for n, one in enumerate(entries) if one.subject == "version 1")
    later = Record(tuple(entries[last:]))
    assert list(later.versions) == [1] and entries[last].what != "version.created"
    assert compare(unit_of_work.read(world.ports, "birds"), later).differences == ()


def test_a_release_that_came_to_no_model_has_none_that_is_missing() -> None:
    world = one_release()
    world.ports.training.new_jobs_are = "failed"
    world.act("retrain")
    world.ticks(12)
    assert world.release(2).phase is Phase.FAILED
    assert answer.audit(world.ports, "birds").agrees


def test_a_maximum_age_asks_for_nothing_before_there_is_a_model() -> None:
    world = World()
    world.publish(LOOP.replace("cooldown: 1m", "max_age: 1d, cooldown: 1m"))
    world.clock.advance(timedelta(days=3).total_seconds())
    assert not due.answer(unit_of_work.read(world.ports, "birds"))


def test_an_end_mark_whose_event_was_lost_is_taken_as_soon_as_any_file() -> None:
    """It is empty for good; another empty file may be one that is being written."""
    world = World()
    world.publish()
    world.land("run/a.csv", csv(season(2007)))
    world.land("run/_SUCCESS", b"")
    world.land("begun.csv", b"")
    world.sweep()
    names = {one.body["name"] for one in queries.inbox(world.ports, "birds")}
    assert names == {"birds/run/a.csv", "birds/run/_SUCCESS"}


def test_an_act_about_a_release_that_has_ended_touches_no_other() -> None:
    life = canaried()
    life.act("abort", 1)
    life.round()
    assert life.release(2).phase is Phase.CANARY
    (record,) = [one for one in queries.inbox(life.real, "birds") if one.body.get("verb") == "abort"]
    assert record.reason is not None and record.reason.code is Code.RELEASE_NOT_OPEN


def test_a_loop_that_trains_its_first_model_adopts_none() -> None:
    """Two releases would be the first."""
    world = World()
    world.publish()
    world.ports.training.new_jobs_are = "running"
    world.drop("2007.csv", csv(season(2007)))
    assert world.state.open_release == 1 and world.state.champion is None
    current = unit_of_work.read(world.ports, "birds")
    with pytest.raises(ConfigurationError, match="an open release"):
        adoption._adopted(world.ports, current.published(), "blue", "azureml:birds:7", "0" * 64)


def test_where_the_newest_definition_is_lost_that_of_the_champion_is_at_hand() -> None:
    """It says more than the overview does: whether the loop scales, say, and what a bake asks for."""
    world = one_release()
    champions = unit_of_work.read(world.ports, "birds").published()
    world.publish(LOOP.replace("min_requests: 50", "min_requests: 51"))
    del world.ports.documents.contents[world.state.definition]
    unit_of_work._published.clear()
    assert unit_of_work.read(world.ports, "birds").at_hand().definition == champions.definition


def test_a_blob_whose_name_begins_the_landing_place_is_nobodys() -> None:
    world = World()
    world.publish()
    overviews = world.ports.store.overviews()
    assert covering(overviews, "landing", "bird") == []
    assert covering(overviews, "landing", "birds/") == overviews


def test_a_folder_that_was_renamed_to_above_the_landing_place_is_the_loops() -> None:
    world = World()
    world.publish()
    world.ports.blobs.upload("landing", "birds/2007.csv", csv(season(2007)))
    event = {
        "eventType": "Microsoft.Storage.DirectoryRenamed",
        "data": {"destinationUrl": "https://account.blob.core.windows.net/landing/birds", "sequencer": "1"},
    }
    world.send(json.dumps(event))
    assert [one.body["name"] for one in queries.inbox(world.ports, "birds")] == ["birds/2007.csv"]


@pytest.mark.parametrize(
    ("change", "kept"), [(("margin: 0.1", "margin: 0.2"), True), (("species", "sex"), False)]
)
def test_what_kind_of_target_it_is_is_known_until_it_is_another(change: tuple[str, str], kept: bool) -> None:
    world = one_release()
    before = world.state.task
    assert before
    world.publish(LOOP.replace(*change))
    assert world.state.task == (before if kept else "")


def test_a_trouble_of_the_sweep_is_written_one_release() -> None:
    """Each sweep would else write every loop's row, and every worker on it would lose its race."""
    life = canaried()
    life.broken = lambda call: PERMANENT["refused"](call.name) if call.name == "blobs.list" else None
    life.round(sweep=True)
    assert life.state.unswept is not None
    written: list[object] = []
    life.act("pause")
    life.round()
    commit = life.real.store.commit
    life.real.store.commit = lambda *given: written.append(given) or commit(*given)  # type: ignore[method-assign,func-returns-value]
    life.round(tick=False, sweep=True)
    assert [keys for _, changes in written if (keys := {change.key for change in changes}) == {"loop"}] == []


def test_a_bake_that_a_person_resumes_keeps_since_when_its_model_serves() -> None:
    world = one_release()
    world.ticks(2, 120)
    world.publish(LOOP.replace("bake_minutes: 1", "bake_minutes: 60"))
    world.drop("2008.csv", csv(season(2008, body_mass_g=0.8)))
    for _ in range(60):
        world.ticks_with_traffic(1)
        if world.release(2).phase is Phase.BAKING:
            break
    champion = world.state.champion
    world.ports.serving.endpoints["birds"].traffic = {"r1-a1": 50, "r2-a1": 50}
    world.ticks(20)
    assert world.release(2).adopted
    world.act("resume")
    assert world.release(2).phase is Phase.BAKING and not world.release(2).adopted
    assert world.state.champion == champion


def test_a_deployment_that_is_named_like_one_of_a_release_to_come_is_a_strangers() -> None:
    begun_two = state(next_release=3)
    assert strangers._ours("r2-a1", begun_two)
    assert not strangers._ours("r3-a1", begun_two)
    assert not strangers._ours("blue", begun_two)
