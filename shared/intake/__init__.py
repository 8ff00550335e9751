"""A drop is read once, in a process of its own with limits, or rejected by name; nothing heavy is imported here."""

from shared.files.drop_files import DropFile, Limits, Reading, ReadSpec
from shared.reader.child_pool import read_drop

__all__ = ["DropFile", "Limits", "ReadSpec", "Reading", "read_drop"]
