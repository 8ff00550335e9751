"""A release: one attempt to put a model live, from its triggers to its end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from shared.domain.reason import Code, Reason


class TriggerKind(StrEnum):
    """A reason to retrain."""

    FIRST = "first"
    """There is no champion yet."""
    DRIFT = "drift"
    METRIC = "metric"
    SCHEDULE = "schedule"
    MAX_AGE = "max_age"
    NEW_DATA = "new_data"
    """As many labelled rows have landed as the loop file asks for."""
    ALERT = "alert"
    SERVED = "served"
    """The inputs that are served have drifted; it waits for labels."""
    ESTIMATE = "estimate"
    """On what is served the metric is estimated to be past its threshold; it waits for labels."""
    PERSON = "person"
    MODEL = "model"
    """A model was registered that the loop file asks to be released."""


UNLABELLED = frozenset({TriggerKind.SERVED, TriggerKind.ESTIMATE})
"""Reasons that what is served gives: there are no labels to train on yet, and another model's inputs are others."""


@dataclass(frozen=True)
class Trigger:
    """Why a release was asked for, by whom, and by which event."""

    kind: TriggerKind
    reason: Reason
    actor: str
    cause: str
    """Key of the inbox record behind it."""
    at: datetime
    version: int | None = None


@dataclass(frozen=True)
class Champion:
    """The model that serves."""

    release: int
    deployment: str
    model: str
    versions: tuple[int, ...]
    profile: str
    """Document hash of the reference: the profile of the data that it was trained on."""
    live_at: datetime


class Phase(StrEnum):
    """Where a release stands: each phase is a condition to bring about; shared/release/machine.py moves on."""

    PREPARING = "preparing"
    """The training window is put together as one immutable folder."""
    TRAINING = "training"
    """An Azure ML pipeline job runs."""
    REGISTERING = "registering"
    """The job's model becomes a registered model."""
    DEPLOYING = "deploying"
    """The challenger is deployed at 0 % traffic."""
    GATING = "gating"
    """Smoke test, and both deployments predict the same holdout rows."""
    CHECKING = "checking"
    """The loop's own checks (Azure ML jobs) run."""
    AWAITING_APPROVAL = "awaiting_approval"
    """A person must approve before the canary, or before promotion."""
    HOLDING = "holding"
    """Inconclusive: a person decides, traffic stays as it is."""
    SHIFTING = "shifting"
    """The traffic of the next canary step is being set."""
    CANARY = "canary"
    """A canary step gathers evidence."""
    PROMOTING = "promoting"
    """All traffic goes to the challenger."""
    BAKING = "baking"
    """The challenger serves; the old deployment is kept warm."""
    RETIRING = "retiring"
    """The old deployment is deleted."""
    ROLLING_BACK = "rolling_back"
    """All traffic goes back to the champion."""
    CLEANING = "cleaning"
    """A challenger that will not serve is deleted, its job cancelled."""
    LIVE = "live"
    REJECTED = "rejected"
    ROLLED_BACK = "rolled_back"
    FAILED = "failed"
    ABORTED = "aborted"


ENDED = frozenset({Phase.LIVE, Phase.REJECTED, Phase.ROLLED_BACK, Phase.FAILED, Phase.ABORTED})


class JudgementKind(StrEnum):
    """Who judged."""

    SMOKE = "smoke"
    GATE = "gate"
    CANARY = "canary"
    BAKE = "bake"


class Outcome(StrEnum):
    """What a judge of the release decided. Smoke test and gate pass or fail; canary and bake advance or roll back."""

    PASS = "pass"  # noqa: S105  # an outcome's name, not a password
    """Shown to be good enough."""
    FAIL = "fail"
    """Shown not to be good enough, or the answers are broken."""
    INCONCLUSIVE = "inconclusive"
    """Neither is shown: at the gate on these rows, in a step or the bake within its longest time."""
    ADVANCE = "advance"
    """It had its time and its sample, and nothing speaks against the challenger."""
    HOLD = "hold"
    """Not yet: thin, late or missing evidence, or a suspicion that is not proven."""
    ROLL_BACK = "roll_back"
    """Shown to be worse, and by more than the user's margin."""
    ERROR = "error"
    """The measurement itself failed or is not to be trusted; holds, for the step's longest time."""


