"""Enough new labelled data have landed to train again, whatever the verdicts say of them.

What a model gains from more rows follows their number's logarithm more than their number (power laws: J. Hestness et
al., "Deep Learning Scaling is Predictable, Empirically", 2017), so a loop that trains whenever its data have doubled
takes most of what training at every drop gains, with about log2 as many trainings.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from shared.domain.loop import LoopState
from shared.domain.reason import Code, Reason, reason
from shared.domain.release import TriggerKind
from shared.retraining import start
from shared.runtime.unit_of_work import Unit

if TYPE_CHECKING:
    from shared.loopfile import Definition


def due(unit: Unit, state: LoopState, definition: Definition, newest: int) -> Reason | None:
    """Whether as many rows have landed since the newest training as `retrain.new_data` asks for.

    `newest` is the version that is being judged. Counted from the newest training and not from the champion's: where a
    release came to nothing, the next is due when the data have grown once more, and not with each drop.
    """
    times = definition.retrain.new_data
    asked = any(trigger.kind is TriggerKind.NEW_DATA for trigger in state.waiting)
    if times is None or not state.trained_rows or asked or newest <= state.trained_through:
        return None
    found = unit.versions(range(state.trained_through + 1, newest + 1))
    landed = start.newest_of_tables([version for version in found if version.labelled])
    rows = sum(version.train_rows for version in landed)
    if any(version.table for version in landed):
        rows -= state.trained_rows  # a table's commit has the rows of those before it, too
    if rows < times * state.trained_rows:
        return None
    return reason(Code.MUCH_NEW_DATA, rows=rows, trained=state.trained_rows, times=times)
