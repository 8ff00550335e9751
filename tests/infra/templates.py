"""What the templates say by themselves, for tests that need no compiler."""

from __future__ import annotations

import json
import re

from tests.infra.compiler import INFRA

TEXTS = {path.relative_to(INFRA).as_posix(): path.read_text() for path in sorted(INFRA.rglob("*.bicep"))}

TERRAFORMS = {"token": "DRIFTLOOP_TOKEN", "cloud": "ARM_ENVIRONMENT"}
"""Variables of infra/terraform that are no parameters of Bicep, and what azd sets them from."""


def settings() -> set[str]:
    """Names of the Function App's settings."""
    text = TEXTS["modules/app.bicep"]
    (block,) = re.findall(r"name: 'appsettings'\n    properties: (.*?)\n  \}\n", text, re.DOTALL)
    extra = re.findall(r"\? \{ (\w+__\w+): ", text)
    return {*re.findall(r"^      (\w+): ", block, re.MULTILINE), *extra}


def variables() -> dict[str, str]:
    """By environment variable: the parameter of main.bicep that it sets."""
    document = json.loads((INFRA / "main.parameters.json").read_text())["parameters"]
    return {re.findall(r"\$\{(\w+)", value["value"])[0]: name for name, value in document.items()}


def outputs() -> set[str]:
    return set(re.findall(r"^output (\w+)", TEXTS["main.bicep"], re.MULTILINE))


def providers() -> set[str]:
    """Namespaces of the resources that are made."""
    found = {kind for text in TEXTS.values() for kind in re.findall(r"'(Microsoft\.\w+)/[\w/]+@", text)}
    return found - {"Microsoft.Authorization", "Microsoft.Resources"}
