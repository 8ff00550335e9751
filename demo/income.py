"""Census income: six variants, fairness floors, a QA job, and a release manager without whom nothing is served."""

from __future__ import annotations

import os
from pathlib import Path

import pandas as pd
from rich.markup import escape

from demo.stage import Stage, StoryFailed
from shared.audit.answer import audit
from shared.domain.release import Phase
from shared.state import queries
from shared.words import say, titled

PEOPLE = 4000
SHORT = ("canary.bake_minutes=0",)
SPARK = ("train.pipeline=train-spark.yml", "data.reader=spark")


def people() -> pd.DataFrame:
    folder = Path(os.environ.get("DRIFTLOOP_DATA") or Path(__file__).parents[2] / "shared" / "data")
    file = folder / "adult_census_income.csv"
    if not file.is_file():
        raise StoryFailed(
            f"{file} is not there. It is the UCI Adult census income data (CC BY 4.0, "
            "https://archive.ics.uci.edu/dataset/2/adult) with a header; put it there, or name its folder in "
            "DRIFTLOOP_DATA"
        )
    return pd.read_csv(file, skipinitialspace=True, nrows=PEOPLE)


def tell(stage: Stage, *, spark: bool = False) -> None:
    census = people()
    also = SPARK if spark else ()
    if spark:
        stage.let_spark_read()
    stage.chapter("Publish", f"driftloop publish loops/income{''.join(f' --set {one}' for one in also)}")
    stage.publish((*SHORT, *also))
    first = "a Spark job reads it, a Spark step looks at the rows, then " if spark else ""
    stage.chapter(
        "1. The census lands", f"{first}six variants are trained side by side by an Azure ML sweep job"
    )
    stage.drop("census.csv", census)
    stage.wait("the sweep", lambda: come_to(stage, Phase.REGISTERING))
    stage.chapter(
        "2. Gate, QA job", "floors for sex, race and age; three persons; the same people with another sex"
    )
    stage.wait("gate and checks", lambda: come_to(stage, Phase.AWAITING_APPROVAL))
    if stage.release(1).phase is Phase.HOLDING:
        stage.say(say(stage.release(1).reason))
        stage.ask("approve", "the small groups are looked at by hand every quarter", "1")
        stage.wait("checks", lambda: stage.release(1).phase is Phase.AWAITING_APPROVAL)
    release = stage.release(1)
    stage.expect(
        release.phase is Phase.AWAITING_APPROVAL, f"release 1 is {release.phase}: {say(release.reason)}"
    )
    stage.expect(not stage.weights(), f"traffic before the approval: {stage.weights()}")
    for judgement in release.judgements:
        stage.say(f"{titled(judgement)}: {judgement.outcome}; {'; '.join(map(say, judgement.reasons))}")

    stage.chapter("3. The release manager", "nothing is served until a person says so")
    stage.ask("approve", "fairness report read", "1")
    stage.wait("release 1", lambda: stage.release(1).ended)
    stage.expect(stage.release(1).phase is Phase.LIVE, f"release 1 is {stage.release(1).phase}")
    answer(stage)


def come_to(stage: Stage, phase: Phase) -> bool:
    """Whether release 1 is as far as `phase`; a release that failed breaks the story off."""
    if stage.state.next_release < 2:
        return False
    release, order = stage.release(1), list(Phase)
    stage.expect(release.phase not in (Phase.FAILED, Phase.CLEANING, Phase.REJECTED), say(release.reason))
    return order.index(release.phase) >= order.index(phase)


def answer(stage: Stage) -> None:
    stage.chapter("4. Model M, trained by P with algorithm A on data D, live in release R at time T", "")
    found = audit(stage.ports, stage.loop)
    stage.expect(not found.problems, f"the ledger is broken: {found.problems}")
    served = found.served
    assert served is not None
    approvals = [
        e for e in queries.entries(stage.ports, stage.loop) if e.actor == "you" and "approve" in str(e.detail)
    ]
    stage.expect(bool(approvals), "the approval is not in the ledger")
    for name, value in (
        ("M", served.model.rpartition("/models/")[2].replace("/versions/", ":")),
        ("P", served.trained_by),
        ("A", served.algorithm.rpartition("/components/")[2].replace("/versions/", ":")),
        ("D", "; ".join(d.line for d in served.data)),
        ("R", f"release {served.release}, approved by {approvals[-1].actor}"),
        ("T", f"{served.live_at:%Y-%m-%d %H:%M:%S} UTC"),
    ):
        stage.console.print(f"   [bold]{name}[/] {escape(value)}")
