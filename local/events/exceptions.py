"""What an Event Grid topic answers when it refuses.

ArmError
  NoSuchTopic    404
  BadEvent       400: never sent again by a client, so the text must suffice
  TooLarge       413
  TopicBusy      a status that the control surface asked for
"""

from __future__ import annotations

from local.refusal import ArmError


class NoSuchTopic(ArmError):
    def __init__(self, name: str) -> None:
        super().__init__(404, "NotFound", f"There is no topic '{name}' in the local Azure.")


class BadEvent(ArmError):
    def __init__(self, message: str) -> None:
        super().__init__(400, "BadRequest", message)


class TooLarge(ArmError):
    def __init__(self, size_bytes: int, limit_bytes: int) -> None:
        message = f"The request has {size_bytes} bytes; the topic takes at most {limit_bytes}."
        super().__init__(413, "RequestEntityTooLarge", message)


class TopicBusy(ArmError):
    def __init__(self, status: int) -> None:
        super().__init__(status, "ServerBusy", "The control surface asked the topic to answer this.")
