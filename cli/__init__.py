"""The `driftloop` command: everything that a person does, with messages that say what to do next."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from cli import (
    acts,
    adopt,
    audit,
    backtest,
    compare,
    doctor,
    drop,
    explain,
    new,
    publish,
    records,
    replay,
    status,
    traffic,
)
from shared.errors import DriftloopError

app = typer.Typer(
    name="driftloop",
    help="Drop data in a container: detect drift, retrain, and release behind a canary that rolls back automatically.",
    no_args_is_help=True,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
for part in (
    new,
    adopt,
    publish,
    drop,
    status,
    traffic,
    audit,
    explain,
    replay,
    records,
    backtest,
    compare,
    acts,
    doctor,
):
    part.add_to(app)


def _version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        typer.echo(f"driftloop {version('driftloop')}")
        raise typer.Exit


@app.callback()
def driftloop(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Drop data in a container: detect drift, retrain, and release behind a canary that rolls back automatically."""


def main() -> None:
    """Entry point. Exit code 0 done, 1 refused or not found (the text says why), 2 wrong usage."""
    try:
        app()
    except DriftloopError as error:
        print(f"driftloop: {error}", file=sys.stderr)  # noqa: T201 - this is the terminal
        sys.exit(1)
