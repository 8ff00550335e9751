"""What Azure ML tells the world about runs and models goes out as Event Grid events."""

from __future__ import annotations

import importlib.util
import uuid
from collections.abc import Callable
from importlib import import_module

from local.jobs.runs import now
from local.service import Service
from local.settings import WORKSPACE_ID
from local.state import Document


def publisher(service: Service) -> Callable[[Document], None]:
    """A function that hands an event to the local Event Grid; it does nothing where that is not installed."""
    if importlib.util.find_spec("local.events") is None:
        return lambda event: None
    events = import_module("local.events")
    return lambda event: events.publish(service, event)


def model_registered(resource: Document) -> Document:
    """The event for a new model version."""
    name, version = resource["id"].split("/")[-3], resource["name"]
    return {
        "id": str(uuid.uuid4()),
        "topic": WORKSPACE_ID,
        "subject": f"models/{name}:{version}",
        "eventType": "Microsoft.MachineLearningServices.ModelRegistered",
        "eventTime": now(),
        "data": {
            "ModelName": name,
            "ModelVersion": version,
            "ModelTags": resource["properties"].get("tags") or {},
            "ModelProperties": resource["properties"].get("properties") or {},
        },
        "dataVersion": "1.0",
        "metadataVersion": "1",
    }
