"""A release whose loop is paused, or only observes, stands where it is. Pure: no clock, no I/O.

What would spend, shift traffic, promote or delete is not done; traffic stays and evidence is still gathered. What
goes on is the way back: on proven harm, by a rollback or abort of a person, and where the endpoint was deleted.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

from shared.domain.reason import Code, reason
from shared.domain.release import DECISIONS, Outcome, Release, decides
from shared.release import machine
from shared.release import observations as obs
from shared.release.machine import PHASES, Frozen

if TYPE_CHECKING:
    from shared.loopfile import Definition

STAYS_POSSIBLE = frozenset({"abort", "rollback", "resume"})
"""What a person may do to a release that is frozen."""


def action(release: Release, definition: Definition) -> obs.Action:
    """The one thing that a frozen release needs now: a look, the way back, or nothing."""
    wanted = machine.action(release, definition)
    if isinstance(wanted, obs.Await):
        return wanted
    match PHASES[release.phase].frozen:
        case Frozen.STANDS:
            return obs.Await()
        case Frozen.JOB if release.job != release.job_name:
            return obs.Await()
        case Frozen.TRAFFIC if isinstance(wanted, obs.SetTraffic) and _raises(release, wanted):
            return obs.ReadTraffic(wanted.weights)
        case _:
            return wanted


def _raises(release: Release, wanted: obs.SetTraffic) -> bool:
    """Whether the challenger would get more than it was last seen to have."""
    return wanted.weights.get(release.deployment, 0) > release.traffic.get(release.deployment, 0)


def fold(release: Release, seen: obs.Observation | None, definition: Definition, now: datetime) -> Release:
    """The frozen release after `seen`: the machine's answer, of which only proven harm is a reason to move."""
    if seen is None or isinstance(seen, obs.TimePassed | obs.LooksFail):
        after = machine.unsuspected(release)
    else:
        after = machine.fold(release, _undecided(seen), definition, now)
    if machine.place(after) != machine.place(release):
        return after
    if not after.adopted and after.suspect_at is None and _waits(after):
        after = replace(after, waiting_for=reason(Code.RELEASE_FROZEN))
    return replace(after, frozen=True)


def _waits(release: Release) -> bool:
    """Whether the freeze is what it waits for; a job that runs and a way back wait for something else."""
    match PHASES[release.phase].frozen:
        case Frozen.GOES_ON:
            return False
        case Frozen.JOB:
            return release.job != release.job_name
        case _:
            return True


def _undecided(seen: obs.Observation) -> obs.Observation:
    """The same evidence, and nothing follows from it but the way back."""
    if not isinstance(seen, obs.CanarySeen | obs.BakeSeen):
        return seen
    judged = seen.judgement
    if judged.outcome not in DECISIONS or decides(judged.outcome, frozen=True):
        return seen
    return replace(seen, judgement=replace(judged, outcome=Outcome.HOLD))


def thawed(release: Release, now: datetime) -> Release:
    """The release once it goes on: the time limits of a phase that stood still begin anew."""
    if not release.frozen:
        return release
    waits = release.waiting_for
    if waits is not None and waits.code is Code.RELEASE_FROZEN:
        waits = None
    stood = _waits(release) and PHASES[release.phase].frozen is not Frozen.EVIDENCE
    since = now if stood else release.phase_since_at
    scoring = replace(release.scoring, since=now) if release.scoring else None
    return replace(release, frozen=False, waiting_for=waits, phase_since_at=since, scoring=scoring)
