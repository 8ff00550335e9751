"""A job's body becomes a flat list of steps with every binding resolved, or a refusal that names the mistake.

Nothing here reads or writes anything: components come through a function.
"""

from __future__ import annotations

import graphlib
import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from local import durations
from local.jobs.exceptions import invalid, not_emulated
from local.state import Document

_BINDING = re.compile(r"\$\{\{\s*([\w.\-]+)\s*\}\}")
_WHOLE_BINDING = re.compile(r"\s*\$\{\{\s*([\w.\-]+)\s*\}\}\s*")

Components = Callable[[str], Document]
"""A component's specification by its ARM id."""


@dataclass(frozen=True)
class Source:
    """What a step's input is: a literal's text, a data or model address, or another step's output."""

    kind: str  # literal | asset | step
    value: str
    output: str = ""
    type: str = ""
    mode: str = ""


@dataclass(frozen=True)
class Target:
    """Where a step's output goes. Empty fields have the workspace's defaults."""

    type: str = ""
    uri: str = ""
    asset_name: str = ""
    asset_version: str = ""
    mode: str = ""


@dataclass(frozen=True)
class Step:
    """One execution of one command or Spark application. `path` is its place in the pipeline, such as `train/prep`."""

    path: str
    spec: Document
    inputs: dict[str, Source]
    outputs: dict[str, Target]
    environment_variables: dict[str, str] = field(default_factory=dict)
    sweep: Document | None = None
    search_values: dict[str, str] = field(default_factory=dict)
    trials: tuple[str, ...] = ()
    timeout_s: float | None = None
    compute: str = ""
    instances: int = 1
    instance_type: str = ""
    distribution: Document | None = None
    identity: str = ""

    @property
    def needs(self) -> set[str]:
        return {source.value for source in self.inputs.values() if source.kind == "step"} | set(self.trials)

    def to_document(self) -> Document:
        return asdict(self)

    @staticmethod
    def from_document(body: Document) -> Step:
        inputs = {name: Source(**source) for name, source in body["inputs"].items()}
        outputs = {name: Target(**target) for name, target in body["outputs"].items()}
        return Step(**{**body, "inputs": inputs, "outputs": outputs, "trials": tuple(body["trials"])})


@dataclass(frozen=True)
class Plan:
    """The steps of a job, the pipeline nodes around them, and which step makes which of the job's outputs."""

    steps: dict[str, Step] = field(default_factory=dict)
    pipelines: dict[str, dict[str, Source]] = field(default_factory=dict)
    outputs: dict[str, Source] = field(default_factory=dict)


def plan_of(job: Document, components: Components) -> Plan:
    """The plan of a job's `properties`, as the SDK sends them."""
    kind = str(job.get("jobType", "")).lower()
    if kind == "command":
        return _single_step(job, job, sweep=None)
    if kind == "spark":
        return _single_step(job, job, sweep=None, spec=_spark_spec(job))
    if kind == "sweep":
        return _single_step(job, job["trial"], sweep=job)
    if kind != "pipeline":
        raise not_emulated(f"jobs of type '{job.get('jobType')}'")
    jobs, declared = job.get("jobs") or {}, {}
    if job.get("componentId"):
        spec = components(job["componentId"])
        jobs, declared = spec.get("jobs") or {}, spec
    if not jobs:
        raise invalid("The pipeline job has no steps: give it `jobs`, or a pipeline component.")
    inputs = {name: _source(value) for name, value in (job.get("inputs") or {}).items()}
    targets = {name: _target(value) for name, value in (job.get("outputs") or {}).items()}
    settings = job.get("settings") or {}
    compute = str(
        settings.get("default_compute") or settings.get("DefaultCompute") or job.get("computeId") or ""
    )
    scope = _Scope("", _with_defaults("the pipeline", declared, inputs), _typed(declared, targets), compute)
    plan = Plan()
    plan.outputs.update(_expand(jobs, scope, plan, components))
    return plan


def _single_step(
    job: Document, command: Document, sweep: Document | None, spec: Document | None = None
) -> Plan:
    step = Step(
        path="",
        spec=spec or _inline_spec(job, command),
        inputs={name: _source(value) for name, value in (job.get("inputs") or {}).items()},
        outputs={name: _target(value) for name, value in (job.get("outputs") or {}).items()},
        timeout_s=_timeout_s(job if sweep is None else {}),
        environment_variables=dict(command.get("environmentVariables") or {}),
        sweep=sweep,
        **_place(job, command, str(job.get("computeId") or "")),
    )
    return Plan(steps={"": step}, outputs={name: Source("step", "", name) for name in step.outputs})


def _inline_spec(job: Document, command: Document) -> Document:
    outputs = {name: {"type": _target(value).type} for name, value in (job.get("outputs") or {}).items()}
    return {
        "type": "command",
        "command": command["command"],
        "code": command.get("codeId"),
        "environment": command.get("environmentId"),
        "outputs": outputs,
    }


