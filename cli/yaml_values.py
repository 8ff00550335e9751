"""Values as a loop file has them on one line."""

from __future__ import annotations

import json


def quoted(value: object) -> str:
    """JSON, which YAML reads, in letters that people read. What cannot be printed is escaped as YAML has it, which
    knows no pairs of surrogates."""
    text = json.dumps(value, ensure_ascii=False)
    return "".join(
        one if one.isprintable() else f"\\u{ord(one):04x}" if ord(one) < 1 << 16 else f"\\U{ord(one):08x}"
        for one in text
    )
