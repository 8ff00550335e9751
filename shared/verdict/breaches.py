"""A monitor's breach is believed only when the loop's own verdict on its newest version says the same.

The monitor's tests alarm on data that did not change (docs/decisions/0006-monitor-breaches-are-retested.md), so
its numbers are a reason to look at the stored report, not to spend compute.
"""

from __future__ import annotations

from collections.abc import Sequence

from shared.domain.version import DataVersion
from shared.runtime.unit_of_work import Unit
from shared.verdict import comparison


def retest(current: Unit, features: Sequence[str]) -> tuple[bool, str]:
    """Whether the newest judged version confirms a breach in one of `features` (any, when none is named); and words."""
    champion = current.state.champion
    if champion is None:
        return False, "there is no champion whose data it could be compared with"
    version = _newest_judged(current)
    if version is None or version.judged_against != champion.release:
        return False, f"no version has been judged yet against release {champion.release}, which serves"
    if not features and version.metric_breached:
        return True, f"version {version.number}: {version.verdict}"
    if not version.drift:
        return False, f"version {version.number} has no drift report: {version.verdict}"
    material = comparison.moved(current.ports, version)
    wanted = {name.casefold() for name in features}
    moved = [each.words for name, each in material.items() if not wanted or name.casefold() in wanted]
    if moved:
        return True, f"confirmed on version {version.number}: {'; '.join(moved)}"
    named = ", ".join(sorted(features)) if features else "any column"
    others = f"; material drift only in {', '.join(sorted(material))}" if material else ""
    return False, f"version {version.number} shows no material drift in {named}{others}"


def _newest_judged(current: Unit) -> DataVersion | None:
    for number in range(current.state.next_version - 1, 0, -1):
        version = current.version(number)[0]
        if version.judged_against is not None:
            return version
    return None
