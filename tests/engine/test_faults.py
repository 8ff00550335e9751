"""What promises-and-faults calls F01 to F29, one by one, against the real engine over ports in memory."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict
from datetime import timedelta

import pytest

from shared import guide
from shared.audit import answer
from shared.domain.event import InboxRecord, InboxState
from shared.domain.reason import Code, Reason
from shared.domain.release import Phase, Release
from shared.errors import ConfigurationError, DependencyUnavailable, InputRejected
from shared.inbox import messages, recorder, unrouted
from shared.memory.azureml import MemoryModel
from shared.memory.data import MemoryAsset
from shared.ports import Replace
from shared.release import machine
from shared.runtime import tick, unit_of_work, worker
from shared.state import queries, rows
from shared.words import say, spoken
from tests.faults import Call, watched
from tests.simulator.life import ACCOUNT, LOOP, ROUND_S, Life, birds
from tests.simulator.reader import reading_in_process


@pytest.fixture(autouse=True, scope="module")
def reader() -> Iterator[None]:
    with reading_in_process():
        yield


def served(**kept: object) -> Life:
    """A life in which the first model serves."""
    life = Life(**kept)  # type: ignore[arg-type]  # passed on as they are
    life.drop("1.csv", birds(1, 1.0))
    life.rest()
    assert life.state.champion is not None
    return life


def canaried(**kept: object) -> Life:
    """A life whose second release is in its first canary step, which lasts an hour."""
    life = served(plan=LOOP.replace("minutes: 0.05", "minutes: 60"), **kept)
    life.drop("2.csv", birds(2, 1.3))
    life.until(Phase.CANARY)
    return life


def inbox(life: Life) -> list[InboxRecord]:
    return queries.inbox(life.real, "birds")


def event(name: str, etag: str) -> str:
    data = {"url": f"{ACCOUNT}/landing/birds/{name}", "eTag": etag}
    return json.dumps({"eventType": "Microsoft.Storage.BlobCreated", "data": data})


# --- events ----------------------------------------------------------------------------------------


def test_f01_fifty_deliveries_are_one_record_one_version_one_release() -> None:
    life = Life()
    blob = life.real.blobs.upload("landing", "birds/1.csv", birds(1, 1.0))
    for _ in range(50):
        life.send(event("1.csv", f'"{blob.etag}"'))
    life.rest()
    assert len(inbox(life)) == 1
    assert (life.state.next_version, life.state.next_release) == (2, 2)


def test_f02_the_older_of_two_events_of_one_blob_is_superseded_whichever_comes_first() -> None:
    life = Life()
    old = life.real.blobs.upload("landing", "birds/1.csv", birds(7, 1.0))
    new = life.real.blobs.upload("landing", "birds/1.csv", birds(1, 1.0))
    for blob in (new, old):
        life.send(event("1.csv", blob.etag))
    life.rest()
    assert {one.body["etag"]: one.state for one in inbox(life)} == {
        new.etag: InboxState.DONE,
        old.etag: InboxState.SUPERSEDED,
    }
    assert [version.etag for version in unit_of_work.read(life.real, "birds").versions()] == [new.etag]


def test_f03_old_data_that_come_a_day_late_are_a_version_and_no_reason_to_retrain() -> None:
    life = Life()
    old = life.real.blobs.upload("landing", "birds/old.csv", birds(5, 1.9))
    life.clock.advance(3600)
    life.drop("1.csv", birds(1, 1.0))
    life.rest()
    life.clock.advance(86_400)
    life.send(event("old.csv", old.etag))
    life.rest()
    late = unit_of_work.read(life.real, "birds").version(2)[0]
    assert late.drift_material is True
    assert late.decision and late.decision.code is Code.LATE_VERSION
    assert life.state.next_release == 2


def test_f04_the_sweep_finds_what_was_never_told_in_the_order_in_which_it_landed() -> None:
    life = Life(lost=1.0)
    for number, name in enumerate(("z.csv", "a.csv", "m.csv")):
        life.drop(name, birds(number, 1.0))
        life.clock.advance(60)
    life.clock.now = lambda: life.clock.advance(0.001) or life.clock.current  # type: ignore[method-assign, func-returns-value]  # time passes
    life.clock.advance(tick.STILL.total_seconds())
    assert tick.sweep(life.real) == 3
    life.rest()
    assert [v.source for v in unit_of_work.read(life.real, "birds").versions()] == [
        "landing/birds/z.csv",
        "landing/birds/a.csv",
        "landing/birds/m.csv",
    ]


def test_f05_poison_is_replayed_by_the_sweep_once_and_shown() -> None:
    life = served()
    life.drop("2.csv", birds(2, 1.0))
    life.rest()
    life.alert()
    life.real.queue.failed.append(life.queue.pop().text)
    assert tick.sweep(life.real, ACCOUNT) == 1
    assert tick.sweep(life.real, ACCOUNT) == 0
    assert life.real.queue.failed == []
    life.rest()
    assert life.release(2).triggers[0].kind.value == "alert"
    assert strays(life) == [Code.REPLAYED]


def strays(life: Life) -> list[Code]:
    """Codes of the events that belong to no loop, the newest days first."""
    return [event.reason.code for _, event in unrouted.newest(life.real, 10_000)]


@pytest.mark.parametrize("key", ["InsertionTime", "dequeueCount", "NEXTVISIBLETIME", "expirationtime"])
def test_f05_a_message_that_azure_functions_cannot_hand_over_is_kept_with_its_reason(key: str) -> None:
    """A JSON message's own keys take the place of the trigger's metadata (WebJobs' QueueTriggerBinding)."""
    life = served()
    life.alert()
    event = json.loads(life.queue.pop().text) | {key: "zzz"}
    life.real.queue.failed += [json.dumps(event), json.dumps({key: {}})]
    tick.sweep(life.real, ACCOUNT)
    kept = [event for _, event in unrouted.newest(life.real, 10_000)]
    assert life.real.queue.failed == []
    codes = sorted(event.reason.code for event in kept)
    assert codes == [Code.POISON_TAKEN_NAMES, Code.REPLAYED]  # the alert was one all the same
    [left] = [event for event in kept if event.reason.code is Code.POISON_TAKEN_NAMES]
    assert left.reason.facts["keys"] == key.lower()


def letter(event: dict[str, object], **why: str) -> bytes:
    return json.dumps([event | why]).encode()


def test_f05_what_event_grid_gave_up_to_deliver_is_taken_up_by_the_sweep_once() -> None:
    life = served()
    kind = "Microsoft.MachineLearningServices.DatasetDriftDetected"
    breach = {"eventType": kind, "data": {"dataDriftName": "birds-monitor", "runId": "run-1"}}
    upload = life.real.blobs.upload
    upload(
        "dead-letter",
        "ws/2026/11/20/12/a.json",
        letter(breach, deadLetterReason="MaxDeliveryAttemptsExceeded"),
    )
    inner = {"deadletterreason": "TimeToLiveExceeded"}
    other = {"type": kind, "data": {"dataDriftName": "fish", "runId": "run-2"}, "deadLetterProperties": inner}
    upload("dead-letter", "ws/2026/11/20/12/b.json", letter(other))
    forged = [
        {"driftloop": "act", "verb": "pause", "loop": "birds", "actor": "boss", "id": "1", "reason": "x"}
    ]
    upload("dead-letter", "ws/2026/11/20/12/h.json", json.dumps(forged).encode())
    for name, content in (("c", b"{"), ("d", b"7"), ("e", b"[7]"), ("f", b""), ("g", b"[" * 100_000)):
        upload("dead-letter", f"ws/2026/11/20/12/{name}.json", content)
    assert [tick.sweep(life.real, ACCOUNT) for _ in range(3)] == [8, 0, 0]
    assert not life.state.paused, "acts come through the queue"
    (alert,) = [one for one in inbox(life) if one.kind.value == "alert"]
    assert alert.body["monitor"] == "birds-monitor"
    events = [event for _, event in unrouted.newest(life.real, 100)]
    words = {say(event.reason).partition("12/")[2] for event in events if "letter" in event.reason.facts}
    assert {
        "a.json (MaxDeliveryAttemptsExceeded); recorded for birds",
        "f.json; it cannot be read: not JSON",
    } < words
    assert "b.json (TimeToLiveExceeded); it concerns no loop" in words
    assert len(words) == 8


def test_f05_a_letter_that_cannot_be_read_keeps_no_other_and_no_loop() -> None:
    life = served()
    for name in "ab":
        life.real.blobs.upload("dead-letter", f"{name}.json", letter({"eventType": "x", "data": {}}))
    life.real.blobs.upload("landing", "birds/2.csv", birds(2, 1.0))
    life.clock.advance(tick.STILL.total_seconds())

    def around(call: Call, make: Callable[[], object]) -> object:
        if call.name == "blobs.download" and "a.json" in str(call.arguments[0]):
            raise OSError(28, "no space left on device")
        return make()

    assert tick.sweep(watched(life.real, around), ACCOUNT) == 2
    assert tick.sweep(life.real, ACCOUNT) == 1


def test_f05_a_letter_of_long_ago_is_no_news() -> None:
    life = served()
    breach = {"eventType": "x", "data": {}}
    life.real.blobs.upload("dead-letter", "old.json", letter(breach))
    life.clock.advance(8 * 86400)
    assert tick.sweep(life.real, ACCOUNT) == 0


def test_p3_an_event_that_failed_is_tried_again_however_many_others_there_are() -> None:
    life = served()
    recorder.keep_poison(life.real, messages.act_message("pause", "birds", {"reason": "because"}, "bob"))
    life.clock.advance(86400)
    for number in range(300):
        life.alert(rule=f"nobody-listens-{number}")
    life.round()
    assert strays(life)[0] is Code.NO_ALERT_PATTERN, "the newest day is not the first"
    assert tick.sweep(life.real, ACCOUNT) == 1
    life.round()
    assert life.state.paused


def test_f05_events_that_came_before_their_loop_was_published_are_not_lost() -> None:
    life = Life()
    other = LOOP.replace("birds", "fish")
    life.real.blobs.upload("landing", "fish/1.csv", birds(1, 1.0))
    life.send(
        json.dumps(
            {
                "eventType": "Microsoft.Storage.BlobCreated",
                "data": {"url": f"{ACCOUNT}/landing/fish/1.csv", "eTag": "0x1"},
            }
        )
    )
    life.round()
    assert strays(life)[0] is Code.NO_LANDING
    life.publish(other)
    life.clock.advance(tick.STILL.total_seconds())
    tick.sweep(life.real, ACCOUNT)
    life.round()
    assert unit_of_work.read(life.real, "fish").state.next_version == 2


def test_p10_an_event_that_always_fails_is_set_aside_and_keeps_no_other() -> None:
    life = served()
    life.real.blobs.upload("landing", "birds/2.csv", birds(2, 1.0))
    poison = InboxRecord("0" * 32, rows.EventKind.BLOB, life.clock.now(), {"container": "landing"})
    recorder.put(life.real, life.real.store.overviews()[0], poison)
    life.send(event("2.csv", next(b.etag for b in life.real.blobs.list("landing", "birds/2"))))
    life.round()
    assert life.state.next_version == 3
    life.rest(20)
    for _ in range(6):
        life.round()
    aside = next(one for one in inbox(life) if one.key == poison.key)
    assert (aside.state, aside.reason and aside.reason.code) == (InboxState.QUARANTINED, Code.GIVEN_UP)


def test_p3_what_comes_while_another_worker_holds_the_loop_is_left_due_by_its_end() -> None:
    life = served()
    store, now = life.real.store, life.clock.now()
    token = store.claim("birds", "another", now, now + timedelta(seconds=20))
    assert token is not None
    life.act("pause")
    life.round(tick=False)
    assert [one.state for one in inbox(life) if one.kind.value == "person"] == [InboxState.NEW]
    assert not store.settle("birds", token, None)
    tick.tick(life.real)
    assert life.state.paused


def test_p3_what_is_stored_after_another_worker_looked_is_left_due_by_its_end() -> None:
    """The other one claims the loop between the wake and the record, finds nothing, and ends last."""
    life = served()
    store, claims = life.real.store, []

    def around(call: Call, make: Callable[[], object]) -> object:
        if call.name == "store.commit" and not claims:
            now = life.clock.now()
            claims.append(store.claim("birds", "another", now, now + timedelta(seconds=20)))
        return make()

    ports = watched(life.real, around)
    message = messages.act_message("pause", "birds", {"reason": "because"}, "bob")
    tick.run_all(ports, recorder.receive(ports, message, ACCOUNT))
    assert claims[0] is not None
    assert not life.state.paused
    store.settle("birds", claims[0], None)
    tick.tick(life.real)
    assert life.state.paused


def test_no_act_is_done_on_another_release_than_it_names() -> None:
    life = canaried()
    for release in (0, False, [], "0", "x", "-1", "2 ", "\u00b2", "9" * 5000):
        with pytest.raises(InputRejected, match="not a release number"):
            messages.act_message("abort", "birds", {"release": release}, "bob")
        act = {"driftloop": "act", "verb": "abort", "loop": "birds", "actor": "bob", "id": str(release)[:9]}
        life.send(json.dumps(act | {"release": release}))
    life.round()
    assert life.release(2).phase is Phase.CANARY
    assert set(strays(life)) == {Code.NO_RELEASE_NUMBER}


def test_f27_a_loop_that_is_woken_again_and_again_keeps_its_place_among_those_who_wait() -> None:
    life = served()
    for number in range(3):
        life.act("pause", id=f"click {number}")
    began = life.clock.now()
    life.away = "store.claim"
    for _ in range(3):
        life.round(tick=False)
        life.act("pause")
    waits = life.real.store.overviews()[0]
    assert waits.due_at is not None
    assert waits.due_at <= began + timedelta(seconds=ROUND_S)


# --- waiting ---------------------------------------------------------------------------------------


def test_f09_a_service_that_asks_to_wait_is_left_alone_and_no_attempt_is_lost() -> None:
    life = served()
    life.drop("2.csv", birds(2, 1.3))
    life.away, life.away_s = "training.ensure_job", 600
    life.until(Phase.TRAINING)
    failures = life.release().failures
    for _ in range(30):
        life.real.store.wake("birds", life.clock.now())
        life.round()
    assert (failures, life.release().failures) == (1, 1)
    assert "is away" in say(life.release().waiting_for)
    life.away = ""
    life.clock.advance(600)
    life.rest()
    assert (life.release().phase, life.release().attempt) == (Phase.LIVE, 1)


def test_f10_looks_that_fail_for_an_hour_come_once_a_minute_and_people_are_told() -> None:
    life = canaried()
    life.act("abort", 2)
    life.away = "serving.traffic"
    for _ in range(360):
        life.round()
    assert 40 < life.release().failures < 75
    overview = life.real.store.overviews()[0]
    assert overview.needs_attention and overview.needs_attention.code is Code.STUCK
    assert "serving.traffic is away" in say(overview.needs_attention)


def test_a_drop_that_cannot_be_judged_keeps_no_canary_from_being_taken_back() -> None:
    """F21: the champion does not answer, so the metric of the new version waits; the canary does not."""
    plan = LOOP.replace("retrain:", "metric: {name: accuracy, at_least: 0.5}\nretrain:").replace(
        "minutes: 0.05", "minutes: 60"
    )
    life = served(plan=plan)
    life.drop("2.csv", birds(2, 1.3))
    life.until(Phase.CANARY)
    life.away = "serving.predict"
    life.drop("3.csv", birds(3, 1.3))
    life.round()
    life.act("abort", 2)
    life.rest()
    assert life.release(2).phase is Phase.ABORTED
    assert life.traffic() == {"r1-a1": 100}


# --- jobs ------------------------------------------------------------------------------------------


def test_f17_an_abort_cancels_the_job_whose_receipt_was_never_written() -> None:
    life = served()
    life.real.training.new_jobs_are = "running"
    submit = life.real.training.ensure_job

    def lost(spec):  # type: ignore[no-untyped-def]
        submit(spec)
        raise DependencyUnavailable("the answer was lost")

    life.real.training.ensure_job = lost  # type: ignore[method-assign]  # the reply is lost each time
    life.drop("2.csv", birds(2, 1.3))
    life.until(Phase.TRAINING)
    life.act("abort", 2)
    life.rest()
    assert life.real.training.jobs["birds-r2-a1"].status == "canceled"


def test_f17_a_job_that_never_ends_is_cancelled_and_a_vanished_one_is_tried_again() -> None:
    life = served()
    life.real.training.new_jobs_are = "running"
    life.drop("2.csv", birds(2, 1.3))
    life.until(Phase.TRAINING)
    life.clock.advance(7 * 3600)
    life.round()
    life.round()
    assert life.real.training.jobs["birds-r2-a1"].status == "canceled"
    assert life.release().attempt == 2
    life.real.training.jobs["birds-r2-a2"].status = "missing"
    life.rest()
    assert life.release().phase is Phase.FAILED
    assert life.real.training.submitted == ["birds-r1-a1", "birds-r2-a1", "birds-r2-a2"]


def test_f17_a_check_that_never_ends_is_cancelled_and_rejects() -> None:
    life = served(plan=LOOP.replace("gate: {", "gate: {checks: [a.yml, b.yml], "))
    life.real.training.new_jobs_are = "running"
    life.drop("2.csv", birds(2, 1.3))
    for name in ("birds-r2-a1", "birds-r2-a1-c0"):
        for _ in range(5):
            life.round()
        life.real.training.jobs[name].status = "completed"
    life.round()
    life.round()
    assert (life.release().phase, life.release().step) == (Phase.CHECKING, 1)
    life.clock.advance(7 * 3600)
    life.rest()
    why = life.release().reason
    assert (life.release().phase, why and why.code) == (Phase.REJECTED, Code.CHECK_TIMED_OUT)
    assert life.real.training.jobs["birds-r2-a1-c1"].status == "canceled"


def test_f18_a_job_of_somebody_else_stops_the_release_and_is_never_cancelled() -> None:
    life = served()
    life.real.training.new_jobs_are = "running"
    life.drop("2.csv", birds(2, 1.3))
    life.until(Phase.TRAINING)
    theirs = life.real.training.jobs["birds-r2-a1"]
    theirs.tags, theirs.status = {}, "running"
    for _ in range(3):
        life.round()
    assert "is not ours" in say(life.release().waiting_for)
    life.act("abort", 2)
    life.rest()
    assert life.release().phase is Phase.ABORTED
    assert theirs.status == "running"


@pytest.mark.parametrize("archived", [False, True])
def test_f18_a_model_of_somebody_else_under_the_releases_number_is_passed_over(archived: bool) -> None:
    life = served()
    for version in ("2", "3"):
        life.real.training.models["birds", version] = MemoryModel("theirs", {}, archived=archived)
    life.drop("2.csv", birds(2, 1.3))
    life.rest()
    assert (life.release().phase, life.release().model) == (Phase.LIVE, "azureml:birds:4")
    assert life.real.training.models["birds", "2"].job == "theirs"
    assert answer.audit(life.real, "birds").problems == ()


def test_f18_data_assets_of_somebody_else_under_our_names_are_passed_over() -> None:
    life = served()
    life.real.versions.assets["birds", "2"] = MemoryAsset("theirs")
    life.drop("2.csv", birds(2, 1.3))
    life.rest()
    assert life.release().phase is Phase.LIVE
    assert unit_of_work.read(life.real, "birds").version(2)[0].asset_id == "azureml:birds:2-2"
    assert life.real.versions.assets["birds", "2"].folder == "theirs"


def test_a_release_whose_job_gives_no_model_fails_in_the_end_and_its_advice_is_true() -> None:
    life = served(failing="none")
    unfit = ConfigurationError("Job birds-r2-a1 has no output `model`.", code=Code.COMPONENT_UNFIT)
    life.broken = lambda call: unfit if call.name == "training.ensure_model" else None
    life.drop("2.csv", birds(2, 1.3))
    life.until(Phase.REGISTERING)
    life.rest()
    found = life.release(2)
    assert (found.phase, life.traffic()) == (Phase.FAILED, {"r1-a1": 100})
    assert found.reason is not None and found.reason.code is Code.RELEASE_GIVEN_UP
    advice = guide.find(found.reason)
    assert advice is not None and advice.anchor == "component-unfit"
    life.broken = lambda call: None
    life.act("retrain")
    life.rest()
    assert life.release(3).phase is Phase.LIVE


def test_what_may_pass_is_tried_for_as_long_as_it_takes_and_the_guide_says_what_to_do_about_it() -> None:
    life = served()
    away = ConfigurationError("Give the app a role.", code=Code.ACCESS_REFUSED)
    life.broken = lambda call: away if call.name == "training.ensure_model" else None
    life.drop("2.csv", birds(2, 1.3))
    for _ in range(30):
        life.round(seconds=100)
    overview = life.real.store.overview("birds")
    assert life.release().phase is Phase.REGISTERING and overview is not None
    advice = guide.find(overview.needs_attention)
    assert advice is not None and advice.anchor == "access-refused"


# --- traffic ---------------------------------------------------------------------------------------


def test_f19_a_step_that_comes_into_force_after_its_abort_is_taken_back() -> None:
    life = canaried(slow=3)
    life.act("abort", 2)
    life.rest()
    assert (life.release().phase, life.traffic()) == (Phase.ABORTED, {"r1-a1": 100})


def test_f19_an_abort_while_a_step_is_on_its_way_overrides_it() -> None:
    life = served(plan=LOOP.replace("minutes: 0.05", "minutes: 60"))
    life.drop("2.csv", birds(2, 1.3))
    life.real.serving.traffic_takes_effect = False
    life.until(Phase.SHIFTING)
    life.act("abort", 2)
    life.rest()
    assert life.real.serving.splits[-1] == ("birds", {"r1-a1": 100})
    life.real.serving.apply_traffic("birds")
    assert life.traffic() == {"r1-a1": 100}


@pytest.mark.parametrize("away", [True, False])
def test_f20_a_canary_without_evidence_holds_for_a_steps_longest_time_and_is_never_promoted(
    away: bool,
) -> None:
    life = canaried()
    if away:
        life.away = "evidence.traffic"
    else:
        life.real.evidence.requests.clear()
        life._requests = lambda deployment, n: None  # type: ignore[method-assign]  # nobody calls
    for _ in range(29):
        life.round(seconds=600)
    assert (life.release().phase, life.release().step) == (Phase.CANARY, 0)
    for _ in range(4):
        life.round(seconds=600)
    assert (life.release().phase, life.traffic()) == (Phase.ROLLED_BACK, {"r1-a1": 100})


def test_f22_data_and_alerts_that_come_mid_canary_wait_for_its_end_and_are_answered() -> None:
    life = canaried()
    life.drop("3.csv", birds(3, 1.7))
    for _ in range(3):
        life.alert()
        life.round()
    assert {t.kind.value for t in life.state.waiting} == {"drift", "alert"}
    assert life.state.next_release == 3
    life.act("abort", 2)
    life.rest()
    life.rest()
    assert life.state.waiting == ()
    assert "drift" in {t.kind.value for t in life.release(3).triggers}


def test_f28_traffic_that_a_person_set_stays_whatever_the_evidence_says() -> None:
    life = canaried()
    hand = {"r1-a1": 70, "r2-a1": 30}
    life.real.serving.endpoints["birds"].traffic = dict(hand)
    splits = len(life.real.serving.splits)
    for _ in range(20):
        life.round(seconds=600)
    assert (life.traffic(), len(life.real.serving.splits)) == (hand, splits)
    assert life.state.paused and life.state.paused.code is Code.TRAFFIC_CHANGED
    assert len(life.told("traffic.adopted")) == 1


def test_f28_after_a_resume_the_canary_goes_on_from_what_the_person_set() -> None:
    life = canaried()
    life.real.serving.endpoints["birds"].traffic = {"r1-a1": 70, "r2-a1": 30}
    for _ in range(10):
        life.round()
    life.act("resume")
    resumed_at = life.clock.now()
    life.round()
    assert life.release().phase_since_at >= resumed_at, "what was counted at 10 % is no evidence beside 30 %"
    for _ in range(20):
        life.round(seconds=600)
        if life.release().step == 1:
            break
    assert life.real.serving.splits[-1][1] == {"r1-a1": 50, "r2-a1": 50}
    assert life.state.paused is None


def test_f28_traffic_that_a_person_took_from_the_canary_is_never_given_back() -> None:
    life = canaried()
    life.clock.advance(200)
    life.round()
    life.real.serving.endpoints["birds"].traffic = {"r1-a1": 100}
    splits = len(life.real.serving.splits)
    for _ in range(30):
        life.round()
    assert len(life.real.serving.splits) == splits
    life.act("abort", 2)
    life.rest()
    assert life.release(2).phase is Phase.ABORTED


def test_f28_traffic_that_was_changed_between_releases_is_adopted_once_by_the_sweep() -> None:
    life = served()
    endpoint = life.real.serving.endpoints["birds"]
    endpoint.deployments["mine"] = endpoint.deployments["r1-a1"]
    endpoint.traffic = {"r1-a1": 60, "mine": 40}
    life.clock.advance(600)
    tick.sweep(life.real)
    assert life.state.paused and life.state.paused.code is Code.TRAFFIC_CHANGED
    life.act("resume")
    life.rest()
    life.clock.advance(600)
    tick.sweep(life.real)
    assert life.state.paused is None
    assert len(life.told("traffic.adopted")) == 1


def test_f28_a_job_that_a_person_cancelled_is_not_submitted_again() -> None:
    life = served()
    life.real.training.new_jobs_are = "running"
    life.drop("2.csv", birds(2, 1.3))
    life.until(Phase.TRAINING)
    life.real.training.cancel("birds-r2-a1")
    life.rest()
    assert (life.release().phase, life.release().attempt) == (Phase.FAILED, 1)
    assert "canceled" in say(life.release().reason)


def test_f28_a_champion_that_somebody_deleted_is_told_when_there_is_nothing_to_go_back_to() -> None:
    life = canaried()
    endpoint = life.real.serving.endpoints["birds"]
    del endpoint.deployments["r1-a1"]
    life.act("abort", 2)
    for _ in range(100):
        life.round()
    assert life.release().phase is Phase.ROLLING_BACK
    told = say(life.real.store.overviews()[0].needs_attention)
    assert "deployment r1-a1" in told and "`driftloop restore birds` deploys it again" in told
    life.act("restore")
    life.rest()
    assert (life.release().phase, life.traffic()) == (Phase.ABORTED, {"r1-a1": 100})


def test_f28_a_champion_that_somebody_deleted_between_releases_is_put_back_when_a_person_asks() -> None:
    life = served()
    life.act("restore", id="in vain")
    life.rest()
    assert "r1-a1 of release 1 has all traffic" in spoken(life.told("action.refused")[0].detail)["why"]
    endpoint = life.real.serving.endpoints["birds"]
    del endpoint.deployments["r1-a1"]
    endpoint.traffic = {}
    life.clock.advance(600)
    for _ in range(3):
        life.round(sweep=True)
    assert life.traffic() == {}
    assert "`driftloop restore birds`" in say(life.real.store.overviews()[0].needs_attention)
    life.act("restore")
    life.rest()
    life.rest()
    restored = life.release(2)
    assert (restored.phase, restored.deployment, life.traffic()) == (Phase.LIVE, "r1-a1", {"r1-a1": 100})
    assert life.real.training.submitted == ["birds-r1-a1"]
    champion = life.state.champion
    assert champion is not None
    assert (champion.release, champion.model, life.state.paused) == (2, life.release(1).model, None)
    assert answer.audit(life.real, "birds").problems == ()
    life.drop("2.csv", birds(2, 1.3))
    life.rest()
    life.rest()
    assert (life.release().phase, life.traffic()) == (Phase.ROLLED_BACK, {"r1-a1": 100})  # the third one errs


# --- people ----------------------------------------------------------------------------------------


def test_f23_approve_abort_and_tick_at_once_have_one_outcome_and_the_ledger_shows_both() -> None:
    for seed in range(8):
        life = served(seed=seed)
        life.publish(LOOP.replace("canary: {", "canary: {approval: before_canary, "))
        life.drop("2.csv", birds(2, 1.3))
        life.until(Phase.AWAITING_APPROVAL)
        life.workers = 3
        life.crew._interleave = True
        life.act("approve", 2)
        life.act("abort", 2)
        life.rest()
        assert life.release(2).phase is Phase.ABORTED, seed
        acts = {say(one.reason) for one in inbox(life) if one.kind.value == "person"}
        assert len(acts) == 2, acts


def test_f23_a_double_click_is_one_act() -> None:
    life = canaried()
    for _ in range(2):
        life.act("abort", 2, id="click")
    life.rest()
    assert [one.kind.value for one in inbox(life)].count("person") == 1


def test_people_come_before_a_thousand_events() -> None:
    """More than one run handles."""
    life = canaried()
    for number in range(worker.MAX_STEPS + 50):
        recorder.put(
            life.real,
            life.real.store.overviews()[0],
            InboxRecord(f"{number:032d}", rows.EventKind.BLOB, life.clock.now(), {"container": "landing"}),
        )
    life.act("abort", 2)
    life.round()
    assert life.release(2).phase is not Phase.CANARY


# --- refusals --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("port", "when"),
    [
        *(
            (port, 0)
            for port in ("blobs.", "documents.", "versions.", "training.", "serving.", "evidence.", "topic.")
        ),
        *((port, 3) for port in ("store.", "serving.", "evidence.")),
    ],
)
def test_f26_a_role_that_is_taken_away_is_named_and_all_goes_on_when_it_is_back(port: str, when: int) -> None:
    """From the drop on, or in the middle of its canary, for five minutes; no attempt and no event is used up."""
    life = served()
    life.drop("2.csv", birds(2, 1.3))
    for _ in range(when):
        life.round()
    life.refused = port
    for number in range(30):
        life.round(sweep=number % 10 == 9)
    told = json.dumps([asdict(one) for one in (*life.real.store.overviews(), *releases(life))], default=str)
    life.refused = ""
    assert "Some Role" in told or port == "store.", "nothing can be written there; the log has it"
    for number in range(60):
        life.round(sweep=number % 10 == 9)
    assert life.state.open_release is None
    assert (life.release(2).phase, life.traffic()) == (Phase.LIVE, {"r2-a1": 100})
    assert (life.state.next_version, len(life.real.training.jobs)) == (3, 2)
    assert inbox(life)[-1].attempts == 0


