"""Palmer penguins, one season at a time: the three ways in, and what happens when things go wrong."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
from palmerpenguins import load_penguins

import drift as drift_package
from demo.stage import Stage
from shared.audit.answer import audit
from shared.domain.release import Phase, TriggerKind
from shared.state import queries
from shared.words import say

SHORT = (
    "canary.step.minutes=0.1",
    "canary.step.min_requests=60",
    "canary.bake_minutes=0.05",
    "canary.margins.latency_ratio=20",  # a laptop with all of Azure on it says nothing about latency
    "retrain.cooldown=8s",
)
"""Minutes and hours of the loop file made seconds. Everything else is as in loops/penguins/loop.yaml."""

PER_SECOND = 40
FEATURES = ["island", "bill_length_mm", "bill_depth_mm", "flipper_length_mm", "body_mass_g", "sex"]


def season(year: int) -> pd.DataFrame:
    birds = load_penguins()
    birds.insert(0, "row_id", [f"{y}-{n:03d}" for n, y in enumerate(birds["year"])])
    return birds[birds["year"] == year].reset_index(drop=True)


def knocked_scale(birds: pd.DataFrame) -> pd.DataFrame:
    """The balance shows 15 % too much."""
    return birds.assign(body_mass_g=(birds["body_mass_g"] * 1.15).round())


def relabelled(birds: pd.DataFrame) -> pd.DataFrame:
    """A second observer's sheet of sixty birds, who guessed six species in ten."""
    birds = birds.sample(60, random_state=3).reset_index(drop=True)
    random = np.random.default_rng(3)
    species = birds["species"].to_numpy().copy()
    guessed = random.random(len(birds)) < 0.6
    species[guessed] = random.permutation(species[guessed])
    return birds.assign(species=species, row_id=birds["row_id"] + "-second")


def tell(stage: Stage) -> None:
    publish(stage)
    first_drop(stage)
    quiet_drop(stage)
    drift(stage)
    metric_breach(stage)
    timer(stage)
    alert(stage)
    sick_canary(stage)
    answer(stage)
    what_next(stage)


def publish(stage: Stage) -> None:
    stage.chapter("Publish", "driftloop publish loops/penguins --set " + " --set ".join(SHORT))
    stage.publish(SHORT)
    stage.say(
        "minutes and hours are made seconds for the demo, and latency is given room, as all of it runs on one "
        "machine; nothing else differs from loops/penguins/loop.yaml"
    )


def first_drop(stage: Stage) -> None:
    stage.chapter("1. Drop", "the 2007 season lands in blob storage; there is no model yet")
    stage.drop("2007.csv", season(2007))
    stage.wait(
        "the first model", lambda: stage.state.champion is not None and stage.state.open_release is None
    )
    stage.expect(stage.release(1).phase is Phase.LIVE, f"release 1 is {stage.release(1).phase}")
    stage.live(season(2009)[FEATURES].dropna(), PER_SECOND)
    stage.say(f"live traffic begins: {PER_SECOND} requests a second to endpoint {stage.loop}")


def quiet_drop(stage: Stage) -> None:
    stage.chapter("2. A season like the last")
    stage.drop("2008.csv", season(2008))
    stage.wait("version 2", lambda: judged(stage, 2))
    stage.expect(stage.state.next_release == 2, "a quiet season started a release")


def judged(stage: Stage, number: int) -> bool:
    return stage.state.next_version > number and bool(stage.version(number).decision)


def drift(stage: Stage) -> None:
    stage.chapter("3. Drop with drift", "the 2009 season, weighed on a balance that shows 15 % too much")
    stage.drop("2009.csv", knocked_scale(season(2009)))
    stage.wait("version 3", lambda: judged(stage, 3))
    by_column(stage, 3)
    stage.wait("release 2", lambda: stage.state.next_release > 2 and stage.release(2).ended)
    release = stage.release(2)
    stage.expect(release.phase is Phase.LIVE, f"release 2 is {release.phase}: {say(release.reason)}")
    stage.expect({t.kind for t in release.triggers} == {TriggerKind.DRIFT}, "drift was not the trigger")
    stage.expect(stage.weights() == {"r2-a1": 100}, f"traffic is {stage.weights()}")
    rest(stage)


def by_column(stage: Stage, number: int) -> None:
    """The stored drift report, as it decided."""

    def effect(column: drift_package.ColumnVerdict) -> str:
        found = column.effect
        return f"{found.value:+.2f} {found.unit} ({found.low:.2f} to {found.high:.2f})"

    report = drift_package.Report.from_dict(
        json.loads(stage.ports.documents.get(stage.version(number).drift))
    )
    stage.table(
        ("column", "p (adjusted)", "effect", "tolerance", ""),
        [
            (
                column.name,
                f"{column.p_value:.2g}",
                effect(column),
                f"{column.effect.tolerance:g}",
                "material" if column.material else "detected" if column.detected else "",
            )
            for column in report.columns
        ],
    )


def rest(stage: Stage) -> None:
    stage.say("the loop rests after a release (retrain.cooldown)")
    ended = stage.state.last_ended_at
    assert ended is not None
    stage.wait("the end of the cooldown", lambda: (stage.ports.clock.now() - ended).total_seconds() > 8)


