"""A profile says all that a verdict needs of some rows, in kilobytes; stub while it is being filled."""

from collections.abc import Mapping
from dataclasses import dataclass

from drift.report import Kind


@dataclass(frozen=True)
class ColumnProfile:
    """One column's summary."""

    name: str
    kind: Kind
    type: str
    rows: int
    nulls: int


@dataclass(frozen=True)
class Profile:
    """The mergeable statistical summary of a set of rows."""

    rows: int
    columns: Mapping[str, ColumnProfile]
    schema_version: int = 1

    def to_bytes(self) -> bytes:
        """The profile as compact bytes; the same rows give the same bytes."""
        raise NotImplementedError

    @classmethod
    def from_bytes(cls, data: bytes) -> "Profile":
        """The profile that `to_bytes` wrote; refuses an unknown schema version."""
        raise NotImplementedError
