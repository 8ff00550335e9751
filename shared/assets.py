"""Asset ids of Azure ML: long ones (ARM) and short ones (azureml:name:version) name the same thing of the workspace."""

from __future__ import annotations

import re
from typing import NamedTuple

from shared.domain.reason import Code
from shared.errors import ConfigurationError

_LONG = re.compile(
    r"(?:azureml:)?/subscriptions/.+/(?P<kind>\w+)/(?P<name>[^/]+)/versions/(?P<version>[^/]+)/?",
    re.IGNORECASE,
)
_SHARED = re.compile(
    r"(?:azureml:)?azureml://registries/(?P<registry>[^/]+)/(?P<kind>\w+)/(?P<name>[^/]+)/versions/(?P<version>[^/]+)",
    re.IGNORECASE,
)
_SHORT = re.compile(r"azureml:(?P<name>[^:/@]+):(?P<version>[^:/@]+)")


class Asset(NamedTuple):
    """A name and a fixed version, of the workspace or of a registry that workspaces share."""

    name: str
    version: str
    registry: str = ""
    kind: str = ""
    """Of a registry's: models, environments."""

    @property
    def short(self) -> str:
        if self.registry:
            return shared_id(self.registry, self.kind, self.name, self.version)
        return f"azureml:{self.name}:{self.version}"

    @property
    def plain(self) -> str:
        """As people write it."""
        return self.short if self.registry else f"{self.name}:{self.version}"


def shared_id(registry: str, kind: str, name: str, version: str) -> str:
    """The id of an asset of a registry, the same in every workspace."""
    return f"azureml://registries/{registry}/{kind}/{name}/versions/{version}"


def asset(identifier: str) -> Asset:
    """Labels such as @latest are refused: what runs must be the same tomorrow."""
    if shared := _SHARED.fullmatch(identifier):
        return Asset(shared["name"], shared["version"], shared["registry"], shared["kind"])
    found = _LONG.fullmatch(identifier) or _SHORT.fullmatch(identifier)
    if found is None:
        raise ConfigurationError(
            f"{identifier!r} is not an asset id with a version; publish the loop again, which pins every asset.",
            code=Code.COMPONENT_UNFIT,
        )
    return Asset(found["name"], found["version"])


def plain(identifier: str) -> str:
    """As people write it; what is no asset of the workspace as it is."""
    try:
        return asset(identifier).plain
    except ConfigurationError:
        return identifier


def alike(one: str, other: str) -> bool:
    """The same of any two ids, also of what is no asset of the workspace: a registry's model, for example."""
    try:
        return same_asset(one, other)
    except ConfigurationError:
        return one.casefold() == other.casefold()


def same_asset(one: str, other: str) -> bool:
    """Whether two ids, each long or short, name the same version; Azure's names have no case."""
    return _folded(one) == _folded(other)


def _folded(identifier: str) -> tuple[str, ...]:
    return tuple(part.casefold() for part in asset(identifier))
