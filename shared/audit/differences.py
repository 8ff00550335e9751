"""Rows, documents, models and the endpoint, compared with what the ledger proves. Each difference has its place."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from shared.assets import same_asset
from shared.audit.record import STARTED, Record, ReleaseRecord, VersionRecord, whole_number
from shared.domain.reason import Code, Reason, reason
from shared.domain.release import JudgementKind, Phase, Release
from shared.domain.version import DataVersion
from shared.errors import ConfigurationError, DependencyUnavailable, InvariantBroken
from shared.port_rules import JOB_TAG, LEDGER_TAG, RELEASE_TAG
from shared.ports import Row
from shared.release.machine import in_words
from shared.runtime.unit_of_work import Unit
from shared.state import ledger_pages, rows

T = TypeVar("T")
Find = Callable[[str], Row | None]

FEW = 20
"""Versions of a release that are compared where not everything is."""


@dataclass(frozen=True)
class Comparison:
    """`differences` are findings; `not_compared` is what could not be looked at, and why."""

    differences: tuple[Reason, ...]
    not_compared: tuple[Reason, ...]


def compare(
    current: Unit, record: Record, releases: Collection[int] | None = None, *, loop_row: bool = True
) -> Comparison:
    """Everything that `record` has in full; documents and models of `releases` only, of all for None. Without
    `loop_row`, `current` is itself made of the record.

    `current` was read before the record's entries were, and the loop may go on meanwhile: what changed since is left
    to the next audit.
    """
    wanted = record.releases if releases is None else {n: record.releases[n] for n in releases}
    found: list[Reason] = list(_loop_row(current, record)) if record.whole and loop_row else []
    find = _finding(current, every=releases is None)
    for one in wanted.values():
        if one.begun:
            found += _release_row(find, current.loop, record, one)
    for number in (
        record.versions if releases is None else {v for one in wanted.values() for v in one.versions}
    ):
        version = record.versions.get(number)
        if version and version.first("version.created"):
            found += _version_row(find, version)
    unseen = list(_left_out(current, record))
    documents = partial(_documents, every=releases is None)
    for look in (documents, _models, _endpoint):
        try:
            found += look(current, record, wanted)
        except (DependencyUnavailable, ConfigurationError, InvariantBroken) as error:
            unseen.append(reason(Code.AUDIT_NOT_COMPARED, error=str(error)))
    touched = _touched(current)
    return Comparison(tuple(r for r in found if r.facts.get("of") not in touched), tuple(unseen))


def compare_kept(current: Unit, record: Record, number: int, but: Collection[str] = ()) -> list[Reason]:
    """One release's row and documents, for where nothing else is at hand; documents in `but` are not looked at."""
    one = record.releases[number]
    row = _release_row(_finding(current, every=False), current.loop, record, one)
    return [*row, *_documents(current, record, {number: one}, every=False, but=but)]


def _finding(current: Unit, *, every: bool) -> Find:
    """Reads one row of the loop; where every row is looked at, a thousand a call."""
    store, loop = current.ports.store, current.loop
    if not every:
        return lambda key: store.read(loop, key)
    kinds = ("release-", "version-")
    return {row.key: row for kind in kinds for row in rows.every(store, loop, kind)}.get


def _touched(current: Unit) -> set[str]:
    """Things of which the ledger had more to say meanwhile; the loop's row among them, whatever was written."""
    later = ledger_pages.shown_after(current, current.state.ledger_seq)
    return {entry.subject for entry in later.values} | ({"loop"} if later.values or later.unread else set())


def _differs(of: str, place: str, name: str, proven: object, found: object) -> Iterator[Reason]:
    if proven != found:
        yield reason(
            Code.AUDIT_DIFFERS, of=of, place=place, name=name, proven=_text(proven), found=_text(found)
        )


def _text(value: object) -> str:
    if isinstance(value, Reason):  # not its sentence: two that differ in a fact may have the same
        facts = ", ".join(f"{name} {fact}" for name, fact in value.facts.items())
        return f"{value.code}{f' ({facts})' if facts else ''}{''.join(f'; {_text(one)}' for one in value.because)}"
    return ", ".join(map(_text, value)) if isinstance(value, tuple) else str(value or "nothing")


