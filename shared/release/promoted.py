"""A model that went live in another environment is released here as it is: nothing is trained, and what it is served
with is what it was tested with, by content. Its evidence is that environment's exported release."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace

from shared.domain.reason import Code, Reason, reason
from shared.domain.release import Phase, Trigger
from shared.errors import InvariantBroken
from shared.loopfile.published import Published
from shared.port_rules import JOB_TAG
from shared.redaction import words_of
from shared.release import untrained
from shared.release.document import Document
from shared.retraining import policy, start
from shared.retraining.start import Outcome
from shared.runtime.unit_of_work import Unit

VERB = "release"


@dataclass(frozen=True)
class Tested(Document):
    """What another environment released, as its ledger has it."""

    environment: str
    loop: str
    release: int
    entry: int
    """Number of the ledger entry with which it was live there."""
    hash: str
    """Of that entry."""
    export: str
    """Document hash of the exported release, which holds that entry and proves it."""
    model: str
    """Its id in the registry that both environments share."""
    job: str = ""
    """That trained it there; empty where somebody else did."""
    scoring: str = ""
    """Id of the scoring environment in the registry; empty for an MLflow model."""
    scoring_digest: str = ""
    code_digest: str = ""
    """Of the scoring code; empty for an MLflow model."""


def read(current: Unit, evidence: str) -> Tested | Reason:
    """What is on record of the other environment; or why it cannot be read."""
    try:
        return Tested.from_dict(json.loads(current.ports.documents.get(evidence)))
    except (InvariantBroken, ValueError, TypeError) as error:
        return reason(Code.PROMOTION_UNREADABLE, evidence=evidence[:12], error=words_of(error))


def told(tested: Tested, evidence: str, why: str) -> Reason:
    """Where the model comes from, for the ledger: its chain goes on there."""
    names = ("environment", "loop", "release", "entry", "hash", "model")
    facts = {name: getattr(tested, name) for name in names}
    return reason(Code.PROMOTION_ASKED_FOR, evidence=evidence, why=why, **facts)


def asked(current: Unit, tested: Tested, evidence: str, trigger: Trigger) -> Outcome | Reason:
    """A release of what was tested elsewhere, because a person asks for it; or why there is none."""
    published = current.published()
    no = (
        untrained.refusal(current, VERB)
        or _misdirected(current, tested, published)
        or _model(current, tested)
    )
    no = no or untrained.serving(current, tested.model) or _differs(current, tested, published)
    if no is not None:
        return no
    rows = untrained.newest_rows(current)
    if not rows:
        return reason(Code.MODEL_NO_ROWS, loop=current.loop)
    release = replace(
        untrained.beside(current, trigger, tested.model, Phase.PREPARING),
        judged_on=rows,
        promoted=evidence,
        served_with=_served_with(current, tested, published),
    )
    now = release.started_at
    counted = replace(current.state, starts=(*policy.recent_starts(current.state, now), now))
    return start.begun(counted, release)


def _misdirected(current: Unit, tested: Tested, published: Published) -> Reason | None:
    here = {"loop": current.loop, "environment": published.environment}
    if tested.loop != current.loop or tested.environment == published.environment:
        found = f"release {tested.release} of {tested.loop} in {tested.environment}"
        return reason(Code.PROMOTION_MISDIRECTED, found=found, **here)
    if (
        published.definition.gate.checks
    ):  # a job takes no model of a registry: Azure/azure-sdk-for-python#32761
        return reason(Code.PROMOTION_HAS_CHECKS, **here)
    return None


def _model(current: Unit, tested: Tested) -> Reason | None:
    """Why the registry's model is not the one that was tested; None when it is."""
    found = current.ports.training.model(tested.model)
    if (no := untrained.model_refusal(VERB, tested.model, found)) is not None:
        return no
    assert found is not None
    has = found.tags.get(JOB_TAG, "")
    if not tested.job or has == tested.job:
        return None
    return reason(Code.PROMOTION_ANOTHER_MODEL, model=tested.model, wanted=tested.job, found=has or "no job")


def _differs(current: Unit, tested: Tested, published: Published) -> Reason | None:
    """What would be served with something else than it was tested with; None when all is the same, by content."""
    assets = published.assets
    code = assets.digests.get(assets.code, "") if assets.code else ""
    scoring = current.ports.training.digest(tested.scoring) if tested.scoring else ""
    facts = {"environment": published.environment, "tested": tested.environment, "loop": current.loop}
    for part, was, now in (
        ("scoring code", tested.code_digest, code),
        ("environment", tested.scoring_digest, scoring or ""),
    ):
        if was != now:
            told = {"was": was[:12] or "none", "now": now[:12] or "not known"}
            return reason(Code.PROMOTION_DIFFERS, part=part, **told, **facts)
    return None


def _served_with(current: Unit, tested: Tested, published: Published) -> str:
    """Today's publication with the environment that was tested in place of its own, kept under its hash."""
    digests = {**published.assets.digests, tested.scoring: tested.scoring_digest}
    assets = (
        replace(published.assets, environment=tested.scoring, digests=digests) if tested.scoring else None
    )
    brought = replace(published, assets=assets) if assets else published
    return current.ports.documents.put(brought.to_bytes())
