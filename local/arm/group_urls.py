"""HTTP in and out of what stands around the workspace. Only reads, as only reads are asked for."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from local.arm import group
from local.endpoints import quota
from local.refusal import ArmError
from local.settings import LOCATION, RESOURCE_GROUP, SUBSCRIPTION
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
        for name, ours in _OURS.items():
            found = call.request.path_params.get(name, ours)
            if str(found).lower() != ours:
                raise ArmError(
                    404, "ResourceNotFound", f"There is no {name} '{found}' here, there is '{ours}'."
                )
        check_api_version(call)
        found = answer(call)
        return listing(call, found, _FILTERS) if isinstance(found, list) else reply(found)

    return secured(path, here, audiences=("arm",), action=action, scope="subscription")


def _role_assignments(call: Call) -> list[dict[str, Any]]:
    principal = _PRINCIPAL.fullmatch(call.query("$filter"))
    if principal is None:
        raise ArmError(
            501, "NotEmulated", "Role assignments are listed with $filter=principalId eq '<id>' only."
        )
    return group.role_assignments(call.service, principal[1])


def _set_providers(call: Call) -> Response:
    """PUT /local/providers {"unregistered": [namespace]}."""
    group.unregister(call.service, list(call.body.get("unregistered", [])))
    return reply(status=204)


def _set_quota(call: Call) -> Response:
    """PUT /local/quota {"cores": 8}: the limit of each family and of all; nothing in the body takes it away."""
    quota.limit(call.service.state, int(call.body.get("cores", quota.MOST)))
    return reply(status=204)


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
    _reader(f"{_GROUP}/Microsoft.Web/sites", lambda call: group.sites(), "Microsoft.Web/sites/read"),
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
    _reader(
        f"{_SUBSCRIPTION}/Microsoft.Authorization/roleAssignments",
        _role_assignments,
        "Microsoft.Authorization/roleAssignments/read",
    ),
    control("/providers", _set_providers, ["PUT"]),
    control("/quota", _set_quota, ["PUT"]),
]
