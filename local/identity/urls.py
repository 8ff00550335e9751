"""Where tokens come from, and where a test takes roles away."""

from __future__ import annotations

from starlette.routing import BaseRoute

from local.identity import responses
from local.web import control, opened

routes: list[BaseRoute] = [
    opened("/msi/token", responses.token),
    control("/roles", responses.asked),
    control("/roles", responses.set_roles, ["PUT"]),
]
