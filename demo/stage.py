"""What a story is told with: publish, drop, wait for what the loop does, live traffic, and a narrator."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx
import pandas as pd
from rich.console import Console
from rich.markup import escape
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from cli.status import summary
from cli.traffic import LiveTraffic, payloads
from local.azure import LocalAzure
from shared import loopfile
from shared.azure.client import Workspace, credential
from shared.azure.registry import Registry
from shared.domain.ledger import LedgerEntry
from shared.domain.loop import LoopState
from shared.domain.reason import Code, Reason
from shared.domain.release import Release
from shared.domain.version import DataVersion
from shared.inbox import messages
from shared.loopfile.published import Published
from shared.runtime import publication, unit_of_work
from shared.settings import Settings
from shared.state import queries
from shared.wiring import azure_ports
from shared.words import say, spoken

LOOPS = Path(__file__).parent.parent / "loops"
APP = "api://driftloop/.default"
"""What Azure Monitor asks a token for before it calls the alert function."""
PATIENCE_S = 600
"""A generous limit for one thing to happen: a slow machine is no failure, nor a slow network, from which an image's
packages come the first time."""


class StoryFailed(Exception):
    """Something that the story tells did not happen."""


class Stage:
    """One loop on the Azure that the environment names."""

    patience_s = PATIENCE_S

    def __init__(self, console: Console, loop: str) -> None:
        self.console = console
        self.loop = loop
        self.folder = LOOPS / loop
        self._told = 0

    def __enter__(self) -> Self:
        self.settings = Settings.from_environment(os.environ)
        self.ports = azure_ports(self.settings)
        self._workspace = Workspace(self.settings, credential())
        self.traffic = LiveTraffic(self._workspace)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.traffic.stop()

    # --- telling ---------------------------------------------------------------------------------

    def chapter(self, title: str, words: str = "") -> None:
        self.console.print(f"\n[bold cyan]{title}[/]")
        if words:
            self.say(words)

    def say(self, words: str, indent: int = 3) -> None:
        self.console.print(Padding(Text(words), (0, 0, 0, indent)))

    def table(self, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        shown = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
        for column in columns:
            shown.add_column(column, overflow="fold")
        for row in rows:
            shown.add_row(*map(escape, row))
        self.console.print(Padding(shown, (0, 0, 0, 12)))

    def facts(self, rows: Sequence[tuple[str, str]]) -> None:
        """Names and what they are, one a line, long ones wrapped under themselves."""
        shown = Table.grid(padding=(0, 2, 0, 0))
        shown.add_column(style="bold", no_wrap=True)
        shown.add_column(overflow="fold")
        for name, value in rows:
            shown.add_row(name, Text(value))
        self.console.print(Padding(shown, (0, 0, 0, 3)))

    def ledger_so_far(self) -> list[LedgerEntry]:
        """The loop's new ledger entries, each told once."""
        entries = queries.entries(self.ports, self.loop)
        for entry in entries[self._told :]:
            for index, line in enumerate(filter(None, sentence(entry).split("\n"))):
                moment = "" if index else f"{entry.at:%H:%M:%S}"
                shown = Table.grid(padding=(0, 1))
                shown.add_column(width=10, justify="right", style="dim")
                shown.add_column(overflow="fold")
                shown.add_row(moment, Text(line))
                self.console.print(shown)
        self._told = len(entries)
        return entries

    # --- acting ----------------------------------------------------------------------------------

    def publish(self, overrides: Sequence[str]) -> None:
        """What `driftloop publish` does."""
        file = self.folder / "loop.yaml"
        definition = loopfile.load(file, overrides=tuple(overrides))
        with self.console.status(
            "registering environment, components, pipeline and scoring code in Azure ML"
        ):
            assets = Registry(self._workspace).register(file.parent, definition, lambda _: None)
            publication.publish(self.ports, Published(definition, assets, "you", self.ports.clock.now()))

    def drop(self, name: str, frame: pd.DataFrame) -> None:
        buffer = BytesIO()
        frame.to_csv(buffer, index=False)
        self.ports.blobs.upload("landing", f"{self.loop}/{name}", buffer.getvalue())
        self.say(f"dropped landing/{self.loop}/{name}: {len(frame)} rows")

    def ask(self, verb: str, reason: str, release: str = "") -> None:
        """What `driftloop retrain`, `approve` and their like do."""
        self.ports.queue.put(
            messages.act_message(verb, self.loop, {"release": release, "reason": reason}, "you")
        )
        self.say(f"driftloop {verb} {self.loop}{'/' + release if release else ''} -m '{reason}'")

    def alert(self, rule: str, condition: str) -> None:
        """What an action group of Azure Monitor posts, in the common alert schema."""
        moment = self.ports.clock.now().isoformat()
        essentials = {
            "alertId": "/subscriptions/0/providers/Microsoft.AlertsManagement/alerts/1",
            "originalAlertId": "1",
            "alertRule": rule,
            "monitorCondition": condition,
            "signalType": "Metric",
            "severity": "Sev2",
            "firedDateTime": moment,
            "description": "answers took too long",
        }
        body = {
            "schemaId": "azureMonitorCommonAlertSchema",
            "data": {"essentials": essentials, "alertContext": {}},
        }
        self.send_alert(body)
        self.say(f"Azure Monitor posts the alert {rule}: {condition}")

    def send_alert(self, body: Mapping[str, object]) -> None:
        raise NotImplementedError

    def live(self, rows: pd.DataFrame, per_second: float) -> None:
        """Live traffic begins: requests of one row each."""
        self.traffic.start(self.loop, payloads(rows, 1), per_second)

    def spoil(self, deployment: str, error_rate: float) -> bool:
        """Have a deployment fail this share of its requests; False where that cannot be had."""
        raise NotImplementedError

    def let_spark_read(self) -> None:
        """Spark reads no Blob account without keys that has soft delete: the workspace's own is to have none."""
        raise NotImplementedError

    # --- waiting ---------------------------------------------------------------------------------

    @property
    def state(self) -> LoopState:
        return unit_of_work.read(self.ports, self.loop).state

    def release(self, number: int) -> Release:
        return unit_of_work.read(self.ports, self.loop).release(number)[0]

    def version(self, number: int) -> DataVersion:
        return unit_of_work.read(self.ports, self.loop).version(number)[0]

    def wait(self, what: str, true: Callable[[], bool]) -> None:
        """Until `true`, telling what the ledger says meanwhile; StoryFailed when it takes too long."""
        deadline = time.monotonic() + self.patience_s
        with self.console.status(what) as status:
            while True:
                self.ledger_so_far()
                if true():
                    self.ledger_so_far()
                    return
                if time.monotonic() > deadline:
                    raise StoryFailed(f"waited {self.patience_s} s for {what}. Status: {self._status()}")
                status.update(f"{what} [dim]({escape(self._status())})[/]")
                time.sleep(0.4)

    def _status(self) -> str:
        overview = self.ports.store.overview(self.loop)
        line = summary(overview) if overview else ""
        return line[:160]

    def expect(self, true: bool, what: str) -> None:
        """The story says so; if it is not so, the demo fails rather than tell it."""
        if not true:
            raise StoryFailed(what)

    def steps(self, job: str) -> dict[str, str]:
        """Each step of a training job: whether it ran, or Azure ML took over an earlier run's result."""
        found: dict[str, str] = {}
        for child in self._workspace().jobs.list(parent_job_name=job):
            if inner := self.steps(child.name):
                found |= inner
            else:
                reused = str((child.properties or {}).get("azureml.isreused", "")).casefold() == "true"
                found[child.display_name] = "reused" if reused else "ran"
        return found

    def weights(self) -> Mapping[str, int]:
        return self.ports.serving.traffic(self.loop)


