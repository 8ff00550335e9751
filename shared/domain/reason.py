"""What the product says is a code with typed facts; `shared/words` alone turns it into a sentence.

Nothing decides by a sentence: programs compare codes and read facts, people read `words.say(reason)`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

Fact = str | int | float | bool | None
"""A moment is ISO 8601 text in UTC, a span is in seconds; a list is text that is ready to be read."""


class Code(StrEnum):
    """Everything that may be said: outcomes, reasons, refusals, waits and findings. The value is stored and is the
    anchor of the code's row in docs/operations.md, where it has one; it never changes."""

    # inbox
    BECAME_VERSION = "became-version"
    FOLDER_END_ALONE = "folder-end-alone"
    FOLDER_PART = "folder-part"
    HIDDEN_NAME = "hidden-name"
    ALERT_RESOLVED = "alert-resolved"
    NO_LANDING = "no-landing"
    NO_ALERT_PATTERN = "no-alert-pattern"
    NO_MONITOR_PATTERN = "no-monitor-pattern"
    NO_LOOP = "no-loop"
    POISON = "poison"
    REPLAYED = "replayed"
    DEAD_LETTER = "dead-letter"
    DEAD_LETTER_NO_LOOP = "dead-letter-no-loop"
    DEAD_LETTER_UNREADABLE = "dead-letter-unreadable"
    ACT_DONE = "act-done"
    ACT_OUT_OF_PLACE = "act-out-of-place"
    RELEASE_NOT_OPEN = "release-not-open"
    READ_AGAIN = "read-again"
    NO_QUARANTINED_DROP = "no-quarantined-drop"
    RESTORE_DEPLOYED = "restore-deployed"
    RESTORE_NO_MODEL = "restore-no-model"
    RESTORE_NOT_NEEDED = "restore-not-needed"
    RESTORE_RELEASE_OPEN = "restore-release-open"
    RESTORE_UNKNOWN_DEPLOYMENT = "restore-unknown-deployment"

    # intake
    DELETED = "deleted"
    OVERWRITTEN = "overwritten"
    SAME_CONTENT = "same-content"
    GIVEN_UP = "given-up"
    FINDING = "finding"
    LABELS_JOINED = "labels-joined"
    LABELS_NO_MODEL = "labels-no-model"

    # verdict
    VERSION_JUDGED = "version-judged"
    NO_CHAMPION = "no-champion"
    DRIFT_OFF = "drift-off"
    COLUMN_MOVED = "column-moved"
    NO_MATERIAL_DRIFT = "no-material-drift"
    METRIC_BREACHED = "metric-breached"
    METRIC_PAST_BY_CHANCE = "metric-past-by-chance"
    METRIC_MET = "metric-met"
    METRIC_UNDEFINED = "metric-undefined"
    METRIC_TOO_FEW_ROWS = "metric-too-few-rows"
    METRIC_MISMATCH = "metric-mismatch"
    METRIC_BAD_VALUES = "metric-bad-values"
    ANSWERS_UNUSABLE = "answers-unusable"
    PREDICTIONS_JUDGED = "predictions-judged"
    PREDICTIONS_COMPARED = "predictions-compared"
    PREDICTIONS_NO_REFERENCE = "predictions-no-reference"
    BREACH_CONFIRMED = "breach-confirmed"
    BREACH_NO_VERSION = "breach-no-version"
    BREACH_NO_REPORT = "breach-no-report"
    BREACH_NOT_SHOWN = "breach-not-shown"
    HELPED = "helped"
    NOT_HELPED = "not-helped"
    HELP_UNKNOWN = "help-unknown"
    STILL_DIFFERS = "still-differs"
    TAKEN_IN = "taken-in"

    # policy
    FIRST_MODEL = "first-model"
    SCHEDULE_DUE = "schedule-due"
    CHAMPION_TOO_OLD = "champion-too-old"
    ALERT_FIRED = "alert-fired"
    MONITOR_BREACHED = "monitor-breached"
    ASKED_FOR = "asked-for"
    RESTORE_ASKED_FOR = "restore-asked-for"
    ADOPTED_AS_SERVED = "adopted-as-served"
    TRIGGERS = "triggers"
    RELEASE_STARTED = "release-started"
    NOT_NAMED = "not-named"
    RELEASE_OPEN = "release-open"
    LOOP_PAUSED = "loop-paused"
    NO_LABELLED_VERSION = "no-labelled-version"
    NOTHING_NEW = "nothing-new"
    FAILED_IN_ROW = "failed-in-row"
    UNHELPED_IN_ROW = "unhelped-in-row"
    COOLDOWN = "cooldown"
    RUNS_USED_UP = "runs-used-up"
    COMPUTE_USED_UP = "compute-used-up"
    ECHO = "echo"
    BREACH_NOT_CONFIRMED = "breach-not-confirmed"
    NEWER_VERSION_NEEDED = "newer-version-needed"
    NO_TRIGGER = "no-trigger"
    LATE_VERSION = "late-version"

    # loop
    PAUSED_BY_PERSON = "paused-by-person"
    RESUMED = "resumed"
    TRAFFIC_CHANGED = "traffic-changed"
    NEEDS_DECISION = "needs-decision"
    STUCK = "stuck"
    PHASE_TOO_LONG = "phase-too-long"
    NOT_HELPING = "not-helping"
    LOOP_WAITS = "loop-waits"
    LOOP_SET_ASIDE = "loop-set-aside"
    SERVES = "serves"
    NO_MODEL_YET = "no-model-yet"
    UNDER_WAY = "under-way"

    # source
    SOURCE_UNCHANGED = "source-unchanged"
    SOURCE_GIVEN_UP = "source-given-up"

    # errors: of all of these the text is a fact (docs/reference-errors.md)
    FAILED = "failed"
    UNEXPECTED = "unexpected"
    CONFIGURATION = "configuration"
    NOT_FOUND = "not-found"
    ACCESS_REFUSED = "access-refused"
    REQUEST_REFUSED = "request-refused"
    JOB_NOT_OURS = "job-not-ours"
    DEPLOYMENT_NOT_OURS = "deployment-not-ours"
    ASSET_NOT_OURS = "asset-not-ours"
    ENDPOINT_UNUSABLE = "endpoint-unusable"
    COMPONENT_UNFIT = "component-unfit"
    GOLDEN_UNUSABLE = "golden-unusable"
    DEFINITION_UNREADABLE = "definition-unreadable"
    CONFLICT = "conflict"
    OUTCOME_UNKNOWN = "outcome-unknown"
    UNAVAILABLE = "unavailable"
    ENDPOINT_BUSY = "endpoint-busy"
    SOURCE_UNREACHABLE = "source-unreachable"
    COPY_FAILED = "copy-failed"
    TRIED_AGAIN = "tried-again"
    MORE_TO_DO = "more-to-do"
    INVARIANT_BROKEN = "invariant-broken"
    DEPLOYMENT_SERVES = "deployment-serves"
    DOCUMENT_LOST = "document-lost"
    VERSION_FILE_LOST = "version-file-lost"
    ROW_UNREADABLE = "row-unreadable"
    ROW_OLDER = "row-older"
    ROW_NEWER = "row-newer"
    ROW_MISSING = "row-missing"
    IMPOSSIBLE_STEP = "impossible-step"

    # errors: events that cannot be used
    FOREIGN_ACCOUNT = "foreign-account"
    NO_BLOB = "no-blob"
    NO_ETAG = "no-etag"
    CONTAINER_NAME = "container-name"
    BLOB_NAME = "blob-name"
    NOT_JSON = "not-json"
    NOT_AN_OBJECT = "not-an-object"
    UNKNOWN_SCHEMA = "unknown-schema"
    UNKNOWN_MESSAGE = "unknown-message"
    OVERSIZED_EVENT = "oversized-event"
    NOT_COMMON_SCHEMA = "not-common-schema"
    UNKNOWN_ACTION = "unknown-action"
    NO_RELEASE_NUMBER = "no-release-number"

    # errors: answers of a source that cannot be used
    SOURCE_REFUSED = "source-refused"
    SOURCE_ENCODED = "source-encoded"
    SOURCE_NOT_JSON = "source-not-json"
    SOURCE_NO_ROWS = "source-no-rows"
    SOURCE_NESTED = "source-nested"
    FOREIGN_REDIRECT = "foreign-redirect"
    REDIRECT_LOOP = "redirect-loop"
    PRIVATE_ADDRESS = "private-address"

    # errors: drops that cannot be used (docs/reference-rejections.md)
    EMPTY_FILE = "empty-file"
    EMPTY_FOLDER = "empty-folder"
    HEADER_ONLY = "header-only"
    NOT_PARQUET = "not-parquet"
    NOT_CSV = "not-csv"
    NOT_GZIP = "not-gzip"
    UNSUPPORTED_FORMAT = "unsupported-format"
    TRUNCATED = "truncated"
    DAMAGED_PARQUET = "damaged-parquet"
    TOO_LARGE = "too-large"
    DECOMPRESSED_TOO_LARGE = "decompressed-too-large"
    TOO_MANY_COLUMNS = "too-many-columns"
    TOO_MANY_ROWS = "too-many-rows"
    TOO_MANY_ROW_GROUPS = "too-many-row-groups"
    FIELD_TOO_LARGE = "field-too-large"
    TOO_MUCH_MEMORY = "too-much-memory"
    TOO_SLOW = "too-slow"
    MISSING_TARGET = "missing-target"
    MISSING_ID = "missing-id"
    MISSING_COLUMN = "missing-column"
    RETYPED_COLUMN = "retyped-column"
    DUPLICATE_HEADER = "duplicate-header"
    EMPTY_HEADER = "empty-header"
    RAGGED_ROWS = "ragged-rows"
    BAD_ENCODING = "bad-encoding"
    UNPARSABLE_NUMBERS = "unparsable-numbers"
    MIXED_SCHEMAS = "mixed-schemas"
    UNSUPPORTED_COLUMN = "unsupported-column"
    HOLDOUT_IMPOSSIBLE = "holdout-impossible"
    UNREADABLE = "unreadable"
    READER_DIED = "reader-died"


@dataclass(frozen=True)
class Reason:
    """One thing that is said: why something happened, did not happen, or waits."""

    code: Code
    facts: Mapping[str, Fact] = field(default_factory=dict, hash=False)
    because: tuple[Reason, ...] = ()
    """What this rests on; the text shows it where it has `{because}`."""


def reason(code: Code, *because: Reason, **facts: Fact) -> Reason:
    """`reason(Code.COOLDOWN, until=…)`: the facts that the text of this code names, no more and no fewer."""
    return Reason(code, facts, because)
