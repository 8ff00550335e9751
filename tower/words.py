"""Phases and ledger entries as sentences, for people who were not there when they happened."""

from __future__ import annotations

from collections.abc import Mapping

from shared.domain.ledger import LedgerEntry
from shared.domain.release import Phase, Release
from shared.words import spoken
from tower.visit import clip, short

DOING = {
    Phase.PREPARING: "puts the training data together",
    Phase.TRAINING: "trains in Azure ML",
    Phase.REGISTERING: "registers the trained model",
    Phase.DEPLOYING: "deploys the challenger at 0 % traffic",
    Phase.GATING: "compares both models on holdout rows",
    Phase.CHECKING: "runs the loop's own checks",
    Phase.AWAITING_APPROVAL: "waits for an approval",
    Phase.HOLDING: "holds: a person decides",
    Phase.SHIFTING: "sets the traffic of the next canary step",
    Phase.CANARY: "is a canary under live traffic",
    Phase.PROMOTING: "gives all traffic to the challenger",
    Phase.BAKING: "is live; the old deployment is kept warm",
    Phase.RETIRING: "is live; the old deployment is being removed",
    Phase.ROLLING_BACK: "gives all traffic back to the champion",
    Phase.CLEANING: "removes what was made for the challenger",
    Phase.LIVE: "went live",
    Phase.REJECTED: "was rejected",
    Phase.ROLLED_BACK: "was rolled back",
    Phase.FAILED: "failed",
    Phase.ABORTED: "was aborted",
}

_PLAIN = {
    "loop.published": "loop published",
    "loop.paused": "paused",
    "loop.resumed": "resumed",
    "release.started": "release started",
    "release.assessed": "whether it helped",
    "release.promoted": "promoted: all traffic goes to the new model",
    "retrain.denied": "not retrained",
    "retrain.coalesced": "a trigger waits",
    "traffic.adopted": "traffic was changed from outside; adopted, and the loop paused",
    "traffic.repaired": "a late worker set an earlier split; put right",
    "action.refused": "action refused",
    "release.first_of_two": "the first of two persons",
    "release.shared": "shared with other environments",
    "deployment.found": "somebody else's deployment on the endpoint",
    "drop.duplicate": "drop has the content of a version",
    "drop.ignored": "drop asks for nothing",
    "drop.quarantined": "drop quarantined",
    "drop.read_again": "another job is to read the drop",
    "drop.reading": "a Spark job reads the drop",
    "drop.replayed": "drop read again",
    "drop.superseded": "drop superseded",
    "labels.final": "the labels of a canary have matured",
    "labels.joined": "late labels joined their predictions",
    "predictions.judged": "live predictions compared with those of the gate",
    "served.judged": "served inputs compared with the training data",
    "serving.back": "the endpoint serves again",
    "serving.lost": "the endpoint serves nobody",
    "source.failed": "source could not be fetched",
    "source.fetched": "source fetched",
    "source.given_up": "source not asked again before it comes due",
    "source.unchanged": "source had nothing new",
    "version.created": "data version written",
    "version.registered": "data version registered",
    "version.judged": "data version judged",
}
_WHY = ("reason", "reasons", "why", "note", "answer", "decision", "verdict")


def headline(entry: LedgerEntry) -> str:
    """What happened, in a few words."""
    known = _PLAIN.get(entry.what)
    phase = _phase(entry.after)
    if known is None:
        known = (DOING[phase] if phase else "") or entry.what.replace(".", " ").replace("_", " ")
    attempt = entry.detail.get("attempt", "1")
    if entry.what == "release.training" and attempt != "1":
        known += f", attempt {attempt}"
    return known


def _phase(text: str) -> Phase | None:
    return Phase(text) if text in Phase._value2member_map_ else None


def because(entry: LedgerEntry) -> str:
    """Why, as the entry has it."""
    detail = spoken(entry.detail)
    if traffic := detail.get("traffic"):
        return f"traffic {traffic}"
    parts = [detail[name] for name in _WHY if detail.get(name)]
    return clip("; ".join(dict.fromkeys(parts)), 600)


def doing(release: Release) -> str:
    """A release in one sentence."""
    return f"release {release.number} {DOING[release.phase]}"


def model(asset: str) -> str:
    return short(asset) if asset else ""


def shares(traffic: Mapping[str, int]) -> str:
    """The weights of an endpoint's deployments."""
    return ", ".join(f"{name} {weight} %" for name, weight in sorted(traffic.items()))
