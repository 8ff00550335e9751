"""A request's target as Kestrel reads it: decoded but for %2F, dots resolved, and written back for the app's url."""

import re
from urllib.parse import quote, urlsplit

_RUN = re.compile(r"(?:%[0-9A-Fa-f]{2})+")
_SLASH = re.compile(r"(%2[Ff])")
_ESCAPE_LEFT = re.compile(r"%(?![0-9A-Fa-f]{2})")
_UNQUOTED = "/:@!$&'()*+,;=-._~%"


class BadTarget(ValueError):
    """Kestrel answers 400."""


def decoded(target: bytes, host: str) -> str:
    """The path of a request line's target, without its query; it begins with "/"."""
    try:
        text = target.decode("ascii")
    except UnicodeDecodeError:
        raise BadTarget("a byte that must be escaped") from None
    if not text.startswith("/"):
        parts = urlsplit(text)
        if parts.netloc.lower() != host.lower():
            raise BadTarget("the target names another host than the header")
        text = parts.path or "/"
    path = _RUN.sub(lambda run: "".join(map(_characters, _SLASH.split(run[0]))), text)
    if "\0" in path:
        raise BadTarget("a zero byte")
    return _without_dots(path)


def url(scheme: str, host: str, path: str, query: str) -> str:
    """The address that the app sees; what the path may not hold is escaped."""
    escaped = quote(_ESCAPE_LEFT.sub("%25", path), safe=_UNQUOTED)
    return f"{scheme}://{host}{escaped}{'?' if query else ''}{query}"


def _characters(escapes: str) -> str:
    """What escapes mean as UTF-8; what is not UTF-8, and an escaped slash, stays as it was written."""
    if _SLASH.fullmatch(escapes):
        return escapes
    raw = bytes.fromhex(escapes.replace("%", ""))
    text = raw.decode("utf-8", errors="surrogateescape")
    return "".join(f"%{ord(c) - 0xDC00:02X}" if 0xDC80 <= ord(c) <= 0xDCFF else c for c in text)


def _without_dots(path: str) -> str:
    kept: list[str] = []
    segments = path.split("/")[1:]
    for position, segment in enumerate(segments):
        last = position == len(segments) - 1
        if segment == "..":
            kept = kept[:-1]
        if segment not in (".", ".."):
            kept.append(segment)
        elif last:
            kept.append("")
    return "/" + "/".join(kept)
