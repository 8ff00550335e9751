"""A published loop: its definition, and the Azure ML assets that it was registered as, under one content hash."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from shared.domain.reason import Code
from shared.errors import InvariantBroken

if TYPE_CHECKING:
    from shared.loopfile import Definition

SCHEMA = 1


@dataclass(frozen=True)
class Assets:
    """Asset ids in Azure ML, each under a version made from its content."""

    pipeline: str
    """The training pipeline, as a pipeline component."""
    environment: str = ""
    """What the scoring code runs in; empty for an MLflow model."""
    code: str = ""
    """The scoring code; empty for an MLflow model."""
    checks: Mapping[str, str] = field(default_factory=dict)
    """Check file -> component id."""


@dataclass(frozen=True)
class Published:
    """What a release runs with, from its start to its end."""

    definition: Definition
    assets: Assets
    published_by: str
    published_at: datetime

    def to_bytes(self) -> bytes:
        """Canonical: the same publication has the same hash."""
        document = {
            "schema": SCHEMA,
            "definition": json.loads(self.definition.to_json()),
            "assets": {
                "pipeline": self.assets.pipeline,
                "environment": self.assets.environment,
                "code": self.assets.code,
                "checks": dict(self.assets.checks),
            },
            "published_by": self.published_by,
            "published_at": self.published_at.isoformat(),
        }
        return json.dumps(document, sort_keys=True, ensure_ascii=False).encode()

    @classmethod
    def from_bytes(cls, content: bytes) -> Published:
        from shared.loopfile import Definition

        document = json.loads(content)
        if document.get("schema") != SCHEMA:
            raise InvariantBroken(
                f"a published definition has schema {document.get('schema')}, this Driftloop reads {SCHEMA}; "
                "publish the loop again with `driftloop publish`",
                code=Code.DEFINITION_UNREADABLE,
            )
        return cls(
            definition=Definition.from_json(json.dumps(document["definition"])),
            assets=Assets(**document["assets"]),
            published_by=document["published_by"],
            published_at=datetime.fromisoformat(document["published_at"]),
        )
