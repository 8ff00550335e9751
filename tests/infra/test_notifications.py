"""The example subscription tells people what the document marks, and keeps the address that it tells."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
INFRA = ROOT / "infra"


def test_an_address_that_holds_a_key_is_a_secret_on_its_whole_way() -> None:
    """ARM keeps no @secure parameter in its history; an output would tell it again."""
    templates = {path.name: path.read_text() for path in INFRA.rglob("*.bicep")}
    secure = re.findall(r"@secure\(\)\n@description\(.*\)\nparam (\w+)", "\n".join(templates.values()))
    assert sorted(secure) == [*["httpKeys"] * 2, *["lineageKey"] * 2, "notifyWebhookUrl", "webhookUrl"]
    named = [
        line
        for text in templates.values()
        for line in text.splitlines()
        if any(name in line.casefold() for name in ("webhookurl", "lineagekey", "httpkeys"))
    ]
    assert not any(line.startswith("output") for line in named)
    assert "= if (!empty(notifyWebhookUrl)) {" in templates["main.bicep"]


def test_the_example_subscription_takes_exactly_what_needs_a_person() -> None:
    events = (ROOT / "docs" / "events.md").read_text()
    marked = re.findall(r"`(Driftloop\.[A-Za-z.]+)` \|[^|]*\| \[\*\*needs a person\*\*", events)
    subscription = (INFRA / "modules" / "notifications.bicep").read_text()
    assert sorted(re.findall(r"'(Driftloop\.[A-Za-z.]+)'", subscription)) == sorted(marked) and marked
