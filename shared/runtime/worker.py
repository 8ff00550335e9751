"""A loop is taken forward one step at a time until nothing can be done now; whatever dies, the next tick continues."""

from __future__ import annotations

import logging
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial

from shared.domain.event import InboxRecord
from shared.domain.reason import Code, Reason, bounded, reason
from shared.domain.release import Release, TriggerKind
from shared.errors import (
    ConfigurationError,
    Conflict,
    DependencyUnavailable,
    DriftloopError,
    InvariantBroken,
    OutcomeUnknown,
)
from shared.intake import folders, job_answers, source
from shared.ports import Ports, Row
from shared.redaction import reason_of
from shared.release import foreign, stepper
from shared.retraining import due, start
from shared.runtime import events, outbox, overview_row, run_queue, unit_of_work
from shared.runtime.run_documents import RunDocuments
from shared.runtime.unit_of_work import Unit
from shared.state import rows
from shared.verdict import final_labels, served_inputs, served_predictions

log = logging.getLogger("driftloop")

CLAIM = timedelta(seconds=20)
"""How long a dead worker keeps others from its loop."""

MAX_STEPS = 200
"""A bound on one run, so that no function call lasts for ever; the next run continues."""

MAX_RIVALS = 3
"""Lost races of one part in one run: then it has failed, and the next run tries it again."""

TODOS = 100
"""Events of a loop that are read at once."""

STOPPED = timedelta(minutes=5)
"""How soon a loop is tried again whose rows cannot be read."""


@dataclass(frozen=True)
class Ran:
    """What one run of a loop came to."""

    loop: str
    steps: int
    due_at: datetime | None
    problems: tuple[Reason, ...] = ()


@dataclass
class Run:
    """One run of a loop: what failed in it, by part, and whether there may be events that it has not handled."""

    failed: dict[str, Exception] = field(default_factory=dict)
    lost: Counter[str] = field(default_factory=Counter)
    """Races that each part lost."""
    events: bool = True
    after: str = ""
    """Every event up to this key has failed in this run: it must not hide the next ones."""
    rested: int | None = None
    """The release that can go no further until something else has happened."""
    happened: bool = False
    """Whether another part went forward since, for example labels that tell the arms apart."""

    def todos(self, current: Unit) -> list[Row]:
        """Events that are work, people's acts first. Once there is none, the run asks no more: who brings another
        wakes the loop."""
        while self.events:
            found = current.ports.store.range(current.loop, rows.TODO, after=self.after, limit=TODOS)
            left = [row for row in found if row.key not in self.failed]
            if left or len(found) < TODOS:
                self.events = bool(left)
                return left
            self.after = found[-1].key
        return []

    @property
    def problems(self) -> tuple[Reason, ...]:
        """What failed, each once; that time ran out is not a problem, the next tick continues."""
        found = [reason_of(error) for part, error in self.failed.items() if part != "time"]
        return tuple(why for n, why in enumerate(found) if why not in found[:n])

    @property
    def wait_s(self) -> float | None:
        """How long what failed asks to be left alone; None when nothing failed."""
        return max(map(_wait_s, self.failed.values()), default=None)


def run(ports: Ports, loop: str) -> Ran:
    """Take `loop` forward as far as it goes now. Another worker on it: nothing is done, and the end of its claim leaves
    the loop due, since it may have looked before the work was there."""
    holder = uuid.uuid4().hex
    now = ports.clock.now()
    token = ports.store.claim(loop, holder, now, now + CLAIM)
    if token is None:
        ports.store.wake(loop, now)
        return Ran(loop, 0, now)
    this, steps = Run(), 0
    ports = replace(ports, documents=RunDocuments(ports.documents))
    try:
        while step(ports, loop, this):
            steps += 1
            if steps == MAX_STEPS or ports.clock.now() - now >= CLAIM / 2:
                more = "there is more to do than one run does; another is asked for"
                this.failed["time"] = DependencyUnavailable(more, code=Code.MORE_TO_DO)
                break
    except DriftloopError as error:
        this.failed["loop"] = error
    _send(ports, loop, this, "announcing", outbox.announce)
    if ports.lineage is not None:
        _send(ports, loop, this, "lineage", outbox.trace)
    return _settle(ports, loop, token, steps, this)


