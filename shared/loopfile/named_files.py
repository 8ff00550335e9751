"""The files and folders that a loop file names lie beside it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path as Folder

from shared.loopfile.definition import Definition
from shared.loopfile.rules import Finding
from shared.loopfile.yaml_lines import Path


def files(it: Definition, folder: Folder) -> Iterator[Finding]:
    """The files and folders that the definition names and that are not there."""
    named: list[tuple[Path, str | None, bool]] = [
        (("train", "pipeline"), it.train.pipeline, False),
        (("serve", "scoring"), it.serve.scoring, True),
        *((("gate", "checks"), check, False) for check in it.gate.checks),
    ]
    if it.serve.environment and not it.serve.environment.startswith("azureml:"):
        named.append((("serve", "environment"), it.serve.environment, False))
    for path, name, is_folder in named:
        if name is None:
            continue
        place = folder / name
        if not (place.is_dir() if is_folder else place.is_file()):
            yield Finding(
                path, name, f"a {'folder' if is_folder else 'file'} that exists beside the loop file"
            )
