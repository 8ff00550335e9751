"""The tick takes every due step; the sweep finds what no event reported, and checks the traffic."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from shared.domain.loop import Overview
from shared.domain.reason import Reason, bounded
from shared.domain.release import Phase
from shared.errors import DriftloopError
from shared.inbox import dead_letters, landings, recorder
from shared.inbox.blob_events import Landed
from shared.ports import Blob, Ports
from shared.redaction import reason_of
from shared.release import effects
from shared.retraining import start
from shared.runtime import run_queue, serving_look, strangers, unit_of_work, worker
from shared.runtime.forgotten import forgotten
from shared.runtime.unit_of_work import Unit
from shared.runtime.worker import Ran
from shared.state import rows
from shared.state.hash_chain import Draft

log = logging.getLogger("driftloop")

TICK = timedelta(seconds=100)
"""A tick begins no other loop after this; who waits longest is first in the next one."""

SWEEP = timedelta(seconds=100)
"""The sweep looks after no other loop after this, of the two minutes until it comes again."""

SHARE = 4
"""Each time the sweep looks after one loop in so many, so that each has its turn within ten minutes, also when one of
five sweeps failed."""

FEW = 25
"""So many loops are no burden: all of them have their turn each time."""

QUIET = timedelta(minutes=2)
"""After a release, before traffic is compared: an earlier split may still be read."""

LEFTOVERS = timedelta(hours=1)
"""No call of a function lasts so long."""

STILL = timedelta(minutes=5)
"""The sweep takes what nobody has written to for so long. What is written bit by bit (over SFTP, by flushes before the
close, by appends) can be read meanwhile (apache/hadoop#2587), and its bits have no events
(MicrosoftDocs/azure-docs#101653)."""

UPLOAD = timedelta(hours=1)
"""For so long after it landed the sweep takes an empty file for one that is being written."""


def tick(ports: Ports) -> list[Ran]:
    """Run every loop whose time has come, the longest due first; one that fails does not keep the others."""
    due = ports.store.overviews(due_before=ports.clock.now())
    longest_first = sorted(due, key=lambda overview: (overview.due_at is not None, overview.due_at))
    return run_all(ports, (overview.loop for overview in longest_first))


def run_all(ports: Ports, loops: Iterable[str]) -> list[Ran]:
    ran, began = [], ports.clock.now()
    for loop in loops:
        if ports.clock.now() - began > TICK:
            break
        try:
            ran.append(worker.run(ports, loop))
        except DriftloopError as error:
            log.warning("loop waits", extra={"loop": loop, "error": str(error)})
        except Exception:  # a loop's trouble stops no other loop
            log.exception("loop stopped", extra={"loop": loop})
    return ran


def sweep(ports: Ports, account_url: str = "") -> int:
    """Heal what was lost, for each loop whose turn it is, and wake it; how many events were found.

    With `account_url`, events that failed five times, belonged to no loop or could not be delivered are tried again.
    """
    overviews = ports.store.overviews()
    found = 0
    if account_url:
        _replayed(lambda: recorder.take_poison(ports))  # then tried again with the others that failed
        _replayed(lambda: run_queue.take_poison(ports))
        found += _replayed(lambda: recorder.replay(ports, overviews, account_url))
        found += _replayed(lambda: dead_letters.replay(ports, account_url))
    began = ports.clock.now()
    turn = _turn(overviews, began)
    for number, overview in enumerate(turn):
        if ports.clock.now() - began > SWEEP:
            log.warning("the sweep has no time for its share", extra={"loops": len(turn), "swept": number})
            break
        found += _heal(ports, overview)
    _replayed(lambda: _remembered(ports, overviews))
    return found


def _remembered(ports: Ports, overviews: list[Overview]) -> int:
    """A loop whose overview was deleted is woken; its run describes it anew; of many, a few places are looked at."""
    names = forgotten(ports.store, [one.loop for one in overviews], FEW)
    for name in names:
        log.warning("a loop has rows and no overview, which is made anew", extra={"loop": name})
        ports.store.wake(name, ports.clock.now())
    return len(names)


def _turn(overviews: list[Overview], now: datetime) -> list[Overview]:
    """A share of the loops, those first whose last turn is the longest ago. A time to come, of a clock that was wrong,
    counts as none."""

    def last(overview: Overview) -> float:
        swept_at = overview.swept_at
        return swept_at.timestamp() if swept_at is not None and swept_at <= now else 0.0

    return sorted(overviews, key=last)[: max(FEW, math.ceil(len(overviews) / SHARE))]


def _replayed(replay: Callable[[], int]) -> int:
    try:
        return replay()
    except DriftloopError as error:
        log.error("replaying failed", extra={"error": str(error)})
    except Exception:  # what cannot be replayed keeps no loop from being healed
        log.exception("replaying failed")
    return 0


@dataclass
class Swept:
    """One loop in a sweep: what its parts find wrong, and the loop's row, read again only after it was written."""

    ports: Ports
    overview: Overview
    trouble: list[Reason] = field(default_factory=list)
    _read: Unit | None = None

    def loop(self) -> Unit | None:
        """None while it is being published for the first time, and only its overview is there."""
        if self._read is None or self._read.spent:
            loop = self.overview.loop
            row = self.ports.store.read(loop, rows.LOOP)
            self._read = None if row is None else unit_of_work.of_row(self.ports, loop, row)
        return self._read


def _heal(ports: Ports, overview: Overview) -> int:
    """Lost drops, what releases left behind, the traffic, lost models: none keeps another from being looked after."""
    found, this = 0, Swept(ports, overview)
    for part in (_begun, _landed, _cleared, _served, _strangers, _models, _told, _woken):
        try:
            found += part(this)
        except DriftloopError as error:
            log.error("sweep failed for a loop", extra={"loop": overview.loop, "error": str(error)})
            this.trouble.append(reason_of(error))
        except Exception as error:  # a loop's trouble stops no other loop
            log.exception("sweep failed for a loop", extra={"loop": overview.loop})
            this.trouble.append(reason_of(error))
    return found


def _begun(this: Swept) -> int:
    """Its turn is over once it has begun: a loop that takes the process with it keeps the next sweep from no other."""
    this.ports.store.swept(this.overview.loop, this.ports.clock.now())
    return 0


def _woken(this: Swept) -> int:
    """Also a loop that nothing was found for: its wake may have been lost."""
    recorder.wake(this.ports, this.overview)
    return 0


def _cleared(this: Swept) -> int:
    if (current := this.loop()) is not None:
        _clear_up(current)
    return 0


def _served(this: Swept) -> int:
    current = this.loop()
    traffic = serving_look.look(current, this.overview.endpoint) if current is not None else None
    if traffic is not None and (current := this.loop()) is not None:
        _compare_traffic(current, this.overview, dict(traffic))
    return 0


def _strangers(this: Swept) -> int:
    if (current := this.loop()) is not None:
        strangers.look(current)
    return 0


def _models(this: Swept) -> int:
    current = this.loop()
    return recorder.find_model(this.ports, this.overview, current.state.published_at) if current else 0


def _told(this: Swept) -> int:
    """Written only when it is another trouble: a text may name a request, which is a new one each time."""
    if (current := this.loop()) is not None:
        before, after = current.state.unswept, bounded(this.trouble[0]) if this.trouble else None
        if (before and before.code) != (after and after.code):
            current.commit(replace(current.state, unswept=after))
    return 0


def _landed(this: Swept) -> int:
    """Record every landed blob that has no inbox record yet, in the order in which they landed."""
    ports, overview = this.ports, this.overview
    known = recorder.known(ports, overview.loop)
    lost = [
        blob
        for container, _, prefix in (
            place.partition("/") for place in (overview.landing, overview.labels) if place
        )
        for blob in ports.blobs.list(container, prefix)
        if landings.place_of(overview, container, blob.name) is not None
        and recorder.blob_key(container, blob.name, blob.etag) not in known
        and not _is_begun(blob, ports.clock.now())
    ]
    found = 0
    for blob in sorted(lost, key=lambda blob: blob.created_at):
        if recorder.land(ports, overview, Landed(blob.container, blob.name, blob.etag, "")):
            told = {"loop": overview.loop, "blob": f"{blob.container}/{blob.name}"}
            log.warning("the sweep found a blob that no event reported", extra=told)
            found += 1
    return found


def _is_begun(blob: Blob, now: datetime) -> bool:
    """An upload over SFTP or of an account with folders first lands as a file of 0 bytes; its end has an event, which
    is not waited for here. The end of a copy has none (MicrosoftDocs/azure-docs#74041), but another ETag."""
    if blob.copy == "pending":
        return True
    is_empty = not blob.size_bytes and blob.name.rpartition("/")[2] != landings.FOLDER_END
    return blob.created_at > now - (UPLOAD if is_empty else STILL)


def _clear_up(current: Unit) -> None:
    """For an hour after a release that did not go live, nothing of it may come to life again."""
    state, now = current.state, current.ports.clock.now()
    if state.open_release is not None or state.last_outcome == Phase.LIVE.value:
        return
    if state.last_ended_at is not None and now - state.last_ended_at < LEFTOVERS:
        release = current.release(state.next_release - 1)[0]
        effects.clear_up(current, release, current.at_hand(release))


def _compare_traffic(current: Unit, overview: Overview, actual: Mapping[str, int]) -> None:
    """Between releases the champion has all traffic, or what a person gave it. What a worker of ours set that had slept
    is repaired, anything else is adopted, and both are recorded."""
    ports, state = current.ports, current.state
    if state.champion is None or state.open_release is not None or state.paused:
        return
    if state.last_ended_at is not None and ports.clock.now() - state.last_ended_at < QUIET:
        return
    expected = dict(state.adopted) or start.expected_traffic(state)
    if actual == expected:
        return
    serving = ports.server(current.published().definition.serve.type)
    if serving.set_by_us(overview.endpoint):
        late = _traffic_told("traffic.repaired", "driftloop", overview, actual, expected)
        current.commit(drafts=[late])
        serving.set_traffic(overview.endpoint, expected)
        return
    told = _traffic_told("traffic.adopted", "somebody outside Driftloop", overview, expected, actual)
    paused = unit_of_work.traffic_changed(state.loop, actual, f"restore {state.loop}")
    current.commit(replace(state, adopted=actual, paused=paused), [told])


def _traffic_told(
    what: str, actor: str, overview: Overview, before: Mapping[str, int], after: Mapping[str, int]
) -> Draft:
    return Draft(what, f"endpoint {overview.endpoint}", actor, "", before=str(before), after=str(after))
