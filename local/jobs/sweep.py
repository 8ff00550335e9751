"""A sweep's trials are ordinary steps, chosen when the job is submitted, so a restart meets the same ones."""

from __future__ import annotations

import itertools
import math
import random
from dataclasses import dataclass, replace
from typing import Any

from local.jobs.exceptions import invalid, not_emulated
from local.jobs.plan import Plan, Step, Target
from local.state import Document


@dataclass(frozen=True)
class Sweep:
    """A sweep as it was asked for. A pipeline's node and a standalone job say it in two different shapes."""

    space: dict[str, tuple[str, list[Any]]]
    algorithm: str
    seed: str
    metric: str
    goal: str
    trials: int | None

    @staticmethod
    def read(asked: Document) -> Sweep:
        if asked.get("early_termination") or asked.get("earlyTermination"):
            raise not_emulated("the early termination of a sweep's trials")
        sampling = asked.get("sampling_algorithm") or asked.get("samplingAlgorithm") or "random"
        if isinstance(sampling, str):
            sampling = {"type": sampling}
        objective, limits = asked.get("objective") or {}, asked.get("limits") or {}
        trials = limits.get("max_total_trials") or limits.get("maxTotalTrials")
        space = asked.get("search_space") or asked.get("searchSpace") or {}
        return Sweep(
            space={name: _distribution(value) for name, value in space.items()},
            algorithm=str(sampling.get("type") or sampling.get("samplingAlgorithmType")).lower(),
            seed=str(sampling.get("seed") or ""),
            metric=str(objective.get("primary_metric") or objective.get("primaryMetric")),
            goal=str(objective.get("goal")).lower(),
            trials=int(trials) if trials else None,
        )

    def best(self, metrics: dict[str, float]) -> str:
        """The key of the best value."""
        return (max if self.goal == "maximize" else min)(metrics, key=lambda key: metrics[key])

    def combinations(self, seed: str) -> list[dict[str, str]]:
        """The trials' parameters; the same for the same seed."""
        if self.algorithm == "grid":
            if any(kind != "choice" for kind, _ in self.space.values()):
                raise invalid("Grid sampling needs choices: a continuous range has no grid.")
            rows = itertools.product(*(values for _, values in self.space.values()))
            found = [dict(zip(self.space, map(str, row), strict=True)) for row in rows]
            return found[: self.trials]
        if self.algorithm != "random":
            raise not_emulated(f"sampling by '{self.algorithm}'")
        if self.trials is None:
            raise invalid("Random sampling needs a limit: set max_total_trials.")
        source = random.Random(self.seed or seed)
        draws = range(self.trials)
        return [{name: str(_drawn(source, *each)) for name, each in self.space.items()} for _ in draws]


def with_trials(plan: Plan, seed: str) -> Plan:
    """The plan with each sweep's trials before it. A sweep's own step chooses the best of them."""
    steps: dict[str, Step] = {}
    for path, step in plan.steps.items():
        if step.sweep is not None:
            targets = {name: Target(type=target.type) for name, target in step.outputs.items()}
            trials = [
                replace(step, path=f"{path}#{i}", outputs=targets, sweep=None, search_values=values)
                for i, values in enumerate(Sweep.read(step.sweep).combinations(f"{seed}/{path}"))
            ]
            steps |= {trial.path: trial for trial in trials}
            step = replace(step, trials=tuple(trial.path for trial in trials))
        steps[path] = step
    return replace(plan, steps=steps)


def _distribution(value: Any) -> tuple[str, list[Any]]:
    """`{"type": "choice", "values": [..]}` of a node, or `["choice", [[..]]]` of a job."""
    if isinstance(value, list):
        kind, arguments = str(value[0]), list(value[1])
        return kind, list(arguments[0]) if kind == "choice" else arguments
    kind = str(value["type"])
    return kind, list(value["values"]) if kind == "choice" else [value["min_value"], value["max_value"]]


def _drawn(source: random.Random, kind: str, arguments: list[Any]) -> object:
    if kind == "choice":
        return source.choice(arguments)
    if kind == "uniform":
        return source.uniform(float(arguments[0]), float(arguments[1]))
    if kind == "loguniform":
        return math.exp(source.uniform(float(arguments[0]), float(arguments[1])))
    raise not_emulated(f"the search space '{kind}'")
