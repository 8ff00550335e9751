"""`python -m benchmarks.house [--at REVISION]`: the measures of the code's order, for this tree or an older one.

Static measures read the product's Python files (tests and benchmarks are left out); the last one runs the life of one
drop in memory and counts the product's files and names that it visits (`benchmarks/one_drop.py`).
"""

from __future__ import annotations

import argparse
import ast
import io
import json
import re
import subprocess
import sys
import tarfile
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
PRODUCT = ("functions", "cli", "tower", "shared", "drift")
"""The local Azure is measured beside it: its services share one file layout by design."""
EVERYTHING = (*PRODUCT, "local")
LONG_FILE, LONG_FUNCTION = 300, 40
SENTENCES = frozenset(
    [
        "words",
        "reason",
        "why",
        "verdict",
        "decision",
        "waiting_for",
        "told",
        "headline",
        "summary",
        "sentence",
        "note",
    ]
)
"""Names of texts that are written for people."""
CUTS = frozenset(
    (
        "startswith",
        "endswith",
        "find",
        "index",
        "split",
        "partition",
        "rpartition",
        "removeprefix",
        "removesuffix",
    )
)


@dataclass(frozen=True)
class Module:
    """One Python file of ours."""

    path: str
    tree: ast.Module
    lines: int

    @property
    def name(self) -> str:
        return self.path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def modules(root: Path, folders: Sequence[str]) -> list[Module]:
    """Every Python file below these folders, but templates of loops, which are not ours to import."""
    found = []
    for path in sorted(file for folder in folders for file in (root / folder).rglob("*.py")):
        text = path.read_text()
        if "-" not in str(path.relative_to(root)):
            found.append(Module(str(path.relative_to(root)), ast.parse(text), len(text.splitlines())))
    return found


# --- sizes and names -------------------------------------------------------------------------------


def lines_by_folder(found: Iterable[Module]) -> dict[str, int]:
    """Lines of each folder; of each room, too, in `shared`."""
    lines: Counter[str] = Counter()
    for one in found:
        top, *below = one.path.split("/")
        lines[top] += one.lines
        if top == "shared":
            lines[f"shared/{below[0]}" if len(below) > 1 else "shared/*.py"] += one.lines
    return dict(sorted(lines.items()))


def long_functions(found: Iterable[Module]) -> list[str]:
    return [
        f"{one.path}:{node.lineno} {node.name} ({node.end_lineno - node.lineno + 1})"
        for one in found
        for node in ast.walk(one.tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.end_lineno is not None
        and node.end_lineno - node.lineno >= LONG_FUNCTION
    ]


def gerunds(found: Iterable[Module]) -> list[str]:
    return [one.path for one in found if Path(one.path).stem.endswith("ing")]


def shared_names(found: Iterable[Module]) -> dict[str, list[str]]:
    """Base names that more than one file has."""
    places = defaultdict(list)
    for one in found:
        if not Path(one.path).stem.startswith("__"):
            places[Path(one.path).name].append(one.path)
    return {name: paths for name, paths in sorted(places.items()) if len(paths) > 1}


def searches_in_sentences(found: Iterable[Module]) -> list[str]:
    """Places where code looks into a text that is written for people, or looks for a phrase in any text."""
    return [f"{one.path}:{node.lineno} {ast.unparse(node)}" for one in found for node in _searches(one.tree)]


def _searches(tree: ast.AST) -> Iterator[ast.expr]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Compare):
            searched = any(isinstance(op, ast.In | ast.NotIn) for op in node.ops)
            if searched and (_is_phrase(node.left) or _is_sentence(node.comparators[0])):
                yield node
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            owner, method = node.func.value, node.func.attr
            searched = method in CUTS and (_is_sentence(owner) or any(map(_is_phrase, node.args)))
            searched |= method == "startswith" and getattr(owner, "attr", "") == "kind"
            searched |= getattr(owner, "id", "") == "re" and any(map(_is_sentence, node.args))
            if searched:
                yield node


