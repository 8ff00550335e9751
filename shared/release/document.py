"""Evidence and verdicts survive a round trip through JSON unchanged, so `replay` judges what was judged."""

from __future__ import annotations

import dataclasses
import types
from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import Enum
from typing import Any, Self, Union, get_args, get_origin, get_type_hints


def _plain(value: object) -> object:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: _plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {str(key): _plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    item = getattr(value, "item", None)  # a numpy scalar
    return item() if callable(item) else value


def _typed(hint: Any, value: Any) -> Any:
    """Build what the annotation says; unknown annotations pass through as JSON had them."""
    origin, inner = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        choices = [choice for choice in inner if choice is not type(None)]
        return value if value is None or len(choices) != 1 else _typed(choices[0], value)
    if origin is tuple:
        return tuple(_typed(inner[0], entry) for entry in value)
    if origin in (list, Sequence):
        return [_typed(inner[0], entry) for entry in value]
    if origin in (dict, Mapping):
        return {key: _typed(inner[1], entry) for key, entry in value.items()}
    if isinstance(hint, type):
        if dataclasses.is_dataclass(hint):
            return _build(hint, value)
        if issubclass(hint, datetime):
            return datetime.fromisoformat(value)
        if issubclass(hint, Enum):
            return hint(value)
    return value


def _build(cls: type[Any], document: Mapping[str, Any]) -> Any:
    hints = get_type_hints(cls)
    known = {field.name for field in dataclasses.fields(cls)}
    unknown = sorted(set(document) - known)
    if unknown:
        raise ValueError(f"{cls.__name__} has no field {unknown[0]!r}; it knows {', '.join(sorted(known))}")
    return cls(**{name: _typed(hints[name], value) for name, value in document.items()})


class Document:
    """Mixin for frozen dataclasses: `to_dict` is JSON-safe, `from_dict` gives back an equal object."""

    def to_dict(self) -> dict[str, Any]:
        plain = _plain(self)
        assert isinstance(plain, dict)
        return plain

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Self:
        built: Self = _build(cls, document)
        return built
