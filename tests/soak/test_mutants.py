"""Small mutations of what decides: nearly each must fail a test. `pytest -m soak tests/soak/test_mutants.py -k policy`.

`mutmut` changes one thing at a time in a copy of the project and runs the tests that reach it. SOAK_SHARE=0.1 tries a
tenth: of the changes of each function those whose number ends in 3.
"""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import types
from collections import Counter
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from local.azure import LocalAzure
from tests.soak import figures

ROOT = Path(__file__).parents[2]
MUTMUT = "mutmut==3.8.1"
SHARE = float(os.environ.get("SOAK_SHARE", "1"))
ENDS = "3719582460"
LEAST = 0.95
"""Of those that a test reaches and that are not equal."""


@dataclass(frozen=True)
class Group:
    """What is changed, and the tests that must notice."""

    files: tuple[str, ...]
    tests: tuple[str, ...]
    azure: bool = False
    """They need a local Azure, which would start once for every change."""


JUDGES = ("gate/gate_judge", "gate/parity", "canary/canary_judge", "canary/bake_judge", "canary/tolerance")
DRIFT = (
    *("whole_reports", "report", "statistics", "exact", "schema", "subsets", "dependent_rows"),
    *("text_words", "vectors", "profile", "page"),
)
GROUPS = {
    "functions": Group(
        ("functions/*.py", "tower/csrf.py", "shared/port_rules.py"),
        (
            *("tests/functions_app", "tests/tower/test_acting.py", "tests/core/test_port_rules.py"),
            *(
                "tests/engine/test_recording.py",
                "tests/engine/test_run_queue.py",
                "tests/engine/test_rights.py",
            ),
        ),
    ),
    "policy": Group(
        ("shared/retraining/policy.py",),
        ("tests/core/test_policy_answers.py", "tests/engine/test_policy.py", "tests/engine/test_cost.py"),
    ),
    "machine": Group(
        ("shared/release/machine.py",),
        ("tests/core/test_machine.py", "tests/core/test_states.py"),
    ),
    "judges": Group(
        (*(f"shared/{name}.py" for name in JUDGES), "shared/verdict/metric.py"),
        tuple(
            f"tests/judge/test_{name}.py"
            for name in ("whole_verdicts", "canary", "bake", "parity", "metric_and_smoke")
        ),
    ),
    "tables": Group(
        ("shared/azure/tables.py", "shared/azure/overviews.py"),
        ("tests/contract/test_store.py", "tests/contract/test_lost_replies.py"),
        azure=True,
    ),
    "reader limits": Group(
        ("shared/reader/child_pool.py",),
        (
            "tests/intake/test_process.py",
            "tests/functions_app/test_waits.py::test_who_cannot_read_a_drop_before_the_end_waits_for_no_turn",
        ),
    ),
    "drift": Group(
        ("drift/verdict.py", "drift/findings.py", "drift/significance.py", "drift/judge.py"),
        tuple(f"tests/drift/test_{name}.py" for name in DRIFT),
    ),
}
EQUAL = ROOT / "tests" / "soak" / "equal_mutants.yaml"
"""Changes that nobody can see from outside, each with the reason why."""

FORKED = "tests/drift/test_report.py::test_polars_frames_are_read"
"""Polars stands still in a process that was forked, which those that try a change are."""

