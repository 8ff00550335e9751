"""Names never change; ports and secrets are chosen once per state folder, so a restart keeps addresses."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import random
import secrets
import socket
import uuid
from dataclasses import asdict, dataclass, field
from pathlib import Path

SUBSCRIPTION = "00000000-0000-0000-0000-000000000000"
TENANT = "00000000-0000-0000-0000-0000000000aa"
RESOURCE_GROUP = "driftloop"
WORKSPACE = "driftloop"
WORKSPACE_GUID = "00000000-0000-0000-0000-00000000d21f"
LOCATION = "local"
ACCOUNT = "devstoreaccount1"
PARTNER = "partner"
"""A storage account of somebody else, with a hierarchical namespace, into whose one container drops may land."""
PARTNER_CONTAINER = "outbox"
TOPIC = "driftloop"
LOGS_WORKSPACE_ID = "00000000-0000-0000-0000-0000000010c5"
APP_CLIENT_ID = "00000000-0000-0000-0000-0000000000a9"
"""Of the app's user-assigned identity: the identity endpoint gives the app no token without it."""
CONTAINERS = (
    "landing",
    "labels",
    "versions",
    "documents",
    "quarantine",
    "readings",
    "dead-letter",
    "azureml",
    "azureml-blobstore",
    "modeldatacollector",
)
QUEUE = "driftloop-events"
RUNS = "driftloop-runs"
QUEUES = (QUEUE, f"{QUEUE}-poison", RUNS, f"{RUNS}-poison")
TABLE = "driftloop"
KEEP_ALIVE_S = 240
"""Seconds for which a connection of an Azure service may rest; storage closes one after about five minutes:
github.com/Azure/azure-storage-java/issues/363. Azurite and uvicorn do so after five seconds, and what is sent in
that moment fails."""
VERSIONS_DATASTORE = "driftloop_versions"
DATASTORES = {
    "workspaceblobstore": "azureml-blobstore",
    "workspaceartifactstore": "azureml",
    VERSIONS_DATASTORE: "versions",
}
DEFAULT_DATASTORE = "workspaceblobstore"

WORKSPACE_ID = (
    f"/subscriptions/{SUBSCRIPTION}/resourceGroups/{RESOURCE_GROUP}"
    f"/providers/Microsoft.MachineLearningServices/workspaces/{WORKSPACE}"
)
REGISTRY = "shared"
REGISTRY_ID = (
    f"/subscriptions/{SUBSCRIPTION}/resourceGroups/{RESOURCE_GROUP}"
    f"/providers/Microsoft.MachineLearningServices/registries/{REGISTRY}"
)
ML_RESOURCE = "https://ml.azure.local"
"""The audience of Azure ML's own tokens; the SDK builds it from the portal's address."""


