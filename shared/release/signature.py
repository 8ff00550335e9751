"""The inputs that an MLflow model names, held against the columns that the loop sends. Pure: no I/O.

Source: MLflow, "Model Signature": MLmodel holds `signature.inputs` as JSON, a list of columns with name and type, or of
tensors; a column that is missing is refused unless it is optional, one too many is dropped.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from shared import plain_yaml

NUMBERS = frozenset({"integer", "long", "float", "double"})


@dataclass(frozen=True)
class Input:
    """A column that the model takes; `name` is empty where the signature has none."""

    name: str
    kind: str
    """An MLflow type, or tensor."""
    required: bool = True


def inputs(mlmodel: bytes) -> tuple[Input, ...]:
    """The inputs of the signature in a file MLmodel; empty where there is none, or none that can be read."""
    try:
        document: Any = plain_yaml.load(mlmodel)
        stated = document["signature"]["inputs"]
        columns = json.loads(stated) if isinstance(stated, str) else stated
        return tuple(_input(column) for column in columns)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return ()


def _input(column: Mapping[str, object]) -> Input:
    required = column.get("required", True) is not False and column.get("optional") is not True
    name, kind = column.get("name"), column["type"]
    if not isinstance(kind, str):
        raise ValueError("a type that is no word")
    return Input(str(name) if isinstance(name, str | int) else "", kind, required)


def misfits(wanted: tuple[Input, ...], columns: Mapping[str, str]) -> tuple[list[str], list[str]]:
    """Inputs that the loop does not send, and those that are numbers where the loop sends text.

    `columns` are the loop's features, name -> canonical type. A signature without names fits whatever is sent: only
    the server can tell, and the smoke test asks it.
    """
    named = [one for one in wanted if one.name]
    missing = [one.name for one in named if one.required and one.name not in columns]
    texts = [one.name for one in named if one.kind in NUMBERS and columns.get(one.name) == "string"]
    return missing, texts
