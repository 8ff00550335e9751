"""Enough new labelled data have landed to train again, whatever the verdicts say of them.

What a model gains from more rows follows their number's logarithm more than their number (power laws: J. Hestness et
al., "Deep Learning Scaling is Predictable, Empirically", 2017), so a loop that trains whenever its data have doubled
takes most of what training at every drop gains, with about log2 as many trainings.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from shared.domain.loop import LoopState
from shared.domain.reason import Code, Reason, reason
from shared.domain.release import Champion, TriggerKind
from shared.retraining import start
from shared.runtime.unit_of_work import Unit

if TYPE_CHECKING:
    from shared.loopfile import Definition

LOOKED_AT = 100
"""Versions that are read at once on the way back to a table's last commit."""


def due(unit: Unit, state: LoopState, definition: Definition, newest: int) -> Reason | None:
    """Whether as many rows have landed since the newest training as `retrain.new_data` asks for.

    `newest` is the version that is being judged. Counted from the newest training and not from the champion's: where a
    release came to nothing, the next is due when the data have grown once more, and not with each drop.
    """
    times, champion = definition.retrain.new_data, state.champion
    asked = any(trigger.kind is TriggerKind.NEW_DATA for trigger in state.waiting)
    if times is None or champion is None or asked or newest <= state.trained_through:
        return None
    if not (trained := state.trained_rows or _rows_of(unit, champion)):
        return None
    found = unit.versions(range(state.trained_through + 1, newest + 1))
    landed = start.newest_of_tables([version for version in found if version.labelled])
    before = _before(unit, {version.table for version in landed if version.table}, state.trained_through)
    rows = sum(max(0, version.train_rows - before.get(version.table, 0)) for version in landed)
    if rows < times * trained:
        return None
    return reason(Code.MUCH_NEW_DATA, rows=rows, trained=trained, times=times)


def _rows_of(unit: Unit, champion: Champion) -> int:
    """Of a loop that has trained nothing since `trained_rows` is counted; 0 where the champion was not trained here."""
    if not champion.versions:
        return 0
    return sum(version.train_rows for version in unit.versions(champion.versions))


def _before(unit: Unit, tables: Collection[str], through: int) -> dict[str, int]:
    """Training rows of each table at that version: a commit has the rows of those before it, too, unless
    `data.delta` was `appended` then."""
    found, whole = dict.fromkeys(tables, 0), set[str]()
    while through > 0 and len(whole) < len(tables):
        first = max(1, through - LOOKED_AT + 1)
        for version in reversed(unit.versions(range(first, through + 1))):
            table = start.table_of(version)
            if version.labelled and table in tables and table not in whole:
                found[table] += version.train_rows
                whole |= {table} if version.table else set()
        through = first - 1
    return found
