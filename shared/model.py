"""The nouns of the product, frozen: what is stored, and what is told to people."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from shared.looks import CanaryLook

GENESIS = "0" * 64
"""What the first ledger entry of a loop follows."""


class EventKind(StrEnum):
    """What came in from outside."""

    BLOB = "blob"
    """A blob was created under the loop's landing prefix."""
    LABELS = "labels"
    """A blob was created where the loop's late labels land."""
    ALERT = "alert"
    """An Azure Monitor alert fired, or an Azure ML monitor told of a breach."""
    PERSON = "person"
    """Somebody acted: retrain, approve, abort, pause, resume, roll back."""


class InboxState(StrEnum):
    """Where an event has got to. Only NEW is work; the others are kept as long as their blob is."""

    NEW = "new"
    DONE = "done"
    """It led to a data version, a trigger or an action."""
    DUPLICATE = "duplicate"
    """Its content is already a data version."""
    SUPERSEDED = "superseded"
    """The blob was overwritten before it was read; the newer event counts."""
    IGNORED = "ignored"
    """It asks for nothing: a part file that waits for _SUCCESS, a resolved alert."""
    QUARANTINED = "quarantined"
    """It cannot be used; `note` tells why."""


@dataclass(frozen=True)
class InboxRecord:
    """One event, stored before it is acknowledged. `key` identifies what happened, not the delivery."""

    key: str
    kind: EventKind
    received_at: datetime
    body: Mapping[str, str]
    state: InboxState = InboxState.NEW
    code: str = ""
    note: str = ""
    version: int | None = None
    attempts: int = 0


class VersionState(StrEnum):
    """How far a data version is."""

    WRITTEN = "written"
    """Its bytes are at their final path; it has its number."""
    READY = "ready"
    """It is registered in Azure ML."""
    JUDGED = "judged"
    """Drift and metric are known, and the policy has answered."""


@dataclass(frozen=True)
class DataVersion:
    """An immutable copy of a drop, split once into train and holdout."""

    number: int
    state: VersionState
    source: str
    """container/name of the blob or folder that was dropped."""
    etag: str
    inbox_key: str
    path: str
    """Folder inside the versions container; train/ and holdout/ lie in it."""
    content_hash: str
    rows: int
    train_rows: int
    holdout_rows: int
    columns: Mapping[str, str]
    labelled: bool
    profile: str
    """Document hash of the profile."""
    tags: Mapping[str, str]
    created_at: datetime
    landed_at: datetime | None = None
    """When the drop landed; None in rows that are older than this field."""
    asset_id: str = ""
    findings: tuple[str, ...] = ()
    drift: str = ""
    """Document hash of the drift report; empty while there is no reference."""
    drift_detected: bool | None = None
    drift_material: bool | None = None
    metric: str = ""
    """Document hash of the metric verdict; empty when it was not asked for."""
    metric_breached: bool | None = None
    verdict: str = ""
    """The verdict in words."""
    decision: str = ""
    """What the policy answered, in words."""
    judged_against: int | None = None
    """The release whose data were the reference."""


class TriggerKind(StrEnum):
    """A reason to retrain."""

    FIRST = "first"
    """There is no champion yet."""
    DRIFT = "drift"
    METRIC = "metric"
    SCHEDULE = "schedule"
    MAX_AGE = "max_age"
    ALERT = "alert"
    PERSON = "person"


@dataclass(frozen=True)
class Trigger:
    """Why a release was asked for, by whom, and by which event."""

    kind: TriggerKind
    reason: str
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
    """Where a release stands. Each phase is a condition to bring about; shared/core/release.py moves between them."""

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


@dataclass(frozen=True)
class Judgement:
    """A verdict of the gate or the canary, with its evidence by document hash."""

    kind: str
    """gate, smoke, or canary step n at w %."""
    outcome: str
    words: tuple[str, ...]
    evidence: str
    at: datetime


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
    approved: tuple[str, ...] = ()
    """Gates that a person has passed: before_canary, before_promotion, hold."""
    traffic: Mapping[str, int] = field(default_factory=dict)
    """Weights in per cent that were last seen to be set by us, or were adopted from outside."""
    asked: Mapping[str, int] = field(default_factory=dict)
    """Weights that were last asked for on the way forward: they may come into force at any moment."""
    suspect: Mapping[str, int] = field(default_factory=dict)
    """Traffic that was read and not expected: nothing is set while it is so."""
    suspect_at: datetime | None = None
    adopted: bool = False
    """Somebody else changed the traffic: nothing is set before a person resumes or aborts."""
    judgements: tuple[Judgement, ...] = ()
    canary_state: str = ""
    """JSON that the canary judge carries from tick to tick within a step."""
    looks: tuple[CanaryLook, ...] = ()
    """The canary over time, thinned to a bounded number."""
    outcome: Phase | None = None
    """Where CLEANING will end."""
    reason: str = ""
    """Why it ended, or what it waits for, in words."""
    waiting_for: str = ""
    """What keeps it from going on just now: an unavailable service, evidence, a person."""
    failures: int = 0
    """Looks that failed in a row; resets when one succeeds."""
    look_again_at: datetime | None = None
    """Not before this, because the last look failed; a person's act does not wait for it."""
    ended_at: datetime | None = None

    @property
    def ended(self) -> bool:
        return self.phase in ENDED

    @property
    def job_name(self) -> str:
        """Deterministic, so that the same attempt can never be two jobs."""
        return f"{self.loop}-r{self.number}-a{self.attempt}"

    @property
    def deployment_name(self) -> str:
        return f"r{self.number}-a{self.attempt}"


