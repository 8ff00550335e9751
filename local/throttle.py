"""Azure refuses for a while when it is asked too much: switched on by a test, over in a number of requests."""

from __future__ import annotations

import threading

from local.refusal import ArmError


class Throttle:
    """The next so many requests whose path holds a text are answered with 429 and Retry-After."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._left, self._wait_s, self._path = 0, 0, ""
        self._refused = 0

    def set(self, requests: int, retry_after_s: int, path: str) -> int:
        """How many requests the throttle before this one refused."""
        with self._lock:
            refused, self._refused = self._refused, 0
            self._left, self._wait_s, self._path = requests, retry_after_s, path.lower()
        return refused

    def admit(self, path: str) -> None:
        with self._lock:
            if not self._left or self._path not in path.lower():
                return
            self._left -= 1
            self._refused += 1
            wait_s = self._wait_s
        message = f"The request was throttled. Please try again after {wait_s} seconds."
        raise ArmError(429, "TooManyRequests", message, {"Retry-After": str(wait_s)})
