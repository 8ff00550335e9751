"""T13: each guard is removed once, and a test that is in the suite must then fail; with the guard it passes."""

from __future__ import annotations

import functools
import itertools
import json
import tempfile
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest

from cli import export as command
from cli.past import baselines, chronicle, simulation, stand_ins
from drift import history, report, significance
from shared import loopfile
from shared.audit import exported_release
from shared.canary import bake_judge, signal_harm
from shared.canary.tolerance import CanaryPolicy
from shared.domain.loop import LoopState
from shared.domain.reason import Code
from shared.domain.release import Outcome, Phase, Release
from shared.gate import gate_judge, importance, new_rows, smoke
from shared.inbox import recorder, requests
from shared.intake import drop_parts, drops, folders
from shared.memory.azureml import MemoryServing, MemoryTraining
from shared.memory.store import MemoryStore
from shared.ports import Change, Insert
from shared.reader import origins
from shared.release import effects, machine, stepper
from shared.release import observations as obs
from shared.retraining import policy, start
from shared.runtime import events, outbox, publication, tick, unit_of_work, worker
from shared.state import hash_chain, rows
from shared.verdict import final_labels, label_slices, version_verdict
from shared.words import say
from tests.drift import test_segments as segments
from tests.engine import test_commit as commits
from tests.engine import test_complete as complete
from tests.engine import test_cost as costs
from tests.engine import test_explaining as explaining
from tests.engine import test_explanation as explanations
from tests.engine import test_export as exporting
from tests.engine import test_faults as faults
from tests.engine import test_final_labels as finals
from tests.engine import test_isolation as isolation
from tests.engine import test_label_slices as sliced
from tests.engine import test_origins as origin
from tests.engine import test_policy as policies
from tests.engine import test_served_calibration as windows
from tests.engine import test_steering as steering
from tests.engine import test_strangers as strangers
from tests.engine.world import LOOP, World, csv, season
from tests.faults import Crash
from tests.judge import test_gate as gating
from tests.judge import test_metric_and_smoke as smoking
from tests.judge import test_new_rows as newness
from tests.judge import test_parity as parities
from tests.judge import test_signals as signals
from tests.simulator import reader, sweep
from tests.simulator.life import Life, birds
from tests.simulator.sweep import Case

Guard = AbstractContextManager[object]


def set_to(target: object, name: str, value: object) -> Guard:
    return mock.patch.object(target, name, value)


def no_etag() -> Guard:
    def check(self: MemoryStore, stored: dict[str, Any], change: Change) -> None:
        if isinstance(change, Insert) and change.key in stored and not change.key.startswith("ledger"):
            raise worker.Conflict(change.key)

    return set_to(MemoryStore, "_check", check)


def key_by_delivery() -> Guard:
    numbers = itertools.count()
    return set_to(recorder, "blob_key", lambda *parts: rows.key_of("blob", *parts, str(next(numbers))))


def names_by_chance() -> Guard:
    numbers = itertools.count()
    return set_to(Release, "job_name", property(lambda release: f"{release.loop}-{next(numbers)}"))


def two_commits() -> Guard:
    """State first, the ledger's entries after it."""

    def commit(self: MemoryStore, loop: str, changes: Sequence[Change]) -> None:
        whole(self, loop, [one for one in changes if not one.key.startswith("ledger")])
        for one in changes:
            if one.key.startswith("ledger"):
                halfway()
                whole(self, loop, [one])

    whole = MemoryStore.commit
    numbers = itertools.count(1)

    def halfway() -> None:
        if next(numbers) == 20:
            raise Crash("between state and ledger")

    return set_to(MemoryStore, "commit", commit)


def told_before() -> Guard:
    """Marked as told, then told."""

    def announce(current: unit_of_work.Unit) -> bool:
        state = current.state
        if state.announced_seq >= state.ledger_seq:
            return False
        entries = [
            rows.decode(outbox.LedgerEntry, row) for row in current.ports.store.range("birds", "ledger-")
        ]
        current.commit(replace(state, announced_seq=state.ledger_seq))
        current.ports.topic.publish("birds", entries[state.announced_seq :])
        return True

    return set_to(outbox, "announce", announce)


