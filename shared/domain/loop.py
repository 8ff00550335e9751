"""A loop: the one row under whose ETag everything of it changes, and its line in the overview."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from shared.domain.event import EventKind
from shared.domain.ledger import GENESIS
from shared.domain.reason import Reason
from shared.domain.release import Champion, Phase, ReleaseTimes, Trigger


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
class SetAside:
    """An event that could not be used, for as long as nobody made it good."""

    key: str
    kind: EventKind
    received_at: datetime
    source: str
    """Where it came from, for people."""
    reason: Reason


@dataclass(frozen=True)
class DropJob:
    """A drop that a job reads."""

    key: str
    """Of its inbox record."""
    source: str
    """Where it landed, for people."""
    job: str
    order: str
    """Document hash of what the job is to read."""
    circumstances: str
    """Digest of what else the version depends on; where that changes meanwhile, the drop is read anew."""
    reference: str
    """Document hash of the profile whose grid is used; empty before the first model."""
    asked_at: datetime
    size_bytes: int
    read_bytes: int = 0
    """As the job told last; text may be read more than once."""
    tasks: int = 0
    """How many of them read at once; 0 while nobody knows."""
    alone: str = ""
    """Why there is but one, as codes of `shared.spark.read_answer.Read`."""
    after: Reason | None = None
    """What became of the job before, where this one is another try."""


@dataclass(frozen=True)
class UnfinalRelease:
    """A release that went live on labels that may still change."""

    release: int
    since: datetime
    """When its last canary step was judged: its labels are final so long after, as labels take."""


@dataclass(frozen=True)
class LoopState:
    """The one row under whose ETag everything of a loop changes."""

    loop: str
    definition: str
    published_by: str
    published_at: datetime
    paused: Reason | None = None
    """Why nothing new is started; None when the loop runs."""
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
    money: Mapping[str, float] = field(default_factory=dict)
    """What releases have cost, by day (UTC) of this month: the budgets in money."""
    last_took: ReleaseTimes = field(default_factory=ReleaseTimes)
    """What the newest release that trained and went live has used: by this the next one is estimated."""
    depth: int = 0
    """Of the newest release: see `Release.depth`."""
    trained_through: int = 0
    """The newest version that a release has been started with."""
    trained_rows: int = 0
    """Training rows of that release; 0 where it trained nothing, or is older than this field."""
    last_ended_at: datetime | None = None
    last_outcome: str = ""
    failed_in_row: int = 0
    """Releases that ended without going live, since the last that did."""
    unhelped_in_row: int = 0
    """Releases that went live and did not fix what they were for, since the last that did."""
    assessed_release: int = 0
    """The newest release of which it is known whether it helped."""
    predictions_through: datetime | None = None
    """The champion's collected answers up to here have been compared with those of its gate."""
    served: str = ""
    """Document hash of the windows of served inputs that were judged; empty before the first."""
    served_through: datetime | None = None
    """Windows of served inputs up to here have been judged."""
    served_verdict: Reason | None = None
    """What the newest window came to."""
    label_lags: tuple[int, ...] = ()
    """How long labels have taken: a histogram of `shared/stats/arrival_lags.py`; empty before the first."""
    unfinal: tuple[UnfinalRelease, ...] = ()
    """Releases whose labels' verdict is not final yet."""
    final_labels: Reason | None = None
    """The newest final verdict."""
    newest_labelled: int | None = None
    """Number of the newest version that can be trained on; None in rows that are older than this field."""
    unserved: Reason | None = None
    """Why the champion serves nobody, as the last sweep saw; None when it can."""
    unswept: Reason | None = None
    """What kept the last sweep from looking after this loop; None when nothing did."""
    strangers: Mapping[str, str] = field(default_factory=dict)
    """Deployments on the endpoint that somebody else made, with their models."""
    set_aside: tuple[SetAside, ...] = ()
    """The newest events in quarantine, until they are read again or a newer one of their kind is handled."""
    reading: DropJob | None = None
    """One at a time, so that drops become versions in their order."""
    read_by_jobs: tuple[tuple[datetime, float], ...] = ()
    """When jobs that read drops ended within the last day, and the seconds that each had taken."""
    task: str = ""
    """classification or regression, as the first labelled version showed; `data.task` is heard first."""
    past: str = ""
    """Document hash of how far each past drop lay from its references; empty while rows seem independent."""
    newest_landed_at: datetime | None = None
    """When the newest drop landed: what comes in late is judged by this."""
    folders: Mapping[str, datetime] = field(default_factory=dict)
    """Of folders that are to become quiet, container/folder: when the newest known file of each landed. As many as are
    looked after at once."""
    more_folders: bool = False
    """Whether others wait for their turn, in rows of their own."""
    adopted: Mapping[str, int] = field(default_factory=dict)
    """Traffic that somebody else set while no release was open, and that was adopted."""
    schedule_from: datetime | None = None
    """Occurrences of the schedule after this moment are still to be answered."""
    source: SourceState = SourceState()
    aged_asked_at: datetime | None = None
    """When the champion's age was last put to the policy."""
    denial: Reason | None = None
    """The policy's last no, or not yet."""
    ledger_seq: int = 0
    ledger_head: str = GENESIS
    announced_seq: int = 0
    """Ledger entries up to here went out on the topic."""
    traced_seq: int = 0
    """Ledger entries up to here were told to the lineage tool; 0 while there is none."""


@dataclass(frozen=True)
class NewestVersion:
    """The newest data version, in the overview."""

    number: int
    judged: str
    """moved, quiet, or how far it is."""
    verdict: tuple[Reason, ...]
    landed_at: datetime


@dataclass(frozen=True)
class UnderWay:
    """The open release, in the overview."""

    release: int
    phase: Phase
    waiting_for: Reason | None
    traffic: Mapping[str, int]


@dataclass(frozen=True)
class Serving:
    """The model that serves, in the overview."""

    release: int
    model: str
    live_at: datetime | None
    """None of one that is being rolled back."""


@dataclass(frozen=True)
class Overview:
    """One row for a loop: where events for it come from, when to look again, and what people see first."""

    loop: str
    landing: str
    quiet: bool = False
    """Folders are complete once nothing lands in them for a while."""
    manifest: str = ""
    """Name of the file that ends a folder, and says what is in it; empty: `_SUCCESS`."""
    labels: str = ""
    alerts: tuple[str, ...] = ()
    endpoint: str = ""
    models: str = ""
    """Name of the registered models that the loop releases by itself; empty: none."""
    model_tags: Mapping[str, str] = field(default_factory=dict)
    """Tags that such a model must bear."""
    due_at: datetime | None = None
    """When a tick has work to do here; None when only an event can bring some."""
    run_asked: str = ""
    """The token of a run that is asked for and has not begun; such a loop is due."""
    swept_at: datetime | None = None
    """When its last turn in the sweep began; None before the first."""
    needs_attention: Reason | None = None
    """What a person must do; None when nobody is needed."""
    paused: bool = False
    serving: Serving | None = None
    newest: NewestVersion | None = None
    under_way: UnderWay | None = None
