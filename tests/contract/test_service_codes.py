"""What each answer of a service comes to: by its error code, not by its status; and where each code is documented."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from azure.core.credentials import AccessToken
from azure.core.exceptions import ClientAuthenticationError, HttpResponseError
from azure.core.rest._requests_basic import RestRequestsTransportResponse
from azure.identity import ChainedTokenCredential, EnvironmentCredential
from requests import Response

from shared.azure.blobs import AzureBlobs
from shared.azure.client import Clients, Workspace, credential
from shared.azure.documents import BlobDocuments
from shared.azure.failures import BoundedTransport, lost, translated
from shared.azure.registered_assets import RegisteredAssets
from shared.azure.service_codes import CONSEQUENCES, LOST
from shared.azure.submitted_jobs import SubmittedJobs
from shared.domain.reason import Code
from shared.errors import (
    ConfigurationError,
    Conflict,
    DependencyUnavailable,
    DriftloopError,
    InputRejected,
    InvariantBroken,
)
from shared.memory import MemoryPorts
from shared.ports import Blob, Ports
from shared.serving.batch_endpoints import AzureBatch
from shared.serving.endpoints import AzureServing
from shared.settings import Settings

STORAGE, MANAGER = "rest/api/storageservices", "azure/azure-resource-manager"
SOURCES: dict[str, str] = {
    f"{STORAGE}/common-rest-api-error-codes": """
        AccountBeingCreated AccountIsDisabled AuthenticationFailed ConditionNotMet InsufficientAccountPermissions
        InternalError InvalidAuthenticationInfo
        KeyVaultAccessTokenCannotBeAcquired KeyVaultEncryptionKeyNotFound KeyVaultVaultNotFound OperationTimedOut
        RequestBodyTooLarge ResourceAlreadyExists ServerBusy""",
    f"{STORAGE}/blob-service-error-codes": """
        AppendPositionConditionNotMet AuthorizationFailure BlobAlreadyExists BlobArchived BlobBeingRehydrated
        BlobImmutableDueToLegalHold BlobImmutableDueToPolicy BlobOperationNotSupported BlobOverwritten
        BlobUsesCustomerSpecifiedEncryption
        ContainerAlreadyExists ContainerBeingDeleted ContainerDisabled ContainerNotFound LeaseAlreadyBroken
        LeaseAlreadyPresent
        LeaseIdMismatchWithBlobOperation LeaseIdMismatchWithContainerOperation LeaseIdMismatchWithLeaseOperation
        LeaseIdMissing LeaseIsBreakingAndCannotBeAcquired LeaseIsBreakingAndCannotBeChanged
        LeaseIsBrokenAndCannotBeRenewed LeaseLost LeaseNotPresentWithBlobOperation
        LeaseNotPresentWithContainerOperation LeaseNotPresentWithLeaseOperation NoPendingCopyOperation
        PendingCopyOperation SequenceNumberConditionNotMet SnapshotOperationRateExceeded SnapshotsPresent
        SourceConditionNotMet SystemInUse TargetConditionNotMet""",
    f"{STORAGE}/table-service-error-codes": """
        EntityAlreadyExists EntityTooLarge PropertyValueTooLarge TableAlreadyExists TableBeingDeleted TableNotFound
        UpdateConditionNotSatisfied""",
    f"{STORAGE}/queue-service-error-codes": """
        MessageTooLarge PopReceiptMismatch QueueAlreadyExists QueueBeingDeleted QueueDisabled QueueNotFound""",
    f"{MANAGER}/troubleshooting/common-deployment-errors": """
        AllocationFailed AnotherOperationInProgress InvalidAuthenticationTokenTenant
        InvalidSubscriptionRegistrationState MissingRegistrationForLocation
        MissingSubscriptionRegistration NoRegisteredProviderFound OperationNotAllowed
        RegionDoesNotAllowProvisioning RequestDisallowedByPolicy ResourceGroupBeingDeleted ResourceGroupNotFound
        ResourceQuotaExceeded SkuNotAvailable SubscriptionNotFound SubscriptionNotRegistered
        SubscriptionRequestsThrottled""",
    f"{MANAGER}/management/request-limits-and-throttling": "TooManyRequests",
    f"{MANAGER}/management/lock-resources": "ScopeLocked",
    f"{MANAGER}/troubleshooting/error-resource-quota": "QuotaExceeded",
    "troubleshoot/azure/virtual-machines/windows/allocation-failure": "ZonalAllocationFailed",
    "azure/machine-learning/how-to-troubleshoot-online-endpoints": "OutOfQuota",
    "rest/api/storagerp/srp_error_codes": "StorageAccountOperationInProgress",
    "the SDKs' own lists (StorageErrorCode, DataLakeStorageErrorCode), no page": """
        ContainerHasLegalHold ContainerImmutabilityPolicyLocked PathAlreadyExists""",
    "other projects that handle them, no page": """
        ExpiredAuthenticationToken InvalidAuthenticationToken OperationPreempted ReadOnlyDisabledSubscription
        RequestDisallowedByAzure SubscriptionDisabled""",
}
"""Below https://learn.microsoft.com/. Those of tables, queues, deployments were read whole, the others in excerpts."""

