"""The one stand-in of the simulator: drops are read in this process, by the same code, instead of in a child."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

import drift
import drift.verdict
from shared.intake import DropFile, Reading, ReadSpec
from shared.intake.reading import read

_read: dict[str, tuple[Reading, dict[str, bytes]]] = {}


def read_in_process(files: Sequence[DropFile], spec: ReadSpec, output: Path) -> Reading:
    """`shared.intake.read_drop` without its process; the same drop under the same spec is read once."""
    asked = hashlib.sha256(json.dumps(spec.to_document(), sort_keys=True, default=str).encode())
    asked.update(spec.reference)
    for file in files:
        asked.update(file.path.read_bytes())
    key = asked.hexdigest()
    if key not in _read:
        reading = read(files, spec, output)
        written = {
            path.relative_to(output).as_posix(): path.read_bytes() for path in output.rglob("*.parquet")
        }
        _read[key] = (reading, written)
    reading, written = _read[key]
    for name, content in written.items():
        (output / name).parent.mkdir(parents=True, exist_ok=True)
        (output / name).write_bytes(content)
    return reading


_compared: dict[tuple[bytes, bytes, str], drift.Report] = {}


def compare_once(reference: drift.Profile, current: drift.Profile, policy: drift.Policy) -> drift.Report:
    """`drift.compare` is pure: the same comparison is made once in all lives."""
    key = (reference.to_bytes(), current.to_bytes(), repr(policy))
    if key not in _compared:
        _compared[key] = drift.verdict.compare(reference, current, policy)
    return _compared[key]


@contextmanager
def reading_in_process() -> Iterator[None]:
    with mock.patch("shared.intake.read_drop", read_in_process), mock.patch("drift.compare", compare_once):
        yield
