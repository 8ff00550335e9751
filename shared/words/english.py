"""English. A text names its facts in braces, as `str.format` has them; short, active, the subject first.

Where a sentence depends on its facts, the text is a function that takes them by name. What a reason rests on stands at
`{because}`, or else at the end.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from shared.domain.reason import Code

TEXTS: Mapping[Code, str | Callable[..., str]] = {
    # inbox
    Code.BECAME_VERSION: "version {version}",
    Code.FOLDER_END_ALONE: "{name} ends a folder, but lies in the landing prefix itself",
    Code.FOLDER_PART: "part of the folder {folder}/; read when {end} lands",
    Code.HIDDEN_NAME: "names that start with _ or . are not data",
    Code.ALERT_RESOLVED: "the alert is resolved, not fired",
    Code.NO_LANDING: "{blob} is neither below a loop's `data.landing` nor below a loop's `data.labels`",
    Code.NO_ALERT_PATTERN: "no loop's `retrain.alerts` matches alert rule {rule}",
    Code.NO_MONITOR_PATTERN: "no loop's `retrain.alerts` matches monitor {monitor} or its signals",
    Code.NO_LOOP: "there is no loop {loop}",
    Code.POISON: "handling this event failed five times; the log of function `inbox` says why",
    Code.REPLAYED: "recorded again for {loops}; was {was}",
    Code.DEAD_LETTER: "Event Grid could not deliver {letter} ({why}); recorded for {loops}",
    Code.DEAD_LETTER_NO_LOOP: "Event Grid could not deliver {letter} ({why}); it concerns no loop",
    Code.DEAD_LETTER_UNREADABLE: "Event Grid could not deliver {letter}; it cannot be read: {why}",
    Code.ACT_DONE: "release {release}: {before:plain} -> {after:plain}",
    Code.ACT_OUT_OF_PLACE: "{verb} does nothing while release {release} is {phase:plain}",
    Code.RELEASE_NOT_OPEN: "{verb} does nothing: release {release} of {loop} is not open",
    Code.READ_AGAIN: "{source} is read again",
    Code.NO_QUARANTINED_DROP: "replay does nothing: there is no quarantined drop {drop}",
    Code.RESTORE_DEPLOYED: "{deployment} is {state}; release {release} continues by itself",
    Code.RESTORE_NO_MODEL: "restore does nothing: {loop} never had a model; `driftloop retrain {loop}` makes one",
    Code.RESTORE_NOT_NEEDED: "restore does nothing: {deployment} of release {release} has all traffic",
    Code.RESTORE_RELEASE_OPEN: "restore does nothing while release {release} is {phase:plain}; abort it first",
    Code.RESTORE_UNKNOWN_DEPLOYMENT: (
        "restore does nothing: release {release} was adopted while it served, and how it was deployed is unknown; "
        "deploy {deployment} by hand and give it all traffic"
    ),
    # intake
    Code.DELETED: "the blob was deleted before it was read",
    Code.OVERWRITTEN: "the blob was overwritten before it was read; the newer one counts",
    Code.SAME_CONTENT: "the same content as version {version}",
    Code.GIVEN_UP: "failed {attempts} times, last with: {text}",
    Code.FINDING: "{text}",
    Code.LABELS_JOINED: (
        "{rows} labels match {joined} of {collected} collected predictions ({share:.0%}) "
        "of release {release}; {because}"
    ),
    Code.LABELS_NO_MODEL: "{rows} labels: no model serves yet",
    # verdict
    Code.VERSION_JUDGED: "version {version}: {because}",
    Code.NO_CHAMPION: "no champion yet, so there is nothing to compare with",
    Code.DRIFT_OFF: "drift is not tested: `drift.enabled` is false",
    Code.COLUMN_MOVED: "{change}",
    Code.NO_MATERIAL_DRIFT: "{headline}",
    Code.METRIC_BREACHED: (
        "{metric} is {value:.4f} ({low:.4f} to {high:.4f}) on {rows} rows: "
        "significantly {side} the threshold of {threshold:g}"
    ),
    Code.METRIC_PAST_BY_CHANCE: (
        "{metric} is {value:.4f} ({low:.4f} to {high:.4f}) on {rows} rows: "
        "{side} the threshold of {threshold:g}, which may be chance"
    ),
    Code.METRIC_MET: (
        "{metric} is {value:.4f} ({low:.4f} to {high:.4f}) on {rows} rows: meets the threshold of {threshold:g}"
    ),
    Code.METRIC_UNDEFINED: "{metric} is not defined on these {rows} rows",
    Code.METRIC_TOO_FEW_ROWS: "{rows} labelled rows are too few to judge {metric}; it takes at least {least}",
    Code.METRIC_MISMATCH: "{predictions} predictions for {rows} labelled rows",
    Code.METRIC_BAD_VALUES: "{bad} labels or predictions cannot be used",
    Code.ANSWERS_UNUSABLE: "{problem}",
    Code.PREDICTIONS_JUDGED: "{predictions} predictions of release {release}: {because}",
    Code.PREDICTIONS_COMPARED: "{headline}",
    Code.PREDICTIONS_NO_REFERENCE: "its gate left no predictions to compare them with",
    Code.BREACH_CONFIRMED: "confirmed on version {version}: {because}",
    Code.BREACH_NO_VERSION: "no version has been judged yet against release {release}, which serves",
    Code.BREACH_NO_REPORT: "version {version} has no drift report: {because}",
    Code.BREACH_NOT_SHOWN: "version {version} shows no material drift in {columns}; material drift: {others}",
    Code.HELPED: "it helped. {because}",
    Code.NOT_HELPED: "it did not help. {because}",
    Code.HELP_UNKNOWN: "whether it helped is unknown. {because}",
    Code.STILL_DIFFERS: "version {version} still differs from the training data of release {release}: {because}",
    Code.TAKEN_IN: "version {version} no longer differs that much from the training data of release {release}",
    # policy
    Code.FIRST_MODEL: "there is no model yet",
    Code.SCHEDULE_DUE: "the schedule {schedule} came due at {due:moment}",
    Code.CHAMPION_TOO_OLD: "the champion has served since {since:moment}, longer than `retrain.max_age`",
    Code.ALERT_FIRED: "alert rule {rule} fired: {details}",
    Code.MONITOR_BREACHED: "monitor signal {signal} breached ({details}); {because}",
    Code.ASKED_FOR: "{why}",
    Code.RESTORE_ASKED_FOR: "restore: {why}",
    Code.ADOPTED_AS_SERVED: "adopted as it served",
    Code.TRIGGERS: "{kinds}: {because}",
    Code.RELEASE_STARTED: "release {release} started: {triggers}",
    Code.NOT_NAMED: "not retrained: `retrain.on` does not name {kinds}",
    Code.RELEASE_OPEN: "waiting: release {release} is open; considered again when it ends",
    Code.LOOP_PAUSED: "waiting: the loop is {because}",
    Code.NO_LABELLED_VERSION: "not retrained: there is no labelled data version to train on",
    Code.NOTHING_NEW: (
        "not retrained: nothing new: release {release} was trained through version {version}, and none has landed since"
    ),
    Code.FAILED_IN_ROW: (
        "not retrained: the last {releases} releases did not go live and need manual review; "
        "`driftloop explain {loop}` shows why they ended, `driftloop retrain {loop}` starts one"
    ),
    Code.UNHELPED_IN_ROW: (
        "not retrained: the last {releases} releases went live and did not help, and need manual review; "
        "`driftloop explain {loop}` shows what they were for, `driftloop retrain {loop}` starts one"
    ),
    Code.COOLDOWN: (
        "waiting: cooldown until {until:moment}, because release {release} ended {outcome:plain} at {ended:moment}"
    ),
    Code.RUNS_USED_UP: "waiting: the budget of {runs} runs a day is used up until {until:minute}",
    Code.COMPUTE_USED_UP: (
        "waiting: the budget of {limit:span} of compute a day is used up until {until:minute}: "
        "jobs took {took:span} in the last 24 hours"
    ),
    Code.ECHO: "not retrained: it fired while release {release} had traffic, which was rolled back",
    Code.BREACH_NOT_CONFIRMED: "not retrained: the monitor's breach is not confirmed: {because}",
    Code.NEWER_VERSION_NEEDED: "no automatic retry until a version newer than {version} lands; {because}",
    Code.NO_TRIGGER: "not retrained: no trigger fired",
    Code.LATE_VERSION: "not retrained: it landed at {landed:moment}, and newer data have come since",
    # loop
    Code.PAUSED_BY_PERSON: "paused by {actor}: {why}",
    Code.RESUMED: "resumed by {actor}",
    Code.TRAFFIC_CHANGED: (
        "paused: traffic was changed from outside to {traffic}; keep it with `driftloop resume {loop}`, "
        "or go back to the champion with `driftloop {back}`"
    ),
    Code.NEEDS_DECISION: "release {release} needs a decision: {why}",
    Code.STUCK: "release {release} is stuck, {failures} failed attempts in a row: {why}",
    Code.PHASE_TOO_LONG: "release {release} is stuck: {phase:plain} since {since:minute}, waiting for {why}",
    Code.NOT_HELPING: "the last {releases} releases went live and did not help: `driftloop explain {loop}`",
    Code.LOOP_WAITS: "{because}",
    Code.LOOP_SET_ASIDE: "this loop is stopped: {because}",
    Code.SERVES: "release {release} live",
    Code.NO_MODEL_YET: "no model yet",
    Code.UNDER_WAY: "release {release} is {phase:plain}",
    # source
    Code.SOURCE_UNCHANGED: "skipped: the source has nothing new since the last fetch",
    Code.SOURCE_GIVEN_UP: "{because}; attempts: {failures}; asked again when `data.source.every` comes due",
}