def releases(life: Life) -> list[Release]:
    return [life.release(number) for number in range(1, life.state.next_release)]


# --- clocks ----------------------------------------------------------------------------------------


def scheduled() -> Life:
    life = served(plan=LOOP.replace("cooldown: 1s", 'cooldown: 1s, schedule: "0 0 * * * *"'))
    life.drop("2.csv", birds(2, 1.0))
    life.rest()
    return life


def schedules(life: Life) -> int:
    causes = {entry.cause for entry in queries.entries(life.real, "birds")}
    return len({cause for cause in causes if cause.startswith("schedule-")})


def test_f14_a_clock_that_is_set_back_or_differs_by_minutes_runs_no_schedule_twice() -> None:
    life = scheduled()
    for minutes in (70, -20, 15, -5, 10, -120, 125):
        life.clock.current += timedelta(minutes=minutes)
        tick.tick(life.real)
        worker.run(life.real, "birds")
    assert schedules(life) == 1


def test_f14_a_clock_that_is_set_back_promotes_nothing_early() -> None:
    life = canaried()
    life.clock.current -= timedelta(hours=3)
    for _ in range(60):
        life.round()
    assert life.release().phase is Phase.CANARY


def test_f15_a_timer_that_comes_twice_late_or_not_at_all_is_as_if_it_had_come_once() -> None:
    life = scheduled()
    life.clock.advance(5 * 3600)
    for _ in range(5):
        tick.tick(life.real)
    assert schedules(life) == 1
    life.rest()
    assert life.state.next_release == 3


