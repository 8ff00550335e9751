"""The way back to any earlier release: what the ledger says that it was is deployed again, beside the champion.

Model, environment and code are the earlier release's own, each looked for before anything begins. Endpoint, machines,
gate and canary are the loop's of now: traffic and rules are today's, whoever serves.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

from shared.assets import asset
from shared.domain.ledger import LedgerEntry
from shared.domain.reason import Code, Reason, reason
from shared.domain.release import Phase, Release, Trigger
from shared.errors import ConfigurationError, InvariantBroken
from shared.loopfile.published import Assets
from shared.port_rules import JOB_TAG
from shared.release import untrained
from shared.retraining import start
from shared.retraining.start import Outcome
from shared.runtime.unit_of_work import Unit
from shared.state import ledger_pages

VERB = "rollback"

SKEW = 5
"""Entries before the release's start that are read as well: workers' clocks differ a little."""


def back_to(current: Unit, number: int, trigger: Trigger, *, gated: bool) -> Outcome | Reason:
    """A release that deploys release `number` again under a name of its own; or why there is none."""
    if (closed := untrained.refusal(current, VERB)) is not None:
        return closed
    found = _went_live(current, number)
    if isinstance(found, Reason):
        return found
    if (gone := _gone(current, found)) is not None:
        return gone
    state = current.state
    release = replace(
        untrained.beside(current, trigger, found.model, Phase.DEPLOYING),
        versions=found.versions,
        window=found.window,
        profile=found.profile,
        job=found.job,
        back_to=number,
        served_with=found.served_with or found.definition,
        promoted=found.promoted,
        judged_on=untrained.newest_rows(current) or found.versions,
        ungated=not gated,
    )
    return start.begun(state, release)


def _went_live(current: Unit, number: int) -> Release | Reason:
    """The release, as its row and the ledger both have it."""
    if not 0 < number < current.state.next_release:
        return reason(Code.ROLLBACK_NO_RELEASE, release=number, loop=current.loop)
    found = current.release(number)[0]
    if found.adopted_as_served:
        return reason(Code.ROLLBACK_UNKNOWN_DEPLOYMENT, release=number, model=asset(found.model).plain)
    if found.phase is not Phase.LIVE:
        return reason(Code.ROLLBACK_NEVER_LIVE, release=number, phase=found.phase.value)
    if (serving := untrained.serving(current, found.model)) is not None:
        return serving
    return (
        found if _proven(current, found) else reason(Code.ROLLBACK_DIFFERS, release=number, loop=current.loop)
    )


def _proven(current: Unit, found: Release) -> bool:
    """Whether the ledger says the same of what is to be deployed."""
    said: dict[str, object] = {}
    for entry in _entries(current, found):
        said |= {
            name: entry.detail[name]
            for name in ("definition", "model", "served_with", "promoted")
            if name in entry.detail
        }
    row = {name: getattr(found, name) for name in ("definition", "model", "served_with", "promoted")}
    return said == {name: text for name, text in row.items() if text}


def _entries(current: Unit, found: Release) -> Iterator[LedgerEntry]:
    """Those of the release, from its start to its end."""
    after = max(0, ledger_pages.seq_at(current, found.started_at - timedelta(milliseconds=1)) - SKEW)
    while page := ledger_pages.entries_after(current, after):
        for entry in page:
            if entry.subject == f"release {found.number}":
                yield entry
                if entry.after == found.phase.value:
                    return
        after = page[-1].seq


def _gone(current: Unit, found: Release) -> Reason | None:
    """What of the release is no longer as it was; None when all of it is there."""
    model = current.ports.training.model(found.model)
    if (lost := untrained.model_refusal(VERB, found.model, model)) is not None:
        return lost
    assert model is not None
    if found.job and model.tags.get(JOB_TAG, found.job) != found.job:
        return reason(
            Code.MODEL_DIFFERS, model=asset(found.model).plain, job=found.job, found=model.tags[JOB_TAG]
        )
    try:
        published = current.published(found.served_with or found.definition)
    except (InvariantBroken, ConfigurationError) as error:
        return reason(Code.DEFINITION_GONE, release=found.number, error=str(error))
    return _parts_gone(current, found.number, published.assets)


def _parts_gone(current: Unit, number: int, published: Assets) -> Reason | None:
    for part, gone in ((published.environment, Code.ENVIRONMENT_GONE), (published.code, Code.CODE_GONE)):
        if not part:
            continue
        digest, known = current.ports.training.digest(part), published.digests.get(part, "")
        if digest is None:
            return reason(gone, release=number, asset=part)
        if known and digest != known:
            return reason(Code.CODE_DIFFERS, release=number, asset=part, known=known, found=digest)
    return None
