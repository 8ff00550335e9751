"""What can go wrong in the host, by what follows from it.

HostError
├── AppRefused          the app or its host.json is wrong: nothing starts, a person must mend it
└── InvocationFailed    one invocation has no good answer: a queue message comes again, HTTP answers 500
"""


class HostError(Exception):
    """Base of the host's errors."""


class AppRefused(HostError):
    """The real host would not start this app, or would start it without the function named here."""


class InvocationFailed(HostError):
    """The function raised, ran longer than functionTimeout, or its worker ended."""
