"""What differs between a loop's environments is laid over the rest of its file; what makes a model never differs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pydantic import BaseModel

from shared.loopfile.definition import Definition
from shared.loopfile.keys import section_of
from shared.loopfile.yaml_lines import Document, Mistake, Path, Value, dotted, show

MAY_DIFFER = (
    "mode",
    "train",
    "serve",
    "drift",
    "metric",
    "retrain",
    "models",
    "gate",
    "canary",
    "cost",
    "people",
)
SAME = frozenset(
    {
        ("train", "pipeline"),
        ("train", "parameters"),
        ("train", "only_in"),
        ("serve", "scoring"),
        ("serve", "environment"),
    }
)
"""Of these sections: what a model and its server are made of."""
ALLOWED = f"keys of {', '.join(MAY_DIFFER)}, but for {', '.join(map(dotted, sorted(SAME)))}"


def lay_over(document: Document, name: str) -> None:
    """Make the document say what it says of this environment, with the lines of where that stands. A file without
    environments is the same in all."""
    value = document.value
    if isinstance(value, Mapping) and "environments" not in value:
        return
    given = value.get("environments") if isinstance(value, Mapping) else None
    if not isinstance(value, dict) or not isinstance(given, Mapping) or name not in given:
        names = ", ".join(given) if isinstance(given, Mapping) and given else "none"
        line = document.line(("environments",))
        document.mistakes.append(Mistake(line, "environments", f"nothing of {show(name)}", f"one of {names}"))
        return
    above = ("environments", name)
    document.mistakes += faults(document, above, given[name])
    if isinstance(over := given[name], Mapping):
        document.value = _merged(Definition, value, over)
    document.lines |= {
        path[2:]: line for path, line in document.lines.items() if path[:2] == above and len(path) > 2
    }


def faults(document: Document, above: Path, given: object) -> Iterator[Mistake]:
    """Keys of one environment that no environment may have for itself."""
    for section, keys in given.items() if isinstance(given, Mapping) else ():
        path = (*above, str(section))
        if section not in MAY_DIFFER:
            yield Mistake(document.line(path), dotted(path), show(keys), ALLOWED)
        for key, value in keys.items() if isinstance(keys, Mapping) else ():
            if (section, key) in SAME:
                yield Mistake(document.line((*path, key)), dotted((*path, key)), show(value), ALLOWED)


def _merged(model: type[BaseModel], base: Mapping[str, Value], over: Mapping[str, Value]) -> dict[str, Value]:
    """Sections key by key; every other value is replaced whole."""
    found = dict(base)
    for key, value in over.items():
        field, old = model.model_fields.get(key), base.get(key)
        inner = section_of(field) if field else None
        if inner and isinstance(value, Mapping) and isinstance(old, Mapping):
            value = _merged(inner, old, value)
        found[key] = value
    return found


def of(definition: Definition, name: str) -> Definition:
    """The definition of one environment alone, once it is checked."""
    here = definition.train.only_in == name
    train = definition.train.model_copy(update={"only_in": None}) if here else definition.train
    return definition.model_copy(update={"environments": {}, "train": train})