def one_part_fails_all() -> Guard:
    def step(ports: Any, loop: str, this: worker.Run) -> bool:
        return any(part() for _, part in worker._parts(unit_of_work.read(ports, loop), worker.Run()))

    return set_to(worker, "step", step)


def no_coalescing() -> Guard:
    decide = policy.decide

    def alone(state: LoopState, *arguments: Any, **named: Any) -> policy.Decision:
        return decide(replace(state, open_release=None), *arguments, **named)

    return set_to(policy, "decide", alone)


def always(answer: object) -> Callable[..., object]:
    return lambda *arguments, **named: answer


def several(*guards: Guard) -> Guard:
    stack = ExitStack()
    for guard in guards:
        stack.enter_context(guard)
    return stack


def nothing_new_is_fine() -> None:
    life = faults.served()
    life.alert()
    life.rest()
    assert life.state.next_release == 2
    assert "nothing new" in say(life.state.denial)


def cooldown_holds() -> None:
    life = faults.served(plan=faults.LOOP.replace("cooldown: 1s", "cooldown: 1h"))
    life.drop("2.csv", birds(2, 1.3))
    for _ in range(5):
        life.round()
    assert life.state.next_release == 2
    life.clock.advance(3600)
    life.rest()
    assert life.state.next_release == 3


def five_failures_open_the_breaker() -> None:
    life = faults.served()
    life.real.training.new_jobs_are = "failed"
    for number in range(2, 9):
        life.drop(f"{number}.csv", birds(number, 1 + number / 5))
        life.rest()
        life.rest()
    assert life.state.next_release == 2 + 5
    assert life.state.denial is not None and life.state.denial.code is Code.FAILED_IN_ROW


def immaterial_drift_starts_nothing() -> None:
    life = faults.served(plan=faults.LOOP.replace("numeric: 0.3", "numeric: 30, range: 0.99, correlation: 2"))
    life.drop("2.csv", birds(2, 1.3))
    life.rest()
    version, _ = unit_of_work.read(life.real, "birds").version(2)
    assert "within the tolerances" in say(version.verdict[0])
    assert life.state.next_release == 2


def breaches_before_a_retraining_do_not_count() -> None:
    life = faults.served(
        plan=faults.LOOP.replace("numeric: 0.3}", "numeric: 0.3}, persistence: {breaches: 2, of: 3}")
    )
    for number, (heavier, releases) in enumerate(((1.3, 1), (1.3, 2), (1.9, 2)), 2):
        life.drop(f"{number}.csv", birds(number, heavier))
        life.rest()
        assert life.state.next_release == releases + 1


def a_bake_without_evidence_goes_back() -> None:
    life = faults.served(plan=faults.LOOP.replace("bake_minutes: 0.1", "bake_minutes: 60"))
    life.drop("2.csv", birds(2, 1.3))
    life.until(Phase.BAKING)
    life.away = "evidence.traffic"
    for _ in range(9):
        life.round(seconds=3600)
    assert life.release().phase is Phase.ROLLED_BACK


def an_edit_of_the_ledger_is_found() -> None:
    life = faults.served()
    row = life.real.store.read("birds", rows.ledger_key(3))
    assert row is not None
    faults.spoil(life, row.key, row.doc.replace("driftloop", "mallory", 1))
    assert life.history.at_rest(jobs=1, versions=1) != []


def own_drift_raises_nothing() -> None:
    life = Life(plan=faults.LOOP.replace("target: species,", "target: species, origin: {column: by},"))
    life.drop("1.csv", _said_by(birds(1, 1.0), "person"))
    life.rest()
    assert life.state.champion is not None
    life.drop("own.csv", _said_by(birds(2, 1.3), "model"))
    life.rest()
    assert (life.state.next_release, life.state.next_version, life.state.denial) == (2, 3, None)


def _labelled_world() -> World:
    world = World()
    world.publish(finals.LABELLED)
    return world


