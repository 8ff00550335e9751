"""What a report says beside its tests: what is broken, what was not compared, what its rate does not cover."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace

from .profiles import Profile
from .report import Code, ColumnVerdict, Finding, Report
from .schema import check_schema

_CLUSTERED = 1.5
_INSTEAD = "rank the drop among past ones (drift.history)"


def of(
    reference: Profile, current: Profile, columns: Sequence[ColumnVerdict], ignore: Collection[str]
) -> tuple[Finding, ...]:
    """All findings on a comparison, breaking ones first."""
    ignored = {*ignore, *reference.ignored}
    found = [f for f in check_schema(reference, current) if f.column not in ignored]
    found = [_target(f) if f.column == reference.target else f for f in found]
    found += _compared(reference, current, columns)
    found += [f for f in dependence(current, "rows") if f.column not in ignored]
    found += [f for f in dependence(reference, "the reference's rows") if f.column not in ignored]
    found += [f for f in _running(reference, current) if f.column not in ignored]
    return tuple(sorted(found, key=lambda f: not f.breaking))


def _target(finding: Finding) -> Finding:
    if finding.code is not Code.DROPPED:
        return finding
    words = f"{finding.column}, the target, is missing: these rows have no labels"
    return replace(finding, breaking=False, words=words)


def _compared(reference: Profile, current: Profile, columns: Sequence[ColumnVerdict]) -> Iterator[Finding]:
    if not columns:
        words = "no column is on both sides and can be compared; check that the tables belong together"
        if not reference.rows:
            words = "the reference has not one row; give another reference"
        elif not current.rows:
            words = "the current data have not one row; check the export"
        yield Finding(Code.NOTHING_COMPARED, "", True, f"nothing was compared: {words}")
        return
    silent = [c.name for c in columns if not c.judgeable]
    if silent:
        words = (
            f"{listed(silent)} cannot be judged at these sizes: {current.rows:,} rows against "
            f"{reference.rows:,}; gather more rows, or raise the false-alarm rate"
        )
        yield Finding(Code.NOT_JUDGEABLE, silent[0] if len(silent) == 1 else "", False, words)


def dependence(profile: Profile, rows: str = "rows") -> Iterator[Finding]:
    """Signs that rows depend on each other, for which the stated rate does not hold."""
    columns = profile.columns.values()
    yield from _neighbours(profile, rows)
    if profile.copies.duplicated:
        words = (
            f"{profile.copies.share:.1%} of {rows} are copies of others (of the first {profile.copies.rows:,}): the "
            "stated rate does not hold; remove the copies, or export again"
        )
        yield Finding(Code.DUPLICATE_ROWS, "", False, words)
    for column in columns:
        seen, distinct = column.keys
        if distinct and seen >= _CLUSTERED * distinct:
            words = (
                f"{column.name} occurs in {seen / distinct:.3g} of {rows} on average: rows of one key depend on each "
                f"other, and the stated rate does not hold; {_INSTEAD}, or keep one row of each"
            )
            yield Finding(Code.REPEATED_KEY, column.name, False, words)


def _neighbours(profile: Profile, rows: str) -> Iterator[Finding]:
    """Where the file is sorted by a column, neighbours may be alike because of that alone: of a target they are."""
    columns = profile.columns.values()
    alike = [c for c in columns if c.order.dependent and c.name != profile.target]
    if not alike:
        return
    most = max(alike, key=lambda c: c.order.correlation)
    r, pairs = most.order.correlation, most.order.pairs
    like = f"{most.name} resembles the row before it ({r:.2f} over {pairs:,} neighbours)"
    by = [c.name for c in columns if c.order.ordered > c.order.pairs]
    if not by:
        words = f"{rows} depend on each other: the stated rate does not hold. {like}; {_INSTEAD}"
        yield Finding(Code.DEPENDENT_ROWS, most.name, False, words)
    elif profile.target not in by:
        words = (
            f"{rows} are sorted by {by[0]}, and {like}. If they were sorted for the file only, the stated rate holds; "
            f"if this is the order in which they came about, it does not: {_INSTEAD}"
        )
        yield Finding(Code.SORTED_ROWS, by[0], False, words)


def _running(reference: Profile, current: Profile) -> Iterator[Finding]:
    """Numbers that name rows are no features; a person may say that they are."""
    for name, column in reference.columns.items():
        if column.kind == "id" and "int" in column.type and name in current.columns:
            words = (
                f"{name} is an id, a running number or a time, and is not compared; if it is a number, say so "
                f"(columns={{{name!r}: 'numeric'}}, or --column {name}=number)"
            )
            yield Finding(Code.RUNNING_NUMBER, name, False, words)


def headline(report: Report) -> str:
    """One sentence for the whole report: what is broken comes first."""
    nothing = next((f for f in report.findings if f.code is Code.NOTHING_COMPARED), None)
    if nothing is not None:
        return nothing.words
    broken = [f.words for f in report.findings if f.breaking]
    if broken:
        more = f" (and {len(broken) - 1} more)" if len(broken) > 1 else ""
        return f"broken: {broken[0]}{more}; besides, {report.headline}"
    return report.headline


def drifted(columns: Sequence[ColumnVerdict], rows: int) -> str:
    """One sentence on what changed."""
    material = [c.name for c in columns if c.material]
    detected = [c.name for c in columns if c.detected and not c.material]
    if material:
        return f"material drift in {listed(material)}: {columns[0].words}"
    if detected:
        return f"{listed(detected)} changed, but within the tolerances"
    judged = sum(c.judgeable for c in columns)
    if not judged:
        return f"nothing can be judged: {rows} rows are too few for any column to alarm"
    of_the_data = sum(c.kind != "dependence" for c in columns)
    return f"no drift: {rows} rows in {of_the_data} columns look like the reference"


def listed(names: Sequence[str], things: str = "columns") -> str:
    """Up to three names, and how many more."""
    shown = ", ".join(names[:3])
    return shown if len(names) <= 3 else f"{shown} and {len(names) - 3} more {things}"
