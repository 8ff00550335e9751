"""The rules of the house that no linter knows."""

from __future__ import annotations

import ast
import functools
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks import house

ROOT = Path(__file__).parent.parent
HEAVY = (
    "azure.ai.ml",
    "pandas",
    "scipy",
    "pyarrow",
    "numpy",
    "pydantic",
    "azure.identity",
    "azure.storage",
    "jinja2",
)
PURE = (
    "shared/domain",
    "shared/stats",
    "shared/errors.py",
    "shared/state/hash_chain.py",
    "shared/retraining/policy.py",
    "shared/diff/definition_diff.py",
    "shared/verdict/metric.py",
    "shared/verdict/check_verdict.py",
    "shared/release/machine.py",
    "shared/release/observations.py",
    "shared/release/signature.py",
    "shared/release/document.py",
    "shared/gate/gate_judge.py",
    "shared/gate/gate_record.py",
    "shared/gate/smoke.py",
    "shared/canary/canary_judge.py",
    "shared/canary/bake_judge.py",
    "shared/canary/arms.py",
    "shared/canary/challenger_size.py",
    "shared/canary/harm.py",
    "shared/canary/signal_harm.py",
    "shared/canary/tolerance.py",
    "shared/canary/timeline.py",
)
IMPURE_MODULES = {
    "os",
    "time",
    "random",
    "socket",
    "subprocess",
    "requests",
    "httpx",
    "tempfile",
    "threading",
}
IMPURE_CALLS = {"now", "utcnow", "today", "time", "monotonic", "open", "print", "input", "uuid4", "getenv"}


def test_importing_the_app_imports_nothing_heavy() -> None:
    code = "import sys, function_app; print('\\n'.join(sys.modules))"
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    loaded = set(run.stdout.split())
    assert "azure.functions" in loaded
    assert [name for name in HEAVY if name in loaded] == []


def pure_files() -> list[Path]:
    found = [file for place in PURE for file in sorted((ROOT / place).rglob("*.py"))]
    return found + [ROOT / place for place in PURE if place.endswith(".py")]


@pytest.mark.parametrize("file", pure_files(), ids=lambda file: str(file.relative_to(ROOT)))
def test_the_pure_core_reads_no_clock_no_environment_and_no_chance(file: Path) -> None:
    found = []
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names if alias.name.split(".")[0] in IMPURE_MODULES]
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in IMPURE_MODULES:
            found.append(node.module)
        elif isinstance(node, ast.Call):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            found += [f"{name}() in line {node.lineno}"] if name in IMPURE_CALLS else []
    assert found == []


def test_nothing_of_ours_unpickles_or_loads_yaml_unsafely() -> None:
    """S10: untrusted bytes are never given to a loader that can run code."""
    banned = {
        ("pickle", "loads"),
        ("pickle", "load"),
        ("yaml", "load"),
        ("joblib", "load"),
        ("marshal", "loads"),
    }
    found = []
    for place in ("functions", "cli", "tower", "shared", "drift"):
        for file in sorted((ROOT / place).rglob("*.py")):
            for node in ast.walk(ast.parse(file.read_text())):
                owner = getattr(node, "value", None)
                if isinstance(node, ast.Attribute) and (getattr(owner, "id", ""), node.attr) in banned:
                    found.append(f"{file.relative_to(ROOT)}:{node.lineno}")
    assert found == []


def test_make_has_ten_targets_or_fewer_and_tells_what_each_does() -> None:
    make = shutil.which("make")
    assert make is not None, "make runs these tests"
    run = subprocess.run([make, "-C", str(ROOT), "help"], capture_output=True, text=True, check=True)
    told = [line.split()[1] for line in run.stdout.splitlines() if line.strip().startswith("make ")]
    phony = next(line for line in (ROOT / "Makefile").read_text().splitlines() if line.startswith(".PHONY:"))
    assert set(told) == set(phony.removeprefix(".PHONY:").split())
    assert len(told) <= 10


