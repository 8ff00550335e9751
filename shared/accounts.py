"""Storage accounts beside our own. A place names one as `ACCOUNT:CONTAINER`; its address is our own with that name in
it, so that neither a loop file nor an event can send the app's token anywhere but to Azure Storage."""

from __future__ import annotations

import re
from urllib.parse import urlsplit, urlunsplit

NAME = r"[a-z0-9]{3,24}"
"""learn.microsoft.com/azure/storage/common/storage-account-overview"""


def split(container: str) -> tuple[str, str]:
    """The account, empty for our own, and the container in it."""
    account, _, name = container.rpartition(":")
    return account, name


def address(ours: str, account: str) -> str:
    """The blob service of the account of this name, beside our own."""
    parts = urlsplit(ours)
    if parts.path.strip("/"):  # an address whose path names the account, as where names cannot be resolved
        return urlunsplit(parts._replace(path=f"/{account}"))
    return urlunsplit(parts._replace(netloc=f"{account}.{_beyond(parts.netloc)}"))


def addressed(ours: str, url: str) -> tuple[str, str] | None:
    """Which account, empty for our own, a URL is of, and the path in it as the URL writes it; None where its address is
    not like ours. The blob service and the one for folders have the same paths."""
    parts = urlsplit(ours)
    scheme, _, rest = url.partition("://")
    netloc, _, path = rest.partition("/")
    netloc, own = netloc.replace(".dfs.", ".blob.", 1).casefold(), parts.netloc.casefold()
    if scheme.casefold() != parts.scheme or not own:
        return None
    if home := parts.path.strip("/"):
        account, _, path = path.partition("/")
        same = netloc == own
    else:
        home = own.partition(".")[0]
        account, _, beyond = netloc.partition(".")
        same = beyond == _beyond(own)
    if not same or (account != home and not re.fullmatch(NAME, account)):
        return None
    return ("" if account == home else account), path


def _beyond(netloc: str) -> str:
    return netloc.partition(".")[2]
