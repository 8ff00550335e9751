"""A column's own tolerances and weight decide whether its change matters; whether it changed they do not."""

from __future__ import annotations

from typing import get_args

import numpy as np
import pytest

import drift
from drift import categorical, numeric
from drift.combination import family
from drift.policy import TESTS
from shared import loopfile
from shared.domain.reason import Code, reason
from shared.loopfile.definition import ColumnMaterial
from shared.verdict import comparison

FILE = """
loop: birds
data: {landing: landing/birds/, target: species, id: ring, ignore: [year], time: at}
train: {pipeline: x}
serve: {endpoint: birds}
drift:
  material:
    columns:
"""


def profile(rows: int, seed: int, mass: float = 0.0, nulls: float = 0.0, far: int = 0) -> drift.Profile:
    import pandas as pd

    rng = np.random.default_rng(seed)
    values = rng.normal(mass, 1, rows)
    values[:far] += 50
    values[rng.random(rows) < nulls] = np.nan
    frame = {"mass": values, "bill": rng.normal(mass, 1, rows), "sex": rng.choice(["f", "m"], rows)}
    return drift.profile(pd.DataFrame(frame))


def compared(columns: str, current: drift.Profile) -> drift.Report:
    definition = loopfile.parse(f"{FILE}      {columns}\n", file="loop.yaml")
    return comparison.between(profile(2_000, 1), current, definition)


MOVED = profile(2_000, 2, mass=0.4)


@pytest.mark.parametrize(
    ("columns", "material"),
    [
        ("{}", {"mass", "bill"}),
        ("{mass: {effect: 0.7}}", {"bill"}),
        ("{mass: {weight: 0.2}}", {"bill"}),
        ("{mass: {weight: 0}, bill: {weight: 0}}", set()),
        ("{mass: {effect: 0.1}, bill: {effect: 0.05, weight: 0.9}}", {"mass", "bill"}),
    ],
)
def test_a_columns_own_tolerance_and_weight_count_for_it_alone(columns: str, material: set[str]) -> None:
    report = compared(columns, MOVED)
    assert {one.name for one in report.columns if one.material} == material
    assert {one.name for one in report.columns if one.detected} >= {"mass", "bill"}


def test_nulls_and_range_can_be_left_out_for_one_column() -> None:
    holes, tails = profile(2_000, 3, nulls=0.3), profile(2_000, 4, far=60)
    assert compared("{}", holes).material and compared("{}", tails).material
    lenient = "{mass: {nulls: 1, range: 1, effect: 9}}"
    for current in (holes, tails):
        report = compared(lenient, current)
        assert (report["mass"].detected, report["mass"].material) == (True, False)


def spread(seed: int, wide: float, moved: float = 0.0) -> drift.Profile:
    import pandas as pd

    rng = np.random.default_rng(seed)
    sex = rng.choice(["f", "m"], 3_000, p=[0.5 + moved / 4, 0.5 - moved / 4])
    return drift.profile(pd.DataFrame({"mass": rng.normal(moved, wide, 3_000), "sex": sex}))


def test_a_column_is_judged_by_its_own_tests_alone() -> None:
    wider, higher = spread(2, 1.5), spread(3, 1.0, 0.4)

    def judged(columns: str, current: drift.Profile) -> drift.Report:
        definition = loopfile.parse(f"{FILE}      {columns}\n", file="loop.yaml")
        return comparison.between(spread(1, 1.0), current, definition)

    assert judged("{}", wider)["mass"].detected and judged("{}", higher)["mass"].detected
    location = judged("{mass: {tests: [location]}}", wider)
    assert not location["mass"].detected and {one.name for one in location["mass"].tests} == {"location"}
    assert judged("{mass: {tests: [location]}}", higher)["mass"].material
    assert judged("{mass: {tests: [scale, nulls]}}", wider)["mass"].material
    assert not judged("{mass: {tests: [scale, nulls]}}", higher)["mass"].detected
    assert not judged("{sex: {tests: [new]}}", higher)["sex"].detected, "none of its categories is new"
    other = judged("{sex: {tests: [location]}}", higher)
    assert ("sex", "location: no test of its kind (category)") in [
        (name, why.rpartition("ValueError: ")[2]) for name, why in other.skipped
    ]


def test_a_loop_file_can_name_each_test_that_there_is() -> None:
    (named, _) = get_args(ColumnMaterial.model_fields["tests"].annotation)
    there = {family(name) for battery in (numeric.BATTERY, categorical.BATTERY) for name in battery.weights}
    assert set(get_args(named)) == set(TESTS) == there


