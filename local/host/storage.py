"""A storage call is tried as often as Microsoft's clients try it; what still fails is somebody's end.

Six tries, 0.8 s after the first and twice as long after each, about 25 s in all, as measured of the storage
extension. Which failures the host survives is for the caller to say.
"""

import time
from collections.abc import Callable
from typing import TypeVar

from azure.core.exceptions import AzureError, HttpResponseError

from local.host.pace import Pace

TRIES, FIRST_WAIT_S = 6, 0.8

_PASSING = frozenset({408, 429, 500, 502, 503, 504})
T = TypeVar("T")


def tried(call: Callable[[], T], pace: Pace) -> T:
    """What the call returns; AzureError of the last try when all failed, or of the first that no retry helps."""
    for attempt in range(TRIES - 1):
        try:
            return call()
        except AzureError as error:
            if not is_passing(error):
                raise
        time.sleep(pace.of(FIRST_WAIT_S * 2**attempt))
    return call()


def is_passing(error: AzureError) -> bool:
    """Whether another try may help: no answer at all, or one that says "later"."""
    return not isinstance(error, HttpResponseError) or error.status_code in _PASSING
