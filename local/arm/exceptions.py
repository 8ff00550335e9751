"""What Resource Manager answers for what is not there."""

from __future__ import annotations

from local.refusal import ArmError


class NoSuchDatastore(ArmError):
    def __init__(self, name: str) -> None:
        super().__init__(404, "UserError", f"There is no datastore '{name}' in this workspace.")


class NoSuchOperation(ArmError):
    def __init__(self, name: str) -> None:
        super().__init__(404, "NotFound", f"There is no long-running operation '{name}'.")
