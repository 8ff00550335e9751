"""What is known of a number: its value, and a one-sided bound on either side."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Bounds:
    value: float
    low: float
    high: float
