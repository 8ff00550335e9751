"""What a model needs that Azure ML serves without scoring code: its own conda.yaml, and nothing else, makes the server.

Sources: Azure/azureml-examples, pull requests 3904, 3923, 4008 and 4031 (the generated script imports
`azureml.ai.monitoring`; without it the probe gets 502), 3902 and 3917 (MLflow 2.16.2 logs and serves), issue 3873
(3.6.0 is the newest MLflow that is reported to serve).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from shared import plain_yaml

if TYPE_CHECKING:
    from pathlib import Path

    from shared.ports import ModelFiles


SERVES = {"azureml-ai-monitoring": "azureml-ai-monitoring==1.0.0", "mlflow": "mlflow==2.16.2"}
"""Package -> the pin that is reported to serve."""

_NEWEST_MLFLOW = (3, 6)
_SOURCES = frozenset({".py", ".yml", ".yaml", ".txt", ".toml", ".in", ".ipynb", ".json", ".sh", ".r", ".R"})
_MONITORING = re.compile(rb"azureml[-_.]ai[-_.]monitoring", re.IGNORECASE)
_ANY = 10**6
_LINE = re.compile(r"\s*(?:[\w.-]+::)?([A-Za-z0-9][\w.-]*)\s*(?:\[[^\]]*\])?\s*([^;#@]*)")
_BOUND = re.compile(r"(?<![<>=!~])(===?|~=|<=?|=)\s*v?(\d[\w.*]*)")


def lacks(files: ModelFiles) -> str:
    """What stands against serving a model with these files without scoring code; empty: nothing."""
    if files.mlmodel is None:
        return "it is not an MLflow model: it has no file MLmodel"
    conda = files.conda
    if conda is None:
        return "it has no conda.yaml, from which Azure ML makes the server's environment"
    against = _against(conda)
    return f"conda.yaml: {against}" if against else ""


def look(folder: Path) -> str:
    """What stands against serving, without scoring code, what a loop's own folder trains; empty when nothing is seen.

    Only training makes the model's conda.yaml, so this reads what training is made of; `lacks` the real one.
    """
    for file in sorted(folder.rglob("MLmodel")):
        conda = file.with_name("conda.yaml")
        if conda.is_file() and (against := _against(conda.read_bytes())):
            return f"{conda.relative_to(folder)}: {against}"
    sources = (path for path in sorted(folder.rglob("*")) if path.suffix in _SOURCES and path.is_file())
    if any(_MONITORING.search(path.read_bytes()) for path in sources):
        return ""
    return (
        f"no file of {folder} names azureml-ai-monitoring, which the server imports that Azure ML makes for a model "
        f"without scoring code: save the model with {' and '.join(SERVES.values())} among its packages"
    )


def _against(conda: bytes) -> str:
    try:
        adds = to_add(conda)
    except ValueError as error:
        return str(error)
    return f"it must ask for {' and '.join(adds)}" if adds else ""


def to_add(conda: bytes) -> list[str]:
    """What a model's conda.yaml must ask for and does not, as pip requirements; ValueError when it is no such file."""
    asked = _requirements(conda)
    adds = [] if "azureml-ai-monitoring" in asked else [SERVES["azureml-ai-monitoring"]]
    bounds = [text for name in ("mlflow", "mlflow-skinny") for text in asked.get(name, [])]
    if not any(_serves(text) for text in bounds):
        adds.append(SERVES["mlflow"])
    return adds


def _requirements(conda: bytes) -> dict[str, list[str]]:
    """Package -> what is asked of its version, once for each line that names it."""
    document = plain_yaml.load(conda)
    entries = document.get("dependencies") if isinstance(document, dict) else None
    if not isinstance(entries, list):
        raise ValueError("it has no list `dependencies`")
    found: dict[str, list[str]] = {}
    for entry in entries:
        lines = (entry.get("pip") or []) if isinstance(entry, dict) else [entry]
        for match in filter(None, (_LINE.match(line) for line in lines if isinstance(line, str))):
            found.setdefault(re.sub(r"[-_.]+", "-", match[1]).lower(), []).append(match[2])
    return found


def _serves(specifier: str) -> bool:
    """Whether something keeps MLflow at a version that somebody reports to serve."""
    return any(_kept(sign, version) for sign, version in _BOUND.findall(specifier))


def _kept(sign: str, version: str) -> bool:
    parts = [int(part) if part.isdigit() else _ANY for part in version.split(".")]
    if sign == "<":
        return tuple(parts) <= (_NEWEST_MLFLOW[0], _NEWEST_MLFLOW[1] + 1)
    if sign == "~=":
        parts = [*parts[:-1], _ANY]
    open_end = _ANY if sign == "=" else 0  # conda's `mlflow=3` is any 3
    major, minor = [*parts, open_end][:2]
    return (major, minor) <= _NEWEST_MLFLOW
