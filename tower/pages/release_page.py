"""One release from its trigger to its end: each step with its time, its evidence and its verdict in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from shared import guide
from shared.domain.release import CanaryLook, Judgement, Release
from shared.errors import ConfigurationError
from shared.runtime.unit_of_work import Unit
from shared.state import queries
from shared.words import say
from tower.pages import lines
from tower.pages.lines import Offer, Told, read, told
from tower.shapes import Bar, Interval
from tower.visit import Asking, Document, NotFound, clip, document
from tower.words import DOING, model

ENTRIES = 400
SLICES = 40
NAMED = 40


@dataclass(frozen=True)
class Slice:
    name: str
    rows: int
    interval: Interval
    outcome: str


@dataclass(frozen=True)
class Gate:
    """The comparison on holdout rows."""

    metric: str
    rows: int
    margin: float
    superiority: bool
    confidence: float
    bars: tuple[Bar, ...]
    difference: Interval | None
    floor: float | None
    slices: tuple[Slice, ...]

    @property
    def difference_as_bar(self) -> tuple[Bar, ...]:
        return (Bar("difference", self.difference),) if self.difference else ()

    @property
    def slices_as_bars(self) -> tuple[Bar, ...]:
        return tuple(Bar(f"{one.name} ({one.rows})", one.interval) for one in self.slices)


@dataclass(frozen=True)
class MetricLine:
    """One metric of a canary's verdict."""

    name: str
    estimate: float | None
    low: float | None
    high: float | None
    margin: float | None
    e_value: float
    words: str


@dataclass(frozen=True)
class Judged:
    kind: str
    outcome: str
    words: tuple[str, ...]
    at: datetime
    evidence: str
    gate: Gate | None = None
    metrics: tuple[MetricLine, ...] = ()


@dataclass(frozen=True)
class Step:
    """One canary step, both arms over time."""

    number: int
    weight_pct: int
    looks: tuple[CanaryLook, ...]


@dataclass(frozen=True)
class Reason:
    kind: str
    sentences: tuple[str, ...]
    actor: str
    at: datetime
    version: int | None


@dataclass(frozen=True)
class ReleasePage:
    loop: str
    number: int
    newest: int
    phase: str
    doing: str
    ended: bool
    reason: str
    waiting_for: str
    help: str
    """Where the guide says what to do."""
    since_at: datetime
    started_at: datetime
    ended_at: datetime | None
    attempt: int
    reasons: tuple[Reason, ...]
    versions: tuple[int, ...]
    versions_count: int
    model: str
    model_link: str
    job: str
    job_link: str
    deployment: str
    endpoint: str
    endpoint_link: str
    champion: int | None
    champion_model: str
    traffic: dict[str, int]
    timeline: tuple[Told, ...]
    judgements: tuple[Judged, ...]
    steps: tuple[Step, ...]
    planned: tuple[int, ...]
    definition: str
    offers: tuple[Offer, ...]


def release(asking: Asking, name: str, number: int) -> ReleasePage:
    current = read(asking, name)
    try:
        found, _ = current.release(number)
    except ConfigurationError as error:
        raise NotFound(str(error)) from error
    definition = current.published(found.definition).definition
    return ReleasePage(
        loop=name,
        number=number,
        newest=current.state.next_release - 1,
        phase=found.phase.value,
        doing=DOING[found.phase],
        ended=found.ended,
        reason=clip(found.reason, 240),
        waiting_for=clip(found.waiting_for, 240),
        help=guide.anchor(f"release.{found.phase.value}"),
        since_at=found.phase_since_at,
        started_at=found.started_at,
        ended_at=found.ended_at,
        attempt=found.attempt,
        reasons=_reasons(found),
        versions=found.versions[-NAMED:],
        versions_count=len(found.versions),
        model=model(found.model),
        model_link=asking.studio.model(found.model) if found.model else "",
        job=found.job,
        job_link=asking.studio.job(found.job) if found.job else "",
        deployment=found.deployment,
        endpoint=definition.serve.endpoint,
        endpoint_link=asking.studio.endpoint(definition.serve.endpoint),
        champion=found.champion.release if found.champion else None,
        champion_model=model(found.champion.model) if found.champion else "",
        traffic=dict(found.traffic),
        timeline=_timeline(current, found),
        judgements=tuple(_judged(asking, one) for one in found.judgements[-12:]),
        steps=_steps(found.looks),
        planned=tuple(definition.canary.steps),
        definition=found.definition,
        offers=lines.offers(found),
    )


def _reasons(found: Release) -> tuple[Reason, ...]:
    """Its triggers; the same words are not said twice."""
    reasons = []
    for n, t in enumerate(found.triggers[:20]):
        again = any(t.reason == before.reason for before in found.triggers[:n])
        sentences = () if again else tuple(clip(say(one)) for one in (t.reason.because or (t.reason,))[:6])
        reasons.append(Reason(t.kind.value, sentences, clip(t.actor, 120), t.at, t.version))
    return tuple(reasons)


def _timeline(current: Unit, found: Release) -> tuple[Told, ...]:
    """Its ledger entries, found by when it began."""
    start = queries.seq_at(current, found.started_at - timedelta(milliseconds=1))
    entries = queries.entries_after(current, max(0, start - 5), limit=ENTRIES)
    return told([entry for entry in entries if entry.subject == f"release {found.number}"][:60], 170)


def _judged(asking: Asking, one: Judgement) -> Judged:
    content = document(asking.ports, one.evidence)
    words = tuple(clip(text) for text in one.words[:20])
    verdict: Document = content.get("verdict", {}) if content else {}
    return Judged(
        kind=clip(one.kind, 60),
        outcome=one.outcome,
        words=words,
        at=one.at,
        evidence=one.evidence,
        gate=_gate(content["policy"], verdict) if content and "challenger" in verdict else None,
        metrics=tuple(_metric(m) for m in verdict.get("metrics", ())[:20]),
    )


def _gate(policy: Document, verdict: Document) -> Gate:
    bars = [
        Bar(title, _interval(verdict[key]), cls)
        for title, key, cls in (("champion", "champion", "was"), ("challenger", "challenger", "is"))
        if verdict.get(key)
    ]
    slices = policy.get("slices") or {}
    return Gate(
        metric=str(verdict["metric"]),
        rows=int(verdict["rows"]),
        margin=float(policy["margin"]),
        superiority=bool(policy["superiority"]),
        confidence=float(policy["confidence"]),
        bars=tuple(bars),
        difference=_interval(verdict["difference"]) if verdict.get("difference") else None,
        floor=slices.get("floor"),
        slices=tuple(
            Slice(
                clip(f"{s['column']}={s['name']}", 60),
                int(s["rows"]),
                _interval(s["interval"]),
                str(s["outcome"] or "not judged: too few rows"),
            )
            for s in verdict.get("slices", ())[:SLICES]
        ),
    )


def _interval(found: Document) -> Interval:
    return Interval(found["value"], found["low"], found["high"])


def _metric(found: Document) -> MetricLine:
    name = found["metric"] + (f", {found['slice']}" if found.get("slice") else "")
    return MetricLine(
        clip(name, 80),
        found["estimate"],
        found["low"],
        found["high"],
        found["margin"],
        float(found["e_value"]),
        clip(str(found["words"])),
    )


def _steps(looks: Sequence[CanaryLook]) -> tuple[Step, ...]:
    numbers = sorted({look.step for look in looks})
    return tuple(
        Step(
            n + 1,
            next(one.weight_pct for one in looks if one.step == n),
            tuple(o for o in looks if o.step == n),
        )
        for n in numbers
    )
