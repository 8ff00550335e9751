"""The clock: the tick takes every due step, the sweep finds what no event reported."""

import azure.functions as func

from functions import app
from functions.outermost import ordinary

blueprint = func.Blueprint()


@blueprint.function_name("tick")
@blueprint.timer_trigger(arg_name="timer", schedule="%DRIFTLOOP_TICK_SCHEDULE%")
@ordinary
def tick(timer: func.TimerRequest) -> None:
    """Run every loop whose time has come. Missed, doubled or late: the result is the same as once."""
    from functions import telemetry
    from shared.runtime import tick

    ports = app.ports()
    telemetry.log_waiting(ports)
    tick.tick(ports)


@blueprint.function_name("sweep")
@blueprint.timer_trigger(arg_name="timer", schedule="%DRIFTLOOP_SWEEP_SCHEDULE%")
@ordinary
def sweep(timer: func.TimerRequest) -> None:
    """Look after the loops whose turn it is: compare their landing places with the inbox, and wake them."""
    from shared.runtime import tick

    tick.sweep(app.ports(), app.settings().blob_service_uri)