def _spark_spec(job: Document) -> Document:
    """A Spark job by itself, in the words that a component has."""
    outputs = {name: {"type": _target(value).type} for name, value in (job.get("outputs") or {}).items()}
    alike = {name: job.get(name) for name in ("entry", "args", "conf", "jars", "files", "archives")}
    own = {"code": job.get("codeId"), "environment": job.get("environmentId"), "py_files": job.get("pyFiles")}
    return {"type": "spark", **alike, **own, "resources": job.get("resources"), "outputs": outputs}


def _of_spark_step(spec: Document, node: Document, path: str) -> Document:
    """A component's application with the resources and settings that the step has."""
    for name in ("identity", "compute", "resources"):
        if spec.get(name):
            raise invalid(f"{path}: a Spark component has no {name}; the step of the pipeline says it.")
    if node.get("limits"):
        raise invalid(f"{path}: a Spark step has no limits.")
    conf = {**(spec.get("conf") or {}), **(node.get("conf") or {})}
    return {**spec, "conf": conf, "resources": node.get("resources")}


@dataclass(frozen=True)
class _Scope:
    """What `${{parent...}}` means inside one pipeline."""

    path: str
    inputs: dict[str, Source]
    outputs: dict[str, Target]
    compute: str = ""
    made: dict[str, dict[str, Source]] = field(default_factory=dict)

    def child(self, node: str) -> str:
        return f"{self.path}/{node}" if self.path else node

    def bound(self, expression: str, where: str) -> Source | None:
        """The source that a binding names; None for a pipeline input that is optional and not given."""
        parts = expression.split(".")
        if parts[:2] == ["parent", "inputs"]:
            return self.inputs.get(".".join(parts[2:]))
        if parts[:2] == ["parent", "jobs"] and len(parts) == 5 and parts[3] == "outputs":
            source = self.made.get(parts[2], {}).get(parts[4])
            if source is None:
                raise invalid(f"{where}: ${{{{{expression}}}}} is no output of step '{parts[2]}'.")
            return source
        raise invalid(f"{where}: the binding ${{{{{expression}}}}} is not understood.")

    def resolved(self, source: Source, where: str) -> Source | None:
        if source.kind != "literal":
            return source
        whole = _WHOLE_BINDING.fullmatch(source.value)
        if whole:
            found = self.bound(whole[1], where)
            return replace(found, mode=source.mode) if found and source.mode else found
        return replace(source, value=_BINDING.sub(lambda match: self._text(match[1], where), source.value))

    def _text(self, expression: str, where: str) -> str:
        found = self.bound(expression, where)
        if found is None or found.kind != "literal":
            raise invalid(f"{where}: ${{{{{expression}}}}} is used inside a text, so it must be a literal.")
        return found.value


def _expand(jobs: Document, scope: _Scope, plan: Plan, components: Components) -> dict[str, Source]:
    """Add the steps of `jobs` to the plan; returns which step makes which output of this pipeline."""
    outputs: dict[str, Source] = {}
    for name in _in_order(jobs):
        node, path = jobs[name], scope.child(name)
        spec = components(_component_id(node, path))
        read = {key: _source(value) for key, value in (node.get("inputs") or {}).items()}
        found = {key: scope.resolved(source, path) for key, source in read.items()}
        given = {key: source for key, source in found.items() if source is not None}
        targets: dict[str, Target] = {}
        for key, value in (node.get("outputs") or {}).items():
            bound = _WHOLE_BINDING.fullmatch(str(value.get("value") or ""))
            if bound:
                parent_output = bound[1].removeprefix("parent.outputs.")
                there = scope.outputs.get(parent_output, Target())
                targets[key] = replace(there, mode=there.mode or str(value.get("mode") or ""))
                outputs[parent_output] = Source("step", path, key)
            else:
                targets[key] = _target(value)
        inputs, typed = _with_defaults(path, spec, given, node), _typed(spec, targets)
        placed = replace(scope, compute=str(node.get("computeId") or scope.compute))
        made = _add(node, path, spec, inputs, typed, placed, plan, components)
        scope.made[name] = made
        outputs |= {key: made[s.output] for key, s in outputs.items() if s.value == path and s.output in made}
    return outputs


def _add(
    node: Document,
    path: str,
    spec: Document,
    inputs: dict[str, Source],
    outputs: dict[str, Target],
    scope: _Scope,
    plan: Plan,
    components: Components,
) -> dict[str, Source]:
    """One node becomes one step, or, for a pipeline component, the steps inside it."""
    if spec.get("type") == "pipeline":
        plan.pipelines[path] = inputs
        return _expand(spec.get("jobs") or {}, _Scope(path, inputs, outputs, scope.compute), plan, components)
    compute = scope.compute
    if spec.get("type") == "spark":
        spec, compute = _of_spark_step(spec, node, path), str(node.get("computeId") or "")
    elif spec.get("type", "command") != "command":
        raise not_emulated(f"steps of type '{spec.get('type')}' ({path})")
    variables = {str(k): str(v) for k, v in (node.get("environment_variables") or {}).items()}
    sweep = node if node.get("type") == "sweep" else None
    placed = _place(node, spec, compute)
    plan.steps[path] = Step(path, spec, inputs, outputs, variables, sweep, **placed)
    if sweep is None:
        plan.steps[path] = replace(plan.steps[path], timeout_s=_timeout_s(node))
    return {name: Source("step", path, name, type=target.type) for name, target in outputs.items()}


