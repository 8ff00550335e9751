"""Past drops through the real engine, over ports in memory: what it would have decided and done."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from io import BytesIO
from pathlib import Path

import pandas as pd

from cli.past.baselines import Rule
from cli.past.learner import Learner, train
from shared.domain.version import DataVersion
from shared.errors import ConfigurationError
from shared.inbox import messages, recorder
from shared.inbox.blob_events import Landed
from shared.loopfile.published import Assets, Published
from shared.memory import FakeClock, MemoryRequest, memory_ports
from shared.own import measured, source_text
from shared.ports import Answer
from shared.release.gate.holdout import ALL_ROWS
from shared.runtime import publication, tick, unit_of_work
from shared.runtime.unit_of_work import Unit
from shared.stats.metrics import Metric, OwnMetric, class_name, metric_of
from shared.verdict import predictions, task
from shared.words import say, say_all

PATIENCE = 60
"""Ticks until a drop and what follows from it must be over."""


@dataclass(frozen=True)
class Step:
    """One drop under one policy."""

    drop: str
    rows: int
    alarm: bool
    """Material drift, a breached metric, or the rule's own alarm."""
    retrained: bool
    live: int
    """The release that serves after it."""
    score: float | None
    """The metric of the model that served when the drop landed; None without labels or model."""
    words: str


@dataclass(frozen=True)
class Run:
    """One policy over all drops."""

    rule: str
    metric: str
    """The loop's, or the one that suits what its first labelled drop showed."""
    steps: tuple[Step, ...]
    sign: int = 1
    """Times this, greater is better."""

    @property
    def alarms(self) -> int:
        return sum(step.alarm for step in self.steps)

    @property
    def retrains(self) -> int:
        """Training jobs after the first."""
        return sum(step.retrained for step in self.steps[1:])

    @property
    def mean(self) -> float | None:
        scores = [step.score for step in self.steps if step.score is not None]
        return sum(scores) / len(scores) if scores else None


