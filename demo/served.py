"""What is asked drifts though nothing is dropped: three weeks in a minute.

A window of served inputs is a day, and ten are needed before one can be called unusual: nobody waits so long for a
local Azure. Engine, loop file and pages are the product's; time, requests and Azure are in memory, as in a backtest.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from cli.past import baselines, chronicle, stand_ins
from cli.past.simulation import Past
from demo.penguins import FEATURES, knocked_scale, season
from demo.stage import LOOPS, StoryFailed, sentence
from shared import loopfile
from shared.domain.caller import LOOKING_ROLE, Caller
from shared.domain.ledger import LedgerEntry
from shared.domain.loop import LoopState
from shared.domain.reason import Reason
from shared.domain.release import Phase, TriggerKind
from shared.loopfile import own_code
from shared.runtime import unit_of_work
from shared.state import queries
from shared.words import say, say_all, spoken
from tower import site
from tower.visit import Studio

SETTINGS = (
    "data.window=newest",
    "retrain.on=[metric, served]",
)
BEGAN = datetime(2026, 3, 2, 6, tzinfo=UTC)
DAY = timedelta(days=1)
KNOCKED, LANDS, ENDS = 11, 14, 18
"""Days after the first drop: the balance is knocked, labelled rows land, the story ends."""
A_DAY = 100
"""Requests a day."""
SHADES = " ·▪■"


def requests() -> chronicle.Served:
    """Birds as they are measured at the nest; from one of the days on the balance shows too much, for some days ever
    more."""
    times, rows = [], []
    for day in range(ENDS):
        birds = seasons()[FEATURES].sample(A_DAY, replace=True, random_state=day)
        if day >= KNOCKED:
            more = 1 + 0.02 * (day - KNOCKED) * (day < LANDS)
            birds = knocked_scale(birds)
            birds = birds.assign(body_mass_g=(birds["body_mass_g"] * more).round())
        for number, row in enumerate(json.loads(birds.to_json(orient="records"))):
            times.append(BEGAN + day * DAY + timedelta(hours=1, minutes=13 * number))
            rows.append(row)
    return chronicle.Served(tuple(times), tuple(rows))


def seasons() -> pd.DataFrame:
    """Of two years, each bird measured more than once, so that enough are held out for an estimate."""
    birds = pd.concat([season(2007), season(2008)]).sample(600, replace=True, random_state=1)
    return birds.assign(row_id=[f"s-{number}" for number in range(len(birds))])


def slips(birds: pd.DataFrame) -> pd.DataFrame:
    """What the contract keeps out: a bird that was typed twice, and one in kilograms."""
    twin, light = birds[:1], birds[1:2].assign(row_id="s-light", body_mass_g=4.2)
    return pd.concat([birds, twin, light])


class Story:
    """The loop warden over three weeks that pass as they are told."""

    def __init__(self, console: Console, folder: Path) -> None:
        self.console = console
        slips(seasons()).to_csv(folder / "2007.csv", index=False)
        knocked_scale(pd.concat([season(2008), season(2009)])).to_csv(folder / "2009.csv", index=False)
        past = chronicle.read(folder, LANDS * DAY, BEGAN)
        self.first, self.second = (file for _, file in past.drops)
        definition = loopfile.load(LOOPS / "penguins" / "warden.yaml", overrides=SETTINGS)
        rule = baselines.rules(definition, "0 0 3 * * 1", served=True)[0]
        trainer = stand_ins.trainer(stand_ins.linear, 1800)
        code = own_code.sources(definition, LOOPS / "penguins")
        self.past = Past(rule, replace(past, served=requests()), trainer, code)
        self._told = 0

    @property
    def state(self) -> LoopState:
        return unit_of_work.read(self.past.ports, "warden").state

    def chapter(self, title: str, words: str = "") -> None:
        self.console.print(f"\n[bold cyan]{title}[/]")
        self.say(words)

    def say(self, words: str) -> None:
        if words:
            self.console.print(Padding(Text(words), (0, 0, 0, 3)))

    def until(self, day: float) -> None:
        """The days pass; what the ledger says of them is told."""
        self.past.until(BEGAN + day * DAY)
        self.tell_ledger()

    def tell_ledger(self) -> None:
        entries = queries.entries(self.past.ports, "warden")
        for entry in entries[self._told :]:
            for line in filter(None, words(entry).split("\n")):
                self.console.print(Padding(Text(f"{entry.at:%d %b %H:%M}  {line}"), (0, 0, 0, 2)))
        self._told = len(entries)

    def expect(self, true: bool, what: str) -> None:
        if not true:
            raise StoryFailed(what)

    def page(self, kind: str) -> bytes:
        """The loop's page, as who may look sees it."""
        looker = Caller("you", "you", frozenset({LOOKING_ROLE}))
        visit = site.Visit("loops/warden", "/api/tower", "https://tower/", {"accept": kind}, {}, looker)
        return site.get(self.past.ports, Studio(""), visit).content


