"""Other people's text, without what looks like a secret: the one place that knows what one looks like."""

from __future__ import annotations

import json
import re

from shared.domain.reason import Code, Reason, reason
from shared.errors import DriftloopError

LONGEST = 500

_VALUE = r"[^\s&'\"\\,;<>]+"
_NAME = (
    r"(?:[\w.-]*[_.-])?(?:sig|signature|password|passwd|pwd|secret|token|credentials?)"
    r"|[\w-]*(?:password|secret|token)"
    r"|[\w-]*(?:account|access|api|functions|subscription|host|master|signing)[_-]?(?:key|signature)"
    r"|(?:x-)?identity[_-]header|(?:[\w-]+-)?authorization|(?:set-)?cookie"
)
_NAMED = rf"(?<![\w.-])(?:{_NAME})"
_SCHEME = r"(?<![a-z0-9+.-])[a-z][a-z0-9+.-]*://"
_KEY = r"[A-Z ]*PRIVATE KEY-----"
_KIND = r"(?:(?:bearer|basic|sharedkey|sharedkeylite|sharedaccesssignature)\s+)?"


def _shapes(*shapes: tuple[str, str]) -> tuple[tuple[re.Pattern[str], str], ...]:
    return tuple((re.compile(shape, re.IGNORECASE | re.DOTALL), instead) for shape, instead in shapes)


_OF_ADDRESSES = _shapes(
    (rf"({_SCHEME}[^\s?'\"\\]{{1,2048}})\?[^\s'\"\\]*", r"\1"),
    (rf"({_SCHEME})[^\s/@'\"\\]{{1,256}}@", r"\1"),
)
_OF_SECRETS = _shapes(
    (rf"-----BEGIN {_KEY}(?:\\+[^\"\\]|[^\"\\])*?(?:-----END {_KEY}|(?=\\*\")|$)", "***"),
    (r"(?<![\w-])eyJ[\w-]{8,}\.[\w-]+\.[\w-]*", "***"),
    (rf"\b(bearer|sharedaccesssignature)\s+{_VALUE}(?:&{_VALUE})*", r"\1 ***"),
    (rf"({_NAMED}\\*[\"']?\s{{0,3}}[:=]\s{{0,3}}b?\\*[\"'])[^\"'\\]+", r"\1***"),
    (rf"((?:{_NAMED}|(?<=[?&])code)\s{{0,3}}=\s{{0,3}})(?!\s|\\*[\"']|b['\"]){_KIND}{_VALUE}", r"\1***"),
    (rf"((?!token:){_NAMED}:\s+)(?![\"']|b['\"]|\*\*\*){_KIND}{_VALUE}", r"\1***"),
)
"""What a secret looks like, from the widest to the narrowest. Each takes time in proportion to the text's length."""

_SECRETS_NAME = re.compile(_NAME, re.IGNORECASE)
_ADDRESS = re.compile(rf"{_SCHEME}\S*", re.IGNORECASE)


def redacted(text: str) -> str:
    """The text without queries and user names of URLs, tokens, keys and passwords."""
    for shape, instead in (*_OF_ADDRESSES, *_OF_SECRETS):
        text = shape.sub(instead, text)
    return text


def redacted_message(text: str) -> str:
    """A message that is kept: of JSON each text in it, so that it stays JSON however its texts are escaped."""
    try:
        content = json.loads(text)
        cleaned = _cleaned(content)
        return text if cleaned == content else json.dumps(cleaned, ensure_ascii=False)
    except (ValueError, RecursionError):
        return redacted(text)


def _cleaned(value: object) -> object:
    match value:
        case dict():
            return {
                name: "***" if isinstance(part, str) and _SECRETS_NAME.fullmatch(name) else _cleaned(part)
                for name, part in value.items()
            }
        case list():
            return [_cleaned(part) for part in value]
        case str() if _ADDRESS.fullmatch(value):  # its path names a thing, and is no secret
            for shape, instead in _OF_ADDRESSES:
                value = shape.sub(instead, value)
            return value
        case str() if value[:1] in {"{", "["}:
            return redacted_message(value)
        case str():
            return redacted(value)
        case _:
            return value


def safe(text: object, limit: int = LONGEST) -> str:
    """The text of a service on one line, redacted. What is too long loses its middle: a log's reason stands at its
    end."""
    line = redacted(" ".join(str(text).split()))
    if len(line) <= limit:
        return line
    head = limit // 3
    return f"{line[:head]} … {line[head + 3 - limit :]}"


def printable(text: str) -> str:
    """Hostile text with everything escaped that cannot be printed: line ends, NUL, ANSI, right-to-left marks."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def words_of(error: Exception) -> str:
    """An error's text for people, redacted; of an error that is not ours with its type."""
    return (
        redacted(str(error))
        if isinstance(error, DriftloopError)
        else f"{type(error).__name__}: {safe(error)}"
    )


def reason_of(error: Exception) -> Reason:
    """An error as what something waits for: its code, and its text as a fact."""
    code = error.code if isinstance(error, DriftloopError) else Code.UNEXPECTED
    return reason(code, text=words_of(error))


def misfits(error: ValueError) -> str:
    """Where stored content does not fit, on one line: not what stands there, which may be anything."""
    from pydantic import ValidationError

    if not isinstance(error, ValidationError):
        return safe(error)
    found = error.errors(include_url=False, include_context=False, include_input=False)
    told = [f"{'.'.join(map(str, one['loc'])) or 'all of it'}: {one['msg']}" for one in found[:3]]
    return "; ".join(told) + (f"; and {len(found) - 3} more" if len(found) > 3 else "")
