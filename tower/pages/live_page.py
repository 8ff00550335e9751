"""What an endpoint answers now and answered of late: its health; requests, errors and latency of each deployment."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from shared import deadline, guide
from shared.domain.release import Release
from shared.errors import ConfigurationError, DependencyUnavailable
from shared.ports import TrafficSpan
from shared.runtime import serving_look
from shared.runtime.unit_of_work import Unit
from shared.state import queries
from shared.words import say
from tower.pages.lines import read
from tower.visit import Asking, NotFound, clip

WINDOWS = {1: 1, 6: 5, 24: 30, 168: 180}
"""Hours that can be looked back, and the minutes of each point: of each window so many that a line can be seen."""
USUAL = 6
MOST_ARMS = 8


@dataclass(frozen=True)
class Arm:
    """One deployment in the window."""

    name: str
    serves: bool
    """Whether it is the champion's."""
    state: str
    """ready, creating, failed or missing; empty where the endpoint did not answer."""
    share_pct: int | None
    requests: int
    errors: int
    latency_p50_ms: float | None
    """Of the newest span in which it answered well. So the 95th percentile."""
    latency_p95_ms: float | None
    newest_at: datetime | None

    @property
    def error_pct(self) -> float | None:
        return 100 * self.errors / self.requests if self.requests else None


@dataclass(frozen=True)
class LivePage:
    loop: str
    endpoint: str
    endpoint_link: str
    unserved: str
    """Why nobody is served; empty where somebody is, or nothing was deployed yet."""
    help: str
    hours: int
    windows: tuple[int, ...]
    minutes: int
    since: datetime
    until: datetime
    lost: str
    """Why the log cannot be shown."""
    arms: tuple[Arm, ...]
    spans: tuple[TrafficSpan, ...]


def live(asking: Asking, name: str) -> LivePage:
    current = read(asking, name)
    serve = current.at_hand().definition.serve
    if serve.type == "batch":
        raise NotFound(f"{name} is served by a batch endpoint, whose calls are in no log")
    endpoint = serve.endpoint
    hours = asking.number("hours", USUAL)
    hours = hours if hours in WINDOWS else USUAL
    until = asking.ports.clock.now()
    since = until - timedelta(hours=hours)
    spans, lost = _spans(asking, endpoint, since, until, WINDOWS[hours])
    release = next(iter(queries.open_release(current).values), None)
    served = serving_look.now(current, release)
    unserved = served.unserved
    return LivePage(
        loop=name,
        endpoint=endpoint,
        endpoint_link=asking.studio.endpoint(serve),
        unserved=clip(say(unserved)),
        help=guide.anchor(unserved),
        hours=hours,
        windows=tuple(WINDOWS),
        minutes=WINDOWS[hours],
        since=since,
        until=until,
        lost=lost,
        arms=_arms(current, release, endpoint, served, spans),
        spans=tuple(spans),
    )


def _spans(
    asking: Asking, endpoint: str, since: datetime, until: datetime, minutes: int
) -> tuple[list[TrafficSpan], str]:
    """The log, or why there is none: a page without it still says who is served."""
    try:
        with deadline.within(serving_look.ASKED_S):
            return asking.ports.evidence.history(endpoint, since, until, minutes), ""
    except (DependencyUnavailable, ConfigurationError) as error:
        return [], clip(str(error))


def _arms(
    current: Unit,
    release: Release | None,
    endpoint: str,
    served: serving_look.Served,
    spans: Sequence[TrafficSpan],
) -> tuple[Arm, ...]:
    """The champion first, then the open release's, then whatever else was asked, the most asked first."""
    champion = current.state.champion
    known = [champion.deployment] if champion else []
    known += [release.deployment] if release and release.deployment else []
    asked = {
        name: sum(s.requests for s in spans if s.deployment == name) for name in {s.deployment for s in spans}
    }
    names = dict.fromkeys(
        [*known, *(served.traffic or {}), *sorted(asked, key=lambda name: (-asked[name], name))]
    )
    return tuple(
        _arm(
            name,
            [span for span in spans if span.deployment == name],
            serves=bool(champion and champion.deployment == name),
            state=_state(current, endpoint, name, served),
            share=None if served.traffic is None else served.traffic.get(name, 0),
        )
        for name in list(names)[:MOST_ARMS]
    )


def _arm(name: str, spans: Sequence[TrafficSpan], *, serves: bool, state: str, share: int | None) -> Arm:
    newest = next((span for span in reversed(spans) if span.latency_p95_ms is not None), None)
    return Arm(
        name=clip(name, 60),
        serves=serves,
        state=state,
        share_pct=share,
        requests=sum(span.requests for span in spans),
        errors=sum(span.errors for span in spans),
        latency_p50_ms=newest.latency_p50_ms if newest else None,
        latency_p95_ms=newest.latency_p95_ms if newest else None,
        newest_at=newest.starts_at if newest else None,
    )


def _state(current: Unit, endpoint: str, name: str, served: serving_look.Served) -> str:
    if served.traffic is None:
        return ""
    try:
        with deadline.within(serving_look.ASKED_S):
            return current.ports.serving.deployment_state(endpoint, name)
    except (DependencyUnavailable, ConfigurationError):
        return ""
