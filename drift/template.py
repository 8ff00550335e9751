"""A profile that says how any rows of a schema are counted, so that parts of them count alike, whoever counts which."""

from collections.abc import Collection, Mapping
from dataclasses import replace

import pyarrow as pa

from .categories import NONE
from .grid import UNKNOWN, Grid
from .kinds import fits, natural_kind
from .profiles import PARTS, ColumnProfile, Profile
from .report import Kind


def unsettled(
    schema: pa.Schema,
    reference: Profile | None = None,
    *,
    ignore: Collection[str] = (),
    columns: Mapping[str, Kind] | None = None,
) -> list[str]:
    """Columns of which the reference does not say how they are counted: a few of their rows must show it.

    Parameters
    ----------
    schema
        The columns and their Arrow types.
    reference, ignore, columns
        As for `Profiler`.
    """
    known = reference.columns if reference is not None else {}
    left_out = {*ignore, *(reference.ignored if reference is not None else ())}
    return [
        field.name
        for field in schema
        if field.name not in left_out
        and not pa.types.is_null(field.type)
        and not _settles(known.get(field.name), field, (columns or {}).get(field.name))
    ]


def template(
    schema: pa.Schema,
    reference: Profile | None = None,
    looked: Profile | None = None,
    *,
    columns: Mapping[str, Kind] | None = None,
) -> Profile:
    """Kinds, edges and categories from the reference, where it knows them, else from rows that were looked at.

    A `Profiler` that is given it as `grid` counts any part of the rows so that parts merge into the whole, byte for
    byte (`Profiler.merge`).

    Parameters
    ----------
    schema, reference, columns
        As for `unsettled`.
    looked
        The profile of some rows, with the columns that the reference does not settle. What they do not show either
        goes by the column's type.
    """
    known = reference.columns if reference is not None else {}
    found = looked.columns if looked is not None else {}
    made = dict(known)
    for field in schema:
        said = (columns or {}).get(field.name)
        if not pa.types.is_null(field.type) and not _settles(known.get(field.name), field, said):
            made[field.name] = _completed(found.get(field.name), field, said)
    whole = reference or looked or Profile(0, {})
    return replace(whole, columns=made, sample={})


def _kind(known: ColumnProfile | None, field: pa.Field, said: Kind | None) -> Kind | None:
    kinds = (said, known.kind if known is not None else None)
    return next((k for k in kinds if k not in (None, "empty", "other") and fits(k, field.type)), None)


def _settles(known: ColumnProfile | None, field: pa.Field, said: Kind | None) -> bool:
    kind = _kind(known, field, said)
    if kind is None:
        return False
    grids, counts = PARTS.get(kind, ((), ()))
    parts = known.parts if known is not None else {}
    return all(_has_edges(parts.get(part)) for part in grids) and all(
        part in parts and not isinstance(parts[part], Grid) for part in counts
    )


def _has_edges(part: object) -> bool:
    return isinstance(part, Grid) and bool(len(part.edges))


def _completed(looked: ColumnProfile | None, field: pa.Field, said: Kind | None) -> ColumnProfile:
    kind = _kind(looked, field, said) or natural_kind(pa.nulls(0, field.type), field.name)
    grids, counts = PARTS.get(kind, ((), ()))
    parts = dict(looked.parts) if looked is not None and looked.kind == kind else {}
    parts |= {part: UNKNOWN for part in grids if not _has_edges(parts.get(part))}
    parts |= {part: NONE for part in counts if part not in parts}
    return ColumnProfile(field.name, kind, str(field.type), 0, 0, parts)
