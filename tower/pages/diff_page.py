"""Two versions or two releases of a loop, side by side."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from shared.diff import release_diff, version_diff
from shared.diff.definition_diff import Change, CodeChange
from shared.diff.release_diff import Decision, Measured, ReleaseDiff
from shared.diff.version_diff import RuleSides, VersionDiff
from shared.domain.release import Judgement
from shared.errors import ConfigurationError
from shared.runtime.unit_of_work import Unit
from shared.words import in_words, say_all, titled
from tower.pages.columns import ColumnLine, Search, columns
from tower.pages.lines import read
from tower.visit import Asking, NotFound, clip, shortened

MOST = 200
"""Lines of one table."""
MOST_CODE = 300
NAMED = 40
Found = TypeVar("Found")


@dataclass(frozen=True)
class Choice:
    """Which two, and how many there are."""

    before: int
    after: int
    newest: int


@dataclass(frozen=True)
class Line:
    """One thing in both; empty where it is not."""

    what: str
    before: str
    after: str
    same: bool


@dataclass(frozen=True)
class RuleLine:
    rule: str
    before: str
    after: str
    broken: bool


@dataclass(frozen=True)
class VersionDiffPage:
    loop: str
    chosen: Choice
    facts: tuple[Line, ...]
    schema: tuple[Line, ...]
    schema_left_out: int
    contract: tuple[RuleLine, ...] | None
    """None where what one of them found is lost."""
    lost: str
    """Why the rows cannot be compared."""
    headline: str
    false_alarm_rate: float | None
    """None where it cannot be stated, as rows depend on each other."""
    findings: tuple[str, ...]
    """What no test of a distribution says."""
    rows_before: int
    rows_after: int
    search: Search
    moved: tuple[ColumnLine, ...]
    quiet: tuple[ColumnLine, ...]
    left_out: int
    skipped: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class CodeLines:
    file: str
    lines: tuple[str, ...]
    left_out: int


@dataclass(frozen=True)
class MetricSide:
    rows: int
    value: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True)
class MetricLine:
    name: str
    before: MetricSide | None
    after: MetricSide | None


@dataclass(frozen=True)
class ColumnSides:
    """How much a column matters to both models; None where that is not known."""

    name: str
    before: float | None
    after: float | None


@dataclass(frozen=True)
class DecisionLine:
    kind: str
    before: str
    before_why: str
    after: str
    after_why: str


@dataclass(frozen=True)
class ReleaseDiffPage:
    loop: str
    chosen: Choice
    facts: tuple[Line, ...]
    definition: tuple[Line, ...] | None
    """None, as of code, where either is lost."""
    definition_left_out: int
    code: tuple[CodeLines, ...] | None
    only_before: tuple[int, ...]
    only_after: tuple[int, ...]
    both: int
    metrics: tuple[str, str]
    """Its name in both."""
    sides: tuple[MetricLine, ...]
    measured: tuple[str, str]
    """How importance was measured in both."""
    importance: tuple[ColumnSides, ...]
    agreement: float | None
    decisions: tuple[DecisionLine, ...]
    lost: tuple[str, ...]


def versions(asking: Asking, name: str) -> VersionDiffPage:
    current = read(asking, name)
    chosen = _chosen(asking, current.state.next_version - 1)
    found = _found(version_diff.versions, current, chosen)
    report = found.report.to_dict() if found.report else None
    shown = columns(asking, report["columns"] if report else (), found.profiles)
    return VersionDiffPage(
        loop=name,
        chosen=chosen,
        facts=_lines(found.facts),
        schema=_lines(found.schema[:MOST]),
        schema_left_out=max(0, len(found.schema) - MOST),
        contract=None if found.contract is None else tuple(map(_rule, found.contract[:MOST])),
        lost=clip(found.lost),
        headline=clip(found.report.headline) if found.report else "",
        false_alarm_rate=found.report.false_alarm_rate if found.report and found.report.independent else None,
        findings=tuple(clip(one.words) for one in (found.report.findings if found.report else ())[:NAMED]),
        rows_before=found.before.rows,
        rows_after=found.after.rows,
        search=shown.search,
        moved=shown.moved,
        quiet=shown.quiet,
        left_out=shown.left_out,
        skipped=_skipped(found),
    )


def releases(asking: Asking, name: str) -> ReleaseDiffPage:
    current = read(asking, name)
    chosen = _chosen(asking, current.state.next_release - 1)
    found = _found(release_diff.releases, current, chosen)
    return ReleaseDiffPage(
        loop=name,
        chosen=chosen,
        facts=_lines(found.facts),
        definition=None if found.definition is None else _lines(found.definition[:MOST]),
        definition_left_out=max(0, len(found.definition or ()) - MOST),
        code=None if found.code is None else tuple(_code(one) for one in found.code[:NAMED]),
        only_before=found.only_before[-NAMED:],
        only_after=found.only_after[-NAMED:],
        both=found.both,
        metrics=(found.metrics.before, found.metrics.after),
        sides=_sides(found),
        measured=(clip(found.importance.before, 120), clip(found.importance.after, 120)),
        importance=_importance(found),
        agreement=found.importance.agreement,
        decisions=tuple(map(_decision, found.decisions[:NAMED])),
        lost=tuple(map(clip, found.lost)),
    )


def _chosen(asking: Asking, newest: int) -> Choice:
    """The two that are asked for; the newest and the one before it otherwise."""
    after = asking.number("after", newest)
    return Choice(asking.number("before", max(1, after - 1)), after, newest)


def _found(compared: Callable[[Unit, int, int], Found], current: Unit, chosen: Choice) -> Found:
    try:
        return compared(current, chosen.before, chosen.after)
    except ConfigurationError as error:
        raise NotFound(str(error)) from error


def _lines(found: Iterable[Change]) -> tuple[Line, ...]:
    return tuple(
        Line(
            shortened(one.what, 120),
            clip(in_words(one.before)),
            clip(in_words(one.after)),
            one.same,
        )
        for one in found
    )


def _rule(found: RuleSides) -> RuleLine:
    without = "not in its contract"
    before, after = (clip(without if side is None else side) for side in (found.before, found.after))
    return RuleLine(clip(found.rule, 200), before, after, found.broken)


def _skipped(found: VersionDiff) -> tuple[tuple[str, str], ...]:
    skipped: Sequence[tuple[str, str]] = found.report.skipped if found.report else ()
    return tuple((shortened(name, 80), clip(why, 200)) for name, why in skipped[:NAMED])


def _code(found: CodeChange) -> CodeLines:
    lines = tuple(clip(line, 160) for line in found.lines[:MOST_CODE])
    return CodeLines(clip(found.file, 120), lines, len(found.lines) - len(lines))


def _sides(found: ReleaseDiff) -> tuple[MetricLine, ...]:
    return tuple(
        MetricLine(shortened(one.name, 80) if one.name else "all rows", _side(one.before), _side(one.after))
        for one in found.metrics.sides[:MOST]
    )


def _side(found: Measured | None) -> MetricSide | None:
    if found is None:
        return None
    return MetricSide(found.rows, found.interval.value, found.interval.low, found.interval.high)


def _importance(found: ReleaseDiff) -> tuple[ColumnSides, ...]:
    return tuple(
        ColumnSides(shortened(one.what, 80), *(side if isinstance(side, float) else None for side in sides))
        for one in found.importance.columns[:NAMED]
        for sides in [(one.before, one.after)]
    )


def _decision(found: Decision) -> DecisionLine:
    sides = [_verdict(each) for each in (found.before, found.after)]
    return DecisionLine(titled(found.named), *sides[0], *sides[1])


def _verdict(found: Judgement | None) -> tuple[str, str]:
    return (found.outcome.value, clip(say_all(found.reasons))) if found else ("", "")
