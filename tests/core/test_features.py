"""docs/features.md says what is so: each row has its tests, each test exists, each guard is one that is removed."""

from __future__ import annotations

import ast
import functools
from pathlib import Path
from typing import Any

import pytest

from tests import features
from tests.features import Feature
from tests.simulator.test_sabotage import GUARDS

ROOT = Path(__file__).parents[2]


@functools.cache
def names_in(path: str) -> frozenset[str]:
    """Names of the tests of one file, those of its classes among them, that a plain run does not leave out."""
    tree = ast.parse((ROOT / path).read_text())
    return frozenset(
        node.name
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_") and not _soak(node)
    )


def _soak(node: ast.FunctionDef) -> bool:
    return any(ast.unparse(one) == "pytest.mark.soak" for one in node.decorator_list)


def test_the_page_is_as_the_rows_are() -> None:
    assert features.document() == features.DOCUMENT.read_text(), "run: python -m tests.features"


def test_every_row_is_there_once() -> None:
    assert [one.row for one in features.features()] == list(range(1, 54))


@pytest.mark.parametrize("feature", features.features(), ids=lambda one: str(one.row))
def test_every_test_of_a_row_exists(feature: Feature) -> None:
    for named in feature.tests:
        path, _, name = named.partition("::")
        assert (ROOT / path).is_file(), named
        assert name in names_in(path), named


def test_every_guard_of_a_row_is_removed_by_the_sabotage() -> None:
    named = {one.guard for one in features.features() if one.guard}
    assert named - {sabotage.name for sabotage in GUARDS} == set()
    assert len(named) >= 19


@pytest.mark.parametrize(
    "wrong",
    [
        {"kept": "nearly"},
        {"kept": "in part"},
        {"missing": "something"},
        {"kept": "no", "missing": "all of it"},
        {"tests": ()},
        {"seen": ""},
    ],
    ids=str,
)
def test_a_row_that_hides_what_is_missing_or_names_no_test_is_refused(wrong: dict[str, Any]) -> None:
    sound = {"row": 1, "promise": "a promise", "kept": "yes", "seen": "a page", "tests": ("a.py::test_a",)}
    Feature(**sound)  # type: ignore[arg-type]  # as the file has it
    with pytest.raises(ValueError, match="row 1"):
        Feature(**(sound | wrong))
