"""Storage refuses what an account without keys refuses, and signatures beyond what they say or their signer may.

Sources, learn.microsoft.com: rest/api/storageservices/create-user-delegation-sas ("Specify permissions": what both the
SAS and the signer's roles allow) and get-user-delegation-key ("Authorization": the action is of the account or above;
"Request body": seven days); azure/storage/common/shared-key-authorization-prevent (403 for keys, and for SAS that are
signed with them); rest/api/storageservices/blob-service-error-codes (KeyBasedAuthenticationNotPermitted).
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from azure.core.exceptions import HttpResponseError
from azure.storage.blob import (
    AccountSasPermissions,
    BlobClient,
    BlobSasPermissions,
    BlobServiceClient,
    ResourceTypes,
    generate_account_sas,
    generate_blob_sas,
)

from local.azure import LocalAzure
from local.identity.models import LocalCredential, Tokens
from local.service import utc_now
from local.settings import ACCOUNT

READ, WRITE = BlobSasPermissions(read=True), BlobSasPermissions(write=True, create=True)
AN_HOUR = timedelta(hours=1)


@pytest.fixture(scope="module")
def account(local_azure: LocalAzure) -> str:
    return local_azure.settings.storage("blob")


@pytest.fixture(scope="module")
def of(local_azure: LocalAzure, account: str) -> Callable[[str], BlobServiceClient]:
    """The account's client of an identity."""
    tokens = Tokens(local_azure.settings, utc_now)
    verify = str(local_azure.settings.bundle)
    return lambda who: BlobServiceClient(account, LocalCredential(tokens, who), connection_verify=verify)


@pytest.fixture(scope="module")
def blob(of: Callable[[str], BlobServiceClient]) -> BlobClient:
    found = of("publisher").get_blob_client("landing", "signed/a b.csv")
    found.upload_blob(b"a\n1\n", overwrite=True)
    return found


class Signer:
    """Signs for one blob as an identity; what is not given is as it should be."""

    def __init__(self, local_azure: LocalAzure, of: Callable[[str], BlobServiceClient], blob: BlobClient):
        self._of, self._blob = of, blob
        self._verify = str(local_azure.settings.bundle)

    def sas(self, who: str = "workspace", may: BlobSasPermissions = READ, **given: Any) -> str:
        now = utc_now()
        key = self._of(who).get_user_delegation_key(now - AN_HOUR, now + AN_HOUR)
        container, name = given.pop("container", "landing"), given.pop("name", self._blob.blob_name)
        asked = {"expiry": now + AN_HOUR / 2, **given}
        return generate_blob_sas(ACCOUNT, container, name, user_delegation_key=key, permission=may, **asked)

    def client(self, sas: str, address: str = "") -> BlobClient:
        url = f"{address or self._blob.url}?{sas}"
        return BlobClient.from_blob_url(url, connection_verify=self._verify, retry_total=0)


@pytest.fixture(scope="module")
def signer(local_azure: LocalAzure, of: Callable[[str], BlobServiceClient], blob: BlobClient) -> Signer:
    return Signer(local_azure, of, blob)


def refused(ask: Callable[[], object]) -> tuple[int | None, str]:
    """Status and code of the answer."""
    with pytest.raises(HttpResponseError) as error:
        ask()
    assert error.value.response is not None
    return error.value.status_code, str(error.value.response.headers["x-ms-error-code"])


def test_what_is_signed_for_a_blob_reads_it(signer: Signer) -> None:
    assert signer.client(signer.sas()).download_blob().readall() == b"a\n1\n"


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"expiry": "2024-01-01T00:00:00Z"}, "AuthenticationFailed"),
        ({"start": "2099-01-01T00:00:00Z"}, "AuthenticationFailed"),
        ({"may": WRITE}, "AuthorizationPermissionMismatch"),
        ({"name": "signed/other.csv"}, "AuthenticationFailed"),
        ({"container": "readings"}, "AuthenticationFailed"),
    ],
    ids=["expired", "not yet", "for writing", "of another blob", "of another container"],
)
def test_a_signature_for_something_else_does_not_read(
    signer: Signer, given: dict[str, Any], code: str
) -> None:
    assert refused(signer.client(signer.sas(**given)).download_blob) == (403, code)


