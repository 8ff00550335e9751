"""export: one release as one file that explains, replays and shows itself anywhere, without Azure."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli import session
from cli.session import ReleaseName, out, release_of, shown
from shared.errors import ConfigurationError

if TYPE_CHECKING:
    from shared.audit.exported_release import ExportedRelease, Proof
    from shared.ports import Ports

SUFFIX = ".html"
LARGEST_FILE_BYTES = 128 * 1024 * 1024


def add_to(app: typer.Typer) -> None:
    app.command("export")(export)


@dataclass(frozen=True)
class Opened:
    """A release to read: of a loop, or of a file, which has a proof."""

    ports: Ports
    loop: str
    number: int
    proof: Proof | None = None


def export(
    release: ReleaseName,
    to: Annotated[
        Path | None, typer.Option(help="The file to write, an .html file; LOOP-NUMBER.html otherwise.")
    ] = None,
    with_ids: Annotated[
        bool, typer.Option("--with-ids", help="Keep the ids of holdout rows, values of the column `data.id`.")
    ] = False,
) -> None:
    """Write a release to one file. It opens in a browser; `explain` and `replay` take it, without Azure or settings.

    It holds the release's ledger entries, its definition and its evidence. Exit code 1 when those are not intact.
    """
    from shared.audit import exported_release

    loop, number = release_of(release)
    place = to or Path(f"{loop}-{number}{SUFFIX}")
    check_free(place)
    write_release(exported_release.export(session.ports(), loop, number, with_ids=with_ids), place)


def write_release(exported: ExportedRelease, place: Path) -> None:
    """Write it, and tell what it proves; exit code 1 where it is not intact."""
    from tower import exported_page

    release = f"{exported.loop}/{exported.number}"
    made = opened_from(exported)
    assert made.proof is not None
    page = exported_page.write(exported, made.ports, made.proof)
    if len(page) > LARGEST_FILE_BYTES:
        raise ConfigurationError(
            f"release {release} is larger than a file may be; `driftloop explain {release}` reads it"
        )
    session.write(place, page)
    documents, size_kb = len(exported.documents), len(page) / 1000
    out.say(f"wrote {shlex.quote(str(place))}: release {release}, {documents} documents, {size_kb:,.0f} kB")
    out.say("it names who published, asked and acted, and the holdout rows' true and predicted values")
    tell(made.proof)


def is_file(what: str) -> bool:
    """Whether a file is meant: no loop and no release ends so."""
    return what.endswith(SUFFIX)


def opened(what: str) -> Opened:
    """What was named LOOP/NUMBER, or by its exported file."""
    if not is_file(what):
        return Opened(session.ports(), *release_of(what))
    from tower import exported_page

    return opened_from(exported_page.read(content(Path(what)), what))


def tell(proof: Proof | None) -> None:
    """What is wrong with the file that was read, and what it cannot show; exit code 1 for the former."""
    from shared.words import say

    if proof is None:
        return
    for problem in proof.problems:
        out.print(f"[red]{shown(say(problem))}[/]")
    if not proof.problems:
        out.say(
            f"ledger: entries {proof.first} to {proof.last}, hash chain verified; row and documents agree"
        )
    out.say(f"hash of entry {proof.last}: {proof.head}")
    for why in proof.unproven:
        out.print(f"[dim]not proven: {shown(say(why))}[/]")
    if proof.problems:
        raise typer.Exit(1)


def plain(proof: Proof | None) -> dict[str, object]:
    """The same as JSON; nothing for what is no file."""
    from shared.words import say

    if proof is None:
        return {}
    problems, unproven = list(map(say, proof.problems)), list(map(say, proof.unproven))
    return {"ledger_head": proof.head, "problems": problems, "not_proven": unproven}


def opened_from(exported: ExportedRelease) -> Opened:
    from shared.audit.exported_release import prove
    from shared.memory.exported_ports import exported_ports
    from shared.runtime import unit_of_work

    ports = exported_ports(exported)
    proof = prove(exported, unit_of_work.read(ports, exported.loop))
    return Opened(ports, exported.loop, exported.number, proof)


def content(place: Path) -> bytes:
    """Not more than a file of ours can hold, so that no file fills the memory."""
    try:
        if not place.is_file():
            raise ConfigurationError(f"there is no file {place}; `driftloop export LOOP/NUMBER` writes one")
        with place.open("rb") as file:
            content = file.read(LARGEST_FILE_BYTES + 1)
    except OSError as error:
        raise ConfigurationError(f"{place} cannot be read: {error.strerror}") from error
    if len(content) > LARGEST_FILE_BYTES:
        from shared.audit.exported_release import unreadable

        raise unreadable(str(place), f"it is larger than {LARGEST_FILE_BYTES // 1024**2} MB")
    return content


def check_free(place: Path) -> None:
    if place.suffix != SUFFIX:
        raise ConfigurationError(
            f"--to {place} does not end with {SUFFIX}, by which explain and replay know it"
        )
    if place.exists():
        raise ConfigurationError(f"{place} exists already; remove it, or name another file with --to")
