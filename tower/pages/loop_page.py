"""One loop: what moved when, how well the live model does, why it was retrained or not, and what is left to spend."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING

from shared import guide
from shared.domain.loop import LoopState
from shared.domain.reason import Code, Reason
from shared.domain.release import Release
from shared.domain.version import DataVersion
from shared.intake import job_answers
from shared.retraining import cost
from shared.retraining.policy import recent_spending, recent_starts
from shared.runtime import overview_row, serving_look
from shared.state import ledger_pages, queries
from shared.verdict import served_inputs
from shared.verdict.estimate import Estimated
from shared.verdict.served_inputs import Window
from shared.words import say
from tower.pages import lines
from tower.pages.columns import FEW
from tower.pages.lines import Aside, Offer, ReleaseLine, Told, VersionLine, Withheld, read, told
from tower.shapes import MetricPoint
from tower.visit import Asking, Document, clip, document, shortened
from tower.words import doing, model

if TYPE_CHECKING:
    from shared.loopfile import Breaker

RETRAINED = frozenset({Code.DEPLOYMENT_BROKEN, Code.ANSWERS_NOTHING})
"""What serves nobody though it stands: the same model again would be no better."""
VERSIONS = 24
"""Columns of the heat map: each is one document read, once."""
ROWS = 30
TOLD = 20
UNREAD = 20
HEAT_ORDERS = {"": "moved most first", "name": "by name"}
_REASONS = frozenset(
    {
        "labels.joined",
        "labels.final",
        "predictions.judged",
        "served.judged",
        "release.assessed",
        "source.given_up",
        "retrain.denied",
        "retrain.coalesced",
        "release.started",
        "loop.paused",
        "loop.resumed",
        "loop.published",
        "traffic.adopted",
        "traffic.repaired",
        "deployment.found",
        "action.refused",
        "drop.quarantined",
        "drop.duplicate",
        "drop.superseded",
        "drop.replayed",
        "drop.reading",
        "drop.read_again",
    }
)


@dataclass(frozen=True)
class Cell:
    """A column or slice on one version or window. `level` 0: quiet; 1: beyond chance; 2 to 4: material, by how much."""

    version: int
    level: int
    effect: float
    unit: str
    judged: bool = True
    of: str = ""
    """Of a slice: its column that moved most."""


@dataclass(frozen=True)
class HeatRow:
    column: str
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class HeatSearch:
    """Which of the columns that were judged are shown, in which order."""

    text: str
    order: str
    of: int
    found: int
    orders: tuple[tuple[str, str], ...] = tuple(HEAT_ORDERS.items())

    @property
    def offered(self) -> bool:
        return self.of > FEW or bool(self.text or self.order)


@dataclass(frozen=True)
class WindowLine:
    """A window of served inputs, by its number on this page."""

    number: int
    since: str
    until: str
    rows: int
    release: int


@dataclass(frozen=True)
class EstimateLine:
    """An estimate of the metric on a window of served inputs, and what labels say of it."""

    since: str
    until: str
    release: int
    estimate: Estimated
    off: float | None
    """The estimate less what labels say; None before they do."""
    holds: bool


@dataclass(frozen=True)
class MetricLine:
    name: str
    threshold: float | None
    points: tuple[MetricPoint, ...]


@dataclass(frozen=True)
class LoopPage:
    loop: str
    attention: str
    help: str
    """Where the guide says what to do about it."""
    paused: str
    denial: str
    denial_help: str
    unserved: bool
    """The champion serves nobody."""
    live: int | None
    model: str
    live_at: datetime | None
    deployment: str
    doing: str
    release: int | None
    waiting_for: str
    traffic: dict[str, int] | None
    endpoint: str
    endpoint_link: str
    batch: bool
    """Whether it is a batch endpoint, whose calls are in no log."""
    landing: str
    budget_used: int
    budget: int
    compute_used_s: float
    compute_s: float | None
    """What jobs may take in 24 hours; None: not bounded."""
    cost: str
    """Of releases, today and this month, with their budgets."""
    reading: str
    """The job that reads a drop; empty where there is none."""
    reading_link: str
    versions: tuple[VersionLine, ...]
    older_versions: int | None
    heat_versions: tuple[int, ...]
    heat: tuple[HeatRow, ...]
    heat_left_out: int
    heat_search: HeatSearch
    newest_version: int
    newest_release: int
    windows: tuple[WindowLine, ...]
    """Of served inputs, oldest first; empty where they are not watched."""
    served: str
    """What the newest window came to."""
    served_heat: tuple[HeatRow, ...]
    served_left_out: int
    estimates: tuple[EstimateLine, ...]
    """Of the same windows, newest first."""
    metric: MetricLine | None
    retrained: tuple[tuple[int, int], ...]
    """(newest version it was trained with, release) of what went live."""
    releases: tuple[ReleaseLine, ...]
    older_releases: int | None
    reasons: tuple[Told, ...]
    asides: tuple[Aside, ...]
    unread: tuple[str, ...]
    """Rows that cannot be read, and are missing above."""
    offers: tuple[Offer, ...]
    withheld: tuple[Withheld, ...]


def loop(asking: Asking, name: str) -> LoopPage:
    current = read(asking, name)
    opened = queries.open_release(current)
    open_release = next(iter(opened.values), None)
    served = serving_look.now(current, open_release)
    state, found_traffic = replace(current.state, unserved=served.unserved), served.traffic
    definition = current.at_hand().definition
    found_versions = queries.versions(current, through=asking.number("versions"), last=VERSIONS)
    found_releases = queries.releases(current, through=asking.number("releases"), last=VERSIONS)
    versions, releases = found_versions.values, found_releases.values
    entries = ledger_pages.shown_after(current, max(0, state.ledger_seq - 300), limit=300)
    aside = queries.shown_aside(asking.ports, name)
    heat, search = _heat(asking, {version.number: version.drift for version in reversed(versions)})
    windows = served_inputs.windows(asking.ports.documents, state)[-VERSIONS:]
    served_heat, served_search = _heat(asking, {n: w.report for n, w in enumerate(windows, 1)})
    attention = _attention(asking, state, open_release, definition.retrain.breaker)
    live = overview_row.serving(state, open_release)
    possible = _offers(state, open_release, found_traffic, frozen=current.stands_still)
    offers, withheld = lines.permitted(asking, current, open_release, possible)
    readable, _ = lines.permitted(asking, current, None, [READ_AGAIN])
    budget, now = definition.retrain.budget, asking.ports.clock.now()
    return LoopPage(
        loop=name,
        attention=clip(say(attention), 200),
        help=guide.anchor(attention),
        paused=clip(say(state.paused)),
        denial=clip(say(state.denial)),
        denial_help=guide.anchor(state.denial),
        unserved=state.unserved is not None,
        live=live.release if live else None,
        model=model(live.model) if live else "",
        live_at=live.live_at if live else None,
        deployment=state.champion.deployment if state.champion else "",
        doing=doing(open_release) if open_release else "",
        release=open_release.number if open_release else None,
        waiting_for=clip(say(open_release.waiting_for)) if open_release else "",
        traffic=dict(found_traffic) if found_traffic is not None else None,
        endpoint=definition.serve.endpoint,
        endpoint_link=asking.studio.endpoint(definition.serve),
        batch=definition.serve.type == "batch",
        landing=definition.data.landing,
        budget_used=len(recent_starts(state, now)),
        budget=budget.runs_per_day,
        compute_used_s=sum(seconds for _, seconds in recent_spending(state, now)),
        compute_s=budget.compute_per_day.total_seconds() if budget.compute_per_day else None,
        cost=say(cost.standing(state, open_release, definition, now)),
        reading=say(job_answers.standing(state, definition, now)),
        reading_link=asking.studio.job(state.reading.job) if state.reading else "",
        versions=tuple(map(lines.version_line, versions)),
        older_versions=_older([v.number for v in versions]),
        heat_versions=tuple(v.number for v in reversed(versions)),
        heat=heat,
        heat_left_out=search.found - len(heat),
        heat_search=search,
        newest_version=state.next_version - 1,
        newest_release=state.next_release - 1,
        windows=tuple(WindowLine(n, w.since, w.until, w.rows, w.release) for n, w in enumerate(windows, 1)),
        served=clip(say(state.served_verdict), 800),
        served_heat=served_heat,
        served_left_out=served_search.found - len(served_heat),
        estimates=tuple(_estimates(windows)),
        metric=_metric(asking, versions),
        retrained=tuple((max(r.versions), r.number) for r in releases if r.versions and _went_live(r)),
        releases=tuple(map(lines.release_line, releases)),
        older_releases=_older([r.number for r in releases]),
        reasons=told([e for e in entries.values if e.what in _REASONS][-TOLD:][::-1]),
        asides=tuple(lines.aside(record, readable=bool(readable)) for record in aside.values[::-1]),
        unread=tuple(
            clip(say(why), 300)
            for why in queries.told(opened, found_versions, found_releases, entries, aside)[:UNREAD]
        ),
        offers=offers,
        withheld=withheld,
    )


def _estimates(windows: Sequence[Window]) -> Iterator[EstimateLine]:
    for one in reversed(windows):
        if one.estimate is not None:
            kept = one.estimate
            yield EstimateLine(one.since, one.until, one.release, kept, kept.error, kept.holds)


def _attention(asking: Asking, state: LoopState, release: Release | None, breaker: Breaker) -> Reason | None:
    """What a person must do as the loop is now, and what failed in its last run, which only the overview knows."""
    row = asking.ports.store.overview(state.loop)
    told = row.needs_attention if row is not None else None
    failed = told.because if told is not None and told.code is Code.LOOP_WAITS else ()
    problems = [why for why in failed if why.code not in overview_row.DERIVED]
    return overview_row.needs_attention(state, release, problems, asking.ports.clock.now(), breaker)


def _older(numbers: Sequence[int]) -> int | None:
    return min(numbers) - 1 if numbers and min(numbers) > 1 else None


def _went_live(release: Release) -> bool:
    return release.phase.value in ("live", "baking", "retiring")


READ_AGAIN = Offer("replay", "Retry", "Read this drop again, with the loop's current definition.")
RELEASE = "A registered model, whoever trained it, goes through this loop's gate and canary."


def _offers(
    state: LoopState, release: Release | None, traffic: Mapping[str, int] | None, *, frozen: bool
) -> tuple[Offer, ...]:
    found = [*lines.offers(release, frozen=frozen)] if release else []
    if not release:
        found.append(Offer("retrain", "Retrain now", "Start a release now, whatever the schedule says."))
    if not release and not frozen:
        found.append(Offer("release", "Release a model", RELEASE, asks_model=True))
    champion = state.champion
    moved = champion and traffic is not None and dict(traffic) != {champion.deployment: 100}
    lost = state.unserved is not None and state.unserved.code not in RETRAINED
    if not release and (moved or lost):
        found.append(Offer("restore", "Restore", "Deploy the live model again and give it all traffic."))
    if state.paused:
        found.append(
            Offer("resume", "Resume", "Go on; reasons to retrain that came meanwhile are considered.")
        )
    else:
        found.append(
            Offer(
                "pause",
                "Pause",
                "Start nothing new, and freeze the open release; proven harm is still rolled back.",
            )
        )
    return tuple(found)


def _heat(asking: Asking, reports: Mapping[int, str]) -> tuple[tuple[HeatRow, ...], HeatSearch]:
    """Columns by versions or windows, oldest first, whose stored reports are given: those that were asked for, the
    columns that moved most first unless their names' order was."""
    by_version: dict[int, dict[str, Cell]] = {}
    for number, stored in reports.items():
        report = document(asking.ports, stored)
        if report is not None:
            by_version[number] = {c["name"]: _cell(number, c) for c in report["columns"]} | _slices(
                number, report
            )
    names = {name for cells in by_version.values() for name in cells}
    text, order = (asking.query.get(name, "")[:64] for name in ("column", "order"))
    text, order = text.strip().casefold(), order if order in HEAT_ORDERS else ""
    weight = {
        name: sum(cells[name].level ** 2 for cells in by_version.values() if name in cells) for name in names
    }
    ranked = sorted(
        (name for name in names if text in name.casefold()),
        key=lambda name: (0 if order else -weight[name], name.casefold(), name),
    )
    heat = tuple(
        HeatRow(
            shortened(name, 80),
            tuple(by_version.get(n, {}).get(name) or Cell(n, 0, 0.0, "", judged=False) for n in reports),
        )
        for name in ranked[:ROWS]
    )
    return heat, HeatSearch(text, order, len(names), len(ranked))


