"""Checks of the loop's own: what they find, and whether the p-values that they claim are p-values."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from shared.domain.reason import Code, Reason
from shared.domain.release import TriggerKind
from shared.own import checked
from shared.runtime import unit_of_work
from shared.verdict.check_verdict import LIE, Check, judge_checks
from shared.words import say
from tests.engine.world import LOOP, World, csv, season

CODE = """
import numpy as np
from scipy import stats

def _weight(rows):
    return rows["body_mass_g"].dropna()

def honest(reference, current):
    p = stats.ttest_ind(_weight(reference), _weight(current), equal_var=False).pvalue
    return {"severity": "drift", "text": "the birds' mean weight is another", "p_value": p}

def lying(reference, current):
    p = stats.ttest_ind(_weight(reference), _weight(current), equal_var=False).pvalue
    return {"severity": "drift", "text": "the birds' mean weight is another", "p_value": p / 10}

def searching(reference, current):
    columns = reference.select_dtypes("number").columns
    tests = [stats.mannwhitneyu(reference[c].dropna(), current[c].dropna()).pvalue for c in columns]
    return {"severity": "drift", "text": "one of the columns moved", "p_value": min(tests)}

def opinion(reference, current):
    heaviest = _weight(current).max()
    return {"severity": "drift" if heaviest > 7000 else "info", "text": f"the heaviest bird has {heaviest:.0f} g"}

def only_here(reference, current):
    return {"severity": "drift", "text": "", "p_value": 0.001 if len(current) > 60 else None}

def shapeless(reference, current):
    return True
"""


def birds(n: int, seed: int, heavier: float = 0.0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    columns = {f"other_{k}": rng.normal(size=n) for k in range(4)}
    return pd.DataFrame({"body_mass_g": rng.normal(4200 + heavier, 800, n), "row_id": range(n), **columns})


def judged(name: str, heavier: float = 0.0, rate: float = 0.01) -> tuple[bool, Reason]:
    found = checked.ask(CODE, [name], birds(300, 1), birds(100, 2, heavier))
    assert not isinstance(found, Reason), say(found)
    alarm, (told,) = judge_checks(found, rate)
    return alarm, told


def test_an_honest_check_alarms_when_its_p_value_is_small_enough() -> None:
    alarm, told = judged("honest", heavier=800)
    assert alarm and told.code is Code.CHECK_FOUND
    assert say(told).startswith("check honest finds drift: the birds' mean weight is another (p = ")
    alarm, told = judged("honest")
    assert not alarm and told.code is Code.CHECK_BY_CHANCE


@pytest.mark.parametrize("name", ["lying", "searching"])
def test_a_check_that_lies_about_its_p_values_is_found_and_told_and_is_no_alarm(name: str) -> None:
    """One divides by ten; the other takes the smallest of many tests, as people do without meaning to lie."""
    alarm, told = judged(name, heavier=800)
    assert not alarm and told.code is Code.CHECK_LIES
    assert told.facts["below"] > 3 * told.facts["due"]
    assert "comparing the reference with itself, in 200 random splits" in say(told)


def test_a_check_without_a_p_value_is_an_opinion_that_counts_as_it_says() -> None:
    alarm, told = judged("opinion")
    assert not alarm and told.facts["severity"] == "info"
    alarm, told = judged("opinion", heavier=5000)
    assert alarm and told.code is Code.CHECK_FOUND and "(p" not in say(told)


@pytest.mark.parametrize(
    ("name", "words"),
    [("only_here", "none where nothing but chance parts"), ("shapeless", "does not answer a dict")],
)
def test_an_answer_that_cannot_be_used_is_said(name: str, words: str) -> None:
    found = checked.ask(CODE, [name], birds(80, 1), birds(80, 2))
    assert isinstance(found, Reason) and words in say(found)


def check(p_value: float, same: list[float]) -> Check:
    return Check("one", "drift", "text", p_value, tuple(same))


def test_honest_checks_are_called_liars_as_seldom_as_promised_and_lies_are_found() -> None:
    rng = np.random.default_rng(7)
    uniform = rng.random((20_000, 200))
    called = sum(
        judge_checks([check(0.5, list(row))], 0.01)[1][0].code is Code.CHECK_LIES for row in uniform[:4000]
    )
    assert called / 4000 <= LIE + 3 * (LIE / 4000) ** 0.5
    caught = sum(
        judge_checks([check(0.5, list(row / 4))], 0.01)[1][0].code is Code.CHECK_LIES for row in uniform[:200]
    )
    assert caught >= 195, "p-values that are four times too small"


def test_several_checks_share_the_false_alarm_rate() -> None:
    fine = [0.5] * 200
    assert judge_checks([check(0.008, fine)], 0.01)[0]
    assert not judge_checks([check(0.008, fine)] * 2, 0.01)[0]


CHECKED = LOOP.replace("drift: {", "drift: {checks: [honest, lying, opinion], ").replace(
    "numeric: 0.3", "numeric: 9"
)


def test_a_check_of_the_loops_own_starts_a_release_and_the_lie_is_on_the_versions_page() -> None:
    world = World()
    world.publish(CHECKED, {"checks.py": CODE})
    world.drop("2007.csv", csv(season(2007)))
    assert world.live() == 1
    world.clock.advance(100)
    world.drop("2008.csv", csv(season(2008, body_mass_g=1.3)))
    version, _ = unit_of_work.read(world.ports, "birds").version(2)
    told = {str(why.facts["name"]): why.code for why in version.verdict if "name" in why.facts}
    assert told["honest"] is Code.CHECK_FOUND and told["lying"] is Code.CHECK_LIES
    assert version.drift_material
    assert [trigger.kind for trigger in world.release(2).triggers] == [TriggerKind.DRIFT]
