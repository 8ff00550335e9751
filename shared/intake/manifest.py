"""A manifest names the files of a drop, and may say how large they are and what they hold; differences are named."""

from __future__ import annotations

import base64
import binascii
import csv
import gzip
import hashlib
import io
import json
import zlib
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

from shared.files.place import Place
from shared.intake.rejections import listed, quoted, rejected

MOST_BYTES = 8 * 1024 * 1024
MOST_FILES = 100_000


@dataclass(frozen=True)
class Promised:
    """One file: its name below the folder, and what is said of it."""

    name: str
    size_bytes: int | None = None
    md5: bytes | None = None


def read(content: bytes, name: str) -> tuple[Promised, ...]:
    """JSON: a list of names or of {name, size, md5}, or an object whose `files` is one. CSV: a header with name, and
    maybe size and md5. An MD5 is hexadecimal, or base64 as in Content-MD5."""
    try:
        text = _text(content)
        entries = (
            list(csv.DictReader(io.StringIO(text))) if name.endswith(".csv") else _entries(json.loads(text))
        )
        found = tuple(map(_promised, entries))
    except (
        ValueError,
        OSError,
        EOFError,
        zlib.error,
        KeyError,
        TypeError,
        OverflowError,
        RecursionError,
        csv.Error,
    ) as error:
        raise rejected("bad-manifest", f"{quoted(name)} cannot be read: {quoted(str(error))}") from None
    twice = sorted(name for name, times in Counter(one.name for one in found).items() if times > 1)
    if not found or twice or len(found) > MOST_FILES:
        wrong = f"names {listed(twice)} twice" if twice else f"names {len(found):,} files"
        raise rejected("bad-manifest", f"{quoted(name)} {wrong}")
    return found


def _text(content: bytes) -> str:
    """Packed and encoded in the ways in which the files may be."""
    from shared.files.formats import encoding_of

    if content.startswith(b"\x1f\x8b"):
        with gzip.open(io.BytesIO(content)) as packed:
            content = packed.read(MOST_BYTES + 1)
        if len(content) > MOST_BYTES:
            raise ValueError(f"it has more than {MOST_BYTES:,} bytes")
    return content.decode(encoding_of(content))


def _entries(document: Any) -> list[Any]:
    files = document["files"] if isinstance(document, dict) else document
    if not isinstance(files, list):
        raise ValueError("not a list of files")
    return files


def _promised(entry: Any) -> Promised:
    if isinstance(entry, str):
        return Promised(_name(entry))
    if not isinstance(entry, dict):
        raise ValueError(f"{entry!r} is no file")
    size, md5 = entry.get("size"), entry.get("md5")
    return Promised(
        _name(entry["name"]), None if size in (None, "") else int(size), _md5(md5) if md5 else None
    )


def _name(value: object) -> str:
    path = PurePosixPath(str(value))
    if not isinstance(value, str) or not path.name or path.is_absolute() or ".." in path.parts:
        raise ValueError(f"{value!r} is no name below the folder")
    return path.as_posix()


def _md5(text: str) -> bytes:
    try:
        found = bytes.fromhex(text) if len(text) == 32 else base64.b64decode(text, validate=True)
    except (ValueError, binascii.Error):
        found = b""
    if len(found) != 16:
        raise ValueError(f"{text!r} is no MD5")
    return found


def absent(promised: Iterable[Promised], sizes: Mapping[str, int]) -> list[str]:
    """What has not landed as it was promised, in words; `sizes` are those of the files that have."""
    found = []
    for one in promised:
        size = sizes.get(one.name)
        if size is None:
            found.append(f"{quoted(one.name)} has not landed")
        elif one.size_bytes is not None and size != one.size_bytes:
            found.append(f"{quoted(one.name)} has {size:,} bytes, not {one.size_bytes:,}")
    return found


def check_content(one: Promised, file: Place) -> None:
    """Raises InputRejected where the file does not hold what was promised."""
    if one.md5 is not None and (found := _digest(file)) != one.md5:
        raise rejected("manifest-differs", f"{quoted(one.name)} has MD5 {found.hex()}, not {one.md5.hex()}")


def written(files: Mapping[str, Path], name: str) -> bytes:
    """A manifest of these files, for who drops them; CSV where its name ends so."""
    lines = [
        {"name": below, "size": file.stat().st_size, "md5": _digest(file).hex()}
        for below, file in files.items()
    ]
    if not name.endswith(".csv"):
        return json.dumps({"files": lines}, indent=1).encode()
    table = io.StringIO()
    writer = csv.DictWriter(table, ("name", "size", "md5"))
    writer.writeheader()
    writer.writerows(lines)
    return table.getvalue().encode()


def _digest(file: Place) -> bytes:
    with file.open("rb") as content:
        return hashlib.file_digest(content, partial(hashlib.md5, usedforsecurity=False)).digest()
