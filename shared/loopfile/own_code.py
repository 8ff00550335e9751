"""The loop's own code, beside its loop file: read, looked through, and never run here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path as Folder

from shared.loopfile.definition import Definition
from shared.loopfile.yaml_lines import Document, Mistake, Path, dotted
from shared.own import source_text
from shared.stats.metrics import OWN, is_own

ARGUMENTS = {
    source_text.METRICS_FILE: ("truth", "predictions", "rows", "weights"),
    source_text.CHECKS_FILE: ("reference", "current"),
}


def functions(definition: Definition) -> Mapping[str, Mapping[str, Path]]:
    """Of each file of own code that the loop needs: its functions, and the key that names each."""
    found: dict[str, dict[str, Path]] = {}
    if definition.metric is not None and is_own(definition.metric.name):
        found[source_text.METRICS_FILE] = {definition.metric.name.removeprefix(OWN): ("metric", "name")}
    checks: dict[str, Path] = dict.fromkeys(definition.gate.functions, ("gate", "functions"))
    checks |= dict.fromkeys(definition.drift.checks, ("drift", "checks"))
    if checks:
        found[source_text.CHECKS_FILE] = checks
    return found


def sources(definition: Definition, folder: Folder) -> dict[str, str]:
    """The text of each of these files."""
    return {file: (folder / file).read_text(encoding="utf-8") for file in functions(definition)}


def mistakes(definition: Definition, document: Document, folder: Folder) -> Iterator[Mistake]:
    """What is wrong with these files, by their own lines; a file that is missing by the line that names it."""
    for file, named in functions(definition).items():
        key = next(iter(named.values()))
        try:
            text = (folder / file).read_text(encoding="utf-8")
        except OSError:
            allowed = f"a function of {file}, which must lie beside the loop file"
            yield Mistake(document.line(key), dotted(key), f"no {file}", allowed)
            continue
        except UnicodeDecodeError:
            yield Mistake(1, "", "bytes that are not UTF-8", "text in UTF-8", file)
            continue
        for fault in source_text.faults(text, named, _arguments(definition, file)):
            yield Mistake(fault.line, "", fault.found, fault.allowed, file)


def _arguments(definition: Definition, file: str) -> tuple[str, ...]:
    """A metric that has a table of costs beside it gets what each row's answer costs by it."""
    costed = file == source_text.METRICS_FILE and definition.metric is not None and definition.metric.costs
    return (*ARGUMENTS[file], "costs") if costed else ARGUMENTS[file]