# --- stored state ----------------------------------------------------------------------------------


def spoil(life: Life, key: str, doc: str) -> None:
    row = life.real.store.read("birds", key)
    assert row is not None
    life.real.store.commit("birds", [Replace(key, doc, row.etag)])


@pytest.mark.parametrize(
    ("doc", "words"),
    [
        ('{"schema": 99, "content": {}}', "written by a newer Driftloop"),
        ('{"schema": 1, "content": {}}', "publish the loop again"),
        ("not json", "is not a Driftloop document"),
        ('{"schema": 2, "content": {"loop": 1}}', "cannot be read as LoopState"),
    ],
)
def test_f24_f25_a_loop_whose_row_cannot_be_read_is_set_aside_and_shown_and_the_others_go_on(
    doc: str, words: str
) -> None:
    life = Life()
    life.publish(LOOP.replace("birds", "fish"))
    spoil(life, rows.LOOP, doc)
    life.real.blobs.upload("landing", "fish/1.csv", birds(1, 1.0))
    life.clock.advance(tick.STILL.total_seconds())
    tick.sweep(life.real)
    for _ in range(30):
        life.clock.advance(10)
        life._outside()
        tick.tick(life.real)
    assert unit_of_work.read(life.real, "fish").state.next_version == 2
    overview = next(one for one in life.real.store.overviews() if one.loop == "birds")
    assert overview.needs_attention and overview.needs_attention.code is Code.LOOP_SET_ASIDE
    assert words in say(overview.needs_attention)
    assert "\n" not in say(overview.needs_attention) and "pydantic" not in say(overview.needs_attention)


