"""A contract checked on files of this machine, read as a drop is read, with what keeps a drop out of a loop."""

from __future__ import annotations

from collections.abc import Sequence

from shared.files.drop_files import DropFile, ReadSpec
from shared.intake.compatibility import settle
from shared.intake.rejections import listed, rejected
from shared.reader.batches import Sources, open_sources
from shared.reader.contract_pass import ContractPass, Result
from shared.reader.likeness import Likeness
from shared.values.texts import Contradicted


def check_files(files: Sequence[DropFile], spec: ReadSpec) -> tuple[tuple[Result, ...], int, tuple[str, ...]]:
    """What each rule comes to, how many rows would be rejected, and findings of how the files are read.

    Raises
    ------
    InputRejected
        As for a drop: the files cannot be read, or not as this loop's.
    """
    sources = open_sources(files, spec)
    while True:
        try:
            return _check(sources)
        except Contradicted as late:
            sources.learn(late)


def _check(sources: Sources) -> tuple[tuple[Result, ...], int, tuple[str, ...]]:
    spec = sources.spec
    columns, findings = settle(sources.found, sources.texts, spec, Likeness(sources, None).guess, sources.odd)
    check = ContractPass(spec.contract, columns, spec.landed_at)
    for batch in sources.batches(columns):  # of all columns: a value that another holds may keep the drop out
        check.take(batch)
    if broken := sources.met.infinite.difference(spec.ignore):
        raise sources.infinite(min(broken))
    if not sources.met.rows:
        raise rejected("header-only", f"{listed(sources.names, 1)} has columns and no row")
    told = [*findings, *sources.findings()]
    return check.results(), check.rejected, tuple(told)
