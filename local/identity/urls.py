"""Where tokens come from."""

from __future__ import annotations

from starlette.routing import BaseRoute

from local.identity import responses
from local.web import opened

routes: list[BaseRoute] = [opened("/msi/token", responses.token)]
