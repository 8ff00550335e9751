"""A connection that has rested for some seconds is still open, as Azure's are: who sends at the moment in which a
server closes it gets no answer, and a client does not send a write again. Sources: local/settings.py, KEEP_ALIVE_S;
of the five seconds github.com/nodejs/node/issues/34560 and github.com/Azure/azure-sdk-for-cpp/issues/1716.
"""

from __future__ import annotations

import http.client
import ssl
import time
from urllib.parse import urlsplit

from local.azure import LocalAzure

SECONDS = 6.5
"""Longer than the five seconds after which Node and uvicorn close, unless they are told otherwise."""


def test_a_connection_that_rests_stays_open(local_azure: LocalAzure) -> None:
    settings = local_azure.settings
    trusted = ssl.create_default_context(cafile=str(settings.bundle))
    places = {service: settings.storage(service) for service in ("blob", "queue", "table")}
    connections = {}
    for service, place in (places | {"workspace": settings.arm}).items():
        connection = http.client.HTTPSConnection(urlsplit(place).netloc, context=trusted)
        connection.connect()
        connection.auto_open = 0  # or it would connect again by itself
        connections[service] = connection
        assert _status(connection) < 500, service

    time.sleep(SECONDS)

    for service, connection in connections.items():
        assert _status(connection) < 500, service
        connection.close()


def _status(connection: http.client.HTTPSConnection) -> int:
    connection.request("GET", "/local/health")
    answer = connection.getresponse()
    answer.read()
    return answer.status