TEXTS_FOR_PEOPLE = {
    "words",
    "reason",
    "waiting_for",
    "reasons",
    "why",
    "verdict",
    "attention",
    "summary",
    "note",
}
"""Names of what people read; `kind`, `outcome` and `code` are enums, and no display text is compared with them."""

MAY_SAY = ("tower", "cli", "functions", "shared/words")
"""Where codes become sentences."""

SAYS_AT_AN_EDGE = {
    "shared/state/queries.py": "the terminal's answer to why something is live is a list of sentences"
}
STEERS_BY_WORDS: dict[str, str] = {}


def _of_people(node: ast.AST) -> bool:
    return getattr(node, "attr", getattr(node, "id", "")) in TEXTS_FOR_PEOPLE


def _steered(node: ast.AST) -> bool:
    """A text made for people that is searched, split, cut or compared with a literal."""
    match node:
        case ast.Compare(
            ops=[ast.In() | ast.NotIn()], left=ast.Constant(value=str()), comparators=[searched]
        ):
            return _of_people(searched)
        case ast.Compare(left=left, comparators=[ast.Constant(value=str(text))]) if text:
            return _of_people(left)
        case ast.Call(func=ast.Attribute(value=text, attr="startswith" | "endswith" | "find")):
            return _of_people(text) or _says(text) or getattr(text, "attr", "") == "kind"
        case ast.Call(
            func=ast.Attribute(value=text, attr="split" | "partition" | "rpartition"), args=[_, *_]
        ):
            return _of_people(text) or _says(text)
        case _:
            return False


