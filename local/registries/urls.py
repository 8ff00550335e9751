"""The addresses of the registry: those of Azure ML's client, and those of Resource Manager."""

from __future__ import annotations

from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from local.endpoints.container import SCOPE
from local.registries import responses
from local.registries.models import SHARED, Registry
from local.registries.responses import READ, SERVICE
from local.service import Service
from local.web import Call, Handler, check_api_version, control, secured

_PATH = (
    "/subscriptions/{subscription}/resourceGroups/{group}"
    "/providers/Microsoft.MachineLearningServices/registries/{registry}"
)
_ASSETS = "Microsoft.MachineLearningServices/registries/assets/"
_PUBLIC = "https://management.azure.com"
"""Whose tokens the client brings when it shares, in any cloud (_model_operations.py, _set_registry_client)."""
_DATAPLANE = "2021-10-01-dataplanepreview"
"""Which the client asks the service with, and Resource Manager does not know (azure-ai-ml, _registry_utils.py)."""
_VERBS = {"GET": "read", "PUT": "write", "POST": "write", "DELETE": "delete"}


def _both(path: str, handler: Handler, method: str = "GET") -> list[Route]:
    """At the regional service and at Resource Manager."""
    return [_at(SERVICE, path, handler, method), _at("", path, handler, method)]


def _at(base: str, path: str, handler: Handler, method: str) -> Route:
    def versioned(call: Call) -> Response:
        if not (base and call.query("api-version") == _DATAPLANE):
            check_api_version(call)
        return handler(call)

    action = _ASSETS + _VERBS[method] if path else READ
    return secured(
        base + _PATH + path, versioned, [method], audiences=("arm", _PUBLIC), action=action, scope=SCOPE
    )


_stop: list[Registry] = []

routes: list[BaseRoute] = [
    secured(
        "/registrymanagement/v1.0/registries/{registry}/discovery",
        responses.discovery,
        audiences=("arm", "ml", _PUBLIC, "https://ml.azure.com"),
    ),
    _at("", "", responses.registry, "GET"),
    _at(SERVICE, "/import", responses.begin_import, "POST"),
    secured(
        SERVICE + "/registries/operations/{operation}", responses.import_result, audiences=("arm", _PUBLIC)
    ),
    control("/registry", responses.set_regions, ["PUT"]),
]
for _plural in SHARED:
    _version = f"/{_plural}/{{name}}/versions/{{version}}"
    routes += _both(_version, responses.get_version(_plural))
    routes += _both(_version, responses.put_version(_plural), "PUT")
    routes += _both(_version, responses.delete_version(_plural), "DELETE")
    routes += _both(f"/{_plural}/{{name}}", responses.get_container(_plural))
    routes += _both(f"/{_plural}/{{name}}/versions", responses.list_versions(_plural))
routes.append(_at(SERVICE, "/tempdatarefs/{name}/versions/{version}", responses.upload_reference, "PUT"))


def start(service: Service) -> None:
    found = Registry(service, service.clock)
    service.add(found)
    _stop.append(found)


def stop() -> None:
    _stop.pop().stop()
