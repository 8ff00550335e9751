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


@dataclass
class Routed:
    """An endpoint as the router sees it. Names of deployments are in lower case, as the SDK sends them."""

    name: str
    auth: str
    keys: tuple[str, ...] = ()
    weights: dict[str, int] = field(default_factory=dict)
    targets: dict[str, Target] = field(default_factory=dict)

    def choose(self, chance: random.Random) -> str | None:
        """A deployment's name by weight; None when no weight is positive."""
        names = [name for name, weight in self.weights.items() if weight > 0]
        if not names:
            return None
        return chance.choices(names, [self.weights[name] for name in names])[0]


class Board:
    """All endpoints, by name in lower case. Written by the models, read by the router's event loop."""

    def __init__(self) -> None:
        self.endpoints: dict[str, Routed] = {}
        self.chance = random.Random()

    def find(self, name: str) -> Routed | None:
        return self.endpoints.get(name.lower())