def _send(ports: Ports, loop: str, this: Run, part: str, send: Callable[[Unit], bool]) -> None:
    """Ledger entries go out once all that can be done now is done; what cannot go waits for the next run."""
    lost: Exception | None = None
    for _ in range(MAX_RIVALS):
        try:
            if not send(unit_of_work.read(ports, loop)):
                return
            lost = None
        except (Conflict, OutcomeUnknown) as error:
            lost = error  # sent by another worker meanwhile, or sent twice: the event's id is the same
        except Exception as error:
            if not isinstance(error, DriftloopError):
                log.exception("a part of a loop failed", extra={"loop": loop, "part": part})
            lost = error
            break
    if lost is not None:
        this.failed[part] = lost


def step(ports: Ports, loop: str, this: Run) -> bool:
    """Try the parts of this loop in their order, until one of them goes forward; False when none can.

    A part that fails is noted in `this` and left alone until the next run: it stops no other part.
    """
    current = unit_of_work.read(ports, loop)
    for name, part in _parts(current, this):
        if name in this.failed:
            continue
        try:
            if part():
                this.events = this.events or name in ("source", "folders", "reading")
                this.happened = this.happened or name != "release"
                return True
        except (Conflict, OutcomeUnknown) as error:
            _lost(ports, loop, this, name, error)
            return True
        except Exception as error:
            if not isinstance(error, DriftloopError):
                log.exception("a part of a loop failed", extra={"loop": loop, "part": name})
            this.failed[name] = error
            if current.spent:  # by what counts its failure
                return True
    return False


def _parts(current: Unit, this: Run) -> Iterator[tuple[str, Callable[[], bool]]]:
    """People's acts and the open release come before new data: neither waits for a file that cannot be read."""
    todos = this.todos(current)
    for row in filter(_is_act, todos):
        yield row.key, partial(_act, current, row, this)
    number = current.state.open_release
    if number is not None and number != this.rested:
        yield "release", partial(_advance, current, number, this)
    while todos:
        for row in todos:
            yield (
                row.key,
                partial(_act, current, row, this) if _is_act(row) else partial(events.handle, current, row),
            )
        todos = this.todos(current)
    yield "source", partial(source.fetch, current)
    yield "folders", partial(folders.answer, current)
    yield "reading", partial(job_answers.answer, current)
    yield "schedule", partial(due.answer, current)
    yield "predictions", partial(served_predictions.answer, current)
    yield "final labels", partial(final_labels.answer, current)
    yield "served", partial(served_inputs.answer, current)
    if number is None:
        yield "waiting", partial(_reconsider, current)
    elif this.happened:
        yield "release", partial(_advance, current, number, this)


def _is_act(todo: Row) -> bool:
    return rows.is_act(todo.key)


def _act(current: Unit, row: Row, this: Run) -> bool:
    """What a person asked for; the release may go on after it."""
    handled = events.handle(current, row)
    this.rested = None
    this.failed.pop("release", None)
    return handled


def _advance(current: Unit, number: int, this: Run) -> bool:
    """The open release, until it can go no further; where that was written, the other parts read the loop anew."""
    this.happened = False
    moved = stepper.advance(current, number)
    this.rested = None if moved else number
    return moved or current.spent


