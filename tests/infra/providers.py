"""What azapi and azurerm are to Terraform, without an Azure behind them: their schemas, and ids as Azure makes them.

Terraform itself reads, validates and plans; whatever it would have sent is kept. The attributes are those of the
providers' own pages (Azure/terraform-provider-azapi, docs/, 2.12; hashicorp/terraform-provider-azurerm, website/docs/r,
5.2), so that Terraform refuses one that they do not have. Spoken is Terraform's plugin protocol 6, by gRPC
(hashicorp/terraform, docs/plugin-protocol), with the messages of the package `tf`.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from concurrent import futures
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import grpc
import msgpack
from tf.gen import tfplugin_pb2 as pb
from tf.gen import tfplugin_pb2_grpc as rpc

UNKNOWN = msgpack.ExtType(0, b"\0")
STRINGS = ["list", "string"]
TAGS = ["map", "string"]


class Kind(NamedTuple):
    """A resource or data source: the types of its attributes, by who sets them, and its blocks."""

    required: dict[str, Any]
    optional: dict[str, Any]
    computed: dict[str, Any]
    blocks: Mapping[str, Kind] = MappingProxyType({})

    def schema(self) -> Any:
        return pb.Schema(version=0, block=self._block())

    def _block(self) -> Any:
        rows = [(self.required, {"required": True}), (self.optional, {"optional": True})]
        rows.append((self.computed, {"computed": True}))
        attributes = [
            pb.Schema.Attribute(name=name, type=json.dumps(kind).encode(), **mode)
            for kinds, mode in rows
            for name, kind in kinds.items()
        ]
        nested = [
            pb.Schema.NestedBlock(type_name=name, block=kind._block(), nesting=_NESTING[name])
            for name, kind in self.blocks.items()
        ]
        return pb.Schema.Block(version=0, attributes=attributes, block_types=nested)


_NESTING: dict[str, Any] = {
    "identity": pb.Schema.NestedBlock.LIST,
    "timeouts": pb.Schema.NestedBlock.SINGLE,
    "features": pb.Schema.NestedBlock.LIST,
}
_PATIENCE = Kind({}, dict.fromkeys(("create", "read", "update", "delete"), "string"), {})
_WITH = {"locks": STRINGS, "response_export_values": "dynamic", "body": "dynamic"}
_PLACE = {"name": "string", "parent_id": "string"}
_OUT = {"id": "string", "output": "dynamic"}
_LEFT = ("azapi_update_resource", "azapi_resource_action")
"""What they changed stays as it is when they are destroyed."""

AZAPI = {
    "azapi_resource": Kind(
        {"type": "string", **_PLACE},
        _WITH | {"location": "string", "tags": TAGS, "schema_validation_enabled": "bool"},
        _OUT,
        {
            "identity": Kind(
                {"type": "string"},
                {"identity_ids": STRINGS},
                {"principal_id": "string", "tenant_id": "string"},
            ),
            "timeouts": _PATIENCE,
        },
    ),
    "azapi_update_resource": Kind(
        {"type": "string"}, _WITH | _PLACE | {"resource_id": "string"}, _OUT, {"timeouts": _PATIENCE}
    ),
    "azapi_resource_action": Kind(
        {"type": "string", "resource_id": "string"},
        _WITH | {"action": "string", "method": "string", "when": "string"},
        _OUT,
        {"timeouts": _PATIENCE},
    ),
}
AZURERM = {
    "azurerm_resource_group": Kind(
        {"name": "string", "location": "string"}, {"tags": TAGS, "managed_by": "string"}, {"id": "string"}
    ),
    "azurerm_user_assigned_identity": Kind(
        {"name": "string", "location": "string", "resource_group_name": "string"},
        {"tags": TAGS},
        dict.fromkeys(("id", "principal_id", "client_id", "tenant_id"), "string"),
    ),
    "azurerm_role_assignment": Kind(
        {"scope": "string", "principal_id": "string"},
        dict.fromkeys(("name", "role_definition_id", "principal_type", "description", "condition"), "string"),
        {"id": "string"},
    ),
}
AZAPI_DATA = {
    "azapi_resource": Kind(
        {"type": "string"}, _PLACE | {"resource_id": "string", "response_export_values": "dynamic"}, _OUT
    )
}
AZURERM_DATA = {
    "azurerm_client_config": Kind(
        {}, {}, dict.fromkeys(("id", "client_id", "tenant_id", "subscription_id", "object_id"), "string")
    )
}
_SIGN_IN = {"environment": "string", "subscription_id": "string", "tenant_id": "string", "use_oidc": "bool"}
_REGISTERED = {
    "resource_provider_registrations": "string",
    "resource_providers_to_register": ["set", "string"],
}


class Provider(rpc.ProviderServicer):  # type: ignore[misc]
    """One of the two, which keeps what Terraform applies: by id, the kind and every attribute."""

    def __init__(
        self, config: Kind, kinds: dict[str, Kind], data: dict[str, Kind], client: dict[str, str]
    ) -> None:
        self._config, self._kinds, self._data, self._client = config, kinds, data, client
        self.made: dict[str, dict[str, Any]] = {}
        self.deleted: set[str] = set()

    def GetProviderSchema(self, request: Any, context: Any) -> Any:
        return pb.GetProviderSchema.Response(
            provider=self._config.schema(),
            resource_schemas={name: kind.schema() for name, kind in self._kinds.items()},
            data_source_schemas={name: kind.schema() for name, kind in self._data.items()},
        )

    def ValidateProviderConfig(self, request: Any, context: Any) -> Any:
        return pb.ValidateProviderConfig.Response()

    def ConfigureProvider(self, request: Any, context: Any) -> Any:
        return pb.ConfigureProvider.Response()

    def ValidateResourceConfig(self, request: Any, context: Any) -> Any:
        return pb.ValidateResourceConfig.Response()

    def ValidateDataResourceConfig(self, request: Any, context: Any) -> Any:
        return pb.ValidateDataResourceConfig.Response()

    def UpgradeResourceState(self, request: Any, context: Any) -> Any:
        state = json.loads(request.raw_state.json)
        for name in ("body", "output", "response_export_values"):
            found = state.get(name)
            if isinstance(found, dict) and set(found) == {"value", "type"}:
                state[name] = [json.dumps(found["type"]).encode(), found["value"]]
        return pb.UpgradeResourceState.Response(upgraded_state=_packed(state))

    def ReadResource(self, request: Any, context: Any) -> Any:
        return pb.ReadResource.Response(new_state=request.current_state)

    def PlanResourceChange(self, request: Any, context: Any) -> Any:
        state = _unpacked(request.proposed_new_state)
        if state is not None and _unpacked(request.prior_state) is None:
            state |= dict.fromkeys(self._kinds[request.type_name].computed, UNKNOWN)
        return pb.PlanResourceChange.Response(planned_state=_packed(state))

    def ApplyResourceChange(self, request: Any, context: Any) -> Any:
        state = _unpacked(request.planned_state)
        if state is None:
            if request.type_name not in _LEFT:
                self.deleted.add(_unpacked(request.prior_state)["id"])
            return pb.ApplyResourceChange.Response(new_state=_packed(None))
        try:
            state["id"] = identifier(request.type_name, state, self._client["subscription_id"])
        except ValueError as error:
            wrong = pb.Diagnostic(severity=pb.Diagnostic.ERROR, summary=str(error))
            return pb.ApplyResourceChange.Response(new_state=_packed(None), diagnostics=[wrong])
        self.made[state["id"]] = {"kind": request.type_name, **state}
        return pb.ApplyResourceChange.Response(new_state=_packed(self._answered(request.type_name, state)))

    def ReadDataSource(self, request: Any, context: Any) -> Any:
        state = _unpacked(request.config)
        if request.type_name == "azurerm_client_config":
            state |= self._client
        else:
            state["id"] = state["resource_id"]
            state = self._answered(request.type_name, state)
        return pb.ReadDataSource.Response(state=_packed(state))

    def _answered(self, kind: str, state: dict[str, Any]) -> dict[str, Any]:
        """With what Azure would say of it: each value says what it is of."""
        computed = (self._kinds | self._data)[kind].computed
        asked = plain(state.get("response_export_values")) or []
        found: dict[str, Any] = {
            name: told(name.replace("_id", "Id"), state["id"])
            for name in computed
            if state.get(name) == UNKNOWN
        }
        if "output" in computed:
            output: dict[str, Any] = {}
            for path in asked:
                *folders, last = path.split(".")
                place = output
                for folder in folders:
                    place = place.setdefault(folder, {})
                place[last] = told(last, state["id"])
            found["output"] = _dynamic(output)
        return state | found


def told(what: str, identity: str) -> str:
    """Stands for what Azure alone knows."""
    return f"{{{what} of '{identity}'}}"


def identifier(kind: str, state: dict[str, Any], subscription: str) -> str:
    """The resource id that Azure gives, or ValueError where azapi refuses the parent."""
    if kind == "azurerm_resource_group":
        return f"/subscriptions/{subscription}/resourceGroups/{state['name']}"
    if kind == "azurerm_user_assigned_identity":
        group = f"/subscriptions/{subscription}/resourceGroups/{state['resource_group_name']}"
        return f"{group}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/{state['name']}"
    if kind == "azurerm_role_assignment":
        return f"{state['scope']}/providers/Microsoft.Authorization/roleAssignments/{state['name']}"
    if state.get("resource_id"):
        return str(state["resource_id"])
    return _child(state["type"].partition("@")[0], state["parent_id"], state["name"])


def _child(kind: str, parent: str, name: str) -> str:
    namespace, *parts = kind.split("/")
    if len(parts) == 1:
        return f"{parent}/providers/{kind}/{name}"
    tail = parent.rpartition("/providers/")[2].split("/")
    if tail[::2] and "/".join([tail[0], *tail[1::2]]) != "/".join([namespace, *parts[:-1]]):
        raise ValueError(f"`parent_id is invalid`: a {kind} is not part of {parent}")
    return f"{parent}/{parts[-1]}/{name}"


def _unpacked(value: Any) -> Any:
    return msgpack.unpackb(value.msgpack, strict_map_key=False) if value.msgpack else None


def _packed(value: Any) -> Any:
    return pb.DynamicValue(msgpack=msgpack.packb(value))


def plain(value: Any) -> Any:
    """Without the type that comes with a dynamic value."""
    return value[1] if isinstance(value, list) and len(value) == 2 and isinstance(value[0], bytes) else value


def _dynamic(value: Any) -> list[Any]:
    def kind(one: Any) -> Any:
        return (
            ["object", {name: kind(inner) for name, inner in one.items()}]
            if isinstance(one, dict)
            else "string"
        )

    return [json.dumps(kind(value)).encode(), value]


class Served:
    """Both providers on sockets in a folder, as Terraform is told of providers that run already."""

    def __init__(self, folder: Path, subscription: str, tenant: str) -> None:
        client = {
            "id": "client",
            "client_id": "",
            "object_id": "",
            "tenant_id": tenant,
            "subscription_id": subscription,
        }
        features = {"features": Kind({}, {}, {})}
        self._providers = {
            "azure/azapi": Provider(Kind({}, _SIGN_IN, {}), AZAPI, AZAPI_DATA, client),
            "hashicorp/azurerm": Provider(
                Kind({}, _SIGN_IN | _REGISTERED, {}, features),
                AZURERM,
                AZURERM_DATA,
                client,
            ),
        }
        self._servers, known = [], {}
        for name, provider in self._providers.items():
            socket = str(folder / re.sub(r"\W", "-", name))
            server = grpc.server(futures.ThreadPoolExecutor(max_workers=4))
            rpc.add_ProviderServicer_to_server(provider, server)
            server.add_insecure_port(f"unix://{socket}")
            server.start()
            self._servers.append(server)
            known[f"registry.terraform.io/{name}"] = {
                "Protocol": "grpc",
                "ProtocolVersion": 6,
                "Pid": os.getpid(),
                "Test": True,
                "Addr": {"Network": "unix", "String": socket},
            }
        self.environment = {"TF_REATTACH_PROVIDERS": json.dumps(known)}

    def taken(self) -> dict[str, dict[str, Any]]:
        """What was applied since it was last asked, by id."""
        found: dict[str, dict[str, Any]] = {}
        for provider in self._providers.values():
            found |= provider.made
            provider.made, provider.deleted = {}, set()
        return found

    def deleted(self) -> set[str]:
        return {identity for provider in self._providers.values() for identity in provider.deleted}

    def close(self) -> None:
        for server in self._servers:
            server.stop(grace=None)
