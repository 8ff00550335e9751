"""The one way in: every event comes through the queue, is recorded, and its loop is run."""

import azure.functions as func

from functions import app
from functions.outermost import ordinary

blueprint = func.Blueprint()


@blueprint.function_name("inbox")
@blueprint.queue_trigger(arg_name="message", queue_name="%DRIFTLOOP_QUEUE%", connection="DRIFTLOOP_STORAGE")
@ordinary
def inbox(message: func.QueueMessage) -> None:
    """One event. An exception leaves it in the queue; after five the sweep keeps it with its reason."""
    from shared.inbox import recorder
    from shared.runtime import tick

    account = app.settings().blob_service_uri
    loops = recorder.receive(app.ports(), _text(message), account, app.landings())
    tick.run_all(app.ports(), loops)


def _text(message: func.QueueMessage) -> str:
    """As it lies in the queue: host.json leaves the decoding to us, so that one odd message is one odd message."""
    return message.get_body().decode("utf-8", errors="replace")
