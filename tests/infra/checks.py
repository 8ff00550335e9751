"""What a Bicep compiler would say, as far as it can be said without one; and what it would not say."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

from tree_sitter import Node

from tests.infra import bicep
from tests.infra.bicep import Declaration, File

HERE = Path(__file__).parent
TYPES: dict[str, list[str]] = json.loads((HERE / "azure_types.json").read_text())["properties"]
VERSIONS: dict[str, str] = json.loads((HERE / "api_versions.json").read_text())["versions"]
FUNCTIONS = {
    "allowed", "description", "minLength", "maxLength", "minValue", "maxValue", "secure",  # decorators
    "deployment", "empty", "environment", "filter", "guid", "last", "loadYamlContent", "resourceGroup", "split",
    "subscription", "subscriptionResourceId", "tenant", "toLower", "union", "uniqueString",
}  # fmt: skip
KEYS = re.compile(
    r"(?i)listKeys|listAccountSas|AccountKey|SharedAccessKey|primaryKey|InstrumentationKey|\bsas\b"
)
SAFE = {
    "Microsoft.Storage/storageAccounts": {
        "properties.allowBlobPublicAccess": "false",
        "properties.allowSharedKeyAccess": "false",
        "properties.minimumTlsVersion": "TLS1_2",
        "properties.supportsHttpsTrafficOnly": "true",
    },
    "Microsoft.Storage/storageAccounts/blobServices/containers": {"properties.publicAccess": "None"},
    "Microsoft.Web/sites": {"properties.httpsOnly": "true", "properties.siteConfig.minTlsVersion": "1.2"},
    "Microsoft.Web/sites/basicPublishingCredentialsPolicies": {"properties.allow": "false"},
    "Microsoft.EventGrid/topics": {
        "properties.disableLocalAuth": "true",
        "properties.minimumTlsVersionAllowed": "1.2",
    },
    "Microsoft.ContainerRegistry/registries": {
        "properties.adminUserEnabled": "false",
        "properties.anonymousPullEnabled": "false",
    },
    "Microsoft.Insights/components": {"properties.DisableLocalAuth": "true"},
    "Microsoft.MachineLearningServices/workspaces": {"properties.systemDatastoresAuthMode": "identity"},
    "Microsoft.MachineLearningServices/workspaces/computes": {
        "properties.disableLocalAuth": "true",
        "properties.properties.remoteLoginPortPublicAccess": "Disabled",
    },
}


def problems(infra: Path) -> list[str]:
    """Everything wrong with a folder of Bicep files, each with its file."""
    files = [bicep.read(path) for path in sorted(infra.rglob("*.bicep"))]
    found: list[str] = []
    for file in files:
        for check in (bicep.problems_of_syntax, _symbols, _documentation, _types, _secrets, _safety):
            found += [f"{file.path.relative_to(infra)}: {problem}" for problem in check(file)]
    by_path = {file.path.resolve(): file for file in files}
    for file in files:
        found += [f"{file.path.relative_to(infra)}: {problem}" for problem in _modules(file, by_path)]
    return found + _parameters(infra)


def _symbols(file: File) -> Iterator[str]:
    known = {one.name for one in file.declarations if one.kind != "output"}
    used: set[str] = set()
    for one in file.declarations:
        names = bicep.identifiers(one)
        used |= names
        yield from (f"{name!r} is used in {one.name!r} but not defined" for name in sorted(names - known))
    for one in file.declarations:
        if one.kind in {"param", "var"} and one.name not in used:
            yield f"{one.kind} {one.name!r} is never used"
        if one.kind == "resource" and one.existing and one.name not in used:
            yield f"existing resource {one.name!r} is never used"
    yield from (f"function {name!r} is not known" for name in sorted(bicep.functions(file) - FUNCTIONS))


def _documentation(file: File) -> Iterator[str]:
    for one in file.of("param") + (file.of("output") if file.path.name != "main.bicep" else []):
        if not one.described:
            yield f"{one.kind} {one.name!r} has no @description"


def _types(file: File) -> Iterator[str]:
    for resource in file.of("resource"):
        kind, _, version = resource.kind_text.partition("@")
        if f"{kind.partition('/')[0]}@{version}" not in VERSIONS:
            yield f"{resource.name!r}: API version {resource.kind_text!r} is not known"
        known = TYPES.get(_key(resource, kind))
        if known is None:
            yield f"{resource.name!r}: resource type {kind!r} is not known"
        elif resource.body is not None:
            yield from (
                f"{resource.name!r}: {kind} has no property {path!r}"
                for path, _ in _leaves(file, resource.body, "")
                if not _is_known(path, set(known)) and not path.startswith("dependsOn")
            )


def _key(resource: Declaration, kind: str) -> str:
    """A site's config has as many shapes as names."""
    if kind != "Microsoft.Web/sites/config" or resource.body is None:
        return kind
    return f"{kind}:{bicep.literal(bicep.properties(resource.body)['name'])}"


