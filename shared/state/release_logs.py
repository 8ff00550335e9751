"""What a release's steps and its deployment have printed, at its end, as Azure ML has it just now."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

from shared import deadline
from shared.domain.release import JobLog, Release
from shared.errors import ConfigurationError, DependencyUnavailable
from shared.redaction import redacted
from shared.runtime.unit_of_work import Unit

ASKED_S = 20.0
"""How long who looks waits for each of the two."""
CONTAINER = "container"
"""The file of a deployment's log."""


@dataclass(frozen=True)
class ReleaseLogs:
    logs: tuple[JobLog, ...]
    """The training's in the order of its steps, then the deployment's; redacted."""
    lost: tuple[str, ...]
    """Why some cannot be had; who looks sees the others."""


def of(current: Unit, release: Release, lines: int) -> ReleaseLogs:
    """The last `lines` of each. Nothing where the release has neither job nor deployment yet."""
    lost: list[str] = []
    ask: list[Callable[[], Iterable[JobLog]]] = []
    if release.job:
        ask.append(lambda: current.ports.training.logs(release.job))
    if release.deployment:
        ask.append(lambda: _deployment(current, release))
    found = [log for one in ask for log in _asked(one, lost)]
    return ReleaseLogs(tuple(replace(log, end=_last(log.end, lines)) for log in found), tuple(lost))


def _asked(ask: Callable[[], Iterable[JobLog]], lost: list[str]) -> Iterable[JobLog]:
    try:
        with deadline.within(ASKED_S):
            return list(ask())
    except (DependencyUnavailable, ConfigurationError) as error:
        lost.append(str(error))
        return []


def _deployment(current: Unit, release: Release) -> Iterator[JobLog]:
    """Where it is there."""
    serve = current.published(release.definition).definition.serve
    server = current.ports.server(serve.type)
    state = server.deployment_state(serve.endpoint, release.deployment)
    if state != "missing" and (log := server.log(serve.endpoint, release.deployment)):
        yield JobLog(release.deployment, state, CONTAINER, len(log.encode()), log)


def _last(text: str, lines: int) -> str:
    return "\n".join(redacted(text).splitlines()[-lines:])
