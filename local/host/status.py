"""The status blob of a timer: what ran last and what is due next, in the extension's own JSON."""

import json
import logging
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo

from azure.core.exceptions import AzureError, ResourceNotFoundError
from azure.storage.blob import BlobClient

from local.host.pace import Pace
from local.host.storage import tried

NEVER = datetime(1, 1, 1, tzinfo=UTC)

log = logging.getLogger(__name__)


class Unreadable(Exception):
    """The blob is not what the extension writes: on Azure the listener does not start, and is tried again."""


@dataclass(frozen=True)
class Status:
    """Last run, next run, and when this was written; UTC."""

    last: datetime
    upcoming: datetime
    updated: datetime

    def document(self, zone: tzinfo) -> dict[str, str]:
        """As the extension writes it, and as the function gets it."""
        return {
            "Last": _text(self.last, zone),
            "Next": _text(self.upcoming, zone),
            "LastUpdated": _text(self.updated, zone),
        }


def read(blob: BlobClient, pace: Pace) -> Status | None:
    """What is stored; None when there is nothing, or an empty document."""
    try:
        content = tried(lambda: blob.download_blob().readall(), pace)
    except ResourceNotFoundError:
        return None
    try:
        document = json.loads(content or b"{}")
        if not document:
            return None
        return Status(*(_moment(document[key]) for key in ("Last", "Next", "LastUpdated")))
    except (ValueError, KeyError, TypeError) as error:
        raise Unreadable(f"{blob.blob_name} is not a timer's status: {error}") from error


def write(blob: BlobClient, status: Status, zone: tzinfo, pace: Pace) -> None:
    """Best effort: a write that is refused is logged, and the timer goes on with what it knows."""
    try:
        content = json.dumps(status.document(zone))
        tried(lambda: blob.upload_blob(content, overwrite=True), pace)
    except AzureError as error:
        log.error("the status %s could not be written: %s", blob.blob_name, error)


def _text(moment: datetime, zone: tzinfo) -> str:
    if moment <= NEVER:
        return "0001-01-01T00:00:00"  # without an offset: .NET's DateTime of no kind
    local = moment.astimezone(zone)
    fraction = f".{local.microsecond:06d}0".rstrip("0").rstrip(".")
    if local.microsecond:
        fraction = f".{local.microsecond:06d}7"  # .NET counts in 100 ns: seven digits
    offset = local.strftime("%z")
    return f"{local:%Y-%m-%dT%H:%M:%S}{fraction}{offset[:3]}:{offset[3:5]}"


def _moment(text: str) -> datetime:
    value = datetime.fromisoformat(text)
    if value.year == 1:
        return NEVER
    return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
