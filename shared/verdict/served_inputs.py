"""What the champion is asked is judged window by window, beside the data that it was trained on.

Requests depend on each other: an hour is like the hour before it, a Sunday unlike a Monday. So a window alarms where
it is unusual among the champion's own past windows and some effect lies beyond the loop's tolerances; the tests of
rows are shown and promise nothing here (`drift.history` says what the rank promises).

A window is read once, when what belongs to it has come, and its verdict, its place in the past and the moment up to
which windows are judged change in one transaction.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from shared.domain.loop import LoopState
from shared.domain.reason import Code, Reason, reason
from shared.domain.release import UNLABELLED, Champion, Trigger, TriggerKind
from shared.ports import Documents
from shared.retraining import policy, start
from shared.runtime.unit_of_work import Unit
from shared.state.hash_chain import Draft
from shared.verdict import comparison, served_estimate, served_rows
from shared.verdict.estimate import Estimated, asked, checked
from shared.verdict.served_estimate import Served

if TYPE_CHECKING:
    import drift
    from shared.loopfile import Definition

LATE = timedelta(minutes=30)
"""How long after a window's end it is closed: the collector's lines come up to ten minutes late, and the traffic log,
which says whose they are, some minutes after the requests (how-to-collect-production-data.md;
azure-monitor/logs/data-ingestion-time.md)."""

FEWEST_ROWS = 50
"""Inputs below which a window is not judged, and is no past for others."""

MOST_BEHIND = 32
"""Windows that are judged after the fact, where none was before or the loop stood still; older ones are not."""

MOST_WINDOWS, MOST_NUMBERS = 200, 100_000
"""What is kept of the past: so many windows, and so many distances."""

A_DAY, RECENT = timedelta(days=1), timedelta(days=7)
"""How far back a monitor's breach is looked for in what was served."""


@dataclass(frozen=True)
class Window:
    """One span of served inputs, as it was judged."""

    since: str
    until: str
    release: int
    rows: int
    profile: str = ""
    """Document hash; empty where there were too few rows."""
    report: str = ""
    distances: Mapping[str, float] | None = None
    """From the champion's reference, by column; None where the window is no past for others."""
    material: bool | None = None
    """None: it could not be judged."""
    estimate: Estimated | None = None
    """Of the metric, before labels come; None where the loop does not ask for it, or it cannot be made."""

    @property
    def span(self) -> timedelta:
        return datetime.fromisoformat(self.until) - datetime.fromisoformat(self.since)

    def is_like(self, other: Window) -> bool:
        """Of the same champion, as another has another reference, and as long: shorter ones differ more by chance."""
        return self.release == other.release and self.span == other.span


def windows(documents: Documents, state: LoopState) -> list[Window]:
    """The windows that are kept, oldest first."""
    if not state.served:
        return []
    return list(map(_window, json.loads(documents.get(state.served))["windows"]))


def _window(kept: dict[str, Any]) -> Window:
    estimate = kept.pop("estimate", None)
    return Window(**kept, estimate=Estimated(**estimate) if estimate else None)


def estimates(past: Sequence[Window], release: int) -> list[Estimated]:
    """Those of one model, oldest first."""
    return [w.estimate for w in past if w.estimate is not None and w.release == release]


def with_labels(
    documents: Documents, window: Window, labels: Mapping[str, object], worth: Mapping[str, float]
) -> Window:
    """The window, with what these labels say of its estimate where they are enough."""
    if window.estimate is None:
        return window
    about = asked(documents, window.estimate)
    after = checked(window.estimate, about, labels, worth)
    return window if after is None else replace(window, estimate=after)


def estimate_was(window: Window) -> Reason:
    """An estimate, beside what labels say of it."""
    one = window.estimate
    assert one is not None
    facts: dict[str, Any] = {"said": one.said, "said_low": one.said_low, "said_high": one.said_high}
    facts |= {"metric": one.metric, "value": one.value, "low": one.low, "high": one.high, "rows": one.labels}
    return reason(Code.ESTIMATE_WAS, **facts, since=window.since, until=window.until)


def next_at(state: LoopState, definition: Definition, now: datetime) -> datetime | None:
    """When the next window is closed; None: the loop does not ask for it, or no model serves."""
    since = _since(state, definition, now)
    return None if since is None else since + _every(definition) + LATE


