"""A label that the loop's own model made is no label: nothing is trained or judged by it."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from shared.files.drop_files import ReadSpec
from shared.intake.rejections import listed, quoted


class Origins:
    """Takes the labels away whose origin is the loop's own model, or is not told; counts both."""

    def __init__(self, origin: str, target: str, own: tuple[str, ...], *, trains_unknown: bool) -> None:
        self._origin, self._target, self._own, self._trains_unknown = origin, target, own, trains_unknown
        self.own = self.unknown = 0

    @classmethod
    def of(cls, spec: ReadSpec) -> Origins:
        """As the loop says it."""
        return cls(spec.origin, spec.target, spec.own, trains_unknown=spec.trains_unknown)

    def sift(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """The rows, each with a label that somebody gave, or without one."""
        if not self._origin:
            return batch
        labels = batch.column(self._target)
        told = pc.cast(batch.column(self._origin), pa.string())
        own = pc.fill_null(pc.is_in(told, value_set=pa.array(self._own, pa.string())), False)
        taken, labelled = own, pc.is_valid(labels)
        self.own += pc.sum(pc.and_(own, labelled)).as_py() or 0
        if not self._trains_unknown:
            unknown = pc.is_null(told)
            self.unknown += pc.sum(pc.and_(unknown, labelled)).as_py() or 0
            taken = pc.or_(own, unknown)
        sifted = pc.if_else(taken, pa.scalar(None, labels.type), labels)
        return batch.set_column(
            batch.schema.get_field_index(self._target), batch.schema.field(self._target), sifted
        )

    def merge(self, other: Origins) -> None:
        """Count what another has taken away."""
        self.own += other.own
        self.unknown += other.unknown

    def findings(self) -> list[str]:
        """What people should know, in words."""
        found = []
        if self.own:
            which = listed(list(self._own))
            found.append(
                f"{self.own:,} labels are the loop's own predictions ({which}): no training sees them"
            )
        if self.unknown:
            name = quoted(self._origin)
            found.append(
                f"{self.unknown:,} labels do not say where they come from ({name}): no training sees them"
            )
        return found
