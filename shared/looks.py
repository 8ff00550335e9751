"""What one look at a canary saw, as it is kept with its release."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class ArmSeen:
    """One deployment's counts since a canary step began."""

    requests: int
    errors: int
    latency_p95_ms: float | None
    """Upper edge of the bin that holds it; None without a successful request."""


@dataclass(frozen=True)
class CanaryLook:
    """What one look at a canary saw, for people to follow it over time."""

    at: datetime
    step: int
    weight_pct: int
    champion: ArmSeen
    canary: ArmSeen
    e_value: float
    """Evidence against the canary, all metrics together; at `threshold` it is taken back."""
    threshold: float
    outcome: str
    evidence: str = ""
    """Document hash, where this look's evidence was stored."""