DECISIONS = frozenset({Outcome.ADVANCE, Outcome.ROLL_BACK, Outcome.INCONCLUSIVE})
"""Outcomes of canary and bake from which something follows."""


def decides(outcome: Outcome, *, frozen: bool) -> bool:
    """Whether something follows now: for a release that is frozen, only the way back."""
    return outcome is Outcome.ROLL_BACK or (outcome in DECISIONS and not frozen)


UNMEASURED = frozenset(
    {
        Code.EVIDENCE_UNREADABLE,
        Code.EVIDENCE_CONTRADICTORY,
        Code.EVIDENCE_SHRANK,
        Code.CANARY_ALONE,
        Code.CANARY_SPLIT,
        Code.GATE_EVIDENCE_LOST,
    }
)
"""Why nothing was measured, or what was is not to be trusted."""


@dataclass(frozen=True)
class Judgement:
    """A verdict of the smoke test, the gate, a canary step or the bake, with its evidence by document hash."""

    kind: JudgementKind
    outcome: Outcome
    reasons: tuple[Reason, ...]
    evidence: str
    at: datetime
    step: int | None = None
    """Of the canary, from 0; None where there are no steps. So `steps`, how many there are, and `weight_pct`."""
    steps: int | None = None
    weight_pct: int | None = None

    @property
    def measured(self) -> bool:
        return not any(one.code in UNMEASURED for one in self.reasons)


@dataclass(frozen=True)
class ArmSeen:
    """One deployment's counts since a canary step began."""

    requests: int
    errors: int
    latency_p95_ms: float | None
    """Upper edge of the bin that holds it; None without a successful request."""


@dataclass(frozen=True)
class CanaryPoint:
    """One observation of a canary, for people to follow it over time."""

    at: datetime
    step: int
    weight_pct: int
    champion: ArmSeen
    canary: ArmSeen
    e_value: float
    """Evidence against the canary, all metrics together; at `threshold` it is rolled back."""
    threshold: float
    outcome: Outcome
    evidence: str = ""
    """Document hash, where this observation's evidence was stored."""


@dataclass(frozen=True)
class Approval:
    """The first of two persons who must ask for the same before it is done."""

    verb: str
    person: str
    """Their object id, or their name where they have none."""
    actor: str
    at: datetime


@dataclass(frozen=True)
class ReleaseTimes:
    """What a release has used, in seconds: its jobs, and its deployment beside the one that serves."""

    jobs_s: float = 0.0
    deployed_s: float = 0.0


@dataclass(frozen=True)
class JobStep:
    """What a step of a training took, as Azure ML has it."""

    name: str
    node_s: float
    """Seconds of all its nodes together, its trials' too."""
    nodes: int = 1
    """The most of one run."""
    size: str = ""
    """Of its machines; empty where Azure does not tell it, as of serverless compute."""
    reused: bool = False
    """It was not run again, because nothing in it had changed."""


@dataclass(frozen=True)
class JobLog:
    """The end of what a step of a training has printed so far."""

    step: str
    state: str
    """running, completed, failed or canceled."""
    file: str = ""
    """Empty where Azure ML has no log of it, as of a step that was not run again."""
    size: int = 0
    """In bytes, of the whole log."""
    end: str = ""
    """Its last lines."""


@dataclass(frozen=True)
class ScoringJob:
    """A batch job whose answers a release waits for."""

    job: str
    since: datetime
    version: int | None = None
    """The one that both models score, in a canary."""


