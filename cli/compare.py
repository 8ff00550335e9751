"""compare and profile: the drift verdict by itself, on files, without Azure and without a loop."""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from cli.session import Json, out, print_json, shown, write
from shared.redaction import printable

if TYPE_CHECKING:
    from drift import Finding, Report
    from shared.reader.profile_files import Profiled

By = Annotated[
    list[str] | None, typer.Option(help="Judge each value of this column by itself as well; may be repeated.")
]
Ignore = Annotated[list[str] | None, typer.Option(help="A column to leave out; may be given again.")]
ColumnIs = Annotated[
    list[str] | None,
    typer.Option(
        "--column",
        metavar="NAME=KIND",
        help="What a column is: number, number-point, number-comma, category, id, text, time, day-first, "
        "month-first, year-first or ignore; may be given again.",
    ),
]
Null = Annotated[
    list[str] | None,
    typer.Option("--null", metavar="TEXT", help="A text or number that means no value; may be given again."),
]
_COLOURS = {"material": "bold red", "detected": "yellow", "quiet": "dim"}
BAD_INPUT = 2


def add_to(app: typer.Typer) -> None:
    app.command("profile")(profile)
    app.command("compare")(compare)


def profile(
    data: Annotated[Path, typer.Argument(help="CSV, CSV under gzip, Parquet, or a folder of them.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The file to write.")],
    ignore: Ignore = None,
    by: By = None,
    column: ColumnIs = None,
    null: Null = None,
    as_json: Json = False,
) -> None:
    """Profile a data file. Stores what a comparison needs, without the rows; exit code 2 on bad input."""
    from shared.errors import ConfigurationError

    with _bad_input():
        if _stored(data):
            raise ConfigurationError(f"{data} is a stored profile already; compare takes it as it is")
        columns = said(column)
        read = _read(
            data, {"ignore": tuple(ignore or ()), "columns": columns, "nulls": tuple(null or ())}, by=by
        )
        kept = read.stored()
        check_named((*columns, *(ignore or ())), read.there)
        _check_apart(output, data)
        write(output, kept.to_bytes())
    size = output.stat().st_size
    if as_json:
        kinds = {name: each.kind for name, each in kept.columns.items()}
        told = {"output": str(output), "size_bytes": size, "rows": kept.rows, "columns": kinds}
        told["read"] = list(read.findings)
        print_json({**told, "by": [one.column for one in kept.by], "segments": sorted(kept.segments)})
        return
    columns_by = ", ".join(one.column for one in kept.by)
    parts = f", {len(kept.segments)} segments by {columns_by}" if kept.by else ""
    for finding in read.findings:
        out.print(f"[yellow]look[/]  {shown(finding)}")
    words = f"{output}: {kept.rows:,} rows, {len(kept.columns)} columns{parts}, {size / 1000:,.0f} kB"
    out.print(shown(words))


def compare(
    reference: Annotated[Path, typer.Argument(help="Data, or what `driftloop profile` stored.")],
    current: Annotated[Path, typer.Argument(help="The data to judge; what REFERENCE may be, this may be.")],
    page: Annotated[Path | None, typer.Option("--html", help="Write the report as one page.")] = None,
    rate: Annotated[
        float, typer.Option(min=1e-9, max=0.5, help="How often a quiet report may alarm, all in all.")
    ] = 0.01,
    tolerance: Annotated[
        float,
        typer.Option(min=0, help="The smallest effect that matters: sd of numbers, share of categories."),
    ] = 0.1,
    ignore: Ignore = None,
    by: By = None,
    column: ColumnIs = None,
    null: Null = None,
    as_json: Json = False,
) -> None:
    """Report what changed and whether it matters.

    Exit code 0 no material drift, 1 material drift, 2 bad input: unreadable, broken rather than drifted (a column
    is missing, renamed, of another type or empty, or there is no row), or nothing in it that can be compared.
    """
    import drift

    with _bad_input():
        columns = said(column)
        before, after = _both(reference, current, ignore, columns, null, by)
        known, new = before.profile, after.profile
        columns = {**before.columns, **columns}
        policy = drift.Policy(
            false_alarm_rate=rate,
            material_numeric=tolerance,
            material_categorical=tolerance,
            ignore=(*(ignore or ()), *(name for name, kind in columns.items() if kind == "ignore")),
        )
        report = drift.compare(known, new, policy)
        findings = [f for f in report.findings if f.column not in policy.ignore]
        findings += _of_reading(reference, before) + _of_reading(current, after)
        findings += _of_signs(reference, before, current, after)
        findings += _of_what_was_said(reference, before, current, after)
        if page is not None:
            _check_apart(page, reference, current)
            write(page, drift.report_html(report, known, new).encode())
    broken = any(finding.breaking for finding in findings)
    if as_json:
        print_json({**report.to_dict(), "findings": [asdict(f) for f in findings]})
    else:
        tell(report, findings)
        if page is not None:
            out.print(f"the page: {escape(str(page))}")
    if broken or report.material or not report.columns:
        raise typer.Exit(1 if report.material and not broken else BAD_INPUT)


