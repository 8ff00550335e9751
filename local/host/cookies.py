"""The host takes an app's cookies apart and writes them anew: lower-case names, its own order, an empty `domain=`."""

from collections.abc import Mapping
from urllib.parse import quote


def written(cookie: Mapping[str, str]) -> str:
    """A Set-Cookie line as the host writes it. The value is escaped, as ASP.NET's cookies always are."""
    parts = [f"{cookie['name']}={quote(cookie['value'], safe='-._~')}"]
    if cookie.get("expires"):
        parts.append(f"expires={cookie['expires']}")
    if cookie.get("max-age"):
        parts.append(f"max-age={int(float(cookie['max-age']))}")
    parts += [f"domain={cookie.get('domain', '')}", f"path={cookie.get('path', '')}"]
    if cookie.get("secure"):
        parts.append("secure")
    if cookie.get("samesite"):
        parts.append(f"samesite={cookie['samesite'].lower()}")
    if cookie.get("httponly"):
        parts.append("httponly")
    return "; ".join(parts)
