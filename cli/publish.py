"""validate and publish."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli import commit, idle_nodes, loaded, session, step_machines
from cli.session import LoopFolder, folder_of, out, shown
from shared import accounts
from shared.errors import ConfigurationError
from shared.words import say

if TYPE_CHECKING:
    from shared.loopfile import Definition
    from shared.loopfile.published import Commit

Settings = Annotated[
    list[str] | None,
    typer.Option("--set", help="Override a key for this publication, for example canary.step.minutes=1."),
]


To = Annotated[
    str,
    typer.Option("--to", help="The environment of the loop file to publish to; this deployment must be it."),
]


def add_to(app: typer.Typer) -> None:
    app.command("validate")(validate)
    app.command("publish")(publish)


def validate(folder: LoopFolder, overrides: Settings = None) -> None:
    """Check a loop file. Errors report the line, the value found and the values allowed, all at once."""
    from shared import loopfile
    from shared.retraining.asked_window import asked_window

    definition = loopfile.load(folder, overrides=tuple(overrides or ()))
    asked_window(folder_of(folder), definition)
    for name in definition.environments:
        there = loopfile.load(folder, overrides=tuple(overrides or ()), environment=name)
        asked_window(folder_of(folder), there)
    loaded.own_code(folder_of(folder), definition)
    also = f", in {', '.join(definition.environments)} as well" if definition.environments else ""
    out.say(f"{folder}: loop {definition.loop} is valid{also}")
    machines = step_machines.of(folder_of(folder) / definition.train.pipeline)
    for line in (*_traffic(definition), *_cost(definition), *step_machines.told(machines, definition.cost)):
        out.say(line)


def defined(
    folder: Path, overrides: Sequence[str], to: str, columns: Mapping[str, str] | None = None
) -> Definition:
    """The loop file's definition for the deployment that is meant, which must be the one that the settings name."""
    from shared import loopfile

    given = tuple(overrides)
    if not to:
        definition = loopfile.load(folder, overrides=given, columns=columns)
        if definition.environments:
            names = ", ".join(definition.environments)
            raise ConfigurationError(f"missing --to: the loop file has the environments {names}")
        return definition
    definition = loopfile.load(folder, overrides=given, columns=columns, environment=to)
    if (here := session.settings().environment) != to:
        raise ConfigurationError(
            f"--to {to}: this deployment is {here or 'no environment'} (DRIFTLOOP_ENVIRONMENT); take the settings of "
            f'{to}, for example: set -a; eval "$(azd env get-values -e {to})"; set +a'
        )
    return definition


def _check_contract(folder: Path, definition: Definition, overrides: Sequence[str], to: str) -> None:
    """A rule must fit the columns that the loop has; what the loop file says a column is, the next drop will show."""
    from shared.runtime import unit_of_work

    if definition.data.contract and session.ports().store.overview(definition.loop) is not None:
        columns = unit_of_work.read(session.ports(), definition.loop).newest_columns()
        columns = {**columns, **dict.fromkeys(columns.keys() & definition.data.columns.keys(), "nothing")}
        defined(folder, overrides, to, columns)


def _check_places(definition: Definition) -> None:
    """Events name our own account by its containers alone: a place that names it would never be theirs."""
    ours = session.settings().blob_service_uri
    for key, place in (("landing", definition.data.landing), ("labels", definition.data.labels or "")):
        account = accounts.split(place.partition("/")[0])[0]
        if account and accounts.addressed(ours, f"{accounts.address(ours, account)}/") == ("", ""):
            raise ConfigurationError(
                f"data.{key}: {account} is Driftloop's own storage account; leave '{account}:' out"
            )


def _check_scale(definition: Definition) -> None:
    """Else its first release would stop at its deployment."""
    if definition.serve.autoscale and not session.settings().autoscale_group:
        raise ConfigurationError(
            "serve.autoscale: this deployment may scale nothing (DRIFTLOOP_AUTOSCALE_GROUP is empty); "
            "azd env set DRIFTLOOP_AUTOSCALE on, then azd provision"
        )


