"""Once the labels of a canary have matured, what they say of the model that it let through is final, and told."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

from shared.canary import bake_evidence, canary_evidence, live_counts
from shared.domain.loop import LoopState
from shared.domain.reason import Code, Reason, reason
from shared.domain.release import JudgementKind, Outcome
from shared.errors import DependencyUnavailable
from shared.intake import labels
from shared.release import document
from shared.runtime.unit_of_work import Unit
from shared.state.hash_chain import Draft

if TYPE_CHECKING:
    from shared.loopfile import Definition


def next_at(state: LoopState, definition: Definition) -> datetime | None:
    """When the labels of the next release are final; None while none waits, or nobody knows how long labels take."""
    delay = labels.maturity(state, definition)
    since = min((one.since for one in state.unfinal), default=None)
    return since + delay if since is not None and delay is not None else None


def answer(current: Unit) -> bool:
    """Tell the final verdict of the release whose labels have matured; False when there is none."""
    state, definition = current.state, current.published().definition
    due = next_at(state, definition)
    if due is None or current.ports.clock.now() < due:
        return False
    first = min(state.unfinal, key=lambda one: one.since)
    verdict, evidence = _judged(current, first.release)
    left = tuple(one for one in state.unfinal if one != first)
    entry = Draft(
        "labels.final",
        f"release {first.release}",
        "driftloop",
        f"labels-final-{first.release}",
        detail={"verdict": verdict, **({"evidence": evidence} if evidence else {})},
    )
    current.commit(replace(state, unfinal=left, final_labels=verdict), [entry])
    return True


def _judged(current: Unit, number: int) -> tuple[Reason, str]:
    """The last canary step once more, with every label that has come; and its evidence."""
    from shared.canary.bake_judge import judge_step

    release, _ = current.release(number)
    definition = current.published(release.definition).definition
    last = release.judgement(JudgementKind.CANARY)
    assert last is not None
    scale = live_counts.scale(current, release)
    step, problem = bake_evidence.labelled(current, release, definition, last, scale)
    if problem:
        raise DependencyUnavailable(f"What release {number}'s canary predicted cannot be read: {problem}")
    seen = step.canary.labels
    if seen is None or not seen.total:
        return reason(Code.LABELS_FINAL_NONE, release=number), ""
    verdict = judge_step(step, canary_evidence.canary_policy(definition, len(step.canary.slice_predictions)))
    before = release.champion.release if release.champion else 0
    facts = {"release": number, "labelled": seen.total, "collected": seen.collected}
    evidence = document.store(current.ports.documents, step)
    if verdict is not None and verdict.outcome is Outcome.ROLL_BACK:
        return reason(
            Code.LABELS_FINAL_WORSE, *verdict.reasons, **facts, loop=current.loop, before=before
        ), evidence
    told = [m.reason for m in verdict.metrics if m.metric == "labels" and not m.slice] if verdict else []
    return reason(Code.LABELS_FINAL_GOOD, *told, **facts), evidence