def _is_known(path: str, known: set[str]) -> bool:
    parts = path.split(".")
    reached = {""}
    for part in parts:
        reached = {
            f"{before}.{step}".lstrip(".")
            for before in reached
            for step in (part, "*")
            if f"{before}.{step}".lstrip(".") in known
        }
        if any(one.endswith("*") for one in reached):
            return True  # below keys that the caller chooses, values are his too
    return bool(reached)


def _leaves(file: File, node: Node, prefix: str) -> Iterator[tuple[str, Node]]:
    """(dotted path, value) of everything in an object, also where a `var` stands for a part of it."""
    for key, value in bicep.properties(node).items():
        yield f"{prefix}{key}", value
        yield from _below(file, value, f"{prefix}{key}.")


def _below(file: File, value: Node, prefix: str) -> Iterator[tuple[str, Node]]:
    if value.type == "identifier":
        found = file.find(bicep.text(value))
        value = found.body if found is not None and found.kind == "var" and found.body is not None else value
    if value.type == "object":
        yield from _leaves(file, value, prefix)
    if value.type == "array":
        for one in value.named_children:
            yield from _below(file, one, prefix)


def _secrets(file: File) -> Iterator[str]:
    for node in bicep.walk(file.root):
        if node.type in {"call_expression", "property_identifier", "string_content"}:
            shown = bicep.text(node.named_children[0]) if node.type == "call_expression" else bicep.text(node)
            if KEYS.search(shown):
                yield f"line {node.start_point[0] + 1}: {shown[:60]!r} is, or gives, a key"


def _safety(file: File) -> Iterator[str]:
    for resource in file.of("resource"):
        wanted = SAFE.get(resource.kind_text.partition("@")[0], {})
        if resource.existing or resource.body is None:
            continue
        leaves = dict(_leaves(file, resource.body, ""))
        for path, value in wanted.items():
            found = bicep.literal(leaves[path]) if path in leaves else "nothing"
            if found != value:
                yield f"{resource.name!r}: {path} must be {value!r}, not {found!r}"


def _modules(file: File, files: dict[Path, File]) -> Iterator[str]:
    for module in file.of("module"):
        target = files.get((file.path.parent / module.kind_text).resolve())
        if target is None or module.body is None:
            yield f"module {module.name!r}: there is no {module.kind_text!r}"
            continue
        params = bicep.properties(module.body).get("params")
        given = set(bicep.properties(params)) if params is not None else set()
        taken = {one.name: one.has_default for one in target.of("param")}
        yield from (
            f"module {module.name!r} has no parameter {name!r}" for name in sorted(given - set(taken))
        )
        needed = {name for name, default in taken.items() if not default}
        yield from (f"module {module.name!r} needs {name!r}" for name in sorted(needed - given))
    outputs = {
        module.name: {one.name for one in files[path].of("output")}
        for module in file.of("module")
        if (path := (file.path.parent / module.kind_text).resolve()) in files
    }
    for module_name, output in re.findall(r"\b(\w+)\.outputs\.(\w+)", bicep.text(file.root)):
        if output not in outputs.get(module_name, set()):
            yield f"{module_name}.outputs.{output} is not an output of that module"


def _parameters(infra: Path) -> list[str]:
    document = json.loads((infra / "main.parameters.json").read_text())
    given = set(document["parameters"])
    taken = {one.name: one.has_default for one in bicep.read(infra / "main.bicep").of("param")}
    unknown = [
        f"main.parameters.json: main.bicep has no parameter {name!r}" for name in sorted(given - set(taken))
    ]
    needed = {name for name, default in taken.items() if not default}
    return unknown + [f"main.parameters.json: {name!r} is missing" for name in sorted(needed - given)]


def settings(infra: Path) -> set[str]:
    """Names of the Function App's settings."""
    file = bicep.read(infra / "modules" / "app.bicep")
    for resource in file.of("resource"):
        body = resource.body
        if body is not None and _key(resource, resource.kind_text.partition("@")[0]).endswith(":appsettings"):
            return set(bicep.properties(bicep.properties(body)["properties"]))
    return set()
