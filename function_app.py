"""The Function App: registers the blueprints, nothing else."""

import azure.functions as func

from functions import alerts, callers, inbox, people, run, timers, tower

app = func.FunctionApp(http_auth_level=func.AuthLevel.FUNCTION)
app.register_functions(inbox.blueprint)
app.register_functions(run.blueprint)
app.register_functions(timers.blueprint)
app.register_functions(alerts.blueprint)
app.register_functions(callers.blueprint)
app.register_functions(people.blueprint)
app.register_functions(tower.blueprint)
