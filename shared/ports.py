"""The seams to the outside world: what the engine needs of it, in the engine's own words.

Each port has an adapter over the Azure SDKs in `shared/azure/` and a twin in `shared/memory/`; both pass the
contract tests in `tests/contract/`. Every call may raise `DependencyUnavailable`; what is said as "ensure" is
idempotent under its name, so that it may be repeated after any crash.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Literal, Protocol

from shared.domain.ledger import LedgerEntry
from shared.domain.loop import Overview
from shared.domain.release import JobLog, JobStep, Release
from shared.domain.version import DataVersion
from shared.domain.window import WindowKind

# --- state ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Row:
    """A stored document with the ETag under which it may be replaced."""

    key: str
    doc: str
    etag: str


@dataclass(frozen=True)
class Insert:
    """Create `key`; it is a Conflict when it exists."""

    key: str
    doc: str


@dataclass(frozen=True)
class Replace:
    """Replace `key` if its ETag is still `etag`; otherwise it is a Conflict."""

    key: str
    doc: str
    etag: str


@dataclass(frozen=True)
class Delete:
    """Delete `key` if it is there; nothing happens when it is not."""

    key: str


Change = Insert | Replace | Delete


class Store(Protocol):
    """Rows of a loop in one partition, changed together or not at all; and one overview row a loop."""

    def read(self, loop: str, key: str) -> Row | None: ...

    def range(self, loop: str, prefix: str, *, after: str = "", limit: int = 1000) -> list[Row]:
        """Rows whose key starts with `prefix` and sorts after `after`, in key order."""
        ...

    def commit(self, loop: str, changes: Sequence[Change]) -> Mapping[str, str]:
        """All changes in one transaction, or `Conflict`; the new ETag of each row that was written, by its key.

        A lost reply is read back and told as what it was; of a write that is found so the ETags are not known: empty.
        """
        ...

    def loop_after(self, loop: str) -> str:
        """The next name in order of a loop that has rows; empty after the last. `loop` itself need have none."""
        ...

    def overviews(self, due_before: datetime | None = None) -> list[Overview]:
        """All loops, or those whose `due_at` has come."""
        ...

    def overview(self, loop: str) -> Overview | None:
        """One loop's row, in one read; None when there is none."""
        ...

    def describe(self, overview: Overview) -> None:
        """Create or replace the loop's overview, but for what `wake`, `ask_run`, `settle` and `swept` change."""
        ...

    def wake(self, loop: str, at: datetime) -> None:
        """A tick must look at this loop, from `at` on. Said before the work is stored, and again by who then finds the
        loop held, so that none is missed.

        One write that waits for nobody, however many wake the loop at once; a claim that ends does not undo it.
        """
        ...

    def swept(self, loop: str, at: datetime) -> None:
        """The loop's turn in the sweep began at that time. It wakes nobody."""
        ...

    def ask_run(self, loop: str, now: datetime) -> str:
        """As `wake`, and a run is asked for: the token of it, for the message. Empty when one is asked for already.

        Said after the work is stored: a run that was asked for and has not begun will find it.
        """
        ...

    def claim(self, loop: str, holder: str, now: datetime, until: datetime) -> str | None:
        """Ask to be the only worker on this loop until `until`; a token, or None when another holds it. Whatever run
        was asked for begins with it, and is asked for no more. A claim that ends in more than five minutes counts as
        none: its worker's clock was wrong, or ours was set back since.

        Only against wasted work: correctness rests on `commit`.
        """
        ...

    def settle(self, loop: str, token: str, due_at: datetime | None) -> bool:
        """Give the claim back and set when to look again. False when somebody woke the loop since: look again, and ask
        for a run, since who took the message for it found the loop held.
        """
        ...

    def record_unrouted(self, key: str, doc: str) -> None:
        """Keep an event that belongs to no loop, with its reason, for people to see."""
        ...

    def unrouted(self, limit: int = 100) -> list[Row]:
        """The first of them, in key order."""
        ...


class Documents(Protocol):
    """Documents by content hash: profiles, reports, evidence, definitions."""

    def put(self, content: bytes) -> str:
        """Store and give the SHA-256 in hex. Storing the same again changes nothing."""
        ...

    def get(self, digest: str) -> bytes: ...


# --- data ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Blob:
    """A blob as a listing or its properties show it; `etag` without quotes."""

    container: str
    name: str
    etag: str
    size_bytes: int
    created_at: datetime
    copy: str = ""
    """How the copy stands that makes it, unless that has succeeded: `pending`, `failed` or `aborted`. It has no bytes
    before, and then another ETag."""


