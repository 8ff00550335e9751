"""Azure Monitor's action groups call here; the alert becomes a hint, on record and in the queue, nothing more."""

import azure.functions as func

from functions import app
from functions.outermost import ordinary

blueprint = func.Blueprint()

MAX_BODY_BYTES = 256 * 1024
ROLE = "ActionGroupsSecureWebhook"
"""The app role that Azure Monitor has, which signs in with a token of its own: no key stands in an address."""


@blueprint.function_name("alert")
@blueprint.route(route="api/alert", methods=["POST"], auth_level=func.AuthLevel.ANONYMOUS)
@ordinary
def alert(req: func.HttpRequest) -> func.HttpResponse:
    """202 when the alert is on record or in the queue; 400 when it is none; 401 or 403 for who is not Azure Monitor."""
    from functions.answers import answer, problem, read_json
    from functions.identity import Denied, caller
    from shared.errors import InputRejected
    from shared.inbox import messages, recorder

    try:
        caller(req.headers, ROLE)
        message = messages.alert_message(read_json(req, MAX_BODY_BYTES))
    except Denied as denied:
        return answer({"code": "denied", "message": str(denied)}, denied.status)
    except InputRejected as rejection:
        return problem(rejection)
    recorder.submit(app.ports(), message)
    return func.HttpResponse(status_code=202)
