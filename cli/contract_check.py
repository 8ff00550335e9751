"""contract check: what a drop would come to under a contract, rule by rule, before it is dropped."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli import session
from cli.session import Json, out, print_json, shown
from shared.errors import ConfigurationError

if TYPE_CHECKING:
    from shared.intake import ReadSpec
    from shared.reader.contract_pass import Result

LONGEST_VALUE = 60


def add_to(app: typer.Typer) -> None:
    group = typer.Typer(help="Check data against a contract.", no_args_is_help=True, rich_markup_mode=None)
    group.command("check")(check)
    group.callback()(_contract)
    app.add_typer(group, name="contract")


def _contract() -> None:
    """Check data against a contract (data.contract) before it is dropped."""


def check(
    file: Annotated[Path, typer.Argument(help="A CSV or Parquet file, or a folder of part files.")],
    loop: Annotated[
        str,
        typer.Option(help="The loop whose contract counts: its folder, or its name once it is published."),
    ] = "",
    contract: Annotated[
        Path | None,
        typer.Option(help="A contract's file: rules, an Open Data Contract, or a Pandera schema."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Check a file against a contract. Shows each rule and the first rows that break it; exit code 1: one is broken."""
    if bool(loop) == (contract is not None):
        raise typer.BadParameter("pass either --loop or --contract", param_hint="--loop, --contract")
    spec = _of_loop(loop) if contract is None else _of_file(contract)
    if not spec.contract:
        raise ConfigurationError(f"{loop or contract} has no contract; write one under data.contract")
    results, rejected, findings = _checked(file, spec)
    if as_json:
        print_json(
            {"rows": results[0].of, "rejected": rejected, "rules": [_document(one) for one in results]}
        )
    else:
        _print(results, rejected, findings)
    if any(result.broken for result in results):
        raise typer.Exit(1)


def _of_file(contract: Path) -> ReadSpec:
    from shared import loopfile
    from shared.intake import ReadSpec

    if not contract.is_file():
        raise ConfigurationError(f"{contract} is not a file; pass a contract's file, or --loop")
    return ReadSpec(target="", contract=ReadSpec.rules_of(loopfile.contract(contract)))


def _of_loop(loop: str) -> ReadSpec:
    """As the loop's next drop is read: a published loop knows its columns' types, and how they were written."""
    from dataclasses import replace

    from shared import loopfile
    from shared.intake import ReadSpec, drops
    from shared.runtime import unit_of_work

    if Path(loop).exists():
        return ReadSpec.of(loopfile.load(Path(loop)).data, {}, b"")
    session.overview(loop)
    unit = unit_of_work.read(session.ports(), loop)
    spec = ReadSpec.of(unit.published().definition.data, unit.newest_columns(), b"")
    return replace(spec, hints=drops.hints(unit))


def _checked(file: Path, spec: ReadSpec) -> tuple[Sequence[Result], int, Sequence[str]]:
    """Results, rows that would be rejected, and what people should know of how the file is read."""
    from dataclasses import replace

    from shared.clock import SystemClock
    from shared.errors import InputRejected
    from shared.reader.checked_files import check_files
    from shared.reader.profile_files import files_of

    if not file.exists():
        raise ConfigurationError(f"{file} does not exist")
    try:
        with out.status(f"reading {file}"):
            told: list[str] = []
            files = files_of(file, told)
            landed = replace(spec, landed_at=SystemClock().now().isoformat())
            results, rejected, findings = check_files(files, landed)
            return results, rejected, (*told, *findings)
    except InputRejected as rejection:
        raise ConfigurationError(
            f"{file} would be quarantined whatever its contract: {rejection.code}: {rejection}"
        ) from rejection


def _document(result: Result) -> dict[str, Any]:
    rows = [{"row": row, "values": values} for row, values in zip(result.first, result.values, strict=True)]
    document = result.to_document()
    return {**{key: value for key, value in document.items() if key != "first"}, "first": rows}


def _print(results: Sequence[Result], rejected: int, findings: Sequence[str]) -> None:
    from shared.errors import InputRejected
    from shared.intake import contract_verdict

    for result in results:
        if not result.broken:
            allowed = f"; {result.rows:,} of {result.of:,} rows, which is tolerated" if result.rows else ""
            out.print(f"[green]kept[/]    {shown(result.rule)}{allowed}")
            continue
        count = result.found or f"{result.rows:,} of {result.of:,} rows"
        outcome = _OUTCOMES["quarantine" if contract_verdict.is_fatal(result) else result.on_breach]
        out.print(f"[red]broken[/]  {shown(result.rule)}: {shown(count)} => {outcome}")
        for row, values in zip(result.first, result.values, strict=True):
            told = ", ".join(
                f"{n}: {'no value' if v is None else v[:LONGEST_VALUE]}" for n, v in values.items()
            )
            out.print(f"          row {row}: {shown(told)}")
        if result.rows > len(result.first):
            out.say(f"          and {result.rows - len(result.first):,} more rows")
    broken = [result for result in results if result.broken]
    rows = f"{results[0].of:,} rows"
    out.say(f"{rows}, {len(results)} rules: {f'{len(broken)} broken' if broken else 'all kept'}")
    try:
        contract_verdict.verdict(results, rejected)
    except InputRejected:
        out.say("the drop would be quarantined")
    else:
        if rejected:
            out.say(f"{rejected:,} rows would be rejected and kept apart")
    for finding in findings:
        out.print(f"note: {shown(finding)}", style="dim")


_OUTCOMES = {
    "quarantine": "the drop would be quarantined",
    "drop_rows": "these rows would be rejected",
    "report": "a finding",
}