def _since(state: LoopState, definition: Definition, now: datetime) -> datetime | None:
    if definition.drift.served is None or state.champion is None:
        return None
    oldest = now - LATE - MOST_BEHIND * _every(definition)
    return max(state.champion.live_at, state.served_through or oldest, oldest)


def _every(definition: Definition) -> timedelta:
    assert definition.drift.served is not None
    return definition.drift.served


def answer(current: Unit) -> bool:
    """Judge the oldest window that is closed and not judged yet; True when there was one."""
    definition, now = current.published().definition, current.ports.clock.now()
    since = _since(current.state, definition, now)
    if since is None or now < since + _every(definition) + LATE:
        return False
    assert current.state.champion is not None
    until = since + _every(definition)
    past = windows(current.ports.documents, current.state)
    window, seen = _judged(current, definition, past, since, until)
    release = current.state.champion.release
    verdict = reason(
        Code.SERVED_JUDGED,
        *seen,
        inputs=window.rows,
        release=release,
        since=since.isoformat(),
        until=until.isoformat(),
    )
    cause = f"served-{until.isoformat()}"
    kept = current.ports.documents.put(written([*past, window]))
    looked = replace(current.state, served=kept, served_through=until, served_verdict=verdict)
    reasons, waits = _reasons(looked, definition, [*past, window], Trigger(_KIND, verdict, _US, cause, now))
    reasons += _past_threshold(
        looked, definition, [*past, window], Trigger(_ESTIMATE, verdict, _US, cause, now)
    )
    outcome = start.answer(current, looked, reasons)
    entry = Draft(
        "served.judged",
        f"release {release}",
        _US,
        cause,
        detail={
            "verdict": verdict,
            "decision": outcome.reason or waits or reason(Code.NO_TRIGGER),
            "report": window.report,
        },
    )
    current.commit(outcome.state, [entry, *outcome.drafts], outcome.changes)
    return True


_KIND, _ESTIMATE, _US = TriggerKind.SERVED, TriggerKind.ESTIMATE, "driftloop"


def _reasons(
    state: LoopState, definition: Definition, judged: Sequence[Window], trigger: Trigger
) -> tuple[list[Trigger], Reason | None]:
    """The trigger where drift lasts; one waits at a time, or a week without labels would bring one an hour."""
    wanted, newest = definition.drift.persistence, judged[-1]
    recent = [w.material for w in judged if w.material is not None and w.is_like(newest)]
    if not newest.material or not policy.persistent(recent, wanted.breaches, wanted.of):
        return [], None
    if any(waiting.kind is _KIND for waiting in state.waiting):
        return [], reason(Code.SERVED_WAITS_ALREADY)
    return [trigger], None


def _past_threshold(
    state: LoopState, definition: Definition, judged: Sequence[Window], trigger: Trigger
) -> list[Trigger]:
    """The trigger where the metric is estimated past its threshold as lastingly as drift must be; one waits."""
    if any(t.kind in UNLABELLED for t in state.waiting):
        return []
    wanted, newest = definition.drift.persistence, judged[-1]
    recent = [w.estimate for w in judged if w.estimate is not None and w.is_like(newest)]
    beyond = [one.past_threshold is True for one in recent]
    now = newest.estimate is not None and newest.estimate.past_threshold
    return [trigger] if now and policy.persistent(beyond, wanted.breaches, wanted.of) else []


def _judged(
    current: Unit, definition: Definition, past: Sequence[Window], since: datetime, until: datetime
) -> tuple[Window, tuple[Reason, ...]]:
    champion, documents = current.state.champion, current.ports.documents
    assert champion is not None
    served = _served(current, champion, definition, since, until)
    given = _given(current, champion, definition, served)
    found = tuple(_findings(given))
    inputs = given.rows + given.incomplete + given.unnamed
    window = Window(since.isoformat(), until.isoformat(), champion.release, inputs)
    if given.profile is None or given.rows < FEWEST_ROWS:
        return window, (*found, reason(Code.SERVED_TOO_FEW, whole=given.rows, least=FEWEST_ROWS))
    whole, before = [served[place] for place in given.whole], estimates(past, champion.release)
    estimate, opinion = served_estimate.of_window(current, definition, whole, before, f"{until:%Y%m%d%H%M}")
    found = (*opinion, *found)
    report = comparison.between(given.reference, given.profile, definition)
    window = replace(
        window,
        estimate=estimate,
        profile=documents.put(given.profile.to_bytes()),
        report=documents.put(comparison.kept(report)),
    )
    if report.broken:
        broken = [finding.words for finding in report.findings if finding.breaking][: comparison.MOST_MOVED]
        return window, (*found, *(reason(Code.SERVED_BROKEN, finding=words) for words in broken))
    distances = comparison.distances_of(report)
    told, unusual = _place(past, window, distances, definition.drift.unusual_rate)
    material = unusual and report.material
    moved = comparison.columns_moved(report) if material else ()
    seen = (*found, told, *moved, *comparison.by_slice(report, definition))
    return replace(window, distances=distances, material=material), seen