def _loop_row(current: Unit, record: Record) -> Iterator[Reason]:
    state, last = current.state, record.entries[-1] if record.entries else None
    if last is None:
        return
    proven, opened, champion = record.champion, record.open_release, state.champion
    of = ("loop", "the loop's row")
    yield from _differs(*of, "definition", record.definition, state.definition)
    yield from _differs(*of, "published by", record.published_by, state.published_by)
    running = ("running", "paused")
    yield from _differs(*of, "work", running[record.paused], running[state.paused is not None])
    yield from _differs(
        *of,
        "champion",
        proven or "none",
        champion.release if champion else "none",
    )
    if champion and proven == champion.release:
        serves = record.releases[proven]
        yield from _differs(*of, "champion's deployment", serves.last("deployment"), champion.deployment)
        yield from _differs(*of, "champion's model", serves.last("model"), champion.model)
        yield from _differs(*of, "champion's versions", serves.versions, champion.versions)
        if profile := serves.last("profile"):  # older entries do not have it
            yield from _differs(*of, "champion's profile", profile, champion.profile)
    yield from _differs(*of, "open release", opened.number if opened else None, state.open_release)
    yield from _differs(*of, "next release", max(record.releases, default=0) + 1, state.next_release)
    yield from _differs(*of, "next version", max(record.versions, default=0) + 1, state.next_version)


def _decoded(found: Row | None, kind: type[T], of: str, place: str) -> T | Reason:
    if found is None:
        return reason(Code.AUDIT_MISSING, of=of, place=place)
    try:
        return rows.decode(kind, found)
    except rows.Unreadable as error:
        return reason(Code.AUDIT_UNREADABLE, of=of, error=str(error))


def _release_row(find: Find, loop: str, record: Record, proven: ReleaseRecord) -> Iterator[Reason]:
    of, place = f"release {proven.number}", f"the row of release {proven.number}"
    row = _decoded(find(rows.release_key(proven.number)), Release, of, place)
    if isinstance(row, Reason):
        yield row
        return
    yield from _differs(of, place, "phase", proven.phase.value, row.phase.value)
    yield from _differs(of, place, "definition", record.definition_of(proven), row.definition)
    yield from _differs(of, place, "loop", loop, row.loop)
    yield from _differs(of, place, "number", proven.number, row.number)
    yield from _differs(of, place, "versions", proven.versions, row.versions)
    yield from _champion_before(record, proven, row, place)
    if row.ended and proven.end is not None:
        yield from _differs(of, place, "reason", proven.end, row.reason)
    for name, found in (
        ("model", row.model),
        ("deployment", row.deployment),
        ("attempt", str(row.attempt)),
        ("job", row.job),
        ("window", row.window),
        ("profile", row.profile),
        ("served_with", row.served_with),
        ("promoted", row.promoted),
        ("explanation", row.explanation),
    ):
        if last := proven.last(name):
            yield from _differs(of, place, name, last, found)
    asked_by = row.triggers[0].actor if row.triggers else ""
    yield from _differs(of, place, "asked by", proven.begun.actor if proven.begun else asked_by, asked_by)
    causes = proven.begun.cause if proven.begun else ""
    yield from _differs(of, place, "cause", causes, row.triggers[0].cause if row.triggers else causes)
    yield from _differs(of, place, "reasons", proven.reasons, tuple(t.reason for t in row.triggers))
    for evidence in sorted(proven.every("evidence") - {judgement.evidence for judgement in row.judgements}):
        yield reason(
            Code.AUDIT_DIFFERS,
            of=of,
            place=place,
            name="evidence",
            proven=evidence,
            found="no such judgement",
        )
    if row.ended:  # a smoke test stands in the ledger only by what it came to
        kept = {judged.evidence for judged in row.judgements if judged.kind is not JudgementKind.SMOKE}
        for evidence in sorted(kept - proven.every("evidence") - {""}):
            yield from _differs(of, place, "evidence", "no such judgement", evidence)


def _champion_before(record: Record, proven: ReleaseRecord, row: Release, place: str) -> Iterator[Reason]:
    """Which deployment gets the traffic back: in whole ledgers the one that was to serve when it was started. What is
    deployed again has none beside it."""
    if not record.whole or proven.first(STARTED) is None:
        return
    again = any(why.code is Code.RESTORE_ASKED_FOR for why in proven.reasons)
    of, before = f"release {proven.number}", None if again else record.champion_before(proven.number)
    served = record.releases.get(before) if before is not None else None
    found = row.champion
    yield from _differs(of, place, "champion before", before or "none", found.release if found else "none")
    if served is not None and found is not None and found.release == before:
        yield from _differs(of, place, "deployment before", served.last("deployment"), found.deployment)
        yield from _differs(of, place, "model before", served.last("model"), found.model)
        yield from _differs(of, place, "versions before", served.versions, found.versions)
        if profile := served.last("profile"):
            yield from _differs(of, place, "profile before", profile, found.profile)


