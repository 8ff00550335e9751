"""docs/events.md lists every event that the engine writes, and no other; its schema is the one that goes out."""

from __future__ import annotations

import json
import re
from pathlib import Path

from shared.azure.topic import event_of, event_type
from shared.domain.event import InboxState
from shared.domain.release import Phase
from shared.release.stepper import WRITTEN_AS
from tests.engine.world import World

ROOT = Path(__file__).parents[2]
DOC = (ROOT / "docs" / "events.md").read_text()
NEVER_ENTERED = {Phase.PREPARING}
"""A release begins in it, which is told as `release.started`."""


SILENT = {InboxState.NEW, InboxState.DONE}
"""A drop that became a version is told as that."""


def written() -> set[str]:
    """Literals in the engine and the core, and what is made from a phase or a drop's state."""
    literal = re.compile(
        r'"((?:labels|loop|predictions|served|version|drop|release|retrain|traffic|action|source|serving|deployment)\.[a-z_]+)"'
    )
    found = {what for file in (ROOT / "shared").rglob("*.py") for what in literal.findall(file.read_text())}
    found -= {"loop.yaml"}  # a file, not an event
    found |= {
        f"release.{WRITTEN_AS.get(phase, phase.value)}" for phase in Phase if phase not in NEVER_ENTERED
    }
    return found | {f"drop.{state.value}" for state in InboxState if state not in SILENT}


def listed() -> dict[str, str]:
    return dict(re.findall(r"^\| `([a-z_.]+)` \| `(Driftloop\.[A-Za-z.]+)` \|", DOC, re.MULTILINE))


def test_every_event_is_listed_with_its_type() -> None:
    assert set(listed()) == written()
    assert listed() == {what: event_type(what) for what in written()}


def test_what_goes_out_has_the_documented_shape(world: World) -> None:
    schema = json.loads(re.findall(r"```json\n(.*?)```", DOC, re.DOTALL)[0])
    kinds = {"string": str, "integer": int, "object": dict}
    published = world.ports.topic.published
    assert len({entry.what for _, entry in published}) > 10
    assert any(entry.detail.get("reason") for _, entry in published)
    for loop, entry in published:
        event = event_of(loop, entry)
        assert event.data is not None and entry.what in listed()
        assert set(event.data) == set(schema["required"]) == set(schema["properties"])
        for name, value in event.data.items():
            assert isinstance(value, kinds[schema["properties"][name]["type"]]), name
        assert set(event.data["codes"]) <= set(event.data["detail"])
        assert (event.id, event.source) == (f"{loop}-{entry.seq}", f"/driftloop/loops/{loop}")
