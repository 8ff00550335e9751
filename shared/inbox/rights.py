"""Who may ask for what: the section `people` of a loop file against what the platform says of the caller.

The page, the HTTP functions and the loop's worker ask this one place. `Rules` is pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING

from shared.domain.caller import ACTING_ROLE, Caller
from shared.domain.reason import Code, Reason, reason
from shared.domain.release import Approval, Release
from shared.errors import DriftloopError
from shared.loopfile.published import stays_unreadable
from shared.port_rules import is_loop
from shared.redaction import words_of
from shared.runtime import unit_of_work
from shared.runtime.unit_of_work import Unit
from shared.state import rows

if TYPE_CHECKING:
    from shared.loopfile.definition import People
    from shared.loopfile.published import Published
    from shared.ports import Ports

GO_ON = frozenset({"approve", "skip"})
"""They let a release go on, so they are the release manager's."""
HOLD_OR_UNDO = frozenset({"pause", "resume", "abort", "rollback"})
"""They stop a release, or go back to one that was live: whoever may act may, and the release manager too."""
STOPS = HOLD_OR_UNDO - {"resume"}
"""They wait for no definition: where one cannot be read, the loop's newest that can says who may."""
ABOUT_A_RELEASE = GO_ON | {"abort", "rollback"}


def roles_for(people: People | None, verb: str) -> tuple[str, ...]:
    """Whoever has one of these may ask for it."""
    if people is None:
        return (ACTING_ROLE,)
    if verb in GO_ON:
        return people.approve or people.act
    both = tuple(dict.fromkeys((*people.act, *people.approve)))
    return both if verb in HOLD_OR_UNDO else people.act


@dataclass(frozen=True)
class Rules:
    """What holds for an act: what the loop was last published with, and what the release that it is about runs with.
    Both hold, so that nobody loosens an open release, and who is shut out now is shut out of it too."""

    loop: str
    publications: tuple[Published, ...]
    """The release's own is the last one; none where there is no such loop."""
    lost: DriftloopError | None = None
    """Why one of them cannot be read, without which the act is not done."""

    @property
    def _sections(self) -> tuple[People | None, ...]:
        return tuple(published.definition.people for published in self.publications)

    @property
    def asked(self) -> tuple[People, ...]:
        """The sections `people` that there are."""
        return tuple(people for people in self._sections if people is not None)

    def refusal(self, verb: str, caller: Caller | None) -> Reason | None:
        """Why this caller may not; `caller` is None for somebody for whom the platform does not vouch."""
        if self.lost is not None:
            return reason(Code.ACT_NEEDS_DEFINITION, verb=verb, loop=self.loop, error=words_of(self.lost))
        if caller is None:
            return reason(Code.ACT_UNPROVEN, verb=verb, loop=self.loop) if self.asked else None
        for people in self._sections or (None,):
            roles = roles_for(people, verb)
            if not caller.holds_any(roles):
                code = Code.GROUPS_LEFT_OUT if caller.groups_left_out else Code.ROLE_MISSING
                return reason(code, verb=verb, loop=self.loop, roles=" or ".join(roles))
        if verb in GO_ON and any(people.not_the_publisher for people in self.asked):
            published = self.publications[-1]
            if caller.published(published.published_by, published.published_by_oid):
                return reason(Code.OWN_PUBLICATION, verb=verb, loop=self.loop, actor=caller.actor)
        return None

    def vouched(self, caller: Caller) -> Caller | None:
        """The caller as an act's record keeps them, with no roles but those that are asked for; None where nothing
        needs to be proven."""
        if not self.asked:
            return None
        named = {ACTING_ROLE, *(role for people in self.asked for role in (*people.act, *people.approve))}
        return replace(caller, roles=caller.roles & named)

    def waits_for_another(self, verb: str, release: Release, caller: Caller | None) -> bool:
        """Whether a second person must ask for the same, before it is done."""
        two = verb in GO_ON and any(people.two_persons for people in self.asked)
        others = {one.person for one in release.approvals if one.verb == verb}
        return two and (caller is None or not others - {caller.person})


def rules(current: Unit, verb: str, release: Release | None = None) -> Rules:
    """Those that hold for an act of this kind; `release` is the one that it is about."""
    digests = [current.state.definition]
    if release is not None and verb in ABOUT_A_RELEASE:
        digests.append(release.definition)
    found, lost = [], None
    for digest in dict.fromkeys(digests):
        try:
            found.append(current.published(digest))
        except DriftloopError as error:
            if not stays_unreadable(error):
                raise
            lost = error
    if verb in STOPS and lost is not None:
        return Rules(current.loop, tuple(found) or (current.at_hand(),))
    return Rules(current.loop, tuple(found), lost)


def rules_of(ports: Ports, loop: str, verb: str) -> Rules:
    """Those of a loop that somebody names, with those of its open release; none where there is no such loop."""
    if not is_loop(loop) or ports.store.read(loop, rows.LOOP) is None:
        return Rules(loop, ())
    current = unit_of_work.read(ports, loop)
    return rules(current, verb, current.open_release())


def kept(caller: Caller | None) -> dict[str, str]:
    """What an act's record keeps of who was vouched for."""
    if caller is None:
        return {}
    return {"name": caller.name, "oid": caller.oid, "roles": " ".join(sorted(caller.roles))}


def caller_of(body: Mapping[str, str]) -> Caller | None:
    """Who was vouched for when the act was recorded; None of what only lay in the queue."""
    if "roles" not in body:
        return None
    return Caller(body["name"], body["oid"], frozenset(body["roles"].split()))


def first_of_two(release: Release, verb: str, caller: Caller, actor: str, now: datetime) -> Release | Reason:
    """The release with the first of two persons on record, as `actor` names them; why not, where they are the same one
    again."""
    if any(one.person == caller.person and one.verb == verb for one in release.approvals):
        return reason(Code.SAME_PERSON, verb=verb, release=release.number, actor=actor)
    given = Approval(verb, caller.person, actor, now)
    waits = reason(Code.SECOND_PERSON, verb=verb, actor=actor)
    return replace(release, approvals=(*release.approvals, given), waiting_for=waits)