def said(columns: list[str] | None) -> dict[str, str]:
    """What `--column` says: name to kind."""
    if not columns:
        return {}
    from shared.loopfile.value_kinds import COLUMN_KINDS

    found: dict[str, str] = {}
    for each in columns:
        name, mark, kind = each.rpartition("=")
        if not mark or kind not in COLUMN_KINDS:
            raise typer.BadParameter(
                f"{each!r} is not NAME=KIND; the kinds are {', '.join(COLUMN_KINDS)}", param_hint="--column"
            )
        if found.setdefault(name, kind) != kind:
            raise typer.BadParameter(
                f"{name!r} is said to be {found[name]} and {kind}", param_hint="--column"
            )
    return found


def _both(
    reference: Path,
    current: Path,
    ignore: list[str] | None,
    columns: dict[str, str],
    null: list[str] | None,
    by: list[str] | None,
) -> tuple[Profiled, Profiled]:
    """The two, read alike: what a stored one was read by holds for the other as well, where nothing else is said."""
    from drift import DataError

    known, new = _stored(reference), _stored(current)
    stored = known or new
    alike = {**(stored.columns if stored else {}), **columns}
    nulls = null or list(stored.nulls if stored else ())
    how: dict[str, Any] = {"ignore": tuple(ignore or ()), "columns": alike, "nulls": tuple(nulls or ())}
    before = known or _read(reference, how, by=by, hints=new.hints if new else {})
    if stored is None and before.guessed and before.guessed.intersection(shown := _hints(current, how)):
        before = _read(reference, how, by=by, hints=shown)
    stored_by = {one.column for one in before.profile.by}
    if lost := next((name for name in by or () if name not in stored_by), None):
        raise DataError(
            f"it was not stored by {lost}", reference.name, f"Run driftloop profile with --by {lost}."
        )
    after = new or _read(current, how, grid=before.profile, hints=before.hints)
    check_named((*columns, *(ignore or ())), before.there | after.there)
    return before, after


def _read(path: Path, how: Mapping[str, Any], **more: Any) -> Profiled:
    from shared.reader import profile_files

    with _named(path):
        return profile_files.profile(path, **how, **more)


def _hints(path: Path, how: Mapping[str, Any]) -> Mapping[str, str]:
    """What the other file shows of columns of which this one shows nothing."""
    from shared.reader import profile_files

    with _named(path):
        return profile_files.hints(path, **how)


@contextmanager
def _named(path: Path) -> Iterator[None]:
    """Errors say which of the two it is: files of two folders are often called alike."""
    from drift import DataError
    from shared.errors import ConfigurationError, DriftloopError, InputRejected
    from shared.intake.rejections import quoted, rejected

    try:
        yield
    except (DataError, InputRejected) as error:
        raise ConfigurationError(f"{path}: {error}") from error
    except (DriftloopError, OSError):
        raise
    except Exception as error:
        # Bytes fail in ways that no list foresees, and broken ones ask for memory that nobody has: nothing was
        # compared, which is no drift.
        why = f" {quoted(str(error))}" if str(error) else ""
        raise rejected("unreadable", f"{path} cannot be read ({type(error).__name__}){why}") from error


def _stored(path: Path) -> Profiled | None:
    from drift.profiles import stored
    from shared.reader.profile_files import Profiled

    kept = stored(path)
    return None if kept is None else Profiled.of(kept)


def _check_apart(output: Path, *inputs: Path) -> None:
    from shared.errors import ConfigurationError

    there = [each for each in inputs if each.exists()]  # TABLE@N is the name of no file
    if any(output.exists() and output.samefile(each) for each in there):
        raise ConfigurationError(f"{output} is what was read, and would be lost; name another file")


def check_named(names: Iterable[str], there: Collection[str]) -> None:
    """A misspelt `--column` or `--ignore` would change nothing and say nothing."""
    from shared.errors import ConfigurationError

    if strange := next((name for name in names if name not in there), None):
        near = ", ".join(get_close_matches(strange, there, 3))
        raise ConfigurationError(f"there is no column {strange!r}{f'; there is {near}' if near else ''}")