def metric_breach(stage: Stage) -> None:
    stage.chapter(
        "4. Metric breach", "a second observer labelled sixty of the 2008 birds, and guessed most of them"
    )
    stage.drop("2008-second-observer.csv", relabelled(season(2008)))
    stage.wait("release 3", lambda: stage.state.next_release > 3 and stage.release(3).ended)
    release = stage.release(3)
    stage.expect(TriggerKind.METRIC in {t.kind for t in release.triggers}, "the metric was not the trigger")
    stage.expect(release.phase is Phase.REJECTED, f"release 3 is {release.phase}: {say(release.reason)}")
    stage.expect(stage.weights() == {"r2-a1": 100}, f"traffic left the champion: {stage.weights()}")
    stage.say(f"traffic never left the champion: {dict(stage.weights())}")
    stage.say(say(stage.state.denial))
    rest(stage)


def timer(stage: Stage) -> None:
    stage.chapter("5. Timer and alert", "the schedule comes due (every ten seconds, for the demo)")
    seen = stage.state.ledger_seq
    stage.publish((*SHORT, "retrain.schedule='*/10 * * * * *'"))
    stage.wait("the schedule", lambda: denied_since(stage, seen))
    stage.publish(SHORT)
    stage.expect(stage.state.next_release == 4, "a schedule with nothing new started a release")


def denied_since(stage: Stage, seq: int) -> bool:
    return any(e.seq > seq and e.what == "retrain.denied" for e in queries.entries(stage.ports, stage.loop))


def alert(stage: Stage) -> None:
    stage.say("the balance is mended, and the true 2009 season lands: judged, and quiet")
    stage.drop("2009-mended.csv", season(2009))
    stage.wait("version 5", lambda: judged(stage, 5))
    stage.expect(stage.state.next_release == 4, "the mended season started a release")
    stage.alert("penguins-latency", "Resolved")
    stage.wait("the resolved alert", lambda: recorded(stage, "ignored"))
    stage.expect(stage.state.next_release == 4, "a resolved alert started a release")
    stage.say("a resolved alert asks for nothing")
    stage.alert("penguins-latency", "Fired")
    stage.wait("release 4", lambda: stage.state.next_release > 4)
    stage.expect(stage.release(4).triggers[0].kind is TriggerKind.ALERT, "the alert was not the trigger")


def recorded(stage: Stage, state: str) -> bool:
    """Whether an alert is on record in this state."""
    return any(
        r.kind.value == "alert" and r.state.value == state for r in queries.inbox(stage.ports, stage.loop)
    )


def sick_canary(stage: Stage) -> None:
    stage.chapter(
        "6. A canary that errs", "release 4 passes its gate; under live traffic it fails 3 requests in 10"
    )
    stage.wait("the canary of release 4", lambda: stage.release(4).phase in (Phase.SHIFTING, Phase.CANARY))
    wanted = Phase.ROLLED_BACK
    if not stage.spoil("r4-a1", 0.3):
        stage.ask("abort", "it cannot be made to err here", "4")
        wanted = Phase.ABORTED
    stage.wait("release 4", lambda: stage.release(4).ended)
    release = stage.release(4)
    stage.expect(release.phase is wanted, f"release 4 is {release.phase}: {say(release.reason)}")
    stage.expect(stage.weights() == {"r2-a1": 100}, f"traffic is {stage.weights()}")
    failed = sum(n for status, n in stage.traffic.statuses.items() if status != 200)
    total = sum(stage.traffic.statuses.values())
    stage.say(f"of {total} live requests since the beginning {failed} failed, all of them in this canary")


def answer(stage: Stage) -> None:
    stage.chapter("7. What is live, trained on what, by whom, why", "driftloop audit penguins")
    found = audit(stage.ports, stage.loop)
    stage.expect(not found.problems, f"the ledger is broken: {found.problems}")
    served = found.served
    assert served is not None
    stage.expect(served.release == 2, f"release {served.release} is live")
    stage.facts(
        (
            ("model", served.model.rpartition("/models/")[2].replace("/versions/", ":")),
            ("trained by", served.trained_by),
            ("algorithm", served.algorithm.rpartition("/components/")[2].replace("/versions/", ":")),
            ("data", "\n".join(f"version {d.number}: {d.source} ({d.rows} rows)" for d in served.data)),
            ("live since", f"{served.live_at:%H:%M:%S} UTC, in release {served.release}"),
            ("because of", "; ".join(served.because)),
            ("ledger", f"{found.entries} entries, hash chain verified"),
        )
    )


def what_next(stage: Stage) -> None:
    stage.chapter("Try next")
    stage.facts(
        (
            ("make up", "keeps a local Azure running"),
            (". .local/state/env", "in another terminal: its settings and commands"),
            ("driftloop publish loops/penguins", "publishes the loop there"),
            ("driftloop drop penguins FILE.csv", "or upload with any Azure SDK, or az storage"),
            ("driftloop status penguins", "versions, verdicts, releases, traffic"),
        )
    )