@dataclass(frozen=True)
class Settings:
    """What a state folder fixes. Secrets are left out of the representation, so that no log shows them."""

    folder: Path
    workspace_port: int
    blob_port: int
    queue_port: int
    table_port: int
    host_port: int
    identity_header: str = field(repr=False)
    control_secret: str = field(repr=False)
    signing_key: str = field(repr=False)
    account_key: str = field(repr=False)
    registry_folder: str = ""
    """Where the registry's assets lie; empty: in the state folder, which no other local Azure shares."""
    environment_name: str = ""
    """Which of a loop's environments this one is; empty: none."""

    @property
    def registry(self) -> Path:
        return Path(self.registry_folder) if self.registry_folder else self.folder / "registry"

    @property
    def arm(self) -> str:
        return f"https://127.0.0.1:{self.workspace_port}"

    @property
    def functions(self) -> str:
        """The address of the functions host."""
        return f"http://127.0.0.1:{self.host_port}"

    def storage(self, service: str, account: str = ACCOUNT) -> str:
        """The address of a storage account's `blob`, `queue` or `table` service."""
        port = {"blob": self.blob_port, "queue": self.queue_port, "table": self.table_port}[service]
        return f"https://127.0.0.1:{port}/{account}"

    @property
    def bundle(self) -> Path:
        return self.folder / "certificates" / "bundle.pem"

    @property
    def logs(self) -> Path:
        return self.folder / "logs"

    @property
    def azurite(self) -> Path:
        return self.folder / "azurite"

    @property
    def changes(self) -> Path:
        """A file for each container that was ever written to, which grows with each write (azurite/changes.js)."""
        return self.azurite / "changes"

    def header_of(self, who: str) -> str:
        """The secret by which a process of `who`, an identity of infra/identities.yaml, gets its tokens."""
        if who == "publisher":
            return self.identity_header
        return hmac.new(self.signing_key.encode(), who.encode(), hashlib.sha256).hexdigest()

    def environment(self, who: str = "publisher") -> dict[str, str]:
        """All that a process of `who` needs to use this local Azure; the product's own settings as well."""
        return (
            self._connections()
            | {
                "ARM_CLOUD_METADATA_URL": f"{self.arm}/metadata/endpoints?api-version=2019-05-01",
                "IDENTITY_ENDPOINT": f"{self.arm}/msi/token",
                "IDENTITY_HEADER": self.header_of(who),
                "REQUESTS_CA_BUNDLE": str(self.bundle),
                "SSL_CERT_FILE": str(self.bundle),
                "AZURE_CORE_COLLECT_TELEMETRY": "no",
                # Else the SDK keeps the cloud of another local Azure that its process has met.
                "AZUREML_CURRENT_CLOUD": f"Local{self.workspace_port}",
                # Else the SDK asks an address of Azure's own for registries.
                "REGISTRY_DISCOVERY_ENDPOINT_URL": f"{self.arm}/",
                "FUNCTIONS_WORKER_RUNTIME": "python",
                "AzureWebJobsDisableHomepage": "true",
                "DRIFTLOOP_SUBSCRIPTION_ID": SUBSCRIPTION,
                "DRIFTLOOP_RESOURCE_GROUP": RESOURCE_GROUP,
                "DRIFTLOOP_WORKSPACE": WORKSPACE,
                "DRIFTLOOP_DATASTORE": VERSIONS_DATASTORE,
                "DRIFTLOOP_QUEUE": QUEUE,
                "DRIFTLOOP_RUNS": RUNS,
                "DRIFTLOOP_TABLE": TABLE,
                "DRIFTLOOP_TOPIC_ENDPOINT": f"{self.arm}/topics/{TOPIC}/api/events",
                "DRIFTLOOP_LOGS_ENDPOINT": f"{self.arm}/v1",
                "DRIFTLOOP_LOGS_WORKSPACE_ID": LOGS_WORKSPACE_ID,
                "DRIFTLOOP_TICK_SCHEDULE": "*/2 * * * * *",
                "DRIFTLOOP_SWEEP_SCHEDULE": "*/30 * * * * *",
                "DRIFTLOOP_REGISTRY": REGISTRY_ID,
                "DRIFTLOOP_AUTOSCALE_GROUP": RESOURCE_GROUP,
            }
            | ({"DRIFTLOOP_ENVIRONMENT": self.environment_name} if self.environment_name else {})
            | ({"AZURE_CLIENT_ID": APP_CLIENT_ID} if who == "app" else {})
        )

    def _connections(self) -> dict[str, str]:
        """Identity-based connections, as the Functions host reads them."""
        connection = {f"{each}ServiceUri": self.storage(each) for each in ("blob", "queue", "table")}
        connection["credential"] = "managedidentity"
        prefixes = ("DRIFTLOOP_STORAGE", "AzureWebJobsStorage")
        return {f"{prefix}__{name}": value for prefix in prefixes for name, value in connection.items()}


def settings_of(folder: Path, *, registry: Path | None = None, environment: str = "") -> Settings:
    """The settings of a state folder, chosen when it is new; what is given here is kept there as well."""
    folder = folder.resolve()
    file = folder / "settings.json"
    given = {"registry_folder": str(registry.resolve())} if registry else {}
    given |= {"environment_name": environment} if environment else {}
    if file.exists():
        known = json.loads(file.read_text())
    else:
        folder.mkdir(parents=True, exist_ok=True)
        known = asdict(_chosen(folder))
        del known["folder"]  # the folder may be moved
    if not file.exists() or known != known | given:
        _write(file, known | given)
    return Settings(folder=folder, **json.loads(file.read_text()))


def _write(file: Path, content: dict[str, object]) -> None:
    """Whole or not at all, and for nobody else to read."""
    draft = file.with_suffix(f".{uuid.uuid4().hex}")
    draft.touch(mode=0o600)
    draft.write_text(json.dumps(content, indent=2))
    draft.replace(file)


def _chosen(folder: Path) -> Settings:
    workspace, blob, queue, table, host = _free_ports(5)
    return Settings(
        folder=folder,
        workspace_port=workspace,
        blob_port=blob,
        queue_port=queue,
        table_port=table,
        host_port=host,
        identity_header=secrets.token_urlsafe(24),
        control_secret=secrets.token_urlsafe(24),
        signing_key=secrets.token_urlsafe(48),
        # Not the key that all of Azurite's users know: nobody can reach the storage but by identity.
        account_key=base64.b64encode(secrets.token_bytes(64)).decode(),
    )


def _free_ports(count: int) -> list[int]:
    """Ports below the range that systems hand out to clients: nobody takes them between two starts."""
    ports: list[int] = []
    while len(ports) < count:
        port = random.SystemRandom().randrange(20000, 32000)
        if port not in ports and port_is_free(port):
            ports.append(port)
    return ports


def port_is_free(port: int) -> bool:
    with socket.socket() as probe:
        if os.name == "posix":
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
