"""Where a file lies: on this machine, or elsewhere, as a blob that is read and written in pieces."""

from __future__ import annotations

from io import BufferedReader, BufferedWriter
from pathlib import Path
from typing import Literal, Protocol, Self


class FileChanged(Exception):
    """Another file lies there than the one that was meant."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


class FileUnavailable(Exception):
    """It could not be read or written just now, and nothing is wrong with it. No OSError, which is what damage is."""


class _Size(Protocol):
    @property
    def st_size(self) -> int: ...


class Place(Protocol):
    """As much of `pathlib.Path` as the reader uses; a path is one."""

    def open(self, mode: Literal["rb"]) -> BufferedReader: ...

    def stat(self) -> _Size: ...


class Folder(Protocol):
    """Where files are written; a path is one."""

    @property
    def parent(self) -> Self: ...

    def __truediv__(self, name: str) -> Self: ...

    def mkdir(self, mode: int = ..., parents: bool = ..., exist_ok: bool = ...) -> None: ...

    def open(self, mode: Literal["wb"]) -> BufferedWriter: ...


def source(place: Place) -> Path | BufferedReader:
    """What Arrow opens: it has a faster way to a file of this machine."""
    return place if isinstance(place, Path) else place.open("rb")
