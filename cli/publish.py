"""validate and publish."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from cli import session
from cli.session import out

if TYPE_CHECKING:
    from shared.loopfile import Definition

Folder = Annotated[Path, typer.Argument(help="The loop's folder, or its loop.yaml.")]
Settings = Annotated[
    list[str] | None,
    typer.Option("--set", help="Override a key for this publication, for example canary.step.minutes=1."),
]


def add_to(app: typer.Typer) -> None:
    app.command("validate")(validate)
    app.command("publish")(publish)


def validate(folder: Folder, overrides: Settings = None) -> None:
    """Check a loop file; every mistake is told with its line, what was found and what is allowed."""
    from shared import loopfile

    definition = loopfile.load(_file(folder), overrides=tuple(overrides or ()))
    out.print(f"{_file(folder)}: loop {definition.loop} is valid")
    for line in _traffic(definition):
        out.print(line)


def _traffic(definition: Definition) -> Iterator[str]:
    """What the canary's steps need, so that a loop with less traffic is not a surprise of its first release."""
    from shared.release.canary.traffic_needs import traffic_needs

    step = definition.canary.step
    for one in traffic_needs(definition):
        errors = ", ".join(
            f"of {in_all} errors in all {'no number' if needed is None else needed}"
            for in_all, needed in one.errors
        )
        yield (
            f"canary at {one.weight_pct} %: {one.requests_per_hour:,} requests an hour bring its "
            f"{step.min_requests:,} within {step.max_hours:g} hours; to be rolled back by then it must have {errors}"
        )


def publish(folder: Folder, overrides: Settings = None) -> None:
    """Register what a loop needs in Azure ML, and make its definition the one that new releases run with."""
    from shared import loopfile
    from shared.azure import unaided
    from shared.azure.client import Workspace, credential
    from shared.azure.registry import Registry
    from shared.loopfile.published import Published
    from shared.runtime import publication

    file = _file(folder)
    definition = loopfile.load(file, overrides=tuple(overrides or ()))
    registry = Registry(Workspace(session.settings(), credential()))
    with out.status(f"publishing {definition.loop}") as status:
        assets = registry.register(
            file.parent, definition, lambda what: status.update(f"publishing {definition.loop}: {what}")
        )
        ports = session.ports()
        published = Published(definition, assets, session.who(), ports.clock.now())
        changed = publication.publish(ports, published)
    out.print(f"loop {definition.loop} {'published' if changed else 'is unchanged'}")
    if definition.serve.scoring is None and (against := unaided.look(file.parent)):
        out.print(f"[yellow]a release would end before it is deployed:[/] {escape(against)}")
    out.print(f"drop data at {definition.data.landing}, for example: driftloop drop {definition.loop} FILE")


def _file(folder: Path) -> Path:
    return folder / "loop.yaml" if folder.is_dir() else folder
