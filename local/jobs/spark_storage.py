"""A Spark application gets addresses, not files: behind each datastore that it may reach lies a folder of this run.

Hadoop's `ViewFileSystemOverloadScheme` serves `azureml://` from those folders, so that a script sees the same addresses
as on Azure, and `open` or pandas find nothing there. What serverless Spark cannot reach fails when it is first read.
Sources: MicrosoftDocs/azure-ai-docs, how-to-submit-spark-jobs.md (direct mode); learn.microsoft.com,
interactive-data-wrangling-with-apache-spark-azure-ml, and Azure/azureml-assets, mdc_utils.py (a Blob datastore without
credentials: only without soft delete); azure-sdk-for-python#22775 (abfss: 409 on a flat account with events or soft
delete); azureml-examples#3738 and submit_spark_standalone_jobs_managed_vnet.ipynb (wasbs: a key or SAS).
"""

from __future__ import annotations

from pathlib import Path

from local.identity.roles import CONTAINERS_OF_OURS
from local.jobs.catalog import long_uri
from local.jobs.exceptions import StepFailed
from local.jobs.storage import Place, place_of
from local.settings import DATASTORES
from local.state import State

_KIND = "storage.soft_delete"
_VIEW = "org.apache.hadoop.fs.viewfs.ViewFileSystemOverloadScheme"


def keep_deleted(state: State, kept: bool) -> None:
    """Whether the workspace's own account has soft delete: infra/ turns it on."""
    state.put(_KIND, "workspace-account", {"kept": kept})


def place(state: State, uri: str) -> Place:
    """The blobs behind an address; StepFailed where serverless Spark could not reach them."""
    scheme = uri.partition("://")[0].lower()
    if scheme == "abfss":
        raise StepFailed(
            f"{uri}: 409 EndpointUnsupportedAccountFeatures. This endpoint does not support BlobStorageEvents or "
            "SoftDelete, and the account has no hierarchical namespace."
        )
    if scheme == "wasbs":
        raise StepFailed(f"{uri}: wasbs asks for an account key or a SAS, and the account takes no keys.")
    found = place_of(uri)
    ours = found.container in CONTAINERS_OF_OURS
    if ours or (state.get(_KIND, "workspace-account") or {"kept": True})["kept"]:
        which = "Driftloop's account" if ours else "the workspace's account"
        raise StepFailed(
            f"{uri}: Spark reads and writes no Blob datastore without credentials whose account has soft delete, "
            f"and {which} has it. Let a command step copy the data to an account without it (or to ADLS Gen2)."
        )
    return found


def address(uri: str) -> str:
    """As the script gets it."""
    return long_uri(uri)


def folder_of(stores: Path, found: Place) -> Path:
    """Where the blobs of a place lie for this run."""
    return stores / found.container / found.path.strip("/")


def settings(stores: Path) -> dict[str, str]:
    """Spark's settings by which it finds them."""
    conf = {
        "spark.hadoop.fs.azureml.impl": _VIEW,
        "spark.hadoop.fs.file.impl": "org.apache.hadoop.fs.RawLocalFileSystem",  # else files of checksums are left
    }
    for name, container in DATASTORES.items():
        folder = stores / container
        folder.mkdir(parents=True, exist_ok=True)
        table, _, path = (
            long_uri(f"azureml://datastores/{name}/paths").removeprefix("azureml://").partition("/")
        )
        conf[f"spark.hadoop.fs.viewfs.mounttable.{table}.link./{path}"] = folder.as_uri()
    return conf
