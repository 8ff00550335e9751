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

MOST_MOVED = 50
"""Columns that a verdict names, which rows of the loop hold; the report has them all."""

MOST_OF_SLICES = 10
"""Columns of slices that a verdict names; the report has them all."""


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
            segment_rows=definition.gate.slices.min_rows if definition.gate.slices else 1,
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


def kept(report: drift.Report) -> bytes:
    """The report as it is stored: without tests and effects of the quiet columns of slices, which are most of it."""
    document = report.to_dict()
    for part in document["segments"].values():
        for column in part["columns"]:
            if not column["detected"]:
                column |= {"tests": (), "effects": (), "bounds": {}, "distances": {}}
    return json.dumps(document, sort_keys=True).encode()


def material(report: drift.Report) -> dict[str, drift.ColumnVerdict]:
    """The columns that moved by what matters, by name, and those of slices as `slice: column`."""
    of_slices = {
        f"{name}: {column.name}": column
        for name, part in report.segments.items()
        for column in part.columns
        if column.material
    }
    return {column.name: column for column in report.columns if column.material} | of_slices


def moved(ports: Ports, version: DataVersion) -> dict[str, drift.ColumnVerdict]:
    """What a judged version's stored report calls `material`; nothing where its verdict was quiet."""
    import drift

    if not version.drift or version.drift_material is False:
        return {}
    stored = drift.Report.from_dict(json.loads(ports.documents.get(version.drift)))
    return material(stored)


def column_moved(name: str, column: drift.ColumnVerdict) -> Reason:
    """A column's material drift, of the whole or of a slice; `change` is the report's own sentence about it."""
    slice_ = name.removesuffix(column.name).removesuffix(": ")
    change = f"{slice_}: {column.words}" if slice_ else column.words
    return reason(
        Code.COLUMN_MOVED,
        column=column.name,
        slice=slice_,
        effect=float(column.effect.value),
        change=change,
    )


def columns_moved(report: drift.Report) -> tuple[Reason, ...]:
    """Each column that moved by what matters; a slice's only where the whole does not show it."""
    whole = {column.name for column in report.columns if column.material}
    found = material(report)
    of_slices = {name: c for name, c in found.items() if name not in whole and c.name not in whole}
    told = [name for name in found if name in whole] + list(of_slices)[:MOST_OF_SLICES]
    more = len(told) - MOST_MOVED
    if more <= 0:
        return tuple(column_moved(name, found[name]) for name in told)
    told = sorted(told, key=lambda name: -found[name].effect.value)[:MOST_MOVED]
    named = (column_moved(name, found[name]) for name in told)
    return (*named, reason(Code.COLUMNS_MOVED_MORE, columns=more))


def by_slice(report: drift.Report, definition: Definition) -> tuple[Reason, ...]:
    """How many slices were judged; nothing where the loop names none."""
    if not definition.slices or definition.gate.slices is None:
        return ()
    columns = ", ".join(definition.slices)
    if not report.segments and not report.small:
        return (reason(Code.SLICES_UNKNOWN, columns=columns),)
    seen = {"judged": len(report.segments), "small": len(report.small)}
    seen["moved"] = sum(part.material for part in report.segments.values())
    least = definition.gate.slices.min_rows
    return (
        reason(Code.SLICES_JUDGED, columns=columns, least=least, strange="; ".join(report.notes[:3]), **seen),
    )
