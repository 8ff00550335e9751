"""English. A text names its facts in braces, as `str.format` has them; short, active, the subject first.

Where a sentence depends on its facts, the text is a function that takes them by name. What a reason rests on stands at
`{because}`, or else at the end.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from shared.domain.reason import Code
from shared.words import judges, models


def _so_far(
    currency: str, day: float, month: float, day_limit: float | None, month_limit: float | None
) -> str:
    def of(limit: float | None) -> str:
        return "" if limit is None else f" of {limit:.2f}"

    return f"{day:.2f}{of(day_limit)} {currency} today, {month:.2f}{of(month_limit)} this month"


TEXTS: Mapping[Code, str | Callable[..., str]] = {
    # release
    Code.STEPS_REUSED: "steps reused, because nothing in them had changed: {steps}",
    Code.STEPS_TOOK: "node time by step: {because}",
    Code.STEP_TOOK: models.step_took,
    Code.STEP_REUSED: "{step} reused",
    Code.JOB_RUNNING: "Azure ML job {job}",
    Code.JOB_ENDED: lambda job, status, error: f"job {job} {status}: {error or 'no error text'}",
    Code.JOB_TIMED_OUT: "job {job} ran longer than `train.timeout` ({limit}) and was cancelled",
    Code.CHECK_RUNNING: "check {check}",
    Code.CHECK_FAILED: lambda check, status, error: f"check {check} {status}: {error or 'no error text'}",
    Code.CHECK_TIMED_OUT: "check {check} ran longer than `train.timeout` ({limit}) and was cancelled",
    Code.SCORING_RUNS: "batch job {job}, which scores rows",
    Code.SCORING_TIMED_OUT: "batch job {job} had not ended within `train.timeout` ({limit})",
    Code.DEPLOYMENT_CREATING: "deployment {deployment}",
    Code.DEPLOYMENT_FAILED: "deployment {deployment} failed: {error}",
    Code.DEPLOYMENT_TIMED_OUT: "deployment {deployment} was not ready within {limit}",
    Code.DEPLOYMENT_DELETING: "a deployment to be deleted",
    Code.MACHINES_COMING: "deployment {deployment} to have {machines} machines before it gets more traffic",
    Code.CHALLENGER_GONE: (
        "deployment {deployment} was deleted outside Driftloop before it got its share of traffic"
    ),
    Code.CHAMPION_GONE: (
        "deployment {deployment} of endpoint {endpoint}, which all traffic is to go back to, is gone; "
        "`driftloop restore {loop}` deploys it again"
    ),
    Code.ENDPOINT_DELETED: "endpoint {endpoint} was deleted outside Driftloop, with every deployment on it",
    Code.MACHINES_REFUSED: "deployment {deployment} did not get {machines} machines: {error}",
    Code.MACHINES_TIMED_OUT: "deployment {deployment} did not have {machines} machines within {limit}",
    Code.TRAFFIC_PENDING: "traffic to be as set",
    Code.TRAFFIC_TIMED_OUT: "traffic was not as set within {limit}",
    Code.LOOKS_FAILED: "no look at it succeeded for {hours:g} hours: a model that nobody can watch gets no requests",
    Code.TRAFFIC_SUSPECT: "traffic that seems to have been changed from outside to {traffic}",
    Code.TRAFFIC_KEPT: "{actor} keeps the traffic that was set from outside, {traffic}",
    Code.TRAFFIC_SHARED: (
        "a deployment that is neither the champion's nor the challenger's has traffic: approve goes on with the next "
        "step of the loop file, abort gives all traffic to the champion"
    ),
    Code.TRAFFIC_ADOPTED: "a person, because its traffic was changed from outside to {traffic}",
    Code.STEP_RESTARTED: (
        "a worker that had stalled set an earlier split, {traffic}: step {step} starts again"
    ),
    Code.STEP_KEPT: "paused before more was given: step {step} goes on with {traffic}",
    Code.RELEASE_FROZEN: "the loop to go on; traffic stays, evidence is gathered, and proven harm is still rolled back",
    Code.PERSON_ACTED: lambda verb, actor, why: f"{verb} by {actor}: {why or 'no reason given'}",
    Code.OBSERVATION_FAILED: "{because}",
    Code.RELEASE_GIVEN_UP: "given up after {failures} attempts",
    Code.RELEASE_STUCK: "manual review, after {failures} failed attempts in a row",
    Code.ADOPTED_AS_SERVED: "adopted as it served",
    Code.ROLLBACK_ASKED_FOR: "rollback to release {release}: {why}",
    Code.MODEL_ASKED_FOR: models.asked_for,
    Code.PROMOTION_ASKED_FOR: (
        "promotion of release {release} of {loop} in {environment}, live there with entry {entry} of its ledger (hash "
        "{hash}), as {model}, evidence {evidence}: {why}"
    ),
    Code.MODEL_REGISTERED: models.registered,
    Code.DEPLOYMENTS_LOOKED_AT: "the deployments of endpoint {endpoint} were looked at",
    Code.STRANGERS: "somebody else deployed on endpoint {endpoint}: {deployments}; Driftloop leaves it alone",
    Code.NO_STRANGERS: "nobody else has a deployment on endpoint {endpoint} any more",
    Code.TRAINING_UNKNOWN: "its training is not on record: no data version, no job, no commit",
    Code.COMMIT: models.commit,
    Code.IMPORTANCE_UNUSABLE: "importance.json of its training cannot be used ({why}); nothing depends on it",
    Code.EXPLAINED: models.goes_by,
    Code.EXPLAINED_OTHERWISE: models.goes_by,
    Code.GATE_NOT_ASKED: "smoke test passed, no gate was asked for",
    Code.ANOTHER_RELEASE_OPEN: (
        "{verb} does nothing while release {release} is {phase:plain}; wait for its end, or abort it"
    ),
    Code.NOBODY_TO_COMPARE_WITH: "{verb} does nothing: {because}",
    Code.ROLLBACK_NO_RELEASE: "rollback does nothing: {loop} has no release {release}",
    Code.ROLLBACK_NEVER_LIVE: "rollback does nothing: release {release} did not stay live, it is {phase:plain}",
    Code.ROLLBACK_UNKNOWN_DEPLOYMENT: (
        "rollback does nothing: release {release} was adopted while it served, and how it was deployed is unknown; "
        "`driftloop release LOOP MODEL:VERSION` deploys its model ({model}) as the loop deploys models now"
    ),
    Code.ROLLBACK_DIFFERS: (
        "rollback does nothing: the row of release {release} is not what the ledger says; `driftloop audit {loop}`"
    ),
    Code.DEFINITION_GONE: "rollback does nothing: the definition of release {release} cannot be read: {error}",
    Code.ENVIRONMENT_GONE: "rollback does nothing: the environment of release {release} is gone: {asset}",
    Code.CODE_GONE: "rollback does nothing: the scoring code of release {release} is gone: {asset}",
    Code.CODE_DIFFERS: (
        "rollback does nothing: {asset} of release {release} was made again with other content: "
        "its SHA-256 is {found}, it was published with {known}"
    ),
    Code.MODEL_GONE: "{verb} does nothing: model {model} does not exist",
    Code.MODEL_ARCHIVED: (
        "{verb} does nothing: model {model} is archived; take it back with `az ml model restore`"
    ),
    Code.MODEL_DIFFERS: (
        "rollback does nothing: model {model} was registered again: it came from job {job}, and is now from {found}"
    ),
    Code.MODEL_SERVES: "nothing to do: model {model} serves already, in release {release}",
    Code.MODEL_NOT_MLFLOW: (
        "model {model} is not released: without scoring code Azure ML serves MLflow models, and it is {kind}; register "
        "it as one, or give the loop `serve.scoring`"
    ),
    Code.MODEL_NO_SIGNATURE: (
        "model {model} is not released: it has no signature, so nobody can tell whether it takes the loop's columns; "
        "save it with `signature=infer_signature(...)`"
    ),
    Code.MODEL_LACKS_PACKAGES: "model {model} is not released: {lacks}",
    Code.MODEL_COLUMNS_DIFFER: models.columns_differ,
    Code.MODEL_NO_ROWS: (
        "release does nothing: {loop} has no labelled data version in its `data.window` to judge a model on"
    ),
    Code.MODEL_NOT_ASKED: "model {model} is not released: the loop's `models` does not ask for it, or not any more",
    Code.PROMOTION_UNREADABLE: "promotion does nothing: its evidence {evidence} cannot be read: {error}",
    Code.PROMOTION_MISDIRECTED: (
        "promotion does nothing: it is about {found}, and this is {loop} in {environment}; promote between two "
        "environments of one loop"
    ),
    Code.PROMOTION_HAS_CHECKS: (
        "promotion does nothing: {loop} has `gate.checks` in {environment}, and no job can be given a model of a "
        "registry; let them run where it is trained, and publish {environment} with no `gate.checks`"
    ),
    Code.PROMOTION_ANOTHER_MODEL: (
        "promotion does nothing: {model} is not the model that was tested: it came from {found}, not from job {wanted}"
    ),
    Code.PROMOTION_DIFFERS: (
        "promotion does nothing: the {part} of {loop} is {now} in {environment}, and was {was} in {tested}; publish to "
        "{environment} the folder that was tested"
    ),
    Code.PROMOTION_NOT_LIVE: (
        "{loop}/{release} is not shared: it is {phase}, and only what went live is promoted"
    ),
    Code.PROMOTION_CONTENT_UNKNOWN: (
        "{loop}/{release} is not shared: what its scoring code and environment held was not put on record; publish the "
        "loop again and release a model with that"
    ),
    Code.PROMOTION_NO_ENVIRONMENT: (
        "{loop}/{release} is not shared: it ran in no environment; publish the loop with --to, and release a model"
    ),
    Code.ORIGIN_DIFFERS: "the evidence of {environment} for release {release}: {name} is {found}, expected {proven}",
    Code.MODEL_SUPERSEDED: "model {model} is not released: a newer one was registered while it waited",
    Code.RESTORE_NO_MODEL: (
        "restore does nothing: {loop} never had a model; `driftloop retrain {loop}` makes one"
    ),
    Code.RESTORE_NOT_NEEDED: "restore does nothing: {deployment} of release {release} has all traffic",
    Code.RESTORE_RELEASE_OPEN: (
        "restore does nothing while release {release} is {phase:plain}: `driftloop abort {loop}/{release}` first"
    ),
    Code.RESTORE_RELEASE_ENDS: (
        "restore does nothing while release {release} is {phase:plain}: that ends by itself, so ask again once it has"
    ),
    Code.RESTORE_UNKNOWN_DEPLOYMENT: (
        "restore does nothing: release {release} was adopted while it served, and how it was deployed is unknown; "
        "deploy {deployment} by hand and give it all traffic"
    ),
    Code.REPLAY_POLICY_DIFFERS: "the policy is not the loop file's: {key} is {now}, stored is {stored}",
    Code.REPLAY_VERDICT_DIFFERS: "judged again: {key} is {now}, stored is {stored}",
    Code.REPLAY_OUTCOME_DIFFERS: "the evidence gives {now}, the release's row says {stored}",
    Code.REPLAY_REASONS_DIFFER: "the reasons differ from those in the release's row",
    Code.REPLAY_E_VALUE_DIFFERS: "the evidence value differs from that in the release's row",
    Code.REPLAY_UNREADABLE: (
        "the evidence document cannot be judged: {error}; it is older than this version of Driftloop, or was changed"
    ),
    Code.REPLAY_HASH_DIFFERS: "{error}",
    Code.REPLAY_NOT_KEPT: "its evidence could not be stored when it was rolled back",
    # audit
    Code.LEDGER_ENTRY_MISSING: "ledger entry {entry} is missing or out of order: entry {instead} stands in its place",
    Code.LEDGER_LINK_BROKEN: "ledger entry {entry} does not follow the entry before it",
    Code.LEDGER_ENTRY_EDITED: "ledger entry {entry} ({what}) was changed after it was written",
    Code.LEDGER_HEAD_DIFFERS: "the ledger ends at entry {ends}, the loop's row names entry {head} as its last",
    Code.AUDIT_DIFFERS: "{place}: {name} is {found}, the ledger says {proven}",
    Code.AUDIT_MISSING: "{place} is gone; the ledger names it",
    Code.AUDIT_UNREADABLE: "{error}",
    Code.AUDIT_DOCUMENT: "a document of {of}: {error}",
    Code.AUDIT_NOT_COMPARED: "not compared: {error}",
    Code.AUDIT_TRAFFIC_MOVES: (
        "not compared: the endpoint's traffic, which release {release} ({phase:plain}) is just moving"
    ),
    Code.AUDIT_ENDS_EARLIER: "not compared: the endpoint, because what was read ends with entry {entry}, before now",
    Code.EXPORT_ANCHOR: (
        "whoever writes entries {first} to {last} anew, hashes and all, goes unnoticed here: compare the hash of entry "
        "{last} with its event on the topic, or export the release again"
    ),
    Code.EXPORT_ALONE: (
        "what came before entry {first}, the data, the model and the endpoint are not in this file: "
        "`driftloop audit {loop}` compares them"
    ),
    Code.EXPORT_UNNAMED: (
        "the release's row alone names {count} of the evidence documents; no ledger entry has their hash"
    ),
    Code.EXPORT_WITHOUT_IDS: (
        "the gate's evidence {digest} is without its rows' ids, so its hash cannot be checked; `--with-ids` keeps them"
    ),
    Code.EXPORT_REDACTED: (
        "document {digest} is without what looks like a secret, so its hash cannot be checked"
    ),
    Code.EXPORT_LEFT_OUT: (
        "{count} evidence documents are not in this file, which holds {limit_mb} MB of them: their verdicts cannot be "
        "replayed from it"
    ),
    Code.EXPORT_CUT: (
        "this file holds the first {limit} ledger entries since the release began; it goes on after entry {last}"
    ),
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
    Code.GATE_OVERTAKEN: (
        "gate inconclusive, and nobody decided until version {version} brought newer labelled rows to train on"
    ),
    Code.GATE_INCONCLUSIVE_PASSED: "gate inconclusive, passed because `gate.on_inconclusive` is promote",
    Code.GATE_MALFORMED: "malformed answers",
    Code.GATE_UNANSWERED: "the challenger answered {answers} of {rows} rows",
    Code.GATE_UNUSABLE_ANSWERS: "{unusable} of the challenger's {rows} answers are not usable predictions",
    Code.GATE_NO_ROWS: "there are no holdout rows",
    Code.GATE_UNUSABLE_VALUES: "the {of}'s values cannot be used: missing, or not usable",
    Code.GATE_MAPE_UNDEFINED: "mape is not defined: some true values are 0",
    Code.GATE_TOO_FEW_ROWS: "{rows} holdout rows are too few to judge {metric}; at least {least} are needed",
    Code.GATE_CLASS_TOO_RARE: judges.class_too_rare,
    Code.GATE_FIRST_MODEL: "first model, and no floor is set: nothing to compare with",
    Code.GATE_DIFFERENCE: judges.difference,
    Code.GATE_FLOOR: judges.floor,
    Code.GATE_SLICE: judges.slice_floor,
    Code.GATE_SLICE_DIFFERENCE: judges.slice_difference,
    Code.GATE_PARITY: judges.parity,
    Code.GATE_PARITY_FEW: lambda column, measure, small: (
        f"{measure} by {column}: fewer than two groups have enough rows to be compared"
        f"{f'; too small: {small}' if small else ''}"
    ),
    Code.GATE_PARITY_NO_CLASS: (
        "`gate.parity` looks for class {positive}, which neither the holdout nor the answers have"
    ),
    Code.GATE_FUNCTION: judges.function_found,
    Code.GATE_FUNCTION_BY_CHANCE: (
        "function {name}: {text} (p = {p_value:.2g}); not below {least:.2g}, so that it may be chance, and passes"
    ),
    Code.GATE_FUNCTION_LIES: (
        "function {name} claims false p-values: with the two models' answers exchanged at random {splits} times "
        "it came to p <= {at:g} {below} times, where about {due:.0f} are due; what it says settles nothing: {text}"
    ),
    Code.GATE_SLICE_COLUMN: "the holdout has no column {column!r} to slice by",
    Code.GATE_CALIBRATION: judges.calibration,
    Code.GATE_CALIBRATION_UNSTATED: (
        "`gate.calibration` is set, but the deployment does not state a probability for each of its answers"
    ),
    Code.GATE_PROBABILITIES_UNSTATED: (
        "the challenger states no probability for {unstated} of the rows, and {metric} is made of them: "
        "its scoring code must answer with `probabilities` beside `predictions`"
    ),
    Code.GATE_CHAMPION_UNSTATED: (
        "the champion states no probability for {unstated} of the rows, so {metric} cannot be compared"
    ),
    # canary
    Code.CANARY_PASSED: "canary step {step} of {steps} passed",
    Code.CANARY_ROLLED_BACK: "worse in canary step {step} of {steps}",
    Code.CANARY_INCONCLUSIVE: "canary step {step} of {steps} inconclusive",
    Code.CANARY_TIMED_OUT: "rolled back: the canary's evidence did not come in {hours:g} hours (canary.on_timeout)",
    Code.CANARY_WAITS: "more evidence",
    Code.BAKE_PASSED: "bake time passed",
    Code.BAKE_ROLLED_BACK: "worse after promotion",
    Code.BAKE_INCONCLUSIVE: "bake time over without enough evidence",
    Code.BAKE_TIMED_OUT: (
        "rolled back: no evidence of the promoted model came in {hours:g} hours after the bake (canary.on_timeout)"
    ),
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
    Code.GATE_EVIDENCE_LOST: "the gate's evidence, by which answers are counted, is lost: only errors and latency are",
    Code.STEP_EVIDENCE_LOST: "what the champion showed in the last canary step is lost: only errors are compared",
    Code.CANARY_FEW_REQUESTS: judges.few_requests,
    Code.CANARY_NAMELESS: "{requests} requests name no caller (canary.unit: {unit}), and do not count",
    Code.CANARY_METRIC_MISSING: "{metric} is required and has {observations} observations of the canary",
    Code.CANARY_SUSPECTED: "suspicious, not proven",
    Code.CANARY_NOT_EXCLUDED: "harm is not excluded",
    Code.CANARY_OUTAGE: "{rate:.0%} of the canary's answers are errors; nothing is promoted in an outage",
    Code.CANARY_BOUNDARY: (
        "{hits} of {in_all} errors are the canary's; {needed} are more than chance explains (exact test over the "
        "step's longest time)"
    ),
    Code.CANARY_CLUMPED: (
        "errors come in clumps that keep to one arm, {ratio:.1f} times as uneven as single requests: an instance has "
        "bad moments of its own, or callers keep to one arm, in which case the rate of false rollbacks does not hold "
        "while each request counts (canary.unit)"
    ),
    Code.CANARY_ERRORS_NOTICED: (
        "on this sample {errors} errors of the canary ({rate:.1%}) would have rolled it back"
    ),
    Code.METRIC_UNMEASURED: judges.unmeasured,
    Code.METRIC_RATE: judges.rate,
    Code.METRIC_LATENCY: judges.latency,
    Code.METRIC_LOSS: judges.loss,
    Code.METRIC_SHIFT: judges.shift,
    Code.METRIC_SHADOW: judges.shadow,
    Code.METRIC_SIGNAL: judges.signal,
    Code.SIGNAL_VALUE: judges.signal_value,
    Code.SIGNAL_PAST: "{signal} is worse than it may be, and the loop file needs it",
    Code.SIGNAL_MISSING: "no answer of signal {signal}",
    Code.SIGNAL_LATE: (
        "signal {signal} covers {covered_s:.0f} s of the {minimum_s:.0f} s that a step takes at least"
    ),
    Code.SIGNAL_SHRANK: "it counted {before} before and {now} now; counts must be cumulative since the step began",
    Code.SIGNAL_UNFIT: "its answer lacks {lacks}",
    Code.BAKE_ERRORS: (
        "errors after promotion: {hits} of {requests} errors; the champion's in the last step was {before:.1%}; "
        "tolerated {limit:.1%}"
    ),
    Code.BAKE_OUTAGE: (
        "errors after promotion: {hits} of {requests} errors; no canary step was measured to compare them with; "
        "tolerated {limit:.0%}"
    ),
    Code.BAKE_LATENCY: (
        "latency after promotion: {hits} of {requests} answers slower than {edge_ms:.0f} ms, {ratio:g} times the "
        "champion's {quantile:.0%} quantile; tolerated {limit:.1%}"
    ),
    Code.BAKE_LAST_STEP: "the last canary step, by now",
    Code.BAKE_WAITS_FOR_LABELS: "labels ({wanted}) that the bake does not end without",
    Code.LABELS_PROVISIONAL: lambda labelled, collected, until: (
        f"provisional: {labelled} of {collected} predictions of the last step have labels; final "
        + (
            f"from {until[:16].replace('T', ' ')} UTC on"
            if isinstance(until, str)
            else "once it is known how long labels take"
        )
    ),
    Code.LABELS_MATURE: "final: {labelled} of {collected} predictions of the last step have labels",
    Code.LABELS_FINAL_GOOD: (
        "final: {labelled} of {collected} labels of release {release}'s canary, which do not show it to be worse"
    ),
    Code.LABELS_FINAL_WORSE: (
        "final: {labelled} of {collected} labels of release {release}'s canary show it to be worse; "
        "`driftloop rollback {loop} --to {before}` goes back"
    ),
    Code.LABELS_FINAL_NONE: "final: no label has come for what release {release}'s canary predicted",
    Code.BAKE_SHORT: ("evidence covers {covered_s:.0f} s of the {bake_s:.0f} s bake, {requests} requests"),
    # inbox
    Code.BECAME_VERSION: "version {version}",
    Code.FOLDER_END_ALONE: "{name} ends a folder, but lies in the landing prefix itself",
    Code.FOLDER_NOT_QUIET: "part of the folder {folder}; read once nothing has landed there for {quiet:span}",
    Code.FOLDER_READ: "part of the folder {folder}, which was read as version {version}",
    Code.FOLDER_READ_ONCE: (
        "part of the folder {folder}, which was read as version {version}; read again when {end} lands again"
    ),
    Code.LATE_FILE: (
        "it landed after its folder {folder} was read as version {version}: land it in a folder of its own, or land "
        "_SUCCESS there to have the whole folder read again"
    ),
    Code.FOLDER_PART: "part of the folder {folder}/; read when {end} lands, or a commit of its Delta table",
    Code.HIDDEN_NAME: "names that start with _ or . are not data",
    Code.UNFINISHED_NAME: "its name says that it is still being written; it is read once it has another",
    Code.TABLE_FOLDER: "{folder} is a Delta table, which is read at each of its commits",
    Code.DELTA_AT_LANDING: (
        "a commit of a Delta table that lies in the landing prefix itself, so that each of its files is a drop of its "
        "own; write the table into a folder below it"
    ),
    Code.DELTA_NO_CHANGE: "commit {commit} of {table} changes no row",
    Code.DELTA_EMPTY: "{table} has no row at commit {commit}",
    Code.DELTA_OVERTAKEN: "commit {commit} of the Delta table {table}: a later one of its commits is read instead",
    Code.ALERT_WITHDRAWN: "not retrained: alert rule {rule} was resolved while its request waited",
    Code.ALERT_RESOLVED: "the alert is resolved, not fired",
    Code.NO_LANDING: "{blob} is neither below a loop's `data.landing` nor below a loop's `data.labels`",
    Code.NO_ALERT_PATTERN: "no loop's `retrain.alerts` matches alert rule {rule}",
    Code.NO_MONITOR_PATTERN: "no loop's `retrain.alerts` matches monitor {monitor} or its signals",
    Code.NO_MODEL_KEY: "no loop's `models` asks for model {model} with its tags",
    Code.NO_LOOP: "there is no loop {loop}",
    Code.POISON: "handling this event failed five times; the log of function `inbox` says why",
    Code.POISON_TAKEN_NAMES: (
        "handling this event failed five times: its keys {keys} are named like the queue's own metadata, so Azure "
        "Functions could not hand it over"
    ),
    Code.REPLAYED: "recorded again for {loops}; was {was}",
    Code.DEAD_LETTER: "Event Grid could not deliver {letter} ({why}); recorded for {loops}",
    Code.DEAD_LETTER_NO_LOOP: "Event Grid could not deliver {letter} ({why}); it concerns no loop",
    Code.DEAD_LETTER_UNREADABLE: "Event Grid could not deliver {letter}; it cannot be read: {why}",
    Code.ACT_DONE: "release {release}: {before:plain} -> {after:plain}",
    Code.ACT_NEEDS_DEFINITION: (
        "{verb} does nothing: what {loop} was published with cannot be read ({error}); publish it, then ask again. "
        "`driftloop abort` of an open release and `driftloop pause {loop}` work now"
    ),
    Code.ACT_OUT_OF_PLACE: "{verb} does nothing while release {release} is {phase:plain}",
    Code.ACT_WHILE_FROZEN: (
        "{verb} does nothing while {loop} is paused or in `mode: observe`: `driftloop resume {loop}`, or publish it "
        "with `mode: act`; `driftloop abort` and `rollback` of an open release work now"
    ),
    Code.ACT_UNPROVEN: (
        "{verb} does nothing: {loop} asks for roles (`people` in its loop file), and nobody vouches for who wrote to "
        "the queue; use the control tower, or POST /api/loops/{loop}/{verb}"
    ),
    Code.ROLE_MISSING: (
        "no role for {verb} on {loop}: it takes {roles}; ask the owner of the Driftloop app registration"
    ),
    Code.GROUPS_LEFT_OUT: (
        "no role for {verb} on {loop}: it takes {roles}, and your sign-in names no group, for you are in too many; "
        "ask the owner of the Driftloop app registration to give one of your groups an app role"
    ),
    Code.OWN_PUBLICATION: (
        "{verb} is not for {actor}, who published what this release of {loop} runs with; ask somebody else"
    ),
    Code.SECOND_PERSON: "{verb} by {actor}; a second person is needed",
    Code.SAME_PERSON: "{verb} does nothing: {actor} is on record for release {release}; a second person is needed",
    Code.RELEASE_NOT_OPEN: lambda verb, release, loop: (
        f"{verb} does nothing: "
        + (f"release {release} of {loop} is not open" if release else f"no release of {loop} is open")
    ),
    Code.NOT_PAUSED: "resume does nothing: {loop} is not paused",
    Code.PAUSED_ALREADY: "pause does nothing: {loop} is already {because}",
    Code.READ_AGAIN: "{source} is read again",
    Code.NO_QUARANTINED_DROP: "replay does nothing: there is no quarantined drop {drop}",
    Code.RESTORE_DEPLOYED: "{deployment} is {state}; release {release} continues by itself",
    # intake
    Code.DELETED: "the blob was deleted before it was read",
    Code.OVERWRITTEN: "the blob was overwritten before it was read; the newer one counts",
    Code.SAME_CONTENT: "the same content as version {version}",
    Code.GIVEN_UP: "failed {attempts} times, last with: {text}",
    Code.FINDING: "{text}",
    Code.READING_BY_JOB: models.reading_by_job,
    Code.READ_BY_JOB: models.read_by_job,
    Code.READING_FAILED: models.reading_failed,
    Code.READING_TIMED_OUT: (
        "job {job}, which was to read the drop, ran longer than `data.spark.timeout` and was cancelled"
    ),
    Code.READING_CHANGED: "{file} was overwritten or deleted while job {job} read the drop",
    Code.READING_ANEW: "the drop is read anew: what it is compared with, or the loop, changed while job {job} read it",
    Code.LABELS_JOINED: (
        "{rows} labels match {joined} of {collected} collected predictions ({share:.0%}) "
        "of release {release}; {because}"
    ),
    Code.LABELS_NEED_PROBABILITIES: (
        "{metric} is made of probabilities, which the data collector does not keep: it is measured on labelled drops"
    ),
    Code.LABELS_BY_SLICE: (
        "by slice, the worst {told} of {slices} ({small} more have too few labels): {because}"
    ),
    Code.LABELS_SLICE: "{slice}: {because}",
    Code.LABELS_NO_MODEL: "{rows} labels: no model serves yet",
    # verdict
    Code.VERSION_JUDGED: "version {version}: {because}",
    Code.NO_CHAMPION: "no champion yet, so there is nothing to compare with",
    Code.DRIFT_OFF: "drift is not tested: `drift.enabled` is false",
    Code.COLUMN_MOVED: "{change}",
    Code.COLUMNS_MOVED_MORE: "and {columns:,} more columns",
    Code.SLICES_JUDGED: judges.slices_judged,
    Code.SLICES_UNKNOWN: "not judged by slice: no slice of {columns} is on both sides",
    Code.NO_MATERIAL_DRIFT: "{headline}",
    Code.UNUSUAL_DROP: partial(judges.among_past, unusual=True),
    Code.USUAL_DROP: partial(judges.among_past, unusual=False),
    Code.FEW_PAST_DROPS: (
        "rows depend on each other, so that tests of rows do not hold, and the number of past drops, {past}, is too "
        "small to compare with ({least} are needed): no verdict on drift"
    ),
    Code.REFERENCE_NOT_THERE: (
        "version {version}, which drift.reference names, is not there yet: compared with the champion's training data"
    ),
    Code.METRIC_BREACHED: (
        "{metric} is {value:.4f} ({low:.4f} to {high:.4f}) on {rows} rows: "
        "significantly {side} the threshold of {threshold:g}"
    ),
    Code.METRIC_PAST_BY_CHANCE: (
        "{metric} is {value:.4f} ({low:.4f} to {high:.4f}) on {rows} rows: "
        "{side} the threshold of {threshold:g}, which may be chance"
    ),
    Code.METRIC_MEASURED: "{metric} is {value:.4f} ({low:.4f} to {high:.4f}) on {rows} rows",
    Code.METRIC_MET: (
        "{metric} is {value:.4f} ({low:.4f} to {high:.4f}) on {rows} rows: meets the threshold of {threshold:g}"
    ),
    Code.METRIC_OF_DROPS: (
        "release {release} came to {value:.4f} at its gate and on {drops} drops, varies between drops by "
        "{between:.4f}, and may be worse by {worse_by:g}"
    ),
    Code.METRIC_OF_DROPS_ALONE: (
        "release {release} came to {value:.4f} on {drops} drops, varies between drops by {between:.4f}, and may be "
        "worse by {worse_by:g}"
    ),
    Code.METRIC_OF_GATE: "release {release} reached {value:.4f} at its gate, and may be worse by {worse_by:g}",
    Code.METRIC_UNDEFINED: "{metric} is not defined on these {rows} rows",
    Code.METRIC_TOO_FEW_ROWS: "{rows} labelled rows are too few to judge {metric}; it takes at least {least}",
    Code.METRIC_CLASS_TOO_RARE: judges.metric_without_class,
    Code.METRIC_NO_POSITIVE_CLASS: (
        "{metric} looks for one class, and there are {classes}: name it as `metric.positive`"
    ),
    Code.METRIC_PROBABILITIES_UNSTATED: (
        "{metric} is made of probabilities, and the champion states none for {unstated} of {rows} labelled rows"
    ),
    Code.OWN_CODE_SLOW: "{file} was stopped: it ran for more than {seconds} s",
    Code.OWN_CODE_MEMORY: "{where} was stopped: it took more than {memory_mb:,} MB of memory",
    Code.OWN_CODE_FORBIDDEN: "{where} was stopped: it asked for {what}, and own code may only compute",
    Code.OWN_CODE_RAISED: "{where} failed: {error}",
    Code.OWN_CODE_UNFIT: "{where} cannot be used: {what}",
    Code.OWN_CODE_DIED: "{file} ended its process (status {status})",
    Code.CHECK_FOUND: judges.check_found,
    Code.CHECK_BY_CHANCE: (
        "check {name}: {text} (p = {p_value:.2g}); not below {least:.2g}, so that it may be chance and is no alarm"
    ),
    Code.CHECK_LIES: (
        "check {name} claims p-values that are none: comparing the reference with itself, in {splits} random splits, "
        "it came to p <= {at:g} {below} times, where about {due:.0f} are due; what it says is no alarm: {text}"
    ),
    Code.CHECK_NO_ROWS: (
        "the checks of checks.py were not asked: the drop, or what the champion was trained on, has no labelled rows"
    ),
    Code.COST_UNSTATED: (
        "`metric.costs` says nothing of {truth!r} answered with {answer!r}: "
        "give every class a row, and in each row every other class"
    ),
    Code.METRIC_MISMATCH: "{predictions} predictions for {rows} labelled rows",
    Code.METRIC_BAD_VALUES: "{bad} labels or predictions cannot be used",
    Code.PREDICTIONS_JUDGED: "{predictions} predictions of release {release}: {because}",
    Code.PREDICTIONS_COMPARED: "{headline}",
    Code.PREDICTIONS_NO_REFERENCE: "its gate left no predictions to compare them with",
    Code.SERVED_JUDGED: "{inputs} inputs of release {release}, {since:moment} to {until:moment}: {because}",
    Code.SERVED_TOO_FEW: "they cannot be judged: {whole} are whole, and {least} are needed",
    Code.SERVED_UNNAMED: "{inputs} came without column names; fix: send columns by name",
    Code.SERVED_INCOMPLETE: (
        "{inputs} lack a usable value, for example of {column}: it is missing, or no number or time as in training; "
        "fix: send it, or name the column in `data.ignore` if the model needs none"
    ),
    Code.SERVED_BROKEN: "they do not fit the training data, so drift is not judged: {finding}",
    Code.ESTIMATED: (
        "if only the inputs changed, {metric} is now {value:.4f} ({low:.4f} to {high:.4f}): estimated without labels "
        "on {rows} inputs, by holdout rows like them that are worth {effective}; {because}"
    ),
    Code.ESTIMATE_PAST_THRESHOLD: (
        "if only the inputs changed, {metric} is {side} the threshold of {threshold:g}: estimated {value:.4f} "
        "({low:.4f} to {high:.4f})"
    ),
    Code.ESTIMATES_CHECKED: (
        "labels have checked {checked} estimates of this model: {held} held what they said, off by {off:.4f} on average"
    ),
    Code.ESTIMATES_UNCHECKED: "no label has checked an estimate of this model yet",
    Code.ESTIMATE_WAS: (
        "{metric} of {since:moment} to {until:moment} was estimated as {value:.4f} ({low:.4f} to {high:.4f}); "
        "{rows} labels say {said:.4f} ({said_low:.4f} to {said_high:.4f})"
    ),
    Code.ESTIMATE_UNLIKE: (
        "{metric} is not estimated: too few holdout rows are like what is served (worth {effective} rows, {least} are "
        "needed); only labels say how the model does"
    ),
    Code.ESTIMATE_TOO_FEW: (
        "{metric} is not estimated: {held} holdout rows and {served} answers to served inputs can be used, and "
        "{least_held} and {least_served} are needed"
    ),
    Code.ESTIMATE_NO_VALUES: "{metric} is not estimated: {because}",
    Code.ESTIMATE_NO_GATE: (
        "{metric} is not estimated: the gate of the live model kept no answers that can be used for it; the gate of "
        "the next release does: land data, or `driftloop retrain`"
    ),
    Code.ESTIMATE_UNSTATED: (
        "{metric} is not estimated: the live model answers with labels alone, without probabilities; fix: answer with "
        "`probabilities` beside `predictions`"
    ),
    Code.ESTIMATE_ONE_PROBABILITY: (
        "{metric} is not estimated: the model states the probability of its answer alone, which is enough for accuracy "
        "only; fix: state one for each class"
    ),
    Code.LABEL_CHOSEN: "the answer is wrong with a chance of {loss:.0%}; one of {drawn} chosen of {like} like it",
    Code.LABEL_CHOSEN_NUMBER: "the loss is expected to be {loss:.4g}; one of {drawn} chosen of {like} like it",
    Code.ESTIMATE_CLASSES: "{metric} is not estimated: there are {classes} classes, and {most} are the most",
    Code.FEW_PAST_WINDOWS: "{past} past windows are too few to compare with ({least} are needed): no verdict on drift",
    Code.UNUSUAL_WINDOW: partial(judges.among_windows, unusual=True),
    Code.USUAL_WINDOW: partial(judges.among_windows, unusual=False),
    Code.BREACH_SERVED: "confirmed on {inputs} inputs served since {since:moment}: {because}",
    Code.BREACH_NOT_SERVED: (
        "{inputs} inputs served since {since:moment} show no material drift in {columns}; material drift: {others}"
    ),
    Code.BREACH_CONFIRMED: "confirmed on version {version}: {because}",
    Code.BREACH_NO_VERSION: "no version has been judged yet against release {release}, which serves",
    Code.BREACH_NO_REPORT: "version {version} has no drift report: {because}",
    Code.BREACH_NOT_SHOWN: "version {version} shows no material drift in {columns}; material drift: {others}",
    Code.HELPED: "it helped. {because}",
    Code.NOT_HELPED: "it did not help. {because}",
    Code.HELP_UNKNOWN: "whether it helped is unknown. {because}",
    Code.STILL_DIFFERS: "version {version} still differs from the training data of release {release}: {because}",
    Code.ON_NEW_ROWS: "on rows that were new to both models: {because}",
    Code.NO_NEW_ROWS: "its gate kept no answers of both models for rows that were new to both",
    Code.TAKEN_IN: "version {version} no longer differs that much from the training data of release {release}",
    # policy
    Code.FIRST_MODEL: "there is no model yet",
    Code.SCHEDULE_DUE: "the schedule {schedule} came due at {due:moment}",
    Code.CHAMPION_TOO_OLD: "the champion has served since {since:moment}, longer than `retrain.max_age`",
    Code.MUCH_NEW_DATA: (
        "{rows:,} labelled training rows have landed since the newest training, which had {trained:,}; "
        "`retrain.new_data` asks for {times:g} times as many"
    ),
    Code.ALERT_FIRED: "alert rule {rule} fired: {details}",
    Code.MONITOR_BREACHED: "monitor signal {signal} breached ({details}); {because}",
    Code.ASKED_FOR: "{why}",
    Code.RESTORE_ASKED_FOR: "restore: {why}",
    Code.TRIGGERS: "{kinds}: {because}",
    Code.RELEASE_STARTED: "release {release} started: {triggers}",
    Code.NOT_NAMED: "not retrained: `retrain.on` does not name {kinds}",
    Code.TRAINED_ELSEWHERE: (
        "not retrained: models of {loop} are trained in {environment} alone (`train.only_in`); promote one from there"
    ),
    Code.RELEASE_OPEN: "waiting: release {release} is open; considered again when it ends",
    Code.LOOP_PAUSED: "waiting: the loop is {because}",
    Code.NO_LABELLED_VERSION: "not retrained: there is no labelled data version to train on",
    Code.WINDOW_EMPTY: (
        "not retrained: no labelled data version lies in `data.window` ({window}): land new data, or publish a wider "
        "window"
    ),
    Code.WAITS_FOR_LABELS: (
        "not retrained yet: served inputs have no labels; it starts when a labelled version newer than {version} lands"
    ),
    Code.SERVED_WAITS_ALREADY: "not retrained yet: an earlier window has asked, and waits",
    Code.SERVED_ANOTHER: "not retrained: release {release} has replaced the model whose inputs had drifted",
    Code.NOTHING_NEW: (
        "not retrained: nothing new: release {release} was trained through version {version}, and none has landed since"
    ),
    Code.FAILED_IN_ROW: (
        "waiting until {until:minute}: the last {releases} releases did not go live, so each rest is twice the one "
        "before; `driftloop explain {loop}` shows why they ended, `driftloop retrain {loop}` starts one now"
    ),
    Code.UNHELPED_IN_ROW: (
        "waiting until {until:minute}: the last {releases} releases went live and did not help, so each rest is twice "
        "the one before; one that helps ends it. `driftloop explain {loop}` shows what they were for; "
        "`driftloop retrain {loop}` starts one now"
    ),
    Code.COOLDOWN: (
        "waiting: cooldown until {until:moment}, because release {release} ended {outcome:plain} at {ended:moment}"
    ),
    Code.RUNS_USED_UP: "waiting: the budget of {runs} runs a day is used up until {until:minute}",
    Code.COMPUTE_USED_UP: (
        "waiting: the budget of {limit:span} of compute a day is used up until {until:minute}: "
        "jobs took {took:span} in the last 24 hours"
    ),
    Code.MONEY_USED_UP: (
        "waiting: the budget of {limit:.2f} {currency} a {span} is used up until {until:minute}: {spent:.2f} are "
        "spent, and a release is estimated at {estimate:.2f}"
    ),
    Code.MONEY_TOO_LITTLE: (
        "waiting until {until:minute}: a release is estimated at {estimate:.2f} {currency}, more than the budget of "
        "{limit:.2f} a {span}; raise it, or `driftloop retrain {loop}`"
    ),
    Code.COST_ESTIMATED: "about {money:.2f} {currency}",
    Code.COST_ESTIMATED_UNTRAINED: "about {money:.2f} {currency}, and its training, which none has shown yet",
    Code.COST_COUNTED: (
        "{money:.2f} {currency}: jobs took {jobs:span}, and its deployment stood beside another for {deployed:span}"
    ),
    Code.COST_SO_FAR: _so_far,
    Code.PRICE_UNKNOWN: "unknown: {size} has no price; give it in `cost.prices`",
    Code.ECHO: "not retrained: it fired while release {release} had traffic, which was taken back",
    Code.BREACH_NOT_CONFIRMED: "not retrained: the monitor's breach is not confirmed: {because}",
    Code.NEWER_VERSION_NEEDED: "no automatic retry until a version newer than {version} lands; {because}",
    Code.NO_TRIGGER: "not retrained: no trigger fired",
    Code.WOULD_START: (
        "would start release {release} ({kinds}) with `mode: act`; nothing is spent while the loop observes"
    ),
    Code.OWN_PREDICTIONS: "not retrained: all its labels ({labels:,}) are the loop's own predictions",
    Code.LABELS_OWN: "{labels:,} labels are the loop's own predictions and count for nothing",
    Code.LATE_VERSION: "not retrained: it landed at {landed:moment}, and newer data have come since",
    # loop
    Code.PAUSED_BY_PERSON: "paused by {actor}: {why}",
    Code.RESUMED: "resumed by {actor}",
    Code.TRAFFIC_CHANGED: (
        "paused: traffic was changed from outside to {traffic}; keep it with `driftloop resume {loop}`, "
        "or go back to the champion with `driftloop {back}`"
    ),
    Code.NEEDS_DECISION: "release {release} needs a decision",
    Code.STUCK: "release {release} is stuck",
    Code.PHASE_TOO_LONG: "release {release} is stuck: {phase:plain} since {since:minute}",
    Code.NOT_HELPING: "the last {releases} releases went live and did not help: `driftloop explain {loop}`",
    Code.LOOP_WAITS: "{because}",
    Code.EVENT_SET_ASIDE: (
        "{source} is in quarantine (`driftloop read-again {loop} {key}` once it is mended): {because}"
    ),
    Code.LOOP_SET_ASIDE: "this loop is stopped: {because}",
    Code.NO_FIRST_MODEL: (
        "no model is live, and release {release}, which was to bring the first, failed: fix what it names, "
        "then `driftloop retrain {loop}`"
    ),
    Code.SERVES: "release {release} live",
    Code.SERVES_AGAIN: "the champion serves again",
    Code.ENDPOINT_GONE: "nobody is served: endpoint {endpoint} is gone; `driftloop restore {loop}` makes it again",
    Code.DEPLOYMENT_GONE: (
        "nobody is served: deployment {deployment} of endpoint {endpoint} is gone; "
        "`driftloop restore {loop}` deploys it again"
    ),
    Code.DEPLOYMENT_BROKEN: (
        "nobody is served: deployment {deployment} of endpoint {endpoint} failed; "
        "`driftloop retrain {loop}` deploys a new one"
    ),
    Code.NO_TRAFFIC: (
        "nobody is served: no deployment of endpoint {endpoint} has traffic; "
        "`driftloop restore {loop}` gives it back"
    ),
    Code.ANSWERS_NOTHING: (
        "nobody is served: deployment {deployment} of endpoint {endpoint} answers no request well; its log in Azure ML "
        "studio says why, `driftloop retrain {loop}` deploys a new model"
    ),
    Code.DEPLOYMENT_SWAPPED: (
        "deployment {deployment} of endpoint {endpoint} serves another model ({model}) than release {release}; "
        "`driftloop restore {loop}` deploys release {release}'s again"
    ),
    Code.TRAFFIC_ELSEWHERE: (
        "traffic was changed from outside to {traffic}, so that release {release} serves nobody; "
        "`driftloop restore {loop}` gives it back"
    ),
    Code.NOT_SWEPT: "the sweep cannot look after this loop: {because}",
    Code.NO_MODEL_YET: "no model yet",
    Code.UNDER_WAY: "release {release} is {phase:plain}",
    # source
    Code.SOURCE_UNCHANGED: "skipped: the source has nothing new since the last fetch",
    Code.SOURCE_GIVEN_UP: "{because}; attempts: {failures}; asked again when `data.source.every` comes due",
}