def words(entry: LedgerEntry) -> str:
    """An entry as people tell it, with what else belongs to this story."""
    detail = spoken(entry.detail)
    match entry.what:
        case "served.judged":
            return told(entry.detail["verdict"])
        case "retrain.coalesced":
            return f"=> {detail['answer']}"
        case "release.started":
            return f"=> {entry.subject} started: {say(entry.detail['reasons'])[:160]}"  # type: ignore[arg-type]  # a reason
        case _:
            return sentence(entry)


def told(verdict: str | Reason) -> str:
    """A day of requests: how it lies among the ones before it, and of an unusual one what moved."""
    assert isinstance(verdict, Reason)
    return f"{verdict.facts['inputs']} requests: {say_all(verdict.because)}"


def tell(console: Console) -> None:
    with tempfile.TemporaryDirectory(prefix="driftloop-demo-") as folder:
        story = Story(console, Path(folder))
        first_model(story)
        quiet_days(story)
        knocked(story)
        labels_land(story)
        shown(story)


def first_model(story: Story) -> None:
    story.chapter(
        "1. Two seasons land, and their model serves",
        "driftloop publish loops/penguins/warden.yaml: a contract, a metric of its own over a table of costs",
    )
    story.until(0)
    story.past.drop(story.first)
    story.until(0.9)
    story.expect(story.state.champion is not None, "the first model is not live")
    version = unit_of_work.read(story.past.ports, "warden").version(1)[0]
    story.expect(version.rows == 600, f"the contract left {version.rows} of 602 rows")
    story.say(f"the contract kept {602 - version.rows} of 602 rows out: {say_all(version.findings[:3])}")


def quiet_days(story: Story) -> None:
    story.chapter(
        f"2. {KNOCKED} days of requests, and nothing is dropped",
        f"{A_DAY} birds a day, as they were; the harm is estimated before anybody has told which birds they were",
    )
    story.until(KNOCKED + 0.5)
    story.expect(not story.state.waiting and story.state.next_release == 2, "a quiet day asked for a release")


def knocked(story: Story) -> None:
    story.chapter(
        "3. The balance at the nest is knocked",
        "it shows 15 % too much, and more each day; still nothing is dropped",
    )
    story.until(LANDS - 0.1)
    waiting = [trigger.kind for trigger in story.state.waiting]
    story.expect(waiting == [TriggerKind.SERVED], f"served inputs should wait for labels, not {waiting}")


def labels_land(story: Story) -> None:
    story.chapter("4. Birds of that balance land with their species")
    story.until(LANDS)
    story.past.drop(story.second)
    story.until(LANDS + 0.9)
    release = unit_of_work.read(story.past.ports, "warden").release(2)[0]
    kinds = [trigger.kind for trigger in release.triggers]
    story.expect(
        TriggerKind.SERVED in kinds and release.phase is Phase.LIVE,
        f"release 2 is {release.phase}, for {kinds}",
    )


def shown(story: Story) -> None:
    story.chapter(
        "5. The loop's page shows it",
        "what was served when, darker where a column had moved more; the last days are the new model's",
    )
    story.until(ENDS)
    found: dict[str, Any] = json.loads(story.page("application/json"))
    story.say(heat([f"{line['until'][8:10]}" for line in found["windows"]], found["served_heat"]))
    first = found["served_heat"][0]
    levels = [cell["level"] for cell in first["cells"]]
    story.expect(first["column"] == "body_mass_g" and max(levels) > 1, f"the page shows {first}")
    story.expect("What was served when" in story.page("text/html").decode(), "the page has no heat map")


def heat(days: Sequence[str], rows: Sequence[dict[str, Any]]) -> str:
    width = max(len(row["column"]) for row in rows)
    head = f"{'':{width}}  {' '.join(days)}"
    lines = (
        f"{row['column']:{width}}  "
        + " ".join(f"{SHADES[min(cell['level'], 3)]:>2}" for cell in row["cells"])
        for row in rows
    )
    return "\n".join((head, *lines))
