"""How Azure ML refuses an asset."""

from __future__ import annotations

from local.refusal import ArmError


class NoSuchAsset(ArmError):
    def __init__(self, noun: str, name: str, version: str | None = None) -> None:
        which = f"{name}:{version}" if version is not None else name
        super().__init__(404, "UserError", f"{noun} '{which}' was not found in this workspace.")


class CannotChange(ArmError):
    """The version exists, and what was sent differs in what can never change."""

    def __init__(self, status: int, noun: str, name: str, version: str, parts: list[str]) -> None:
        super().__init__(
            status,
            "UserError",
            f"A {noun} version with this name and version already exists. If you are trying to create a"
            f" new {noun} version, use a different name or version. If you are trying to update an existing"
            f" {noun} version, the existing asset's {' and '.join(parts)} cannot be changed."
            f" Only tags, description, and isArchived can be updated. ({name}:{version})",
        )


class BadAsset(ArmError):
    def __init__(self, message: str) -> None:
        super().__init__(400, "UserError", message)
