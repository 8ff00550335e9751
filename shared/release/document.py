"""Evidence and verdicts survive a round trip through JSON unchanged, so `replay` judges what was judged."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from typing import Any, ClassVar, Self

from shared.domain.release import Outcome
from shared.ports import Documents
from shared.state.rows import adapter

log = logging.getLogger("driftloop")


class Document:
    """Mixin for frozen dataclasses: `to_dict` is JSON-safe, `from_dict` gives back an equal object.

    `from_dict` raises ValueError for a field that is missing, unknown or of another type.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    def to_dict(self) -> dict[str, Any]:
        plain: dict[str, Any] = adapter(type(self)).dump_python(self, mode="json", fallback=_number)
        return plain

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Self:
        built: Self = adapter(cls).validate_python(document)
        return built


def _number(value: object) -> object:
    """A numpy scalar as Python's own number."""
    item = getattr(value, "item", None)
    if not callable(item):
        raise TypeError(f"a {type(value).__name__} cannot be stored in a document")
    return item()


def store(documents: Documents, document: Document) -> str:
    """Stored under the hash of its content, which is the answer."""
    return documents.put(json.dumps(document.to_dict(), sort_keys=True).encode())


def kept(documents: Documents, document: Document, outcome: Outcome) -> str:
    """The evidence of a verdict, stored before it is followed; empty of proven harm whose evidence cannot be stored.

    Nothing is worth keeping requests with a model that is shown to harm them.
    """
    try:
        return store(documents, document)
    except Exception:
        if outcome is not Outcome.ROLL_BACK:
            raise
        log.exception("the evidence of a rollback could not be stored")
        return ""