def _said_by(drop: bytes, whom: str) -> bytes:
    head, *lines = drop.decode().splitlines()
    return "\n".join([f"{head},by", *(f"{line},{whom}" for line in lines)]).encode()


def a_past_alert_is_answered() -> None:
    with tempfile.TemporaryDirectory() as place:
        for name in ("1.csv", "2.csv"):
            (Path(place) / name).write_bytes(csv(season(2007 if name == "1.csv" else 2008)))
        past = chronicle.read(Path(place), timedelta(days=7))
        at = past.drops[1][0] - timedelta(days=1)
        past = replace(past, alerts=(chronicle.Alert(at, "birds-errors", "Fired", at),))
        ours = baselines.rules(loopfile.parse(LOOP, file="loop.yaml"), "0 0 3 * * 1")[0]
        found = simulation.run(ours, past, stand_ins.trainer(stand_ins.linear, 60), always(None))
    assert [(one.what, one.at) for one in found.told] == [("alert", f"{at:%Y-%m-%d %H:%M}")]


def equal_content_is_one_version() -> None:
    life = faults.served()
    life.drop("again.csv", birds(1, 1.0))
    life.rest()
    assert life.state.next_version == 2


def attempts_are_limited() -> None:
    life = faults.served()
    life.real.training.new_jobs_are = "failed"
    life.drop("2.csv", birds(2, 1.3))
    life.rest()
    assert len(life.real.training.submitted) == 3


def told(*cases: Case) -> Callable[[], None]:
    def run() -> None:
        for case in cases:
            assert case.run() == [], case

    return run


