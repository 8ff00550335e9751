"""share and promote: a model that went live in one environment becomes a release in the next, untrained."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from cli import acts, session
from cli import export as exports
from cli.acts import NoWait, Reason
from cli.session import Json, ReleaseName, out, release_of
from shared.errors import ConfigurationError

if TYPE_CHECKING:
    from shared.audit.exported_release import ExportedRelease
    from shared.domain.reason import Reason as Refusal

T = TypeVar("T")


def add_to(app: typer.Typer) -> None:
    app.command("share")(share)
    app.command("promote")(promote)


def share(
    release: ReleaseName,
    to: Annotated[
        Path | None, typer.Option(help="The file to write, an .html file; LOOP-NUMBER.html otherwise.")
    ] = None,
) -> None:
    """Share a live release with the next environment.

    Its model and environment go into the registry, its evidence into a file. With the settings of that environment,
    `driftloop promote FILE` releases it there.
    """
    from shared.audit import exported_release, origin
    from shared.runtime import unit_of_work

    loop, number = release_of(release)
    session.overview(loop)
    place = to or Path(f"{loop}-{number}{exports.SUFFIX}")
    exports.check_free(place)
    registry, ports = _registry(), session.ports()
    current = unit_of_work.read(ports, loop)
    with out.status(f"sharing {release}"):
        exported = exported_release.export(ports, loop, number)
        found = _sound(origin.share(current, session.sharing(), exported, registry, session.who()))
    out.say(f"shared {release} of {found.environment} as {found.model}")
    exports.write_release(exported, place)
    out.say(f"in the next environment: driftloop promote {place.name}")


def promote(
    file: Annotated[
        Path, typer.Argument(help="What `driftloop share` or `driftloop export` wrote elsewhere.")
    ],
    reason: Reason = "",
    no_wait: NoWait = False,
    as_json: Json = False,
) -> None:
    """Release what another environment tested. Nothing is trained; gate and canary are those of this environment.

    The file's ledger entries and evidence are checked first and kept here, so that `driftloop audit` tells both.
    """
    from shared.audit import origin

    exported = _proven(file)
    session.overview(exported.loop)
    evidence = _sound(origin.bring(session.ports().documents, exported, _registry()))
    if not as_json:
        out.say(f"kept {exported.loop}/{exported.number}, its evidence is {evidence}")
    acts.ask("release", exported.loop, None, reason, no_wait=no_wait, as_json=as_json, evidence=evidence)


def _sound(found: T | Refusal) -> T:
    from shared.domain.reason import Reason
    from shared.words import say

    if isinstance(found, Reason):
        raise ConfigurationError(say(found), code=found.code)
    return found


def _proven(file: Path) -> ExportedRelease:
    from shared.words import say
    from tower import exported_page

    exported = exported_page.read(exports.content(file), str(file))
    proof = exports.opened_from(exported).proof
    if proof is not None and proof.problems:
        found = "; ".join(map(say, proof.problems))
        raise ConfigurationError(f"{file} is not intact, and nothing is promoted by it: {found}")
    return exported


def _registry() -> str:
    if not (registry := session.settings().registry):
        raise ConfigurationError(
            "models are promoted through an Azure ML registry: set DRIFTLOOP_REGISTRY to its resource id "
            "(docs/environments.md)"
        )
    return registry
