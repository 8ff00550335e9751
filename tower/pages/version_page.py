"""One data version: where it came from, how good it is, and how each column moved against the reference."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from shared.diff.version_diff import came_to
from shared.domain.version import DataVersion
from shared.errors import ConfigurationError, InvariantBroken
from shared.gate.gate_record import Interval
from shared.runtime.unit_of_work import Unit
from shared.state import queries
from shared.verdict.metric import MetricVerdict
from shared.words import say
from tower.pages import lines
from tower.pages.columns import ColumnLine, Search, columns
from tower.pages.lines import Aside, read
from tower.visit import Asking, Document, NotFound, clip, document, shortened

if TYPE_CHECKING:
    from drift import Profile

RULES = 200
SMALL_SLICES = 20
TAGS = 60


@dataclass(frozen=True)
class Metric:
    name: str
    threshold: float | None
    n: int
    interval: Interval
    breached: bool | None
    words: str


@dataclass(frozen=True)
class RuleLine:
    """One rule of the loop's contract, and what this version came to."""

    rule: str
    on_breach: str
    broken: bool
    what: str


@dataclass(frozen=True)
class SliceLine:
    """One slice of `gate.slices`, judged by itself."""

    name: str
    state: str
    """material, detected or quiet."""
    words: str
    rows: int
    rows_reference: int


@dataclass(frozen=True)
class VersionPage:
    loop: str
    number: int
    newest: int
    state: str
    judged: str
    source: str
    etag: str
    content_hash: str
    asset_id: str
    asset_link: str
    path: str
    created_at: datetime
    received_at: datetime | None
    rows: int
    train_rows: int
    holdout_rows: int
    columns_count: int
    labelled: bool
    findings: tuple[str, ...]
    verdict: tuple[str, ...]
    decision: str
    judged_against: int | None
    headline: str
    false_alarm_rate: float | None
    rows_reference: int | None
    search: Search
    moved: tuple[ColumnLine, ...]
    quiet: tuple[ColumnLine, ...]
    left_out: int
    skipped: tuple[tuple[str, str], ...]
    slices: tuple[SliceLine, ...]
    small_slices: tuple[str, ...]
    """With too few rows on a side to be judged."""
    metric: Metric | None
    contract: tuple[RuleLine, ...]
    rejected_rows: int
    tags: tuple[tuple[str, str], ...]
    asides: tuple[Aside, ...]


def version(asking: Asking, name: str, number: int) -> VersionPage:
    current = read(asking, name)
    try:
        found, _ = current.version(number)
    except ConfigurationError as error:
        raise NotFound(str(error)) from error
    report = document(asking.ports, found.drift)
    reported = report["columns"] if report else ()
    shown = columns(asking, reported, _profiles(asking, current, found) if reported else None)
    record = queries.event(asking.ports, name, found.inbox_key)
    line = lines.version_line(found)
    return VersionPage(
        loop=name,
        number=number,
        newest=current.state.next_version - 1,
        state=found.state.value,
        judged=line.judged,
        source=clip(found.source, 1100),
        etag=clip(found.etag, 80),
        content_hash=found.content_hash,
        asset_id=clip(found.asset_id),
        asset_link=asking.studio.data(found.asset_id) if found.asset_id else "",
        path=clip(found.path),
        created_at=found.created_at,
        received_at=record.received_at if record else None,
        rows=found.rows,
        train_rows=found.train_rows,
        holdout_rows=found.holdout_rows,
        columns_count=len(found.columns),
        labelled=found.labelled,
        findings=tuple(clip(say(one)) for one in found.findings[:40]),
        verdict=tuple(clip(say(one)) for one in found.verdict[:40]),
        decision=clip(say(found.decision)),
        judged_against=found.judged_against,
        headline=clip(str(report["headline"])) if report else "",
        false_alarm_rate=report["false_alarm_rate"] if report else None,
        rows_reference=report["rows_reference"] if report else None,
        search=shown.search,
        moved=shown.moved,
        quiet=shown.quiet,
        left_out=shown.left_out,
        skipped=tuple(
            (shortened(str(a), 80), clip(str(b), 200)) for a, b in (report["skipped"] if report else [])[:40]
        ),
        slices=tuple(_slices(report)),
        small_slices=tuple(shortened(name, 80) for name in (report or {}).get("small", ())[:SMALL_SLICES]),
        metric=_metric(asking, found),
        contract=_contract(asking, found),
        rejected_rows=found.rejected_rows,
        tags=tuple((clip(k, 80), clip(v, 120)) for k, v in sorted(found.tags.items())[:TAGS]),
        asides=_beside(current, number),
    )


def _beside(current: Unit, number: int) -> tuple[Aside, ...]:
    """What was quarantined between the version before and the version after it, newest first."""
    near = {v.number: v.created_at for v in queries.versions(current, through=number + 1, last=3).values}
    before, after = near.get(number - 1), near.get(number + 1)
    found = [
        record
        for record in queries.set_aside(current.ports, current.loop)
        if (before is None or before < record.received_at) and (after is None or record.received_at < after)
    ]
    return tuple(lines.aside(record, readable=False) for record in found[::-1][:5])


def _profiles(asking: Asking, current: Unit, found: DataVersion) -> tuple[Profile, Profile] | None:
    """The reference's profile and this version's; the pictures are left out where one cannot be read."""
    import drift

    if found.judged_against is None:
        return None
    try:
        release, _ = current.release(found.judged_against)
        before, after = (
            drift.Profile.from_bytes(asking.ports.documents.get(digest))
            for digest in (release.profile, found.profile)
        )
    except (ConfigurationError, InvariantBroken, drift.DataError):
        return None
    return before, after


def _contract(asking: Asking, found: DataVersion) -> tuple[RuleLine, ...]:
    """Broken rules first."""
    content = document(asking.ports, found.contract)
    rules = sorted(content["rules"] if content else (), key=lambda rule: not rule["broken"])
    return tuple(
        RuleLine(
            clip(str(rule["rule"]), 200), str(rule["on_breach"]), bool(rule["broken"]), clip(came_to(rule))
        )
        for rule in rules[:RULES]
    )


def _slices(report: Document | None) -> Iterator[SliceLine]:
    """Slices that moved first."""
    for name, part in sorted(
        (report or {}).get("segments", {}).items(),
        key=lambda one: (not one[1]["material"], not one[1]["detected"], one[0]),
    ):
        state = "material" if part["material"] else "detected" if part["detected"] else "quiet"
        words = clip(str(part["headline"]), 300)
        yield SliceLine(shortened(name, 80), state, words, part["rows_current"], part["rows_reference"])


def _metric(asking: Asking, found: DataVersion) -> Metric | None:
    content = document(asking.ports, found.metric)
    if content is None:
        return None
    verdict = MetricVerdict.from_dict(content["verdict"])
    return Metric(
        name=verdict.metric,
        threshold=verdict.threshold,
        n=verdict.n,
        interval=Interval(verdict.value, verdict.low, verdict.high),
        breached=verdict.breached,
        words=clip(say(verdict.reason)),
    )
