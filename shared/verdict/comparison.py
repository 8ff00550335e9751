"""A version's profile beside a reference, by the loop's own tolerances."""

from __future__ import annotations

import json
from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from shared.domain.reason import Code, Reason, reason
from shared.domain.version import DataVersion
from shared.intake import returns
from shared.ports import Ports

if TYPE_CHECKING:
    import drift
    from shared.loopfile import Definition
    from shared.loopfile.definition import ColumnMaterial


def report(ports: Ports, reference: str, version: DataVersion, definition: Definition) -> drift.Report:
    """`reference` is the document hash of a profile."""
    import drift

    before = drift.Profile.from_bytes(ports.documents.get(reference))
    current = drift.Profile.from_bytes(ports.documents.get(version.profile))
    return between(before, current, definition)


def between(before: drift.Profile, current: drift.Profile, definition: Definition) -> drift.Report:
    """Two profiles compared by the loop's own tolerances."""
    import drift

    ignored = {*definition.data.left_out, *([definition.data.id] if definition.data.id else [])}
    returned = definition.drift.returns.columns if definition.drift.returns else ()
    vectors = _vectors(definition, [name for name in before.columns if name not in ignored])
    if only := {returns.named(c) if c in returned else c for c in definition.drift.columns}:
        ignored |= set(current.columns) - only - {name for vector in vectors.values() for name in vector}
    own = {
        returns.named(name) if name in returned else name: one
        for name, one in definition.drift.material.columns.items()
    }
    return drift.compare(
        before,
        current,
        drift.Policy(
            false_alarm_rate=definition.drift.false_alarm_rate,
            material_numeric=definition.drift.material.numeric,
            material_categorical=definition.drift.material.categorical,
            material_ratio=definition.drift.material.ratio,
            material_nulls=definition.drift.material.nulls,
            material_range=definition.drift.material.range,
            material_dependence=definition.drift.material.correlation,
            columns={name: _tolerances(one) for name, one in own.items()},
            # The heaviest weight is a whole one: it is told, as each column without a weight has it too.
            importance={"": 1.0, **{name: one.weight for name, one in own.items()}},
            ignore=tuple(sorted(ignored)),
            vectors=vectors,
        ),
    )


def _vectors(definition: Definition, names: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """The columns of each vector; one that fits several is of the first."""
    left, found = list(names), {}
    for vector, patterns in definition.drift.vectors.items():
        found[vector] = tuple(name for name in left if any(fnmatchcase(name, one) for one in patterns))
        left = [name for name in left if name not in found[vector]]
    return found


def _tolerances(own: ColumnMaterial) -> drift.ColumnPolicy:
    import drift

    return drift.ColumnPolicy(
        tolerance=own.effect, nulls=own.nulls, range=own.range, ratio=own.ratio, tests=own.tests
    )


def distances(before: drift.Profile, current: drift.Profile, definition: Definition) -> dict[str, float]:
    """How far each column lies from a reference, significant or not."""
    return distances_of(between(before, current, definition))


def distances_of(report: drift.Report) -> dict[str, float]:
    """How far each column lies from what the report compares with."""
    from drift import history

    found = history.distances(report)
    return {name: round(far, 5) for name, far in found.items()}


def moved(ports: Ports, version: DataVersion) -> dict[str, drift.ColumnVerdict]:
    """The columns that a judged version's stored report calls material, by name; none where its verdict was quiet."""
    import drift

    if not version.drift or version.drift_material is False:
        return {}
    stored = drift.Report.from_dict(json.loads(ports.documents.get(version.drift)))
    return {column.name: column for column in stored.columns if column.material}


def column_moved(column: drift.ColumnVerdict) -> Reason:
    """A column's material drift; `change` is the report's own sentence about it."""
    return reason(
        Code.COLUMN_MOVED, column=column.name, effect=float(column.effect.value), change=column.words
    )
