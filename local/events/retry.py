"""When a delivery that failed is tried again, when it is given up, and when it is written down as given up.

Source: MicrosoftDocs/azure-docs, event-grid/delivery-and-retry.md: the schedule (10 s to 12 h), 30 attempts and 1,440
minutes by default, no retry for what a storage queue answers with 400, 403 or 413, and five minutes between the last
attempt and the dead letter. All of it is `speed` times faster here.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from azure.core.exceptions import AzureError

from local.refusal import status_of

WAITS_S = (10, 30, 60, 300, 600, 1800, 3600, 10800, 21600, 43200)
MOST_ATTEMPTS = 30
LIVES_S = 24 * 3600
DEAD_LETTER_AFTER_S = 300
_NEVER_AGAIN = frozenset({400, 403, 413})
_OUTCOMES = {400: "BadRequest", 403: "Forbidden", 404: "NotFound", 413: "PayloadTooLarge", 503: "Busy"}


def next_at(
    now: datetime, accepted: datetime, attempts: int, error: AzureError, speed: float
) -> datetime | None:
    """When to try again after so many attempts; None to give up."""
    if attempts >= MOST_ATTEMPTS or status_of(error) in _NEVER_AGAIN:
        return None
    wait = timedelta(seconds=WAITS_S[min(attempts, len(WAITS_S)) - 1] / speed)
    return now + wait if now + wait <= accepted + timedelta(seconds=LIVES_S / speed) else None


def reason(attempts: int, error: AzureError) -> str:
    never = status_of(error) in _NEVER_AGAIN
    spent = "MaxDeliveryAttemptsExceeded" if attempts >= MOST_ATTEMPTS else "TimeToLiveExceeded"
    return outcome(error) if never else spent


def outcome(error: AzureError) -> str:
    """How Event Grid words the last attempt's end."""
    return _OUTCOMES.get(status_of(error), "GenericError" if status_of(error) else "TimedOut")
