"""Where rows depend on each other no test of rows holds: a drop alarms when it is unusual among the loop's own past.

Each drop's distances to its references are kept in one document, which the loop's row names. A past drop stays in it
though it alarmed; `drift.history` says why, and what the rank promises.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from shared.domain.reason import Code, Reason, reason
from shared.domain.version import DataVersion
from shared.runtime.unit_of_work import Unit
from shared.verdict import comparison

if TYPE_CHECKING:
    import drift
    from drift.history import Rank
    from shared.loopfile import Definition

FEWEST_DROPS = 3
"""Past drops that a reference holds before a drop gets its first score."""

MOST_DROPS, MOST_NUMBERS = 200, 100_000
"""What is kept of the past: so many drops, and so many distances."""

Distances = Mapping[str, float]


@dataclass(frozen=True)
class Place:
    """How a drop lies among the loop's past."""

    past: str
    """Document hash of the distances of all drops so far, this one among them; empty where none are kept."""
    told: Reason | None = None
    """None where rows do not depend on each other and the loop file does not ask: the tests of rows hold."""
    alarm: bool = False


def place(unit: Unit, version: DataVersion, definition: Definition) -> Place:
    """Rank a version among those before it, where its rows depend on each other or the loop file says so."""
    import drift
    from drift import findings

    profile = drift.Profile.from_bytes(unit.ports.documents.get(version.profile))
    asked = definition.drift.reference.kind in ("last", "same_season")
    ranked = asked or any(True for _ in findings.dependence(profile))
    if not ranked and not unit.state.past:
        return Place("")
    drops = _drops(unit)
    now = {
        name: comparison.distances(reference, profile, definition)
        for name, reference in _references(unit, version, definition).items()
    }
    kept = unit.ports.documents.put(_written([*drops, now]))
    if not ranked:
        return Place(kept)
    return Place(kept, *_told(drops, now, definition.drift.unusual_rate))


def _drops(unit: Unit) -> list[Mapping[str, Distances]]:
    """The distances of every past drop, by kind of reference; oldest first."""
    if not unit.state.past:
        return []
    found: list[Mapping[str, Distances]] = json.loads(unit.ports.documents.get(unit.state.past))["drops"]
    return found


def _written(drops: Sequence[Mapping[str, Distances]]) -> bytes:
    widest = max(sum(map(len, drop.values())) for drop in drops)
    kept = list(drops)[-max(30, min(MOST_DROPS, MOST_NUMBERS // max(widest, 1))) :]
    return json.dumps({"drops": kept}, sort_keys=True).encode()


def _references(unit: Unit, version: DataVersion, definition: Definition) -> dict[str, drift.Profile]:
    """The last drops, and those of the same season where the loop file says how long a season is."""
    from drift import history

    wanted = definition.drift.reference
    last = wanted.n if wanted.kind == "last" else history.LAST
    found = {}
    if version.number > min(FEWEST_DROPS, last):
        found["last"] = range(max(1, version.number - last), version.number)
    if wanted.kind == "same_season" and version.number > wanted.n + 1:
        around = version.number - wanted.n
        found["season"] = range(around - 1, around + 2)
    return {name: history.rolling(_profiles(unit, numbers), len(numbers)) for name, numbers in found.items()}


def _profiles(unit: Unit, numbers: range) -> list[drift.Profile]:
    import drift

    return [
        drift.Profile.from_bytes(unit.ports.documents.get(version.profile))
        for version in unit.versions(numbers)
    ]


def _told(
    drops: Sequence[Mapping[str, Distances]], now: Mapping[str, Distances], rate: float
) -> tuple[Reason, bool]:
    """Against the last drops, and where there is one against the same season too, each at half the rate."""
    from drift import history
    from drift.history import Basis

    each = rate / max(len(now), 1)
    ranks = [
        history.unusual([drop[name] for drop in drops if name in drop], distances, each)
        for name, distances in now.items()
    ]
    if not ranks or all(rank.basis is Basis.TOO_FEW for rank in ranks):
        past = ranks[0].past if ranks else 0
        return reason(Code.FEW_PAST_DROPS, past=past, least=history.FEWEST), False
    most = min(ranks, key=lambda rank: rank.p_value / rank.rate)
    code = Code.UNUSUAL_DROP if most.alarm else Code.USUAL_DROP
    return _sentence(code, most, rate), most.alarm


def _sentence(code: Code, rank: Rank, rate: float) -> Reason:
    return reason(
        code,
        p_value=rank.p_value,
        past=rank.past,
        column=rank.column,
        provisional=rank.basis.value == "provisional",
        one_in=round(1 / rate),
    )
