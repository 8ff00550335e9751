"""What every function needs, made on first use: importing the app stays cheap."""

from __future__ import annotations

import os
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import azure.functions as func

    from shared.inbox.landings import Landings
    from shared.ports import Ports
    from shared.settings import Settings


@cache
def settings() -> Settings:
    from shared.settings import Settings

    return Settings.from_environment(os.environ)


@cache
def ports() -> Ports:
    from functions import telemetry
    from shared.wiring import azure_ports

    telemetry.install()
    return azure_ports(settings())


@cache
def landings() -> Landings:
    from shared.inbox.landings import Landings

    return Landings()


def text_of(message: func.QueueMessage) -> str:
    """As it lies in the queue: host.json leaves the decoding to us, so that one odd message is one odd message."""
    return message.get_body().decode("utf-8", errors="replace")
