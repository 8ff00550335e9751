"""drop: what any SDK or tool does with a blob upload, in one word."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Annotated

import typer

from cli import session
from cli.session import out
from shared.domain.reason import Code, reason
from shared.errors import ConfigurationError
from shared.files.passed_over import is_data, is_hidden, is_unfinished
from shared.inbox.landings import FOLDER_END
from shared.ports import Blob, Blobs
from shared.tables.snapshot import LOG, commit_of
from shared.words import say


def add_to(app: typer.Typer) -> None:
    app.command("drop")(drop)


def drop(
    loop: Annotated[str, typer.Argument(help="The loop.")],
    file: Annotated[
        Path, typer.Argument(help="A CSV or Parquet file, a folder of part files, or a Delta table.")
    ],
    name: Annotated[
        str, typer.Option(help="Name below the landing prefix; the file's own name otherwise.")
    ] = "",
    labels: Annotated[bool, typer.Option("--labels", help="These are late labels, not data.")] = False,
) -> None:
    """Upload data to the loop's landing prefix. A folder, with its partitions, is ended with _SUCCESS, or the manifest
    that a loop asks for, so that it is one version. Of a Delta table what is not there yet is uploaded, commits last:
    each is a version."""
    overview = session.overview(loop)
    if labels and not overview.labels:
        raise ConfigurationError(f"{loop} takes no late labels: its loop file has no data.labels")
    if not file.exists():
        raise ConfigurationError(f"{file} does not exist")
    container, _, prefix = (overview.labels if labels else overview.landing).partition("/")
    blobs, called = session.ports().blobs, name or file.name
    hidden = is_hidden(called.split("/"))
    if hidden or (file.is_file() and is_unfinished(called)):
        why = reason(Code.HIDDEN_NAME if hidden else Code.UNFINISHED_NAME)
        raise ConfigurationError(f"{called}: {say(why)}; give another --name")
    target = prefix + called
    if (file / LOG).is_dir():
        _table(blobs, file, container, target)
    elif file.is_dir():
        _folder(blobs, file, f"{container}/{target}", overview.manifest or FOLDER_END)
    else:
        blobs.upload(container, target, file)
    out.say(f"dropped {container}/{target}; follow it with: driftloop status {loop}")


def _folder(blobs: Blobs, file: Path, place: str, end: str) -> None:
    """Its parts, and then its end."""
    from shared.files import partitions
    from shared.intake import manifest
    from shared.tables import mltable

    container, _, target = place.partition("/")
    found = {each.relative_to(file).as_posix(): each for each in sorted(file.rglob("*")) if each.is_file()}
    is_part = is_data if mltable.NAME in found else partitions.is_part
    parts = {name: each for name, each in found.items() if is_part(name) and name not in (FOLDER_END, end)}
    if left_out := sorted(found.keys() - parts.keys() - {FOLDER_END, end}):
        more = f" and {len(left_out) - 3} more" if len(left_out) > 3 else ""
        out.say(f"no data, left out: {', '.join(left_out[:3])}{more}")
    blobs.upload_all(container, {f"{target}/{name}": part for name, part in parts.items()})
    blobs.upload(container, f"{target}/{end}", b"" if end == FOLDER_END else manifest.written(parts, end))


def _table(blobs: Blobs, file: Path, container: str, target: str) -> None:
    """What is not there yet: a commit is read once it lands, so that it comes after what it names."""
    there = {blob.name.removeprefix(f"{target}/"): blob for blob in blobs.list(container, f"{target}/")}
    below = {each.relative_to(file).as_posix(): each for each in file.rglob("*") if each.is_file()}
    found = {name: each for name, each in below.items() if not each.name.startswith(".")}
    commits = {name for name in found if commit_of(name)}
    sizes = {name: blob.size_bytes for name, blob in there.items()}
    both = sorted(commits & there.keys())
    differ = [name for name in both if found[name].stat().st_size != sizes[name]]
    differ += [name for name in both[-1:] if _bytes(blobs, there[name]) != found[name].read_bytes()]
    if differ:
        raise ConfigurationError(
            f"{container}/{target} is another Delta table, whose {differ[0]} differs; give this one another --name"
        )
    new = [name for name, each in found.items() if each.stat().st_size != sizes.get(name)]
    log = [name for name in new if name.startswith(f"{LOG}/")]
    blobs.upload_all(container, {f"{target}/{name}": found[name] for name in new if name not in log})
    for name in sorted(log, key=lambda name: (name in commits, name)):
        blobs.upload(container, f"{target}/{name}", found[name])


def _bytes(blobs: Blobs, blob: Blob) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        blobs.download(blob, place := Path(folder) / "blob")
        return place.read_bytes()
