"""Every error says what happened, to which thing, and what to do; its class says what follows, its code which it is.

DriftloopError
├── ConfigurationError      a person must fix the loop file, a setting or a role; the loop waits for that
├── InputRejected           the drop is unusable; it is quarantined with this reason, the next one goes on
├── Conflict                somebody wrote first; read again and decide again, never write the same again
├── OutcomeUnknown          the reply was lost; read back before doing anything else
├── DependencyUnavailable   Azure refused for now; wait (its Retry-After, when it gave one) and try again
│   └── AnswersAwaited      a batch job scores the rows; look again
└── InvariantBroken         stored state contradicts itself; this loop stops, the evidence is kept
"""

from __future__ import annotations

from typing import ClassVar

from shared.domain.reason import Code


class DriftloopError(Exception):
    """Base of all errors that Driftloop raises on purpose.

    `code` is stable; docs/reference-errors.md lists all of them. Without one it is that of the class.
    """

    usual: ClassVar[Code] = Code.FAILED

    def __init__(self, text: str, *, code: Code | None = None) -> None:
        super().__init__(text)
        self.code = code or self.usual


class ConfigurationError(DriftloopError):
    """A person must change something: the text names the thing and the change."""

    usual = Code.CONFIGURATION


class InputRejected(DriftloopError):
    """The data of a drop, or an event, cannot be used: `code` says why (`empty-file`, `missing-target`)."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text, code=Code(code))


class Conflict(DriftloopError):
    """The row or blob changed since it was read, or exists already."""

    usual = Code.CONFLICT


class OutcomeUnknown(DriftloopError):
    """A write may or may not have happened: its answer was lost."""

    usual = Code.OUTCOME_UNKNOWN


class DependencyUnavailable(DriftloopError):
    """A service refused or stalled; nothing is wrong with our request.

    `retry_after_s` is what the service asked for, or None.
    """

    usual = Code.UNAVAILABLE

    def __init__(self, text: str, retry_after_s: float | None = None, *, code: Code | None = None) -> None:
        super().__init__(text, code=code)
        self.retry_after_s = retry_after_s


class AnswersAwaited(DependencyUnavailable):
    """What was asked of a batch endpoint is being scored by a job: nothing is wrong, and the same call looks again."""

    usual = Code.ANSWERS_AWAITED

    def __init__(self, job: str) -> None:
        super().__init__(f"Azure ML job {job} scores rows; its answers are read once it ends.", 30.0)
        self.job = job


class InvariantBroken(DriftloopError):
    """What is stored cannot be: an unreadable row, an impossible phase, a broken ledger chain."""

    usual = Code.INVARIANT_BROKEN
