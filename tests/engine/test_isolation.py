"""What can never be handled keeps nothing else of its loop waiting: the canary is judged, people are obeyed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest

from shared.domain.event import InboxRecord, InboxState
from shared.domain.reason import Code
from shared.domain.release import Phase
from shared.inbox import messages, recorder
from shared.memory import MemoryRequest
from shared.ports import Row
from shared.release import stepper
from shared.runtime import unit_of_work
from shared.runtime.unit_of_work import Unit
from shared.state import rows
from shared.verdict import version_verdict
from shared.words import say
from tests.engine.test_faults import birds, canaried, inbox, served
from tests.engine.world import World, csv, season
from tests.faults import PERMANENT, Call
from tests.simulator.life import ROUND_S, Life
from tests.simulator.reader import reading_in_process

BAD = "birds/bad.csv"

OF_A_DROP = ("blobs.find", "blobs.download_all", "versions.write", "blobs.quarantine", "documents.put")
"""Calls that handling one drop makes; `documents.put` is that of every part of the loop."""


@pytest.fixture(autouse=True, scope="module")
def reader() -> Iterator[None]:
    with reading_in_process():
        yield


def break_for_ever(life: Life, name: str, fault: str) -> None:
    """Each such call fails that is about the bad blob, or about no blob at all."""

    def broken(call: Call) -> Exception | None:
        about = str(call.arguments[:2])
        if call.name != name or ("birds/" in about and BAD not in about):
            return None
        return PERMANENT[fault](name)

    life.broken = broken


def erring(life: Life) -> None:
    """From now on nine of ten answers of the second release are errors."""

    def requests(deployment: str, n: int) -> None:
        for index in range(n):
            at = life.clock.now() - timedelta(seconds=ROUND_S * (index + 1) / (n + 1))
            status = 500 if deployment.startswith("r2-") and index % 10 else 200
            request = MemoryRequest(at, deployment, status, 10.0, f"user-{index}")
            life.real.evidence.requests.setdefault("birds", []).append(request)

    life._requests = requests  # type: ignore[method-assign]  # the world outside, as this test has it


def bad(call: str) -> bytes:
    """A drop of which handling comes to this call."""
    return b"" if call == "blobs.quarantine" else birds(7, 1.0)


def until_ended(life: Life, limit: int = 60) -> None:
    for _ in range(limit):
        life.round()
        if life.release(2).ended:
            return
    raise AssertionError(f"release 2 goes on: {life.release(2)}")


@pytest.mark.parametrize("fault", PERMANENT)
@pytest.mark.parametrize("call", ["blobs.find", "blobs.download_all", "versions.write", "blobs.quarantine"])
def test_a_canary_that_errs_is_rolled_back_whatever_fails_about_a_drop(call: str, fault: str) -> None:
    life = canaried()
    erring(life)
    break_for_ever(life, call, fault)
    life.drop("bad.csv", bad(call))
    until_ended(life)
    assert life.release(2).phase is Phase.ROLLED_BACK
    assert life.traffic() == {"r1-a1": 100}
    before = life.state.next_version
    life.drop("next.csv", birds(9, 1.0))
    for _ in range(12):
        life.round()
    assert life.state.next_version == before + 1


@pytest.mark.parametrize("fault", PERMANENT)
@pytest.mark.parametrize("call", [*OF_A_DROP, "versions.register", "topic.publish", "evidence.traffic"])
def test_an_abort_works_whatever_fails(call: str, fault: str) -> None:
    life = canaried()
    break_for_ever(life, call, fault)
    life.drop("bad.csv", bad(call))
    for _ in range(3):
        life.round()
    life.act("abort", 2)
    until_ended(life)
    assert life.release(2).phase is Phase.ABORTED
    assert life.traffic() == {"r1-a1": 100}


@pytest.mark.parametrize("fault", PERMANENT)
def test_an_abort_takes_no_longer_where_the_newest_version_cannot_be_read_and_that_is_shown(
    fault: str,
) -> None:
    """People see that version in the overview; the open release does not need it."""
    life = canaried()
    life.drop("3.csv", birds(3, 1.0))
    life.round()
    assert life.state.next_version == 4
    of_version = ("birds", "version-00000003")
    life.broken = lambda call: PERMANENT[fault](call.name) if call.arguments[:2] == of_version else None
    for _ in range(3):
        life.round()
    assert fault in NOT_SAID or "store.read" in attention(life)
    life.act("abort", 2)
    life.round()
    assert life.release(2).phase is Phase.ABORTED


@pytest.mark.parametrize(
    ("fault", "said"),
    [("refused", "training.cancel"), ("unclassed", "training.cancel"), ("foreign", "an error of a library")],
)
def test_a_job_that_cannot_be_cancelled_keeps_no_deployment_and_after_an_hour_no_release(
    fault: str, said: str
) -> None:
    """A missing role, a lock: the job may run on, and the next release needs nothing of it."""
    life = canaried()
    break_for_ever(life, "training.cancel", fault)
    life.act("abort", 2)
    for _ in range(4):
        life.round()
    assert life.traffic() == {"r1-a1": 100}
    assert set(life.real.serving.endpoints["birds"].deployments) == {"r1-a1"}
    assert life.release(2).phase is Phase.CLEANING, "it is tried again, and shown"
    assert "training.cancel" in say(life.release(2).waiting_for)
    for _ in range(8):
        life.round(seconds=600)
    assert life.release(2).phase is Phase.ABORTED
    life.round(sweep=True)
    life.round()
    assert said in attention(life)
    life.act("retrain")
    life.round()
    assert life.state.open_release == 3


@pytest.mark.parametrize("fault", ["refused", "foreign"])
def test_a_job_past_its_time_that_cannot_be_cancelled_keeps_no_release(fault: str) -> None:
    life = served()
    life.real.training.new_jobs_are = "running"
    break_for_ever(life, "training.cancel", fault)
    life.act("retrain")
    life.round()
    timeout = unit_of_work.read(life.real, "birds").published().definition.train.timeout
    life.round(seconds=timeout.total_seconds() + 60)
    assert life.release(2).phase is Phase.TRAINING, "it is tried again, and shown"
    for _ in range(20):
        life.round(seconds=600)
    assert life.release(2).phase is Phase.FAILED
    assert [one for one in life.real.training.submitted if "-r2-" in one] == ["birds-r2-a1"], "none beside it"


def test_a_replay_of_what_is_no_drop_is_refused_and_set_aside_by_nobody() -> None:
    life = served()
    life.act("replay", drop="../x")
    life.round()
    [record] = [record for record in inbox(life) if record.body.get("verb") == "replay"]
    assert (record.state, record.attempts) == (InboxState.DONE, 0)
    assert record.reason is not None and record.reason.code is Code.NO_QUARANTINED_DROP


@pytest.mark.parametrize("fault", ["archived", "refused", "unclassed"])
def test_an_abort_works_whatever_keeps_the_definition_from_being_read(
    fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a process that has not read it yet: a lifecycle rule archives documents, too."""
    life = unread(canaried(), PERMANENT[fault], monkeypatch)
    life.act("abort", 2)
    until_ended(life)
    assert life.release(2).phase is Phase.ABORTED
    assert life.traffic() == {"r1-a1": 100}


