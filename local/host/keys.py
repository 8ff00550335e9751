"""Keys are made once for a state folder, and lie in one file that only its owner reads."""

import hmac
import json
import os
import secrets
from collections.abc import Iterable, Mapping
from pathlib import Path


class Keys:
    """The host's master and default keys, and one key for each function."""

    def __init__(self, path: Path, functions: Iterable[str]) -> None:
        known: dict[str, str] = json.loads(path.read_text()) if path.exists() else {}
        wanted = ["master", "default", *(f"function:{name}" for name in functions)]
        missing = [name for name in wanted if name not in known]
        self._keys = known | {name: secrets.token_urlsafe(32) for name in missing}
        if missing:
            self._save(path)

    def admit(self, level: str, function: str, headers: Mapping[str, str], query: Mapping[str, str]) -> bool:
        """True when the request may call the function. The header wins over the query, even a wrong one."""
        if level == "anonymous":
            return True
        code = next((value for name, value in query.items() if name.lower() == "code"), "")
        given = headers.get("x-functions-key", code)  # an empty header is a wrong key
        names = ["master"] if level == "admin" else ["master", "default", f"function:{function}"]
        return any(hmac.compare_digest(given.encode(), self._keys[name].encode()) for name in names)

    def _save(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_suffix(".new")
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            json.dump(self._keys, file, indent=2)
        draft.replace(path)
