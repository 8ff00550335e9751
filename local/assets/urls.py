"""The addresses of assets, the same for every kind."""

from __future__ import annotations

from starlette.routing import BaseRoute

from local.assets import responses
from local.assets.models import KINDS, Assets
from local.service import Service
from local.web import arm

routes: list[BaseRoute] = [
    route
    for plural in KINDS
    for route in (
        arm(f"/{plural}", responses.list_containers(plural)),
        arm(f"/{plural}/{{name}}", responses.get_container(plural)),
        arm(f"/{plural}/{{name}}", responses.put_container(plural), ["PUT"]),
        arm(f"/{plural}/{{name}}/versions", responses.list_versions(plural)),
        arm(f"/{plural}/{{name}}/versions/{{version}}", responses.get_version(plural)),
        arm(f"/{plural}/{{name}}/versions/{{version}}", responses.put_version(plural), ["PUT"]),
    )
]
routes.append(
    arm("/codes/{name}/versions/{version}/startPendingUpload", responses.start_pending_upload, ["POST"])
)


def start(service: Service) -> None:
    service.add(Assets(service.state, service.clock))