def test_f25_a_release_whose_definition_is_gone_waits_and_says_so() -> None:
    life = canaried()
    unit_of_work._published.clear()
    life.real.documents.contents.pop(life.release().definition)
    for _ in range(3):
        life.round()
    overview = life.real.store.overviews()[0]
    assert "is gone" in say(overview.needs_attention)


def test_f24_a_row_from_before_a_field_was_added_is_read_with_its_default() -> None:
    life = served()
    row = life.real.store.read("birds", rows.LOOP)
    assert row is not None
    document = json.loads(row.doc)
    for newer in ("newest_labelled", "newest_landed_at", "adopted", "waiting_until", "failed_in_row"):
        del document["content"][newer]
    spoil(life, rows.LOOP, json.dumps(document))
    life.drop("2.csv", birds(2, 1.3))
    life.rest()
    assert life.release(2).phase is Phase.LIVE


def test_f29_a_release_in_flight_ends_with_the_definition_that_it_began_with() -> None:
    life = canaried()
    life.publish(LOOP.replace("[10, 50]", "[30]").replace("minutes: 0.05", "minutes: 2"))
    for _ in range(40):
        life.round(seconds=600)
        if life.state.open_release is None:
            break
    assert [split for _, split in life.real.serving.splits][1:] == [
        {"r1-a1": 90, "r2-a1": 10},
        {"r1-a1": 50, "r2-a1": 50},
        {"r2-a1": 100},
    ]


