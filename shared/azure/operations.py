"""Why a long operation failed stands at its own address only; it is asked for there, and nowhere but at Azure."""

from __future__ import annotations

import os
import re
from typing import NamedTuple
from urllib.parse import urlsplit

import requests
from azure.core.credentials import TokenCredential
from azure.core.exceptions import AzureError

from shared import deadline
from shared.redaction import safe

ADDRESS = "AzureAsyncOperationUri"
"""The property in which Azure ML keeps the address of a resource's last operation."""

_LOG_LIMIT = 1500
_HEADLINE = 120
_RAISED = re.compile(r"^[\w.]*(?:Error|Exception): .+$", re.MULTILINE)

_RESOURCE_MANAGERS = frozenset(
    {"management.azure.com", "management.usgovcloudapi.net", "management.chinacloudapi.cn"}
)
_CONNECT_S, _READ_S = 10.0, 30.0


CANCELED = "OperationCanceled"
"""Azure itself canceled the operation, for one that had the lock or came first: trying again helps
(learn.microsoft.com, azure/machine-learning/how-to-troubleshoot-online-endpoints#error-operationcanceled)."""


class Failure(NamedTuple):
    """How an operation ended: Azure's code, and what to tell people. Both empty when it cannot be had."""

    code: str = ""
    text: str = ""


def why(address: str, identity: TokenCredential) -> Failure:
    """The error of the operation, or nothing when it cannot be had: the failure itself is known already."""
    host = urlsplit(address)
    if host.scheme != "https" or host.netloc not in _trusted():
        return Failure()  # our token goes to Resource Manager only
    try:
        token = identity.get_token(f"https://{host.netloc}/.default").token
        reply = requests.get(
            address,
            headers={"Authorization": f"Bearer {token}"},
            timeout=(deadline.left_s(_CONNECT_S), deadline.left_s(_READ_S)),
            allow_redirects=False,
        )
        error = reply.json().get("error") or {}
        text = ": ".join(str(error[part]) for part in ("code", "message") if error.get(part))
        return Failure(str(error.get("code") or ""), telling(text))
    except (AzureError, requests.RequestException, ValueError, AttributeError):
        return Failure()


def telling(text: str) -> str:
    """The first line of an error text and the exception in the log that it holds; the log's end if there is none."""
    raised = _RAISED.search(text)
    if raised is None:
        return safe(text, _LOG_LIMIT)
    return safe(f"{text.splitlines()[0][:_HEADLINE]} … {raised[0]}", _LOG_LIMIT)


def _trusted() -> set[str]:
    """The public clouds, and the one that Azure's own clients are pointed to."""
    private = urlsplit(os.environ.get("ARM_CLOUD_METADATA_URL", "")).netloc
    return {*_RESOURCE_MANAGERS, *([private] if private else [])}
