"""Other people's text, without what looks like a secret: the one place that knows what one looks like."""

from __future__ import annotations

import re

from shared.errors import DriftloopError

LONGEST = 500

_VALUE = r"[^\s&'\"\\,;<>]+"
_NAME = (
    r"(?:[\w.-]*[_.-])?(?:sig|signature|password|passwd|pwd|secret|token|credentials?)"
    r"|[\w-]*(?:password|secret|token)"
    r"|[\w-]*(?:account|access|api|functions|subscription|host|master|signing)[_-]?(?:key|signature)"
    r"|(?:x-)?identity[_-]header|authorization"
)
_NAMED = rf"(?<![\w.-])(?:{_NAME}"  # the pattern closes the parenthesis, after alternatives of its own
_SCHEME = r"(?<![a-z0-9+.-])[a-z][a-z0-9+.-]*://"
_KEY = r"[A-Z ]*PRIVATE KEY-----"
_KIND = r"(?:bearer|basic|sharedkey|sharedkeylite|sharedaccesssignature)"
_SHAPES = tuple(
    (re.compile(shape, re.IGNORECASE | re.DOTALL), instead)
    for shape, instead in (
        (rf"({_SCHEME}[^\s?'\"\\]{{1,2048}})\?[^\s'\"\\]*", r"\1"),
        (rf"({_SCHEME})[^\s/@'\"\\]{{1,256}}@", r"\1"),
        (rf"-----BEGIN {_KEY}(?:\\+[^\"\\]|[^\"\\])*?(?:-----END {_KEY}|(?=\\*\")|$)", "***"),
        (r"(?<![\w-])eyJ[\w-]{8,}\.[\w-]+\.[\w-]*", "***"),
        (rf"\b(bearer|sharedaccesssignature)\s+{_VALUE}(?:&{_VALUE})*", r"\1 ***"),
        (rf"({_NAMED})\\*[\"']?\s{{0,3}}[:=]\s{{0,3}}\\*[\"'])[^\"'\\]+", r"\1***"),
        (rf"({_NAMED}|code)\s{{0,3}}=\s{{0,3}})(?!\s|\\*[\"']){_VALUE}", r"\1***"),
        (rf"({_NAMED}):\s+)(?![\"']|\*\*\*)(?:{_KIND}\s+)?{_VALUE}", r"\1***"),
    )
)
"""What a secret looks like, from the widest to the narrowest. Each takes time in proportion to the text's length."""


def redacted(text: str) -> str:
    """The text without queries and user names of URLs, tokens, keys and passwords. JSON stays JSON."""
    for shape, instead in _SHAPES:
        text = shape.sub(instead, text)
    return text


def safe(text: object, limit: int = LONGEST) -> str:
    """The text of a service on one line, redacted. What is too long loses its middle: a log's reason stands at its
    end."""
    line = redacted(" ".join(str(text).split()))
    if len(line) <= limit:
        return line
    head = limit // 3
    return f"{line[:head]} … {line[head + 3 - limit :]}"


def words_of(error: Exception) -> str:
    """What people are told of an error: ours say it themselves, of another's there is its type too."""
    return (
        redacted(str(error))
        if isinstance(error, DriftloopError)
        else f"{type(error).__name__}: {safe(error)}"
    )
