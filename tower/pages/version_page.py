"""One data version: where it came from, how good it is, and how each column moved against the reference."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from shared.domain.version import DataVersion
from shared.errors import ConfigurationError, InvariantBroken
from shared.release.gate.holdout import Interval
from shared.runtime.unit_of_work import Unit
from shared.state import queries
from shared.verdict.metric import MetricVerdict
from shared.words import say
from tower.pages import lines
from tower.pages.lines import Aside, read
from tower.shapes import Categories, Numbers, shape_of
from tower.visit import Asking, Document, NotFound, clip, document, shortened

if TYPE_CHECKING:
    from drift import Profile

DRAWN = 24
"""Columns with a picture; the others are lines of a table."""
LISTED = 200
TAGS = 60


@dataclass(frozen=True)
class ColumnLine:
    """One column's verdict."""

    name: str
    kind: str
    state: str
    """material, detected or quiet."""
    words: str
    p_value: float
    effect: Interval
    tolerance: float
    unit: str
    shape: Numbers | Categories | None = None


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
    moved: tuple[ColumnLine, ...]
    quiet: tuple[ColumnLine, ...]
    left_out: int
    skipped: tuple[tuple[str, str], ...]
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
    moved, quiet, left_out = _columns(asking, current, found, report)
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
        asset_link=asking.studio.data(name, number) if found.asset_id else "",
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
        moved=moved,
        quiet=quiet,
        left_out=left_out,
        skipped=tuple(
            (shortened(str(a), 80), clip(str(b), 200)) for a, b in (report["skipped"] if report else [])[:40]
        ),
        metric=_metric(asking, found),
        contract=_contract(asking, found),
        rejected_rows=found.rejected_rows,
        tags=tuple((clip(k, 80), clip(v, 120)) for k, v in sorted(found.tags.items())[:TAGS]),
        asides=_beside(current, number),
    )


def _beside(current: Unit, number: int) -> tuple[Aside, ...]:
    """What was quarantined between the version before and the version after it, newest first."""
    near = {v.number: v.created_at for v in queries.versions(current, through=number + 1, last=3)}
    before, after = near.get(number - 1), near.get(number + 1)
    found = [
        record
        for record in queries.set_aside(current.ports, current.loop)
        if (before is None or before < record.received_at) and (after is None or record.received_at < after)
    ]
    return tuple(lines.aside(record, readable=False) for record in found[::-1][:5])


def _columns(
    asking: Asking, current: Unit, found: DataVersion, report: Document | None
) -> tuple[tuple[ColumnLine, ...], tuple[ColumnLine, ...], int]:
    if report is None:
        return (), (), 0
    columns = list(report["columns"])
    moved = [c for c in columns if c["detected"]][:DRAWN]
    quiet = [c for c in columns if not c["detected"]][:LISTED]
    before, after = _profiles(asking, current, found) if moved or quiet else (None, None)
    drawn = tuple(_column(c, before, after) for c in moved)
    pictured = max(0, DRAWN - len(moved)) if len(quiet) <= DRAWN else 0
    calm = tuple(_column(c, before, after) if n < pictured else _column(c) for n, c in enumerate(quiet))
    return drawn, calm, len(columns) - len(drawn) - len(calm)


def _profiles(asking: Asking, current: Unit, found: DataVersion) -> tuple[Profile | None, Profile | None]:
    """The reference's profile and this version's; the pictures are left out where one cannot be read."""
    import drift

    if found.judged_against is None:
        return None, None
    try:
        release, _ = current.release(found.judged_against)
        before, after = (
            drift.Profile.from_bytes(asking.ports.documents.get(digest))
            for digest in (release.profile, found.profile)
        )
    except (ConfigurationError, InvariantBroken, drift.DataError):
        return None, None
    return before, after


def _column(column: Document, before: Profile | None = None, after: Profile | None = None) -> ColumnLine:
    effect: Mapping[str, float] = column["effect"]
    name = str(column["name"])
    drawn = None
    if before is not None and after is not None:
        drawn = shape_of(before.columns.get(name), after.columns.get(name))
    return ColumnLine(
        name=shortened(name, 120),
        kind=str(column["kind"]),
        state="material" if column["material"] else "detected" if column["detected"] else "quiet",
        words=clip(str(column["words"]), 300),
        p_value=float(column["p_value"]),
        effect=Interval(effect["value"], effect["low"], effect["high"]),
        tolerance=effect["tolerance"],
        unit=clip(str(column["effect"]["unit"]), 24),
        shape=drawn,
    )


def _contract(asking: Asking, found: DataVersion) -> tuple[RuleLine, ...]:
    """Broken rules first."""
    content = document(asking.ports, found.contract)
    rules = sorted(content["rules"] if content else (), key=lambda rule: not rule["broken"])
    return tuple(
        RuleLine(
            clip(str(rule["rule"]), 200), str(rule["on_breach"]), bool(rule["broken"]), clip(_came_to(rule))
        )
        for rule in rules[:LISTED]
    )


def _came_to(rule: Document) -> str:
    if rule["found"]:
        return str(rule["found"])
    if not rule["rows"]:
        return "kept"
    more = ", …" if rule["rows"] > len(rule["first"]) else ""
    rows = ", ".join(map(str, rule["first"])) + more
    return f"{rule['rows']:,} of {rule['of']:,} rows break it: {rows}"


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
