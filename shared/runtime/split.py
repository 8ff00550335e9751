"""Which callers each deployment serves, for callers who keep to one: a caller's hash is held against it.

Azure's endpoint draws a deployment for each request. A caller who wants the same one every time draws once, by a hash
of its own name and of `draw`, and names the deployment in a header. The champion has the high end, so that a
caller who has met the new model keeps it while its share rises; each release draws anew, so that no caller is always
among the first.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from shared import deadline
from shared.runtime.serving_look import ASKED_S
from shared.runtime.unit_of_work import Unit

HELD_S = 5.0
"""How long the app tells a split that it has read."""
MOST_AGE_S = 15
"""How long a caller may go by what it was told."""
LATEST = timedelta(seconds=HELD_S + MOST_AGE_S)
"""After so long every caller goes by a changed split, or by none."""


@dataclass(frozen=True)
class Split:
    """The parts of the callers, in per cent from 0 to 100."""

    loop: str
    endpoint: str
    draw: str
    """What a caller's name is hashed with."""
    arms: tuple[tuple[str, int], ...]
    """Deployments, each up to where its callers lie; none while nobody is served."""

    def to_dict(self) -> dict[str, object]:
        arms = [{"deployment": name, "up_to_pct": end} for name, end in self.arms]
        said = repr((self.draw, self.arms)).encode()
        return {
            "loop": self.loop,
            "endpoint": self.endpoint,
            "version": hashlib.sha256(said).hexdigest()[:12],
            "draw": self.draw,
            "arms": arms,
            "max_age_s": MOST_AGE_S,
        }


def now(unit: Unit) -> Split | None:
    """As the endpoint's weights are, whoever set them; None of a loop that serves by a batch endpoint."""
    serve = unit.published().definition.serve
    if serve.type == "batch":
        return None
    with deadline.within(ASKED_S):
        weights = dict(unit.ports.serving.traffic(serve.endpoint)) if _began(unit) else {}
    release, champion = unit.open_release(), unit.state.champion
    serves = champion.deployment if champion is not None else ""
    number = champion.release if champion is not None else 0
    if release is not None and weights.get(release.deployment):
        number = release.number
    order = sorted(weights, key=lambda name: (name == serves, name))
    return Split(unit.loop, serve.endpoint, f"{unit.loop}/{number}", _up_to(order, weights))


def _began(unit: Unit) -> bool:
    """Before its first release a loop has no endpoint."""
    return unit.state.champion is not None or unit.state.open_release is not None


def _up_to(order: list[str], weights: Mapping[str, int]) -> tuple[tuple[str, int], ...]:
    arms, end = [], 0
    for name in order:
        end += weights[name]
        arms.append((name, end))
    return tuple(arms)
