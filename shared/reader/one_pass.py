"""One pass over a drop's rows hashes, profiles, splits and writes them; the same drop gives the same bytes again."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

import drift
from shared.errors import InvariantBroken
from shared.files.drop_files import JUDGED_AS, DropFile, Reading, ReadSpec
from shared.intake import contract_verdict
from shared.intake.compatibility import settle
from shared.intake.rejections import listed, quoted, rejected
from shared.reader.batches import Sources, open_sources
from shared.reader.contract_pass import ContractPass, any_of, dropping
from shared.reader.even_batches import even
from shared.reader.evidence_sample import Samples
from shared.reader.likeness import Likeness
from shared.reader.one_of_each import OneOfEach
from shared.reader.origins import Origins
from shared.reader.rejected_rows import RejectedRows
from shared.reader.row_hash import ContentHash, RowHashes, in_share
from shared.reader.target_task import TargetTask
from shared.redaction import printable
from shared.values.column_kinds import ARROW, DATETIME
from shared.values.texts import Contradicted

_TAG_LENGTH = 250


class _Side:
    """One part of the split, as a Parquet file; of an `optional` part without rows there is none."""

    def __init__(self, folder: Path, schema: pa.Schema, *, optional: bool = False) -> None:
        self.rows = 0
        self._folder, self._schema = folder, schema
        self._writer = None if optional else self._opened()

    def _opened(self) -> pq.ParquetWriter:
        self._folder.mkdir(parents=True, exist_ok=True)
        return pq.ParquetWriter(self._folder / "part-00000.parquet", self._schema, compression="snappy")

    def add(self, batch: pa.RecordBatch) -> None:
        if batch.num_rows:
            self._writer = self._writer or self._opened()
            self._writer.write_batch(batch)
            self.rows += batch.num_rows

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()


class _Split:
    """Which rows are kept back from every training."""

    def __init__(self, sources: Sources, columns: Mapping[str, str]) -> None:
        spec = sources.spec
        self._spec, self._newest = spec, 0
        self._by = spec.holdout_column or spec.time
        not_features = {spec.id, spec.time, spec.target, *spec.ignore}
        self._features = [name for name in columns if name not in not_features]
        self._features = self._features or [name for name in (spec.id, spec.time) if name][:1]
        if spec.holdout_by == "hash" and not self._features:
            raise rejected(
                "holdout-impossible", "there is no column but the target and ignored ones to split rows by"
            )
        if spec.holdout_by == "time":
            self._newest = self._cut(sources, columns)

    def holdout(self, batch: pa.RecordBatch, hashes: RowHashes) -> npt.NDArray[np.bool_]:
        if self._spec.holdout_by == "time":
            kept: npt.NDArray[np.bool_] = _moments(batch.column(self._by)) >= self._newest
            return kept
        columns = [self._by] if self._spec.holdout_by == "group" else self._features
        return in_share(hashes.of(columns, b"split"), self._spec.holdout_fraction)

    def _cut(self, sources: Sources, columns: Mapping[str, str]) -> int:
        """The moment from which on rows are holdout; rows of one moment stay together."""
        if columns.get(self._by) != DATETIME:
            kind = columns.get(self._by, "nowhere")
            raise rejected(
                "holdout-impossible",
                f"column {quoted(self._by)}, by which the holdout is the newest, is {kind}",
            )
        check = ContractPass(dropping(self._spec.contract), columns)
        found = [np.zeros(0, np.int64)]
        for batch in sources.batches({**check.columns, self._by: DATETIME}):
            column = batch.column(self._by)
            if rejected_rows := check.take(batch):
                column = column.filter(pc.invert(any_of(rejected_rows)))
            found.append(_moments(column))
        moments = np.concatenate(found)
        place = math.ceil((1 - self._spec.holdout_fraction) * len(moments))
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


def read(files: Sequence[DropFile], spec: ReadSpec, output: Path) -> Reading:
    """Read one drop: see `shared.intake.read_drop`, which calls this in a process of its own."""
    if not files:
        raise rejected("empty-file", "the drop has no file")
    sources = open_sources(files, spec)
    reference = _reference(spec)
    while True:
        try:
            return _read(sources, reference, output)
        except Contradicted as late:  # rare: the first rows said something else
            sources.learn(late)


def _read(sources: Sources, reference: drift.Profile | None, output: Path) -> Reading:
    spec = sources.spec
    columns, findings = settle(sources.found, sources.text, spec, Likeness(sources, reference).guess)
    if sources.dropped:
        findings.append(f"left out, as their types are of no use: {listed(sources.dropped)}")
    return _Pass(sources, columns, findings, reference, output).run()


def _reference(spec: ReadSpec) -> drift.Profile | None:
    try:
        return drift.Profile.from_bytes(spec.reference) if spec.reference else None
    except (drift.DataError, drift.UnknownSchemaError) as error:
        raise InvariantBroken(f"The stored profile of the champion's data cannot be used: {error}") from error


class _Pass:
    """The pass over all rows."""

    def __init__(
        self,
        sources: Sources,
        columns: dict[str, str],
        findings: list[str],
        reference: drift.Profile | None,
        output: Path,
    ) -> None:
        spec = sources.spec
        self._sources, self._spec, self._columns, self._findings = sources, spec, columns, findings
        self._split, self._output = _Split(sources, columns), output
        ignored = [name for name in (spec.id, spec.time, spec.cluster, *spec.ignore) if name in columns]
        kinds = {name: JUDGED_AS[kind] for name, kind in spec.columns.items() if kind in JUDGED_AS}
        slices = [name for name in spec.slices if name in columns]
        self._profiler = drift.Profiler(
            reference, ignore=ignored, target=spec.target, columns=kinds, by=slices
        )
        self._one_of_each = OneOfEach(spec.cluster)
        self._content = ContentHash()
        schema = pa.schema([(name, ARROW[kind]) for name, kind in columns.items()])
        self._train, self._holdout = _Side(output / "train", schema), _Side(output / "holdout", schema)
        self._unlabelled = _Side(output / "unlabelled", schema, optional=True)
        self._contract = ContractPass(spec.contract, columns, spec.landed_at)
        self._rejected = RejectedRows(output / "rejected", schema)
        self._samples = Samples(schema, spec.target)
        self._targets, self._origins = 0, Origins(spec)
        self._task = TargetTask(columns.get(spec.target, ""))
        self._start: datetime | None = None
        self._end: datetime | None = None

    def run(self) -> Reading:
        try:
            for batch in even(self._sources.batches(self._columns)):
                self._take(batch)
        finally:
            for side in (self._train, self._holdout, self._unlabelled, self._rejected):
                side.close()
        rows = self._train.rows + self._holdout.rows + self._unlabelled.rows
        if not rows + self._contract.rejected:
            raise rejected(
                "header-only",
                f"{listed(self._sources.names, 1)} has columns and no row",
            )
        results = self._contract.results()
        self._findings += contract_verdict.verdict(results, self._contract.rejected)
        self._samples.write(self._output / "sample")
        self._look_at(rows)
        self._findings += self._sources.findings()
        profile = self._profiler.finish()
        schema = hashlib.sha256(json.dumps(sorted(self._columns.items())).encode()).hexdigest()
        return Reading(
            rows=rows,
            train_rows=self._train.rows,
            holdout_rows=self._holdout.rows,
            content_hash=self._content.hex(self._columns),
            columns=self._columns,
            schema_hash=schema,
            tags={**self._tags(rows, profile), "schema": schema},
            profile=profile.to_bytes(),
            labelled=self._targets > 0,
            task=self._task.settle(),
            findings=tuple(self._findings),
            rejected_rows=self._contract.rejected,
            contract=tuple(result.to_document() for result in results),
            own_labels=self._origins.own,
        )

    def _take(self, batch: pa.RecordBatch) -> None:
        hashes, before = RowHashes(batch), self._contract.rows
        if rejected_rows := self._contract.take(batch, hashes):
            self._rejected.add(batch, rejected_rows, before)
            batch = batch.filter(pc.invert(any_of(rejected_rows)))
            hashes = RowHashes(batch)
        if not batch.num_rows:
            return
        self._content.add(hashes, self._columns)
        batch = self._origins.sift(batch)
        self._profiler.update(self._one_of_each.of(batch))
        kept = self._split.holdout(batch, hashes)
        self._samples.add(batch, kept)
        self._holdout.add(batch.filter(pa.array(kept)))
        labelled = pc.is_valid(batch.column(self._spec.target)).to_numpy(zero_copy_only=False)
        self._train.add(batch.filter(pa.array(~kept & labelled)))
        self._unlabelled.add(batch.filter(pa.array(~kept & ~labelled)))
        self._targets += batch.num_rows - batch.column(self._spec.target).null_count
        self._task.add(batch.column(self._spec.target))
        if moment := self._moment_column():
            span: dict[str, datetime | None] = pc.min_max(batch.column(moment)).as_py()
            self._start = min((m for m in (self._start, span["min"]) if m is not None), default=None)
            self._end = max((m for m in (self._end, span["max"]) if m is not None), default=None)

    def _moment_column(self) -> str:
        """The loop's time column, or the only column of times."""
        moments = [name for name, kind in self._columns.items() if kind == DATETIME]
        return self._spec.time or (moments[0] if len(moments) == 1 else "")

    def _look_at(self, rows: int) -> None:
        self._findings += self._origins.findings()
        if self._targets == 0:
            self._findings.append(f"no row has a value of the target {quoted(self._spec.target)}: unlabelled")
        elif self._targets < rows:
            self._findings.append(
                f"{rows - self._targets:,} of {rows:,} rows have no target: no training sees them"
            )
        if not self._holdout.rows:
            self._findings.append("no row fell into the holdout: nothing can be compared on this version")
        if self._targets and not self._train.rows:
            self._findings.append(
                "all labelled rows fell into the holdout: nothing can be trained on this version"
            )

    def _tags(self, rows: int, profile: drift.Profile) -> dict[str, str]:
        judged = {
            name: part.grid for name, part in profile.columns.items() if part.kind == "numeric" and part.grid
        }
        medians = [f"{printable(name)}={grid.quantile(0.5):.6g}" for name, grid in judged.items()]
        sds = [f"{printable(name)}={grid.sd():.6g}" for name, grid in judged.items()]
        return {
            "length": str(rows),
            "start": str(self._start or "none"),
            "end": str(self._end or "none"),
            "median": _joined(medians),
            "sd": _joined(sds),
        }


def _joined(parts: list[str]) -> str:
    """As many as a tag holds."""
    text = ""
    for part in parts:
        if len(text) + len(part) + 2 > _TAG_LENGTH:
            return text + "…"
        text = f"{text}; {part}" if text else part
    return text or "none"
