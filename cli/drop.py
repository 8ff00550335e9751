"""drop: what any SDK or tool does with a blob upload, in one word."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from cli import session
from cli.session import out
from shared.errors import ConfigurationError
from shared.inbox.landings import FOLDER_END


def add_to(app: typer.Typer) -> None:
    app.command("drop")(drop)


def drop(
    loop: Annotated[str, typer.Argument(help="The loop.")],
    file: Annotated[Path, typer.Argument(help="A CSV or Parquet file, or a folder of part files.")],
    name: Annotated[
        str, typer.Option(help="Name below the landing prefix; the file's own name otherwise.")
    ] = "",
    labels: Annotated[bool, typer.Option("--labels", help="These are late labels, not data.")] = False,
) -> None:
    """Upload data to the loop's landing prefix. A folder is ended with _SUCCESS, or the manifest that a loop asks for,
    so that it is one version."""
    overview = session.overview(loop)
    if labels and not overview.labels:
        raise ConfigurationError(f"{loop} takes no late labels: its loop file has no data.labels")
    if not file.exists():
        raise ConfigurationError(f"{file} does not exist")
    container, _, prefix = (overview.labels if labels else overview.landing).partition("/")
    blobs, target = session.ports().blobs, prefix + (name or file.name)
    if file.is_dir():
        end = overview.manifest or FOLDER_END
        parts = {p.name: p for p in sorted(file.iterdir()) if p.is_file() and p.name not in (FOLDER_END, end)}
        for part in parts.values():
            blobs.upload(container, f"{target}/{part.name}", part)
        blobs.upload(container, f"{target}/{end}", _end(end, parts))
    else:
        blobs.upload(container, target, file)
    out.say(f"dropped {container}/{target}; follow it with: driftloop status {loop}")


def _end(name: str, parts: Mapping[str, Path]) -> bytes:
    from shared.intake import manifest

    return b"" if name == FOLDER_END else manifest.written(parts, name)
