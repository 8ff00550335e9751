"""A drop is read once, in a process of its own with limits, or rejected by name; nothing heavy is imported here."""

from shared.intake.drop import DropFile, Limits, Reading, ReadSpec
from shared.intake.process import read_drop

__all__ = ["DropFile", "Limits", "ReadSpec", "Reading", "read_drop"]
