"""Which rows are kept back from every training: by a hash, by a group, or the newest."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from shared.intake.rejections import quoted, rejected
from shared.reader.batches import Sources
from shared.reader.contract_pass import ContractPass, any_of, dropping
from shared.reader.row_hash import RowHashes, in_share
from shared.values.column_kinds import DATETIME


class Split:
    """Splits any rows of the drop alike; the moment from which on rows are holdout is found when it is made."""

    def __init__(self, sources: Sources, columns: Mapping[str, str]) -> None:
        spec = sources.spec
        self._by_time, self._newest = spec.holdout_by == "time", 0
        self._by, self._fraction = spec.holdout_column or spec.time, spec.holdout_fraction
        not_features = {spec.id, spec.time, spec.target, *spec.ignore}
        features = [name for name in columns if name not in not_features]
        features = features or [name for name in (spec.id, spec.time) if name][:1]
        self._columns = [self._by] if spec.holdout_by == "group" else features
        if spec.holdout_by == "hash" and not features:
            raise rejected(
                "holdout-impossible", "there is no column but the target and ignored ones to split rows by"
            )
        if self._by_time:
            self._newest = self._cut(sources, columns)

    def holdout(self, batch: pa.RecordBatch, hashes: RowHashes) -> npt.NDArray[np.bool_]:
        """Which of these rows are kept back."""
        if self._by_time:
            kept: npt.NDArray[np.bool_] = _moments(batch.column(self._by)) >= self._newest
            return kept
        return in_share(hashes.of(self._columns, b"split"), self._fraction)

    def _cut(self, sources: Sources, columns: Mapping[str, str]) -> int:
        """The moment from which on rows are holdout; rows of one moment stay together."""
        if columns.get(self._by) != DATETIME:
            kind = columns.get(self._by, "nowhere")
            raise rejected(
                "holdout-impossible",
                f"column {quoted(self._by)}, by which the holdout is the newest, is {kind}",
            )
        check = ContractPass(dropping(sources.spec.contract), columns)
        found = [np.zeros(0, np.int64)]
        for batch in sources.batches({**check.columns, self._by: DATETIME}):
            column = batch.column(self._by)
            if rejected_rows := check.take(batch):
                column = column.filter(pc.invert(any_of(rejected_rows)))
            found.append(_moments(column))
        moments = np.concatenate(found)
        place = math.ceil((1 - self._fraction) * len(moments))
        if place >= len(moments):
            return int(np.iinfo(np.int64).max)
        newest = int(np.partition(moments, place)[place])
        return newest + 1 if newest == moments.min() else newest  # something must be left to train on


def _moments(column: pa.Array) -> npt.NDArray[np.int64]:
    """Microseconds since 1970; rows without a time are the oldest."""
    oldest = np.iinfo(np.int64).min
    moments: npt.NDArray[np.int64] = pc.fill_null(pc.cast(column, pa.int64()), oldest).to_numpy(
        zero_copy_only=False
    )
    return moments
