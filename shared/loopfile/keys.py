"""What a loop file may hold, from the model itself: for errors, and the reference table."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from shared.loopfile.definition import Definition, DriftReference, Window
from shared.loopfile.value_kinds import Allowed
from shared.loopfile.yaml_lines import Path, dotted, show

_WRITTEN_AS_VALUES = (Window, DriftReference)


def section_of(field: FieldInfo) -> type[BaseModel] | None:
    """The section that a key holds; None when it holds a value."""
    for kind in (field.annotation, *(() if _named_section_of(field) else get_args(field.annotation))):
        if isinstance(kind, type) and issubclass(kind, BaseModel) and kind not in _WRITTEN_AS_VALUES:
            return kind
    return None


def _named_section_of(field: FieldInfo) -> type[BaseModel] | None:
    """The section that each name under a key holds; None where the key holds no such names."""
    kind = get_args(field.annotation)[-1] if get_origin(field.annotation) is Mapping else None
    return kind if isinstance(kind, type) and issubclass(kind, BaseModel) else None


def known(path: Path) -> list[str]:
    """The keys of the section at `path`."""
    model: type[BaseModel] = Definition
    for part in path:
        field = model.model_fields.get(str(part))
        model = (field and (section_of(field) or _named_section_of(field))) or model
    return list(model.model_fields)


def allowed(path: Path) -> str:
    """What the key at `path` may hold; for an element of a list, what the list may hold."""
    model: type[BaseModel] = Definition
    words = "a loop file"
    is_name = False
    for part in path:
        if isinstance(part, int) or is_name:
            is_name = False
            continue
        field = model.model_fields.get(part)
        if field is None:
            break
        words = _words(field.annotation, field.metadata)
        is_name = _named_section_of(field) is not None
        model = section_of(field) or _named_section_of(field) or model
    return words


def _words(kind: Any, metadata: Sequence[object]) -> str:
    """`kind` is any annotation of a key, `metadata` what Annotated puts beside it, the narrowest last."""
    metadata = [
        one for part in metadata for one in (part.metadata if isinstance(part, FieldInfo) else [part])
    ]
    if said := [part.words for part in metadata if isinstance(part, Allowed)]:
        return said[-1]
    origin, parts = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return _words(parts[0], [*parts[1:], *metadata])
    if origin in (Union, UnionType):
        return _words(next(part for part in parts if part is not type(None)), metadata)
    if origin is Literal:
        return _list([part if isinstance(part, str) else json.dumps(part) for part in parts], "or")
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return _list(list(kind.model_fields), "and")
    plain = {bool: "true or false", int: "a whole number", float: "a number", str: "a text"}
    return plain[kind] + _bounds(metadata)


def _list(words: Sequence[str], last: str) -> str:
    return f"{', '.join(words[:-1])} {last} {words[-1]}"


def _bounds(metadata: Sequence[object]) -> str:
    bounds = {
        name: getattr(part, name)
        for part in metadata
        for name in ("gt", "ge", "lt", "le")
        if hasattr(part, name)
    }
    low = f" above {bounds['gt']}" if "gt" in bounds else f" from {bounds['ge']}" if "ge" in bounds else ""
    if "le" in bounds:
        return f"{low}{' to' if 'ge' in bounds else ', up to'} {bounds['le']}"
    return f"{low}, below {bounds['lt']}" if "lt" in bounds else low


def table() -> str:
    """Every key of a loop file as a Markdown table."""
    rows = ["| key | allowed | default | meaning |", "|---|---|---|---|", *_rows(Definition, ())]
    return "\n".join(rows) + "\n"


def _rows(model: type[BaseModel], above: Path) -> Iterator[str]:
    for name, field in model.model_fields.items():
        path, inner = (*above, name), section_of(field)
        listed = get_origin(field.annotation) is tuple
        if inner is None or listed or field.default is None:
            cells = (
                f"`{dotted(path).replace('[0]', '[]')}`",
                allowed(path),
                _default(model, name),
                field.description,
            )
            yield f"| {' | '.join(map(str, cells))} |"
        if inner is not None:
            yield from _rows(inner, (*path, 0) if listed else path)
        if (inner := _named_section_of(field)) is not None:
            yield from _rows(inner, (*path, "NAME"))


def _default(model: type[BaseModel], name: str) -> str:
    field = model.model_fields[name]
    if field.is_required():
        return "**required**"
    default = field.get_default(call_default_factory=True)
    if default is None or default is PydanticUndefined or default == "":
        return "nothing"
    document = model.model_construct(**{name: default}).model_dump(
        mode="json", include={name}, warnings=False
    )
    return f"`{show(document[name])}`"