def _slices(version: int, report: Document) -> dict[str, Cell]:
    """Each slice by its column that moved most, which is the first."""
    return {
        name: replace(_cell(version, part["columns"][0]), of=shortened(part["columns"][0]["name"], 80))
        for name, part in report.get("segments", {}).items()
        if part["columns"]
    }


def _cell(version: int, column: Document) -> Cell:
    effect = column["effect"]
    level = 1 if column["detected"] else 0
    if column["material"]:
        times = abs(effect["value"]) / max(effect["tolerance"], 1e-9)
        level = 2 if times < 2 else 3 if times < 4 else 4
    return Cell(version, level, round(float(effect["value"]), 4), str(effect["unit"])[:24])


def _metric(asking: Asking, versions: Sequence[DataVersion]) -> MetricLine | None:
    points, name, threshold = list[MetricPoint](), "", None
    for version in reversed(versions):
        found = document(asking.ports, version.metric)
        if found is None:
            continue
        verdict = found["verdict"]
        name, threshold = verdict["metric"], verdict["threshold"]
        points.append(
            MetricPoint(
                version.number,
                verdict["value"],
                verdict["low"],
                verdict["high"],
                verdict["n"],
                verdict["breached"],
            )
        )
    return MetricLine(name, threshold, tuple(points)) if points else None
