"""Which rows the gate asks both models about: holdout rows that neither has seen, the same at every look."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shared.domain.release import Release
from shared.runtime.unit_of_work import Unit
from shared.verdict import sampled_rows

if TYPE_CHECKING:
    import pandas as pd

    from shared.loopfile import Definition


def rows(unit: Unit, release: Release, definition: Definition) -> tuple[pd.DataFrame, sampled_rows.Drawn]:
    """A sample of the holdout of the versions that the release is judged on."""
    versions = unit.versions(release.judged_on or release.versions)
    if definition.data.holdout.by == "time":
        # an older version's holdout lies before rows that the challenger was trained on
        versions = versions[-1:]
    return sampled_rows.holdout(unit.ports, versions)