@pytest.mark.parametrize("tests", ["[location]", "[scale]", "[ks, nulls]", "[bins]"])
def test_single_tests_alarm_no_more_often_than_the_rate(tests: str) -> None:
    """At 10 %, of 60 quiet reports of one column: 14 or more, of which 1 % would be by chance, is another rate."""
    definition = loopfile.parse(
        f"{FILE}      {{mass: {{tests: {tests}}}}}\n  columns: [mass]\n  false_alarm_rate: 0.1\n",
        file="loop.yaml",
    )
    alarms = 0
    for seed in range(60):
        rng = np.random.default_rng([9, seed])
        import pandas as pd

        sides = [drift.profile(pd.DataFrame({"mass": rng.exponential(size=n)})) for n in (300, 150)]
        alarms += comparison.between(*sides, definition).detected
    assert alarms < 14


@pytest.mark.parametrize(
    ("columns", "key", "words"),
    [
        ("{ring: {weight: 0}}", "drift.material.columns.ring", "a column that is compared, or a vector"),
        ("{year: {weight: 0}}", "drift.material.columns.year", "a column that is compared, or a vector"),
        (
            "{mass: {efect: 0.1}}",
            "drift.material.columns.mass.efect",
            "did you mean effect? known here: effect",
        ),
        ("{mass: {tests: [mean]}}", "drift.material.columns.mass.tests[0]", "a list of location, scale, ks"),
        ("{mass: {weight: 2}}", "drift.material.columns.mass.weight", "a number from 0 to 1"),
        ("{mass: {ratio: 1}}", "drift.material.columns.mass.ratio", "a number above 1"),
        ("{mass: 0.5}", "drift.material.columns.mass", "names of columns"),
    ],
)
def test_each_mistake_is_on_its_line(columns: str, key: str, words: str) -> None:
    with pytest.raises(loopfile.LoopFileError) as wrong:
        loopfile.parse(f"{FILE}      {columns}\n", file="loop.yaml")
    (mistake,) = wrong.value.mistakes
    assert (mistake.line, mistake.key) == (9, key)
    assert words in mistake.allowed


def test_columns_that_are_one_vector_are_judged_as_one_with_its_own_tolerance() -> None:
    import pandas as pd

    def embedded(seed: int, moved: float) -> drift.Profile:
        rng = np.random.default_rng(seed)
        rows = rng.normal(moved, 1, (600, 4))
        columns = {f"e_{place}": column for place, column in enumerate(rows.T)}
        return drift.profile(pd.DataFrame({**columns, "ring": range(600), "mass": rng.normal(size=600)}))

    def report(more: str) -> drift.Report:
        text = FILE.replace(
            "  material:\n    columns:\n", f"  vectors: {{picture: ['e_*', 'f_*']}}\n  {more}\n"
        )
        definition = loopfile.parse(text, file="loop.yaml")
        return comparison.between(embedded(1, 0.0), embedded(2, 0.6), definition)

    for more in ("enabled: true", "columns: [mass]"):
        found = report(more)
        assert {one.name for one in found.columns} - {"dependence between columns"} == {"mass", "picture"}
        assert found["picture"].material and not found["mass"].material
    lenient = report("material: {columns: {picture: {effect: 3}}}")
    assert (lenient["picture"].detected, lenient["picture"].material) == (True, False)


def test_a_verdict_names_the_columns_that_moved_most_and_how_many_more_there_are() -> None:
    """Rows of the loop hold it, and a row holds 1 MiB."""
    import pandas as pd

    def many(seed: int, by: float) -> drift.Profile:
        rng = np.random.default_rng(seed)
        return drift.profile(pd.DataFrame({f"c{n}": rng.normal(by * n, 1, 500) for n in range(70)}))

    definition = loopfile.parse(f"{FILE}      {{}}\n", file="loop.yaml")
    report = comparison.between(many(1, 0), many(2, 0.1), definition)
    material = [one for one in report.columns if one.material]
    *named, more = comparison.columns_moved(report)
    assert len(named) == comparison.MOST_MOVED < len(material)
    assert more == reason(Code.COLUMNS_MOVED_MORE, columns=len(material) - len(named))
    effects = sorted((one.effect.value for one in material), reverse=True)
    assert [one.facts["effect"] for one in named] == effects[: len(named)]
