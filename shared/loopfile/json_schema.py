"""The JSON Schema of the loop file, by which editors complete and check it."""

from __future__ import annotations

import json
from typing import Any

from pydantic.json_schema import GenerateJsonSchema

from shared.loopfile.definition import Definition


class _Untitled(GenerateJsonSchema):
    """Without titles, which repeat the keys."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False


def schema() -> str:
    """What keys must be to each other is not in it."""
    document = Definition.model_json_schema(schema_generator=_Untitled)
    document |= {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "A Driftloop loop file"}
    return json.dumps(document, indent=1, ensure_ascii=False, sort_keys=True) + "\n"
