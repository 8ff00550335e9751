"""A drop is read in parts, one or many, whose readings merge; the same drop gives the same bytes again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import replace

import pyarrow as pa

import drift
from drift.arrow_values import plain
from shared.files.drop_files import DropFile, Reading, ReadSpec
from shared.files.place import Folder
from shared.intake import contract_verdict
from shared.intake.rejections import listed, quoted, rejected
from shared.reader.drop_plan import Plan, plan
from shared.reader.part_summary import PartReading, read_part
from shared.redaction import printable
from shared.values.column_kinds import ARROW, DATETIME, infinite
from shared.values.texts import Contradicted

_TAG_LENGTH = 250


def read(files: Sequence[DropFile], spec: ReadSpec, output: Folder) -> Reading:
    """Read one drop: see `shared.intake.read_drop`, which calls this in a process of its own."""
    settled = plan(files, spec)
    while True:
        try:
            return merged(settled, [read_part(settled, span, output) for span in settled.spans(1)], output)
        except Contradicted as late:
            settled = settled.learned(late)


def rows_of(reading: Reading) -> dict[str, int]:
    """The files that one pass writes, and how many rows each of them holds."""
    unlabelled = reading.rows - reading.train_rows - reading.holdout_rows
    sides = {"train": reading.train_rows, "holdout": reading.holdout_rows, "unlabelled": unlabelled}
    found = {**sides, "rejected": reading.rejected_rows}
    return {f"{side}/part-00000.parquet": rows for side, rows in found.items()}


def merged(plan: Plan, parts: Sequence[PartReading], output: Folder) -> Reading:
    """What the drop turned out to be, from the readings of all spans of its plan, in any order.

    They are used up. The samples are written under `output`, beside the rows that `read_part` wrote.
    """
    came_to, *others = parts
    for other in others:
        came_to.merge(other)
    sources, met = plan.sources, came_to.met
    sources.met = met
    sources.check_rows(met.rows, sources.names[-1])
    if others:
        sources.check_unpacked(met.unpacked, sources.names[-1])
    if broken := met.infinite.difference(sources.spec.ignore):
        raise infinite(min(broken)) if others else sources.infinite(min(broken))
    train, holdout, unlabelled = came_to.split.tolist()
    rows = train + holdout + unlabelled
    if not rows + came_to.contract.rejected:
        raise rejected("header-only", f"{listed(sources.names, 1)} has columns and no row")
    results = came_to.contract.results()
    findings = [*plan.findings, *contract_verdict.verdict(results, came_to.contract.rejected)]
    came_to.samples.write(output / "sample")
    findings += [*_look_at(plan, came_to, rows), *sources.findings()]
    hints = {**sources.spec.hints, **sources.hints}
    profile = replace(
        came_to.profiler.finish(), reading={"hints": dict(sorted(hints.items()))} if hints else {}
    )
    schema = hashlib.sha256(json.dumps(sorted(plan.columns.items())).encode()).hexdigest()
    return Reading(
        rows=rows,
        train_rows=train,
        holdout_rows=holdout,
        content_hash=came_to.content.hex(plan.columns),
        columns=plan.columns,
        schema_hash=schema,
        tags={**_tags(came_to, rows, profile), "schema": schema},
        profile=profile.to_bytes(),
        labelled=came_to.targets > 0,
        task=came_to.task.settle(),
        findings=tuple(findings),
        rejected_rows=came_to.contract.rejected,
        contract=tuple(result.to_document() for result in results),
        own_labels=came_to.origins.own,
    )


def _look_at(plan: Plan, came_to: PartReading, rows: int) -> list[str]:
    found, target = came_to.origins.findings(), quoted(plan.sources.spec.target)
    train, holdout, _ = came_to.split.tolist()
    if came_to.targets == 0:
        found.append(f"no row has a value of the target {target}: unlabelled")
    elif came_to.targets < rows:
        found.append(f"{rows - came_to.targets:,} of {rows:,} rows have no target: no training sees them")
    if not holdout:
        found.append("no row fell into the holdout: nothing can be compared on this version")
    if came_to.targets and not train:
        found.append("all labelled rows fell into the holdout: nothing can be trained on this version")
    return found


def _tags(came_to: PartReading, rows: int, profile: drift.Profile) -> dict[str, str]:
    judged = {
        name: part.grid for name, part in profile.columns.items() if part.kind == "numeric" and part.grid
    }
    medians = [f"{printable(name)}={grid.quantile(0.5):.6g}" for name, grid in judged.items()]
    sds = [f"{printable(name)}={grid.sd():.6g}" for name, grid in judged.items()]
    return {
        "length": str(rows),
        "start": _moment(came_to.start),
        "end": _moment(came_to.end),
        "median": _joined(medians),
        "sd": _joined(sds),
    }


def _moment(micros: int | None) -> str:
    return "none" if micros is None else str(plain(pa.scalar(micros, pa.int64()).cast(ARROW[DATETIME])))


def _joined(parts: list[str]) -> str:
    """As many as a tag holds."""
    text = ""
    for part in parts:
        if len(text) + len(part) + 2 > _TAG_LENGTH:
            return text + "…"
        text = f"{text}; {part}" if text else part
    return text or "none"
