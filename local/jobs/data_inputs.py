"""What a step gets of the data that it is given: by the type of the input and its mode.

Sources: MicrosoftDocs/azure-ai-docs, how-to-read-write-data-v2.md (which mode a type knows; `eval_mount` lays files out
by account, container and path; a table of files is evaluated, one of rows is taken directly), reference-yaml-mltable.md
(the file MLTable); azureml-examples#1889 (a folder without it fails the job) and #2048 (a short datastore address in it
as well); azure-docs#92643 (what has rows cannot be mounted). Types that do not fit: docs/assumptions.md, A91.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from local.jobs.exceptions import StepFailed, invalid
from local.jobs.plan import Plan, Step
from local.jobs.storage import Place, place_of

_FILE = "MLTable"
_PLAIN = {"download", "romount", "readonlymount", "mount", "direct"}
_MODES = {"uri_file": _PLAIN, "uri_folder": _PLAIN, "mltable": {*_PLAIN, "evalmount", "evaldownload"}}


@dataclass(frozen=True)
class Way:
    """An input's type, and its mode in small letters without `_`; empty: Azure ML mounts it."""

    type: str
    mode: str

    @property
    def evaluated(self) -> bool:
        return self.mode.startswith("eval")


def way_of(step: Step, name: str) -> Way:
    """What the job or pipeline says of an input counts before what the component says."""
    source, declared = step.inputs[name], (step.spec.get("inputs") or {}).get(name) or {}
    kind = str(source.type or declared.get("type") or "").lower()
    return Way(kind, str(source.mode or declared.get("mode") or "").replace("_", "").lower())


def check(plan: Plan, registered: Callable[[str], str]) -> None:
    """ArmError where a type and a mode do not go together, or a type is not that of the asset (`registered` tells it)
    or of the component's input."""
    for step in plan.steps.values():
        for name, source in step.inputs.items():
            if source.kind == "literal":
                continue
            where = f"Step '{step.path}'" if step.path else "The job"
            way = way_of(step, name)
            its = registered(source.value) if source.kind == "asset" and source.type.lower() in _MODES else ""
            if its and source.type.lower() != its.lower():
                raise invalid(
                    f"{where}: the input '{name}' is of type {source.type}, and the data asset {source.value} is of "
                    f"type {its}."
                )
            declared = str(((step.spec.get("inputs") or {}).get(name) or {}).get("type") or "").lower()
            if declared and "mltable" in (declared, way.type) and declared != way.type:
                raise invalid(f"{where}: the input '{name}' is of type {declared}, and gets {way.type}.")
            if way.mode and way.mode not in _MODES.get(way.type, {way.mode}):
                raise invalid(f"{where}: the input '{name}' of type {way.type} has no mode '{way.mode}'.")


class Table:
    """The content of a file MLTable."""

    def __init__(self, content: dict[str, Any], folder: str) -> None:
        self._content, self._folder = content, folder.rstrip("/")

    def places(self) -> Iterator[Place]:
        """Of the files that it names; StepFailed for a table of rows, which has none to give."""
        for step in self._content.get("transformations") or []:
            said = step if isinstance(step, str) else next(iter(step))
            raise StepFailed(
                f"{_FILE}: a table with the step {said} yields rows, and only files are mounted."
            )
        yield from map(place_of, self.addresses())

    def addresses(self) -> Iterator[str]:
        """Of the files and folders that it names."""
        for path in self._content["paths"]:
            ((kind, value),) = path.items()
            if kind == "pattern":
                raise StepFailed("The local Azure evaluates `file` and `folder` of an MLTable, no `pattern`.")
            yield self._address(str(value)).rstrip("/") + ("/" if kind == "folder" else "")

    def _address(self, value: str) -> str:
        if value.lower().startswith("azureml://datastores/"):
            raise StepFailed(f"{_FILE}: uri path is not a valid datastore uri path: {value}")
        return value if "://" in value else f"{self._folder}/{value.removeprefix('./')}"


def table(folder: Path, uri: str) -> Table:
    """Of the files of an input, which lie in `folder` and come from `uri`; StepFailed where it is no table."""
    file = folder / _FILE
    if not file.is_file():
        raise StepFailed(f"MLTable input is invalid. Not able to find MLTable file ({uri}).")
    try:
        content = yaml.safe_load(file.read_bytes())
        paths = content["paths"]
        fits = bool(paths) and all(
            len(one) == 1 and set(one) <= {"file", "folder", "pattern"} for one in paths
        )
    except (yaml.YAMLError, TypeError, KeyError) as error:
        raise StepFailed(f"MLTable yaml schema is invalid ({uri}): {error}") from error
    if not fits:
        raise StepFailed(f"MLTable yaml schema is invalid ({uri}): paths")
    return Table(content, uri)
