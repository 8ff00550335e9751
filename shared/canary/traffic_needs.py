"""What a canary's steps need of the traffic, known before the first request."""

from __future__ import annotations

import math
from dataclasses import dataclass

from shared.canary.canary_evidence import canary_policy
from shared.loopfile import Definition

ERRORS_IN_ALL = (10, 50)
"""Of both arms in a step: for so many it is said how many of them must be the canary's."""


@dataclass(frozen=True)
class StepNeeds:
    weight_pct: int
    units: int
    """Of both arms, requests or callers, so that the canary gets its fewest."""
    requests_per_hour: int
    """To the endpoint, so that these come within the step's longest time."""
    errors: tuple[tuple[int, int | None], ...]
    """In all, and how many of these must be the canary's to roll it back at the end of the step; None: no number."""


def traffic_needs(definition: Definition) -> tuple[StepNeeds, ...]:
    """One for each step; none of a batch endpoint, whose steps are drops."""
    from shared.stats.group_sequential import hits_needed

    if definition.serve.type == "batch":
        return ()
    alpha, step = canary_policy(definition).exact_alpha, definition.canary.step
    found = []
    for weight in definition.canary.steps:
        units = step.min_requests * 100 / weight
        errors = tuple(
            (in_all, hits_needed(in_all, weight / 100, alpha) if alpha else None) for in_all in ERRORS_IN_ALL
        )
        found.append(StepNeeds(weight, math.ceil(units), math.ceil(units / step.max_hours), errors))
    return tuple(found)
