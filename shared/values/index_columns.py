"""The row numbers that pandas (and R) write beside the data are no column of theirs."""

from __future__ import annotations

import json
import re

import pyarrow as pa

UNNAMED = "Unnamed: 0"
"""What pandas calls the first column when its header is empty."""
UNNAMED_NAMES = (UNNAMED, f"{UNNAMED}.1", f"{UNNAMED}.2", f"{UNNAMED}.3")
"""And when the table was written with an index several times."""

_NAMES = re.compile(r"__index_level_\d+__|Unnamed: \d+(\.\d+)*|level_0")


def looks_like(name: str) -> bool:
    """Whether a column bears a name that only an index without a name gets."""
    return _NAMES.fullmatch(name) is not None


def in_footer(schema: pa.Schema, name: str) -> bool:
    """Whether pandas' part of a Parquet footer calls this column an index; so does its name where pandas is silent."""
    try:
        document = json.loads((schema.metadata or {}).get(b"pandas", b"{}"))
        names = [each for each in document.get("index_columns", [name]) if isinstance(each, str)]
    except (ValueError, AttributeError, TypeError):
        names = []
    kind = schema.field(name).type
    return name in names or (name.startswith("Unnamed: ") and pa.types.is_integer(kind))
