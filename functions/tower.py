"""The control tower's pages: read with one role, acted on with another, refused without an identity."""

import azure.functions as func

from functions import app
from functions.outermost import ordinary

blueprint = func.Blueprint()


@blueprint.function_name("root")
@blueprint.route(route="/", methods=["GET", "HEAD"], auth_level=func.AuthLevel.ANONYMOUS)
@ordinary
def root(req: func.HttpRequest) -> func.HttpResponse:
    """302 to the overview, whose own rules decide who sees it; a ping of the platform is answered here at once.

    "/" is the root only while host.json has an empty routePrefix; an empty route would be the function's name.
    """
    return func.HttpResponse(status_code=302, headers={"Location": "/api/tower"})


@blueprint.function_name("tower")
@blueprint.route(route="api/tower/{*path}", methods=["GET", "HEAD"], auth_level=func.AuthLevel.ANONYMOUS)
@ordinary
def tower(req: func.HttpRequest) -> func.HttpResponse:
    """A page or its JSON twin. 401 without an identity, 403 without the looking role."""
    from functions import visits
    from shared.domain.caller import LOOKING_ROLE
    from tower import site

    found = site.static(req.route_params.get("path", ""))
    if found is not None:
        return visits.response(found)
    visit = visits.visit(req, LOOKING_ROLE)
    if isinstance(visit, site.Reply):
        return visits.response(visit)
    return visits.response(site.get(app.ports(), visits.studio(app.settings()), visit))


@blueprint.function_name("tower_act")
@blueprint.route(route="api/tower/{*path}", methods=["POST"], auth_level=func.AuthLevel.ANONYMOUS)
@ordinary
def tower_act(req: func.HttpRequest) -> func.HttpResponse:
    """303 back to the page when the action is on record; 401 or 403, and nothing done, for anybody else."""
    from functions import visits
    from tower import site

    visit = visits.visit(req)
    if isinstance(visit, site.Reply):
        return visits.response(visit)
    return visits.response(site.post(app.ports(), visit))
