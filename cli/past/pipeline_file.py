"""The steps of a loop's pipeline as its YAML files say them, in an order in which they can run."""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from shared.errors import ConfigurationError

Document = dict[str, Any]
"""Of a YAML file of Azure ML's: its values are whatever stands there."""

MODEL = "parent.outputs.model"
"""What the loop's pipeline gives."""

_NEEDED = re.compile(r"\$\{\{\s*(parent\.[\w.]+)\s*\}\}")
_OPTIONAL = re.compile(r"\$\[\[(.*?)\]\]", re.DOTALL)
_PLACEHOLDER = re.compile(r"\$\{\{\s*((?:inputs|outputs|search_space)\.\w+)\s*\}\}")


@dataclass(frozen=True)
class Step:
    """One command. An input is a text, or the name of what another step gives: `parent.jobs.STEP.outputs.NAME`."""

    name: str
    command: str
    code: Path | None
    inputs: Mapping[str, str]
    outputs: Mapping[str, str]
    """By name, the pipeline's own output that it is: `parent.outputs.NAME`; empty when it is none."""
    variables: Mapping[str, str]
    trials: tuple[Mapping[str, str], ...] = ()
    """Of a sweep: the inputs of each."""
    metric: str = ""
    """By which the best trial is chosen, as `mlflow.log_metric` names it."""
    lower: bool = False
    """Whether the least is the best."""


def steps(file: Path, parameters: Mapping[str, str]) -> tuple[Step, ...]:
    """ConfigurationError, with the file, for what cannot run without Azure."""
    document = _read(file)
    jobs = _section(document, "jobs")
    if document.get("type") not in (None, "pipeline") or not jobs:
        raise ConfigurationError(f"{file}: no pipeline with jobs; a backtest runs its steps one by one")
    given = {
        name: one.get("default")
        for name, one in _section(document, "inputs").items()
        if isinstance(one, dict)
    }
    known = {
        f"parent.inputs.{name}": _text(value)
        for name, value in {**given, **parameters}.items()
        if value is not None
    }
    found = {name: _step(file, name, _section(jobs, name), known) for name in jobs}
    if not any(MODEL in step.outputs.values() for step in found.values()):
        raise ConfigurationError(f"{file}: no step gives ${{{{{MODEL}}}}}, the model")
    return tuple(_ordered(file, found))


def _step(file: Path, name: str, job: Document, known: Mapping[str, str]) -> Step:
    kind = job.get("type", "command")
    if kind not in ("command", "sweep"):
        raise ConfigurationError(f"{file}: step {name} is a {kind}; a backtest runs command and sweep steps")
    place, component = _component(file, name, job.get("trial" if kind == "sweep" else "component", job))
    defaults = {
        key: _text(one["default"])
        for key, one in _section(component, "inputs").items()
        if isinstance(one, dict) and "default" in one
    }
    inputs = {key: _given(value, known) for key, value in _section(job, "inputs").items()}
    bound = {key: _needed(_text(value)) for key, value in _section(job, "outputs").items()}
    code = component.get("code")
    return Step(
        name=name,
        command=str(component.get("command", "")).strip(),
        code=(place / str(code)).resolve() if code else None,
        inputs={key: value for key, value in {**defaults, **inputs}.items() if value},
        outputs={key: bound.get(key, "") for key in _section(component, "outputs")},
        variables={key: _text(value) for key, value in _section(component, "environment_variables").items()},
        **(_sweep(file, name, job) if kind == "sweep" else {}),
    )


def _sweep(file: Path, name: str, job: Document) -> Document:
    space, objective = _section(job, "search_space"), _section(job, "objective")
    if job.get("sampling_algorithm") != "grid" or any(one.get("type") != "choice" for one in space.values()):
        raise ConfigurationError(f"{file}: step {name} samples at random; a backtest runs a grid of choices")
    every = itertools.product(*(one["values"] for one in space.values()))
    trials = [dict(zip(space, map(_text, values), strict=True)) for values in every]
    most = _section(job, "limits").get("max_total_trials")
    return {
        "trials": tuple(trials[:most]),
        "metric": str(objective.get("primary_metric", "")),
        "lower": objective.get("goal") == "minimize",
    }


def _component(file: Path, name: str, named: object) -> tuple[Path, Document]:
    """The component's own folder, and what it says."""
    if isinstance(named, dict):
        return file.parent, named
    text = str(named).removeprefix("file:")
    if text.startswith("azureml:"):
        raise ConfigurationError(
            f"{file}: step {name} is {text}, which is in Azure; a backtest needs its files"
        )
    place = file.parent / text
    return place.parent, _read(place)


def _read(file: Path) -> Document:
    try:
        found = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise ConfigurationError(f"{file} cannot be read: {error}") from error
    if not isinstance(found, dict):
        raise ConfigurationError(f"{file} holds no keys; expected an Azure ML pipeline or component")
    return found


def _section(document: Document, key: str) -> Document:
    found = document.get(key)
    return found if isinstance(found, dict) else {}


def _given(value: object, known: Mapping[str, str]) -> str:
    """A parameter's value, a literal, or the name of what another step gives."""
    if isinstance(value, dict):
        value = value.get("path", "")
    needed = _needed(_text(value))
    return known.get(needed, needed)


def _needed(text: str) -> str:
    found = _NEEDED.fullmatch(text.strip())
    return found[1] if found else text


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _ordered(file: Path, found: Mapping[str, Step]) -> list[Step]:
    ordered: list[Step] = []
    while len(ordered) < len(found):
        done = {step.name for step in ordered}
        ready = [step for step in found.values() if step.name not in done and _before(step, found) <= done]
        if not ready:
            raise ConfigurationError(
                f"{file}: the steps {', '.join(sorted(set(found) - done))} wait for each other"
            )
        ordered += ready
    return ordered


def _before(step: Step, found: Mapping[str, Step]) -> set[str]:
    named = (value.split(".")[2] for value in step.inputs.values() if value.startswith("parent.jobs."))
    return {name for name in named if name in found}


def filled(command: str, values: Mapping[str, str]) -> str:
    """The command with what it asks for put in as text, as Azure ML does it; `$[[…]]` without its input is left out."""

    def optional(match: re.Match[str]) -> str:
        return match[1] if all(name in values for name in _PLACEHOLDER.findall(match[1])) else ""

    def placeholder(match: re.Match[str]) -> str:
        if match[1] not in values:
            raise ConfigurationError(f"the command {command!r} uses {match[1]}, which its step does not have")
        return values[match[1]]

    return _PLACEHOLDER.sub(placeholder, _OPTIONAL.sub(optional, command))
