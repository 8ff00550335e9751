"""What the product says is a code with typed facts; `shared/words` alone turns it into a sentence.

Nothing decides by a sentence: programs compare codes and read facts, people read `words.say(reason)`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

Fact = str | int | float | bool | None
"""A moment is ISO 8601 text in UTC; a list is text that is ready to be read."""


class Code(StrEnum):
    """Everything that may be said: outcomes, reasons, refusals, waits and findings. The value is stored and is the
    anchor of the code's row in docs/operations.md, where it has one; it never changes."""

    # release
    STEPS_REUSED = "steps-reused"
    JOB_RUNNING = "job-running"
    JOB_ENDED = "job-ended"
    JOB_TIMED_OUT = "job-timed-out"
    CHECK_RUNNING = "check-running"
    CHECK_FAILED = "check-failed"
    CHECK_TIMED_OUT = "check-timed-out"
    DEPLOYMENT_CREATING = "deployment-creating"
    DEPLOYMENT_FAILED = "deployment-failed"
    DEPLOYMENT_TIMED_OUT = "deployment-timed-out"
    DEPLOYMENT_DELETING = "deployment-deleting"
    TRAFFIC_PENDING = "traffic-pending"
    TRAFFIC_TIMED_OUT = "traffic-timed-out"
    TRAFFIC_SUSPECT = "traffic-suspect"
    TRAFFIC_ADOPTED = "traffic-adopted"
    STEP_RESTARTED = "step-restarted"
    PERSON_ACTED = "person-acted"
    OBSERVATION_FAILED = "observation-failed"
    RELEASE_STUCK = "release-stuck"
    ADOPTED_AS_SERVED = "adopted-as-served"
    RESTORE_NO_MODEL = "restore-no-model"
    RESTORE_NOT_NEEDED = "restore-not-needed"
    RESTORE_RELEASE_OPEN = "restore-release-open"
    RESTORE_UNKNOWN_DEPLOYMENT = "restore-unknown-deployment"
    REPLAY_POLICY_DIFFERS = "replay-policy-differs"
    REPLAY_VERDICT_DIFFERS = "replay-verdict-differs"
    REPLAY_OUTCOME_DIFFERS = "replay-outcome-differs"
    REPLAY_REASONS_DIFFER = "replay-reasons-differ"
    REPLAY_E_VALUE_DIFFERS = "replay-e-value-differs"
    REPLAY_UNREADABLE = "replay-unreadable"
    REPLAY_HASH_DIFFERS = "replay-hash-differs"

    # gate
    SMOKE_FAILED = "smoke-failed"
    SMOKE_PASSED = "smoke-passed"
    SMOKE_PASSED_GOLDEN = "smoke-passed-golden"
    SMOKE_NOTHING_ASKED = "smoke-nothing-asked"
    SMOKE_STATUS = "smoke-status"
    SMOKE_NO_PREDICTIONS = "smoke-no-predictions"
    SMOKE_COUNT = "smoke-count"
    SMOKE_MALFORMED = "smoke-malformed"
    SMOKE_SLOW = "smoke-slow"
    SMOKE_GOLDEN_COUNT = "smoke-golden-count"
    SMOKE_GOLDEN_DIFFERS = "smoke-golden-differs"
    ANSWER_IS_TEXT = "answer-is-text"
    ANSWER_IS_ERROR = "answer-is-error"
    ANSWER_IS_OBJECT = "answer-is-object"
    ANSWER_IS_OTHER = "answer-is-other"
    VALUE_NOT_FINITE = "value-not-finite"
    VALUE_NOT_CLASS = "value-not-class"
    VALUE_UNKNOWN_CLASS = "value-unknown-class"
    VALUE_EMPTY = "value-empty"
    GATE_PASSED = "gate-passed"
    GATE_FAILED = "gate-failed"
    GATE_INCONCLUSIVE = "gate-inconclusive"
    GATE_INCONCLUSIVE_PASSED = "gate-inconclusive-passed"
    GATE_MALFORMED = "gate-malformed"
    GATE_UNANSWERED = "gate-unanswered"
    GATE_UNUSABLE_ANSWERS = "gate-unusable-answers"
    GATE_NO_ROWS = "gate-no-rows"
    GATE_UNUSABLE_VALUES = "gate-unusable-values"
    GATE_MAPE_UNDEFINED = "gate-mape-undefined"
    GATE_TOO_FEW_ROWS = "gate-too-few-rows"
    GATE_FIRST_MODEL = "gate-first-model"
    GATE_DIFFERENCE = "gate-difference"
    GATE_FLOOR = "gate-floor"
    GATE_SLICE = "gate-slice"
    GATE_SLICE_COLUMN = "gate-slice-column"
    GATE_CALIBRATION = "gate-calibration"
    GATE_CALIBRATION_UNSTATED = "gate-calibration-unstated"

    # canary
    CANARY_PASSED = "canary-passed"
    CANARY_ROLLED_BACK = "canary-rolled-back"
    CANARY_INCONCLUSIVE = "canary-inconclusive"
    CANARY_WAITS = "canary-waits"
    BAKE_PASSED = "bake-passed"
    BAKE_ROLLED_BACK = "bake-rolled-back"
    BAKE_INCONCLUSIVE = "bake-inconclusive"
    BAKE_WAITS = "bake-waits"
    EVIDENCE_UNREADABLE = "evidence-unreadable"
    EVIDENCE_CONTRADICTORY = "evidence-contradictory"
    EVIDENCE_SHRANK = "evidence-shrank"
    EVIDENCE_INCOMPLETE = "evidence-incomplete"
    EVIDENCE_SHORT = "evidence-short"
    COUNTS_ERRORS = "counts-errors"
    COUNTS_LATENCY = "counts-latency"
    COUNTS_LABELS = "counts-labels"
    COUNTS_NEGATIVE = "counts-negative"
    CANARY_ALONE = "canary-alone"
    CANARY_SPLIT = "canary-split"
    CANARY_FEW_REQUESTS = "canary-few-requests"
    CANARY_METRIC_MISSING = "canary-metric-missing"
    CANARY_SUSPECTED = "canary-suspected"
    CANARY_NOT_EXCLUDED = "canary-not-excluded"
    CANARY_OUTAGE = "canary-outage"
    CANARY_ERRORS_NOTICED = "canary-errors-noticed"
    METRIC_UNMEASURED = "metric-unmeasured"
    METRIC_RATE = "metric-rate"
    METRIC_LATENCY = "metric-latency"
    METRIC_LOSS = "metric-loss"
    METRIC_SHIFT = "metric-shift"
    METRIC_SHADOW = "metric-shadow"
    BAKE_ERRORS = "bake-errors"
    BAKE_LATENCY = "bake-latency"
    BAKE_LAST_STEP = "bake-last-step"
    BAKE_SHORT = "bake-short"


@dataclass(frozen=True)
class Reason:
    """One thing that is said: why something happened, did not happen, or waits."""

    code: Code
    facts: Mapping[str, Fact] = field(default_factory=dict, hash=False)
    because: tuple[Reason, ...] = ()
    """What it rests on, for example the findings of a verdict."""

    def codes(self) -> frozenset[Code]:
        """Its code and those of all that it rests on."""
        return frozenset({self.code}).union(*(each.codes() for each in self.because))


def reason(code: Code, *because: Reason, **facts: Fact) -> Reason:
    """`reason(Code.COOLDOWN, until=…)`: the facts that the text of this code names, no more and no fewer."""
    return Reason(code, facts, because)
