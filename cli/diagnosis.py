"""What `driftloop doctor` says of one thing that it looked at."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from shared import deadline, guide
from shared.domain.reason import Code
from shared.errors import ConfigurationError, DriftloopError

LOOK_S = 20.0
"""How long one look waits for a service that does not answer."""

OK, WARNING, BROKEN = "ok", "warning", "broken"
ROLES_FIX = "docs/identities.md lists every role; azd provision gives them"


@dataclass(frozen=True)
class Finding:
    """What was looked at, how it is, and what to do when it is not well."""

    check: str
    state: str
    what: str
    fix: str = ""


def guarded(
    check: str, look: Callable[[], Iterator[Finding]], refused: str = BROKEN, fix: str = ROLES_FIX
) -> Iterator[Finding]:
    """A look that fails is a finding itself; `refused` is how bad it is that the looker may not look."""
    found: list[Finding] = []
    try:
        with deadline.within(LOOK_S):
            for finding in look():
                found.append(finding)
    except DriftloopError as error:
        state = refused if isinstance(error, ConfigurationError) else BROKEN
        found.append(Finding(check, state, str(error), _fix(error, fix)))
    yield from found


def _fix(error: DriftloopError, roles: str) -> str:
    """What the guide says of this code; of the looker's own roles and network it knows nothing."""
    if error.code in {Code.ACCESS_REFUSED, Code.REQUEST_REFUSED, Code.CONFIGURATION}:
        return roles
    if error.code in {Code.UNAVAILABLE, Code.FAILED}:
        return "is the service up, and does a firewall let you through?"
    found = guide.find(error.code.value)
    return found.do.replace("`", "") if found else ""
