"""What was live at a moment, answered from the ledger, which is checked first and compared with everything else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

from shared.audit import origin
from shared.audit.differences import compare
from shared.audit.record import PROMOTED, Record, ReleaseRecord, Service, text_of, whole_number
from shared.domain.ledger import LedgerEntry
from shared.domain.loop import LoopState
from shared.domain.reason import Code, Reason, reason
from shared.errors import ConfigurationError, InvariantBroken
from shared.loopfile.published import Published
from shared.ports import Ports, Row
from shared.runtime import unit_of_work
from shared.runtime.unit_of_work import Unit
from shared.state import hash_chain, ledger_pages
from shared.state.rows import LOOP, Read, Unreadable, every
from shared.state.rows import read as read_rows
from shared.words import say


@dataclass(frozen=True)
class Data:
    """A data version as the ledger has it."""

    number: int
    source: str
    rows: int
    content_hash: str
    asset: str

    @property
    def line(self) -> str:
        content = self.content_hash[:12]
        return f"version {self.number}: {self.source} ({self.rows} rows, content {content}, {self.asset})"


@dataclass(frozen=True)
class Chain:
    """Model M was trained by P with algorithm A on data D; it went live in release R at time T, because of E.

    Every word of it is an entry's, or of a document whose hash an entry has; what they do not say stays empty.
    """

    loop: str
    release: int
    model: str
    asked_by: str
    published_by: str
    commit: Reason | None
    """Of the repository that it was published from; None where that is not on record."""
    algorithm: str
    job: str
    definition: str
    deployment: str
    data: tuple[Data, ...]
    versions: tuple[int, ...]
    """All that it was trained on; `data` has those whose entries are at hand."""
    live_at: datetime | None
    """Since when it has served without a break."""
    until: datetime | None
    because: tuple[str, ...]
    phase: str
    back_to: int | None = None
    """The earlier release that it deployed again."""
    unknown: Reason | None = None
    """What is not known of the model's training; None where it was trained here."""
    environment: str = ""
    """In which it was released, where the loop has some."""
    origin: Chain | None = None
    """The same of the release in another environment that it was promoted from."""
    origin_hash: str = ""
    """Of the ledger entry there with which that was live: `driftloop audit` there has the same."""

    @property
    def trained_by(self) -> str:
        again = f"release {self.back_to}, deployed again at the wish of " if self.back_to else ""
        return f"{again}{self.asked_by}; published by {self.published_by}"


@dataclass(frozen=True)
class Audit:
    """What was live at one moment, and whether what says so is intact."""

    at: datetime
    served: Chain | None
    known: bool
    """Whether nobody was live where `served` is None: what the chain does not protect may have said who was."""
    entries: int
    problems: tuple[Reason, ...]
    """What is wrong with the ledger, then where something else differs from it."""
    not_compared: tuple[Reason, ...]

    @property
    def agrees(self) -> bool:
        """Whether everything was compared, and nothing differs."""
        return not self.problems and not self.not_compared


def audit(ports: Ports, name: str, at: datetime | None = None) -> Audit:
    """What was live at `at` (now when None), by the whole ledger; also where the loop's own row is damaged or gone."""
    current, spoiled = _loop(ports, name)
    found = ledger_pages.shown_between(current, 0, current.state.ledger_seq)
    moment = at or ports.clock.now()
    everything, proven = Record(found.values), protected(current, found, current.state.ledger_seq)
    service = proven.serving(moment)
    served = served_chain(current, proven, service.release, service) if service else None
    compared = compare(current, everything, loop_row=spoiled is None)
    return Audit(
        moment,
        served,
        knows_all(proven, found),
        len(found.values),
        (
            *([spoiled] if spoiled is not None else []),
            *check(current, found, 0, current.state.ledger_seq),
            *compared.differences,
            *origin.problems(current, everything),
        ),
        compared.not_compared,
    )


def _loop(ports: Ports, name: str) -> tuple[Unit, Reason | None]:
    """The loop as its row has it. Where nobody can read that, it is what the ledger says of it, and the finding."""
    try:
        return unit_of_work.read(ports, name), None
    except Unreadable as error:
        lost: ConfigurationError | Unreadable = error
        spoiled = reason(Code.AUDIT_UNREADABLE, of="loop", error=str(error))
    except ConfigurationError as error:
        if error.code is not Code.NOT_FOUND:
            raise
        lost, spoiled = error, reason(Code.AUDIT_MISSING, of="loop", place="the loop's row")
    found = read_rows(LedgerEntry, every(ports.store, name, "ledger-"))
    if not found.values:
        raise lost
    last, proven = found.values[-1], Record(hash_chain.proven(found.values, None))
    seq = max(last.seq, *(one.number for one in found.unread), 0)
    state = LoopState(
        loop=name,
        definition=proven.definition,
        published_by=proven.published_by,
        published_at=last.at,
        ledger_seq=seq,
        ledger_head=last.hash,
    )
    return Unit(ports, Row(LOOP, "", ""), state), spoiled


