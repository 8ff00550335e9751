"""When to retrain: as the loop file says, or by a baseline: at every drop, by the clock, never."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pandas as pd

from shared.loopfile import Definition

FEWEST_REQUESTS = 20
"""To each deployment between two looks at a canary."""

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


def rules(definition: Definition, schedule: str, *, served: bool = False) -> tuple[Rule, ...]:
    """All of them, over one loop. They differ in when they retrain and in nothing else: each keeps the loop's gate, and
    the metric that it uses. `served`: whether the past says what was served."""
    never = without_triggers(definition)
    clock = never.retrain.model_copy(update={"on": ("schedule",), "schedule": schedule})
    return (
        Rule("loop", _of_the_past(definition, served=served)),
        Rule("always", never, lambda trained, dropped: True),
        Rule("schedule", never.model_copy(update={"retrain": clock})),
        Rule("never", never),
    )


def without_triggers(definition: Definition) -> Definition:
    """The loop, which retrains only when asked."""
    alike = _of_the_past(definition, served=False)
    return alike.model_copy(
        update={
            "drift": alike.drift.model_copy(update={"enabled": False}),
            "retrain": alike.retrain.model_copy(
                update={"on": (), "schedule": None, "max_age": None, "new_data": None}
            ),
        }
    )


def _of_the_past(definition: Definition, *, served: bool) -> Definition:
    """The loop where nobody approves and no past canary has any answers: its steps last as long as they must, on
    requests that all go well."""
    step = definition.canary.step.model_copy(update={"min_requests": FEWEST_REQUESTS})
    margins = definition.canary.margins.model_copy(
        update={"prediction_shift": None, "shadow_disagreement": None}
    )
    shape = {"step": step, "margins": margins, "unit": "request", "bake_labels": "none", "signals": ()}
    canary = definition.canary.model_copy(update={**shape, "approval": "none", "on_timeout": "promote"})
    gate = definition.gate.model_copy(update={"checks": (), "on_inconclusive": "promote"})
    timeless = tuple(rule for rule in definition.data.contract if rule.max_age is None)  # the past is old
    data = {"source": None, "labels": None, "label_delay": None, "contract": timeless}
    parts = {"mode": "act", "canary": canary, "gate": gate, "data": definition.data.model_copy(update=data)}
    if not served:
        parts["drift"] = definition.drift.model_copy(update={"served": None, "predictions": None})
    return definition.model_copy(update=parts)
