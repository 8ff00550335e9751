"""When to retrain: as the loop file says, or by a baseline: at every drop, by the clock, never."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pandas as pd

from shared.loopfile import Definition

Asks = Callable[[pd.DataFrame, pd.DataFrame], bool]

MEANING = {
    "loop": "the loop file, as it is",
    "always": "at every drop",
    "schedule": "by the clock alone",
    "never": "only the first model",
}


@dataclass(frozen=True)
class Rule:
    """When to retrain.

    `asks` decides outside of the loop, from the features of the rows that the champion was trained on and of the drop;
    the retraining is then requested as a person would request it.
    """

    name: str
    definition: Definition
    asks: Asks | None = None


def rules(definition: Definition, schedule: str) -> tuple[Rule, ...]:
    """All of them, over one loop. Live traffic is not part of the past, so its canary is a formality.

    They differ in when they retrain and in nothing else: each keeps the loop's gate, and the metric that it uses.
    """
    never = without_triggers(definition)
    clock = never.retrain.model_copy(update={"on": ("schedule",), "schedule": schedule})
    return (
        Rule("loop", _with_a_short_canary(definition)),
        Rule("always", never, lambda trained, dropped: True),
        Rule("schedule", never.model_copy(update={"retrain": clock})),
        Rule("never", never),
    )


def without_triggers(definition: Definition) -> Definition:
    """The loop, which retrains only when asked."""
    alike = _with_a_short_canary(definition)
    return alike.model_copy(
        update={
            "drift": alike.drift.model_copy(update={"enabled": False}),
            "retrain": alike.retrain.model_copy(update={"on": (), "schedule": None, "max_age": None}),
        }
    )


def _with_a_short_canary(definition: Definition) -> Definition:
    step = definition.canary.step.model_copy(update={"minutes": 1.0, "min_requests": 20, "max_hours": 1.0})
    shape = {"steps": (50,), "step": step, "bake_minutes": 0, "approval": "none", "on_timeout": "promote"}
    canary = definition.canary.model_copy(update={**shape, "signals": ()})
    gate = definition.gate.model_copy(update={"checks": (), "on_inconclusive": "promote"})
    timeless = tuple(rule for rule in definition.data.contract if rule.max_age is None)  # the past is old
    data = definition.data.model_copy(update={"source": None, "labels": None, "contract": timeless})
    return definition.model_copy(update={"canary": canary, "gate": gate, "data": data})