class Blobs(Protocol):
    """Landed blobs, read exactly as they were when their event was written."""

    def find(self, container: str, name: str) -> Blob | None: ...

    def list(self, container: str, prefix: str) -> Iterable[Blob]: ...

    def download(self, blob: Blob, to: Path) -> None:
        """Write the bytes of exactly this ETag; `Conflict` when the blob changed or is gone."""
        ...

    def download_all(self, wanted: Mapping[Path, Blob]) -> None:
        """As `download`, each to its place, many at once: ten thousand small blobs are not waited for one by one."""
        ...

    def upload(self, container: str, name: str, content: bytes | Path) -> Blob:
        """Create or overwrite (used by people's tools, and for quarantine notes)."""
        ...

    def upload_all(self, container: str, files: Mapping[str, Path]) -> None:
        """As `upload`, each file under its name, many at once and in no order."""
        ...

    def quarantine(self, blob: Blob, note: str) -> None:
        """Copy to the quarantine container under the same name and ETag, with the reason beside it."""
        ...


class Versions(Protocol):
    """The immutable data versions, as folders."""

    def write(self, path: str, content: Path) -> None:
        """Create the blob at `path` in the versions container. There already: fine, if of the same content."""
        ...

    def read(self, path: str) -> bytes: ...

    def list(self, prefix: str) -> list[str]:
        """Paths in the versions container that start with `prefix`, sorted."""
        ...

    def assemble(self, folder: str, parts: Mapping[str, str]) -> None:
        """Server-side copies: file name in `folder` -> path of an existing blob. Repeating changes nothing."""
        ...

    def tabulate(self, folder: str, parts: Sequence[str], kind: WindowKind) -> None:
        """Write the file `MLTable` in `folder` that names existing blobs, by their paths: of these no byte is read or
        copied. Repeating changes nothing."""
        ...

    def register(
        self,
        asset: str,
        version: str,
        folder: str,
        tags: Mapping[str, str],
        description: str,
        kind: WindowKind = WindowKind.FOLDER,
    ) -> str:
        """Ensure the Azure ML data asset over a folder of the versions container, under this version or, where that is
        somebody else's, a further one; its asset id. A table's folder holds its file `MLTable`."""
        ...


# --- Azure ML ------------------------------------------------------------------------------------


GOLDEN, IMPORTANCE = "golden.json", "importance.json"


@dataclass(frozen=True)
class JobSpec:
    """A pipeline job made of one published pipeline component."""

    name: str
    experiment: str
    component: str
    """Asset id."""
    training_data: str
    """Asset id of the window, given to the component's input `training_data`."""
    parameters: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    compute: str = ""
    """Empty means serverless."""
    model: str = ""
    """Asset id of the challenger, for a check whose component has an input `model`."""
    window: WindowKind = WindowKind.FOLDER
    """What the training data are."""


@dataclass(frozen=True)
class JobSeen:
    """A job as Azure ML shows it."""

    status: str
    """running, completed, failed, canceled, missing, timed_out (cancelled by us), or uncancelled: its time is over, and
    it may run on."""
    error: str = ""
    studio_url: str = ""
    steps: tuple[JobStep, ...] = ()
    """Of a completed job; nothing where they cannot be read."""

    @property
    def reused(self) -> tuple[str, ...]:
        """Steps that Azure ML did not run again, because nothing in them had changed."""
        return tuple(step.name for step in self.steps if step.reused)


@dataclass(frozen=True)
class RegisteredModel:
    """A model version as the workspace has it."""

    asset: str
    """Asset id."""
    kind: str
    """mlflow_model, custom_model or triton_model."""
    archived: bool
    """It, or its name with all versions."""
    tags: Mapping[str, str]
    job: str = ""
    """The run that it came from, as Azure ML knows; empty where it was uploaded."""
    made_by: str = ""
    made_at: datetime | None = None


@dataclass(frozen=True)
class ModelFiles:
    """What a model's own files say about serving it."""

    mlmodel: bytes | None
    """The file MLmodel; None: it is no MLflow model."""
    conda: bytes | None
    """The file conda.yaml, from which Azure ML makes the server's environment."""