@dataclass(frozen=True)
class Release:
    """One attempt to put a model live."""

    loop: str
    number: int
    phase: Phase
    definition: str
    """Document hash of the published definition that this release runs with, from start to end."""
    triggers: tuple[Trigger, ...]
    versions: tuple[int, ...]
    """The training window."""
    started_at: datetime
    phase_since_at: datetime
    depth: int = 0
    """How many releases in a row, this one the last, only what the model before them did has asked for."""
    trained_before: int | None = None
    """`trained_through` of the loop before it, which an abort gives back; None where it trains nothing."""
    trained_rows_before: int = 0
    """`trained_rows` of the loop before it, likewise."""
    attempt: int = 1
    window: str = ""
    """Asset id of the training window."""
    profile: str = ""
    """Document hash of the window's profile: the reference once this release is live."""
    job: str = ""
    model: str = ""
    deployment: str = ""
    champion: Champion | None = None
    """Who served when the release began."""
    step: int = 0
    """Index into the canary's steps."""
    compared: tuple[int, ...] = ()
    """Of a batch endpoint: the versions that both models have scored, a step each."""
    approved: tuple[str, ...] = ()
    """Gates that a person has passed: before_canary, before_promotion, hold."""
    approvals: tuple[Approval, ...] = ()
    """Who has asked, where it stands now, for what a second person must ask for as well."""
    traffic: Mapping[str, int] = field(default_factory=dict)
    """Weights in per cent that were last seen to be set by us, or were adopted from outside."""
    asked: Mapping[str, int] = field(default_factory=dict)
    """Weights that were last asked for on the way forward: they may come into force at any moment."""
    suspect: Mapping[str, int] = field(default_factory=dict)
    """Traffic that was read and not expected: nothing is set while it is so."""
    suspect_at: datetime | None = None
    adopted: bool = False
    """Somebody else changed the traffic: nothing is set before a person resumes or aborts."""
    kept: bool = False
    """A person resumed with weights that somebody else set: they stay, until the plan or a verdict leads on."""
    judgements: tuple[Judgement, ...] = ()
    canary_state: str = ""
    """JSON that the canary judge carries from tick to tick within a step."""
    scoring: ScoringJob | None = None
    points: tuple[CanaryPoint, ...] = ()
    """The canary over time, thinned to a bounded number."""
    outcome: Phase | None = None
    """Where CLEANING will end."""
    reason: Reason | None = None
    """Why it stands where it does."""
    waiting_for: Reason | None = None
    """What keeps it from going on just now: an unavailable service, evidence, a person."""
    stuck: bool = False
    """A person should look: it failed too many times in a row."""
    frozen: bool = False
    """It was looked at while the loop stood still, and not since: the limits of its phase begin anew (`frozen.py`)."""
    failures: int = 0
    """Observations that failed in a row; resets when one succeeds."""
    failing_since: datetime | None = None
    """When the first of them failed."""
    retry_at: datetime | None = None
    """Not before this, because the last observation failed; a person's act does not wait for it."""
    ended_at: datetime | None = None
    took: ReleaseTimes = ReleaseTimes()
    cost: float = 0.0
    """In the loop file's currency, of the phases that have ended."""
    counted_at: datetime | None = None
    """Up to when that is."""
    training_steps: tuple[JobStep, ...] = ()
    """Of the job that its model is from."""
    back_to: int | None = None
    """The earlier release whose model, environment and code it deploys again."""
    served_with: str = ""
    """Document hash of the definition whose environment and code are deployed; empty: those of `definition`."""
    judged_on: tuple[int, ...] = ()
    """Versions whose holdout rows judge it; empty: those of `versions`."""
    promoted: str = ""
    """Document hash of what another environment tested, where its model came from there."""
    explanation: str = ""
    """Document hash of what the model goes by, where its training recorded that."""
    explained: Reason | None = None
    """The same in words; or why what was recorded cannot be used."""
    ungated: bool = False
    """A person asked for no gate: after the smoke test it is a canary."""

    @property
    def ended(self) -> bool:
        return self.phase in ENDED

    @property
    def shown(self) -> Reason | None:
        """What people see first: what it waits for, else why it stands where it does."""
        return self.reason if self.ended else self.waiting_for or self.reason

    @property
    def adopted_as_served(self) -> bool:
        """Its environment and code are not on record."""
        return any(trigger.reason.code is Code.ADOPTED_AS_SERVED for trigger in self.triggers)

    @property
    def trained_elsewhere(self) -> bool:
        """Of its training nothing is on record: the model was registered by somebody else, or adopted as it served."""
        return bool(self.model) and not self.versions and not self.job and not self.promoted

    def judgement(self, kind: JudgementKind) -> Judgement | None:
        """The last verdict of this kind."""
        return next((one for one in reversed(self.judgements) if one.kind is kind), None)

    @property
    def job_name(self) -> str:
        """Deterministic, so that the same attempt can never be two jobs."""
        return f"{self.loop}-r{self.number}-a{self.attempt}"

    @property
    def deployment_name(self) -> str:
        return f"r{self.number}-a{self.attempt}"