class LocalStage(Stage):
    """On a local Azure. Entering it points this process there, as `make up` tells you to."""

    def __init__(self, azure: LocalAzure, console: Console, loop: str) -> None:
        super().__init__(console, loop)
        self.azure = azure

    def __enter__(self) -> Self:
        os.environ.update(self.azure.environment())
        return super().__enter__()

    def send_alert(self, body: Mapping[str, object]) -> None:
        """As Azure Monitor does, with a token of its own for the alert function."""
        answer = httpx.post(
            f"{self.azure.settings.functions}/api/alert",
            json=body,
            headers={"Authorization": f"Bearer {credential().get_token(APP).token}"},
            trust_env=False,
            timeout=30,
        )
        if answer.status_code != 202:
            raise StoryFailed(f"the alert function answered {answer.status_code}: {answer.text}")

    def spoil(self, deployment: str, error_rate: float) -> bool:
        self.azure.control.put(
            f"/local/endpoints/{self.loop}/deployments/{deployment}/faults", json={"error_rate": error_rate}
        ).raise_for_status()
        return True

    def let_spark_read(self) -> None:
        self.azure.control.put("/local/soft-delete", json={"workspace-account": False}).raise_for_status()


def first(why: str | Reason | None) -> str:
    """A reason with the first of what it rests on."""
    return say(replace(why, because=why.because[:1])) if isinstance(why, Reason) else why or ""