class Training(Protocol):
    def ensure_job(self, spec: JobSpec) -> JobSeen:
        """Submit under `spec.name`, or look at the job that bears it. Somebody else's job: ConfigurationError."""
        ...

    def cancel(self, name: str) -> None:
        """Ask for cancellation; nothing happens when the job has ended, never was, or is somebody else's."""
        ...

    def logs(self, job: str) -> Sequence[JobLog]:
        """What each step of the job has printed, at its end; nothing where none has begun, or there is no such job."""
        ...

    def ensure_model(self, name: str, version: str, job: str, tags: Mapping[str, str]) -> str:
        """Register the job's output `model` under name and version, where that is somebody else's under the next free
        one; the asset id."""
        ...

    def model(self, asset: str) -> RegisteredModel | None:
        """A registered model; None when it is not there."""
        ...

    def newest_model(self, name: str) -> RegisteredModel | None:
        """The version of this name that was registered last; None when there is none."""
        ...

    def model_files(self, asset: str) -> ModelFiles:
        """What the files of a registered model say. ConfigurationError where they lie in no datastore."""
        ...

    def digest(self, asset: str) -> str | None:
        """SHA-256 of an environment's or a code version's content; None when it is not there, empty when Azure ML
        does not know, or it lies in a registry that is not ours."""
        ...

    def check_unaided(self, job: str) -> None:
        """ConfigurationError when the model that the job made cannot be served without scoring code."""
        ...

    def recorded(self, job: str, name: str = GOLDEN) -> bytes:
        """What training left beside the model that the job made: what it answered (`golden.json`), what it goes by
        (`importance.json`). Empty when there is none."""
        ...


@dataclass(frozen=True)
class ReadingSpec:
    """A job that reads a drop for which no function is large enough."""

    name: str
    """Of the job, and of the folder in which it finds what it is asked and leaves what it answers."""
    experiment: str
    code: str
    """Asset id of the published reader."""
    instance_type: str
    cores: int
    """Of such a machine; so many tasks read side by side on each executor."""
    executors: int
    memory_mb: int
    """What the reader may take of each machine beside Spark's own."""
    order: bytes
    """A `shared.spark.read_order.Order`."""
    reference: bytes = b""
    """The profile whose grid is used."""
    tags: Mapping[str, str] = field(default_factory=dict)


class Readings(Protocol):
    def ensure(self, spec: ReadingSpec) -> JobSeen:
        """Submit under `spec.name`, or look at the job that bears it. Somebody else's job: ConfigurationError."""
        ...

    def cancel(self, name: str) -> None:
        """Ask for cancellation; nothing happens when the job has ended, never was, or is somebody else's."""
        ...

    def left(self, name: str, file: str, most: int) -> bytes:
        """A file that the job left; empty when there is none, or it has more bytes."""
        ...

    def take(self, name: str, parts: Mapping[str, str], path: str) -> None:
        """Server-side copies of the rows that the job left, each under its ETag, into the versions container: name ->
        ETag. Repeating changes nothing; Conflict when one is another by now."""
        ...


class Sharing(Protocol):
    """The registry that environments share, as whoever shares may use it; the app only reads it."""

    def ensure_model(self, model: str, name: str, version: str) -> str:
        """A deep copy of a registered model in the registry, its tags included; its id there. Waits for it.

        Another model of that name and version, or a version that was deleted: ConfigurationError.
        """
        ...

    def ensure_environment(self, environment: str, name: str, version: str) -> str:
        """The same for an environment, by its content."""
        ...


@dataclass(frozen=True)
class Scale:
    """Between how many machines a deployment is scaled, by the average use of their processors in per cent."""

    min: int
    max: int
    cpu_above: float
    cpu_below: float
    minutes: int


@dataclass(frozen=True)
class DeploymentSpec:
    endpoint: str
    name: str
    model: str
    """Asset id."""
    instance_type: str
    instance_count: int = 1
    environment: str = ""
    """Asset id; empty for an MLflow model."""
    code: str = ""
    """Asset id; empty for an MLflow model."""
    entry_script: str = "score.py"
    tags: Mapping[str, str] = field(default_factory=dict)
    scale: Scale | None = None
    """None: there are `instance_count` machines, whatever they do; else it begins with so many, and never has fewer
    until `free_scale`."""
    compute: str = ""
    """The cluster whose nodes, `instance_count` of them, score; empty for an online endpoint."""


@dataclass(frozen=True)
class DeploymentSeen:
    state: str
    """creating, ready, failed, or missing."""
    error: str = ""


