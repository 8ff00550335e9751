"""The past through the real engine, over ports in memory: what it would have decided and done, and what it cost."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from io import BytesIO
from pathlib import Path

import pandas as pd

from cli.past.baselines import FEWEST_REQUESTS, Rule
from cli.past.chronicle import Alert, History
from cli.past.model import Model, Trained, Trainer, Training
from cli.past.outcome import Run, Step, alarmed, told
from cli.past.scores import Scores
from shared.domain.release import Phase, ReleaseTimes
from shared.errors import ConfigurationError
from shared.inbox import messages, recorder
from shared.inbox.blob_events import Landed
from shared.loopfile.published import Assets, Published
from shared.memory import FakeClock, MemoryRequest, memory_ports
from shared.port_rules import RELEASE_TAG
from shared.ports import Answer
from shared.release.machine import PHASES
from shared.retraining import cost, policy
from shared.runtime import publication, tick, unit_of_work
from shared.runtime.unit_of_work import Unit
from shared.state import queries
from shared.verdict import predictions, task
from shared.words import say_all

MOST_IDLE = 500
"""Looks in a row of which nothing comes; more, and the loop does not come to rest."""

NOBODY_ACTS = tuple(phase for phase, traits in PHASES.items() if traits.awaits_person)
"""A person is awaited, whom a past does not have: the release stays until a drop takes its place."""

_ENDED_JOB = timedelta(seconds=1)


@dataclass(frozen=True)
class _Landed:
    """A drop whose consequences are not over."""

    file: Path
    version: int
    """0 where no version came of it."""
    begun: int
    """The number of the next release when it landed."""
    score: float | None = None
    alarm: bool = False
    words: str = ""


@dataclass(frozen=True)
class _Job:
    ends_at: datetime
    trained: Trained


@dataclass
class Past:
    """One policy's world. Its models are trained on exactly the windows that the engine chose."""

    rule: Rule
    history: History
    trainer: Trainer
    code: Mapping[str, str] = field(default_factory=dict)
    """The loop's own, by file."""
    _models: dict[int, Model] = field(default_factory=dict)
    _jobs: dict[str, _Job] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.clock = FakeClock(self.history.begins)
        self.ports = memory_ports(self.clock)
        for serving in (self.ports.serving, self.ports.batch):
            serving.new_deployments_are = "ready"
            serving.answer = self._answer
        assets = Assets(pipeline="azureml:backtest:1")
        now = self.clock.now()
        published = Published(self.rule.definition, assets, "backtest", now, code=self.code)
        publication.publish(self.ports, published)
        self.scores = Scores(self.ports, published)
        self._alerts = list(self.history.alerts)
        self._served, self._unserved, self._idle = 0, 0, 0
        self._landed: _Landed | None = None
        self._steps: list[Step] = []

    @property
    def loop(self) -> str:
        return self.rule.definition.loop

    @property
    def _loop(self) -> Unit:
        return unit_of_work.read(self.ports, self.loop)

    @property
    def _phase(self) -> Phase | None:
        """Of the open release, if there is one."""
        current = self._loop
        number = current.state.open_release
        return current.release(number)[0].phase if number is not None else None

    # --- time -----------------------------------------------------------------------------------

    def run(self, report: Callable[[str], None]) -> Run:
        for number, (at, file) in enumerate(self.history.drops, 1):
            report(f"{self.rule.name}: drop {number} of {len(self.history.drops)}, {file.name}")
            self.until(at)
            self._close()
            self.drop(file)
        self.until(self.history.ends)
        while self._phase not in (None, *NOBODY_ACTS) and (due := self._next()) is not None:
            self._look(due)
        self._close()
        return self._run()

    def until(self, end: datetime) -> None:
        """All that comes due up to a moment, in order, and the alerts of that time."""
        while self._alerts and self._alerts[0].at <= end:
            alert = self._alerts.pop(0)
            self._quietly_until(alert.at)
            self._send(_message(alert))
        self._quietly_until(end)

    def _quietly_until(self, end: datetime) -> None:
        while (at := self._next()) is not None and at <= end:
            self._look(at)
        self._move(end)

    def _next(self) -> datetime | None:
        """When something is to be done next: a job ends, the canary has had a part of its time, or the loop is due."""
        self._begin_jobs()
        now = self.clock.now()
        running = [job.ends_at for name, job in self._jobs.items() if self._runs(name)]
        if running:
            return min(running)
        phase, canary = self._phase, self.rule.definition.canary
        if phase in NOBODY_ACTS:
            return now + policy.DAY
        if phase in (Phase.CANARY, Phase.BAKING):
            minutes = canary.bake_minutes if phase is Phase.BAKING else canary.step.minutes
            return now + timedelta(minutes=max(1.0, minutes / 4))
        overview = self.ports.store.overview(self.loop)
        return max(overview.due_at, now) if overview and overview.due_at else None

    def _look(self, at: datetime) -> None:
        before = self._loop.state.ledger_seq
        self._move(at)
        ran = tick.tick(self.ports)
        self._idle = self._idle + 1 if self._loop.state.ledger_seq == before else 0
        if self._idle > MOST_IDLE:
            problems = say_all([problem for one in ran for problem in one.problems])
            raise ConfigurationError(
                f"the backtest of {self.rule.name} does not come to rest at {at:%Y-%m-%d %H:%M} UTC"
                + (f": {problems}" if problems else "")
            )

    def _move(self, at: datetime) -> None:
        """The clock goes on; what was served and asked meanwhile is on record, and jobs whose time is up have ended."""
        before, now = self.clock.now(), max(at, self.clock.now())
        self.clock.current = now
        self._serve(now)
        self._traffic(before, now)
        for name, job in self._jobs.items():
            if self._runs(name) and job.ends_at <= now:
                done, found = self.ports.training.jobs[name], job.trained
                done.status, done.error = ("completed" if found.model else "failed"), found.error

    def _send(self, message: str) -> None:
        tick.run_all(self.ports, recorder.receive(self.ports, message, ""))

    # --- drops ----------------------------------------------------------------------------------

    def drop(self, file: Path) -> None:
        """Land one file; what follows from it has time until the next."""
        before = self._loop.state
        container, _, prefix = self.rule.definition.data.landing.partition("/")
        blob = self.ports.blobs.upload(container, f"{prefix}{file.name}", file)
        landed = Landed(blob.container, blob.name, blob.etag, "")
        owners = recorder.concerned(self.ports.store.overviews(), landed)
        tick.run_all(self.ports, recorder.record(self.ports, owners, landed))
        while (at := self._next()) is not None and at <= self.clock.now():
            self._look(at)
        current = self._loop
        if current.state.next_version == before.next_version:
            self._landed = _Landed(file, 0, before.next_release, words="no version came of it")
            return
        version, _ = current.version(before.next_version)
        served = before.champion.release if before.champion else 0
        score = self.scores.score(self._models[served], version) if served else None
        alarm = self.rule.name == "loop" and bool(version.drift_material or version.metric_breached)
        words = say_all(version.verdict)
        if self.rule.asks and served:
            alarm = self.rule.asks(self._trained_on(served), self.scores.features([version.number]))
            words = "requested" if alarm else "not requested"
            if alarm:
                reason = {"reason": f"rule {self.rule.name}"}
                self._send(messages.act_message("retrain", self.loop, reason, "backtest"))
        self._landed = _Landed(file, version.number, before.next_release, score, alarm, words)

    def _close(self) -> None:
        """The newest drop's step, now that the next is about to land."""
        if (landed := self._landed) is None:
            return
        current = self._loop
        rows = current.version(landed.version)[0].rows if landed.version else 0
        live = current.state.champion.release if current.state.champion else 0
        started = [current.release(n)[0] for n in range(landed.begun, current.state.next_release)]
        kinds = tuple(dict.fromkeys(trigger.kind for one in started for trigger in one.triggers))
        drop, words = landed.file.name, landed.words
        self._steps.append(Step(drop, rows, landed.alarm, live, landed.score, words, kinds))
        self._landed = None

    def _run(self) -> Run:
        if not any(step.score is not None for step in self._steps):
            last = self._steps[-1]
            why = next((one.trained.error for one in self._jobs.values() if one.trained.error), last.words)
            raise ConfigurationError(
                "no model was live when a labelled drop came, so there is nothing to compare; "
                f"the last one, {last.drop}: {why}"
            )
        current = self._loop
        releases = [current.release(number)[0] for number in range(1, current.state.next_release)]
        took = ReleaseTimes(
            sum(one.took.jobs_s for one in releases), sum(one.took.deployed_s for one in releases)
        )
        prices, entries = cost.prices(self.rule.definition), queries.entries(self.ports, self.loop)
        return Run(
            rule=self.rule.name,
            metric=self.scores.metric,
            steps=tuple(self._steps),
            sign=self.scores.measure.sign,
            told=tuple(filter(None, map(told, entries))),
            windows=sum(map(alarmed, entries)),
            releases=len(releases),
            job_hours=took.jobs_s / cost.HOUR_S,
            deployed_hours=took.deployed_s / cost.HOUR_S,
            cost=prices.of(took) if prices else None,
            failed=tuple(
                dict.fromkeys(job.trained.error for job in self._jobs.values() if job.trained.error)
            ),
            unserved=self._unserved,
        )

    # --- training and serving -------------------------------------------------------------------

    def _runs(self, name: str) -> bool:
        return self.ports.training.jobs[name].status == "running"

    def _begin_jobs(self) -> None:
        """Each job is done at once, and ends when it would have; or when the loop cancels it."""
        for name, job in self.ports.training.jobs.items():
            if name in self._jobs or job.status != "running":
                continue
            number = int(job.spec.tags[RELEASE_TAG].rpartition("/")[2])
            trained = self._trained(number)
            if trained.model is not None:
                self._models[number] = trained.model
            longest = self.rule.definition.train.timeout + _ENDED_JOB
            ends_at = self.clock.now() + min(timedelta(seconds=trained.took_s), longest)
            self._jobs[name] = _Job(ends_at, trained)

    def _trained(self, release: int) -> Trained:
        current, definition = self._loop, self.rule.definition
        versions = [current.version(number)[0] for number in current.release(release)[0].versions]
        paths = [path for v in versions for path in self.ports.versions.list(f"{v.path}/train/")]
        parts = {f"{n:05d}.parquet": self.ports.versions.read(path) for n, path in enumerate(paths)}
        frame = pd.concat(
            [pd.read_parquet(BytesIO(content)) for content in parts.values()], ignore_index=True
        )
        target = definition.data.target
        rows = predictions.features(frame, definition).assign(**{target: frame[target]})
        classify = task.task_of(current, definition) == "classification"
        return self.trainer(Training(parts, rows, target, classify))

    def _traffic(self, before: datetime, now: datetime) -> None:
        """Requests that all go well, so that a canary has something to count."""
        endpoint = self.rule.definition.serve.endpoint
        if self._loop.state.open_release is None:  # nobody reads the log then, and it would only grow
            self.ports.evidence.requests.pop(endpoint, None)
            return
        if endpoint not in self.ports.serving.endpoints or now <= before:
            return
        log, span = self.ports.evidence.requests.setdefault(endpoint, []), now - before
        weights = self.ports.serving.traffic(endpoint)
        each = math.ceil(FEWEST_REQUESTS / min(weights.values(), default=1))
        for deployment, weight in weights.items():
            requests = each * weight
            log += [
                MemoryRequest(now - span * (n + 1) / (requests + 1), deployment, request_id=f"past-{n}")
                for n in range(requests)
            ]

    def _serve(self, now: datetime) -> None:
        """What was served up to now is the champion's, with what its model answers."""
        times, begun = self.history.served.times, self._served
        while self._served < len(times) and times[self._served] <= now:
            self._served += 1
        if self._served == begun or self.rule.definition.drift.served is None:
            return
        champion, rows = self._loop.state.champion, self.history.served.rows[begun : self._served]
        if champion is None:
            self._unserved += len(rows)
            return
        answers = self._models[champion.release].predict(pd.DataFrame(list(rows)))
        kept = self.ports.evidence.rows.setdefault(
            (self.rule.definition.serve.endpoint, champion.deployment), []
        )
        kept += [
            {"id": f"past-{n}", "request": f"past-{n}", "time": at.isoformat(), "inputs": row, "output": said}
            for n, at, row, said in zip(
                range(begun, self._served), times[begun : self._served], rows, answers, strict=True
            )
        ]

    def _answer(self, endpoint: str, deployment: str, payload: str) -> Answer:
        table = json.loads(payload)["input_data"]
        model = self._models[int(deployment.removeprefix("r").partition("-")[0])]
        frame = pd.DataFrame(table["data"], columns=table["columns"])
        answers: object = model.predict(frame)
        if self.scores.need_probabilities:
            answers = {"predictions": answers, "probabilities": model.probabilities(frame)}
        return Answer(200, json.dumps(answers), 1.0)

    def _trained_on(self, release: int) -> pd.DataFrame:
        return self.scores.features(self._loop.release(release)[0].versions)


def _message(alert: Alert) -> str:
    essentials = {
        "alertRule": alert.rule,
        "originalAlertId": alert.rule,
        "monitorCondition": alert.condition,
        "firedDateTime": alert.fired_at.isoformat(),
        "resolvedDateTime": alert.at.isoformat() if alert.condition == "Resolved" else None,
    }
    return messages.alert_message(
        {"schemaId": "azureMonitorCommonAlertSchema", "data": {"essentials": essentials}}
    )


def run(
    rule: Rule,
    history: History,
    trainer: Trainer,
    report: Callable[[str], None],
    code: Mapping[str, str] | None = None,
) -> Run:
    """One policy over the whole past."""
    return Past(rule, history, trainer, code or {}).run(report)
