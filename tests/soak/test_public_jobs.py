"""Microsoft's public job files run on the local Azure as they are, or are refused by a clear text; none runs wrongly.

The files are those of https://github.com/Azure/azureml-examples that public_jobs.txt names. They are never part of this
project: `AZUREML_EXAMPLES` names a checkout.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml
from azure.ai.ml import MLClient, load_job
from azure.ai.ml.exceptions import MlException
from azure.core.exceptions import AzureError
from azure.identity import DefaultAzureCredential
from marshmallow import ValidationError

from local.azure import LocalAzure
from local.settings import RESOURCE_GROUP, SUBSCRIPTION, WORKSPACE
from tests.soak.figures import keep

pytestmark = pytest.mark.soak

NAMES = (Path(__file__).parent / "public_jobs.txt").read_text().split()
ENDED = ("Completed", "Failed", "Canceled")
LONGEST_S = 900
"""An image with a deep-learning framework is built from some gigabytes."""
COMPUTES = {name: {"size": "Standard_DS3_v2", "most_nodes": 8} for name in ("cpu-cluster", "cpu-cluster-lg")}
"""What the examples' own scripts make first (cli/run-job-pipeline-all.sh); no GPU cluster, as the region has no GPU."""


@pytest.fixture
def client(local_azure: LocalAzure, monkeypatch: pytest.MonkeyPatch) -> MLClient:
    """A person's: the files are made to be submitted by whoever reads them, with their own credentials."""
    monkeypatch.setenv("IDENTITY_HEADER", local_azure.settings.header_of("publisher"))
    local_azure.control.put("/local/computes", json=COMPUTES).raise_for_status()
    return MLClient(DefaultAzureCredential(), SUBSCRIPTION, RESOURCE_GROUP, WORKSPACE)


def values(document: object, key: str) -> list[Any]:
    """All values of this key, wherever it stands."""
    if isinstance(document, dict):
        here = [document[key]] if key in document else []
        return here + [found for each in document.values() for found in values(each, key)]
    return [found for each in document for found in values(each, key)] if isinstance(document, list) else []


def not_to_be_had(document: object) -> str:
    """Why nobody could run this job on a workspace that has only what we have; empty when somebody could."""
    paths = [str(path) for path in values(document, "path")]
    if foreign := [path for path in paths if path.startswith(("http:", "https:", "wasbs:"))]:
        return f"reads {foreign[0]}"
    environments = [one for one in values(document, "environment") if isinstance(one, str)]
    if made_by_others := [one for one in environments if "registries/" in one or "azureml:" in one]:
        return f"wants {made_by_others[0]}"
    return ""


def outcome(client: MLClient, file: Path) -> tuple[str, str]:
    """completed, failed or refused, and what was said."""
    try:
        job = client.jobs.create_or_update(load_job(file))
        deadline = time.monotonic() + LONGEST_S
        while (seen := client.jobs.get(job.name)).status not in ENDED:
            if time.monotonic() > deadline:
                client.jobs.begin_cancel(job.name)
                return "hangs", f"still {seen.status} after {LONGEST_S} s"
            time.sleep(0.3)
        if seen.status == "Completed":
            return "completed", ""
        client.jobs.stream(job.name)
        return "failed", f"{seen.status} without a text"
    except (AzureError, MlException, ValidationError) as error:
        return ("failed" if "job" in locals() else "refused"), " ".join(str(error).split())[:300]


def test_each_runs_to_its_end_or_is_refused_and_none_is_wrong(client: MLClient) -> None:
    folder = os.environ.get("AZUREML_EXAMPLES")
    if not folder:
        pytest.skip("AZUREML_EXAMPLES names no checkout of Azure/azureml-examples")
    seen: Counter[str] = Counter()
    wrong: list[str] = []
    print()
    for name in NAMES:
        file = Path(folder) / name
        came_to, text = outcome(client, file)
        cannot = not_to_be_had(yaml.safe_load(file.read_text()))
        if came_to in ("completed", "hangs") and (cannot or came_to == "hangs"):
            wrong.append(f"{name}: {came_to}, but it {cannot or text}")
        if came_to in ("refused", "failed") and len(text) < 20:
            wrong.append(f"{name}: {came_to} without a text that says why: {text!r}")
        seen[came_to] += 1
        print(f"| {name} | {came_to} | {text} |")
    figure = ", ".join(f"{number} {word}" for word, number in sorted(seen.items()))
    keep("Public job files", f"{len(NAMES)} of Azure/azureml-examples: {figure}; {len(wrong)} wrong")
    assert len(NAMES) >= 60
    assert wrong == []
