"""What `driftloop doctor` says of one thing that it looked at."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from shared.errors import ConfigurationError, DriftloopError

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
    try:
        yield from look()
    except ConfigurationError as error:
        yield Finding(check, refused, str(error), fix)
    except DriftloopError as error:
        yield Finding(check, BROKEN, str(error), "is the service up, and does a firewall let you through?")
