"""doctor, around the app: providers, events, the endpoint's log, quota, and every identity's roles."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from cli import doctor_events, doctor_network, doctor_scale
from cli.diagnosis import BROKEN, OK, ROLES_FIX, WARNING, Finding, guarded
from shared import accounts
from shared.port_rules import DEAD_LETTERS

if TYPE_CHECKING:
    from shared.checkup.platform_checkup import Surroundings
    from shared.domain.loop import Overview
    from shared.ports import Ports
    from shared.settings import Settings

PROVIDERS = (
    "Microsoft.Storage",
    "Microsoft.EventGrid",
    "Microsoft.MachineLearningServices",
    "Microsoft.Web",
    "Microsoft.OperationalInsights",
    "Microsoft.Insights",
    "Microsoft.ContainerRegistry",
    "Microsoft.KeyVault",
    "Microsoft.ManagedIdentity",
)
"""What the templates make resources of."""

_ML = "Microsoft.MachineLearningServices"
SHARED = "shared-registry"

FUNCTIONS = frozenset(
    {"act", "alert", "inbox", "root", "run", "split", "sweep", "tick", "tower", "tower_act"}
)
"""All of function_app.py."""

NOT_LOOKED_AT = "ask an Owner, Contributor or Reader of the subscription to run driftloop doctor"
INFRA = Path(__file__).parents[1] / "infra"


def examined(settings: Settings, ports: Ports, overviews: list[Overview]) -> Iterator[Finding]:
    """What only Resource Manager can tell. Who may not ask it is told so; that alone breaks nothing."""
    from shared.checkup.platform_checkup import Surroundings

    around = Surroundings(settings)
    looks: dict[str, Callable[[], Iterator[Finding]]] = {
        "providers": partial(_providers, around),
        "functions": partial(_functions, around),
        "events": partial(doctor_events.examined, around, settings.queue),
        "landings": partial(doctor_events.elsewhere, around, settings.queue, overviews),
        "identities": partial(_identities, around, settings, overviews),
    }
    for overview in overviews:
        looks[f"scaling of {overview.endpoint}"] = partial(
            doctor_scale.examined, around, ports, settings.autoscale_group, overview
        )
        looks[f"quota of {overview.loop}"] = partial(_quota, around, ports, overview)
        looks[f"diagnostics of {overview.endpoint}"] = partial(
            _diagnostics, around, ports, settings, overview
        )
    for check, look in looks.items():
        yield from guarded(check, look, refused=WARNING, fix=NOT_LOOKED_AT)
    yield from doctor_network.examined(settings, around, overviews, NOT_LOOKED_AT)


def _providers(around: Surroundings) -> Iterator[Finding]:
    states = {namespace: around.registration(namespace) for namespace in PROVIDERS}
    missing = {namespace: state for namespace, state in states.items() if state != "Registered"}
    for namespace, state in missing.items():
        fix = f"az provider register --namespace {namespace}; it takes minutes"
        yield Finding("providers", BROKEN, f"{namespace} is {state} in the subscription", fix)
    if not missing:
        yield Finding("providers", OK, f"all {len(PROVIDERS)} resource providers are registered")


def _functions(around: Surroundings) -> Iterator[Finding]:
    """A host that could not read the app answers its ping, and has no functions."""
    fix = "azd deploy; AppTraces of its Application Insights has why, most often an import that fails"
    indexed = around.functions()
    if indexed is None:
        yield Finding("functions", BROKEN, "there is no Function App", "azd provision makes it")
    elif missing := sorted(FUNCTIONS - indexed):
        yield Finding("functions", BROKEN, f"the app's host does not have {', '.join(missing)}", fix)
    else:
        yield Finding("functions", OK, f"the app's host has all {len(FUNCTIONS)} functions")


def _quota(around: Surroundings, ports: Ports, overview: Overview) -> Iterator[Finding]:
    """A canary is one more deployment, beside the one that serves."""
    from shared.runtime import unit_of_work

    check = f"quota of {overview.loop}"
    serve = unit_of_work.read(ports, overview.loop).published().definition.serve
    if serve.type == "batch":  # its jobs take nodes of a cluster, which has its own
        return
    quota = around.quota(serve.instance_type)
    if quota is None:
        words = f"the workspace's region has no machines of the size {serve.instance_type}"
        yield Finding(check, BROKEN, words, "choose another serve.instance_type and publish")
        return
    needed = quota.needed(serve.machines[1])
    short = [f"{left} of {name}" for name, left in quota.left.items() if left < needed]
    words = f"a canary takes {needed} cores ({serve.machines[1]} x {serve.instance_type} and the reserve)"
    if short:
        fix = "Azure ML studio, Quota: ask for more; or delete deployments that do not serve"
        yield Finding(check, BROKEN, f"{words}; only {', '.join(short)}", fix)
    else:
        yield Finding(check, OK, f"{words}; at least {min(quota.left.values(), default='enough')} are left")


def _diagnostics(
    around: Surroundings, ports: Ports, settings: Settings, overview: Overview
) -> Iterator[Finding]:
    """Only of an endpoint that a release has put live: the first one has no champion to compare with."""
    from shared.runtime import unit_of_work

    current = unit_of_work.read(ports, overview.loop)
    if current.state.champion is None or current.published().definition.serve.type == "batch":
        return
    check, places = f"diagnostics of {overview.endpoint}", around.traffic_logs(overview.endpoint)
    fix = f"azd env set DRIFTLOOP_ENDPOINTS {overview.endpoint}, then azd provision"
    if settings.logs_workspace_id.casefold() in places:
        yield Finding(check, OK, "its traffic log goes to the Log Analytics workspace that is asked")
    elif places:
        words = "its traffic log goes to another Log Analytics workspace than DRIFTLOOP_LOGS_WORKSPACE_ID"
        yield Finding(check, BROKEN, words, fix)
    else:
        yield Finding(check, BROKEN, "its traffic log is switched off: no canary will pass", fix)


def _identities(around: Surroundings, settings: Settings, overviews: list[Overview]) -> Iterator[Finding]:
    import yaml

    from shared.checkup.network_checkup import Network

    if not (INFRA / "identities.yaml").exists():
        yield Finding("identities", WARNING, "infra/identities.yaml is not here", "run it from a checkout")
        return
    table = yaml.safe_load((INFRA / "identities.yaml").read_text())
    grants = table["grants"] + (table["private"] if Network(settings).is_private() else [])
    ids = {name: role["id"] for name, role in yaml.safe_load((INFRA / "roles.yaml").read_text()).items()}
    grants += table["autoscale"] if settings.autoscale_group else []
    landings = _landings(around, overviews)
    grants += [
        {**row, "scope": scope} for row in table["landings"] if row["who"] == "app" for scope in landings
    ]
    principals, patterns = around.principals(), _scopes(around, settings) | landings
    for who in ("app", "blob-events", "workspace-events", "compute", "endpoint", "workspace"):
        wanted = [
            (row["role"], row["scope"])
            for row in grants
            if row["who"] == who and (row["scope"] != SHARED or _sees_registry(settings))
        ]
        if who == "workspace" and who not in principals:
            continue  # the identity of a workspace that existed before is its owner's
        if who in principals:
            yield from _roles(who, wanted, around.roles(principals[who]), ids, patterns)
        else:
            yield Finding(f"identity {who}", BROKEN, "does not exist", "azd provision makes it")


def _landings(around: Surroundings, overviews: list[Overview]) -> dict[str, re.Pattern[str]]:
    """Containers of other accounts in which drops land, as far as their roles can be read: of our own subscription."""
    return {
        f"landing {place}": re.compile(f"{re.escape(id)}$", re.IGNORECASE)
        for place in doctor_events.places(overviews)
        if (id := around.container_id(*accounts.split(place)))
    }


def _sees_registry(settings: Settings) -> bool:
    """Roles are read of our own subscription: those on a registry of another one are its owner's to look at."""
    return settings.registry.lower().startswith(f"/subscriptions/{settings.subscription_id}/".lower())