@dataclass
class Past:
    """One policy's world. Models are stand-ins, trained on exactly the windows that the engine chose."""

    rule: Rule
    every: timedelta
    code: Mapping[str, str] = field(default_factory=dict)
    """The loop's own, by file."""
    _models: dict[int, Learner] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.clock = FakeClock()
        self.ports = memory_ports(self.clock)
        self.ports.training.new_jobs_are = "completed"
        self.ports.serving.new_deployments_are = "ready"
        self.ports.serving.answer = self._answer
        assets = Assets(pipeline="azureml:backtest:1")
        now = self.clock.now()
        self._published = Published(self.rule.definition, assets, "backtest", now, code=self.code)
        publication.publish(self.ports, self._published)

    @property
    def loop(self) -> str:
        return self.rule.definition.loop

    @property
    def metric(self) -> str:
        return task.metric_name(unit_of_work.read(self.ports, self.loop), self.rule.definition)

    @property
    def _own(self) -> OwnMetric | None:
        current = unit_of_work.read(self.ports, self.loop)
        return measured.own_metric(self._published, task.task_of(current, self.rule.definition))

    @property
    def _measure(self) -> Metric:
        metric = self.rule.definition.metric
        return metric_of(self.metric, metric.costs if metric else None, self._own)

    @property
    def sign(self) -> int:
        return self._measure.sign

    def drop(self, file: Path) -> Step:
        """Land one file and let everything that follows from it happen."""
        begun = unit_of_work.read(self.ports, self.loop).state.next_release
        self.clock.advance(self.every.total_seconds())
        self._settle()  # a schedule may have come due meanwhile
        before = unit_of_work.read(self.ports, self.loop).state
        container, _, prefix = self.rule.definition.data.landing.partition("/")
        blob = self.ports.blobs.upload(container, f"{prefix}{file.name}", file)
        landed = Landed(blob.container, blob.name, blob.etag, "")
        owners = recorder.concerned(self.ports.store.overviews(), landed)
        tick.run_all(self.ports, recorder.record(self.ports, owners, landed))
        self._settle()
        current = unit_of_work.read(self.ports, self.loop)
        if current.state.next_version == before.next_version:
            started = current.state.next_release > begun
            return Step(file.name, 0, False, started, _live(current), None, "no version came of it")
        version, _ = current.version(before.next_version)
        served = before.champion.release if before.champion else 0
        score = self._score(served, version) if served else None
        alarm = self.rule.name == "loop" and bool(version.drift_material or version.metric_breached)
        words = say_all(version.verdict)
        if self.rule.asks and served:
            alarm = self.rule.asks(self._trained_on(served), self._features([version.number]))
            words = "requested" if alarm else "not requested"
            if alarm:
                self._retrain()
        after = unit_of_work.read(self.ports, self.loop)
        retrained = after.state.next_release > begun
        return Step(file.name, version.rows, alarm, retrained, _live(after), score, words)

    def _settle(self) -> None:
        for _ in range(PATIENCE):
            tick.tick(self.ports)
            state = unit_of_work.read(self.ports, self.loop).state
            if state.open_release is None and state.announced_seq >= state.ledger_seq:
                return
            self.clock.advance(60)
            self._traffic()
        raise ConfigurationError(
            f"the backtest of {self.rule.name} does not finish: releases stay open after {PATIENCE} ticks"
        )

    def _traffic(self) -> None:
        """Requests that all go well, so that the canary has something to count."""
        endpoint = self.rule.definition.serve.endpoint
        if endpoint not in self.ports.serving.endpoints:
            return
        log = self.ports.evidence.requests.setdefault(endpoint, [])
        for deployment, weight in self.ports.serving.traffic(endpoint).items():
            for n in range(2 * weight):
                at = self.clock.now() - timedelta(seconds=60 * (n + 1) / (2 * weight + 1))
                log.append(MemoryRequest(at, deployment, request_id=f"past-{n}"))

    def _retrain(self) -> None:
        message = messages.act_message("retrain", self.loop, {"reason": f"rule {self.rule.name}"}, "backtest")
        tick.run_all(self.ports, recorder.receive(self.ports, message, ""))
        self._settle()

    def _rows(self, numbers: Sequence[int]) -> pd.DataFrame:
        current = unit_of_work.read(self.ports, self.loop)
        return predictions.everything(self.ports, [current.version(number)[0] for number in numbers])

    def _features(self, numbers: Sequence[int]) -> pd.DataFrame:
        return predictions.features(self._rows(numbers), self.rule.definition)

    def _trained_on(self, release: int) -> pd.DataFrame:
        return self._features(unit_of_work.read(self.ports, self.loop).release(release)[0].versions)

    def _score(self, served: int, version: DataVersion) -> float | None:
        if not version.labelled:
            return None
        target = self.rule.definition.data.target
        frame = self._rows([version.number])
        frame = frame[frame[target].notna()]
        model, asked = self._model(served), predictions.features(frame, self.rule.definition)
        truth = [class_name(value) for value in frame[target]] if model.classes else frame[target].tolist()
        if self._own:
            return self._by_own_code(self._own, truth, model, asked, frame.drop(columns=[target]))
        positive = task.positive_class(self.metric, self.rule.definition, model.classes)
        wanted = task.scored_classes(self.metric, truth, positive)
        if wanted is None:
            return float(self._measure.function(truth, list(model.predict(asked))))
        rows = zip(model.probabilities(asked), wanted, strict=True)
        stated = [said.get(str(name), 0.0) for said, name in rows]
        return float(self._measure.function([name == positive for name in truth], stated))

    def _by_own_code(
        self, own: OwnMetric, truth: list[object], model: Learner, asked: pd.DataFrame, rows: pd.DataFrame
    ) -> float | None:
        """What a function of metrics.py answers, without bounds; None where it answers nothing."""
        told: list[object] = list(model.predict(asked))
        if own.positive:
            told = [said.get(own.positive, 0.0) for said in model.probabilities(asked)]
        groups, code = {ALL_ROWS: measured.Group(range(len(truth)), 0.5)}, self.code[source_text.METRICS_FILE]
        seen = measured.measure(code, self.metric, own, truth, [told], rows, groups, resamples=0)
        if seen.fault:
            raise ConfigurationError(say(seen.fault), code=seen.fault.code)
        return sum(seen.rows[0]) / len(truth) if seen.rows else seen.found[ALL_ROWS].challenger.value

    def _model(self, release: int) -> Learner:
        if release not in self._models:
            current, definition = unit_of_work.read(self.ports, self.loop), self.rule.definition
            versions = [current.version(number)[0] for number in current.release(release)[0].versions]
            frame = self._training_rows(versions)
            target = {definition.data.target: frame[definition.data.target]}
            inputs = predictions.features(frame, definition).assign(**target)
            classify = task.task_of(current, definition) == "classification"
            self._models[release] = train(inputs, definition.data.target, classify=classify)
        return self._models[release]

    def _training_rows(self, versions: Sequence[DataVersion]) -> pd.DataFrame:
        paths = [path for v in versions for path in self.ports.versions.list(f"{v.path}/train/")]
        return pd.concat(
            [pd.read_parquet(BytesIO(self.ports.versions.read(path))) for path in paths], ignore_index=True
        )

    def _answer(self, endpoint: str, deployment: str, payload: str) -> Answer:
        table = json.loads(payload)["input_data"]
        release = int(deployment.removeprefix("r").partition("-")[0])
        frame, model = pd.DataFrame(table["data"], columns=table["columns"]), self._model(release)
        answers: object = model.predict(frame)
        if self._measure.of_probabilities or (self._own and self._own.positive):
            answers = {"predictions": answers, "probabilities": model.probabilities(frame)}
        return Answer(200, json.dumps(answers), 1.0)


def _live(current: Unit) -> int:
    return current.state.champion.release if current.state.champion else 0


def run(
    rule: Rule,
    files: Sequence[Path],
    every: timedelta,
    report: Callable[[str], None],
    code: Mapping[str, str] | None = None,
) -> Run:
    """One policy over all files, in their order."""
    past = Past(rule, every, code or {})
    steps = []
    for number, file in enumerate(files, 1):
        report(f"{rule.name}: drop {number} of {len(files)}, {file.name}")
        steps.append(past.drop(file))
    if not any(step.score is not None for step in steps):
        raise ConfigurationError(
            "no model was live when a labelled drop came, so there is nothing to compare; "
            f"the last one, {steps[-1].drop}: {steps[-1].words}"
        )
    return Run(rule.name, past.metric, tuple(steps), past.sign)