@pytest.mark.parametrize("change", ["sig", "se", "sp", "skoid", "ske"])
def test_a_signature_that_was_changed_is_none(signer: Signer, change: str) -> None:
    values = dict(pair.split("=", 1) for pair in signer.sas().split("&"))
    other = {"sig": "AAAA", "se": "2099-01-01T00%3A00%3A00Z", "sp": "rw", "ske": "2099-01-01T00%3A00%3A00Z"}
    values[change] = other.get(change, "00000000-0000-0000-0000-0000000000b2")
    sas = "&".join(f"{name}={value}" for name, value in values.items())
    assert refused(signer.client(sas).download_blob) == (403, "AuthenticationFailed")


def test_what_may_be_read_may_not_be_written(signer: Signer, of: Callable[[str], BlobServiceClient]) -> None:
    mismatch = (403, "AuthorizationPermissionMismatch")
    assert refused(lambda: signer.client(signer.sas()).upload_blob(b"", overwrite=True)) == mismatch
    writes = signer.sas(may=WRITE)  # as it says; but the signer itself may not write there
    assert refused(lambda: signer.client(writes).upload_blob(b"", overwrite=True)) == mismatch
    there = of("publisher").get_blob_client("readings", "signed/a b.csv")
    writes = signer.sas(may=WRITE, container="readings")
    signer.client(writes, there.url).upload_blob(b"rows", overwrite=True)
    assert there.download_blob().readall() == b"rows"


def test_a_signature_opens_no_more_than_its_signer(signer: Signer) -> None:
    """A training job may read the workspace's account and sign for it; of ours it reads `versions` alone."""
    mismatch = (403, "AuthorizationPermissionMismatch")
    assert refused(signer.client(signer.sas("compute")).download_blob) == mismatch


def test_who_has_roles_on_containers_alone_gets_no_key(of: Callable[[str], BlobServiceClient]) -> None:
    """A key acts on a whole account: Storage Blob Delegator is for who reads single containers."""
    now = utc_now()
    asked = of("blob-events")
    found = refused(lambda: asked.get_user_delegation_key(now - AN_HOUR, now + AN_HOUR))
    assert found == (403, "AuthorizationPermissionMismatch")


def test_a_key_is_good_for_seven_days_at_most(of: Callable[[str], BlobServiceClient]) -> None:
    now = utc_now()
    late = now + timedelta(days=7, hours=1)
    assert refused(lambda: of("workspace").get_user_delegation_key(now, late))[0] == 400


@pytest.mark.parametrize("kind", ["a blob's", "the account's", "none"])
def test_an_account_without_keys_takes_nothing_that_a_key_signed(
    local_azure: LocalAzure, signer: Signer, blob: BlobClient, kind: str
) -> None:
    key, ends = local_azure.settings.account_key, utc_now() + AN_HOUR
    if kind == "none":
        credential = {"account_name": ACCOUNT, "account_key": key}
        asked: BlobClient = BlobClient.from_blob_url(
            blob.url, credential, connection_verify=str(local_azure.settings.bundle)
        )
    elif kind == "a blob's":
        sas = generate_blob_sas(
            ACCOUNT, "landing", str(blob.blob_name), account_key=key, permission=READ, expiry=ends
        )
        asked = signer.client(sas)
    else:
        sas = generate_account_sas(
            ACCOUNT, key, ResourceTypes(object=True), AccountSasPermissions(read=True), ends
        )
        asked = signer.client(sas)
    assert refused(asked.download_blob) == (403, "KeyBasedAuthenticationNotPermitted")
