"""A canary's observations are kept for people and for replay, thinned to a bounded number."""

from __future__ import annotations

from dataclasses import replace

from shared.domain.release import CanaryPoint, Release

MAX_POINTS = 40
"""Kept of each canary step."""


def remember(release: Release, point: CanaryPoint | None) -> Release:
    """One point more; every second older one of its step goes when there are too many."""
    if point is None:
        return release
    before = [one for one in release.points if one.step == point.step]
    if len(before) >= MAX_POINTS:
        before = before[::2]
    return replace(
        release, points=(*(one for one in release.points if one.step != point.step), *before, point)
    )
