"""docs/benchmarks.md, of which each benchmark writes the sections that are its own."""

from __future__ import annotations

import re
from pathlib import Path

DOCUMENT = Path(__file__).parents[1] / "docs" / "benchmarks.md"


def write(section: str, document: Path = DOCUMENT) -> None:
    """Put a section, which begins with its heading, where one of that heading stands, or at the end."""
    heading = section.strip().partition("\n")[0]
    before = document.read_text() if document.exists() else "# Benchmarks\n"
    parts = re.split(r"^(?=## )", before, flags=re.MULTILINE)
    known = [n for n, part in enumerate(parts) if part.partition("\n")[0].strip() == heading]
    place = known[0] if known else len(parts)
    whole = [part.strip() for part in (*parts[:place], section, *parts[place + 1 :])]
    document.write_text("\n\n".join(whole) + "\n")
