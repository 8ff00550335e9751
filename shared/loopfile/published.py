"""A published loop: its definition, and the Azure ML assets that it was registered as, under one content hash."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING

from shared.domain.reason import Code, Reason, reason
from shared.domain.window import WindowKind
from shared.errors import ConfigurationError, DependencyUnavailable, DriftloopError, InvariantBroken
from shared.redaction import misfits

if TYPE_CHECKING:
    from pydantic import TypeAdapter

    from shared.loopfile import Definition
    from shared.ports import ServeType

SCHEMA = 1


def stays_unreadable(error: DriftloopError) -> bool:
    """Of one that was met while a publication was read: whether it lasts until a person does something. The document is
    lost or archived, say, its container refuses the app, or another version of Driftloop wrote it."""
    return not isinstance(error, DependencyUnavailable)


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
    reader: str = ""
    """The program of jobs that read drops; empty where none may, and in older publications."""
    window: WindowKind = WindowKind.FOLDER
    """What the pipeline asks its training window to be; a folder in older publications."""
    digests: Mapping[str, str] = field(default_factory=dict)
    """Id of environment or code -> SHA-256 of its content when it was published; none in older publications."""


@dataclass(frozen=True)
class Commit:
    """The commit of the repository that a loop was published from."""

    id: str
    author: str = ""
    pushed_by: str = ""
    """As a CI run names them; empty elsewhere."""
    dirty: bool | None = None
    """Whether what was published is more than the commit: files that were changed, or keys that were set. None:
    nobody could tell."""

    @property
    def told(self) -> Reason:
        return reason(Code.COMMIT, id=self.id, author=self.author, pushed_by=self.pushed_by, dirty=self.dirty)


@dataclass(frozen=True)
class Published:
    """What a release runs with, from its start to its end."""

    definition: Definition
    assets: Assets
    published_by: str
    published_at: datetime
    published_by_oid: str = ""
    """Their object id in the directory; empty where it is not known, and in older publications."""
    environment: str = ""
    """The environment that it was published to; empty where the loop file has none."""
    code: Mapping[str, str] = field(default_factory=dict)
    """The loop's own code, by file: its text, so that whatever judged is in what judged; none in older publications."""
    commit: Commit | None = None
    """None where nobody knew, and in older publications."""

    @classmethod
    def bare(cls, loop: str, endpoint: str, serve_type: ServeType) -> Published:
        """What is known of a loop of which no definition can be read: where it serves. All else is as in a loop file
        that does not say it."""
        from shared import loopfile

        unknown = "unknown"
        said = {
            "loop": loop,
            "data": {"landing": f"{unknown}/{loop}/", "target": unknown},
            "train": {"pipeline": unknown},
            "serve": {"type": serve_type, "endpoint": endpoint}
            | ({"compute": unknown} if serve_type == "batch" else {}),
        }
        definition = loopfile.parse(json.dumps(said), file=unknown)
        return cls(definition, Assets(pipeline=""), "", datetime.min.replace(tzinfo=UTC))

    def to_bytes(self) -> bytes:
        """Canonical: the same publication has the same hash."""
        document = _adapter().dump_python(self, mode="json")
        return json.dumps({"schema": SCHEMA, **document}, sort_keys=True, ensure_ascii=False).encode()

    @classmethod
    def from_bytes(cls, content: bytes) -> Published:
        """InvariantBroken when another version of Driftloop wrote it."""
        schema = json.loads(content).get("schema")
        if schema != SCHEMA:
            raise InvariantBroken(
                f"a published definition has schema {schema}, this Driftloop reads {SCHEMA}; "
                "publish the loop again with `driftloop publish`",
                code=Code.DEFINITION_UNREADABLE,
            )
        try:
            return _adapter().validate_json(content)
        except ValueError as error:
            raise ConfigurationError(
                "This version of Driftloop cannot read the stored definition; publish the loop again. "
                f"({misfits(error)})",
                code=Code.DEFINITION_UNREADABLE,
            ) from error


@cache
def _adapter() -> TypeAdapter[Published]:
    from pydantic import TypeAdapter

    from shared.loopfile.definition import Definition  # noqa: F401  # resolves the annotation of Published

    return TypeAdapter(Published)
