"""A data version: an immutable copy of a drop, split once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from shared.domain.reason import Reason


class VersionState(StrEnum):
    """How far a data version is."""

    WRITTEN = "written"
    """Its bytes are at their final path; it has its number."""
    READY = "ready"
    """It is registered in Azure ML."""
    JUDGED = "judged"
    """Drift and metric are known, and the policy has answered."""


@dataclass(frozen=True)
class DataVersion:
    """An immutable copy of a drop, split once into train and holdout."""

    number: int
    state: VersionState
    source: str
    """container/name of the blob or folder that was dropped."""
    etag: str
    inbox_key: str
    path: str
    """Folder inside the versions container; train/ and holdout/ lie in it, and unlabelled/ where rows have no label."""
    content_hash: str
    rows: int
    train_rows: int
    holdout_rows: int
    columns: Mapping[str, str]
    labelled: bool
    profile: str
    """Document hash of the profile."""
    tags: Mapping[str, str]
    created_at: datetime
    landed_at: datetime | None = None
    """When the drop landed; None in rows that are older than this field."""
    asset_id: str = ""
    findings: tuple[Reason, ...] = ()
    drift: str = ""
    """Document hash of the drift report; empty while there is no reference."""
    drift_detected: bool | None = None
    drift_material: bool | None = None
    metric: str = ""
    """Document hash of the metric verdict; empty when it was not asked for."""
    metric_breached: bool | None = None
    metric_found: tuple[float, float, float] | None = None
    """What the metric came to, and the ends of its interval; None where it came to nothing, or in older rows."""
    verdict: tuple[Reason, ...] = ()
    """What was found about drift, then about the metric."""
    decision: Reason | None = None
    """What the policy answered."""
    judged_against: int | None = None
    """The release whose data were the reference."""
    rejected_rows: int = 0
    """Rows that the contract keeps out; they lie in rejected/ beside train/ and holdout/."""
    own_labels: int = 0
    """Labels that the loop's own model had made, and that were taken away."""
    contract: str = ""
    """Document hash of what each rule of the contract came to; empty when the loop had none."""
    table: str = ""
    """container/folder of the Delta table that it is the whole of; a later one takes its place in trainings."""
    files: str = ""
    """Document hash of the names of its blobs with their ETags, where the drop was a folder."""

    @property
    def own(self) -> bool:
        """Whether all its labels were the loop's own predictions."""
        return self.own_labels > 0 and not self.labelled

    @property
    def judged(self) -> str:
        """moved, quiet, or how far it is."""
        if self.drift_material or self.metric_breached:
            return "moved"
        return "quiet" if self.drift else self.state.value
