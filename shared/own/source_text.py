"""What the source of a loop's own code says of itself, found by reading it: nothing of it is run here."""

from __future__ import annotations

import ast
import difflib
import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

METRICS_FILE, CHECKS_FILE = "metrics.py", "checks.py"
LARGEST = 128 * 1024

MAY_IMPORT = frozenset(
    {
        "__future__",
        "collections",
        "dataclasses",
        "datetime",
        "decimal",
        "enum",
        "fractions",
        "functools",
        "itertools",
        "math",
        "numbers",
        "numpy",
        "operator",
        "pandas",
        "random",
        "re",
        "scipy",
        "statistics",
        "string",
        "typing",
    }
)
"""These are loaded before the walls close; after that no file can be read, so nothing else could be."""


@dataclass(frozen=True)
class Fault:
    """What is wrong in which line, and what is allowed there."""

    line: int
    found: str
    allowed: str


def digest(source: str) -> str:
    return hashlib.sha256(source.encode()).hexdigest()


def imports(source: str) -> list[tuple[str, tuple[str, ...]]]:
    """Every module that is imported anywhere in the source, with the names taken from it."""
    found: list[tuple[str, tuple[str, ...]]] = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found += [(alias.name, ()) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            found.append((node.module or ".", tuple(alias.name for alias in node.names)))
    return found


def attributes(source: str) -> set[str]:
    """Every name that the source asks of something, as `special` of `scipy.special`."""
    return {node.attr for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Attribute)}


def faults(source: str, functions: Iterable[str], arguments: tuple[str, ...]) -> Iterator[Fault]:
    """Syntax, imports, and whether each function is there with these arguments."""
    if len(source) > LARGEST:
        yield Fault(1, f"{len(source):,} characters", f"at most {LARGEST:,}")
        return
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        yield Fault(getattr(error, "lineno", None) or 1, f"not Python ({error})", "Python")
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            for name in _modules(node):
                if name.split(".")[0] not in MAY_IMPORT:
                    yield Fault(
                        node.lineno, f"import of {name}", f"imports of {', '.join(sorted(MAY_IMPORT))}"
                    )
    defined = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
    for name in functions:
        if name not in defined:
            close = difflib.get_close_matches(name, defined, n=1)
            meant = f"did you mean {close[0]}? " if close else ""
            signature = f"def {name}({', '.join(arguments)})"
            yield Fault(1, f"no function {name}", f"{meant}{signature} at the top level")
        elif not _takes(defined[name].args, len(arguments)):
            allowed = f"{len(arguments)} arguments: {', '.join(arguments)}"
            yield Fault(defined[name].lineno, f"function {name} with other arguments", allowed)


def _modules(node: ast.Import | ast.ImportFrom) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    return ["a file beside it" if node.level else str(node.module)]


def _takes(wanted: ast.arguments, count: int) -> bool:
    """Whether it can be called with `count` arguments by their place."""
    places = len(wanted.posonlyargs) + len(wanted.args)
    required = places - len(wanted.defaults)
    needed_by_name = [d for d in wanted.kw_defaults if d is None]
    return required <= count and (places >= count or wanted.vararg is not None) and not needed_by_name
