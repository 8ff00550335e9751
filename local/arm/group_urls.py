"""HTTP in and out of what stands around the workspace. Only reads, as only reads are asked for."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from typing import Any

from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from local.arm import autoscale, group, network
from local.endpoints import quota
from local.refusal import ArmError
from local.service import Service
from local.settings import ACCOUNT, LOCATION, RESOURCE_GROUP, SUBSCRIPTION
from local.web import WORKSPACE_PATH, Call, check_api_version, control, listing, reply, secured

_SUBSCRIPTION = "/subscriptions/{subscription}/providers"
_GROUP = "/subscriptions/{subscription}/resourceGroups/{group}/providers"
_REGION = f"{_SUBSCRIPTION}/Microsoft.MachineLearningServices/locations/{{location}}"
_TOPICS = "Microsoft.EventGrid/systemTopics"
_ENDPOINT = f"{WORKSPACE_PATH}/onlineEndpoints/{{endpoint}}"
_OURS = {"subscription": SUBSCRIPTION, "group": RESOURCE_GROUP, "location": LOCATION}
_FILTERS = ("$filter",)
_PRINCIPAL = re.compile(r"principalId eq '([0-9a-f-]+)'")


def _reader(path: str, answer: Callable[[Call], object], action: str) -> Route:
    """A route for who may read the subscription; another subscription, group or region is not there."""

    def here(call: Call) -> Response:
        _check_place(call)
        check_api_version(call)
        found = answer(call)
        return listing(call, found, _FILTERS) if isinstance(found, list) else reply(found)

    return secured(path, here, audiences=("arm",), action=action, scope="subscription")


def _check_place(call: Call) -> None:
    for name, ours in _OURS.items():
        found = call.request.path_params.get(name, ours)
        if str(found).lower() != ours:
            raise ArmError(404, "ResourceNotFound", f"There is no {name} '{found}' here, there is '{ours}'.")


def _role_assignments(call: Call) -> list[dict[str, Any]]:
    principal = _PRINCIPAL.fullmatch(call.query("$filter"))
    if principal is None:
        raise ArmError(
            501, "NotEmulated", "Role assignments are listed with $filter=principalId eq '<id>' only."
        )
    return group.role_assignments(call.service, principal[1])


def _deliveries(call: Call) -> dict[str, Any]:
    """Between two moments, as totals; other forms of the question are not emulated."""
    begin, _, end = call.query("timespan").partition("/")
    try:
        since, until = datetime.fromisoformat(begin), datetime.fromisoformat(end)
    except ValueError as error:
        raise ArmError(400, "BadRequest", "timespan is two times in ISO 8601 with a / between.") from error
    if call.query("aggregation") != "Total":
        raise ArmError(501, "NotEmulated", "Metrics of Event Grid are given with aggregation=Total only.")
    names = call.query("metricnames").split(",")
    return group.deliveries(call.service, call.path("topic"), names, since, until)


def _set_providers(call: Call) -> Response:
    """PUT /local/providers {"unregistered": [namespace]}."""
    group.unregister(call.service, list(call.body.get("unregistered", [])))
    return reply(status=204)


def _set_network(call: Call) -> Response:
    """PUT /local/network: see `network.change`."""
    network.change(call.service, call.body)
    return reply(status=204)


def _set_quota(call: Call) -> Response:
    """PUT /local/quota {"cores": 8}: the limit of each family and of all; nothing in the body takes it away. With
    {"at_once": true} what is too much is refused by the answer itself."""
    at_once = bool(call.body.get("at_once", False))
    quota.limit(call.service.state, int(call.body.get("cores", quota.MOST)), at_once)
    return reply(status=204)


def _autoscale(call: Call) -> Response:
    """A setting of an online deployment: its target may be in another group than it."""
    _check_place(call)
    check_api_version(call)
    name, method = call.path("setting"), call.request.method
    if method == "PUT":
        made, is_new = autoscale.put(call.service, name, call.body)
        return reply(made, 201 if is_new else 200)
    if method == "DELETE":
        return reply(status=200 if autoscale.delete(call.service, name) else 204)
    return reply(autoscale.setting(call.service, name))


def _look_at_load(call: Call) -> Response:
    """PUT /local/autoscale/{setting} {"cpu": 90}: one look of the engine while the processors are so busy."""
    instances = autoscale.look(call.service, call.path("setting"), float(call.body["cpu"]))
    return reply({"instances": instances})


def _one_setting(method: str, verb: str) -> Route:
    return secured(
        f"{_GROUP}/Microsoft.Insights/autoscalesettings/{{setting}}",
        _autoscale,
        [method],
        audiences=("arm",),
        action=f"Microsoft.Insights/autoscalesettings/{verb}",
        scope="app-group",
    )


_NETWORK: tuple[tuple[str, Callable[[Service], object], str], ...] = (
    ("Microsoft.Network/privateEndpoints", network.private_endpoints, "Microsoft.Network/privateEndpoints"),
    (
        "Microsoft.Network/virtualNetworks/vnet-local/subnets/app",
        network.subnet,
        "Microsoft.Network/virtualNetworks/subnets",
    ),
    (
        f"Microsoft.Storage/storageAccounts/{ACCOUNT}",
        network.account,
        "Microsoft.Storage/storageAccounts",
    ),
    ("Microsoft.KeyVault/vaults/local", network.vault, "Microsoft.KeyVault/vaults"),
    (
        "Microsoft.ContainerRegistry/registries/local",
        network.registry,
        "Microsoft.ContainerRegistry/registries",
    ),
    ("Microsoft.EventGrid/topics", network.topics, "Microsoft.EventGrid/topics"),
    ("Microsoft.Web/sites/func-local/config/web", network.web, "Microsoft.Web/sites/config"),
)

routes: list[BaseRoute] = [
    _reader(
        f"{_REGION}/usages",
        lambda call: quota.usages(call.service.state),
        "Microsoft.MachineLearningServices/locations/usages/read",
    ),
    _reader(
        f"{_REGION}/vmSizes",
        lambda call: quota.sizes(),
        "Microsoft.MachineLearningServices/locations/vmSizes/read",
    ),
    _reader(
        f"{_SUBSCRIPTION}/{{namespace}}",
        lambda call: group.provider(call.service, call.path("namespace")),
        "Microsoft.Resources/subscriptions/providers/read",
    ),
    _reader(
        f"{_SUBSCRIPTION}/{_TOPICS}",
        lambda call: group.system_topics(),
        "Microsoft.EventGrid/systemTopics/read",
    ),
    _reader(
        f"{_SUBSCRIPTION}/Microsoft.Storage/storageAccounts",
        lambda call: network.accounts(call.service),
        "Microsoft.Storage/storageAccounts/read",
    ),
    _reader(
        f"{_GROUP}/{_TOPICS}/{{topic}}/eventSubscriptions",
        lambda call: group.event_subscriptions(call.service, call.path("topic")),
        "Microsoft.EventGrid/systemTopics/eventSubscriptions/read",
    ),
    _reader(
        f"{_ENDPOINT}/providers/Microsoft.Insights/diagnosticSettings",
        lambda call: group.diagnostics(call.service, call.path("endpoint")),
        "Microsoft.Insights/diagnosticSettings/read",
    ),
    _reader(
        f"{_GROUP}/Microsoft.OperationalInsights/workspaces/local",
        lambda call: group.logs_workspace(),
        "Microsoft.OperationalInsights/workspaces/read",
    ),
    _reader(
        f"{_GROUP}/Microsoft.Web/sites", lambda call: group.sites(call.service), "Microsoft.Web/sites/read"
    ),
    _reader(
        f"{_GROUP}/Microsoft.Web/sites/{{site}}/functions",
        lambda call: group.functions(call.service, call.path("site")),
        "Microsoft.Web/sites/functions/read",
    ),
    _reader(
        f"{_GROUP}/Microsoft.ManagedIdentity/userAssignedIdentities",
        lambda call: group.assigned_identities(),
        "Microsoft.ManagedIdentity/userAssignedIdentities/read",
    ),
    *(
        _reader(f"{_GROUP}/{path}", lambda call, show=show: show(call.service), f"{action}/read")  # type: ignore[misc]
        for path, show, action in _NETWORK
    ),
    _reader(
        f"{WORKSPACE_PATH}/outboundRules",
        lambda call: network.outbound_rules(call.service),
        "Microsoft.MachineLearningServices/workspaces/outboundRules/read",
    ),
    _reader(
        f"{_GROUP}/{_TOPICS}/{{topic}}/providers/Microsoft.Insights/metrics",
        _deliveries,
        "Microsoft.Insights/metrics/read",
    ),
    _reader(
        f"{_SUBSCRIPTION}/Microsoft.Authorization/roleAssignments",
        _role_assignments,
        "Microsoft.Authorization/roleAssignments/read",
    ),
    _reader(
        f"{_GROUP}/Microsoft.Insights/autoscalesettings",
        lambda call: autoscale.settings(call.service),
        "Microsoft.Insights/autoscalesettings/read",
    ),
    *(_one_setting(*each) for each in (("GET", "read"), ("PUT", "write"), ("DELETE", "delete"))),
    control("/autoscale/{setting}", _look_at_load, ["PUT"]),
    control("/providers", _set_providers, ["PUT"]),
    control("/quota", _set_quota, ["PUT"]),
    control("/network", _set_network, ["PUT"]),
]
