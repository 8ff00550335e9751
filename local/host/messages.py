"""What a queue message becomes on its way to the function: its text, and metadata that the text itself can override."""

import base64
import binascii
import json
import re
from datetime import datetime

from azure.storage.queue import QueueMessage

_BASE64 = re.compile(r"(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?")
_NET_DATE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d)?.*")


class NotDecodable(ValueError):
    """Not Base64 where host.json says so: poison at once, without a call."""


class NotBindable(ValueError):
    """Base64 of what is not text: the invocation fails before the function is entered."""


def text_of(content: str, is_base64: bool) -> str:
    """The text that a function gets."""
    if not is_base64:
        return content
    packed = re.sub(r"[ \t\r\n]", "", content)  # .NET takes these four inside Base64, and no other blanks
    if not _BASE64.fullmatch(packed):
        raise NotDecodable
    try:
        return base64.b64decode(packed, validate=True).decode("utf-8")
    except binascii.Error:
        raise NotDecodable from None
    except UnicodeDecodeError:
        raise NotBindable("the message's bytes are not UTF-8") from None


def metadata_of(message: QueueMessage, text: str) -> dict[str, str]:
    """The trigger's metadata. As on Azure a JSON object's own top-level keys, in any case, win over the message's.

    So a message can make Microsoft's converter raise before the function is entered, each time it is tried. .NET also
    reads JSON with comments, single quotes and bare names, which is not done here.
    """
    metadata = {
        "Id": str(message.id),
        "DequeueCount": str(message.dequeue_count),
        "ExpirationTime": _instant(message.expires_on),
        "InsertionTime": _instant(message.inserted_on),
        "NextVisibleTime": _instant(message.next_visible_on),
        "PopReceipt": str(message.pop_receipt),
    }
    names = {name.casefold(): name for name in metadata}
    for key, value in _own_keys(text).items():
        if key.casefold() in names and value is not None:
            metadata[names[key.casefold()]] = _as_net_writes(value)
    return metadata


def _own_keys(text: str) -> dict[str, object]:
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return document if isinstance(document, dict) else {}


def _as_net_writes(value: object) -> str:
    if isinstance(value, str) and _NET_DATE.fullmatch(value):
        # Newtonsoft makes a date of it, and writes that in a form that the worker's converter does not read.
        try:
            return datetime.fromisoformat(value).strftime("%m/%d/%Y %H:%M:%S")
        except ValueError:
            return value
    if isinstance(value, bool | str):
        return str(value)
    return json.dumps(value)


def _instant(value: datetime | None) -> str:
    return "" if value is None else value.strftime("%Y-%m-%dT%H:%M:%S+00:00")
