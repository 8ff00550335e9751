"""A sweep's trials are ordinary steps, chosen when the job is submitted, so a restart meets the same ones."""

from __future__ import annotations

from dataclasses import replace

from local.jobs.exceptions import not_emulated
from local.jobs.plan import Plan


def with_trials(plan: Plan, seed: str) -> Plan:
    """The plan with each sweep's trials added as steps."""
    if any(step.sweep is not None for step in plan.steps.values()):
        raise not_emulated("sweep jobs")
    return replace(plan)
