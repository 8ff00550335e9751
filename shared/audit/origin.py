"""Where a promoted model comes from: the other environment's own ledger, in the exported release that came along.

That it is the ledger of that environment now, only that environment can tell: compare the hash there.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

from shared import assets
from shared.audit.exported_release import ExportedRelease
from shared.audit.record import Record, ReleaseRecord
from shared.domain.reason import Code, Fact, Reason, reason
from shared.domain.release import Phase
from shared.errors import ConfigurationError, InvariantBroken
from shared.loopfile.published import Published
from shared.ports import Documents, Sharing
from shared.release import promoted
from shared.release.document import store
from shared.release.promoted import Tested
from shared.runtime import unit_of_work
from shared.runtime.unit_of_work import Unit
from shared.state import hash_chain, queries
from shared.state.hash_chain import Draft

SHARED = "release.shared"


@dataclass(frozen=True)
class Origin:
    """A release of another environment, read from the file that was exported there."""

    tested: Tested
    exported: ExportedRelease

    def published(self, digest: str) -> Published:
        return published_in(self.exported, digest)


def published_in(exported: ExportedRelease, digest: str) -> Published:
    """InvariantBroken where the file does not have it."""
    if digest not in exported.documents:
        raise InvariantBroken(f"document {digest} is not in the exported file", code=Code.DOCUMENT_LOST)
    return Published.from_bytes(exported.documents[digest].encode())


def tested(exported: ExportedRelease, registry: str) -> Tested | Reason:
    """What the file says was released there, with its places in the registry; or why that is not promoted."""
    record = Record(exported.ledger).releases[exported.number]
    live = next((entry for entry in record.entries if entry.after == Phase.LIVE), None)
    published = _published(exported)
    scoring, code = (
        _digest(published, part) for part in (published.assets.environment, published.assets.code)
    )
    named: dict[str, Fact] = {"loop": exported.loop, "release": exported.number}
    if live is None or record.phase is not Phase.LIVE or exported.cut:
        return reason(Code.PROMOTION_NOT_LIVE, phase=record.phase.value, **named)
    if scoring is None or code is None:
        return reason(Code.PROMOTION_CONTENT_UNKNOWN, **named)
    if not published.environment:
        return reason(Code.PROMOTION_NO_ENVIRONMENT, **named)
    version = f"{exported.number}-{live.hash[:12]}"
    return Tested(
        environment=published.environment,
        loop=exported.loop,
        release=exported.number,
        entry=live.seq,
        hash=live.hash,
        export=hashlib.sha256(exported.to_text().encode()).hexdigest(),
        model=_shared(registry, "models", exported.kept.model, exported.loop, version),
        job=record.last("job"),
        scoring=_shared(
            registry, "environments", published.assets.environment, f"{exported.loop}-scoring", scoring[:12]
        ),
        scoring_digest=scoring,
        code_digest=code,
    )


def _published(exported: ExportedRelease) -> Published:
    """What the release was served with."""
    return published_in(exported, exported.kept.served_with or exported.kept.definition)


def _digest(published: Published, part: str) -> str | None:
    """Of what is served with; empty where there is no such part, None where its content is not on record."""
    return published.assets.digests.get(part) if part else ""


def _shared(registry: str, kind: str, source: str, name: str, version: str) -> str:
    """Where it lies in the registry; what came from there lies there already."""
    if not source or assets.asset(source).registry:
        return source
    return assets.shared_id(registry.rpartition("/")[2], kind, name, version)


def share(
    current: Unit, sharing: Sharing, exported: ExportedRelease, registry: str, actor: str
) -> Tested | Reason:
    """Bring the release's model and environment into the registry, and put that on record. Repeating it changes
    nothing."""
    found, environment = tested(exported, registry), _published(exported).assets.environment
    if isinstance(found, Reason):
        return found
    for ensure, source, made in (
        (sharing.ensure_model, exported.kept.model, found.model),
        (sharing.ensure_environment, environment, found.scoring),
    ):
        if made and source != made:
            named = assets.asset(made)
            ensure(source, named.name, named.version)
    current = unit_of_work.read(
        current.ports, current.loop
    )  # a large model takes minutes, and the loop went on
    entries = queries.entries(current.ports, current.loop)
    if not any(entry.what == SHARED and entry.detail.get("model") == found.model for entry in entries):
        detail = {"release": str(found.release), "model": found.model, "scoring": found.scoring}
        cause = f"share-{found.hash[:12]}"
        current.commit(drafts=[Draft(SHARED, f"loop {current.loop}", actor, cause, detail=detail)])
    return found


def bring(documents: Documents, exported: ExportedRelease, registry: str) -> str | Reason:
    """Keep the evidence of another environment here; the document hash by which a release names it, or why there is
    none."""
    found = tested(exported, registry)
    if isinstance(found, Reason):
        return found
    documents.put(exported.to_text().encode())
    return store(documents, found)


def read(current: Unit, evidence: str) -> Origin | Reason:
    """InvariantBroken or ConfigurationError when the exported release is lost, or another document."""
    found = promoted.read(current, evidence)
    if isinstance(found, Reason):
        return found
    text = current.ports.documents.get(found.export).decode()
    return Origin(found, ExportedRelease.from_text(text, f"the exported release {found.export[:12]}"))


def problems(current: Unit, record: Record) -> Iterator[Reason]:
    """What is wrong with the evidence of each promoted release: that chain must be whole, and say what was claimed."""
    for number, one in record.releases.items():
        if not (evidence := one.last("promoted")):
            continue
        try:
            origin = read(current, evidence)
            yield from [origin] if isinstance(origin, Reason) else _problems(origin, one)
        except (InvariantBroken, ConfigurationError) as error:
            yield reason(Code.AUDIT_DOCUMENT, of=f"release {number}", error=str(error))


def _problems(origin: Origin, one: ReleaseRecord) -> Iterator[Reason]:
    found, first = origin.tested, origin.exported.ledger[0].seq
    yield from hash_chain.problems(origin.exported.ledger, None, after=first - 1)
    again = tested(origin.exported, "")
    if isinstance(again, Reason):
        yield again
        return
    names = ("environment", "loop", "release", "entry", "hash", "job", "code_digest", "scoring_digest")
    pairs = [(name, getattr(found, name), getattr(again, name)) for name in names]
    for name, claimed, proven in [*pairs, ("model", found.model, one.last("model"))]:
        if claimed != proven:
            told = {"name": name, "found": str(claimed), "proven": str(proven)}
            yield reason(Code.ORIGIN_DIFFERS, environment=found.environment, release=one.number, **told)