CONFIG = """
[tool.mutmut]
source_paths = ["functions", "shared", "tower", "cli", "drift"]
only_mutate = {files}
also_copy = ["function_app.py", "host.json", "local", "loops", "demo", "infra", "docs", "benchmarks", "README.md"]
pytest_add_cli_args = ["-m", "not soak", "-x", "-q", "--assert=plain", "--deselect={forked}"]
pytest_add_cli_args_test_selection = {tests}
do_not_mutate_patterns = ['raise \\w+\\(', '^\\s+f?"[^"]*"$']
"""


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The project's files as git has them, with the tool's settings."""
    to = tmp_path / "project"
    listed = subprocess.run(
        ["git", "ls-files", "-z"],  # noqa: S607  # whichever git there is
        cwd=ROOT,
        capture_output=True,
        check=True,
        text=True,
    )
    for name in filter(None, listed.stdout.split("\0")):
        if (ROOT / name).is_file():
            (to / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, to / name)
    for module in (to / "functions").glob("*.py"):
        module.write_text(undecorated(module.read_text()))
    return to


def undecorated(text: str) -> str:
    """The same module, each function decorated by a line below it: the tool leaves alone what stands under a decorator,
    which is all that the functions of the app do."""
    lines = text.splitlines()
    for node in reversed(ast.parse(text).body):
        if isinstance(node, ast.FunctionDef) and node.decorator_list:
            applied = node.name
            for decorator in reversed(node.decorator_list):
                applied = f"{ast.unparse(decorator)}({applied})"
            lines.insert(node.end_lineno or 0, f"{node.name} = {applied}")
            del lines[node.decorator_list[0].lineno - 1 : node.lineno - 1]
    return "\n".join(lines) + "\n"


@pytest.fixture
def mutmut(tmp_path: Path) -> Path:
    """The tool in an environment of its own, which sees our packages: the project does not depend on it."""
    venv = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", venv], check=True)
    done = subprocess.run([venv / "bin/pip", "install", "-q", MUTMUT], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"{MUTMUT} cannot be installed; it comes from the package index: {done.stderr[-300:]}")
    theirs = Path(subprocess.check_output([venv / "bin/python", "-c", "import mutmut; print(mutmut.__file__)"],
                                          cwd=tmp_path, text=True).strip()).parents[1]  # fmt: skip
    (theirs / "project.pth").write_text(sysconfig.get_path("purelib"))
    return venv / "bin/mutmut"


@pytest.mark.soak
@pytest.mark.parametrize("name", GROUPS)
def test_nearly_every_mutant_dies(name: str, copy: Path, mutmut: Path, tmp_path: Path) -> None:
    group = GROUPS[name]
    with (copy / "pyproject.toml").open("a") as settings:
        settings.write(CONFIG.format(files=list(group.files), tests=list(group.tests), forked=FORKED))
    tried = [f"*{end}" for end in ENDS[: max(1, round(10 * SHARE))]] if SHARE < 1 else []
    with LocalAzure(tmp_path / "azure") if group.azure else nullcontext():
        running = {"RUNNING_LOCAL_AZURE": str(tmp_path / "azure")} if group.azure else {}
        run = subprocess.run(
            [mutmut, "run", "--max-children", "2", *tried],
            cwd=copy,
            env={**os.environ, **running},
            capture_output=True,
            text=True,
        )
    assert run.returncode == 0, run.stdout[-3000:] + run.stderr[-3000:]
    told = subprocess.check_output([mutmut, "results", "--all", "true"], cwd=copy, text=True)
    states = dict(re.findall(r"^\s*(\S+): (?!not checked)(\w[\w ]*)$", told, re.MULTILINE))
    found = Counter(states.values())
    lived = {one: changed(mutmut, copy, one) for one, state in states.items() if state == "survived"}
    equal = [one for one, change in lived.items() if change in equal_ones()]
    alive = [one.rpartition(".")[2] for one in lived if one not in equal]
    assert found["killed"] > 50 * SHARE, told[-3000:]
    sample = f", those whose number ends in {', '.join(end[1:] for end in tried)}," if tried else ""
    figures.keep(
        f"Mutants: {name}",
        f"{len(states)} small mutations of {', '.join(group.files)}{sample}: {found['killed']} killed, "
        f"{len(equal)} equal ([why](../tests/soak/equal_mutants.yaml)), {len(alive)} alive ({', '.join(alive)}), "
        f"{found['no tests']} that no test reaches, {found['timeout']} that never ended",
    )
    assert found["killed"] >= LEAST * (found["killed"] + len(alive)), alive


def changed(mutmut: Path, copy: Path, mutant: str) -> tuple[str, str]:
    """The lines that are taken away and the lines that are put there, without the space around them."""
    shown = subprocess.check_output([mutmut, "show", mutant], cwd=copy, text=True).splitlines()
    of = {
        sign: [line[1:].strip() for line in shown if re.match(rf"\{sign}(?!\{sign})", line)] for sign in "-+"
    }
    return "\n".join(of["-"]), "\n".join(of["+"])


def equal_ones() -> set[tuple[str, str]]:
    return {(one["was"], one["is"]) for one in yaml.safe_load(EQUAL.read_text())}


def test_every_equal_mutant_is_a_change_of_what_stands_there_and_says_why() -> None:
    for one in yaml.safe_load(EQUAL.read_text()):
        lines = [line.strip() for line in (ROOT / one["file"]).read_text().splitlines()]
        assert one["was"] in lines, one
        assert one["was"] != one["is"] and len(one["why"]) > 20, one


@pytest.mark.parametrize("name", GROUPS)
def test_a_group_names_what_there_is(name: str) -> None:
    """A file that has moved would be mutated no more, without a word."""
    for pattern in (*GROUPS[name].files, *GROUPS[name].tests):
        path, _, test = pattern.partition("::")
        (found, *_) = ROOT.glob(path)
        assert not test or f"def {test}(" in found.read_text(), pattern


@pytest.mark.parametrize("module", ["alerts", "callers", "inbox", "people", "run", "timers", "tower"])
def test_what_a_function_of_the_app_does_is_mutated_too(module: str) -> None:
    text = undecorated((ROOT / "functions" / f"{module}.py").read_text())
    made = types.ModuleType(module)
    exec(text, made.__dict__)  # noqa: S102  # our own module, written differently
    names = [str(one.build(None).get_function_name()) for one in made.blueprint._function_builders]
    assert names and set(names) <= set(re.findall(r"^def (\w+)", text, re.MULTILINE))
    assert not re.search("^@", text, re.MULTILINE)
