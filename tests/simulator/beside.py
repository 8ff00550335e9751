"""What cannot be done about new data keeps no other part of the loop waiting."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from shared.domain.release import Phase
from tests.faults import PERMANENT, Call
from tests.simulator.life import LOOP, Life, birds

Thing = tuple[str, str]
"""A call's name, and what it is about."""

GRACE = 1
"""Rounds by which a goal may come later beside new data."""


def second(phase: Phase, plan: str, failing: str = "none", slow: int = 0) -> Life:
    """A life whose second release has come to this phase."""
    life = Life(plan=plan, failing=failing, slow=slow)
    life.drop("1.csv", birds(1, 1.0))
    life.rest()
    life.drop("2.csv", birds(2, 1.3))
    life.until(phase)
    return life


LONG = LOOP.replace("minutes: 0.05", "minutes: 60")
"""A canary that goes on for as long as nothing is wrong with it."""


def _aborted() -> Life:
    life = second(Phase.CANARY, LONG)
    life.act("abort", 2, id="stop")
    return life


GOALS: Mapping[Phase, Callable[[], Life]] = {
    Phase.ABORTED: _aborted,
    Phase.ROLLED_BACK: lambda: second(Phase.CANARY, LONG, failing="r2-"),
    Phase.LIVE: lambda: second(Phase.TRAINING, LOOP, slow=1),
}
"""What goes on, by how the second release ends: an abort, a rollback, and the open release."""


@dataclass(frozen=True)
class Beside:
    """New data lands while the second release goes to its end, and every call about one thing of it fails for good."""

    goal: Phase
    about: Thing
    fault: str

    def run(self) -> list[str]:
        patient, hurt = _patience(self.goal), _told(self.goal, new=True, broken=self._broken)
        found = list(hurt.history.wrong)
        if hurt.release(2).phase is not self.goal:
            found.append(f"not {self.goal.value} after {hurt.rounds} rounds: {hurt.release(2)}")
        elif hurt.rounds > patient + GRACE:
            found.append(f"{self.goal.value} after {hurt.rounds} rounds instead of {patient}")
        return found

    def _broken(self, call: Call) -> Exception | None:
        return PERMANENT[self.fault](call.name) if thing(call) == self.about else None


def thing(call: Call) -> Thing:
    """Which of all like it this call is: a row, a document, a blob, the rows of a transaction."""
    if call.name == "store.commit":
        _, changes = call.arguments
        assert isinstance(changes, Sequence)
        return call.name, ", ".join(sorted({change.key.partition("ledger-0")[0] for change in changes}))
    if call.name in ("store.read", "documents.get") or call.port in ("blobs", "versions"):
        return call.name, "/".join(text for text in call.arguments[:2] if isinstance(text, str))
    return call.name, ""


def _told(
    goal: Phase,
    *,
    new: bool = False,
    broken: Callable[[Call], Exception | None] = lambda call: None,
    limit: int = 60,
) -> Life:
    life = GOALS[goal]()
    life.broken = broken
    if new:
        life.drop("new.csv", birds(9, 1.0))
        life.alert()
    life.rounds = 0
    while life.rounds < limit and not life.release(2).ended:
        life.round()
    return life


@cache
def _patience(goal: Phase) -> int:
    """Rounds that it takes where nothing is new."""
    return _told(goal).rounds


def _things(goal: Phase, *, new: bool) -> list[Thing]:
    """What is called for, in the order in which it first is."""
    seen: dict[Thing, None] = {}

    def note(call: Call) -> None:
        seen[thing(call)] = None

    _told(goal, new=new, broken=note)
    return list(seen)


def everything() -> Iterator[Beside]:
    """Each goal, each thing that is called for because of the new data alone, and each fault that does not pass."""
    for goal in GOALS:
        needed = set(_things(goal, new=False))
        others = [one for one in _things(goal, new=True) if one not in needed]
        for about, fault in itertools.product(others, PERMANENT):
            yield Beside(goal, about, fault)
