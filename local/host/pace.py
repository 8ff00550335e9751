"""Azure's times, all divided by one factor: 1 as on Azure, more for a test that cannot wait ten minutes."""

from dataclasses import dataclass

SHORTEST_LEASE_S = 15
"""Storage leases no blob for a shorter time, however fast the clock."""


@dataclass(frozen=True)
class Pace:
    """How fast this host's clock goes. Schedules and what the app itself measures are not part of it."""

    speed: float = 1.0

    def of(self, azure_s: float) -> float:
        """Seconds to wait here for what takes `azure_s` on Azure."""
        return azure_s / self.speed

    def lease_s(self, azure_s: float) -> int:
        return max(SHORTEST_LEASE_S, round(self.of(azure_s)))
