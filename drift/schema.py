"""Broken is told from drifted before any statistics; stub while it is being filled."""

from dataclasses import dataclass

from drift.profiles import Profile


@dataclass(frozen=True)
class Finding:
    """One difference of schema or quality."""

    code: str
    column: str
    breaking: bool
    words: str


def check_schema(reference: Profile, current: Profile) -> tuple[Finding, ...]:
    """Columns added, dropped, retyped, renamed, reordered; empty or constant columns."""
    raise NotImplementedError
