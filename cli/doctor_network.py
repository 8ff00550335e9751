"""doctor, of the network: what leads where, what is closed, and whether Event Grid gets through."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from ipaddress import ip_address
from typing import TYPE_CHECKING

from cli.diagnosis import BROKEN, OK, WARNING, Finding, guarded

if TYPE_CHECKING:
    from shared.checkup.network_checkup import ManagedNetwork, Network, Target, Way
    from shared.checkup.platform_checkup import Surroundings
    from shared.domain.loop import Overview
    from shared.settings import Settings

PROVIDERS = ("Microsoft.Network", "Microsoft.App")
"""What a private deployment wants registered beside the others; the second for the app's subnet."""
DELEGATION = "Microsoft.App/environments"
HOUR = timedelta(hours=1)
_PROVISION = "azd provision, with DRIFTLOOP_NETWORK=private"
_FIREWALL = (
    "do the rows `public access of …` and `identity …` say why? if all is well there: "
    "azd env set DRIFTLOOP_STORAGE_ACCESS selected-networks, then azd provision"
)


def examined(
    settings: Settings, around: Surroundings, overviews: list[Overview], not_looked_at: str
) -> Iterator[Finding]:
    """A public deployment is one finding, beside its deliveries."""
    from shared.checkup.network_checkup import Network

    network = Network(settings)
    looks: dict[str, Callable[[], Iterator[Finding]]] = {
        "deliveries": partial(_deliveries, around, network),
        "network": partial(_network, around, network, overviews),
    }
    for check, look in looks.items():
        yield from guarded(check, look, refused=WARNING, fix=not_looked_at)


def _deliveries(around: Surroundings, network: Network) -> Iterator[Finding]:
    """Dead letters come a day late, and not at all where a firewall shuts Event Grid out of their container, too."""
    now = datetime.now(UTC)
    failed = delivered = 0
    for source in ("storage", "workspace"):
        for topic in around.system_topics(source):
            counts = network.deliveries(str(topic["id"]), now - HOUR, now)
            failed, delivered = failed + counts[0], delivered + counts[1]
    if failed:
        words = f"{failed} attempts of Event Grid to deliver failed in the last hour, {delivered} events were delivered"
        yield Finding("deliveries", WARNING if delivered else BROKEN, words, _FIREWALL)
    else:
        yield Finding(
            "deliveries", OK, f"{delivered} events were delivered in the last hour, no attempt failed"
        )


def _network(around: Surroundings, network: Network, overviews: list[Overview]) -> Iterator[Finding]:
    from shared.checkup.network_checkup import APP

    if not network.is_private():
        yield Finding("network", OK, "public: every address wants a token")
        return
    missing = [name for name in PROVIDERS if around.registration(name) != "Registered"]
    fix = "; ".join(f"az provider register --namespace {name}" for name in missing)
    words = f"private; not registered: {', '.join(missing)}" if missing else "private"
    yield Finding("network", BROKEN if missing else OK, words, fix)
    leads = network.links()
    for target in network.targets():
        states = {
            link.part: (link.name, link.state, link.why)
            for link in leads
            if link.target.casefold() == target.id.casefold()
        }
        yield _linked(target, states)
        if target.kind != APP:
            yield _closed(target)
        yield _named(target.what, target.hosts)
    yield from _way(network.way())
    managed = network.managed_network()
    if network.has_own_workspace or managed.isolation != "Disabled":
        yield _managed(managed)
    for overview in overviews:
        if (endpoint := network.endpoint(overview.endpoint)) is not None:
            yield _endpoint(endpoint, managed)


def _linked(target: Target, states: dict[str, tuple[str, str, str]]) -> Finding:
    check = f"link to {target.what}"
    if missing := [part for part in target.parts if part not in states]:
        return Finding(check, BROKEN, f"no private endpoint leads to its {', '.join(missing)}", _PROVISION)
    for name, state, why in states.values():
        if state != "Approved":
            words = f"{name} is {state}" + (f": {why}" if why else "")
            fix = "approve it in the portal, under Networking of what it leads to; a rejected one is deleted, then "
            return Finding(check, BROKEN, words, fix + _PROVISION)
    return Finding(check, OK, f"private endpoints lead to its {', '.join(target.parts)}")


