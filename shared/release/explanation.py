"""What the pipeline recorded of what its model goes by, beside what the champion's did, stored with the release."""

from __future__ import annotations

import json

from shared.domain.reason import Code, Reason, reason
from shared.domain.release import Release
from shared.errors import ConfigurationError, InvariantBroken
from shared.gate import importance
from shared.gate.importance import Explanation, Importance
from shared.ports import IMPORTANCE
from shared.redaction import words_of
from shared.release import document
from shared.runtime.unit_of_work import Unit


def of(unit: Unit, release: Release) -> tuple[str, Reason | None]:
    """Document hash and words; neither where nothing was recorded. What cannot be used is told: nothing rests on it."""
    try:
        content = unit.ports.training.recorded(release.job, IMPORTANCE) if release.job else b""
        if not content:
            return "", None
        challenger = importance.read(content)
    except (ConfigurationError, ValueError, RecursionError) as error:
        return "", reason(Code.IMPORTANCE_UNUSABLE, why=words_of(error))
    champion = release.champion.release if release.champion else 0
    found = importance.explained(challenger, _champions(unit, champion))
    return document.store(unit.ports.documents, found), importance.told(found, champion)


def _champions(unit: Unit, number: int) -> Importance | None:
    """None where no model serves, its training recorded nothing, or what it recorded is lost, which an audit tells."""
    digest = unit.release(number)[0].explanation if number else ""
    try:
        return read(unit, digest).challenger if digest else None
    except InvariantBroken:
        return None


def read(unit: Unit, digest: str) -> Explanation:
    return Explanation.from_dict(json.loads(unit.ports.documents.get(digest)))
