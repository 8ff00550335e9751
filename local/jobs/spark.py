"""What a Spark job or step may ask for: refused where Azure ML refuses it, or where it could not work there.

Serverless Spark alone: an attached Synapse pool is not emulated. Sources: azure-ai-ml 1.35, entities/_job/
spark_helpers.py, spark_resource_configuration.py, spark_job_entry_mixin.py and _schema/job/parameterized_spark.py (what
the client refuses, the service is not kinder to); MicrosoftDocs/azure-ai-docs, how-to-submit-spark-jobs.md
(components, modes, addresses, identity) and troubleshooting-managed-feature-store.md (what a node holds).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from local.jobs.exceptions import invalid, not_emulated
from local.jobs.plan import Step

RUNTIME = "3.5"
"""The one that Microsoft supports; 3.4 ended on 31 March 2026 (learn.microsoft.com, apache-spark-34-runtime)."""
LISTS = ("py_files", "jars", "files", "archives")
DRIVER_CORES, DRIVER_MEMORY = "spark.driver.cores", "spark.driver.memory"
EXECUTOR_CORES, EXECUTOR_MEMORY = "spark.executor.cores", "spark.executor.memory"
INSTANCES = "spark.executor.instances"
_ALWAYS = (DRIVER_CORES, DRIVER_MEMORY, EXECUTOR_CORES, EXECUTOR_MEMORY)
_DYNAMIC = "spark.dynamicAllocation.enabled"
_LEAST, _MOST = "spark.dynamicAllocation.minExecutors", "spark.dynamicAllocation.maxExecutors"
_NODES = {f"standard_e{cores}s_v3": cores for cores in (4, 8, 16, 32, 64)}
_GB_A_CORE = 7
"""36g is too much for the node of 4 cores and 28 GB, and fits the next one; the larger ones follow from these."""
_MEMORY = re.compile(r"(\d+)([kmgtp])", re.IGNORECASE)
_GB = {"k": 2**-20, "m": 2**-10, "g": 1, "t": 2**10, "p": 2**20}
_ADDRESS = re.compile(r"(azureml|abfss|wasbs)://|azureml:|/subscriptions/", re.IGNORECASE)
_TYPES = ("uri_file", "uri_folder", "mltable")


def check(step: Step, where: str) -> None:
    """ArmError where Azure would not run it, or nothing here can."""
    spec = step.spec
    _check_place(step, where)
    _check_entry(spec.get("entry") or {}, spec.get("code"), where)
    for name in LISTS:
        listed = spec.get(name) or []
        if len(listed) != len(set(listed)):
            raise invalid(f"{where}: {name} must not contain duplicate entries.")
    _check_conf(spec.get("conf") or {}, step.instance_type, where)
    _check_ways(step, where)
    if step.identity and step.identity != "managed" and not step.identity.startswith("user"):
        raise invalid(f"{where}: serverless Spark runs as its user or as a managed identity.")


def _check_place(step: Step, where: str) -> None:
    resources = step.spec.get("resources") or {}
    if bool(step.compute) is bool(resources):
        raise invalid(f"{where}: one of compute and resources must be given for Spark, and not both.")
    if step.compute:
        raise not_emulated(f"an attached Spark pool ({where}): name `resources`")
    if step.instance_type.lower() not in _NODES:
        raise invalid(f"{where}: the instance type must be one of {', '.join(_NODES)}.")
    version = str(resources.get("runtimeVersion") or resources.get("runtime_version") or "")
    if not re.fullmatch(r"\d+(\.\d+)+", version):
        raise invalid(f"{where}: the runtime version {version!r} is none such as {RUNTIME}.")
    if version.split(".")[:2] != RUNTIME.split("."):
        raise invalid(f"{where}: Spark {version} is not supported; the runtime is {RUNTIME}.")


def _check_entry(entry: Mapping[str, Any], code: object, where: str) -> None:
    if not entry.get("file"):
        raise invalid(
            f"{where}: Classpath is not supported, please use 'file' to define the entry file."
            if entry
            else f"{where}: a Spark job has an entry file."
        )
    if not code:
        raise invalid(f"{where}: a Spark job has code, in which its entry lies.")


def _check_conf(conf: Mapping[str, Any], node: str, where: str) -> None:
    dynamic = str(conf.get(_DYNAMIC)).lower() == "true"
    wanted = (*_ALWAYS, _LEAST, _MOST) if dynamic else (*_ALWAYS, INSTANCES)
    if missing := [name for name in wanted if conf.get(name) in (None, "")]:
        raise invalid(f"{where}: {', '.join(missing)} must be given in conf.")
    if not dynamic and any(conf.get(name) is not None for name in (_LEAST, _MOST)):
        raise invalid(
            f"{where}: Should not specify min or max executors when dynamic allocation is disabled."
        )
    numbers = {name: _number(name, conf[name], where) for name in wanted if not name.endswith("memory")}
    if dynamic:
        least, most = numbers[_LEAST], numbers[_MOST]
        first = _number(INSTANCES, conf.get(INSTANCES, least), where)
        if not 0 < least <= first <= most:
            raise invalid(
                f"{where}: executors must be at least 1, and between the least and the most of them."
            )
    for role in ("driver", "executor"):
        _check_size(role, numbers[f"spark.{role}.cores"], str(conf[f"spark.{role}.memory"]), node, where)


def _number(name: str, value: object, where: str) -> int:
    if not str(value).isdecimal():
        raise invalid(f"{where}: {name} is a whole number, not {value!r}.")
    return int(str(value))


def _check_size(role: str, cores: int, memory: str, node: str, where: str) -> None:
    found = _MEMORY.fullmatch(memory)
    if found is None:
        raise invalid(f"{where}: the {role}'s memory {memory!r} is not digits and one of k, m, g, t, p.")
    most = _NODES[node.lower()]
    if not 0 < cores <= most or int(found[1]) * _GB[found[2].lower()] > most * _GB_A_CORE:
        raise invalid(
            f"{where}: the {role} asks for {cores} cores and {memory}; a node of {node} has {most} cores and "
            f"{most * _GB_A_CORE} GB."
        )


def _check_ways(step: Step, where: str) -> None:
    """Direct alone; what the pipeline says of an input or output counts before what the component says."""
    ways = [("input", name, one) for name, one in step.inputs.items() if one.kind != "literal"]
    ways += [("output", name, one) for name, one in step.outputs.items()]  # type: ignore[misc]  # both have a mode
    for what, name, one in ways:
        declared = (step.spec.get(f"{what}s") or {}).get(name) or {}
        mode = one.mode or str(declared.get("mode") or "")
        if mode.lower() != "direct":
            raise invalid(
                f"{where}: {what} '{name}' is using '{mode or 'no'}' mode, only 'direct' is supported for Spark job"
            )
        if one.type and one.type.lower() not in _TYPES:
            raise invalid(f"{where}: {what} '{name}' is of type {one.type}; Spark takes {', '.join(_TYPES)}.")
    for name, source in step.inputs.items():
        if source.kind == "asset" and not _ADDRESS.match(source.value):
            raise invalid(
                f"{where}: input '{name}' lies at {source.value!r}; Spark takes azureml, abfss and wasbs."
            )
    for name, target in step.outputs.items():
        if target.uri and not _ADDRESS.match(target.uri):
            raise invalid(
                f"{where}: output '{name}' goes to {target.uri!r}; Spark takes azureml, abfss and wasbs."
            )
        if target.asset_name:
            raise not_emulated(f"the registration of a Spark job's output ({where}, '{name}')")
