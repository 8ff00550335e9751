"""The policy's answer becomes state: a release begun, reasons kept for later, or a denial that people can read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from shared import rows
from shared.core.ledger import Draft
from shared.core.policy import Coalesce, Decision, Deny, Start, recent_starts
from shared.definition import Published
from shared.engine.unit import Unit
from shared.errors import InvariantBroken
from shared.loopfile import Definition
from shared.model import DataVersion, LoopState, Phase, Release, Trigger
from shared.ports import Change, Insert

MAX_WAITING = 50
"""Waiting triggers are few by nature; beyond this the oldest of the same kind makes room."""


@dataclass(frozen=True)
class Outcome:
    """What a decision changes, to be committed together with what led to it."""

    state: LoopState
    words: str
    drafts: tuple[Draft, ...] = ()
    changes: tuple[Change, ...] = ()


def apply(
    unit: Unit,
    state: LoopState,
    decision: Decision | None,
    published: Published,
    now: datetime,
    *,
    extra: DataVersion | None = None,
) -> Outcome:
    """`extra` is a version that is being judged in the same transaction, so that it is not stored as judged yet."""
    match decision:
        case None:
            return Outcome(state, "")
        case Start():
            return _start(unit, state, decision.triggers, published, now, extra)
        case Coalesce():
            waiting = (*state.waiting, *decision.triggers)[-MAX_WAITING:]
            words = f"waits: {decision.reason}"
            return Outcome(
                replace(state, waiting=waiting),
                words,
                tuple(_denied(t, "retrain.coalesced", words) for t in decision.triggers),
            )
        case Deny():
            words = f"no retraining: {decision.reason}"
            draft = Draft(
                "retrain.denied", f"loop {state.loop}", "driftloop", "", detail={"reason": decision.reason}
            )
            return Outcome(replace(state, denial=words), words, (draft,))


def _denied(trigger: Trigger, what: str, words: str) -> Draft:
    return Draft(
        what,
        f"trigger {trigger.kind.value}",
        trigger.actor,
        trigger.cause,
        detail={"reason": trigger.reason, "answer": words},
    )


def _start(
    unit: Unit,
    state: LoopState,
    triggers: Sequence[Trigger],
    published: Published,
    now: datetime,
    extra: DataVersion | None,
) -> Outcome:
    usable = [v for v in unit.versions() if v.labelled and (extra is None or v.number != extra.number)]
    if extra is not None and extra.labelled:
        usable.append(extra)
    versions = window(usable, published.definition, now)
    if not versions:
        raise InvariantBroken(f"{state.loop}: a release was decided without a labelled version to train on")
    number = state.next_release
    release = Release(
        loop=state.loop,
        number=number,
        phase=Phase.PREPARING,
        definition=state.definition,
        triggers=tuple(triggers),
        versions=versions,
        started_at=now,
        phase_since_at=now,
        champion=state.champion,
        traffic={state.champion.deployment: 100} if state.champion else {},
    )
    reasons = "; ".join(f"{t.kind.value}: {t.reason}" for t in triggers)
    draft = Draft(
        "release.started",
        f"release {number}",
        triggers[0].actor,
        triggers[0].cause,
        after=Phase.PREPARING.value,
        detail={
            "reasons": reasons,
            "versions": ", ".join(map(str, versions)),
            "definition": state.definition,
        },
    )
    started = replace(
        state,
        next_release=number + 1,
        open_release=number,
        starts=(*recent_starts(state, now), now),
        trained_through=max(versions[-1], state.trained_through),
        recent_breaches=(),
        denial="",
    )
    return Outcome(
        started,
        f"release {number} starts: {', '.join(t.kind.value for t in triggers)}",
        (draft,),
        (Insert(rows.release_key(number), rows.encode(release)),),
    )


def window(versions: Sequence[DataVersion], definition: Definition, now: datetime) -> tuple[int, ...]:
    """Numbers of the versions that a training gets, oldest first."""
    wanted = definition.data.window
    ordered = sorted(versions, key=lambda v: v.number)
    match wanted.kind:
        case "newest":
            ordered = ordered[-1:]
        case "last":
            ordered = ordered[-wanted.n :]
        case "days":
            since = now - timedelta(days=wanted.n)
            ordered = [v for v in ordered if v.created_at >= since]
    return tuple(v.number for v in ordered)
