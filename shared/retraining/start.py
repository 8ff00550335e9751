"""The policy's answer becomes state: a release begun, triggers kept for later, or a denial with its reason."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from shared.domain.loop import LoopState
from shared.domain.reason import Code, Reason, reason
from shared.domain.release import Phase, Release, Trigger, TriggerKind
from shared.domain.version import DataVersion
from shared.loopfile import Definition
from shared.ports import Change, Insert
from shared.retraining import cost, policy
from shared.retraining.policy import Coalesce, Decision, Deny, Start, recent_starts
from shared.runtime.unit_of_work import Unit
from shared.state import rows
from shared.state.hash_chain import Draft
from shared.tables.snapshot import commit_of


@dataclass(frozen=True)
class Outcome:
    """What a decision changes, to be committed together with what led to it."""

    state: LoopState
    reason: Reason | None
    drafts: tuple[Draft, ...] = ()
    changes: tuple[Change, ...] = ()
    refused: bool = False
    """Nothing starts, and nothing waits either."""

    def commit(self, unit: Unit, also: Sequence[Change] = ()) -> None:
        unit.commit(self.state, self.drafts, [*also, *self.changes])


def answer(
    unit: Unit, state: LoopState, triggers: Sequence[Trigger], *, extra: DataVersion | None = None
) -> Outcome:
    """What the policy's answer to `triggers` changes; without any, nothing.

    `extra` is a version that is being judged in the same transaction, so that it is not stored as judged yet.
    """
    if not triggers:
        return Outcome(state, None)
    newest = extra.number if extra is not None and extra.labelled else unit.newest_labelled()
    definition, now = unit.published().definition, unit.ports.clock.now()
    return apply(
        unit, state, triggers, policy.decide(state, triggers, definition, now, newest_version=newest), extra
    )


def apply(
    unit: Unit,
    state: LoopState,
    triggers: Sequence[Trigger],
    decision: Decision,
    extra: DataVersion | None = None,
) -> Outcome:
    """What a decision about `triggers` changes."""
    match decision:
        case Start():
            return _start(unit, state, decision.triggers, extra)
        case Coalesce():
            waits = replace(
                state,
                waiting=policy.coalesced(state.waiting, decision.triggers),
                waiting_until=decision.until,
                denial=decision.reason,
            )
            told = tuple(policy.answered(t, decision.reason, "retrain.coalesced") for t in decision.triggers)
            return Outcome(waits, decision.reason, told)
        case Deny():
            told = tuple(policy.answered(t, decision.reason) for t in triggers)
            denied = replace(state, denial=decision.reason)
            return Outcome(denied, decision.reason, told, refused=True)


def _start(
    unit: Unit,
    state: LoopState,
    triggers: Sequence[Trigger],
    extra: DataVersion | None,
) -> Outcome:
    definition, now = unit.published().definition, unit.ports.clock.now()
    usable = usable_versions(unit, definition, now, extra)
    versions = window(usable, definition, now, since(state, triggers, usable))
    if not versions:
        return apply(unit, state, triggers, Deny(_empty(definition)))
    release = Release(
        loop=state.loop,
        number=state.next_release,
        phase=Phase.PREPARING,
        definition=state.definition,
        triggers=tuple(triggers),
        versions=versions,
        started_at=now,
        phase_since_at=now,
        trained_before=state.trained_through,
        trained_rows_before=state.trained_rows,
        depth=policy.depth(state, triggers),
        champion=state.champion,
        traffic=state.adopted or expected_traffic(state),
    )
    counted = replace(
        state,
        starts=(*recent_starts(state, now), now),
        trained_through=max(v.number for v in usable),
        trained_rows=sum(v.train_rows for v in usable if v.number in versions),
        recent_breaches=(),
        waiting_until=None,
    )
    return begun(counted, release, cost.estimate(definition, state.last_took))


def _empty(definition: Definition) -> Reason:
    wanted = definition.data.window
    return reason(Code.WINDOW_EMPTY, window=f"{wanted.kind}: {wanted.n}" if wanted.n else wanted.kind)


def usable_versions(
    unit: Unit, definition: Definition, now: datetime, extra: DataVersion | None = None
) -> list[DataVersion]:
    """Labelled versions, as many as the window needs: pages of a thousand, from the newest number down.

    So a version that landed later than those of a thousand higher numbers is not looked for.
    """
    wanted = definition.data.window
    enough = {"newest": 1, "last": wanted.n}.get(wanted.kind)
    found = [extra] if extra is not None and extra.labelled else []
    for page in unit.version_pages():
        found += [v for v in page if v.labelled and (extra is None or v.number != extra.number)]
        if enough is not None and len(newest_of_tables(found[::-1])) >= enough:
            break
        if wanted.kind == "since_breach" and page[-1].number <= _champions_first(unit.state):
            break
        if wanted.kind == "days" and found and page[-1].created_at < now - timedelta(days=wanted.n):
            break
    return found


def begun(state: LoopState, release: Release, estimate: Reason | None = None) -> Outcome:
    """The loop with this release open, and its entry in the ledger; `estimate` says what it may cost."""
    first = release.triggers[0]
    brought = {
        "model": release.model,
        "profile": release.profile,
        "back_to": str(release.back_to or ""),
        "served_with": release.served_with,
        "promoted": release.promoted,
        "judged_on": ", ".join(map(str, release.judged_on)),
    }
    kinds = ", ".join(dict.fromkeys(t.kind.value for t in release.triggers))
    draft = Draft(
        "release.started",
        f"release {release.number}",
        first.actor,
        first.cause,
        after=release.phase.value,
        detail={
            "reasons": reason(Code.TRIGGERS, *(t.reason for t in release.triggers), kinds=kinds),
            "versions": ", ".join(map(str, release.versions)),
            "definition": release.definition,
            "depth": str(release.depth),
            **({"estimate": estimate} if estimate is not None else {}),
            **{name: text for name, text in brought.items() if text},
        },
    )
    return Outcome(
        replace(
            state,
            next_release=release.number + 1,
            open_release=release.number,
            depth=release.depth,
            adopted={},
            denial=None,
        ),
        reason(Code.RELEASE_STARTED, release=release.number, triggers=kinds),
        (draft,),
        (Insert(rows.release_key(release.number), rows.encode(release)),),
    )


def window(
    versions: Sequence[DataVersion], definition: Definition, now: datetime, first: int
) -> tuple[int, ...]:
    """Numbers of the versions that a training gets; the newest are those that landed last. `first` is `since`'s."""
    wanted = definition.data.window
    ordered = newest_of_tables(sorted(versions, key=_landed))
    match wanted.kind:
        case "newest":
            ordered = ordered[-1:]
        case "since_breach":
            ordered = _from(ordered, first)
        case "last":
            ordered = ordered[-wanted.n :]
        case "days":
            day = now - timedelta(days=wanted.n)
            ordered = [v for v in ordered if v.created_at >= day]
    return tuple(sorted(v.number for v in ordered))


