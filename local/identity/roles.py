"""Deny by default: an identity may do what infra/identities.yaml gives it on that resource, and nothing else.

Refused are calls of Resource Manager, Azure ML, endpoints, the topic and the logs. Azurite knows no roles:
for storage an identity without any storage role gets no token, and one with any of them can do all. What is signed with
a user delegation key is refused beyond its signer's roles, as on Azure (`on_blobs`, azurite/refusals.js).
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import NamedTuple

import yaml

from local.identity.exceptions import Forbidden

INFRA = Path(__file__).parents[2] / "infra"
PUBLISHER = "publisher"
PLATFORM = "platform"
"""The local Azure itself: it is what enforces roles, so it has none."""

ACCOUNT_SCOPE, WORKSPACE_ACCOUNT = "account", "workspace-account"
_ON_BLOBS = "Microsoft.Storage/storageAccounts/blobServices"
_BLOB_RIGHTS = {
    "delegates": f"{_ON_BLOBS}/generateUserDelegationKey/action",
    "reads": f"{_ON_BLOBS}/containers/blobs/read",
    "writes": f"{_ON_BLOBS}/containers/blobs/write",
}
CONTAINERS_OF_OURS = frozenset(
    {"landing", "labels", "versions", "documents", "quarantine", "readings", "dead-letter"}
)
_READ_BLOBS = tuple(f"Storage Blob Data {kind}" for kind in ("Reader", "Contributor", "Owner"))
_EVERYBODY = (
    PLATFORM,
    "app",
    PUBLISHER,
    "compute",
    "endpoint",
    "blob-events",
    "workspace-events",
    "workspace",
    "landing-events",
)
_NUMBERS = {name: number for number, name in enumerate(_EVERYBODY)}


def object_id(who: str) -> str:
    """The principal's id, as a token tells it."""
    return f"00000000-0000-0000-0000-0000000000b{_NUMBERS[who]}"


class Grant(NamedTuple):
    who: str
    role: str
    scope: str


class Roles:
    """The roles of every identity; what was asked for is remembered, and tests may take roles away."""

    def __init__(self, folder: Path = INFRA) -> None:
        table = yaml.safe_load((folder / "identities.yaml").read_text())
        rows = table["grants"] + table["autoscale"] + table["held"]
        self._grants = [Grant(row["who"], row["role"], row["scope"]) for row in rows]
        self._landings = [Grant(row["who"], row["role"], row["scope"]) for row in table["landings"]]
        self._definitions = yaml.safe_load((folder / "roles.yaml").read_text())
        self._lock = threading.Lock()
        self._without: frozenset[Grant] = frozenset()
        self._denied: frozenset[str] = frozenset()
        self._also: tuple[Grant, ...] = ()
        self._asked: set[tuple[str, str, str]] = set()

    def note(self, who: str, action: str, scope: str) -> None:
        """Remember that it was asked for."""
        with self._lock:
            self._asked.add((who, action, scope))

    def demand(self, who: str, action: str, scope: str) -> None:
        """Raise Forbidden, as Azure words it, unless one of the identity's roles on `scope` allows `action`."""
        self.note(who, action, scope)
        if not self.allows(who, action, scope):
            raise Forbidden(object_id(who), action, scope)

    def allows(self, who: str, action: str, scope: str) -> bool:
        if who == PLATFORM:
            return True
        roles = [grant.role for grant in self._held(who) if grant.scope == scope]
        return action not in self._denied and any(self._role_allows(role, action) for role in roles)

    def stores(self, who: str) -> bool:
        """Whether the identity has any role for the data of the storage account."""
        return who == PLATFORM or any(grant.role.startswith("Storage ") for grant in self._held(who))

    def reads(self, who: str, container: str) -> bool:
        """Whether an identity may read a container's blobs.

        Each upload of code has a container of its own, in the workspace's account: a role on one container is not
        enough (Azure/azure-sdk-for-python#32680; how-to-troubleshoot-online-endpoints.md, "Authorization error").
        Where the table gives the workspace no account of its own, there is nothing to tell its containers apart by.
        """
        grants = [*self._grants, *self._also]
        if not any(grant.scope == WORKSPACE_ACCOUNT for grant in grants):
            return True
        account = ACCOUNT_SCOPE if container in CONTAINERS_OF_OURS else WORKSPACE_ACCOUNT
        scopes = {account, container}
        return any(grant.role in _READ_BLOBS and grant.scope in scopes for grant in self._held(who))

    def on_blobs(self) -> dict[str, dict[str, list[str]]]:
        """Object id -> right -> scopes, of every identity: to delegate (a key acts on a whole account), read, write."""
        given = [*self._grants, *self._landings]
        return {
            object_id(who): {
                right: sorted({g.scope for g in given if g.who == who and self._role_allows(g.role, action)})
                for right, action in _BLOB_RIGHTS.items()
            }
            for who in _EVERYBODY
        }

    def change(
        self, without: Sequence[Grant] = (), denied: Sequence[str] = (), also: Sequence[Grant] = ()
    ) -> None:
        """Until the next call: these roles are not given, these actions are in no role, these roles are given, too."""
        self._without, self._denied, self._also = frozenset(without), frozenset(denied), tuple(also)

    def asked(self, forget: bool = False) -> list[tuple[str, str, str]]:
        """(identity, action, scope) of every call so far, each once."""
        with self._lock:
            found = sorted(self._asked)
            if forget:
                self._asked.clear()
        return found

    def assignments(self, principal: str) -> list[tuple[str, Grant]]:
        """(id of the role's definition, what was given) of everything that a principal has."""
        found = [grant for who in _EVERYBODY if object_id(who) == principal for grant in self._held(who)]
        return [(self._definitions[grant.role]["id"], grant) for grant in found]

    def _held(self, who: str) -> list[Grant]:
        given = [*self._grants, *self._also]
        return [grant for grant in given if grant.who == who and grant not in self._without]

    def _role_allows(self, role: str, action: str) -> bool:
        definition = self._definitions[role]
        return _matches(action, definition["actions"]) and not _matches(
            action, definition.get("notActions", ())
        )


def _matches(action: str, patterns: Sequence[str]) -> bool:
    return any(fnmatchcase(action.lower(), pattern.lower()) for pattern in patterns)