def test_a_canary_whose_definition_nobody_can_read_is_taken_back_within_a_day(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    life = unread(canaried(), PERMANENT["archived"], monkeypatch)
    erring(life)
    for _ in range(26):
        life.clock.advance(3600)
        life.round()
    assert life.release(2).phase is Phase.ROLLED_BACK
    assert life.traffic() == {"r1-a1": 100}


def test_a_loop_that_a_person_paused_is_left_alone_though_nobody_can_read_its_definition(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    life = canaried()
    life.act("pause")
    life.round()
    unread(life, PERMANENT["archived"], monkeypatch)
    for _ in range(26):
        life.clock.advance(3600)
        life.round()
    assert life.release(2).phase is Phase.CANARY


def test_a_definition_that_cannot_be_read_just_now_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    life = unread(canaried(), PERMANENT["unavailable"], monkeypatch)
    life.round()
    assert "documents.get is unavailable" in attention(life)


def unread(life: Life, error: Callable[[str], Exception], monkeypatch: pytest.MonkeyPatch) -> Life:
    """No document can be read any more, and none is known to the process."""
    monkeypatch.setattr(unit_of_work, "_published", {})
    life.broken = lambda call: error(call.name) if call.name == "documents.get" else None
    return life


NOT_SAID = ("foreign",)
"""An error of a library is named by its class alone: its text may hold what is secret."""

OF_THE_LOOP = ("documents.put", "topic.publish")
"""What every part of a loop calls."""

OF_THE_EVIDENCE = ("evidence.predictions", "serving.predict", "documents.get")
"""What a canary's look asks beside the log of requests, which alone can show harm."""


@pytest.mark.parametrize("fault", PERMANENT)
@pytest.mark.parametrize("call", OF_THE_LOOP + OF_THE_EVIDENCE)
def test_a_canary_that_errs_is_rolled_back_whatever_fails_for_every_part(call: str, fault: str) -> None:
    """Also where the evidence of its harm cannot be kept: the way back waits for no document and no topic."""
    life = canaried()
    erring(life)
    break_for_ever(life, call, fault)
    until_ended(life)
    assert life.release(2).phase is Phase.ROLLED_BACK
    assert life.traffic() == {"r1-a1": 100}


def test_a_worker_that_comes_late_to_an_ended_release_does_nothing(caplog: pytest.LogCaptureFixture) -> None:
    life = served()
    before = life.release(1)
    assert not stepper.advance(unit_of_work.read(life.real, "birds"), 1)
    assert life.release(1) == before and "failed" not in caplog.text


@pytest.mark.parametrize("fault", PERMANENT)
@pytest.mark.parametrize("call", OF_THE_LOOP)
def test_the_next_drop_is_used_whatever_fails_for_every_part_or_as_soon_as_it_passes(
    call: str, fault: str
) -> None:
    """A version is nothing without its documents; the topic is nobody's condition."""
    life = served()
    break_for_ever(life, call, fault)
    before = life.state.next_version
    life.drop("bad.csv", birds(2, 1.0))
    for _ in range(30):
        life.round()
    assert attention(life), "it is shown"
    if call == "documents.put":
        life.broken = lambda call: None
        life.drop("3.csv", birds(3, 1.0))
        for _ in range(12):
            life.round()
    assert life.state.next_version > before


def test_a_drop_that_fails_once_it_has_its_number_is_counted_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not taken for a lost race, and then tried a second time in the same run."""
    world, tried = World(), list[int | None]()
    world.publish()

    def broken(unit: Unit, record: InboxRecord, row: Row) -> None:
        tried.append(record.version)
        raise ValueError("judging broke")

    monkeypatch.setattr(version_verdict, "judge", broken)
    world.drop("2007.csv", csv(season(2007)))
    (row,) = world.ports.store.range("birds", "inbox-", limit=9)
    record = rows.decode(InboxRecord, row)
    assert (tried, record.attempts, record.state) == ([1], 1, InboxState.NEW)


@pytest.mark.parametrize("fault", ["lost race", "unclassed", "foreign"])
def test_an_event_that_fails_again_and_again_is_set_aside_by_name_and_read_again_on_request(
    fault: str,
) -> None:
    life = served()
    break_for_ever(life, "blobs.download_all", fault)
    life.drop("bad.csv", birds(7, 1.0))
    for _ in range(30):
        life.round()
    [record] = [record for record in inbox(life) if record.body.get("name") == BAD]
    assert record.state is InboxState.QUARANTINED
    assert record.reason is not None
    assert record.reason.code is Code.GIVEN_UP
    assert in_quarantine(life) == [Code.GIVEN_UP]
    life.broken = lambda call: None
    before = life.state.next_version
    replay(life, record)
    assert life.state.next_version == before + 1
    assert in_quarantine(life) == []


def an_archived_blob_taken_for_a_race_stops_nothing() -> None:
    test_a_canary_that_errs_is_rolled_back_whatever_fails_about_a_drop("blobs.download_all", "lost race")


def a_lost_race_for_ever_is_set_aside() -> None:
    test_an_event_that_fails_again_and_again_is_set_aside_by_name_and_read_again_on_request("lost race")


def test_an_archived_drop_is_rejected_by_name_and_read_again_once_it_is_rehydrated() -> None:
    life = served()
    life.real.blobs.archived.add(("landing", BAD))
    life.drop("bad.csv", birds(7, 1.0))
    life.rest()
    [record] = [record for record in inbox(life) if record.body.get("name") == BAD]
    assert record.reason is not None
    assert (record.state, record.reason.code) == (InboxState.QUARANTINED, Code.ARCHIVED_BLOB)
    for _ in range(20):
        life.round()
    assert in_quarantine(life) == [Code.ARCHIVED_BLOB], "also in the runs after the one that set it aside"
    assert f"`driftloop read-again birds {record.key}`" in attention(life)
    life.real.blobs.archived.clear()
    before = life.state.next_version
    replay(life, record)
    assert life.state.next_version == before + 1
    assert in_quarantine(life) == []


def test_what_is_in_quarantine_needs_nobody_once_a_newer_drop_is_used_and_an_older_one_does_not_count() -> (
    None
):
    life = served()
    for number in range(3):
        life.drop(f"bad-{number}.csv", b"")
    life.round()
    assert in_quarantine(life) == [Code.EMPTY_FILE] * 3
    assert attention(life).startswith("landing/birds/bad-2.csv is in quarantine (")
    life.alert()
    life.rest()
    assert len(in_quarantine(life)) == 3, "an alert makes no drop good"
    life.drop("same.csv", birds(1, 1.0))
    life.rest()
    assert len(in_quarantine(life)) == 3, "nor does what is a version already"
    life.drop("2.csv", birds(2, 1.0))
    life.rest()
    assert in_quarantine(life) == []
    assert attention(life) == ""


def in_quarantine(life: Life) -> list[Code]:
    """What the loop's row names, which the overview shows."""
    return [one.reason.code for one in life.state.set_aside]


def attention(life: Life) -> str:
    overview = life.real.store.overview("birds")
    assert overview is not None
    return say(overview.needs_attention)


@pytest.mark.parametrize("fault", ["refused", "unavailable"])
def test_a_missing_role_and_an_outage_set_nothing_aside(fault: str) -> None:
    life = served()
    break_for_ever(life, "blobs.download_all", fault)
    life.drop("bad.csv", birds(7, 1.0))
    for _ in range(30):
        life.round()
    [record] = [record for record in inbox(life) if record.body.get("name") == BAD]
    assert record.state is InboxState.NEW
    overview = life.real.store.overview("birds")
    assert overview is not None
    assert overview.needs_attention is not None, "what waits is shown"
    life.broken = lambda call: None
    before = life.state.next_version
    life.rest()
    for _ in range(10):
        life.round()
    assert life.state.next_version == before + 1


def test_hundreds_of_events_that_cannot_be_handled_hide_no_drop() -> None:
    life = served()
    for number in range(250):
        recorder.put(
            life.real,
            life.real.store.overviews()[0],
            InboxRecord(f"{number:032d}", rows.EventKind.BLOB, life.clock.now(), {"container": "away"}),
        )
    life.broken = lambda call: PERMANENT["refused"](call.name) if _away(life, call) else None
    life.clock.advance(1)
    before = life.state.next_version
    life.drop("2.csv", birds(2, 1.0))
    for _ in range(12):
        life.round()
    assert life.state.next_version == before + 1


def _away(life: Life, call: Call) -> bool:
    return call.name == "store.read" and str(call.arguments[1]).startswith("inbox-000000")


def replay(life: Life, record: InboxRecord) -> None:
    life.send(messages.act_message("replay", "birds", {"drop": record.key, "reason": "readable now"}, "bob"))
    for _ in range(12):
        life.round()