def _version_row(find: Find, proven: VersionRecord) -> Iterator[Reason]:
    of, place = f"version {proven.number}", f"the row of version {proven.number}"
    row = _decoded(find(rows.version_key(proven.number)), DataVersion, of, place)
    if isinstance(row, Reason):
        yield row
        return
    yield from _differs(of, place, "number", proven.number, row.number)
    if (judged := proven.first("version.judged")) is not None:
        verdict, decision = judged.detail.get("verdict"), judged.detail.get("decision")
        if isinstance(verdict, Reason):
            yield from _differs(of, place, "verdict", verdict.because, row.verdict)
        yield from _differs(of, place, "decision", decision, row.decision)
    for name, found in (
        ("source", row.source),
        ("rows", str(row.rows)),
        ("content", row.content_hash),
        ("asset", row.asset_id),
        ("report", row.drift),
        ("metric", row.metric),
        ("contract", row.contract),
    ):
        yield from _differs(of, place, name, proven.last(name), found)
    for name, found in (
        ("path", row.path),
        ("train", str(row.train_rows)),
        ("holdout", str(row.holdout_rows)),
        ("profile", row.profile),
    ):
        if last := proven.last(name):  # older entries do not have it
            yield from _differs(of, place, name, last, found)


def _documents(
    current: Unit,
    record: Record,
    wanted: Mapping[int, ReleaseRecord],
    *,
    every: bool,
    but: Collection[str] = (),
) -> Iterator[Reason]:
    """Each document that the ledger names has the content that its name promises."""
    named = {
        (digest, f"release {n}")
        for n, one in wanted.items()
        for digest in (
            record.definition_of(one),
            one.last("served_with"),
            one.last("promoted"),
            one.last("explanation"),
            *one.every("evidence"),
        )
    }
    if every:
        named |= {(one.last("profile"), f"release {n}") for n, one in wanted.items()}
        named |= {
            (digest, f"version {n}")
            for n, one in record.versions.items()
            for digest in map(one.last, ("profile", "report", "metric", "contract"))
        }
    for digest, of in sorted(named):
        if not digest or digest in but:
            continue
        try:
            current.ports.documents.get(digest)
        except InvariantBroken as error:
            yield reason(Code.AUDIT_DOCUMENT, of=of, error=str(error))


def _models(current: Unit, record: Record, wanted: Mapping[int, ReleaseRecord]) -> Iterator[Reason]:
    """A registered model says which job and which release it came from."""
    for number, one in wanted.items():
        model, job = one.last("model"), one.last("job")
        if not model or one.entries[0].after != Phase.PREPARING:  # adopted, or an earlier release's model
            continue
        of, place = f"release {number}", f"model {model}"
        found = current.ports.training.model(model)
        if found is None:
            yield reason(Code.AUDIT_MISSING, of=of, place=place)
            continue
        if not job:  # somebody else's: its tags are not ours
            continue
        tags = found.tags
        yield from _differs(of, place, "job", job, tags.get(JOB_TAG, ""))
        yield from _differs(of, place, "release", f"{current.loop}/{number}", tags.get(RELEASE_TAG, ""))
        yield from _head(record, of, place, tags.get(LEDGER_TAG, ""))


def _head(record: Record, of: str, place: str, tag: str) -> Iterator[Reason]:
    """The tag has the ledger's head of then: whoever writes the whole chain anew does not have the model's tags."""
    seq, _, digest = tag.partition(":")
    proven = record.hashes.get(whole_number(seq))
    if proven is not None:
        yield from _differs(of, place, f"hash of ledger entry {seq}", proven, digest)


def _left_out(current: Unit, record: Record) -> Iterator[Reason]:
    """What of the endpoint is not compared because the entries in hand do not say how it is now."""
    if record.champion is None:
        return
    if not record.reaches(current.state.ledger_seq):
        yield reason(Code.AUDIT_ENDS_EARLIER, entry=record.entries[-1].seq)
    elif (moving := record.moving) is not None:
        yield reason(Code.AUDIT_TRAFFIC_MOVES, release=moving.number, phase=moving.phase.value)


def _endpoint(current: Unit, record: Record, wanted: Mapping[int, ReleaseRecord]) -> Iterator[Reason]:
    """It has the traffic that the ledger names, and deployments that get some have their releases' models."""
    if record.champion is None or not record.reaches(current.state.ledger_seq):
        return
    serve = current.published(record.definition).definition.serve
    serving, endpoint = current.ports.server(serve.type), serve.endpoint
    place = f"endpoint {endpoint}"
    if serving.endpoint_state(endpoint) == "missing":
        yield reason(Code.AUDIT_MISSING, of="loop", place=place)
        return
    if record.moving is None:
        yield from _differs("loop", place, "traffic", record.traffic, in_words(serving.traffic(endpoint)))
    served = {record.champion}
    if (opened := record.open_release) is not None and opened.phase is Phase.CANARY:
        served.add(opened.number)
    for proven in map(record.releases.__getitem__, sorted(served)):
        deployment, model = proven.last("deployment"), proven.last("model")
        found = serving.deployed_model(endpoint, deployment)
        if not found:
            yield reason(Code.AUDIT_MISSING, of="loop", place=f"deployment {endpoint}/{deployment}")
        elif not same_asset(found, model):
            yield from _differs("loop", f"deployment {endpoint}/{deployment}", "model", model, found)
