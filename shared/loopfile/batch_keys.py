"""What a loop file may say of a batch endpoint, and which keys mean something of an online endpoint alone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path as File
from typing import TYPE_CHECKING

from shared.loopfile.yaml_lines import Path
from shared.stats.metrics import METRICS

if TYPE_CHECKING:
    from pydantic import BaseModel

    from shared.loopfile.definition import Definition

_STATED = frozenset(metric.name for metric in METRICS.values() if metric.of_probabilities)
_COMPUTE, _DROPS, _ENVIRONMENT = ("serve", "compute"), ("canary", "drops"), ("serve", "environment")

_ONLINE_ALONE: tuple[tuple[Path, str], ...] = (
    (("serve", "instance_type"), "nothing: the cluster serve.compute has its machines"),
    (("serve", "autoscale"), "nothing: a cluster scales by itself"),
    (
        ("train", "only_in"),
        "nothing: a batch endpoint deploys models of its own workspace, never of a registry",
    ),
    (("data", "labels"), "nothing: no request is logged that a label could belong to; drop labelled rows"),
    (("drift", "served"), "nothing: no served input is collected; each drop is judged by itself"),
    (("gate", "calibration"), "nothing: a batch job states no probabilities"),
    (("canary", "steps"), "nothing: requests are not shared out; say canary.drops"),
    (("canary", "step", "minutes"), "nothing: a step ends once both models have scored a version"),
    (("canary", "step", "min_requests"), "nothing: a step has the rows of a version"),
    (("canary", "instances"), "nothing: no share of traffic could be too small for a whole copy"),
    (("canary", "unit"), "nothing: rows are compared, not requests"),
    (("canary", "signals"), "nothing: the challenger serves nobody before it is the default"),
    (("canary", "bake_labels"), "nothing: the bake of a batch endpoint is only time"),
    (("canary", "margins", "latency_ratio"), "nothing: jobs are not compared by their speed"),
    (("canary", "margins", "latency_floor_ms"), "nothing: jobs are not compared by their speed"),
)
"""Keys that mean something of an online endpoint alone, and what is so instead."""


def faults(it: Definition) -> Iterator[tuple[Path, object, str]]:
    """Key, what was found there, and what is allowed; all because of what `serve.type` is."""
    if it.serve.type == "online":
        if it.serve.compute is not None:
            yield _COMPUTE, it.serve.compute, "nothing, because serve.type is online"
        if "drops" in it.canary.model_fields_set:
            yield _DROPS, it.canary.drops, "nothing, because serve.type is online"
        return
    if it.serve.compute is None:
        yield _COMPUTE, None, "a compute cluster, because serve.type is batch"
    if it.serve.scoring is None and it.serve.environment is not None:
        allowed = "nothing without serve.scoring: an MLflow model brings its own environment"
        yield _ENVIRONMENT, it.serve.environment, allowed
    elif it.serve.scoring is not None and it.serve.environment is None:
        yield _ENVIRONMENT, None, "what serve.scoring runs in"
    for path, allowed in _ONLINE_ALONE:
        if (found := _given(it, path)) is not None:
            yield path, found, allowed
    if it.metric is not None and it.metric.name in _STATED:
        yield (
            ("metric", "name"),
            it.metric.name,
            "a metric of answers, because a batch job states no probabilities",
        )


RUNNER = ("azureml-core", "azureml-dataset-runtime")
"""What Azure ML's batch runner imports of an environment with a script: how-to-use-batch-model-deployments.md,
"Create a batch deployment"."""


def without_runner(conda: File) -> bool:
    """Whether a conda file does not ask for what the runner imports."""
    lines = conda.read_text(encoding="utf-8", errors="replace").splitlines()
    asked = {line.strip(" -'\"").lower() for line in lines}
    return not all(any(line.startswith(package) for line in asked) for package in RUNNER)


def _given(section: BaseModel, path: Path) -> object:
    """What the file itself says there; None where it says nothing."""
    for name in path[:-1]:
        section = getattr(section, str(name))
    return getattr(section, str(path[-1])) if path[-1] in section.model_fields_set else None