def newest_of_tables(ordered: Sequence[DataVersion]) -> list[DataVersion]:
    """A commit of a Delta table is the whole table: it takes the place of those before it.

    Also of what earlier ones added, where `data.delta` was `appended` then.
    """
    whole = {version.table: at for at, version in enumerate(ordered) if version.table}
    return [version for at, version in enumerate(ordered) if at >= whole.get(table_of(version), at)]


def table_of(version: DataVersion) -> str:
    """The Delta table that it was, or that its rows were added to; empty for any other."""
    commit = commit_of(version.source)
    return version.table or (commit[0].rstrip("/") if commit else "")


def since(state: LoopState, triggers: Sequence[Trigger], versions: Sequence[DataVersion]) -> int:
    """The first version of the window `since_breach`.

    That of the champion's; where a breach of its metric is a trigger, the first of the versions in a row on which this
    champion was breached, up to that one: what the rows before them teach is what it knows, and that has ceased to
    hold. The gate then asks for a model that is better on these rows, so that a breach by chance, which leaves few to
    train on, costs a training and no more.
    """
    champion, asked = state.champion, {t.version for t in triggers if t.kind is TriggerKind.METRIC}
    ordered = sorted(versions, key=_landed)
    ours = [bool(champion and v.metric_breached and v.judged_against == champion.release) for v in ordered]
    at = max((n for n, v in enumerate(ordered) if ours[n] and v.number in asked), default=None)
    if at is None:
        return _champions_first(state)
    while at and ours[at - 1]:
        at -= 1
    return ordered[at].number


def _champions_first(state: LoopState) -> int:
    return min(state.champion.versions, default=1) if state.champion else 1


def _landed(version: DataVersion) -> tuple[datetime, int]:
    return version.landed_at or version.created_at, version.number


def _from(ordered: list[DataVersion], first: int) -> list[DataVersion]:
    """Those that landed with or after the version of that number; where it is gone, those of higher numbers.

    Files that land together are not read in the order in which they landed: where no version has a lower number,
    nothing has been left behind, and all of them are wanted.
    """
    begins = next((_landed(v) for v in ordered if v.number == first), None)
    if begins is None or all(v.number >= first for v in ordered):
        return [v for v in ordered if v.number >= first]
    return [v for v in ordered if _landed(v) >= begins]


def expected_traffic(state: LoopState) -> dict[str, int]:
    """What the endpoint has while no release is open and nobody else changed it."""
    return {state.champion.deployment: 100} if state.champion else {}
