"""The one stand-in of the simulator: drops are read in this process, by the same code, instead of in a child."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TypeVar, cast
from unittest import mock

import drift
import drift.verdict
from shared import deadline, loopfile
from shared.canary import canary_judge
from shared.gate import gate_judge
from shared.intake import DropFile, Limits, Reading, ReadSpec
from shared.ports import Row
from shared.reader.one_pass import read
from shared.state import rows

Answer = TypeVar("Answer")

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


def _packed_anew(profile: bytes, limits: Limits, names: str) -> bytes:
    """`child_pool.packed_anew` without its process."""
    return drift.Profile.from_bytes(profile).to_bytes()


MOST_KNOWN, MOST_ROWS = 20_000, 50_000

_known: dict[tuple[object, ...], object] = {}
"""What pure functions answered, by name and arguments."""
_rows: dict[tuple[object, ...], object] = {}
"""Values of rows, of which each life has many of its own."""


def once(function: Callable[..., Answer]) -> Callable[..., Answer]:
    """A pure function of the product, which all lives ask for the same: each question is answered once."""

    def answer(*arguments: object, **named: object) -> Answer:
        asked = (function.__qualname__, repr((arguments, named)))
        return _recalled(_known, MOST_KNOWN, asked, lambda: function(*arguments, **named))

    return answer


def _recalled(
    known: dict[tuple[object, ...], object],
    most: int,
    asked: tuple[object, ...],
    answer: Callable[[], Answer],
) -> Answer:
    if asked not in known:
        if len(known) >= most:
            known.clear()
        known[asked] = answer()
    return cast(Answer, known[asked])


def forget() -> None:
    """For a test that changes what a pure function answers."""
    _known.clear()


def compare_once(reference: drift.Profile, current: drift.Profile, policy: drift.Policy) -> drift.Report:
    """`drift.compare` by the profiles' bytes: they are too long to be written out each time."""
    key = (reference.to_bytes(), current.to_bytes(), repr(policy))
    asked = ("compare", hashlib.sha256(repr(key).encode()).hexdigest())
    return _recalled(_known, MOST_KNOWN, asked, lambda: drift.verdict.compare(reference, current, policy))


def decode_once(kind: type[Answer], row: Row) -> Answer:
    """`rows.decode` by what it reads: values of rows are frozen, and each row is read again and again."""
    return _recalled(_rows, MOST_ROWS, (kind, row.key, row.doc), lambda: _decode(kind, row))


_decode = rows.decode


@contextmanager
def comparing_once() -> Iterator[None]:
    """Profiles that were compared before, by the same policy, are not compared again."""
    with mock.patch("drift.compare", compare_once):
        yield


@contextmanager
def reading_in_process() -> Iterator[None]:
    """Drops are read here; judges, which are pure, judge the same evidence once; no deadline passes."""
    with ExitStack() as stack:
        stack.enter_context(mock.patch.object(deadline, "_now", lambda: 0.0))
        stack.enter_context(mock.patch("shared.intake.read_drop", read_in_process))
        stack.enter_context(mock.patch("shared.reader.child_pool.packed_anew", _packed_anew))
        stack.enter_context(comparing_once())
        stack.enter_context(mock.patch.object(rows, "decode", decode_once))
        for module, name in (
            (canary_judge, "judge_canary"),
            (gate_judge, "judge_gate"),
            (loopfile, "parse"),
        ):
            stack.enter_context(mock.patch.object(module, name, once(getattr(module, name))))
        yield
