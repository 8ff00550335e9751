"""loops/income: six variants by a sweep, fairness floors, a QA job, and nothing served before a person approves."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from demo import income
from demo.stage import StoryFailed
from shared.domain.reason import Code
from shared.domain.release import Phase
from shared.runtime import unit_of_work
from tests.loops import driven
from tests.loops.driven import DrivenStage

LOOP = Path(__file__).parents[2] / "loops" / "income"


@pytest.mark.soak  # `make demo LOOP=income` tells the same story
def test_the_best_of_six_variants_is_served_once_a_person_approves(
    stage: Callable[[str], DrivenStage], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(income, "PEOPLE", 2500)
    try:
        income.people()
    except StoryFailed as missing:
        pytest.skip(str(missing))
    told = stage("income")
    income.tell(told)
    (smoke,) = unit_of_work.read(told.ports, "income").release(1)[0].judgements[0].reasons
    assert (smoke.code, smoke.facts["golden"]) == (Code.SMOKE_PASSED_GOLDEN, 3)


@pytest.mark.soak  # `make demo LOOP=income SPARK=1` tells the whole story
@pytest.mark.timeout(1200)
@pytest.mark.skipif(shutil.which("java") is None, reason="no Java found: Spark needs Java 17")
def test_spark_looks_at_the_rows_before_the_sweep_trains_on_them(
    stage: Callable[[str], DrivenStage], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(income, "PEOPLE", 1500)
    monkeypatch.setattr(driven, "PATIENCE_S", 900)  # the first time, Spark's packages are installed
    try:
        census = income.people()
    except StoryFailed as missing:
        pytest.skip(str(missing))
    told = stage("income")
    told.let_spark_read()
    told.publish((*income.SHORT, *income.SPARK))
    told.drop("census.csv", census)
    told.wait("the sweep", lambda: income.come_to(told, Phase.REGISTERING))
    assert told.steps(told.release(1).job)["explore"] == "ran"
    version, _ = unit_of_work.read(told.ports, "income").version(1)
    assert version.findings[-1].code is Code.READ_BY_JOB


def test_the_three_persons_of_the_smoke_test_are_those_of_the_qa_job() -> None:
    qa, train = (json.loads((LOOP / part / "persons.json").read_text()) for part in ("qa", "train"))
    assert [{k: v for k, v in one.items() if k != "answer"} for one in qa] == train
    assert len(train) == 3
