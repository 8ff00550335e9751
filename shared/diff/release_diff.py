"""Two releases of a loop: definition, data, metric by slice, environment, code, importance, and what was decided."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from shared import assets
from shared.diff import definition_diff
from shared.diff.definition_diff import Change, CodeChange
from shared.domain.release import Judgement, JudgementKind, Release
from shared.errors import ConfigurationError, InvariantBroken
from shared.gate import importance
from shared.gate.gate_record import GateVerdict, Interval, slice_name
from shared.gate.importance import Explanation, Importance
from shared.loopfile.published import Published
from shared.runtime.unit_of_work import Unit


@dataclass(frozen=True)
class Measured:
    """The metric of one release's model on some holdout rows of its own gate."""

    rows: int
    interval: Interval


@dataclass(frozen=True)
class MetricSides:
    """The metric of both models; `name` is a slice, empty for all rows."""

    name: str
    before: Measured | None
    after: Measured | None


@dataclass(frozen=True)
class Metrics:
    """Two gates ask different rows: their intervals stand beside each other, and no test is made of them."""

    before: str
    """Name of the metric; empty where there was no comparison."""
    after: str
    sides: tuple[MetricSides, ...]


@dataclass(frozen=True)
class ImportanceSides:
    """What both models go by, by column, the most important of `after` first."""

    before: str
    """How it was measured; empty where it was not."""
    after: str
    columns: tuple[Change, ...]
    agreement: float | None
    """1 where both rank alike; None where they were not measured alike: then numbers say nothing beside each other."""


@dataclass(frozen=True)
class Decision:
    """The last verdict of one kind, of both."""

    before: Judgement | None
    after: Judgement | None

    @property
    def named(self) -> Judgement:
        found = self.after or self.before
        assert found is not None
        return found


@dataclass(frozen=True)
class ReleaseDiff:
    before: Release
    after: Release
    facts: tuple[Change, ...]
    """All of them, also those that are alike."""
    definition: tuple[Change, ...] | None
    """None, as of code, where either is lost."""
    code: tuple[CodeChange, ...] | None
    only_before: tuple[int, ...]
    """Versions that it alone was trained on."""
    only_after: tuple[int, ...]
    both: int
    """How many versions both were trained on."""
    metrics: Metrics
    importance: ImportanceSides
    decisions: tuple[Decision, ...]
    lost: tuple[str, ...] = ()
    """What of it cannot be read any more."""


def releases(current: Unit, one: int, other: int) -> ReleaseDiff:
    """ConfigurationError where the loop has no release of either number."""
    before, after = current.release(one)[0], current.release(other)[0]
    reading = _Reading(current)
    published = reading.published(before.definition), reading.published(after.definition)
    known = (published[0], published[1]) if published[0] and published[1] else None
    served = [reading.published(each.served_with or each.definition) for each in (before, after)]
    return ReleaseDiff(
        before=before,
        after=after,
        facts=(*_facts(before, after), *_published(*published), *_served(*served)),
        definition=known and definition_diff.keys(known[0].definition, known[1].definition),
        code=known and definition_diff.code(known[0].code, known[1].code),
        only_before=tuple(sorted({*before.versions} - {*after.versions})),
        only_after=tuple(sorted({*after.versions} - {*before.versions})),
        both=len({*before.versions} & {*after.versions}),
        metrics=_metrics(reading.gate(before), reading.gate(after)),
        importance=_importance(reading.importance(before), reading.importance(after)),
        decisions=tuple(_decisions(before, after)),
        lost=tuple(dict.fromkeys(reading.lost)),
    )


class _Reading:
    """Documents of both; one that is lost hides nothing else."""

    def __init__(self, current: Unit) -> None:
        self._current = current
        self.lost: list[str] = []

    def published(self, digest: str) -> Published | None:
        try:
            return self._current.published(digest)
        except (InvariantBroken, ConfigurationError) as error:
            self.lost.append(str(error))
            return None

    def gate(self, release: Release) -> GateVerdict | None:
        """None where no gate compared rows."""
        judged = release.judgement(JudgementKind.GATE)
        found = self._document(judged.evidence) if judged else None
        return GateVerdict.from_dict(found["verdict"]) if found else None

    def importance(self, release: Release) -> Importance | None:
        found = self._document(release.explanation)
        return Explanation.from_dict(found).challenger if found else None

    def _document(self, digest: str) -> Mapping[str, Any] | None:
        if not digest:
            return None
        try:
            found: Mapping[str, Any] = json.loads(self._current.ports.documents.get(digest))
        except InvariantBroken as error:
            self.lost.append(str(error))
            return None
        return found


def _facts(before: Release, after: Release) -> Iterator[Change]:
    yield Change("because_of", *(tuple(t.reason for t in each.triggers) for each in (before, after)))
    for name in ("phase", "reason", "started_at", "ended_at", "attempt"):
        yield Change(name, getattr(before, name), getattr(after, name))
    yield Change("versions", len(before.versions), len(after.versions))
    yield Change("model", _plain(before.model), _plain(after.model))
    for name in ("job", "deployment"):
        yield Change(name, getattr(before, name) or None, getattr(after, name) or None)
    yield Change("champion", *(each.champion.release if each.champion else None for each in (before, after)))


def _plain(identifier: str) -> str | None:
    return assets.plain(identifier) if identifier else None


def _published(before: Published | None, after: Published | None) -> Iterator[Change]:
    """Who published what each ran with, and what trained it."""
    both = before, after
    yield Change("published_by", *(each.published_by if each else None for each in both))
    yield Change("published_at", *(each.published_at if each else None for each in both))
    yield Change("commit", *(each.commit.told if each and each.commit else None for each in both))
    yield Change("pipeline", *(_plain(each.assets.pipeline) if each else None for each in both))


def _served(before: Published | None, after: Published | None) -> Iterator[Change]:
    """Environment and scoring code: their versions are made from their content."""
    for name in ("environment", "code"):
        yield Change(
            name if name == "environment" else "scoring_code",
            *(_plain(getattr(each.assets, name)) if each else None for each in (before, after)),
        )


def _metrics(before: GateVerdict | None, after: GateVerdict | None) -> Metrics:
    one, other = _measured(before), _measured(after)
    sides = (MetricSides(name, one.get(name), other.get(name)) for name in dict.fromkeys([*one, *other]))
    return Metrics(before.metric if before else "", after.metric if after else "", tuple(sides))


def _measured(gate: GateVerdict | None) -> dict[str, Measured]:
    if gate is None or gate.challenger is None:
        return {}
    slices = {slice_name(one.column, one.name): Measured(one.rows, one.interval) for one in gate.slices}
    return {"": Measured(gate.rows, gate.challenger), **slices}


def _importance(before: Importance | None, after: Importance | None) -> ImportanceSides:
    one, other = (each.columns if each else {} for each in (before, after))
    names = dict.fromkeys([*importance.ranked(other), *importance.ranked(one)])
    columns = tuple(Change(name, one.get(name), other.get(name)) for name in names)
    agreement = importance.explained(after, before).agreement if before and after else None
    return ImportanceSides(_method(before), _method(after), columns, agreement)


def _method(found: Importance | None) -> str:
    if found is None:
        return ""
    return f"{found.method} of {found.metric}" if found.metric else found.method


def _decisions(before: Release, after: Release) -> Iterator[Decision]:
    """In the order of a release: smoke test, gate, canary steps, bake."""
    one, other = (
        {(list(JudgementKind).index(j.kind), -1 if j.step is None else j.step): j for j in each.judgements}
        for each in (before, after)
    )
    for place in sorted({*one, *other}):
        yield Decision(one.get(place), other.get(place))
