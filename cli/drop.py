"""drop: what any SDK or tool does with a blob upload, in one word."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cli import session
from cli.session import out
from shared.errors import ConfigurationError


def add_to(app: typer.Typer) -> None:
    app.command("drop")(drop)


def drop(
    loop: Annotated[str, typer.Argument(help="The loop.")],
    file: Annotated[Path, typer.Argument(help="A CSV or Parquet file, or a folder of part files.")],
    name: Annotated[
        str, typer.Option(help="Name below the landing prefix; the file's own name otherwise.")
    ] = "",
) -> None:
    """Upload data to the loop's landing prefix. A folder is ended with _SUCCESS, so that it is one version."""
    overview = session.overview(loop)
    if not file.exists():
        raise ConfigurationError(f"{file} does not exist")
    container, _, prefix = overview.landing.partition("/")
    blobs, target = session.ports().blobs, prefix + (name or file.name)
    if file.is_dir():
        for part in sorted(p for p in file.iterdir() if p.is_file() and p.name != "_SUCCESS"):
            blobs.upload(container, f"{target}/{part.name}", part)
        blobs.upload(container, f"{target}/_SUCCESS", b"")
    else:
        blobs.upload(container, target, file)
    out.say(f"dropped {container}/{target}; follow it with: driftloop status {loop}")
