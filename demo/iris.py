"""Three steps, and which of them Azure ML runs again: the same data, changed training, new data."""

from __future__ import annotations

import pandas as pd

from demo.stage import LOOPS, Stage
from shared.audit.answer import audit
from shared.domain.reason import Code
from shared.domain.release import JudgementKind, Phase
from shared.state import queries
from shared.words import say, spoken

SHORT = (
    "canary.step.minutes=0.02",
    "canary.step.min_requests=40",
    "canary.margins.latency_ratio=20",  # a laptop with all of Azure on it says nothing about latency
    "canary.bake_minutes=0",
    "retrain.cooldown=0s",
)
"""Minutes of the loop file made seconds. Everything else is as in loops/iris/loop.yaml."""

PER_SECOND = 40


def flowers() -> pd.DataFrame:
    """All 150 in an order of their own, so that each drop has all three species."""
    return pd.read_csv(LOOPS / "iris" / "iris.csv").sample(frac=1, random_state=7, ignore_index=True)


def tell(stage: Stage) -> None:
    first(stage)
    again(stage)
    changed(stage)
    more(stage)
    answer(stage)


def first(stage: Stage) -> None:
    stage.chapter("Publish", "driftloop publish loops/iris")
    stage.publish(SHORT)
    stage.chapter("1. A hundred flowers land")
    stage.drop("first.csv", flowers()[:100])
    released(stage, 1, "FIRST")
    told = steps(stage, 1)
    stage.expect(set(told.values()) == {"ran"}, f"something was reused in the first release: {told}")


def again(stage: Stage) -> None:
    stage.chapter("2. The same data once more")
    stage.ask("retrain", "is it repeatable?")
    told = only_trained(stage, 2)
    ledger = [
        spoken(e.detail).get("reason", "")
        for e in queries.entries(stage.ports, stage.loop)
        if e.what == "release.registering"
    ]
    stage.expect(ledger[-1].endswith("prepare, train"), f"the ledger does not say what was reused: {ledger}")
    stage.expect(told == {"prepare": "reused", "train": "reused", "evaluate": "ran"}, str(told))


def changed(stage: Stage) -> None:
    stage.chapter("3. Changed training", "driftloop publish loops/iris --set train.parameters.strength=0.3")
    stage.publish((*SHORT, "train.parameters.strength=0.3"))
    stage.ask("retrain", "a weaker classifier")
    told = only_trained(stage, 3)
    stage.expect(told == {"prepare": "reused", "train": "ran", "evaluate": "ran"}, str(told))


def more(stage: Stage) -> None:
    stage.live(flowers().drop(columns=["flower", "species"]), PER_SECOND)
    stage.publish(SHORT)
    land_more(stage)
    decided(stage, 4)
    released(stage, 4, "PERSON")
    told = steps(stage, 4)
    stage.expect(set(told.values()) == {"ran"}, f"new data, and a step was reused: {told}")
    heard(stage, 4)


def heard(stage: Stage, number: int) -> None:
    """What the canary was told from outside (canary.signals)."""
    canaries = [one for one in stage.release(number).judgements if one.kind is JudgementKind.CANARY]
    told = [why for one in canaries for why in one.reasons if why.code is Code.METRIC_SIGNAL]
    stage.expect(bool(told), f"no canary of release {number} heard the signal")
    stage.say(say(told[-1]))


def land_more(stage: Stage) -> None:
    stage.chapter("4. Fifty new flowers land, one of them typed twice")
    stage.drop("second.csv", pd.concat([flowers()[100:], flowers()[120:121]]))
    stage.wait("version 2", lambda: stage.state.next_version > 2 and bool(stage.version(2).decision))
    version = stage.version(2)
    kept = (version.rows, version.rejected_rows)
    stage.expect(kept == (50, 1), f"the contract kept {kept[0]} rows and rejected {kept[1]}, not 50 and 1")
    stage.ask("retrain", "with all flowers")


def only_trained(stage: Stage, number: int) -> dict[str, str]:
    """The steps of a release that is ended by a person as soon as its job has: it was asked for to see them."""
    stage.wait(f"the job of release {number}", lambda: bool(open_release(stage, number, Phase.REGISTERING)))
    told = steps(stage, number)
    stage.ask("abort", "only the steps were of interest", str(number))
    stage.wait(f"the end of release {number}", lambda: stage.release(number).ended)
    stage.expect(stage.release(number).phase is Phase.ABORTED, f"it is {stage.release(number).phase}")
    return told


def open_release(stage: Stage, number: int, since: Phase) -> bool:
    """Whether this release has come as far as `since`."""
    if stage.state.next_release <= number:
        return False
    release, order = stage.release(number), list(Phase)
    stage.expect(release.phase is not Phase.FAILED, say(release.reason))
    return order.index(release.phase) >= order.index(since)


def decided(stage: Stage, number: int) -> None:
    """Where the holdout rows do not decide, the loop holds and a person does."""
    stage.wait(f"the gate of release {number}", lambda: open_release(stage, number, Phase.AWAITING_APPROVAL))
    if stage.release(number).phase is Phase.HOLDING:
        stage.say(say(stage.release(number).reason))
        stage.ask("approve", "forty flowers cannot show more", str(number))


def released(stage: Stage, number: int, why: str) -> None:
    stage.wait(f"release {number}", lambda: stage.state.next_release > number and stage.release(number).ended)
    release = stage.release(number)
    stage.expect(release.phase.value == "live", f"release {number} is {release.phase}: {say(release.reason)}")
    stage.expect(release.triggers[0].kind.name == why, f"release {number} began for {release.triggers[0]}")


def steps(stage: Stage, number: int) -> dict[str, str]:
    """Each step of the release's job, and whether Azure ML ran it or took an earlier result."""
    told = stage.steps(stage.release(number).job)
    stage.say(f"steps of {stage.release(number).job}: {', '.join(f'{n} {how}' for n, how in told.items())}")
    return told


def answer(stage: Stage) -> None:
    found = audit(stage.ports, stage.loop)
    stage.expect(not found.problems, f"the ledger is broken: {found.problems}")
    served = found.served
    assert served is not None
    stage.expect(served.release == 4, f"release {served.release} is live")
    stage.expect(served.model.endswith("/4"), f"the deployed model is {served.model}")
    stage.say(
        f"live: {served.model.rpartition('/models/')[2]}, release 4, on {len(served.data)} data versions"
    )
