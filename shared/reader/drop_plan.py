"""How a drop is read: settled once from all of it, so that any of its rows can be read apart and come to the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

import drift
from drift.profiler import STRETCH_ROWS
from drift.template import template, unsettled
from shared.errors import InvariantBroken
from shared.files.drop_files import JUDGED_AS, DropFile, ReadSpec
from shared.intake.compatibility import settle
from shared.intake.rejections import listed, rejected
from shared.reader.batches import Sources, open_sources
from shared.reader.contract_pass import ContractPass, any_of, dropping
from shared.reader.even_batches import even
from shared.reader.first_look import FirstLook
from shared.reader.likeness import Likeness
from shared.reader.one_of_each import OneOfEach
from shared.reader.origins import Origins
from shared.reader.split_rows import Split
from shared.values.column_kinds import ARROW, DATETIME
from shared.values.texts import Contradicted


class Alone(StrEnum):
    """Why one process must read all rows, each of which depends on rows before it."""

    UNIQUE = "unique"
    """A rule of the contract rejects what came before; rows dealt out by a hash of the rule's columns would do."""
    CLUSTER = "cluster"
    """The first row of each key is profiled; rows dealt out by a hash of the key would do."""
    SLICES = "slices"
    """The first values have profiles of their own, and the first numbers settle bands; a pass before would do."""


@dataclass(frozen=True)
class Span:
    """Some rows of a drop, by their numbers. It begins with a stretch, and other spans have what it lacks."""

    part: int
    first: int = 0
    stop: int | None = None
    """None: to the end."""
    files: tuple[str, ...] = ()
    """The files that hold them; empty: all."""


@dataclass(frozen=True)
class Plan:
    """What all parts of a reading share. It travels by pickle, to where the drop's files have the same paths."""

    sources: Sources
    columns: dict[str, str]
    findings: tuple[str, ...]
    split: Split
    kinds: dict[str, drift.Kind]
    grid: drift.Profile | None
    """How rows are counted; None where one stretch has them all and settles it, and no version came before."""

    @property
    def schema(self) -> pa.Schema:
        return pa.schema([(name, ARROW[kind]) for name, kind in self.columns.items()])

    @property
    def moment_column(self) -> str:
        """The loop's time column, or the only column of times."""
        moments = [name for name, kind in self.columns.items() if kind == DATETIME]
        return self.sources.spec.time or (moments[0] if len(moments) == 1 else "")

    @property
    def alone(self) -> tuple[Alone, ...]:
        """Why there is one span alone; empty where there may be many."""
        spec = self.sources.spec
        unique = any("unique" in rule for rule in spec.contract)
        found = {Alone.UNIQUE: unique, Alone.CLUSTER: spec.cluster, Alone.SLICES: self._slices}
        return tuple(why for why, there in found.items() if there)

    @property
    def _slices(self) -> list[str]:
        return [name for name in self.sources.spec.slices if name in self.columns]

    def profiler(self) -> drift.Profiler:
        """Counts rows of any span."""
        spec = self.sources.spec
        ignored = _not_judged(spec, self.columns)
        return drift.Profiler(
            self.grid, ignore=ignored, target=spec.target, columns=self.kinds, by=self._slices
        )

    def spans(self, most: int) -> tuple[Span, ...]:
        """All rows, in about even spans, `most` of them where there are as many stretches."""
        stretches = 1 if self.alone or most < 2 else -(-self.sources.count() // STRETCH_ROWS)
        if stretches < 2:
            return (Span(0),)
        cuts = np.linspace(0, stretches, min(most, stretches) + 1).round().astype(int) * STRETCH_ROWS
        return tuple(
            Span(part, first, stop, self.sources.holding(first, stop))
            for part, (first, stop) in enumerate(zip(cuts[:-1].tolist(), cuts[1:].tolist(), strict=True))
        )

    def learned(self, late: Contradicted) -> Plan:
        """Another plan, after a row has contradicted this one; what was read by this one counts no more."""
        self.sources.learn(late)
        return _of(self.sources, reference_of(self.sources.spec))


def plan(files: Sequence[DropFile], spec: ReadSpec) -> Plan:
    """Open the files and settle how they are read.

    All rows are gone through before where that needs them: to split by time, and to find the edges of columns that no
    reference knows, where there is more than one stretch of rows.
    """
    if not files:
        raise rejected("empty-file", "the drop has no file")
    reference = reference_of(spec)
    known = reference.reading.get("hints", {}) if reference is not None else {}
    return _of(open_sources(files, replace(spec, hints={**spec.hints, **known})), reference)


def reference_of(spec: ReadSpec) -> drift.Profile | None:
    """The champion's profile."""
    try:
        return drift.Profile.from_bytes(spec.reference) if spec.reference else None
    except (drift.DataError, drift.UnknownSchemaError) as error:
        raise InvariantBroken(f"The stored profile of the champion's data cannot be used: {error}") from error


def _of(sources: Sources, reference: drift.Profile | None) -> Plan:
    while True:
        try:
            return _settled(sources, reference)
        except Contradicted as late:  # rare: the first rows said something else
            sources.learn(late)


def _settled(sources: Sources, reference: drift.Profile | None) -> Plan:
    spec = sources.spec
    columns, findings = settle(
        sources.found, sources.texts, spec, Likeness(sources, reference).guess, sources.odd
    )
    if sources.dropped:
        findings.append(f"left out, as their types are of no use: {listed(sources.dropped)}")
    kinds = {name: JUDGED_AS[kind] for name, kind in spec.columns.items() if kind in JUDGED_AS}
    grid = _grid(sources, columns, kinds, reference)
    return Plan(sources, columns, tuple(findings), Split(sources, columns), kinds, grid)


def _not_judged(spec: ReadSpec, columns: dict[str, str]) -> list[str]:
    return [name for name in (spec.id, spec.time, spec.cluster, *spec.ignore) if name in columns]


def _grid(
    sources: Sources, columns: dict[str, str], kinds: dict[str, drift.Kind], reference: drift.Profile | None
) -> drift.Profile | None:
    schema = pa.schema([(name, ARROW[kind]) for name, kind in columns.items()])
    ignored = _not_judged(sources.spec, columns)
    open_ = unsettled(schema, reference, ignore=ignored, columns=kinds)
    if not open_ or sources.at_most(STRETCH_ROWS):
        return reference
    look = FirstLook(schema, open_, kinds)
    spec, first = sources.spec, 0
    check, origins = ContractPass(dropping(spec.contract), columns), Origins.of(spec)
    one_of_each = OneOfEach(spec.cluster)
    for batch in even(sources.batches(columns)):
        places = np.arange(first, first + batch.num_rows)
        first += batch.num_rows
        if rejected_rows := check.take(batch):
            kept = pc.invert(any_of(rejected_rows))
            batch, places = batch.filter(kept), places[kept.to_numpy(zero_copy_only=False)]
        look.add(*one_of_each.of(origins.sift(batch), places))
    if first <= STRETCH_ROWS:
        return reference
    return template(schema, reference, look.profile(), columns=kinds)
