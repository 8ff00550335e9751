"""What a report says beside its tests: what is broken, what was not compared, what its rate does not cover."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace

from drift.profiles import Profile
from drift.report import Code, ColumnVerdict, Finding, Report
from drift.schema import check_schema


def of(
    reference: Profile, current: Profile, columns: Sequence[ColumnVerdict], ignore: Collection[str]
) -> tuple[Finding, ...]:
    """All findings on a comparison, breaking ones first."""
    ignored = {*ignore, *reference.ignored}
    found = [f for f in check_schema(reference, current) if f.column not in ignored]
    found = [_target(f) if f.column == reference.target else f for f in found]
    found += _compared(reference, current, columns)
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
    return f"no drift: {rows} rows in {len(columns)} columns look like the reference"


def listed(names: Sequence[str]) -> str:
    """Up to three names, and how many more."""
    shown = ", ".join(names[:3])
    return shown if len(names) <= 3 else f"{shown} and {len(names) - 3} more columns"
