"""One release from its trigger to its end: each step with its time, its evidence and its verdict."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from shared import guide
from shared.canary.canary_judge import CanaryVerdict
from shared.canary.tolerance import MetricEvidence
from shared.domain.reason import Code, Reason, reason
from shared.domain.release import CanaryPoint, Judgement, JudgementKind, Phase, Release
from shared.errors import ConfigurationError, InvariantBroken
from shared.gate import importance
from shared.gate.gate_record import GatePolicy, GateVerdict, Interval
from shared.gate.importance import Explanation
from shared.retraining import cost
from shared.runtime.unit_of_work import Unit
from shared.state import ledger_pages
from shared.words import say, titled
from tower.pages import lines
from tower.pages.lines import Offer, Told, Withheld, read, told
from tower.shapes import Bar
from tower.visit import Asking, Document, NotFound, clip, document, shortened
from tower.words import DOING, model

ENTRIES = 400
SLICES = 40
NAMED = 40
COLUMNS = 30


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
    lost: str = ""
    """Why its evidence cannot be shown."""
    gate: Gate | None = None
    metrics: tuple[MetricLine, ...] = ()


@dataclass(frozen=True)
class Step:
    """One canary step, both arms over time."""

    number: int
    weight_pct: int
    points: tuple[CanaryPoint, ...]


@dataclass(frozen=True)
class Cause:
    """A trigger of the release."""

    kind: str
    sentences: tuple[str, ...]
    actor: str
    at: datetime
    version: int | None


@dataclass(frozen=True)
class Column:
    """How much one column matters to a model; `champion` is None where that is not known."""

    name: str
    challenger: float
    champion: float | None


@dataclass(frozen=True)
class TrainingStep:
    """What a step of its training took; `money` is None where its machine has no price."""

    name: str
    node_s: float
    nodes: int
    size: str
    reused: bool
    money: float | None


@dataclass(frozen=True)
class ReleasePage:
    loop: str
    number: int
    newest: int
    beside: int
    """Which release it is compared with where nobody chooses: its champion, else a neighbour."""
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
    reasons: tuple[Cause, ...]
    versions: tuple[int, ...]
    versions_count: int
    published_by: str
    explained: str
    """What the model goes by, in words."""
    importance: tuple[Column, ...]
    commit: str
    """Of the repository that its definition was published from; empty where that is not on record."""
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
    batch: bool
    """Whether its steps are drops that both models score."""
    definition: str
    cost: str
    """So far; what was estimated is in its first ledger entry."""
    currency: str
    training: tuple[TrainingStep, ...]
    trained: str
    """Where its model comes from, where it was not trained for it."""
    offers: tuple[Offer, ...]
    withheld: tuple[Withheld, ...]


def release(asking: Asking, name: str, number: int) -> ReleasePage:
    current = read(asking, name)
    try:
        found, _ = current.release(number)
    except ConfigurationError as error:
        raise NotFound(str(error)) from error
    published = current.at_hand(found)
    definition = published.definition
    possible = (*lines.offers(found, frozen=current.stands_still), *_way_back(current, found))
    offers, withheld = lines.permitted(asking, current, None if found.ended else found, possible)
    return ReleasePage(
        loop=name,
        number=number,
        newest=current.state.next_release - 1,
        beside=found.champion.release if found.champion else number - 1 or 2,
        phase=found.phase.value,
        doing=DOING[found.phase],
        ended=found.ended,
        reason=clip(say(found.reason), 240),
        waiting_for=clip(say(found.waiting_for), 240),
        help=guide.anchor(*_shown(found)),
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
        endpoint_link=asking.studio.endpoint(definition.serve),
        champion=found.champion.release if found.champion else None,
        champion_model=model(found.champion.model) if found.champion else "",
        traffic=dict(found.traffic),
        timeline=_timeline(current, found),
        judgements=tuple(_judged(asking, one) for one in found.judgements[-12:]),
        steps=_steps(found.points),
        planned=definition.shares,
        batch=definition.serve.type == "batch",
        definition=found.definition,
        cost=say(cost.told(found, definition)),
        currency=definition.cost.currency,
        training=tuple(
            TrainingStep(**vars(step), money=cost.step_money(step, definition))
            for step in found.training_steps
        ),
        trained=_trained(found),
        published_by=clip(published.published_by, 120),
        commit=clip(say(published.commit.told if published.commit else None), 240),
        explained=clip(say(found.explained), 600),
        importance=_importance(asking, found.explanation),
        offers=offers,
        withheld=withheld,
    )


def _shown(found: Release) -> tuple[Reason | str | None, ...]:
    """What its reader sees first, and the kind of event."""
    return found.shown, f"release.{found.phase.value}"


def _trained(found: Release) -> str:
    if found.back_to:
        return f"the model of release {found.back_to}, deployed again"
    return say(reason(Code.TRAINING_UNKNOWN)) if found.trained_elsewhere else ""


def _way_back(current: Unit, found: Release) -> tuple[Offer, ...]:
    """To a release that was live, from another one that serves now, while nothing else is under way."""
    champion = current.state.champion
    closed = current.state.open_release is not None or current.stands_still
    gone = found.phase is not Phase.LIVE or found.adopted_as_served
    if (
        closed
        or gone
        or champion is None
        or champion.release == found.number
        or champion.model == found.model
    ):
        return ()
    words = f"Deploy its model again, as it was, behind a canary beside release {champion.release}."
    return (Offer("rollback", "Roll back to this", words, grave=True, to=found.number),)


def _reasons(found: Release) -> tuple[Cause, ...]:
    """Its triggers; the same sentences are not repeated."""
    reasons = []
    for n, t in enumerate(found.triggers[:20]):
        again = any(t.reason == before.reason for before in found.triggers[:n])
        sentences = () if again else tuple(clip(say(one)) for one in (t.reason.because or (t.reason,))[:6])
        reasons.append(Cause(t.kind.value, sentences, clip(t.actor, 120), t.at, t.version))
    return tuple(reasons)


def _timeline(current: Unit, found: Release) -> tuple[Told, ...]:
    """Its ledger entries, found by when it began."""
    start = ledger_pages.seq_at(current, found.started_at - timedelta(milliseconds=1))
    entries = ledger_pages.shown_after(current, max(0, start - 5), limit=ENTRIES)
    return told([entry for entry in entries.values if entry.subject == f"release {found.number}"][:60], 170)


def _judged(asking: Asking, one: Judgement) -> Judged:
    content, lost = _evidence(asking, one.evidence)
    gate: Gate | None = None
    metrics: tuple[MetricLine, ...] = ()
    if content and one.kind is JudgementKind.GATE:
        gate = _gate(GatePolicy.from_dict(content["policy"]), GateVerdict.from_dict(content["verdict"]))
    elif content and one.kind in (JudgementKind.CANARY, JudgementKind.BAKE):
        verdict = CanaryVerdict.from_dict(content["verdict"])
        metrics = tuple(_metric(metric) for metric in verdict.metrics[:20])
    return Judged(
        kind=titled(one),
        outcome=one.outcome.value,
        words=tuple(clip(say(why)) for why in one.reasons[:20]),
        at=one.at,
        evidence=one.evidence,
        lost=lost,
        gate=gate,
        metrics=metrics,
    )


def _evidence(asking: Asking, digest: str) -> tuple[Document | None, str]:
    """The document, or why there is none: one that is lost hides nothing else of the page."""
    try:
        return document(asking.ports, digest), ""
    except InvariantBroken as error:
        return None, clip(str(error))


def _gate(policy: GatePolicy, verdict: GateVerdict) -> Gate | None:
    """None where the rows could not be compared."""
    if verdict.challenger is None:
        return None
    arms = (("champion", verdict.champion, "was"), ("challenger", verdict.challenger, "is"))
    return Gate(
        metric=verdict.metric,
        rows=verdict.rows,
        margin=policy.margin,
        superiority=policy.superiority,
        confidence=policy.confidence,
        bars=tuple(Bar(title, found, cls) for title, found, cls in arms if found),
        difference=verdict.difference,
        floor=policy.slices.floor if policy.slices else None,
        slices=tuple(
            Slice(
                shortened(f"{one.column}={one.name}", 60),
                one.rows,
                one.interval,
                one.outcome.value if one.outcome else "not judged: too few rows",
            )
            for one in verdict.slices[:SLICES]
        ),
    )


def _importance(asking: Asking, digest: str) -> tuple[Column, ...]:
    """The columns that matter most to the challenger, beside what they are to the champion."""
    content, _ = _evidence(asking, digest) if digest else (None, "")
    if content is None:
        return ()
    found = Explanation.from_dict(content)
    ours, theirs = found.challenger.columns, found.champion.columns if found.champion else {}
    return tuple(
        Column(shortened(name, 80), ours[name], theirs.get(name))
        for name in importance.ranked(ours)[:COLUMNS]
    )


def _metric(found: MetricEvidence) -> MetricLine:
    name = found.metric + (f", {found.slice}" if found.slice else "")
    return MetricLine(
        shortened(name, 80),
        found.estimate,
        found.low,
        found.high,
        found.margin,
        found.e_value,
        clip(say(found.reason)),
    )


def _steps(points: Sequence[CanaryPoint]) -> tuple[Step, ...]:
    numbers = sorted({point.step for point in points})
    return tuple(
        Step(
            n + 1,
            next(one.weight_pct for one in points if one.step == n),
            tuple(one for one in points if one.step == n),
        )
        for n in numbers
    )
