"""Pages of JSON that keep what something said, whole, a case a line; and what has changed since."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

DIGITS = 7
CLOSE = 1e-3
"""Sums of floats in another order, as another number of threads adds them, differ by less."""

Document = Mapping[str, Any]


def said(document: Document) -> Any:
    """As it is read back from a page."""
    return json.loads(json.dumps(_rounded(document), default=str))


def write(page: Path, documents: Mapping[str, Document]) -> None:
    lines = [f"{json.dumps(name)}: {json.dumps(said(one))}" for name, one in documents.items()]
    page.write_text("{\n" + ",\n".join(lines) + "\n}\n")


def read(page: Path) -> dict[str, Any]:
    """Nothing where the page is yet to be written."""
    kept: dict[str, Any] = json.loads(page.read_text()) if page.exists() else {}
    return kept


def differences(now: Any, kept: Any, where: str = "") -> list[str]:
    """Each value that is another, with its place."""
    if isinstance(now, dict) and isinstance(kept, dict) and list(now) == list(kept):
        return [each for name in now for each in differences(now[name], kept[name], f"{where}.{name}")]
    if isinstance(now, list) and isinstance(kept, list) and len(now) == len(kept):
        pairs = enumerate(zip(now, kept, strict=True))
        return [each for at, (ours, theirs) in pairs for each in differences(ours, theirs, f"{where}[{at}]")]
    if (
        isinstance(now, float)
        and isinstance(kept, float)
        and math.isclose(now, kept, rel_tol=CLOSE, abs_tol=1e-9)
    ):
        return []
    return [] if now == kept and type(now) is type(kept) else [f"{where} was {kept}, and is {now}"]


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return float(f"{value:.{DIGITS}g}")
    if isinstance(value, Mapping):
        return {str(name): _rounded(one) for name, one in value.items()}
    return [_rounded(one) for one in value] if isinstance(value, list | tuple) else value