@dataclass(frozen=True)
class Answer:
    """What a deployment answered to one request."""

    status: int
    body: str
    latency_ms: float


ServeType = Literal["online", "batch"]


class Serving(Protocol):
    """Online endpoints, or batch endpoints, whose default deployment has 100 % of what they call traffic here."""

    def ensure_endpoint(self, endpoint: str) -> DeploymentSeen: ...

    def ensure_deployment(self, spec: DeploymentSpec) -> DeploymentSeen:
        """Begin the deployment, or look at it. Never waits. Traffic is left as it is."""
        ...

    def ensure_machines(self, spec: DeploymentSpec) -> DeploymentSeen:
        """Begin to give a deployment as many machines as `spec` says, where it has fewer, or look at it: ready,
        creating while they come, failed where they are refused. Never waits, never takes one away, and makes no
        deployment: one that is not there is failed."""
        ...

    def ensure_no_deployment(self, endpoint: str, name: str) -> bool:
        """Begin the deletion, or see that it is gone: True. Refuses (InvariantBroken) while it has traffic. What scaled
        it goes first."""
        ...

    def hold_scale(self, endpoint: str, name: str) -> int:
        """How many machines a deployment has; one that is scaled never has fewer until `free_scale`. 0: it is not
        there."""
        ...

    def free_scale(self, endpoint: str, name: str) -> None:
        """One that is scaled may have as few machines again as it was made for; nothing happens to any other."""
        ...

    def endpoint_state(self, endpoint: str) -> str:
        """creating, ready, failed or missing. Makes nothing."""
        ...

    def deployment_state(self, endpoint: str, name: str) -> str:
        """creating, ready, failed or missing. Makes nothing."""
        ...

    def log(self, endpoint: str, name: str) -> str:
        """The end of what a deployment's container has printed; empty where none runs, as of a batch endpoint, whose
        calls are jobs."""
        ...

    def deployments(self, endpoint: str) -> Mapping[str, str]:
        """Every deployment of an endpoint that is there, with the asset id, long or short, of its model."""
        ...

    def deployed_model(self, endpoint: str, name: str) -> str:
        """Asset id, long or short, of the model that a deployment has; empty when the deployment is not there."""
        ...

    def traffic(self, endpoint: str) -> Mapping[str, int]:
        """Weights in per cent as they are; deployments at 0 are left out."""
        ...

    def set_traffic(self, endpoint: str, weights: Mapping[str, int]) -> None:
        """Begin to set the weights (get, modify, put), with a note on the endpoint that we did. Read back with
        `traffic`."""
        ...

    def set_by_us(self, endpoint: str) -> bool:
        """Whether the weights, as they are, are the ones that the note on the endpoint names."""
        ...

    def predict(self, endpoint: str, deployment: str, payloads: Sequence[str], stamp: str) -> list[Answer]:
        """Send each payload to exactly this deployment, stamped so that no statistic counts it.

        Of a batch endpoint a job scores them: AnswersAwaited until it has ended. The same payloads under the same stamp
        are scored once; one that was not scored whole, or whose job failed, is answered with status 500.
        """
        ...


@dataclass(frozen=True)
class ArmTraffic:
    """Requests of one deployment in a span of time, our own left out."""

    requests: int
    errors: int
    latencies_ms: tuple[float, ...]
    """One a request that was answered well; the first ones where there are very many."""


@dataclass(frozen=True)
class TrafficMinute:
    """One minute of the clock: requests and errors of each deployment, our own left out."""

    starts_at: datetime
    counts: Mapping[str, tuple[int, int]]


@dataclass(frozen=True)
class TrafficSeen:
    """What the endpoint's traffic log holds up to its watermark."""

    arms: Mapping[str, ArmTraffic]
    watermark_at: datetime | None
    """The newest request seen; None when there was none."""
    minutes: Sequence[TrafficMinute] = ()
    """The same requests by the minute, oldest first; minutes without any are left out."""
    nameless: int = 0
    """Requests that name no caller, and are not counted; 0 where each request counts."""


@dataclass(frozen=True)
class TrafficSpan:
    """Requests to one deployment in a span of the clock, our own left out."""

    starts_at: datetime
    deployment: str
    requests: int
    errors: int
    latency_p50_ms: float | None
    """Of answers that were well; None without any. So the 95th percentile."""
    latency_p95_ms: float | None


CountedUnit = Literal["request", "identity", "client_id"]
"""What counts once: each request, or each caller of a span with its first request in it. A caller is who bears the
token, or what `x-ms-client-request-id` has before its first `_`."""


