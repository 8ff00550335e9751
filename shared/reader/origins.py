"""A label that the loop's own model made is no label: nothing is trained or judged by it."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from shared.files.drop_files import ReadSpec
from shared.intake.rejections import listed, quoted


class Origins:
    """Takes the labels away whose origin is the loop's own model, or is not told; counts both."""

    def __init__(self, spec: ReadSpec) -> None:
        self._spec = spec
        self.own = self.unknown = 0

    def sift(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """The rows, each with a label that somebody gave, or without one."""
        spec = self._spec
        if not spec.origin:
            return batch
        labels = batch.column(spec.target)
        told = pc.cast(batch.column(spec.origin), pa.string())
        own = pc.fill_null(pc.is_in(told, value_set=pa.array(spec.own, pa.string())), False)
        taken, labelled = own, pc.is_valid(labels)
        self.own += pc.sum(pc.and_(own, labelled)).as_py() or 0
        if not spec.trains_unknown:
            unknown = pc.is_null(told)
            self.unknown += pc.sum(pc.and_(unknown, labelled)).as_py() or 0
            taken = pc.or_(own, unknown)
        sifted = pc.if_else(taken, pa.scalar(None, labels.type), labels)
        return batch.set_column(
            batch.schema.get_field_index(spec.target), batch.schema.field(spec.target), sifted
        )

    def findings(self) -> list[str]:
        """What people should know, in words."""
        found = []
        if self.own:
            which = listed(list(self._spec.own))
            found.append(
                f"{self.own:,} labels are the loop's own predictions ({which}): no training sees them"
            )
        if self.unknown:
            name = quoted(self._spec.origin)
            found.append(
                f"{self.unknown:,} labels do not say where they come from ({name}): no training sees them"
            )
        return found
