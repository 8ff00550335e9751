"""The canary of a batch endpoint: champion and challenger score the same rows of a version, and are judged as arms are.

A step is one version: the newest labelled one, and in the next step one that has landed since. Each row is asked of
both, so that half of all "requests" are the challenger's, an error is a row without an answer, every row is a shadow
pair, and the truth is in the version itself. Of what the challenger was trained on, the holdout rows are taken.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from shared.canary import live_counts
from shared.canary.canary_evidence import canary_policy, point_of
from shared.canary.live_counts import LabelCounter, Scale
from shared.domain.release import Judgement, JudgementKind, Release
from shared.domain.version import DataVersion, VersionState
from shared.errors import AnswersAwaited
from shared.loopfile.published import Published
from shared.ports import ArmTraffic
from shared.release import document
from shared.release.machine import old_deployment
from shared.release.observations import AnswersPending, CanarySeen
from shared.runtime.unit_of_work import Unit
from shared.verdict import predictions, sampled_rows

if TYPE_CHECKING:
    import pandas as pd

    from shared.canary.arms import ArmEvidence, CanaryEvidence, ShadowPairs
    from shared.loopfile import Definition

MOST_FLIPS = 20
_ID = "\0"
"""No column is called so."""


def measure(unit: Unit, release: Release, published: Published) -> CanarySeen | AnswersPending | None:
    """Judge the step by a version that both have scored, once both have; None while the loop stands still, which begins
    no job. Rows that were scored stay as they are: what they do not decide is inconclusive, not to be waited for."""
    from shared.canary.canary_judge import CanaryRecord, CanaryState, judge_canary

    if unit.stands_still:
        return None
    definition, now = published.definition, unit.ports.clock.now()
    version, scale = _version(unit, release), live_counts.scale(unit, release)
    try:
        evidence = _evidence(unit, release, definition, version, scale)
    except AnswersAwaited as awaited:
        assert version is not None
        return AnswersPending(awaited.job, version.number)
    policy, before = canary_policy(definition, len(scale.all_slices)), CanaryState()
    times = {
        "step_elapsed_s": (now - release.phase_since_at).total_seconds(),
        "step_min_s": 0.0,
        "step_max_s": 0.0 if version else definition.canary.step.max_hours * 3600,
    }
    verdict, _ = judge_canary(evidence, policy, before, **times)
    record = CanaryRecord(evidence, policy, before, times, verdict)
    digest = document.kept(unit.ports.documents, record, verdict.outcome) if version else ""
    judgement = Judgement(
        JudgementKind.CANARY,
        verdict.outcome,
        verdict.reasons,
        digest,
        now,
        step=release.step,
        steps=len(definition.shares),
        weight_pct=0,
    )
    point = replace(point_of(judgement, evidence, verdict), weight_pct=0) if version else None
    return CanarySeen(judgement, "", point, version.number if version else None)


def _version(unit: Unit, release: Release) -> DataVersion | None:
    """The one that the step began with; else the newest labelled one that is younger than those of the steps before;
    None where none has landed yet."""
    if release.scoring and release.scoring.version is not None:
        return unit.version(release.scoring.version)[0]
    after = max(release.compared, default=0)
    for page in unit.version_pages():
        for version in page:
            if version.number <= after:
                return None
            unseen = version.number not in release.versions or version.holdout_rows
            if version.labelled and version.state is VersionState.JUDGED and unseen:
                return version
    return None


def _evidence(
    unit: Unit, release: Release, definition: Definition, version: DataVersion | None, scale: Scale
) -> CanaryEvidence:
    """All at once, so that there is nothing that could be incomplete."""
    from shared.canary.arms import ArmEvidence, CanaryEvidence

    none = CanaryEvidence(ArmEvidence(), ArmEvidence(), 50, release.phase_since_at, release.phase_since_at)
    if version is None:
        return none
    frame = _rows(unit, release, version)
    champion, challenger = _asked(unit, release, definition, version, frame)
    truth = frame[definition.data.target].tolist()
    inputs = _inputs(predictions.features(frame, definition))
    return CanaryEvidence(
        champion=_arm(champion, truth, inputs, scale),
        canary=_arm(challenger, truth, inputs, scale),
        set_weight_pct=50,
        started_at=release.phase_since_at,
        watermark_at=release.phase_since_at + timedelta(seconds=1),
        shadow=_pairs(champion, challenger, scale),
        notes=(f"version {version.number}",),
    )


def _inputs(rows: pd.DataFrame) -> list[Mapping[str, object]]:
    """As a request has them: nothing where there is no value."""
    found: list[Mapping[str, object]] = (
        rows.astype(object).where(rows.notna(), None).to_dict(orient="records")
    )
    return found


def _rows(unit: Unit, release: Release, version: DataVersion) -> pd.DataFrame:
    if version.number in release.versions:
        return sampled_rows.holdout(unit.ports, [version])[0]
    return sampled_rows.everything(unit.ports, [version])


def _asked(
    unit: Unit, release: Release, definition: Definition, version: DataVersion, frame: pd.DataFrame
) -> tuple[Sequence[object], Sequence[object]]:
    """What each says, the champion first. Both jobs are begun before either is waited for."""
    asked, stamp = predictions.features(frame, definition), f"drop-{release.job_name}-v{version.number}"
    said: list[Sequence[object]] = []
    awaited: AnswersAwaited | None = None
    for deployment in (old_deployment(release), release.deployment):
        try:
            said.append(predictions.predict(unit.ports, definition.serve, deployment, asked, stamp).values)
        except AnswersAwaited as error:
            awaited = error
    if awaited is not None:
        raise awaited
    return said[0], said[1]


def _arm(
    said: Sequence[object], truth: Sequence[object], inputs: Sequence[Mapping[str, object]], scale: Scale
) -> ArmEvidence:
    answered = [
        {"id": str(number), "output": output, "inputs": row}
        for number, (output, row) in enumerate(zip(said, inputs, strict=True))
        if output is not None
    ]
    traffic = ArmTraffic(len(said), len(said) - len(answered), ())
    labels = {str(number): label for number, label in enumerate(truth)}
    return live_counts.arm(traffic, answered, scale, LabelCounter(labels, _ID))


def _pairs(champion: Sequence[object], challenger: Sequence[object], scale: Scale) -> ShadowPairs:
    """A row that either did not answer is no pair: it is an error already."""
    from shared.canary.arms import ShadowPairs

    both = [pair for pair in zip(champion, challenger, strict=True) if None not in pair]
    flips = Counter(f"{scale.name(a)} -> {scale.name(b)}" for a, b in both if not scale.same(a, b))
    disagree = sum(flips.values())
    return ShadowPairs(len(both) - disagree, disagree, dict(sorted(flips.most_common(MOST_FLIPS))))
