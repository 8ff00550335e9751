"""The work: one message, one run of the loop that it names, apart from the record, which waits for none."""

import azure.functions as func

from functions import app
from functions.outermost import ordinary

blueprint = func.Blueprint()


@blueprint.function_name("run")
@blueprint.queue_trigger(arg_name="message", queue_name="%DRIFTLOOP_RUNS%", connection="DRIFTLOOP_STORAGE")
@ordinary
def run(message: func.QueueMessage) -> None:
    """One run of one loop. A process that dies hides the message for ten minutes; the tick does not wait for it."""
    from shared.runtime import run_queue, tick

    loop = run_queue.asked(app.ports(), app.text_of(message))
    if loop is not None:
        tick.run_all(app.ports(), [loop])
