"""The local Azure's modules are nouns, a name means one of them, and none import each other in a circle."""

from __future__ import annotations

import ast
import graphlib
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parents[2]
SCHEME = {"__init__", "__main__", "urls", "responses", "models", "exceptions"}
"""What each service has under the same name, as in moto."""
FILES = {
    ".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): file
    for file in sorted((ROOT / "local").rglob("*.py"))
}


def imported(file: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {name if name in FILES else node.module for name in names}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return found & set(FILES)


def test_no_module_imports_itself_by_way_of_others() -> None:
    graph = {name: imported(file) - {name} for name, file in FILES.items()}
    assert len(list(graphlib.TopologicalSorter(graph).static_order())) == len(FILES)


def test_modules_are_nouns_and_a_name_means_one_thing() -> None:
    ours = [file for file in FILES.values() if "host" not in file.parts]
    assert [str(file) for file in ours if file.stem.endswith("ing")] == []
    names = Counter(file.stem for file in ours)
    assert [name for name, times in names.items() if times > 1 and name not in SCHEME] == []
