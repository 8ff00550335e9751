"""What is known of a number."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Bounds:
    """Its value, and a one-sided bound on either side; NaN where nothing can be said."""

    value: float
    low: float
    high: float
