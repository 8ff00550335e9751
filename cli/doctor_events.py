"""doctor: whether events reach the queue, of our own storage account, of the workspace, and of others' accounts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from cli.diagnosis import BROKEN, OK, WARNING, Finding
from shared import accounts
from shared.port_rules import DEAD_LETTERS

if TYPE_CHECKING:
    from shared.checkup.platform_checkup import Subscription, Surroundings
    from shared.domain.loop import Overview

_BLOB = "/blobServices/default/containers/{}/blobs/name"
_ML = "Microsoft.MachineLearningServices"
EVENTS = {
    "events of container landing": ("storage", "Microsoft.Storage.BlobCreated", _BLOB.format("landing")),
    "events of container labels": ("storage", "Microsoft.Storage.BlobCreated", _BLOB.format("labels")),
    "events of ended runs": ("workspace", f"{_ML}.RunCompleted", "experiments/e/runs/r"),
    "events of changed runs": ("workspace", f"{_ML}.RunStatusChanged", "experiments/e/runs/r"),
    "events of registered models": ("workspace", f"{_ML}.ModelRegistered", "models/m:1"),
    "events of deployed models": ("workspace", f"{_ML}.ModelDeployed", "endpoints/e"),
}
"""By check: which source must tell of which event, as shared/inbox/messages.py reads it."""

RENAMES = ("Microsoft.Storage.BlobRenamed", "Microsoft.Storage.DirectoryRenamed")
"""Of an account with folders: nothing else tells of what is renamed into place."""

_FIX = "azd provision makes the Event Grid subscriptions; until then the sweep finds drops, later"
_FIX_ELSEWHERE = (
    "azd env set DRIFTLOOP_LANDINGS with the container's resource id, then azd provision; until then the sweep finds "
    "drops, later"
)


def examined(around: Surroundings, queue: str) -> Iterator[Finding]:
    subscribed = {source: around.subscriptions(source) for source in ("storage", "workspace")}
    for check, (source, kind, subject) in EVENTS.items():
        passing = [one for one in subscribed[source] if one.passes(kind, subject)]
        yield _delivery(check, passing, around.account, queue, _FIX)


def elsewhere(around: Surroundings, queue: str, overviews: Sequence[Overview]) -> Iterator[Finding]:
    """Of each container of another account in which drops of a loop land. Where that account is in another
    subscription, nothing of it can be read from here."""
    for place in places(overviews):
        account, container = accounts.split(place)
        check = f"events of container {place}"
        seen = around.account_named(account)
        if seen is None:
            words = f"the storage account {account} is not among those of this subscription: not looked at"
            yield Finding(check, WARNING, words, "its owner sees its event subscriptions and roles")
            continue
        subscribed, subject = around.subscriptions_of(account), _BLOB.format(container)
        passing = [one for one in subscribed if one.passes("Microsoft.Storage.BlobCreated", subject)]
        yield _delivery(check, passing, around.account, queue, _FIX_ELSEWHERE)
        lost = [kind for kind in RENAMES if not any(one.passes(kind, subject) for one in subscribed)]
        if seen["properties"].get("isHnsEnabled") and lost:
            words = (
                f"no subscription passes on {' and '.join(lost)}: the sweep finds what is renamed into place"
            )
            yield Finding(f"renames in {place}", WARNING, words, _FIX_ELSEWHERE)


def places(overviews: Sequence[Overview]) -> list[str]:
    """Containers of other accounts in which drops or labels land, as `ACCOUNT:CONTAINER`."""
    homes = {
        place.partition("/")[0] for overview in overviews for place in (overview.landing, overview.labels)
    }
    return sorted(home for home in homes if accounts.split(home)[0])


def _delivery(check: str, passing: list[Subscription], account: str, queue: str, fix: str) -> Finding:
    queue, dead_letter = f"{account}/{queue}", f"{account}/{DEAD_LETTERS}"
    ours = [one for one in passing if one.queue == queue]
    if not passing:
        return Finding(check, BROKEN, "no Event Grid subscription passes them on", fix)
    if not ours:
        places = ", ".join(f"{one.name} to {one.queue or 'no storage queue'}" for one in passing)
        return Finding(check, BROKEN, f"they do not go to the queue {queue}: {places}", fix)
    well = [one for one in ours if one.state == "Succeeded"]
    if not well:
        return Finding(check, BROKEN, f"the subscription {ours[0].name} is {ours[0].state}", fix)
    if not any(one.dead_letter == dead_letter for one in well):
        words = f"what {well[0].name} cannot deliver is not kept in {dead_letter}"
        return Finding(check, WARNING, words, "azd provision sets the dead-letter container")
    return Finding(check, OK, f"{well[0].name} brings them into the queue")