class Evidence(Protocol):
    def traffic(
        self, endpoint: str, since: datetime, until: datetime, unit: CountedUnit = "request"
    ) -> TrafficSeen:
        """Per deployment, from the traffic log. A query that fails is DependencyUnavailable, never zero."""
        ...

    def history(self, endpoint: str, since: datetime, until: datetime, minutes: int) -> list[TrafficSpan]:
        """The same log in spans of so many minutes (a divisor of a day's), oldest first, for people; spans without a
        request are left out."""
        ...

    def predictions(
        self,
        endpoint: str,
        deployment: str,
        since: datetime,
        until: datetime,
        limit: int = 10_000,
        id: str = "",
        unit: CountedUnit = "request",
    ) -> list[Mapping[str, object]]:
        """Collected rows of requests that are known not to be ours: {id, request, time, inputs, output}.

        `request` is one for all rows that came together. `id` is the loop's id column, by which rows are told apart
        that were collected together. Where callers are the unit it does not serve: only the log tells whose first
        request a row is of. Missing rows are missing, never guessed.
        """
        ...

    def inputs(
        self,
        endpoint: str,
        deployment: str,
        since: datetime,
        until: datetime,
        limit: int = 10_000,
        id: str = "",
    ) -> list[Mapping[str, object]]:
        """What such requests gave the model, whether an answer was collected or not: {id, time, inputs}, oldest first.

        Of more than `limit` a sample, chosen by a hash of the row's id: the same one at each look.
        """
        ...

    def query(self, query: str, since: datetime, until: datetime, most: int) -> list[Mapping[str, object]]:
        """The first rows, by column, that a loop file's own query makes of the logs that were written in a span.

        DependencyUnavailable: again later. ConfigurationError: the query, or the right to ask it, is at fault.
        """
        ...


@dataclass(frozen=True)
class Fetched:
    """What a source gave; `unchanged` when it is still what `etag` or `modified` named."""

    content: bytes
    unchanged: bool
    etag: str
    modified: str
    kind: str
    """Media type without parameters, in small letters; empty when the source does not say."""


class Sources(Protocol):
    def fetch(self, url: str, *, etag: str, modified: str, limit_bytes: int, timeout_s: float) -> Fetched:
        """GET an address of the loop file. DependencyUnavailable: again later; InputRejected: never so."""
        ...


class Topic(Protocol):
    def publish(self, loop: str, entries: Sequence[LedgerEntry]) -> None:
        """Tell the world, at least once; the event id is loop and sequence number."""
        ...


@dataclass(frozen=True)
class Traced:
    """A ledger entry with what a lineage tool wants to know of the thing that it is about."""

    entry: LedgerEntry
    version: DataVersion | None = None
    release: Release | None = None
    endpoint: str = ""
    """Of the release."""


class Lineage(Protocol):
    def publish(self, loop: str, traced: Sequence[Traced]) -> None:
        """Tell a lineage tool, at least once; the same entry always gives the same events."""
        ...


@dataclass(frozen=True)
class Poisoned:
    """A message that failed five times, hidden from others for a while; `receipt` is the adapter's own."""

    text: str
    receipt: object


class Queue(Protocol):
    def put(self, message: str) -> None:
        """Enqueue one JSON object as Event Grid would."""
        ...

    def poisoned(self) -> list[Poisoned]:
        """Some of the messages that failed five times. One that is not removed in five minutes comes again."""
        ...

    def remove(self, poisoned: Poisoned) -> None:
        """Take it out of the poison queue; nothing happens when it is gone already."""
        ...


class Clock(Protocol):
    def now(self) -> datetime:
        """Aware, UTC."""
        ...


@dataclass(frozen=True)
class Ports:
    """Everything outside, as one value that is handed down."""

    store: Store
    documents: Documents
    blobs: Blobs
    versions: Versions
    training: Training
    readings: Readings
    serving: Serving
    """Online endpoints."""
    batch: Serving
    """Batch endpoints."""
    evidence: Evidence
    sources: Sources
    topic: Topic
    queue: Queue
    """Events."""
    runs: Queue
    """Loops that are to be run."""
    clock: Clock
    lineage: Lineage | None = None
    """None: no lineage tool is told."""

    def server(self, kind: ServeType) -> Serving:
        """Where a loop's model serves, by `serve.type`."""
        return self.batch if kind == "batch" else self.serving
