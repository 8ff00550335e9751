"""A monitor's breach is believed only when the loop's own comparison says the same.

The monitor's tests alarm on data that did not change (docs/decisions/0006-monitor-breaches-are-retested.md), so
its numbers are a reason to look, not to spend compute: at the inputs that were served, which are what it watches, or,
where they are not collected, at the report of the newest version.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from shared.domain.reason import Code, Reason, reason
from shared.domain.release import Champion
from shared.domain.version import DataVersion
from shared.runtime.unit_of_work import Unit
from shared.verdict import comparison, served_inputs

if TYPE_CHECKING:
    import drift


def retest(current: Unit, features: Sequence[str]) -> tuple[bool, Reason]:
    """Whether what was served, else the newest judged version, confirms a breach in one of `features` (any, when none
    is named), and why."""
    if current.state.champion is None:
        return False, reason(Code.NO_CHAMPION)
    lately = served_inputs.lately(current)
    if lately is None:
        return _on_version(current, current.state.champion, features)
    seen: dict[str, int | str] = {"inputs": lately.rows, "since": lately.since.isoformat()}
    material = comparison.material(lately.report)
    found = _named(material, features)
    if found:
        because = tuple(comparison.column_moved(*one) for one in found.items())
        return True, reason(Code.BREACH_SERVED, *because, **seen)
    if not features and _metric_breached(current, current.state.champion):
        return _on_version(current, current.state.champion, features)
    return False, reason(Code.BREACH_NOT_SERVED, **seen, **_columns(material, features))


def _metric_breached(current: Unit, champion: Champion) -> bool:
    version = _newest_judged(current)
    return (
        version is not None and version.judged_against == champion.release and bool(version.metric_breached)
    )


def _on_version(current: Unit, champion: Champion, features: Sequence[str]) -> tuple[bool, Reason]:
    version = _newest_judged(current)
    if version is None or version.judged_against != champion.release:
        return False, reason(Code.BREACH_NO_VERSION, release=champion.release)
    if not features and version.metric_breached:
        return True, reason(Code.BREACH_CONFIRMED, *version.verdict, version=version.number)
    if not version.drift:
        return False, reason(Code.BREACH_NO_REPORT, *version.verdict, version=version.number)
    material = comparison.moved(current.ports, version)
    found = _named(material, features)
    if found:
        because = tuple(comparison.column_moved(*one) for one in found.items())
        return True, reason(Code.BREACH_CONFIRMED, *because, version=version.number)
    return False, reason(
        Code.BREACH_NOT_SHOWN,
        version=version.number,
        **_columns(material, features),
    )


def _named(
    material: Mapping[str, drift.ColumnVerdict], features: Sequence[str]
) -> dict[str, drift.ColumnVerdict]:
    wanted = {name.casefold() for name in features}
    return {name: one for name, one in material.items() if not wanted or one.name.casefold() in wanted}


def _columns(material: Mapping[str, object], features: Sequence[str]) -> dict[str, str]:
    return {
        "columns": ", ".join(sorted(features)) or "any column",
        "others": ", ".join(sorted(material)) or "none",
    }


def _newest_judged(current: Unit) -> DataVersion | None:
    for number in range(current.state.next_version - 1, 0, -1):
        version = current.version(number)[0]
        if version.judged_against is not None:
            return version
    return None
