"""The addresses of the cloud, the workspace, its datastores and its long-running operations."""

from __future__ import annotations

from starlette.routing import BaseRoute

from local.arm import group_urls, responses
from local.progress import OPERATIONS_PATH, RESULTS_PATH
from local.web import arm, control, opened, secured

routes: list[BaseRoute] = [
    opened("/metadata/endpoints", responses.metadata),
    opened("/discovery", responses.discovery),
    arm("", responses.workspace),
    arm("/datastores", responses.datastores),
    arm("/datastores/{name}", responses.datastore),
    arm("/datastores/{name}/listSecrets", responses.datastore_secrets, ["POST"]),
    secured(OPERATIONS_PATH + "/{operation}", responses.operation, audiences=("arm",)),
    secured(RESULTS_PATH + "/{operation}", responses.operation_result, audiences=("arm",)),
    control("/pace/{kind}", responses.set_pace, ["PUT"]),
    control("/throttle", responses.set_throttle, ["PUT"]),
    *group_urls.routes,
]
