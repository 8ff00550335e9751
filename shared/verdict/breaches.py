"""A monitor's breach is believed only when the loop's own verdict on its newest version says the same.

The monitor's tests alarm on data that did not change (docs/decisions/0006-monitor-breaches-are-retested.md), so
its numbers are a reason to look at the stored report, not to spend compute.
"""

from __future__ import annotations

from collections.abc import Sequence

from shared.domain.reason import Code, Reason, reason
from shared.domain.version import DataVersion
from shared.runtime.unit_of_work import Unit
from shared.verdict import comparison


def retest(current: Unit, features: Sequence[str]) -> tuple[bool, Reason]:
    """Whether the newest judged version confirms a breach in one of `features` (any, when none is named), and why."""
    champion = current.state.champion
    if champion is None:
        return False, reason(Code.NO_CHAMPION)
    version = _newest_judged(current)
    if version is None or version.judged_against != champion.release:
        return False, reason(Code.BREACH_NO_VERSION, release=champion.release)
    if not features and version.metric_breached:
        return True, reason(Code.BREACH_CONFIRMED, *version.verdict, version=version.number)
    if not version.drift:
        return False, reason(Code.BREACH_NO_REPORT, *version.verdict, version=version.number)
    material = comparison.moved(current.ports, version)
    wanted = {name.casefold() for name in features}
    found = [column for name, column in material.items() if not wanted or name.casefold() in wanted]
    if found:
        because = tuple(map(comparison.column_moved, found))
        return True, reason(Code.BREACH_CONFIRMED, *because, version=version.number)
    return False, reason(
        Code.BREACH_NOT_SHOWN,
        version=version.number,
        columns=", ".join(sorted(features)) or "any column",
        others=", ".join(sorted(material)) or "none",
    )


def _newest_judged(current: Unit) -> DataVersion | None:
    for number in range(current.state.next_version - 1, 0, -1):
        version = current.version(number)[0]
        if version.judged_against is not None:
            return version
    return None
