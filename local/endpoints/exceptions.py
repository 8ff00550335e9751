"""What Azure says when an endpoint or a deployment cannot do what was asked.

ArmError
  NotThere         404
  Busy             409: another operation holds the endpoint or the deployment
  Refused          400: the request contradicts the state, the message says how
  NotEmulated      501
DeploymentFailed   not an answer: the reason why a deployment's process does not serve
"""

from __future__ import annotations

from local.refusal import ArmError


class NotThere(ArmError):
    def __init__(self, kind: str, name: str) -> None:
        super().__init__(
            404, "ResourceNotFound", f"The {kind} '{name}' was not found in the local workspace."
        )


class Busy(ArmError):
    def __init__(self, kind: str, name: str, doing: str) -> None:
        message = f"The {kind} '{name}' is in the state '{doing}'. Wait until its operation has ended."
        super().__init__(409, "Conflict", message)  # a Retry-After would make the SDK hide it


class Refused(ArmError):
    def __init__(self, message: str) -> None:
        super().__init__(400, "BadRequest", message)


class NotEmulated(ArmError):
    def __init__(self, what: str) -> None:
        super().__init__(501, "NotEmulated", f"The local Azure does not emulate {what}.")


class DeploymentFailed(Exception):
    """Becomes the operation's error; `code` is Azure's."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
