"""Azure Monitor's action groups call here; the alert becomes a hint in the queue, nothing more."""

import azure.functions as func

from functions import app

blueprint = func.Blueprint()

MAX_BODY_BYTES = 256 * 1024


@blueprint.function_name("alert")
@blueprint.route(route="alert", methods=["POST"], auth_level=func.AuthLevel.FUNCTION)
def alert(req: func.HttpRequest) -> func.HttpResponse:
    """202 when the alert is in the queue; 400 with what is wrong when it is not a common-schema alert."""
    from functions.answers import problem, read_json
    from shared import events
    from shared.errors import InputRejected

    try:
        message = events.alert_message(read_json(req, MAX_BODY_BYTES))
    except InputRejected as rejection:
        return problem(rejection)
    app.ports().queue.put(message)
    return func.HttpResponse(status_code=202)
