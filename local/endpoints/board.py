"""What the router knows in memory: each endpoint's weights and the processes behind its deployments."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from local.endpoints.scorer import Scoring


@dataclass
class Target:
    """A deployment that serves."""

    endpoint: str
    name: str
    scoring: Scoring
    instance: str
    timeout_s: float = 5.0
    most_at_once: int = 2
    collected: dict[str, float] = field(default_factory=dict)  # collection: sampling rate
    rolling: str = "hour"
    in_flight: int = 0
    reviving: bool = False


@dataclass
class Routed:
    """An endpoint as the router sees it. Names of deployments are in lower case, as the SDK sends them."""

    name: str
    auth: str
    keys: tuple[str, ...] = ()
    weights: dict[str, int] = field(default_factory=dict)
    mirrored: dict[str, int] = field(default_factory=dict)
    targets: dict[str, Target] = field(default_factory=dict)
    _second: int = 0
    _taken: int = 0

    def choose(self, chance: random.Random) -> str | None:
        """A deployment's name by weight; None when no weight is positive."""
        names = [name for name, weight in self.weights.items() if weight > 0]
        if not names:
            return None
        return chance.choices(names, [self.weights[name] for name in names])[0]

    def shadow(self, chance: random.Random) -> str | None:
        """The deployment that gets a copy of this request, which named none."""
        for name, share in self.mirrored.items():
            if chance.random() * 100 < share:
                return name
        return None

    def admits(self, second: int, most: int) -> bool:
        """Whether the endpoint takes one more request in this second."""
        if second != self._second:
            self._second, self._taken = second, 0
        self._taken += 1
        return self._taken <= most


class Board:
    """All endpoints, by name in lower case. Written by the models, read by the router's event loop."""

    def __init__(self) -> None:
        self.endpoints: dict[str, Routed] = {}
        self.chance = random.Random()

    def find(self, name: str) -> Routed | None:
        return self.endpoints.get(name.lower())