# --- many loops ------------------------------------------------------------------------------------


def test_f27_a_noisy_loop_keeps_no_other_from_its_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each run takes its time; the tick ends before all had theirs, and the next begins with who waited longest."""
    life = Life()
    names = [f"fish-{chr(97 + number)}x" for number in range(8)]
    for name in names:
        life.publish(LOOP.replace("birds", name))
    turns: list[str] = []

    def run(ports: object, loop: str) -> worker.Ran:
        turns.append(loop)
        life.clock.advance(40)
        life.real.store.claim(loop, "me", life.clock.now(), life.clock.now())
        due_at = life.clock.now() if loop == "birds" else None
        token = life.real.store.claim(loop, "me", life.clock.now(), life.clock.now())
        assert token is not None
        life.real.store.settle(loop, token, due_at)
        return worker.Ran(loop, 1, due_at)

    monkeypatch.setattr(worker, "run", run)
    for _ in range(4):
        tick.tick(life.real)
    assert set(turns) == {"birds", *names}
    assert turns.count("birds") < len(turns) / 2


def test_f13_what_a_sleeping_worker_begins_after_the_end_is_cleared_up_by_the_sweep() -> None:
    life = canaried()
    deployment = life.real.serving.endpoints["birds"].deployments["r2-a1"]
    life.act("abort", 2)
    life.rest()
    assert set(life.real.serving.endpoints["birds"].deployments) == {"r1-a1"}
    life.real.serving.ensure_deployment(deployment.spec)
    life.real.training.jobs["birds-r2-a1"].status = "running"
    tick.sweep(life.real)
    assert set(life.real.serving.endpoints["birds"].deployments) == {"r1-a1"}
    assert life.real.training.jobs["birds-r2-a1"].status == "canceled"


def late_worker(life: Life, weights: dict[str, int]) -> None:
    """What a worker that slept past its claim sets when it wakes, over the app's own port."""
    life.real.serving.set_traffic("birds", weights)