def _closed(target: Target) -> Finding:
    check = f"public access of {target.what}"
    if target.is_open:
        return Finding(check, BROKEN, "its public address admits every network", _PROVISION)
    if not target.trusts_services:
        words = "its firewall shuts trusted services out: Event Grid and Azure ML among them"
        return Finding(check, BROKEN, words, _PROVISION)
    firewall = "closed" if target.access == "Disabled" else "closed to everybody but selected networks"
    return Finding(check, OK, firewall)


def _named(what: str, hosts: tuple[str, ...]) -> Finding:
    """As this machine asks; who is outside of the network gets the public address, and is refused there."""
    check, public, unknown = f"names of {what}", [], []
    for host in hosts:
        try:
            found = {str(one[4][0]) for one in socket.getaddrinfo(host, 443, proto=socket.IPPROTO_TCP)}
        except socket.gaierror:
            unknown.append(host)
        else:
            public += [f"{host} is {address}" for address in found if ip_address(address).is_global]
    fix = "run it in the network, with its DNS; there: is the private DNS zone linked to the network?"
    if unknown:
        return Finding(check, WARNING, f"this machine does not find {', '.join(unknown)}", fix)
    if public:
        return Finding(
            check, WARNING, f"this machine gets a public address: {', '.join(sorted(public))}", fix
        )
    return Finding(check, OK, "private, as this machine asks for them" if hosts else "none to ask for")


def _way(way: Way | None) -> Iterator[Finding]:
    from shared.checkup.network_checkup import ALERTS

    if way is None:
        return
    check = "outbound of the app"
    if not way.subnet:
        yield Finding(check, BROKEN, "the app is in no network: storage refuses it", _PROVISION)
    elif way.delegation != DELEGATION:
        words = f"its subnet is delegated to {way.delegation or 'nothing'}, not to {DELEGATION}"
        yield Finding(check, BROKEN, words, "give DRIFTLOOP_EXISTING_APP_SUBNET another subnet")
    else:
        yield Finding(check, OK, f"it goes through {'/'.join(way.subnet.split('/')[-3::2])}")
    check = "public access of the app"
    if way.access == "Disabled":
        yield Finding(check, OK, "closed: no alert of Azure Monitor arrives")
    elif way.admits <= {ALERTS}:
        yield Finding(
            check, OK, "open to alerts of Azure Monitor alone" if way.admits else "nobody is admitted"
        )
    else:
        others = ", ".join(sorted(way.admits - {ALERTS})).replace("*", "every network")
        yield Finding(check, BROKEN, f"its public address admits {others}", _PROVISION)


def _managed(managed: ManagedNetwork) -> Finding:
    from shared.checkup.network_checkup import RULE

    check, approve = (
        "managed network",
        "az role assignment list: the workspace's identity approves it, by its role",
    )
    if managed.isolation == "Disabled":
        return Finding(
            check, BROKEN, "the workspace has none: its nodes do not reach closed data", _PROVISION
        )
    if managed.state != "Active":
        words = "it is not provisioned: the first node or deployment would wait for it, or fail"
        return Finding(check, WARNING, words, "az ml workspace provision-network")
    if RULE not in managed.rules:
        return Finding(
            check, BROKEN, f"it has no rule {RULE}: jobs do not reach the data versions", _PROVISION
        )
    if inactive := sorted(name for name, state in managed.rules.items() if state != "Active"):
        words = f"its rules {', '.join(inactive)} are not active: is their private endpoint approved?"
        return Finding(check, BROKEN, words, f"{approve}; or approve it under Networking of our account")
    return Finding(check, OK, f"{managed.isolation}, with {len(managed.rules)} rules")


def _endpoint(endpoint: Target, managed: ManagedNetwork) -> Finding:
    check = f"public access of {endpoint.what}"
    if managed.isolation == "Disabled" or endpoint.access == "Disabled":
        return Finding(check, OK, "closed" if endpoint.access == "Disabled" else "as its workspace: open")
    fix = f"az ml online-endpoint update -n {endpoint.name} --set public_network_access=disabled"
    return Finding(check, WARNING, "it has a public address: it was made before the network", fix)