def _is_phrase(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and bool(
        re.search(r"[a-z]+ [a-z]+", str(node.value), re.IGNORECASE)
    )


def _is_sentence(node: ast.expr) -> bool:
    return (node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")) in SENTENCES


# --- import circles --------------------------------------------------------------------------------


def circles(found: Sequence[Module]) -> list[list[str]]:
    """Modules that import each other: early, late, or for types only."""
    names = {one.name for one in found}
    graph = {one.name: sorted(_imports(one, names) - {one.name}) for one in found}
    return sorted(sorted(group) for group in _components(graph) if len(group) > 1)


def _imports(module: Module, names: set[str]) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                found.add(inner if inner in names else node.module)
    return found & names


def _components(graph: Mapping[str, Sequence[str]]) -> list[list[str]]:
    """Tarjan's strongly connected components."""
    order: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    done: list[list[str]] = []

    def visit(name: str) -> None:
        order[name] = low[name] = len(order)
        stack.append(name)
        for other in graph[name]:
            if other not in order:
                visit(other)
            if other in stack:
                low[name] = min(low[name], low[other])
        if low[name] == order[name]:
            place = stack.index(name)
            done.append(stack[place:])
            del stack[place:]

    for name in graph:
        if name not in order:
            visit(name)
    return done


# --- the report ------------------------------------------------------------------------------------


def one_drop(root: Path) -> dict[str, list[str]]:
    """Product files and names that one drop visits on its way to a live model, by `benchmarks/one_drop.py`."""
    command = [sys.executable, str(HERE / "one_drop.py"), str(root)]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"one drop did not go live:\n{done.stderr}")
    visited: dict[str, list[str]] = json.loads(done.stdout.splitlines()[-1])
    return visited


def report(root: Path, *, places: bool) -> Iterator[str]:
    """A Markdown table of figures; with `places`, what they count."""
    product, local = modules(root, PRODUCT), modules(root, ["local"])
    both = [*product, *local]
    yield "| measure | figure |\n|---|---|"
    for folder, count in lines_by_folder(both).items():
        yield f"| lines of `{folder}` | {count:,} |"
    yield f"| lines of {', '.join(f'`{name}`' for name in PRODUCT)} | {sum(one.lines for one in product):,} |"
    visited = one_drop(root)
    counted: dict[str, Sequence[str]] = {
        f"files over {LONG_FILE} lines": [f"{m.path} ({m.lines})" for m in both if m.lines > LONG_FILE],
        f"functions over {LONG_FUNCTION} lines": long_functions(both),
        "modules named by a gerund": gerunds(both),
        "file names that several files of the product share": [
            f"{name}: {', '.join(paths)}" for name, paths in shared_names(product).items()
        ],
        "searches in sentences, product": searches_in_sentences(product),
        "import circles": [" <-> ".join(group) for group in circles(both)],
        "files visited by one drop, from functions/inbox.py to live": visited["files"],
        "functions visited by it": visited["functions"],
        "classes met by it": visited["classes"],
    }
    for measure, found in counted.items():
        yield f"| {measure} | {len(found):,} |"
    for measure, found in counted.items() if places else ():
        yield "\n".join([f"\n{measure}:", *(f"- {one}" for one in found)])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--at", metavar="REVISION", help="an older revision instead of this tree")
    parser.add_argument("--places", action="store_true", help="list what is counted")
    options = parser.parse_args()
    if not options.at:
        print("\n".join(report(HERE.parent, places=options.places)))
        return
    packed = subprocess.run(["git", "archive", options.at], cwd=HERE.parent, capture_output=True, check=True)  # noqa: S607
    with tempfile.TemporaryDirectory() as folder:
        with tarfile.open(fileobj=io.BytesIO(packed.stdout)) as files:
            files.extractall(folder, filter="data")
        print("\n".join(report(Path(folder), places=options.places)))


if __name__ == "__main__":
    main()