def _roles(
    who: str,
    wanted: list[tuple[str, str]],
    held: set[tuple[str, str]],
    ids: Mapping[str, str],
    patterns: Mapping[str, re.Pattern[str]],
) -> Iterator[Finding]:
    check, names = f"identity {who}", {identifier: name for name, identifier in ids.items()}
    missing = [
        f"'{role}' on {scope}"
        for role, scope in wanted
        if not any(role_id == ids[role] and _covers(where, patterns[scope]) for role_id, where in held)
    ]
    extra = [
        f"'{names.get(role_id, role_id)}' on {where.rpartition('/')[2]}"
        for role_id, where in sorted(held)
        if not any(role_id == ids[role] and patterns[scope].search(where) for role, scope in wanted)
    ]
    if missing:
        yield Finding(check, BROKEN, f"it does not have the role {', '.join(missing)}", ROLES_FIX)
    if extra:
        words = f"it also has the role {', '.join(extra)}, which no call needs"
        yield Finding(check, WARNING, words, "az role assignment delete, unless somebody decided it")
    if not missing and not extra:
        yield Finding(check, OK, f"it has its {len(wanted)} roles and no other")


def _covers(where: str, scope: re.Pattern[str]) -> bool:
    """A role on the group or the subscription holds for all that is in it, though it is more than was meant."""
    return "/providers/" not in where or scope.search(where) is not None


def _scopes(around: Surroundings, settings: Settings) -> dict[str, re.Pattern[str]]:
    """By scope of infra/identities.yaml: which resource ids are meant."""
    account = f"/storageAccounts/{around.account}"
    ends = {
        "account": f"{account}$",
        "app-group": f"/resourceGroups/{settings.autoscale_group}$",
        "versions": f"{account}/blobServices/default/containers/versions$",
        "readings": f"{account}/blobServices/default/containers/readings$",
        "own-landing": f"{account}/blobServices/default/containers/landing$",
        "dead-letter": f"{account}/blobServices/default/containers/{DEAD_LETTERS}$",
        "queue": f"{account}/queueServices/default/queues/{settings.queue}$",
        "workspace-account": f"/storageAccounts/(?!{around.account}$)[^/]+$",
        "vault": "/Microsoft.KeyVault/vaults/[^/]+$",
        "workspace": f"/{_ML}/workspaces/{settings.workspace}$",
        "registry": "/Microsoft.ContainerRegistry/registries/[^/]+$",
        SHARED: f"{re.escape(settings.registry)}$",
        "topic": "/Microsoft.EventGrid/topics/[^/]+$",
        "logs": "/Microsoft.OperationalInsights/workspaces/[^/]+$",
        "telemetry": "/Microsoft.Insights/components/[^/]+$",
        "workspace-blob": "/Microsoft.Network/privateEndpoints/pe-workspace-blob-[^/]+$",
        "workspace-file": "/Microsoft.Network/privateEndpoints/pe-workspace-file-[^/]+$",
        "endpoint-identity": "/Microsoft.ManagedIdentity/userAssignedIdentities/[^/]+$",
    }
    return {scope: re.compile(end, re.IGNORECASE) for scope, end in ends.items()}
