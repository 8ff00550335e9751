"""The `driftloop` command: everything that a person does, with messages that say what to do next."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterable
from functools import cache
from typing import Annotated, Protocol

import typer

from shared.errors import DriftloopError


class _Part(Protocol):
    """A module of commands."""

    def add_to(self, app: typer.Typer) -> None: ...


def _version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        typer.echo(f"driftloop {version('driftloop')}")
        raise typer.Exit


def driftloop(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Drop data in a container: detect drift, retrain, and release behind a canary that rolls back automatically."""


def _made(parts: Iterable[_Part]) -> typer.Typer:
    app = typer.Typer(
        name="driftloop",
        help=driftloop.__doc__,
        no_args_is_help=True,
        context_settings={"help_option_names": ["-h", "--help"]},
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
    )
    for part in parts:
        part.add_to(app)
    app.callback()(driftloop)
    return app


@cache
def _whole() -> typer.Typer:
    from cli import (
        acts,
        adopt,
        audit,
        backtest,
        compare,
        contract_check,
        diff,
        doctor,
        drop,
        explain,
        export,
        label_sample,
        log,
        new,
        promotion,
        publish,
        records,
        rejected,
        replay,
        status,
        traffic,
    )

    reading = (
        new,
        adopt,
        publish,
        contract_check,
        drop,
        label_sample,
        status,
        traffic,
        audit,
        explain,
        log,
        diff,
        replay,
        export,
        promotion,
        records,
        rejected,
    )
    return _made((*reading, backtest, compare, acts, doctor))


def _drift_alone() -> typer.Typer:
    """Comparing needs no loop, and loading what reads loop files takes longer than comparing small files."""
    from cli import compare

    return _made((compare,))


def __getattr__(name: str) -> typer.Typer:
    """`cli.app`, every command: made when it is asked for."""
    if name != "app":
        raise AttributeError(name)
    return _whole()


def main() -> None:
    """Entry point. Exit code 0 done, 1 refused or not found (the text says why), 2 wrong usage."""
    logging.getLogger("azure").setLevel(logging.CRITICAL)  # what goes wrong there is raised, and told below
    try:
        app = _drift_alone() if sys.argv[1:2] in (["compare"], ["profile"]) else _whole()
        app()
    except DriftloopError as error:
        print(f"driftloop: {error}", file=sys.stderr)  # noqa: T201 - this is the terminal
        sys.exit(1)
