"""What people ask for: authenticated by the platform, put on record and in the queue, answered at once."""

import azure.functions as func

from functions import app
from functions.outermost import ordinary

blueprint = func.Blueprint()

MAX_BODY_BYTES = 16 * 1024


@blueprint.function_name("act")
@blueprint.route(route="api/loops/{loop}/{verb}", methods=["POST"], auth_level=func.AuthLevel.ANONYMOUS)
@ordinary
def act(req: func.HttpRequest) -> func.HttpResponse:
    """202 when the action is on record or in the queue. 401 or 403, with what is missing, 409 where it needs a
    definition that cannot be read, 503 when neither can be reached."""
    from functions.answers import answer, problem, read_json
    from functions.identity import Denied, caller
    from shared.errors import DependencyUnavailable, InputRejected
    from shared.inbox import messages, recorder, rights
    from shared.words import say
    from tower import csrf

    verb, loop = req.route_params["verb"], req.route_params["loop"]

    try:
        csrf.refuse_other_sites(dict(req.headers), req.url)
        who = caller(req.headers)
        rules = rights.rules_of(app.ports(), loop, verb)
        if no := rules.refusal(verb, who):
            return answer({"code": no.code, "message": say(no)}, 403 if rules.lost is None else 409)
        message = messages.act_message(verb, loop, read_json(req, MAX_BODY_BYTES), who.actor)
        recorder.submit(app.ports(), message, rules.vouched(who))
    except csrf.Forged as forged:
        return answer({"code": "other-site", "message": str(forged)}, 403)
    except Denied as denied:
        return answer({"code": "denied", "message": str(denied)}, denied.status)
    except InputRejected as rejection:
        return problem(rejection)
    except DependencyUnavailable as error:
        return answer({"code": "unavailable", "message": f"nothing was asked for: {error}"}, 503)
    return func.HttpResponse(status_code=202)