def at_calls(name: str, fault: str, most: int = 6) -> None:
    """A life for each call of this name that goes wrong in this way."""
    _, calls, _ = sweep.points()
    points = [point for point, call in enumerate(calls) if call == name]
    told(*(Case(((point, fault),)) for point in points[:: max(1, len(points) // most)]))()


def stale_reads() -> None:
    at_calls("serving.traffic", "stale")


def crashes_after_submission() -> None:
    at_calls("training.ensure_job", "crash after")


def no_evidence_promotes_nothing() -> None:
    faults.test_f20_a_canary_without_evidence_holds_for_a_steps_longest_time_and_is_never_promoted(away=True)


def crashes_around_telling() -> None:
    at_calls("topic.publish", "crash before", most=3)


@dataclass(frozen=True)
class Sabotage:
    name: str
    remove: Callable[[], Guard]
    caught_by: Callable[[], None]


NUMBERS = itertools.count()
RIVALS = told(*(Case(((40 + 9 * n, "asleep"),), seed=n, workers=3, duplicates=0.3) for n in range(8)))

GUARDS: Sequence[Sabotage] = (
    Sabotage("a write is under the ETag that was read", no_etag, RIVALS),
    Sabotage(
        "an event is known by what happened, not by its delivery",
        key_by_delivery,
        faults.test_f01_fifty_deliveries_are_one_record_one_version_one_release,
    ),
    Sabotage("a job's name follows from its release", names_by_chance, crashes_after_submission),
    Sabotage("state and its ledger entry change together", two_commits, told(Case(()))),
    Sabotage("what happened is told before it is marked as told", told_before, crashes_around_telling),
    Sabotage(
        "a part that fails keeps no other part",
        one_part_fails_all,
        faults.test_p10_an_event_that_always_fails_is_set_aside_and_keeps_no_other,
    ),
    Sabotage(
        "reasons wait while a release is open",
        no_coalescing,
        faults.test_f22_data_and_alerts_that_come_mid_canary_wait_for_its_end_and_are_answered,
    ),
    Sabotage(
        "traffic of somebody else is told from ours",
        lambda: set_to(effects, "ours", always(True)),
        lambda: _shifting_is_not_fought(),
    ),
    Sabotage(
        "a canary looks whether its traffic is as it was",
        lambda: set_to(effects, "_canary", lambda u, r, p: effects.canary_evidence.measure(u, r, p)),
        faults.test_f28_traffic_that_a_person_set_stays_whatever_the_evidence_says,
    ),
    Sabotage(
        "weights that a late worker of ours set are told from a person's",
        lambda: set_to(MemoryServing, "set_by_us", always(False)),
        faults.test_f13_an_earlier_split_of_a_sleeping_worker_makes_the_canary_step_begin_anew,
    ),
    Sabotage(
        "weights that a person set are told from a late worker's",
        lambda: set_to(MemoryServing, "set_by_us", always(True)),
        faults.test_f28_traffic_that_a_person_took_from_the_canary_is_never_given_back,
    ),
    Sabotage(
        "a single read of the traffic is not believed",
        lambda: set_to(machine, "_taken", _believe),
        stale_reads,
    ),
    Sabotage(
        "an end cancels jobs whose receipt is missing",
        lambda: set_to(effects, "_uncancelled", always(None)),
        faults.test_f17_an_abort_cancels_the_job_whose_receipt_was_never_written,
    ),
    Sabotage(
        "only jobs of ours are cancelled",
        lambda: set_to(MemoryTraining, "cancel", _cancel_any),
        faults.test_f18_a_job_of_somebody_else_stops_the_release_and_is_never_cancelled,
    ),
    Sabotage(
        "a way back is set though it is read already",
        lambda: set_to(effects, "_traffic", _forward_only),
        faults.test_f19_an_abort_while_a_step_is_on_its_way_overrides_it,
    ),
    Sabotage(
        "an overwritten blob is superseded",
        lambda: mock.patch.dict(events.HANDLERS, {rows.EventKind.BLOB: _take_anything}),
        faults.test_f02_the_older_of_two_events_of_one_blob_is_superseded_whichever_comes_first,
    ),
    Sabotage(
        "labels that the loop's own model made are taken away",
        lambda: set_to(origins.Origins, "sift", lambda self, batch: batch),
        origin.test_late_labels_that_the_champion_made_start_nothing,
    ),
    Sabotage(
        "a version of the loop's own predictions raises nothing",
        lambda: set_to(version_verdict, "_own", always(None)),
        own_drift_raises_nothing,
    ),
    Sabotage(
        "a folder's quiet time begins anew with each file",
        lambda: set_to(folders, "quiet", always(timedelta(0))),
        complete.test_a_folder_is_one_version_once_nothing_has_landed_in_it_for_so_long,
    ),
    Sabotage(
        "a file that lands after its folder was read is late",
        lambda: set_to(drop_parts, "read_as", always(0)),
        complete.test_what_lands_after_the_folder_was_read_is_told_by_name_and_nothing_is_read_twice,
    ),
    Sabotage(
        "a folder is read once all that its manifest names has landed",
        lambda: set_to(drop_parts.manifest, "absent", always([])),
        complete.test_files_that_never_come_are_told_by_name_when_the_wait_is_over,
    ),
    Sabotage(
        "late data are no reason to retrain",
        lambda: mock.patch("shared.verdict.version_verdict._late", always(None)),
        faults.test_f03_old_data_that_come_a_day_late_are_a_version_and_no_reason_to_retrain,
    ),
    Sabotage(
        "the sweep compares landing and inbox",
        lambda: set_to(tick, "_landed", always(0)),
        faults.test_f04_the_sweep_finds_what_was_never_told_in_the_order_in_which_it_landed,
    ),
    Sabotage(
        "nothing is retrained on nothing new",
        lambda: set_to(policy, "_denial", always(None)),
        nothing_new_is_fine,
    ),
    Sabotage(
        "a release is followed by a rest", lambda: set_to(policy, "_delay", always(None)), cooldown_holds
    ),
    Sabotage(
        "a budget in money that is spent lets no release start",
        lambda: set_to(policy.cost, "over_budget", always(None)),
        costs.test_jobs_and_the_second_deployment_are_charged_and_the_reason_waits_for_the_next_day,
    ),
    Sabotage(
        "failures in a row open the breaker",
        lambda: set_to(policy, "_breaker", always(None)),
        five_failures_open_the_breaker,
    ),
    Sabotage(
        "the ledger is chained",
        lambda: set_to(hash_chain, "entry_hash", always("same")),
        an_edit_of_the_ledger_is_found,
    ),
    Sabotage(
        "drift must be material",
        lambda: set_to(report.Effect, "material", property(always(True))),
        immaterial_drift_starts_nothing,
    ),
    Sabotage(
        "breaches are counted since the last retraining",
        lambda: set_to(start, "replace", _keeping("recent_breaches")),
        breaches_before_a_retraining_do_not_count,
    ),
    Sabotage(
        "a resolved alert withdraws its request",
        lambda: set_to(requests, "_is_of", always(False)),
        policies.test_an_alert_that_is_resolved_in_the_cooldown_withdraws_what_it_asked_for_and_no_other_does,
    ),
    Sabotage(
        "an alert that the loop's own canary set off is no reason",
        lambda: set_to(policy, "is_echo", always(False)),
        policies.test_an_alert_that_the_loops_own_canary_caused_is_no_reason_to_retrain,
    ),
    Sabotage(
        "releases that do not help are followed by a rest",
        lambda: set_to(policy, "_breaker", always(None)),
        explaining.test_releases_that_mended_nothing_are_told,
    ),
    Sabotage(
        "whether it helped is judged on rows that are new to both models",
        lambda: set_to(new_rows, "_of", lambda evidence, new: evidence),
        lambda: newness.test_only_rows_that_are_new_to_both_count(
            newness.half(newness.TRUTH, newness.TRUTH),
            newness.half(newness.TRUTH, newness.WRONG),
            Outcome.INCONCLUSIVE,
        ),
    ),
    Sabotage(
        "an answer with status 200 is looked into",
        lambda: set_to(smoke, "_fault_of", always(None)),
        lambda: smoking.test_malformed_answers_with_status_200_fail(["Adelie", None], "not a class"),
    ),
    Sabotage(
        "a worse challenger does not pass the gate",
        lambda: set_to(gate_judge, "_worst", always(Outcome.PASS)),
        gating.test_a_clearly_worse_challenger_fails_and_says_why,
    ),
    Sabotage(
        "a model that somebody else deploys is seen without an event",
        lambda: set_to(tick.strangers, "look", always(None)),
        lambda: strangers.test_the_sweep_finds_it_without_any_event_and_tells_when_it_is_gone(
            strangers.served()
        ),
    ),
    Sabotage(
        "a bake that asks for labels does not end without any",
        lambda: set_to(bake_judge, "_lacks_labels", always(False)),
        lambda: finals.test_a_bake_that_asks_for_labels_does_not_end_without_any(_labelled_world()),
    ),
    Sabotage(
        "the labels of a release that went live on provisional ones are judged again",
        lambda: set_to(final_labels, "answer", always(False)),
        lambda: finals.test_that_no_label_came_is_told(_labelled_world()),
    ),
    Sabotage(
        "signals have their part of the rollback budget, and no more",
        lambda: set_to(CanaryPolicy, "signal_share", always(0.5)),
        lambda: signals.test_however_many_signals_there_are_the_parts_make_one_budget((signals.REFUNDS,)),
    ),
    Sabotage(
        "a step waits for a signal that it needs",
        lambda: set_to(signal_harm, "waited_for", always(())),
        lambda: signals.test_what_does_not_answer_holds_where_it_is_needed_and_is_told_where_it_is_not(
            signals.REFUNDS, None
        ),
    ),
    Sabotage(
        "groups that are treated unlike do not pass the gate",
        lambda: set_to(gate_judge, "judge_parity", always([])),
        parities.test_a_model_that_chooses_one_group_far_more_often_is_rejected_and_both_groups_are_named,
    ),
    Sabotage(
        "a bake without evidence goes back",
        lambda: set_to(
            machine, "roll_back", lambda release, outcome, why, now: machine._baked(release, now, why)
        ),
        a_bake_without_evidence_goes_back,
    ),
    Sabotage(
        "a paused loop's release stands still",
        lambda: set_to(unit_of_work.Unit, "stands_still", False),
        steering.test_a_pause_in_mid_canary_keeps_the_traffic_gathers_evidence_and_resume_goes_on,
    ),
    Sabotage(
        "a past alert is answered at its time",
        lambda: set_to(simulation.Past, "until", simulation.Past._quietly_until),
        a_past_alert_is_answered,
    ),
    Sabotage(
        "what is published from its first clean commit is on record",
        lambda: set_to(publication, "_first_clean", always(False)),
        commits.test_the_first_clean_commit_of_what_was_published_is_recorded_and_later_ones_change_nothing,
    ),
    Sabotage(
        "intervals of late labels hold for all slices together",
        lambda: set_to(label_slices, "_level", lambda confidence, slices: confidence),
        sliced.test_small_slices_are_counted_and_the_intervals_hold_for_all_that_are_judged,
    ),
    Sabotage(
        "importances of two methods are not held beside each other",
        lambda: set_to(importance, "_alike", always(True)),
        explanations.test_two_methods_are_not_held_beside_each_other,
    ),
    Sabotage(
        "an exported file's ledger is verified on reading",
        lambda: set_to(exported_release.hash_chain, "problems", always([])),
        lambda: _an_edit_of_an_exported_file_is_told(),
    ),
    Sabotage(
        "an exported file's row and documents are compared with its ledger",
        lambda: set_to(exported_release, "compare_kept", always([])),
        lambda: _an_edit_of_an_exported_file_is_told(),
    ),
    Sabotage(
        "ids of rows are not exported",
        lambda: set_to(exported_release, "_names_rows", always(False)),
        exporting.test_ids_of_rows_stay_at_home_unless_asked_for,
    ),
    Sabotage(
        "equal content is one version",
        lambda: set_to(rows, "content_key", lambda digest: f"content-{next(NUMBERS)}"),
        equal_content_is_one_version,
    ),
    Sabotage(
        "training has attempts, not for ever",
        lambda: set_to(machine, "_job", _always_again),
        attempts_are_limited,
    ),
    Sabotage(
        "a look that fails is followed by a pause",
        lambda: set_to(stepper, "_due", always(True)),
        faults.test_f09_a_service_that_asks_to_wait_is_left_alone_and_no_attempt_is_lost,
    ),
    Sabotage(
        "a claim ends with its time",
        lambda: several(
            set_to(worker, "CLAIM", timedelta(days=365)),
            mock.patch("shared.memory.store.LONGEST_CLAIM", timedelta(days=365)),
        ),
        crashes_after_submission,
    ),
    Sabotage(
        "a canary without evidence holds",
        lambda: several(
            mock.patch("shared.canary.canary_judge._broken", always(None)),
            mock.patch("shared.canary.canary_judge._late", always([])),
            mock.patch("shared.canary.canary_judge._thin", always([])),
        ),
        no_evidence_promotes_nothing,
    ),
    Sabotage(
        "a part that never wins gives way",
        lambda: several(set_to(worker, "MAX_RIVALS", 10**6), set_to(worker, "MAX_STEPS", 10)),
        isolation.an_archived_blob_taken_for_a_race_stops_nothing,
    ),
    Sabotage(
        "an event that fails for ever is set aside",
        lambda: set_to(events, "MAX_ATTEMPTS", 10**6),
        isolation.a_lost_race_for_ever_is_set_aside,
    ),
    Sabotage(
        "events that fail hide no others",
        lambda: set_to(worker.Run, "todos", _first_page),
        isolation.test_hundreds_of_events_that_cannot_be_handled_hide_no_drop,
    ),
    Sabotage(
        "a window is ranked once, over all columns and slices together",
        lambda: set_to(history, "unusual", _each_alone),
        windows.test_a_year_of_quiet_windows_alarms_at_most_at_the_rate_over_all_slices_together,
    ),
    Sabotage(
        "a report's columns and slices are one family",
        lambda: set_to(significance, "adjusted", lambda p_values, floors, rate: np.array(p_values)),
        lambda: segments.test_a_quiet_report_alarms_at_its_rate_over_all_segments(10),
    ),
    Sabotage(
        "people come first",
        lambda: set_to(
            rows, "todo_key", lambda record: f"todo-{record.received_at.isoformat()}-{record.key}"
        ),
        faults.test_people_come_before_a_thousand_events,
    ),
)
"""Late-bound: a guard is looked up when it is removed."""


def _each_alone(past: Sequence[dict[str, float]], now: dict[str, float], rate: float = 0.1) -> history.Rank:
    ranks = [
        history.verdict([drop[name] for drop in past if name in drop], far, rate) for name, far in now.items()
    ]
    return min(ranks, key=lambda rank: rank.p_value)


def _an_edit_of_an_exported_file_is_told() -> None:
    exported = exported_release.export(faults.served().real, "birds", 1)
    spoiled: Sequence[exporting.Edit] = (exporting.entry(1, actor="mallory"), exporting.margin)
    for edit in spoiled:
        content = json.loads(exported.to_text())
        edit(content)
        found = command.opened_from(
            exported_release.ExportedRelease.from_text(json.dumps(content), "the file")
        )
        assert found.proof is not None and found.proof.problems != ()


def _keeping(name: str) -> Callable[..., Any]:
    """`dataclasses.replace` that leaves one field as it was."""
    return lambda value, **changes: replace(value, **{k: v for k, v in changes.items() if k != name})


def _shifting_is_not_fought() -> None:
    life = faults.served(plan=faults.LOOP.replace("minutes: 0.05", "minutes: 60"))
    life.drop("2.csv", birds(2, 1.3))
    endpoint = life.real.serving.endpoints["birds"]
    endpoint.deployments["mine"] = endpoint.deployments["r1-a1"]
    endpoint.traffic = {"mine": 100}
    for _ in range(20):
        life.round()
    assert life.traffic() == {"mine": 100}


def _first_page(self: worker.Run, current: unit_of_work.Unit) -> list[Any]:
    found = current.ports.store.range("birds", rows.TODO, limit=worker.TODOS)
    return [row for row in found if row.key not in self.failed]


def _believe(release: Release, seen: obs.TrafficTaken, definition: Any, now: Any) -> Release:
    return replace(release, traffic=dict(seen.weights), adopted=True)


def _cancel_any(self: MemoryTraining, name: str) -> None:
    if name in self.jobs:
        self.jobs[name].status = "canceled"


def _forward_only(u: Any, release: Release, published: Any, wanted: Any) -> obs.Observation:
    actual = dict(u.ports.serving.traffic("birds"))
    if actual != dict(wanted):
        u.ports.serving.set_traffic("birds", wanted)
    return obs.TrafficIs(wanted, settled=True)


def _take_anything(u: unit_of_work.Unit, record: Any, row: Any) -> None:
    if record.version is not None:
        drops.register(u, record, row)
        return
    blob = u.ports.blobs.find(record.body["container"], record.body["name"])
    assert blob is not None
    landing, spec = drops.Landing(u, record, row), drops.spec_of(u)
    drops._read(landing, blob, spec, functools.partial(drops.number, reference=spec.reference), jobs=False)


def _always_again(release: Release, seen: Any, definition: Any, now: Any) -> Release:
    if seen.status == "failed" and release.attempt < 9:
        return replace(machine.move(release, Phase.TRAINING, now), attempt=release.attempt + 1)
    return machine.clean(release, Phase.FAILED, "", now)


@pytest.mark.parametrize("sabotage", GUARDS, ids=lambda one: one.name)
def test_the_suite_fails_without_this_guard(sabotage: Sabotage) -> None:
    reader.forget()  # what was answered while the guard was there
    with sabotage.remove(), pytest.raises(AssertionError):
        sabotage.caught_by()
    reader.forget()


@pytest.mark.soak
def test_with_all_guards_what_catches_them_passes() -> None:
    """Those that are tests of their own are run as such."""
    seen = set()
    for sabotage in GUARDS:
        if not sabotage.caught_by.__name__.startswith("test_") and sabotage.caught_by not in seen:
            seen.add(sabotage.caught_by)
            sabotage.caught_by()


def test_there_are_enough() -> None:
    assert len(GUARDS) >= 45
