"""Callers who keep to one model ask here how the traffic is shared out: read from Azure, held for seconds."""

import time

import azure.functions as func

from functions import app
from functions.outermost import ordinary

blueprint = func.Blueprint()

_held: dict[str, tuple[float, dict[str, object]]] = {}
"""What was told of a loop, and until when it is told again: callers may be many, and Azure is asked for all of them."""


@blueprint.function_name("split")
@blueprint.route(route="api/loops/{loop}/split", methods=["GET"], auth_level=func.AuthLevel.ANONYMOUS)
@ordinary
def split(req: func.HttpRequest) -> func.HttpResponse:
    """200 with the split. 401 or 403 without the looking role, 404 where there is none, 503 when Azure does not say."""
    from functions.answers import answer
    from functions.identity import Denied, caller
    from shared.domain.caller import LOOKING_ROLE
    from shared.errors import ConfigurationError, DependencyUnavailable
    from shared.runtime import split, unit_of_work

    loop = req.route_params["loop"]
    try:
        caller(req.headers, LOOKING_ROLE)
        until, told = _held.get(loop, (0.0, {}))
        if time.monotonic() >= until:
            seen = split.now(unit_of_work.read(app.ports(), loop))
            if seen is None:
                text = f"{loop} serves by a batch endpoint, which shares out no requests"
                return answer({"code": "no-split", "message": text}, 404)
            told = seen.to_dict()
            _held[loop] = time.monotonic() + split.HELD_S, told
    except Denied as denied:
        return answer({"code": "denied", "message": str(denied)}, denied.status)
    except ConfigurationError as error:
        return answer({"code": error.code, "message": str(error)}, 404 if error.code == "not-found" else 503)
    except DependencyUnavailable as error:
        return answer({"code": "unavailable", "message": str(error)}, 503)
    headers = {"Cache-Control": f"private, max-age={split.MOST_AGE_S}", "ETag": f'"{told["version"]}"'}
    return answer(told, 200, headers)
