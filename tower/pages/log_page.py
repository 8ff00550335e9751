"""What a release's training and its deployment have printed, as Azure ML has it just now."""

from __future__ import annotations

from dataclasses import dataclass

from shared.domain.release import JobLog
from shared.errors import ConfigurationError
from shared.redaction import printable
from shared.state import release_logs
from shared.words import of_log
from tower.pages.lines import read
from tower.visit import Asking, NotFound, clip

USUAL, MOST_LINES, WIDEST = 50, 400, 400
ROOM = 100_000
"""Letters on the page, shared by the logs."""


@dataclass(frozen=True)
class LogLines:
    step: str
    told: str
    failed: bool
    lines: tuple[str, ...]


@dataclass(frozen=True)
class LogPage:
    loop: str
    number: int
    ended: bool
    job: str
    job_link: str
    most: int
    choices: tuple[int, ...]
    lost: tuple[str, ...]
    logs: tuple[LogLines, ...]


def log(asking: Asking, name: str, number: int) -> LogPage:
    current = read(asking, name)
    try:
        release = current.release(number)[0]
    except ConfigurationError as error:
        raise NotFound(str(error)) from error
    most = min(asking.number("lines", USUAL), MOST_LINES) or USUAL
    found = release_logs.of(current, release, most)
    return LogPage(
        loop=name,
        number=number,
        ended=release.ended,
        job=release.job,
        job_link=asking.studio.job(release.job) if release.job else "",
        most=most,
        choices=(USUAL, MOST_LINES),
        lost=tuple(map(clip, found.lost)),
        logs=tuple(_lines(one, ROOM // len(found.logs)) for one in found.logs),
    )


def _lines(log: JobLog, room: int) -> LogLines:
    """The last ones that there is room for."""
    lines: list[str] = []
    for text in reversed(log.end.splitlines()):
        line = clip(printable(text.expandtabs(4)), WIDEST)
        room -= len(line)
        if room < 0:
            break
        lines.insert(0, line)
    return LogLines(clip(log.step, 120), of_log(log), log.state == "failed", tuple(lines))