def _of_reading(path: Path, read: Profiled) -> list[Finding]:
    """How a file was read, where people may have meant something else."""
    from drift import Code, Finding

    return [Finding(Code.READ, "", False, f"{path.name}: {words}") for words in read.findings]


def _of_signs(reference: Path, before: Profiled, current: Path, after: Profiled) -> list[Finding]:
    """Numbers of another currency or unit are other numbers, whatever their values show."""
    from drift import Code, Finding

    def told(signs: frozenset[str]) -> str:
        return ", ".join(repr(sign) if sign else "none" for sign in sorted(signs))

    return [
        Finding(
            Code.READ,
            name,
            False,
            f"column {name!r}: signs differ: {told(before.signs[name])} in {reference.name}, {told(signs)} in "
            f"{current.name}; each number is read as written",
        )
        for name, signs in after.signs.items()
        if signs and before.signs.get(name) and signs != before.signs[name]
    ]


def _of_what_was_said(reference: Path, before: Profiled, current: Path, after: Profiled) -> list[Finding]:
    """A stored profile cannot be read again in another way."""
    from drift import Code, Finding

    def told(name: str, one: str, other: str) -> Finding:
        words = f"{reference.name} was read with {one}, {current.name} with {other}"
        return Finding(Code.READ, name, False, f"{words}; store both in the same way")

    def nulls(read: Profiled) -> str:
        return " ".join(f"--null {text!r}" for text in sorted(read.nulls)) or "no --null"

    def kind(read: Profiled, name: str) -> str:
        return f"--column {name}={read.columns[name]}" if name in read.columns else f"no --column {name}"

    def alike(name: str) -> bool:
        """The same was said, or was found: of a number's or date's form that cannot be seen."""
        both = [read.columns.get(name, "") for read in (before, after)]
        kinds = [one.kind if (one := read.profile.columns.get(name)) else "" for read in (before, after)]
        return both[0] == both[1] or (kinds[0] == kinds[1] and not any("-" in each for each in both))

    names = sorted({*before.columns, *after.columns} & before.there & after.there)
    found = [told(name, kind(before, name), kind(after, name)) for name in names if not alike(name)]
    if {*before.nulls} != {*after.nulls}:
        found.insert(0, told("", nulls(before), nulls(after)))
    return found


@contextmanager
def _bad_input() -> Iterator[None]:
    """What is wrong with the files goes to stderr, with exit code 2."""
    from drift import DataError
    from shared.errors import ConfigurationError, InputRejected

    try:
        yield
    except (DataError, InputRejected, ConfigurationError, OSError) as error:
        print(f"driftloop: {printable(str(error))}", file=sys.stderr)  # noqa: T201 - this is the terminal
        raise typer.Exit(BAD_INPUT) from error


def tell(report: Report, findings: Sequence[Finding]) -> None:
    """Findings, the columns that changed, and what was not compared."""
    for finding in findings:
        mark = "[bold red]broken[/]" if finding.breaking else "[yellow]look[/]"
        out.print(f"{mark}  {shown(finding.words)}")
    colour = _COLOURS["material" if report.material else "detected" if report.detected else "quiet"]
    out.print(f"[{colour}]{shown(report.headline)}[/]")
    if report.detected:
        _table(report)
    for name, part in report.segments.items():
        if part.detected:
            out.print(f"{shown(name)}: {shown(part.headline)}")
    for name in report.small:
        out.print(f"[dim]not judged: {shown(name)} has too few rows on a side[/]")
    for note in report.notes:
        out.print(shown(note))
    for name, reason in report.skipped:
        out.print(f"[dim]not compared: {shown(f'{name}, {reason}')}[/]")
    rate = f"false alarms in at most {report.false_alarm_rate:.1%} of quiet reports"
    if not report.independent:
        rate = "rows depend on each other, so that no false-alarm rate holds"
    quiet = sum(not c.detected for c in report.columns if c.kind != "dependence")
    out.print(
        f"{quiet} column{'' if quiet == 1 else 's'} without a change beyond chance; "
        f"{report.rows_current:,} rows against {report.rows_reference:,}; {rate}"
    )


def _table(report: Report) -> None:
    """The columns that changed, each in its sentence; in a pipe each is one line."""
    table = Table(box=None, pad_edge=False)
    table.add_column("verdict")
    table.add_column("adjusted p")
    table.add_column("what happened", overflow="fold")
    for column in (c for c in report.columns if c.detected):
        verdict = "material" if column.material else "detected"
        table.add_row(f"[{_COLOURS[verdict]}]{verdict}[/]", f"{column.p_value:.2g}", shown(column.words))
    out.print(table)