def _place(asked: Document, spec: Document, compute: str) -> dict[str, Any]:  # Any: fields of a Step
    """Where and how often a step runs, and as whom: as the node or job says, else as its component does."""
    resources = {**_lowered(spec.get("resources")), **_lowered(asked.get("resources"))}
    distribution = _lowered(asked.get("distribution") or spec.get("distribution"))
    identity = _lowered(asked.get("identity") or spec.get("identity"))
    named = str(identity.get("identitytype") or identity.get("type") or "").lower()
    return {
        "compute": compute,
        "instances": int(resources.get("instancecount") or 1),
        "instance_type": str(resources.get("instancetype") or ""),
        "distribution": distribution or None,
        "identity": "managed" if named.startswith("managed") else named,
    }


def _lowered(found: Any) -> Document:
    """Keys alike however they are spelt: jobs say `instanceCount`, nodes `instance_count`."""
    return {
        str(key).replace("_", "").lower(): value for key, value in (found or {}).items() if value is not None
    }


def _component_id(node: Document, path: str) -> str:
    kind = str(node.get("type", "command"))
    if kind not in ("command", "pipeline", "spark", "sweep"):
        raise not_emulated(f"pipeline steps of type '{kind}' ({path})")
    found = node.get("componentId") or (node.get("trial") or {}).get("componentId")
    if not found:
        raise invalid(f"{path}: the step has no component id.")
    return str(found)


def _in_order(jobs: Document) -> list[str]:
    """The nodes so that each comes after those whose outputs it reads."""
    graph: dict[str, set[str]] = {}
    for name, node in jobs.items():
        texts = [str(value.get("value") or "") for value in (node.get("inputs") or {}).values()]
        expressions = [match[1].split(".") for text in texts for match in _BINDING.finditer(text)]
        graph[name] = {parts[2] for parts in expressions if parts[:2] == ["parent", "jobs"] and parts[2:]}
        for needed in graph[name] - set(jobs):
            raise invalid(f"{name}: reads an output of '{needed}', which is not a step of this pipeline.")
    try:
        return list(graphlib.TopologicalSorter(graph).static_order())
    except graphlib.CycleError as error:
        raise invalid(f"The steps wait for each other in a circle: {' -> '.join(error.args[1])}.") from error


def _timeout_s(limited: Document) -> float | None:
    """Seconds, of a node, or an ISO 8601 duration up to days, of a job. A sweep limits something else."""
    found = (limited.get("limits") or {}).get("timeout")
    if found is None or isinstance(found, int | float):
        return found
    timeout = durations.parsed(found)
    if timeout is None:
        raise invalid(f"The timeout {found!r} is not a duration such as PT5M.")
    return timeout.total_seconds()


def _source(value: Mapping[str, Any]) -> Source:
    kind = str(value.get("job_input_type") or value.get("jobInputType") or value.get("type") or "literal")
    mode = str(value.get("mode") or "")
    if value.get("uri"):
        return Source("asset", str(value["uri"]), type=kind, mode=mode)
    literal = value.get("value")
    return Source("literal", "" if literal is None else str(literal), mode=mode)


def _target(value: Mapping[str, Any]) -> Target:
    def first(*keys: str) -> str:
        return next((str(value[key]) for key in keys if value.get(key)), "")

    kind = first("job_output_type", "jobOutputType", "type")
    return Target(
        type="" if kind == "literal" else kind,
        uri=first("uri", "path"),
        asset_name=first("assetName", "asset_name", "name"),
        asset_version=first("assetVersion", "asset_version", "version"),
        mode=first("mode"),
    )


def _with_defaults(
    where: str, spec: Document, given: dict[str, Source], node: Document | None = None
) -> dict[str, Source]:
    """The inputs with the component's defaults; a required one that is missing is refused."""
    complete = dict(given)
    searched = set((node or {}).get("search_space") or {})
    for name, declared in (spec.get("inputs") or {}).items():
        if name in complete or name in searched:
            continue
        if declared.get("default") is not None:
            complete[name] = Source("literal", str(declared["default"]))
        elif not declared.get("optional"):
            raise invalid(f"{where}: the required input '{name}' is not given.")
    return complete


def _typed(spec: Document, targets: dict[str, Target]) -> dict[str, Target]:
    """Every declared output has a target, and every target a type."""
    complete = dict(targets)
    for name, declared in (spec.get("outputs") or {}).items():
        known = complete.get(name, Target())
        complete[name] = replace(known, type=known.type or str(declared.get("type") or "uri_folder"))
    return {name: replace(target, type=target.type or "uri_folder") for name, target in complete.items()}