def _findings(given: served_rows.Given) -> Iterator[Reason]:
    """What is left out of the comparison."""
    if given.unnamed:
        yield reason(Code.SERVED_UNNAMED, inputs=given.unnamed)
    if given.incomplete:
        yield reason(Code.SERVED_INCOMPLETE, inputs=given.incomplete, column=given.lacking)


def _place(
    past: Sequence[Window], window: Window, distances: Mapping[str, float], rate: float
) -> tuple[Reason, bool]:
    """The window's rank among those that are like it."""
    from drift import history
    from drift.history import Basis

    before = [w.distances for w in past if w.distances is not None and w.is_like(window)]
    rank = history.unusual(before, distances, rate)
    if rank.basis is Basis.TOO_FEW:
        return reason(Code.FEW_PAST_WINDOWS, past=rank.past, least=history.FEWEST), False
    code = Code.UNUSUAL_WINDOW if rank.alarm else Code.USUAL_WINDOW
    told = reason(
        code,
        p_value=rank.p_value,
        past=rank.past,
        column=rank.column,
        provisional=rank.basis is Basis.PROVISIONAL,
        one_in=round(1 / rate),
    )
    return told, rank.alarm


def written(judged: Sequence[Window]) -> bytes:
    widest = max(len(window.distances or ()) for window in judged)
    kept = judged[-max(30, min(MOST_WINDOWS, MOST_NUMBERS // max(widest, 1))) :]
    return json.dumps({"windows": list(map(asdict, kept))}, sort_keys=True).encode()


def _served(
    current: Unit, champion: Champion, definition: Definition, since: datetime, until: datetime
) -> Served:
    return current.ports.evidence.inputs(
        definition.serve.endpoint, champion.deployment, since, until, id=definition.data.id or ""
    )


def _given(current: Unit, champion: Champion, definition: Definition, rows: Served) -> served_rows.Given:
    reference = current.ports.documents.get(champion.profile)
    return served_rows.given([row["inputs"] for row in rows], reference, definition)


@dataclass(frozen=True)
class Lately:
    """What the champion was served lately, beside what it was trained on."""

    report: drift.Report
    rows: int
    since: datetime


def lately(current: Unit) -> Lately | None:
    """Served since the champion went live, a week ago at most, or a day where no window was judged and all is read now;
    None where too little is collected, or what is cannot be compared.

    Windows that are judged are not read again: their profiles are merged with that of what came since.
    """
    from drift import Profile, history

    champion, now = current.state.champion, current.ports.clock.now()
    assert champion is not None
    definition, documents = current.published().definition, current.ports.documents
    first = max(champion.live_at, now - (RECENT if definition.drift.served else A_DAY))
    known = [
        w
        for w in windows(documents, current.state)
        if w.release == champion.release and w.distances is not None and w.since >= first.isoformat()
    ]
    since = datetime.fromisoformat(known[-1].until) if known else first
    fresh = _given(current, champion, definition, _served(current, champion, definition, since, now))
    parts = [Profile.from_bytes(documents.get(w.profile)) for w in known]
    parts += [fresh.profile] if fresh.profile is not None else []
    if not parts or sum(part.rows for part in parts) < FEWEST_ROWS:
        return None
    served = history.rolling(parts, len(parts))
    report = comparison.between(fresh.reference, served, definition)
    begun = datetime.fromisoformat(known[0].since) if known else first
    return None if report.broken else Lately(report, served.rows, begun)
