"""The figures of the last soak, written with their date where the promises are."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "promises.md"
BEGIN, END = "<!-- figures of the last soak -->", "<!-- end of figures -->"


def keep(name: str, figure: str) -> None:
    """Put one line into the page's table, in place of the one that bears the same name."""
    before, rest = PAGE.read_text().split(BEGIN)
    table, after = rest.split(END)
    lines = [line for line in table.strip().splitlines() if not line.startswith(f"| {name} |")]
    lines.append(f"| {name} | {figure} | {datetime.now(UTC):%Y-%m-%d %H:%M} |")
    head, rows = lines[:2], sorted(lines[2:])
    PAGE.write_text(f"{before}{BEGIN}\n" + "\n".join([*head, *rows]) + f"\n{END}{after}")
    print(f"\n{name}: {figure}")