def _traffic(definition: Definition) -> Iterator[str]:
    """What the canary's steps need, so that a loop with less traffic is not a surprise of its first release."""
    from shared.canary.traffic_needs import traffic_needs

    step = definition.canary.step
    if definition.serve.type == "batch":
        drops, hours = definition.canary.drops, f"{step.max_hours:g} hours"
        more = f" and {drops - 1} that must land within {hours} of each other" if drops > 1 else ""
        yield f"canary: both models score the newest labelled version{more}; then the default deployment is switched"
    for one in traffic_needs(definition):
        known = [f"{its_own} of {both}" for both, its_own in one.errors if its_own is not None]
        harm = (
            f"it is rolled back when {' or '.join(known)} errors of both models are its own"
            if known
            else f"so few errors as {one.errors[-1][0]} cannot roll it back"
        )
        bring = (
            f"{one.requests_per_hour:,} requests an hour bring its {step.min_requests:,}"
            if definition.canary.unit == "request"
            else f"{one.units:,} callers, each counted once, bring its {step.min_requests:,}"
        )
        yield f"canary at {one.weight_pct} %: {bring} within {step.max_hours:g} hours; {harm}"


def _cost(definition: Definition) -> Iterator[str]:
    """What a release costs before any has shown how long its training takes: at least, and by its limits at most."""
    from shared.retraining import cost

    money = cost.prices(definition)
    if money is None:
        yield f"what a release costs is unknown: {cost.unpriced(definition)} has no price; give it in cost.prices"
        return
    low, high = cost.least(definition), cost.most(definition)
    yield (
        f"a release costs {money.of(low):.2f} {definition.cost.currency} for {low.deployed_s / 3600:.1f} h of a second "
        f"deployment at least, and {money.job:.2f} an hour of training; by its limits {money.of(high):.2f} at most. "
        f"What serves costs {money.deployment * 24:.2f} a day"
    )


def _from(found: Commit | None) -> str:
    return f"from {say(found.told)}" if found else "from no commit that git or a CI run names"


def publish(folder: LoopFolder, overrides: Settings = None, to: To = "") -> None:
    """Publish a loop: register what it needs in Azure ML. New releases run with this definition."""
    from shared.azure.client import Workspace, credential
    from shared.azure.registry import Registry
    from shared.loopfile.published import Published
    from shared.release import unaided
    from shared.runtime import publication

    definition = defined(folder, overrides or (), to)
    _check_contract(folder, definition, overrides or [], to)
    _check_places(definition)
    _check_scale(definition)
    code = loaded.own_code(folder_of(folder), definition)
    workspace = Workspace(session.settings(), credential())
    idle_nodes.refuse_steps(workspace, definition.train, folder_of(folder))
    idle_nodes.refuse_serving(workspace, definition)
    kept = idle_nodes.refuse(workspace, definition.train)
    if kept and (wrong := idle_nodes.mispriced(kept, definition.cost)):
        out.print(f"[yellow]{shown(wrong)}[/]; name it in cost.node")
    registry = Registry(workspace)
    with out.status(f"publishing {definition.loop}") as status:
        assets = registry.register(
            folder_of(folder), definition, lambda what: status.update(f"publishing {definition.loop}: {what}")
        )
        ports = session.ports()
        from_commit = commit.of(folder_of(folder), os.environ, overridden=bool(overrides))
        who, oid = session.who(), session.oid()
        published = Published(definition, assets, who, ports.clock.now(), oid, to, code, from_commit)
        changed = publication.publish(ports, published)
    where = f" in {to}" if to else ""
    out.say(
        f"loop {definition.loop} {'published' if changed else 'is unchanged'}{where}, {_from(from_commit)}"
    )
    if definition.serve.scoring is None and (against := unaided.look(folder_of(folder))):
        out.print(f"[yellow]a release would end before it is deployed:[/] {shown(against)}")
    out.say(f"drop data at {definition.data.landing}, for example: driftloop drop {definition.loop} FILE")
