"""Who asks for something, as the platform vouches for them."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

LOOKING_ROLE = "Driftloop.Look"
ACTING_ROLE = "Driftloop.Act"
"""Acts on every loop that does not ask for other roles."""


@dataclass(frozen=True)
class Caller:
    """Somebody who is signed in, and what their token says of them."""

    name: str
    oid: str
    """Their object id in the directory; empty when the token has none. A name may be given to somebody else later."""
    roles: frozenset[str]
    """App roles that they were given, and object ids of groups that they are in."""
    groups_left_out: bool = False
    """They are in more groups than a token can name, so that it names none."""

    @property
    def actor(self) -> str:
        """As the ledger keeps them: the name, and what will always mean this person."""
        return f"{self.name} ({self.oid})" if self.oid and self.oid != self.name else self.name

    @property
    def person(self) -> str:
        """The same for the same person: the object id, or the name where there is none."""
        return (self.oid or self.name).casefold()

    def holds_any(self, roles: Collection[str]) -> bool:
        return not self.roles.isdisjoint(roles)

    def published(self, name: str, oid: str) -> bool:
        """Whether they are who published under this name and object id: by id where both have one, else by name."""
        if self.oid and oid:
            return self.oid.casefold() == oid.casefold()
        return self.name.casefold() == name.casefold()