def sentence(entry: LedgerEntry) -> str:
    """A ledger entry as people tell it; empty for those that only matter to auditors."""
    detail, why = spoken(entry.detail), entry.detail.get("reason")
    match entry.what:
        case "version.created":
            return f"{entry.subject} written: {detail['rows']} rows, split once into train and holdout"
        case "version.judged":
            verdict = entry.detail["verdict"]
            found = "\n".join(map(say, verdict.because)) if isinstance(verdict, Reason) else verdict
            return f"{entry.subject} judged: {found}\n=> {detail['decision']}"
        case "release.training":
            return f"{entry.subject}: Azure ML pipeline job submitted, attempt {detail['attempt']}"
        case "release.registering" if isinstance(why, Reason) and why.code is Code.STEPS_REUSED:
            return f"{entry.subject}: {say(why)}"
        case "release.deploying":
            model = detail["model"].rpartition("/models/")[2].replace("/versions/", ":")
            return f"{entry.subject}: model {model} registered; deploying at 0 %"
        case "release.gating":
            return f"{entry.subject}: deployed; both models are asked for the same holdout rows"
        case "release.cleaning" if entry.before == "rolling_back":
            return f"{entry.subject}: all traffic is the champion's; the challenger's deployment is deleted"
        case "release.rolling_back":
            return f"{entry.subject}, rolling back: {first(why)}"
        case "release.shifting" | "release.promoting" | "release.cleaning":
            return f"{entry.subject}, {entry.after}: {first(why)}"
        case "release.canary":
            return f"{entry.subject}: traffic is {detail.get('traffic', '')}"
        case "release.promoted":
            return f"{entry.subject}: promoted, {detail.get('traffic', 'all traffic')}"
        case "release.live" | "release.rejected" | "release.rolled_back" | "release.failed":
            return f"{entry.subject} is {entry.after.replace('_', ' ')}"
        case "retrain.denied":
            return detail.get("answer") or f"not retrained: {detail['reason']}"
        case "source.fetched":
            return f"{entry.subject}: {detail['bytes']} bytes fetched, landed as {detail['landed']}"
        case "source.unchanged" | "source.failed" | "source.given_up":
            return f"{entry.subject}: {detail['reason']}"
        case "release.checking" | "release.awaiting_approval" | "release.holding":
            return f"{entry.subject}: {entry.after.replace('_', ' ')}"
        case "release.aborted":
            return f"{entry.subject} is aborted: {detail['reason']}"
        case "drop.ignored" | "drop.quarantined":
            return f"{entry.subject} {entry.after}: {detail['note']}"
        case _:
            return ""
