"""What the looks at a canary saw is kept for people and for replay, thinned to a bounded number."""

from __future__ import annotations

from dataclasses import replace

from shared.domain.release import CanaryLook, Release

MAX_LOOKS = 40
"""Looks kept of each canary step."""


def remember(release: Release, look: CanaryLook | None) -> Release:
    """One look more; every second older one of its step goes when there are too many."""
    if look is None:
        return release
    before = [one for one in release.looks if one.step == look.step]
    if len(before) >= MAX_LOOKS:
        before = before[::2]
    return replace(release, looks=(*(one for one in release.looks if one.step != look.step), *before, look))