def _says(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and getattr(node.func, "id", "") == "say"


def _in_product(found: Callable[[ast.AST], bool]) -> set[str]:
    return {
        one.path
        for one in product()
        if not one.path.startswith("drift/") and any(found(node) for node in ast.walk(one.tree))
    }


def test_words_do_not_steer_the_program() -> None:
    """Codes and types decide; no text made for people is searched, split or compared."""
    assert _in_product(_steered) == set(STEERS_BY_WORDS)


def test_sentences_are_made_at_the_edges_only() -> None:
    found = {file for file in _in_product(_says) if not file.startswith(MAY_SAY)}
    assert found <= set(SAYS_AT_AN_EDGE)


@pytest.mark.parametrize(
    "code",
    [
        '"a person should look" in release.waiting_for',
        'release.reason.startswith("gate")',
        'judgement.kind.startswith("canary")',
        'say(release.reason).split("; ")',
        'words == "no evidence"',
    ],
)
def test_what_steers_by_words_is_noticed(code: str) -> None:
    assert any(_steered(node) for node in ast.walk(ast.parse(code)))


# --- the house itself: names, sizes, circles ---------------------------------------------------------

LARGEST_ROOM = 3000

GERUNDS = {"shared/wiring.py": "the noun: settings in, ports out"}
SAME_NAME = {
    "alerts.py": "the trigger that takes an alert, and what an alert says",
    "effects.py": "drift is a library of its own: effect sizes there, what a release brings about here",
    "errors.py": "drift is a library of its own, with its own errors",
    "policy.py": "drift is a library of its own: when drift is material there, when to retrain here",
}
OTHERS_SENTENCES = {
    "shared/azure/shared_assets.py": "Azure ML's registry, of a model that is there",
    "shared/files/delimited.py": "Arrow, of a CSV file without a row",
    "shared/spark/spark_executors.py": "Spark, of a task that failed each time",
}
"""Whose they are."""


@functools.cache
def everything() -> list[house.Module]:
    """Parsed by the process that runs these tests, not by each that imports them."""
    return house.modules(ROOT, house.EVERYTHING)


def product() -> list[house.Module]:
    return [one for one in everything() if one.path.split("/")[0] in house.PRODUCT]


def test_no_module_is_named_by_a_gerund() -> None:
    assert set(house.gerunds(everything())) <= set(GERUNDS)


def test_no_two_files_of_the_product_share_a_name_unless_they_mean_the_same() -> None:
    assert set(house.shared_names(product())) <= set(SAME_NAME)


def test_nothing_searches_a_sentence_but_those_of_others_that_give_no_code() -> None:
    found = house.searches_in_sentences(product())
    assert {one.partition(":")[0] for one in found} == set(OTHERS_SENTENCES), found


def test_no_room_is_too_large_to_learn() -> None:
    lines = house.lines_by_folder(product())
    large = {room for room, count in lines.items() if room.startswith("shared/") and count > LARGEST_ROOM}
    assert large == set(), lines


def test_no_modules_import_each_other() -> None:
    assert not house.circles(everything())


@pytest.mark.parametrize(
    ("one", "other", "circles"),
    [
        ("import p.b", "import p.a", [["p.a", "p.b"]]),
        ("from p import b", "def f():\n    from p.a import x", [["p.a", "p.b"]]),
        ("if TYPE_CHECKING:\n    from p.b import T", "from p import a", [["p.a", "p.b"]]),
        ("import p.b", "import p.c", []),
        ("import p.a", "", []),
    ],
)
def test_a_circle_is_found_however_it_is_closed(one: str, other: str, circles: list[list[str]]) -> None:
    texts = {"p/__init__.py": "", "p/a.py": one, "p/b.py": other, "p/c.py": ""}
    found = [house.Module(path, ast.parse(text), 1) for path, text in texts.items()]
    assert house.circles(found) == circles


@pytest.mark.parametrize(
    ("text", "searches"),
    [
        ("'a person should look' in release.waiting_for", 1),
        ("'challenger' in verdict", 1),
        ("found.verdict.split('; ')", 1),
        ("re.split('; ', self.reason)", 1),
        ("judgement.kind.startswith('canary')", 1),
        ("text.startswith('no drift')", 1),
        ("name in names", 0),
        ("path.startswith('/tower')", 0),
        ("header.split('; charset=')", 0),
        ("'x-ms-date' in headers", 0),
    ],
)
def test_a_search_in_a_sentence_is_found(text: str, searches: int) -> None:
    assert len(house.searches_in_sentences([house.Module("a.py", ast.parse(text), 1)])) == searches


def test_one_drop_goes_live_and_what_it_visits_is_counted() -> None:
    visited = house.one_drop(ROOT)
    rooms = {"/".join(file.split("/")[: 2 if file.startswith("shared/") else 1]) for file in visited["files"]}
    assert "functions/inbox.py" in visited["files"] and "shared/memory" not in rooms
    stages = {"intake", "verdict", "retraining", "release", "state"}
    assert {"drift", *(f"shared/{stage}" for stage in stages)} <= rooms
    assert {"Release", "DataVersion"} <= set(visited["classes"])
    assert set(visited["files"]) == {name.split(" ")[0] for name in visited["functions"]}


def glossary() -> list[tuple[str, str]]:
    """(word, meaning) of docs/architecture.md."""
    _, _, section = (ROOT / "docs" / "architecture.md").read_text().partition("\n## Glossary\n")
    rows = [
        line.strip("| ").split(" | ")
        for line in section.split("\n## ")[0].splitlines()
        if line.startswith("|")
    ]
    return [(word.strip("`* "), row[1].strip()) for row in rows[2:] for word in row[0].split(",")]


def test_what_the_domain_names_is_in_the_glossary() -> None:
    words = [word.casefold() for word, _ in glossary()]
    assert len(words) == len(set(words)) and all(meaning for _, meaning in glossary())
    unknown = []
    for module in house.modules(ROOT, ["shared/domain"]):
        for node in module.tree.body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                name = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", node.name).casefold()
                unknown += [] if any(word.rstrip("s") in name for word in words) else [node.name]
    assert unknown == [], "add the noun to the glossary, or use a word that is there"
