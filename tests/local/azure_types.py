"""Writes azure_types.json: names of what the local Azure lists around the workspace, from generated clients.

    python -m venv /tmp/mgmt && /tmp/mgmt/bin/pip install $(sed -n 's/^PACKAGES: //p' tests/local/azure_types.py)
    /tmp/mgmt/bin/python tests/local/azure_types.py

PACKAGES: azure-mgmt-authorization azure-mgmt-eventgrid azure-mgmt-monitor==6.0.2 azure-mgmt-msi azure-mgmt-web
"""

from __future__ import annotations

import importlib
import inspect
import json
import re
from importlib.metadata import version
from pathlib import Path
from types import ModuleType
from typing import Any

FILE = Path(__file__).parent / "azure_types.json"

ML = "azure.ai.ml._restclient.arm_ml_service.models"  # the management package is years behind

MODELS = {
    "Microsoft.EventGrid/systemTopics": ("eventgrid.models", "SystemTopic"),
    "Microsoft.EventGrid/systemTopics/eventSubscriptions": ("eventgrid.models", "EventSubscription"),
    "Microsoft.Insights/diagnosticSettings": (
        "monitor.v2021_05_01_preview.models",
        "DiagnosticSettingsResource",
    ),
    "Microsoft.Authorization/roleAssignments": (
        "authorization.v2022_04_01.models",
        "RoleAssignmentCreateParameters",
    ),
    "Microsoft.ManagedIdentity/userAssignedIdentities": ("msi.v2024_11_30.models", "Identity"),
    "Microsoft.Web/sites": ("web.models", "Site"),
}
_OUTSIDE_THE_BODY = {"name", "parent", "scope"}  # every Bicep resource has them


def main() -> None:
    found = {kind: sorted(_paths(kind, *where)) for kind, where in MODELS.items()}
    packages = {_package(where[0]) for where in MODELS.values()}
    document = {"sources": {name: version(name) for name in sorted(packages)}, "properties": found}
    lines = json.dumps(document, indent=0).replace("\n", " ").replace('], "', '],\n"').replace("{ ", "{\n")
    FILE.write_text(lines + "\n")


def _package(module: str) -> str:
    return "azure-ai-ml" if module == ML else f"azure-mgmt-{module.split('.')[0]}"


def _paths(kind: str, module: str, name: str) -> set[str]:
    models = importlib.import_module(module if module == ML else f"azure.mgmt.{module}")
    return below(models, name, "", ()) | _OUTSIDE_THE_BODY


def below(models: ModuleType, name: str, prefix: str, seen: tuple[str, ...]) -> set[str]:
    """Dotted names; `*` stands for keys that the caller chooses. A class is not entered twice on one way."""
    if name in seen or len(seen) > 7:
        return set()
    found: set[str] = set()
    for model in _family(models, name):
        for key, kind in _fields(model):
            path = f"{prefix}{key}"
            found |= {path[: place.start()] for place in re.finditer(r"\.", path)} | {path}
            if re.search(r"\{|[Dd]ict\[|Mapping\[", kind):
                path += ".*"
                found.add(path)
            for word in re.findall(r"\w+", kind):
                if isinstance(getattr(models, word, None), type) and _fields(getattr(models, word)):
                    found |= below(models, word, f"{path}.", (*seen, name))
    return found


def _family(models: ModuleType, name: str) -> list[Any]:
    """The class and all that derive from it: what a discriminator may choose."""
    base = getattr(models, name)
    return [
        base,
        *(m for m in vars(models).values() if isinstance(m, type) and issubclass(m, base) and m is not base),
    ]


def _fields(model: Any) -> list[tuple[str, str]]:
    """(name on the wire, text of its type) of either generation of Microsoft's generator."""
    if hasattr(model, "_attribute_map"):
        return [(each["key"], each["type"]) for each in model._attribute_map.values()]
    kinds: dict[str, str] = {}
    for base in reversed(getattr(model, "__mro__", ())):
        kinds |= {key: str(kind) for key, kind in inspect.get_annotations(base).items()}
    found: list[tuple[str, str]] = []
    for base in getattr(model, "__mro__", ()):
        for key, field in vars(base).items():
            if type(field).__name__ == "_RestField":
                text = (
                    re.sub(r"^Optional\[(.*)\]$", r"\1", kinds.get(key, ""))
                    .replace("_models.", "")
                    .replace("_types.", "")
                )
                found.append((field._rest_name_input or key, text.replace('"', "").replace("'", "")))
    return found


if __name__ == "__main__":
    main()
