"""OpenLineage's event types as a JSON Schema: `python -m tests.lineage.published` writes published.json.

It is read from the classes that OpenLineage generates from its specification and publishes as openlineage-python, which
is no package of ours: `pip install --target FOLDER openlineage-python`, and PYTHONPATH=FOLDER.
"""

from __future__ import annotations

import importlib
import json
import types
import typing
from enum import EnumMeta
from pathlib import Path
from typing import Any

FILE = Path(__file__).with_name("published.json")
MODULES = {
    "base": ("RunEvent", "Run", "Job", "InputDataset", "OutputDataset"),
    "schema_dataset": ("SchemaDatasetFacet", "SchemaDatasetFacetFields"),
    "dataset_version_dataset": ("DatasetVersionDatasetFacet",),
    "output_statistics_output_dataset": ("OutputStatisticsOutputDatasetFacet",),
    "error_message_run": ("ErrorMessageRunFacet",),
    "parent_run": ("ParentRunFacet", "Root", "RootRun", "RootJob"),
    "tags_run": ("TagsRunFacet", "TagsRunFacetFields"),
    "job_type_job": ("JobTypeJobFacet", "EmissionPattern"),
}
MADE_BY_THE_CLIENT = {"producer", "schemaURL", "_producer", "_schemaURL"}
"""Required by the specification; the classes fill them in."""
SIMPLE = {str: "string", int: "integer", bool: "boolean", float: "number"}
NOTICE = (
    "Derived from openlineage-python {version}, Copyright 2018-2026 contributors to the OpenLineage project, Apache "
    "License 2.0 (LICENSE.openlineage); changed: its classes as a JSON Schema. Made by tests/lineage/published.py."
)


def schema() -> dict[str, Any]:
    found: dict[str, Any] = {}
    for module, names in MODULES.items():
        loaded = importlib.import_module(f"openlineage.client.generated.{module}")
        found |= {name: _object(getattr(loaded, name)) for name in names}
    version = importlib.import_module("importlib.metadata").version("openlineage-python")
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$comment": NOTICE.format(version=version),
        "$defs": found,
    }


def _object(kind: type) -> dict[str, Any]:
    import attr  # type: ignore[import-not-found,unused-ignore]  # comes with openlineage-python

    hints, fields = typing.get_type_hints(kind), attr.fields(kind)
    required = [
        each.name for each in fields if each.default is attr.NOTHING or each.name in MADE_BY_THE_CLIENT
    ]
    found: dict[str, Any] = {
        "type": "object",
        "required": sorted(required),
        "additionalProperties": False,
        "properties": {each.name: _type(hints[each.name]) for each in fields},
    }
    for name in {"schemaURL", "_schemaURL"} & set(found["properties"]):
        found["properties"][name] = {"const": kind._get_schema()}  # type: ignore[attr-defined]
    return found


def _type(hint: Any) -> dict[str, Any]:
    """Facets are dictionaries of facets: the test looks at each by the schema that it names."""
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if origin in (types.UnionType, typing.Union):
        (one,) = [each for each in inner if each is not type(None)]
        return _type(one)
    if origin is list:
        return {"type": "array", "items": _type(inner[0])}
    if origin is dict:
        return {"type": "object"}
    if isinstance(hint, EnumMeta):
        return {"enum": [each.value for each in hint]}  # type: ignore[var-annotated]
    if hint in SIMPLE:
        return {"type": SIMPLE[hint]}
    nested = hint.__name__ in {name for names in MODULES.values() for name in names}
    own = hint.__module__.endswith("parent_run") and hint.__name__ in {"Run", "Job"}
    return _object(hint) if own or not nested else {"$ref": f"#/$defs/{hint.__name__}"}


if __name__ == "__main__":
    FILE.write_text(json.dumps(schema(), indent=1) + "\n")
