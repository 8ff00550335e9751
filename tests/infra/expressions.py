"""Template expressions that a snapshot leaves as they are, since only Azure knows their parts: what they come to.

The language is that of learn.microsoft.com/azure/azure-resource-manager/templates/template-expressions, as far as
infra/ uses it; what a resource alone knows is told by name.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from tests.infra.providers import told

_TOKEN = re.compile(r"\s*(?:'((?:[^']|'')*)'|(\w+)|([().,]))")

CLOUDS: dict[str, dict[str, Any]] = {
    "public": {
        "name": "AzureCloud",
        "suffixes": {"storage": "core.windows.net"},
        "authentication": {"loginEndpoint": "https://login.microsoftonline.com/"},
    },
    "usgovernment": {
        "name": "AzureUSGovernment",
        "suffixes": {"storage": "core.usgovcloudapi.net"},
        "authentication": {"loginEndpoint": "https://login.microsoftonline.us/"},
    },
}
"""What environment() says, by the providers' names of the clouds (Azure's "template functions for deployments")."""


class _Reference:
    def __init__(self, identity: str, *_: str) -> None:
        self.identity = identity


class Expressions:
    def __init__(self, parameters: Mapping[str, Any], cloud: str = "public") -> None:
        self._functions: dict[str, Callable[..., Any]] = {
            "format": lambda text, *parts: re.sub(r"\{(\d+)\}", lambda at: str(parts[int(at[1])]), text),
            "union": lambda *parts: {name: value for part in parts for name, value in part.items()},
            "createObject": lambda *parts: dict(zip(parts[::2], parts[1::2], strict=True)),
            "if": lambda condition, then, otherwise: then if condition else otherwise,
            "equals": lambda one, other: one == other,
            "not": lambda one: not one,
            "empty": lambda one: not one,
            "parameters": lambda name: parameters[name],
            "environment": lambda: CLOUDS[cloud],
            "reference": _Reference,
        }

    def resolved(self, value: Any) -> Any:
        """A value of a snapshot, with every expression in it evaluated."""
        if isinstance(value, dict):
            return {name: self.resolved(inner) for name, inner in value.items()}
        if isinstance(value, list):
            return [self.resolved(inner) for inner in value]
        if isinstance(value, str) and value.startswith("[") and value.endswith("]"):
            tokens = [found.groups() for found in _TOKEN.finditer(value[1:-1])]
            return self._value(tokens)
        return value

    def _value(self, tokens: list[tuple[str | None, ...]]) -> Any:
        text, word, _ = tokens.pop(0)
        if text is not None:
            return text.replace("''", "'")
        assert word is not None
        found = self._functions[word](*self._arguments(tokens))
        while tokens and tokens[0][2] == ".":
            tokens.pop(0)
            found = _member(found, str(tokens.pop(0)[1]))
        return found

    def _arguments(self, tokens: list[tuple[str | None, ...]]) -> list[Any]:
        assert tokens.pop(0)[2] == "("
        found: list[Any] = []
        while tokens[0][2] != ")":
            if tokens[0][2] == ",":
                tokens.pop(0)
            found.append(self._value(tokens))
        tokens.pop(0)
        return found


def _member(of: Any, name: str) -> Any:
    if isinstance(of, _Reference):
        return of if name == "identity" else told(name, of.identity)
    return of[name]
