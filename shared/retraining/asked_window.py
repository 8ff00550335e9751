"""What a loop's pipeline asks its training window to be: by the type of its input `training_data`, and by the mode in
which its steps take it.

A table whose rows are read (`mltable.load`) says how to read them; one whose files a step is given by `eval_mount` or
`eval_download` says nothing of it: MicrosoftDocs/azure-ai-docs, how-to-read-write-data-v2.md (modes; a table of rows is
taken by `direct`, one of files by `eval_mount`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shared import plain_yaml
from shared.domain.window import WindowKind
from shared.errors import ConfigurationError

if TYPE_CHECKING:
    from shared.loopfile.definition import Definition

INPUT = "training_data"


def asked_window(folder: Path, definition: Definition) -> WindowKind:
    """As the YAML files of the loop in `folder` say; ConfigurationError names the file, the input and what to write.

    A file that cannot be read asks for nothing: publishing says what is wrong with it.
    """
    pipeline = definition.train.pipeline
    wanted = _type(folder, pipeline)
    modes = dict(_modes(folder / pipeline, INPUT, wanted or WindowKind.FOLDER.data_type))
    evaluated = {step for step, mode in modes.items() if mode.startswith("eval_")}
    kind = WindowKind.FOLDER
    if wanted == "mltable":
        kind = WindowKind.FILES if evaluated else WindowKind.ROWS
        if evaluated and (others := modes.keys() - evaluated):
            raise ConfigurationError(
                f"{pipeline}: {_listed(evaluated)} takes the files of {INPUT} (mode eval_mount or eval_download), and "
                f"{_listed(others)} its rows; a window is one of them: write `mode: eval_mount` for all, or for none"
            )
    elif evaluated:
        raise ConfigurationError(
            f"{pipeline}: {_listed(evaluated)} takes {INPUT} by {modes[min(evaluated)]}, which is for tables only: "
            f"write `{INPUT}: {{type: mltable}}` in its inputs"
        )
    for check in definition.gate.checks:
        _check_check(folder, check, pipeline, kind)
    return kind


def _type(folder: Path, file: str) -> str:
    """Of the input, empty where it has none."""
    declared = _declared(_read(folder / file), INPUT)
    found = str(declared.get("type") or "").lower()
    if found not in ("", "uri_folder", "mltable"):
        raise ConfigurationError(
            f"{file}: inputs.{INPUT} is of type {declared.get('type')}, and a training window is a folder or a table: "
            f"write `{INPUT}: {{type: uri_folder}}`, or `{INPUT}: {{type: mltable}}`"
        )
    return found


def _check_check(folder: Path, file: str, pipeline: str, kind: WindowKind) -> None:
    """A check gets the window that the training got."""
    its = _type(folder, file)
    if its and its != kind.data_type:
        raise ConfigurationError(
            f"{file}: inputs.{INPUT} is of type {its}, and that of {pipeline} is {kind.data_type}; both get the same "
            f"window: write `{INPUT}: {{type: {kind.data_type}}}` in both"
        )
    mode = str(_declared(_read(folder / file), INPUT).get("mode") or "").lower()
    if its == "mltable" and mode.startswith("eval_") is not (kind is WindowKind.FILES):
        write = "mode: eval_mount" if kind is WindowKind.FILES else "no mode"
        raise ConfigurationError(
            f"{file}: inputs.{INPUT} is taken by {mode or 'no mode'}, and the window of {pipeline} is a table of its "
            f"{kind.value}: write {write}"
        )


def _modes(file: Path, name: str, wanted: str) -> Iterator[tuple[str, str]]:
    """Step -> mode, of the steps of a pipeline that take its input `name`; those of pipelines within it as well."""
    bound = re.compile(rf"\$\{{\{{\s*parent\.inputs\.{re.escape(name)}\s*\}}\}}")
    for step, job in _section(_read(file), "jobs").items():
        if not isinstance(job, dict):
            continue
        place, component = _component(file, job)
        for key, given in _section(job, "inputs").items():
            said = given if isinstance(given, dict) else {"path": given}
            if not bound.fullmatch(str(said.get("path") or "").strip()):
                continue
            if component.get("type") == "pipeline" and place is not None:
                yield from ((f"{step}/{inner}", mode) for inner, mode in _modes(place, key, wanted))
                continue
            declared = _declared(component, key)
            if (its := str(declared.get("type") or wanted).lower()) != wanted and "mltable" in (its, wanted):
                raise ConfigurationError(
                    f"{place or file}: inputs.{key} is of type {its}, and the step {step} gives it {INPUT} of type "
                    f"{wanted}: write `{key}: {{type: {wanted}}}`"
                )
            yield step, str(said.get("mode") or declared.get("mode") or "").lower()


def _component(file: Path, job: dict[str, Any]) -> tuple[Path | None, dict[str, Any]]:
    """A step's component and the file that it is in; the step itself where it is said in place."""
    named = job.get("component") or job.get("trial")
    if isinstance(named, str) and not named.startswith("azureml:"):
        place = file.parent / named.removeprefix("file:")
        return place, _read(place)
    return None, named if isinstance(named, dict) else {}


def _read(file: Path) -> dict[str, Any]:
    try:
        found = plain_yaml.load(file.read_bytes())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _declared(document: dict[str, Any], name: str) -> dict[str, Any]:
    return _section(_section(document, "inputs"), name)


def _section(document: dict[str, Any], key: str) -> dict[str, Any]:
    found = document.get(key)
    return found if isinstance(found, dict) else {}


def _listed(steps: set[str]) -> str:
    return f"step {', '.join(sorted(steps))}"
