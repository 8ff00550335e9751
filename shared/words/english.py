"""English. A text names its facts in braces, as `str.format` has them; short, active, the subject first.

Where a sentence depends on its facts, the text is a function that takes them by name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from shared.domain.reason import Code
from shared.words import judges

TEXTS: Mapping[Code, str | Callable[..., str]] = {
    # release
    Code.STEPS_REUSED: "steps reused, because nothing in them had changed: {steps}",
    Code.JOB_RUNNING: "Azure ML job {job}",
    Code.JOB_ENDED: lambda job, status, error: f"job {job} {status}: {error or 'no error text'}",
    Code.JOB_TIMED_OUT: "job {job} ran longer than `train.timeout` ({limit}) and was cancelled",
    Code.CHECK_RUNNING: "check {check}",
    Code.CHECK_FAILED: lambda check, status, error: f"check {check} {status}: {error or 'no error text'}",
    Code.CHECK_TIMED_OUT: "check {check} ran longer than `train.timeout` ({limit}) and was cancelled",
    Code.DEPLOYMENT_CREATING: "deployment {deployment}",
    Code.DEPLOYMENT_FAILED: "deployment {deployment} failed: {error}",
    Code.DEPLOYMENT_TIMED_OUT: "deployment {deployment} was not ready within {limit}",
    Code.DEPLOYMENT_DELETING: "a deployment to be deleted",
    Code.TRAFFIC_PENDING: "traffic to be as set",
    Code.TRAFFIC_TIMED_OUT: "traffic was not as set within {limit}",
    Code.TRAFFIC_SUSPECT: "traffic that seems to have been changed from outside to {traffic}",
    Code.TRAFFIC_ADOPTED: "a person, because its traffic was changed from outside to {traffic}",
    Code.STEP_RESTARTED: (
        "a worker that had stalled set an earlier split, {traffic}: step {step} begins anew"
    ),
    Code.PERSON_ACTED: lambda verb, actor, why: f"{verb} by {actor}: {why or 'no reason given'}",
    Code.OBSERVATION_FAILED: "{error}",
    Code.RELEASE_STUCK: "manual review, after {failures} failed attempts in a row",
    Code.ADOPTED_AS_SERVED: "adopted as it served",
    Code.RESTORE_NO_MODEL: (
        "restore does nothing: {loop} never had a model; `driftloop retrain {loop}` makes one"
    ),
    Code.RESTORE_NOT_NEEDED: "restore does nothing: {deployment} of release {release} has all traffic",
    Code.RESTORE_RELEASE_OPEN: "restore does nothing while release {release} is {phase}; abort it first",
    Code.RESTORE_UNKNOWN_DEPLOYMENT: (
        "restore does nothing: release {release} was adopted as it served, and its deployment's definition is "
        "unknown; deploy {deployment} by hand and give it all traffic"
    ),
    Code.REPLAY_POLICY_DIFFERS: "the policy is not the loop file's: {key} is {now}, stored is {stored}",
    Code.REPLAY_VERDICT_DIFFERS: "judged anew: {key} is {now}, stored is {stored}",
    Code.REPLAY_OUTCOME_DIFFERS: "the evidence gives {now}, the release's row says {stored}",
    Code.REPLAY_REASONS_DIFFER: "the reasons differ from those in the release's row",
    Code.REPLAY_E_VALUE_DIFFERS: "the evidence value differs from that in the release's row",
    Code.REPLAY_UNREADABLE: (
        "the evidence document cannot be judged: {error}; it is older than this version of Driftloop, or was changed"
    ),
    Code.REPLAY_HASH_DIFFERS: "{error}",
    # gate
    Code.SMOKE_FAILED: "smoke test failed",
    Code.SMOKE_PASSED: "{rows} rows answered, all well formed",
    Code.SMOKE_PASSED_GOLDEN: (
        "{rows} rows answered, all well formed, {golden} equal to what training recorded"
    ),
    Code.SMOKE_NOTHING_ASKED: "the deployment was asked nothing",
    Code.SMOKE_STATUS: "status {status}: {answer}",
    Code.SMOKE_NO_PREDICTIONS: "status 200 without predictions",
    Code.SMOKE_COUNT: "{predictions} predictions for {rows} rows",
    Code.SMOKE_MALFORMED: "{malformed} of {rows} predictions malformed",
    Code.SMOKE_SLOW: "{rows} rows took {latency_ms:.0f} ms; the limit is {limit_ms:.0f} ms",
    Code.SMOKE_GOLDEN_COUNT: "{predictions} predictions, but training recorded {recorded}",
    Code.SMOKE_GOLDEN_DIFFERS: (
        "{different} of {predictions} predictions differ from training's: {got} for {wanted}"
    ),
    Code.ANSWER_IS_TEXT: "a text instead of predictions: {text!r}",
    Code.ANSWER_IS_ERROR: "an error instead of predictions: {key}: {text!r}",
    Code.ANSWER_IS_OBJECT: "an object without predictions; its keys are {keys}",
    Code.ANSWER_IS_OTHER: "{type} instead of predictions",
    Code.VALUE_NOT_FINITE: "{value} is not a finite number",
    Code.VALUE_NOT_CLASS: "{value} is not a class",
    Code.VALUE_UNKNOWN_CLASS: "{value} is not a known class ({known})",
    Code.VALUE_EMPTY: "an empty text is not a class",
    Code.GATE_PASSED: "gate passed",
    Code.GATE_FAILED: "gate failed",
    Code.GATE_INCONCLUSIVE: "gate inconclusive",
    Code.GATE_INCONCLUSIVE_PASSED: "gate inconclusive, passed because `gate.on_inconclusive` is promote",
    Code.GATE_MALFORMED: "malformed answers",
    Code.GATE_UNANSWERED: "the challenger answered {answers} of {rows} rows",
    Code.GATE_UNUSABLE_ANSWERS: "{unusable} of the challenger's {rows} answers are not usable predictions",
    Code.GATE_NO_ROWS: "there are no holdout rows",
    Code.GATE_UNUSABLE_VALUES: "the {of}'s values cannot be used: missing, or not usable",
    Code.GATE_MAPE_UNDEFINED: "mape is not defined: some true values are 0",
    Code.GATE_TOO_FEW_ROWS: "{rows} holdout rows are too few to judge {metric}; at least {least} are needed",
    Code.GATE_FIRST_MODEL: "first model, and no floor is set: nothing to compare with",
    Code.GATE_DIFFERENCE: judges.difference,
    Code.GATE_FLOOR: judges.floor,
    Code.GATE_SLICE: judges.slice_floor,
    Code.GATE_SLICE_COLUMN: "the holdout has no column {column!r} to slice by",
    Code.GATE_CALIBRATION: judges.calibration,
    Code.GATE_CALIBRATION_UNSTATED: (
        "`gate.calibration` is set, but the deployment does not state a probability for each of its answers"
    ),
    # canary
    Code.CANARY_PASSED: "canary step {step} of {steps} passed",
    Code.CANARY_ROLLED_BACK: "worse in canary step {step} of {steps}",
    Code.CANARY_INCONCLUSIVE: "canary step {step} of {steps} inconclusive",
    Code.CANARY_WAITS: "more evidence",
    Code.BAKE_PASSED: "bake time passed",
    Code.BAKE_ROLLED_BACK: "worse after promotion",
    Code.BAKE_INCONCLUSIVE: "bake time over without enough evidence",
    Code.BAKE_WAITS: "the bake time",
    Code.EVIDENCE_UNREADABLE: lambda note: f"the evidence could not be read{f': {note}' if note else ''}",
    Code.EVIDENCE_CONTRADICTORY: "the {arm}'s evidence contradicts itself",
    Code.EVIDENCE_SHRANK: (
        "the evidence shrank from {before} requests to {now} within a step; counts must be cumulative since the "
        "step began"
    ),
    Code.EVIDENCE_INCOMPLETE: "no evidence of this step is complete yet",
    Code.EVIDENCE_SHORT: "evidence covers {covered_s:.0f} s of the {minimum_s:.0f} s that a step takes at least",
    Code.COUNTS_ERRORS: "{errors} errors in {requests} requests",
    Code.COUNTS_LATENCY: "a latency histogram of {bins} bins, the grid has {grid}",
    Code.COUNTS_LABELS: "{wrong} wrong of {labelled} labelled, {bins} loss bins",
    Code.COUNTS_NEGATIVE: "a negative count",
    Code.CANARY_ALONE: "a canary at {weight_pct} % has nothing beside it to be compared with",
    Code.CANARY_SPLIT: (
        "the canary gets {observed_pct:.1f} % of the requests, but {weight_pct} % is set: the router does not do "
        "what was set, so nothing is promoted on this comparison"
    ),
    Code.CANARY_FEW_REQUESTS: "the {arm} has {requests} requests of at least {least}",
    Code.CANARY_METRIC_MISSING: "{metric} is required and has {observations} observations of the canary",
    Code.CANARY_SUSPECTED: "suspicious, not proven",
    Code.CANARY_NOT_EXCLUDED: "harm is not excluded",
    Code.CANARY_OUTAGE: "{rate:.0%} of the canary's answers are errors; nothing is promoted in an outage",
    Code.CANARY_ERRORS_NOTICED: (
        "on this sample {errors} errors of the canary ({rate:.1%}) would have rolled it back"
    ),
    Code.METRIC_UNMEASURED: judges.unmeasured,
    Code.METRIC_RATE: judges.rate,
    Code.METRIC_LATENCY: judges.latency,
    Code.METRIC_LOSS: judges.loss,
    Code.METRIC_SHIFT: judges.shift,
    Code.METRIC_SHADOW: judges.shadow,
    Code.BAKE_ERRORS: (
        "errors after promotion: {hits} of {requests} errors; the champion's in the last step was {before:.1%}; "
        "tolerated {limit:.1%}"
    ),
    Code.BAKE_LATENCY: (
        "latency after promotion: {hits} of {requests} answers slower than {edge_ms:.0f} ms, {ratio:g} times the "
        "champion's {quantile:.0%} quantile; tolerated {limit:.1%}"
    ),
    Code.BAKE_LAST_STEP: "the last canary step, by now",
    Code.BAKE_SHORT: ("evidence covers {covered_s:.0f} s of the {bake_s:.0f} s bake, {requests} requests"),
}
