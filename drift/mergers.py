"""Profiles of parts become one of all their rows."""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from . import segments
from .categories import Counts, CountsBuilder
from .errors import DataError
from .grid import Grid, add
from .order import Copies, Order
from .profiles import By, ColumnProfile, Profile
from .row_sample import SIZE


def merge(profiles: Sequence[Profile]) -> Profile:
    """One profile of all the rows of several.

    Counts on the same edges add exactly. Where the parts have edges of their own, cells are cut evenly and
    ``Grid.error`` tells how many rows may be on the wrong side of an edge. Segments are of the parts that have
    them; where the bands of a column differ, of those that have the last one's.

    Raises
    ------
    DataError
        There is nothing to merge, or a column has another kind in another part.
    """
    if not profiles:
        raise DataError("there is nothing to merge", remedy="Give at least one profile.")
    return _merged(profiles, SIZE)


def _merged(profiles: Sequence[Profile], sample_rows: int) -> Profile:
    rows = sum(p.rows for p in profiles)
    names = list(dict.fromkeys(name for p in profiles for name in p.columns))
    columns = {name: _merge_column(name, profiles) for name in names}
    first = profiles[0]
    ignored = tuple(dict.fromkeys(name for p in profiles for name in p.ignored))
    by = tuple({one.column: one for p in profiles for one in p.by}.values())
    sample = _merge_samples(profiles, rows, sample_rows)
    seen = sum((p.copies for p in profiles), Copies())
    parts = _merge_segments(profiles, by, columns)
    return Profile(rows, columns, first.target, ignored, sample, by=by, segments=parts, copies=seen)


def _merge_segments(
    profiles: Sequence[Profile], by: Sequence[By], columns: Mapping[str, ColumnProfile]
) -> Mapping[str, Profile]:
    """No more than one profile may have: beyond, those of the fewest rows are a column's others."""
    found: dict[str, list[Profile]] = {}
    for one in by:
        mine: dict[str, list[Profile]] = {}
        for p in (p for p in profiles if one in p.by):
            for name in (n for n in p.segments if n.startswith(f"{one.column}=")):
                mine.setdefault(name, []).append(segments.within(columns, p.segments[name]))
        others = f"{one.column}={segments.OTHERS}"
        mine.setdefault(others, [])
        ranked = sorted(mine, key=lambda n: (n != others, -sum(p.rows for p in mine[n]), n))
        for name in ranked[segments.MOST // len(by) + 1 :]:
            mine[others] += mine.pop(name)
        found |= {name: parts for name, parts in mine.items() if parts}
    return {name: _merged(found[name], segments.SAMPLE_ROWS) for name in sorted(found)}


def _merge_column(name: str, profiles: Sequence[Profile]) -> ColumnProfile:
    found = [p.columns[name] for p in profiles if name in p.columns]
    known = [c for c in found if c.kind != "empty"] or found
    kinds = sorted({c.kind for c in known})
    if len(kinds) > 1:
        raise DataError(
            f"it is {' in one part and '.join(kinds)} in another", name, "Settle its kind with columns=."
        )
    rows = sum(p.rows for p in profiles)
    missing = sum(p.rows for p in profiles if name not in p.columns)
    nulls = sum(c.nulls for c in found) + missing
    # A part that one of them lacks, as a profile of before there was that part, would be of some of the rows alone.
    whole = [part for part in known[0].parts if all(part in c.parts for c in known)]
    parts = {part: _merge_parts([c.parts[part] for c in known]) for part in whole}
    order = sum((c.order for c in known), Order())
    keys = sum(c.keys[0] for c in known), sum(c.keys[1] for c in known)
    return ColumnProfile(name, known[0].kind, known[0].type, rows, nulls, parts, order, keys)


def _merge_parts(parts: Sequence[Grid | Counts]) -> Grid | Counts:
    first = parts[0]
    if isinstance(first, Grid):
        for part in parts[1:]:
            assert isinstance(part, Grid)
            first = add(first, part)
        return first
    builder = CountsBuilder()
    for part in parts:
        assert isinstance(part, Counts)
        builder.add_counts(part)
    return builder.finish()


def _merge_samples(
    profiles: Sequence[Profile], rows: int, most: int
) -> Mapping[str, npt.NDArray[np.float32]]:
    names = [n for n in profiles[0].sample if all(n in p.sample for p in profiles)]
    if not names:
        return {}
    threshold = min(1.0, most / max(rows, 1))
    keeps = []
    for part, p in enumerate(profiles):
        size = len(p.sample[names[0]])
        share = threshold / min(1.0, most / max(p.rows, 1))
        keeps.append(np.random.default_rng([part, size]).random(size) < share)
    return {n: np.concatenate([p.sample[n][k] for p, k in zip(profiles, keeps, strict=True)]) for n in names}