def protected(current: Unit, found: Read[LedgerEntry], through: int) -> Record:
    """What the chain proves, of the entries that were read up to one: what was live rests on nothing else. Where the
    rest of the world differs from any entry is a finding all the same."""
    return Record(hash_chain.proven(found.values, _head(current, through)))


def knows_all(proven: Record, found: Read[LedgerEntry]) -> bool:
    """Whether the chain proves all that was read, from the loop's first entry on."""
    return proven.whole and len(proven.entries) == len(found.values) and not found.unread


def _head(current: Unit, through: int) -> tuple[int, str] | None:
    """The hash that the loop's row has of the last entry; of one before, nothing but the next entry has it."""
    state = current.state
    return (state.ledger_seq, state.ledger_head) if through == state.ledger_seq else None


def check(current: Unit, found: Read[LedgerEntry], after: int, through: int) -> list[Reason]:
    """What is wrong with what was read of the ledger: the entries after one up to another."""
    unread = [
        reason(Code.AUDIT_UNREADABLE, of=f"ledger entry {one.number}", error=str(one.error))
        for one in found.unread
    ]
    numbers = {one.number for one in found.unread}
    head = _head(current, through)
    return [*unread, *hash_chain.problems(found.values, head, after=after, unread=numbers)]


def served_chain(current: Unit, proven: Record, number: int, service: Service | None) -> Chain:
    """The whole story of one release, and of the one in another environment that it was promoted from."""
    release = proven.releases[number]
    told = _chain(current.loop, current.published, proven, release, service)
    if not (evidence := release.last("promoted")):
        return told
    try:
        found = origin.read(current, evidence)
    except (InvariantBroken, ConfigurationError):
        return told  # a finding of the comparison
    if isinstance(found, Reason):
        return told
    there = Record(found.exported.ledger)
    released = there.releases[found.exported.number]
    story = _chain(found.exported.loop, found.published, there, released, None)
    return replace(told, unknown=None, origin=story, origin_hash=found.tested.hash)


def _chain(
    loop: str,
    publication: Callable[[str], Published],
    proven: Record,
    release: ReleaseRecord,
    service: Service | None,
) -> Chain:
    definition = proven.definition_of(release)
    promoted, start = release.first(PROMOTED), release.begun
    live_at = service.since if service else promoted.at if promoted else None
    published = _published(publication, release.last("served_with") or definition)
    job, model, back_to = release.last("job"), release.last("model"), release.last("back_to")
    elsewhere = bool(model) and not job
    return Chain(
        loop=loop,
        release=release.number,
        model=model,
        asked_by=start.actor if start else "",
        published_by=published.published_by if published else "",
        commit=published.commit.told if published and published.commit else None,
        algorithm=published.assets.pipeline if published and not elsewhere else "",
        job=job,
        definition=definition,
        deployment=release.last("deployment"),
        data=tuple(data for number in release.versions if (data := _data(proven, number))),
        versions=release.versions,
        live_at=live_at,
        until=service.until if service else None,
        because=tuple(map(say, release.reasons)),
        phase=release.phase.value,
        back_to=whole_number(back_to) or None,
        unknown=reason(Code.TRAINING_UNKNOWN) if elsewhere else None,
        environment=published.environment if published else "",
    )


def _published(publication: Callable[[str], Published], definition: str) -> Published | None:
    """Who published a definition, with which pipeline: the ledger has its hash, so the document is believed."""
    if not definition:
        return None
    try:
        return publication(definition)
    except (InvariantBroken, ConfigurationError):
        return None  # a finding of the comparison


def _data(proven: Record, number: int) -> Data | None:
    version = proven.versions.get(number)
    created = version.first("version.created") if version else None
    if version is None or created is None:
        return None
    return Data(
        number,
        text_of(created, "source"),
        whole_number(text_of(created, "rows")),
        text_of(created, "content"),
        version.last("asset"),
    )
