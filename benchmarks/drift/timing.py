"""What each contender prints: seconds of import and run, and the peak of its memory."""

import json
import resource
import time


class Clock:
    """Times the import and the run of one contender."""

    def __init__(self) -> None:
        self._start = time.perf_counter()
        self._imported = self._start
        self._cpu = 0.0

    def imported(self) -> None:
        """The imports are done; what follows is the run."""
        self._imported = time.perf_counter()
        used = resource.getrusage(resource.RUSAGE_SELF)
        self._cpu = used.ru_utime + used.ru_stime

    def done(self, said: str = "") -> None:
        """The run is done."""
        now = time.perf_counter()
        used = resource.getrusage(resource.RUSAGE_SELF)
        cpu = used.ru_utime + used.ru_stime - self._cpu
        times = {"import": self._imported - self._start, "run": now - self._imported, "cpu": cpu}
        times["rss_mb"] = used.ru_maxrss / 1000
        print(json.dumps({**times, "said": said}))
