"""How a registry refuses.

The statuses of what no public page gives are the strict guess: nothing is ever overwritten.
"""

from __future__ import annotations

from local.refusal import ArmError


class NotAllowed(ArmError):
    """Source: MicrosoftDocs/azure-docs#122537: a missing role shows at discovery, as a client is made."""

    def __init__(self, registry: str) -> None:
        super().__init__(
            403,
            "UserError",
            f"User/tenant/subscription is not allowed to access registry {registry} (UnAuthorizedRegistryAccess)",
        )

    def body(self) -> dict[str, object]:
        inner: dict[str, object] = {"code": "UnAuthorizedRegistryAccess", "innerError": None}
        for code in ("Authorization", "Auth"):
            inner = {"code": code, "innerError": inner}
        return {"error": {"code": self.code, "message": self.message, "details": [], "innerError": inner}}


class NoSuchRegistry(ArmError):
    def __init__(self, name: str) -> None:
        super().__init__(404, "UserError", f"Registry '{name}' was not found.")


class NotInRegistry(ArmError):
    def __init__(self, registry: str, what: str) -> None:
        super().__init__(404, "UserError", f"'{what}' was not found in registry '{registry}'.")


class Taken(ArmError):
    def __init__(self, what: str) -> None:
        super().__init__(409, "Conflict", f"'{what}' exists in the registry, or is being imported.")


class DeletedForever(ArmError):
    """Source: Azure/azureml-assets#2919."""

    def __init__(self, what: str, at: str) -> None:
        super().__init__(
            400,
            "UserError",
            f"'{what}' was deleted at {at} and cannot be created again. Use another version.",
        )


class Refused(ArmError):
    def __init__(self, message: str) -> None:
        super().__init__(400, "UserError", message)