ANSWERS: list[tuple[int, str, type[DriftloopError]]] = [
    (412, "ConditionNotMet", Conflict),
    (412, "UpdateConditionNotSatisfied", Conflict),
    (412, "", Conflict),
    (409, "BlobAlreadyExists", Conflict),
    (409, "EntityAlreadyExists", Conflict),
    (412, "LeaseIdMissing", DependencyUnavailable),
    (412, "LeaseIdMismatchWithBlobOperation", DependencyUnavailable),
    (409, "LeaseAlreadyPresent", DependencyUnavailable),
    (409, "PendingCopyOperation", DependencyUnavailable),
    (409, "ContainerBeingDeleted", DependencyUnavailable),
    (409, "QueueBeingDeleted", DependencyUnavailable),
    (409, "TableBeingDeleted", DependencyUnavailable),
    (409, "AccountBeingCreated", DependencyUnavailable),
    (409, "AnotherOperationInProgress", DependencyUnavailable),
    (409, "SomethingNobodyHasHeardOf", DependencyUnavailable),
    (409, "", DependencyUnavailable),
    (404, "ContainerNotFound", ConfigurationError),
    (404, "QueueNotFound", ConfigurationError),
    (404, "TableNotFound", ConfigurationError),
    (503, "ServerBusy", DependencyUnavailable),
    (500, "OperationTimedOut", DependencyUnavailable),
    (409, "BlobArchived", ConfigurationError),
    (409, "BlobBeingRehydrated", ConfigurationError),
    (409, "BlobUsesCustomerSpecifiedEncryption", ConfigurationError),
    (409, "BlobImmutableDueToPolicy", ConfigurationError),
    (409, "BlobImmutableDueToLegalHold", ConfigurationError),
    (409, "ContainerDisabled", ConfigurationError),
    (409, "SnapshotsPresent", ConfigurationError),
    (409, "ScopeLocked", ConfigurationError),
    (409, "QuotaExceeded", ConfigurationError),
    (400, "EntityTooLarge", ConfigurationError),
    (400, "MessageTooLarge", ConfigurationError),
    (409, "MissingSubscriptionRegistration", ConfigurationError),
    (409, "SubscriptionNotRegistered", ConfigurationError),
    (400, "NoRegisteredProviderFound", ConfigurationError),
    (404, "SubscriptionNotFound", ConfigurationError),
    (404, "ResourceGroupNotFound", ConfigurationError),
    (401, "InvalidAuthenticationTokenTenant", ConfigurationError),
    (401, "ExpiredAuthenticationToken", ConfigurationError),
    (429, "OperationNotAllowed", DependencyUnavailable),  # troubleshooting-throttling-errors: a 429 throttles
    (429, "QuotaExceeded", DependencyUnavailable),
    (409, "ResourceGroupBeingDeleted", DependencyUnavailable),
    (403, "AccountIsDisabled", ConfigurationError),
    (403, "AuthorizationFailure", ConfigurationError),
    (403, "InsufficientAccountPermissions", ConfigurationError),
    (403, "KeyVaultEncryptionKeyNotFound", ConfigurationError),
    (403, "RequestDisallowedByPolicy", ConfigurationError),
    (403, "SomethingNobodyHasHeardOf", ConfigurationError),
]


def test_each_code_of_the_table_has_one_source() -> None:
    sourced = [code for codes in SOURCES.values() for code in codes.split()]
    assert sorted(sourced) == sorted(CONSEQUENCES)


def answer(status: int, code: str) -> HttpResponseError:
    error = HttpResponseError("The service's own words.")
    error.status_code = status
    error.response = object()  # type: ignore[assignment]  # there was an answer, that is all that counts
    error.error_code = code  # type: ignore[attr-defined]  # as the storage clients set it
    return error


@pytest.mark.parametrize(("status", "code", "kind"), ANSWERS, ids=lambda value: str(value))
def test_an_answer_is_classed_by_its_code(status: int, code: str, kind: type[DriftloopError]) -> None:
    found = translated(answer(status, code), "Reading a blob", "container 'landing'", "Some Role")
    assert isinstance(found, kind), found
    assert str(status) in str(found)
    assert code in str(found)