@dataclass(frozen=True)
class SourceState:
    """What is known of a loop's `data.source`."""

    answered_at: datetime | None = None
    """The newest occurrence of its schedule that was answered, well or not."""
    failures: int = 0
    """Downloads for the next occurrence that failed in a row."""
    again_at: datetime | None = None
    """Not before this moment is it asked again."""
    etag: str = ""
    modified: str = ""
    content: str = ""
    """SHA-256 of what was landed last."""
    address: str = ""
    """Digest of the address that etag and modified are of; of another address they say nothing."""


@dataclass(frozen=True)
class LoopState:
    """The one row under whose ETag everything of a loop changes."""

    loop: str
    definition: str
    published_by: str
    published_at: datetime
    paused: str = ""
    """Why nothing new is started; empty when the loop runs."""
    next_version: int = 1
    next_release: int = 1
    champion: Champion | None = None
    open_release: int | None = None
    waiting: tuple[Trigger, ...] = ()
    """Triggers that wait for the open release, the cooldown or the budget: coalesced, never dropped."""
    waiting_until: datetime | None = None
    """They are not considered before this; None: as soon as no release is open."""
    recent_breaches: tuple[bool, ...] = ()
    """Whether each of the last versions since the last retrain breached; newest last."""
    starts: tuple[datetime, ...] = ()
    """When releases were started within the last day: the run budget."""
    spent: tuple[tuple[datetime, float], ...] = ()
    """When jobs ended within the last day, and the seconds that each had taken: the compute budget."""
    trained_through: int = 0
    """The newest version that a release has been started with."""
    last_ended_at: datetime | None = None
    last_outcome: str = ""
    failed_in_row: int = 0
    """Releases that ended without going live, since the last that did."""
    unhelped_in_row: int = 0
    """Releases that went live and did not mend what they were for, since the last that did."""
    assessed_release: int = 0
    """The newest release of which it is known whether it helped."""
    predictions_through: datetime | None = None
    """The champion's collected answers up to here have been held against those of its gate."""
    newest_labelled: int | None = None
    """Number of the newest version that can be trained on; None in rows that are older than this field."""
    newest_landed_at: datetime | None = None
    """When the newest drop landed: what comes in late is judged by this."""
    adopted: Mapping[str, int] = field(default_factory=dict)
    """Traffic that somebody else set while no release was open, and that was adopted."""
    schedule_from: datetime | None = None
    """Occurrences of the schedule after this moment are still to be answered."""
    source: SourceState = SourceState()
    aged_asked_at: datetime | None = None
    """When the champion's age was last put to the policy."""
    denial: str = ""
    """The policy's last no, in words."""
    ledger_seq: int = 0
    ledger_head: str = GENESIS
    announced_seq: int = 0
    """Ledger entries up to here went out on the topic."""


@dataclass(frozen=True)
class LedgerEntry:
    """One change of state: what, of which thing, by whom, because of what, from what to what."""

    seq: int
    at: datetime
    actor: str
    cause: str
    what: str
    """Dotted, past tense where it can be: version.created, release.promoted, retrain.denied."""
    subject: str
    before: str
    after: str
    detail: Mapping[str, str]
    previous_hash: str
    hash: str


@dataclass(frozen=True)
class Overview:
    """One line for a loop: where events for it come from, when to look again, and what people see first."""

    loop: str
    landing: str
    labels: str = ""
    alerts: tuple[str, ...] = ()
    endpoint: str = ""
    due_at: datetime | None = None
    """When a tick has work to do here; None when only an event can bring some."""
    summary: str = ""
    attention: str = ""
    """What a person must do; empty when nobody is needed."""
    facts: Mapping[str, str] = field(default_factory=dict)
    """What serves, the last version, and the open release, as single short values for the overview page."""
