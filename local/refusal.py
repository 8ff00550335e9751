"""An answer of Azure that is not a success: in the shape that Resource Manager gives it, and as a client has it."""

from __future__ import annotations

from collections.abc import Mapping

from azure.core.exceptions import AzureError, HttpResponseError

from local.state import Document


class ArmError(Exception):
    """An answer of Azure that is not a success; services derive theirs in their `exceptions.py`."""

    def __init__(
        self, status: int, code: str, message: str, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.headers = dict(headers or {})

    def body(self) -> Document:
        return {"error": {"code": self.code, "message": self.message, "details": [], "additionalInfo": []}}


def status_of(error: AzureError) -> int:
    """The HTTP status that a client was answered, 0 when there was no answer."""
    return (error.status_code or 0) if isinstance(error, HttpResponseError) else 0