def test_what_a_person_must_do_is_said() -> None:
    firewall = translated(answer(403, "AuthorizationFailure"), "Reading a row", "table 'x'", "Some Role")
    assert "firewall" in str(firewall)
    assert "'Some Role'" in str(firewall)
    keyless = translated(
        answer(403, "KeyVaultEncryptionKeyNotFound"), "Reading a row", "table 'x'", "Some Role"
    )
    assert "customer-managed key" in str(keyless)
    assert "Some Role" not in str(keyless)
    late = translated(answer(401, "ExpiredAuthenticationToken"), "Reading a row", "table 'x'", "Some Role")
    assert "row `clock`" in str(late)
    assert "Some Role" not in str(late)


def test_a_token_that_cannot_be_had_is_nobodys_missing_role(monkeypatch: pytest.MonkeyPatch) -> None:
    """DefaultAzureCredential tells a 429 or a 500 of managed identities as it tells that there is none: no status."""
    for name in ("IDENTITY_ENDPOINT", "IDENTITY_HEADER", "AZURE_CLIENT_ID", "AZURE_TENANT_ID"):
        monkeypatch.delenv(name, raising=False)
    nobody = ChainedTokenCredential(EnvironmentCredential())
    with pytest.raises(ClientAuthenticationError) as raised:
        nobody.get_token("https://storage.azure.com/.default")
    found = translated(raised.value, "Reading a row", "table 'x'", "Some Role")
    assert (type(found), found.code) == (DependencyUnavailable, Code.NOT_SIGNED_IN)
    assert "Some Role" not in str(found)


class Answering(BoundedTransport):
    """Resource Manager, which answers everything alike."""

    status, code = 404, ""
    body: Mapping[str, object] = {}

    def send(self, request: Any, **_: object) -> RestRequestsTransportResponse:
        told = Response()
        told.status_code, told.headers["Content-Type"] = self.status, "application/json"
        body = self.body or {"error": {"code": self.code, "message": "Its own words."}}
        if not self.body:
            told.headers["x-ms-error-code"] = self.code
        told.raw = BytesIO(json.dumps(body).encode())
        answered = RestRequestsTransportResponse(request=request, internal_response=told)
        answered.read()
        return answered


class Anybody:
    """A token that nobody looks at."""

    def get_token(self, *scopes: str, **_: object) -> AccessToken:
        return AccessToken("e30.e30.e30", 2**31)


WORKSPACE = Settings(
    **dict.fromkeys(
        ("blob_service_uri", "queue_service_uri", "table_service_uri", "topic_endpoint"), "https://x"
    ),
    **dict.fromkeys(("subscription_id", "resource_group", "workspace", "logs_workspace_id"), "x"),
    **dict.fromkeys(("logs_endpoint", "datastore", "queue", "runs", "table"), "x"),
)

LOOKS: dict[str, Callable[[Workspace], object]] = {
    "endpoint": lambda ml: AzureServing(ml, Anybody()).endpoint_state("birds"),
    "deployment": lambda ml: AzureServing(ml, Anybody()).ensure_no_deployment("birds", "r1-a1"),
    "job": lambda ml: SubmittedJobs(ml, "tag").cancel("job"),
    "model": lambda ml: RegisteredAssets(ml, lambda name: pytest.fail(name)).model("azureml:birds:1"),
}


