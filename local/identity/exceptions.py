"""What identity answers when it refuses."""

from __future__ import annotations

from local.refusal import ArmError


class Unauthorized(ArmError):
    def __init__(self, message: str) -> None:
        super().__init__(401, "InvalidAuthenticationToken", message, {"WWW-Authenticate": "Bearer"})


class UnknownIdentity(ArmError):
    def __init__(self) -> None:
        super().__init__(401, "invalid_client", "The header X-IDENTITY-HEADER is missing or wrong.")


class NoSuchIdentity(ArmError):
    """An app with user-assigned identities alone must say which one it means, by its client id."""

    def __init__(self) -> None:
        super().__init__(400, "400", "Unable to load the proper Managed Identity.")


class Forbidden(ArmError):
    def __init__(self, principal: str, action: str, scope: str) -> None:
        super().__init__(
            403,
            "AuthorizationFailed",
            f"The client with object id '{principal}' does not have authorization to perform action '{action}' "
            f"over scope '{scope}' or the scope is invalid.",
        )


class ResourceMissing(ArmError):
    def __init__(self) -> None:
        super().__init__(400, "invalid_resource", "The query parameter 'resource' is missing.")
