"""What a policy made of the past, for people to compare."""

from __future__ import annotations

from dataclasses import dataclass

from shared.domain.ledger import LedgerEntry
from shared.domain.reason import Code, Reason
from shared.domain.release import TriggerKind
from shared.words import say

_FROM_OUTSIDE = frozenset({"alert", "schedule", "max_age", "served", "estimate"})
_ANSWERS = frozenset({"release.started", "retrain.denied", "retrain.coalesced"})
_ALARM = frozenset({Code.UNUSUAL_WINDOW, Code.COLUMN_MOVED})


@dataclass(frozen=True)
class Step:
    """One drop under one policy, and what came of it until the next."""

    drop: str
    rows: int
    alarm: bool
    """Material drift, a breached metric, or the rule's own alarm."""
    live: int
    """The release that serves after it."""
    score: float | None
    """The metric of the model that served when the drop landed; None without labels or model."""
    words: str
    asked_by: tuple[TriggerKind, ...] = ()
    """What the releases that were started since were started for."""

    @property
    def retrained(self) -> bool:
        return bool(self.asked_by)


@dataclass(frozen=True)
class Told:
    """What no drop asked for: an alert, the clock, what was served; and the policy's answer."""

    at: str
    what: str
    words: str


@dataclass(frozen=True)
class Run:
    """One policy over the whole past."""

    rule: str
    metric: str
    """The loop's, or the one that suits what its first labelled drop showed."""
    steps: tuple[Step, ...]
    sign: int = 1
    """Times this, greater is better."""
    told: tuple[Told, ...] = ()
    windows: int = 0
    """Windows of served inputs that alarmed."""
    releases: int = 0
    job_hours: float = 0.0
    """Of all training jobs, the first and those that failed included."""
    deployed_hours: float = 0.0
    """Of second deployments."""
    cost: float | None = None
    """Of both, in the loop's currency; None where a size has no price."""
    failed: tuple[str, ...] = ()
    """Why training jobs failed, each reason once."""
    unserved: int = 0
    """Inputs from before any model was live."""

    @property
    def alarms(self) -> int:
        return sum(step.alarm for step in self.steps) + self.windows

    @property
    def retrains(self) -> int:
        """Releases after the first."""
        return max(self.releases - 1, 0)

    @property
    def mean(self) -> float | None:
        scores = [step.score for step in self.steps if step.score is not None]
        return sum(scores) / len(scores) if scores else None


def told(entry: LedgerEntry) -> Told | None:
    """What no drop asked for, and its answer; None for any other entry."""
    if entry.what not in _ANSWERS:
        return None
    why = entry.detail.get("reasons") or entry.detail.get("reason")
    named = why.facts.get("kinds", "") if isinstance(why, Reason) else ""
    kinds = str(named or entry.subject.removeprefix("trigger "))
    if not _FROM_OUTSIDE & set(kinds.split(", ")):
        return None
    answer = entry.detail.get("answer")
    words = f"{entry.subject} started" if entry.what == "release.started" else ""
    return Told(
        f"{entry.at:%Y-%m-%d %H:%M}", kinds, words or (say(answer) if isinstance(answer, Reason) else "")
    )


def alarmed(entry: LedgerEntry) -> bool:
    """Whether the entry is of a window of served inputs that is unusual and has moved by what matters."""
    verdict = entry.detail.get("verdict")
    return entry.what == "served.judged" and isinstance(verdict, Reason) and verdict.codes() >= _ALARM
