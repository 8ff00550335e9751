"""An endpoint that serves already becomes a loop's: its model is the champion, given rows are the reference.

Nothing on the endpoint is changed. The adoption is written as a release that is live from the first moment, so that
the ledger, the audit and every later release treat it like any other.
"""

from __future__ import annotations

from dataclasses import replace

from shared.domain.reason import Code, reason
from shared.domain.release import Phase, Release, Trigger, TriggerKind
from shared.errors import ConfigurationError
from shared.loopfile.published import Published
from shared.ports import Insert, Ports
from shared.release.stepper import champion_of
from shared.runtime import publication, unit_of_work
from shared.runtime.unit_of_work import Unit
from shared.state import rows
from shared.state.hash_chain import Draft


def adopt(ports: Ports, published: Published, deployment: str, model: str, profile: bytes) -> Release:
    """Publish the loop and take over what serves. `profile` is of the data that the model is to be compared with."""
    serve = published.definition.serve
    endpoint, traffic = serve.endpoint, dict(ports.server(serve.type).traffic(serve.endpoint))
    if traffic != {deployment: 100}:
        raise ConfigurationError(
            f"endpoint {endpoint} gives its traffic to {traffic or 'no deployment'}, not all of it to {deployment}; "
            "one deployment must have all of it to be adopted"
        )
    publication.publish(ports, published)
    digest = ports.documents.put(profile)
    return unit_of_work.until_won(lambda: _adopted(ports, published, deployment, model, digest))


def _adopted(ports: Ports, published: Published, deployment: str, model: str, profile: str) -> Release:
    current = unit_of_work.read(ports, published.definition.loop)
    if current.state.champion is not None or current.state.open_release is not None:
        raise ConfigurationError(
            f"loop {current.loop} already has a model or an open release; only a new loop can adopt"
        )
    release = _served(current, published, deployment, model, profile)
    assert release.reason is not None
    entry = Draft(
        "release.promoted",
        f"release {release.number}",
        published.published_by,
        "adoption",
        after=Phase.LIVE.value,
        detail={
            "reason": release.reason,
            "model": model,
            "profile": profile,
            "deployment": deployment,
            "traffic": f"{deployment} 100 %",
        },
    )
    champion = champion_of(release, release.started_at)
    state = replace(current.state, next_release=release.number + 1, champion=champion)
    current.commit(state, [entry], [Insert(rows.release_key(release.number), rows.encode(release))])
    return release


def _served(current: Unit, published: Published, deployment: str, model: str, profile: str) -> Release:
    """What serves, as a release that is live from its first moment."""
    now, why = current.ports.clock.now(), reason(Code.ADOPTED_AS_SERVED)
    return Release(
        loop=current.loop,
        number=current.state.next_release,
        phase=Phase.LIVE,
        definition=current.state.definition,
        triggers=(Trigger(TriggerKind.PERSON, why, published.published_by, "adoption", now),),
        versions=(),
        started_at=now,
        phase_since_at=now,
        profile=profile,
        model=model,
        deployment=deployment,
        traffic={deployment: 100},
        reason=why,
        ended_at=now,
    )
