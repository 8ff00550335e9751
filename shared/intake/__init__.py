"""A drop is read once, in a process of its own with limits, or rejected by name; nothing heavy is imported here."""

from typing import TYPE_CHECKING, Any

from shared.files.drop_files import DropFile, Limits, Reading, ReadSpec

if TYPE_CHECKING:
    from shared.reader.child_pool import read_drop

__all__ = ["DropFile", "Limits", "ReadSpec", "Reading", "read_drop"]


def __getattr__(name: str) -> Any:
    """`read_drop`, when it is asked for: what it is made of needs other modules of this room."""
    if name != "read_drop":
        raise AttributeError(name)
    from shared.reader.child_pool import read_drop

    return read_drop