@pytest.mark.parametrize("look", LOOKS)
@pytest.mark.parametrize("code", ["SubscriptionNotFound", "ResourceGroupNotFound"])
def test_nothing_is_taken_for_deleted_because_what_it_lies_in_is_not_found(
    look: str, code: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a subscription that the identity may not see Resource Manager says the same as of one that is gone."""
    workspace = Workspace(WORKSPACE, Anybody(), Answering)
    monkeypatch.setattr(Answering, "code", code)
    with pytest.raises(ConfigurationError, match=code):
        LOOKS[look](workspace)
    monkeypatch.setattr(Answering, "code", "ResourceNotFound")
    assert LOOKS[look](workspace) in ("missing", True, None)


@pytest.mark.parametrize(
    "code", ["BlobAlreadyExists", "BlobImmutableDueToPolicy", "BlobImmutableDueToLegalHold"]
)
def test_what_is_there_and_may_not_change_is_there(code: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A policy of the account makes each container's blobs immutable; which of two reasons a 409 has is not said."""
    monkeypatch.setattr(Answering, "status", 409)
    monkeypatch.setattr(Answering, "code", code)
    service = Clients(WORKSPACE, Anybody(), Answering).blobs()
    content = b"evidence"
    digest = hashlib.sha256(content).hexdigest()
    assert BlobDocuments(service.get_container_client("documents")).put(content) == digest
    if code != "BlobAlreadyExists":
        blob = Blob("landing", "birds/1.csv", "0x1", 1, datetime(2026, 3, 1, tzinfo=UTC))
        monkeypatch.setattr("shared.azure.blobs.copy", lambda *_: None)
        AzureBlobs(service, lambda _: service).quarantine(blob, "empty-file: nothing in it")


@pytest.mark.parametrize("serving", [AzureServing, AzureBatch])
def test_an_endpoint_that_failed_itself_says_so(
    serving: type[AzureServing | AzureBatch], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A release said "deployment r1-a1 failed: ", and no more."""
    kind = {"provisioningState": "Failed", "authMode": "AADToken"}
    monkeypatch.setattr(Answering, "status", 200)
    monkeypatch.setattr(Answering, "body", {"name": "birds", "location": "x", "tags": {}, "properties": kind})
    more: Any = (None,) if serving is AzureBatch else ()  # what it calls a job with
    seen = serving(Workspace(WORKSPACE, Anybody(), Answering), Anybody(), *more).ensure_endpoint("birds")
    assert seen.state == "failed"
    assert "endpoint birds itself failed" in seen.error and "delete it" in seen.error


def test_an_archived_blob_is_rejected_by_name_and_never_a_lost_race(
    ports: Ports, request: pytest.FixtureRequest, loop: str, tmp_path: Path
) -> None:
    blob = ports.blobs.upload("landing", f"{loop}/cold.csv", b"a\n1\n")
    archive(ports, request, blob.name)

    now = ports.blobs.find("landing", blob.name)
    assert now is not None
    with pytest.raises(InputRejected, match="cannot be read") as raised:
        ports.blobs.download(now, tmp_path / "a")
    assert raised.value.code.value == "archived-blob"
    assert "rehydrate" in str(raised.value)

    ports.blobs.quarantine(now, "archived-blob: cold")
    if isinstance(ports, MemoryPorts):
        assert ports.blobs.quarantined["landing", blob.name, now.etag] == "archived-blob: cold"
    else:
        place = f"landing/{blob.name}/{now.etag}"
        assert ports.blobs.find("quarantine", f"{place}.reason.json") is not None
        assert ports.blobs.find("quarantine", place) is None


@pytest.mark.parametrize("code", LOST)
def test_a_blob_of_ours_that_cannot_be_read_counts_as_lost_and_is_named(code: str) -> None:
    status = 404 if code.endswith("NotFound") else 409
    assert "container versions" in lost(answer(status, code), "container versions")


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (404, "CannotVerifyCopySource", None),
        (403, "CannotVerifyCopySource", ConfigurationError),
        (500, "CannotVerifyCopySource", DependencyUnavailable),
    ],
    ids=lambda value: str(value),
)
def test_why_a_copys_source_cannot_be_verified_its_status_says(
    status: int, code: str, kind: type[DriftloopError] | None
) -> None:
    """ "Examine the HTTP status code and message" (blob-service-error-codes)."""
    error = answer(status, code)
    if kind is None:
        assert "is gone from here" in lost(error, "here")
    else:
        assert isinstance(translated(error, "Copying", "container 'versions'", "Some Role"), kind)


def test_what_others_archived_of_ours_is_told_as_lost(
    ports: Ports, request: pytest.FixtureRequest, loop: str, tmp_path: Path
) -> None:
    if isinstance(ports, MemoryPorts):
        pytest.skip("nothing is archived in memory but what landed")
    digest, path = ports.documents.put(loop.encode()), f"{loop}/1/a"
    (tmp_path / "a").write_bytes(b"rows")
    ports.versions.write(path, tmp_path / "a")
    archive(ports, request, digest, "documents")
    archive(ports, request, path, "versions")
    with pytest.raises(InvariantBroken, match=f"{digest} in container documents is archived") as document:
        ports.documents.get(digest)
    with pytest.raises(InvariantBroken, match=f"{path} in container versions is archived") as file:
        ports.versions.read(path)
    assert (document.value.code, file.value.code) == (Code.DOCUMENT_LOST, Code.VERSION_FILE_LOST)


def archive(ports: Ports, request: pytest.FixtureRequest, name: str, container: str = "landing") -> None:
    """As a person or a lifecycle rule does it."""
    if isinstance(ports, MemoryPorts):
        ports.blobs.archived.add((container, name))
        return
    clients = Clients(request.getfixturevalue("settings"), credential())
    with clients.blobs() as service:
        service.get_blob_client(container, name).set_standard_blob_tier("Archive")
