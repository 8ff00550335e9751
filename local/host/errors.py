"""What can go wrong in the host, by what follows from it.

HostError
├── AppRefused          the app or its host.json is wrong: nothing starts, a person must fix it
│   ├── AppNotIndexed       the worker cannot read the app
│   ├── FunctionRefused     a function cannot have its trigger
│   └── HostJsonRefused     host.json is wrong
└── InvocationFailed    one invocation has no good answer: a queue message comes again, HTTP answers 500

An app that Azure would start in half is refused here, with what Azure would have done: nobody notices there.
"""


class HostError(Exception):
    """Base of the host's errors."""


class AppRefused(HostError):
    """The real host would not start this app, or would start it without the functions named here."""

    on_azure = ""


class AppNotIndexed(AppRefused):
    """The worker found no functions."""

    on_azure = (
        "Azure's host would start with none of the app's functions and look healthy: its ping answers 200, every "
        "route 404, and one line of its log holds the reason"
    )


class FunctionRefused(AppRefused):
    """A function cannot be started as it is written."""

    on_azure = "Azure's host would start without the functions named here, and run all others"


class HostJsonRefused(AppRefused):
    """host.json is not one that the host takes."""

    on_azure = (
        "Azure's host would not start: every route answers 503 while it tries again, ever more rarely, and its ping "
        "answers 200"
    )


class InvocationFailed(HostError):
    """The function raised, ran longer than functionTimeout, or its worker ended."""
