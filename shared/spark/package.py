"""The program as the folder of code that a job runs: its entry, and the product's own modules in one archive.

A file is sent along rather than named in an environment: with a conda file a cluster takes 10 to 15 minutes to begin,
and in a network that lets only approved addresses out none installs (MicrosoftDocs/azure-ai-docs,
apache-spark-azure-ml-concepts.md, how-to-managed-network.md).
"""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Iterator
from pathlib import Path

import drift
import shared

NAME = "driftloop_reader"
"""Of the component that carries it."""
ENTRY, ARCHIVE = "read_drop.py", "driftloop_reader.zip"
_ENTRY = "from shared.spark.program import main\n\nmain()\n"
_LONG_AGO = (2020, 1, 1, 0, 0, 0)
"""So that the same modules are the same archive."""


def version() -> str:
    """Twelve hex digits of its content."""
    digest = hashlib.sha256(_ENTRY.encode())
    for name, content in _modules():
        digest.update(name.encode() + b"\0" + content + b"\0")
    return digest.hexdigest()[:12]


def write(folder: Path) -> None:
    with zipfile.ZipFile(folder / ARCHIVE, "w") as archive:
        for name, content in _modules():
            archive.writestr(zipfile.ZipInfo(name, _LONG_AGO), content, zipfile.ZIP_DEFLATED)
    (folder / ENTRY).write_text(_ENTRY)


def _modules() -> Iterator[tuple[str, bytes]]:
    for package in (drift, shared):
        root = Path(str(package.__file__)).parent
        for file in sorted(root.rglob("*.py")):
            yield f"{root.name}/{file.relative_to(root).as_posix()}", file.read_bytes()
