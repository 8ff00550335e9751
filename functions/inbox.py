"""The one way in: every event comes through the queue and is recorded, and a run of its loop is asked for."""

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
    from shared.runtime import run_queue

    account = app.settings().blob_service_uri
    loops = recorder.receive(app.ports(), app.text_of(message), account, app.landings())
    run_queue.ask(app.ports(), loops)