def _lost(ports: Ports, loop: str, this: Run, part: str, error: Conflict | OutcomeUnknown) -> None:
    """Somebody wrote first: decide again, a few times. An event that never wins is counted like one that fails."""
    log.info("somebody wrote first, deciding again", extra={"loop": loop, "part": part, "error": str(error)})
    this.lost[part] += 1
    if this.lost[part] < MAX_RIVALS:
        return
    this.failed[part] = error
    if not part.startswith(rows.TODO) or isinstance(error, OutcomeUnknown):
        return
    current = unit_of_work.read(ports, loop)
    todo = ports.store.read(loop, part)
    row = ports.store.read(loop, rows.inbox_key(todo.doc)) if todo is not None else None
    if row is None:
        return
    try:
        events.failed_again(current, rows.decode(InboxRecord, row), row, error)
    except (Conflict, OutcomeUnknown):
        log.info("the attempt is not counted, somebody wrote first", extra={"loop": loop, "part": part})
    except DriftloopError as told:
        this.failed[part] = told


def _settle(ports: Ports, loop: str, token: str, steps: int, this: Run) -> Ran:
    """Say when to look again and what people need to see; a loop that cannot be read says that."""
    for part, error in this.failed.items():
        level = logging.INFO if part == "time" else logging.WARNING
        log.log(level, "loop waits", extra={"loop": loop, "part": part, "error": str(error)})
    problems = this.problems
    try:
        current = unit_of_work.read(ports, loop)
        release = current.open_release()
        if release is None and current.state.open_release is not None:
            current = unit_of_work.read(ports, loop)
            release = current.open_release()
        due_at = due.due_at(current, release, wait_s=this.wait_s, events=this.events)
    except (InvariantBroken, ConfigurationError) as error:
        problems = (reason_of(error),)
        due_at = ports.clock.now() + STOPPED
        _say(ports, loop, reason(Code.LOOP_SET_ASIDE, *problems))
    except DependencyUnavailable as error:
        problems = tuple(dict.fromkeys((*problems, reason_of(error))))
        due_at = ports.clock.now() + timedelta(seconds=max(this.wait_s or 0.0, _wait_s(error)))
        _say(ports, loop, reason(Code.LOOP_WAITS, *problems))
    else:
        problems = _described(current, release, problems)
    settled = ports.store.settle(loop, token, due_at)
    if not settled or "time" in this.failed:
        _ask_again(ports, loop)
    return Ran(loop, steps, due_at, problems)


def _described(current: Unit, release: Release | None, problems: tuple[Reason, ...]) -> tuple[Reason, ...]:
    """What people see of the loop. What cannot be read for it, such as the row of the newest version, is one problem
    more, and keeps nothing waiting: the open release does not need it."""
    try:
        overview_row.describe(current, release, problems)
    except Exception as error:
        log.warning("a loop cannot be described", extra={"loop": current.loop}, exc_info=error)
        problems = (*problems, reason_of(error))
        _say(current.ports, current.loop, reason(Code.LOOP_WAITS, *problems))
    return problems


def _say(ports: Ports, loop: str, attention: Reason) -> None:
    """To people, who see the rest of the loop as it was."""
    if overview := ports.store.overview(loop):
        ports.store.describe(replace(overview, needs_attention=bounded(attention)))


def _ask_again(ports: Ports, loop: str) -> None:
    """More came meanwhile, whose message another worker may have taken and found the loop held; or more is left."""
    try:
        run_queue.ask(ports, [loop])
    except DriftloopError as error:
        log.warning("no run is asked for, the tick runs it", extra={"loop": loop, "error": str(error)})


def _wait_s(error: Exception) -> float:
    asked = error.retry_after_s if isinstance(error, DependencyUnavailable) else None
    return min(max(asked or 0.0, due.LOOK_AGAIN.total_seconds()), stepper.MOST_ASKED_S)


def _reconsider(current: Unit) -> bool:
    """Triggers that waited for a release to end, or for the loop to go on, are put to the policy again."""
    state, now = current.state, current.ports.clock.now()
    if not state.waiting or state.paused or (state.waiting_until is not None and now < state.waiting_until):
        return False
    if due.unlabelled(current):
        return False
    if any(trigger.kind is TriggerKind.MODEL for trigger in state.waiting):
        foreign.again(current, state).commit(current)
    else:
        start.answer(current, replace(state, waiting=(), waiting_until=None), state.waiting).commit(current)
    return True