def test_f13_an_earlier_split_of_a_sleeping_worker_makes_the_canary_step_begin_anew() -> None:
    life = canaried()
    while (life.release().phase, life.release().step) != (Phase.CANARY, 1):
        life.round(seconds=600)
    late_worker(life, {"r1-a1": 90, "r2-a1": 10})
    began = life.now_s
    while life.traffic() != {"r1-a1": 50, "r2-a1": 50}:
        life.round()
        assert life.now_s - began <= machine.STALE_LIMIT.total_seconds() + 2 * ROUND_S
    life.until(Phase.CANARY)
    assert (life.release().step, life.state.paused, life.told("traffic.adopted")) == (1, None, [])
    why = life.told("release.shifting")[-1].detail["reason"]
    assert isinstance(why, Reason) and why.code is Code.STEP_RESTARTED
    assert life.release().phase_since_at > life.began + timedelta(seconds=began), (
        "its evidence begins anew too"
    )


def test_f13_after_a_rollback_nothing_that_comes_late_gives_the_canary_traffic_again() -> None:
    life = canaried()
    life.away = "serving.ensure_no_deployment"
    life.act("abort", 2)
    life.until(Phase.CLEANING)
    late_worker(life, {"r1-a1": 90, "r2-a1": 10})
    life.clock.advance(600)
    life.round()
    assert life.traffic() == {"r1-a1": 100}
    life.away = ""
    life.rest()
    assert (life.release().phase, life.state.paused) == (Phase.ABORTED, None)


def test_f13_a_late_split_between_releases_is_put_right_by_the_sweep_and_told() -> None:
    life = served()
    endpoint = life.real.serving.endpoints["birds"]
    endpoint.deployments["r0-a1"] = endpoint.deployments["r1-a1"]
    late_worker(life, {"r0-a1": 100})
    life.clock.advance(600)
    tick.sweep(life.real)
    assert (life.traffic(), life.state.paused) == ({"r1-a1": 100}, None)
    assert [entry.actor for entry in life.told("traffic.repaired")] == ["driftloop"]
