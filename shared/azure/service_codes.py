"""What each error code of a service means for the caller: a table, because a status says too little.

A 409 is seldom a lost race: an archived blob answers with it, and so does a container that is being deleted.
The page that documents each code stands in tests/contract/test_service_codes.py; what stands on no page of Microsoft's
is named there as well.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum


class Consequence(StrEnum):
    """What follows from an answer."""

    RACE = "race"
    """Somebody wrote first: read again, decide again."""
    BLOB_UNREADABLE = "blob-unreadable"
    """This blob cannot be read as it is; others can. A person must change it."""
    CONFIGURATION = "configuration"
    """A person must change the account, the network, a quota, a lock or a policy."""
    PASSING = "passing"
    """It passes by itself: wait and try again."""


UNREADABLE: Mapping[str, str] = {
    "BlobArchived": "archived-blob",
    "BlobBeingRehydrated": "rehydrating-blob",
    "BlobUsesCustomerSpecifiedEncryption": "encrypted-blob",
}
"""By the service's code, the code under which a landed blob is rejected."""

IMMUTABLE = frozenset({"BlobImmutableDueToPolicy", "BlobImmutableDueToLegalHold"})
THERE = IMMUTABLE | {"BlobAlreadyExists"}
"""How storage says, where only a new blob is written, that there is one: one that may not change has two reasons."""

LOST: Mapping[str, str] = {
    "BlobNotFound": "is gone from {place}. Restore it from the storage account's backup.",
    "ContainerNotFound": (
        "is gone with {place}. `azd provision` makes that, empty; restore what it held from the account's backup."
    ),
    "BlobArchived": "in {place} is archived. Rehydrate the blob to the hot or cool tier.",
    "BlobBeingRehydrated": "in {place} is being rehydrated. Wait until the blob is in the hot or cool tier.",
    "BlobUsesCustomerSpecifiedEncryption": (
        "in {place} is encrypted with a key that Driftloop does not have. Restore it from the account's backup."
    ),
}
"""By the service's code, why a blob of our own cannot be read for now or for ever, with what to do: what rests on it
goes on as if it had been deleted."""

_CLOCK = "Its token is not taken: compare the clock with Azure's (`driftloop doctor`, row `clock`)."

ADVICE: Mapping[str, str] = {
    "AccountIsDisabled": "Enable the storage account or its subscription again.",
    "AuthenticationFailed": _CLOCK,
    "InvalidAuthenticationInfo": _CLOCK,
    "InvalidAuthenticationToken": _CLOCK,
    "ExpiredAuthenticationToken": _CLOCK,
    "InvalidAuthenticationTokenTenant": "The subscription is of another tenant: use an identity of that one.",
    "AuthorizationFailure": (
        "Allow the app's network in the storage account's firewall, or give its identity the role"
    ),
    "InsufficientAccountPermissions": "Give write access to the storage account back.",
    "KeyVaultEncryptionKeyNotFound": "Restore the storage account's customer-managed key in its key vault.",
    "KeyVaultVaultNotFound": "Restore the key vault of the storage account's customer-managed key.",
    "KeyVaultAccessTokenCannotBeAcquired": "Let the storage account's identity use its customer-managed key.",
    "BlobImmutableDueToPolicy": "Take the immutability policy from the container that Driftloop writes to.",
    "BlobImmutableDueToLegalHold": "Take the legal hold from the container that Driftloop writes to.",
    "ContainerHasLegalHold": "Take the legal hold from the container that Driftloop writes to.",
    "ContainerImmutabilityPolicyLocked": "Let Driftloop write to a container without a locked policy.",
    "ContainerDisabled": "Enable the container again.",
    "QueueDisabled": "Enable the queue again.",
    "ContainerNotFound": (
        "It does not exist; `azd provision` makes one of this deployment, empty: what it held must come from a backup."
    ),
    "QueueNotFound": "It does not exist; `azd provision` makes it.",
    "TableNotFound": "It does not exist; `azd provision` makes it, empty: what it held must come from a backup.",
    "SnapshotsPresent": "Delete the blob's snapshots.",
    "BlobOperationNotSupported": "Use a storage account whose kind supports block blobs.",
    "EntityTooLarge": "It is larger than a table holds; land fewer columns, or shorter names.",
    "PropertyValueTooLarge": "It is larger than a table holds; land fewer columns, or shorter names.",
    "MessageTooLarge": "It is larger than a queue's message may be; give a shorter reason.",
    "RequestBodyTooLarge": "It is larger than the service takes; land less at once.",
    "ScopeLocked": "Take the lock from the resource or its group.",
    "RequestDisallowedByPolicy": "Exempt the workspace from this Azure policy, or change what it asks for.",
    "ReadOnlyDisabledSubscription": "Enable the subscription again.",
    "SubscriptionDisabled": "Enable the subscription again.",
    "SubscriptionNotFound": (
        "The identity sees no such subscription: look at DRIFTLOOP_SUBSCRIPTION_ID, and whether it has a role in it."
    ),
    "ResourceGroupNotFound": "There is no such resource group: look at DRIFTLOOP_RESOURCE_GROUP.",
    **dict.fromkeys(
        (
            "MissingSubscriptionRegistration",
            "SubscriptionNotRegistered",
            "InvalidSubscriptionRegistrationState",
        ),
        "Register the resource provider in the subscription (`az provider register`).",
    ),
    **dict.fromkeys(
        ("NoRegisteredProviderFound", "MissingRegistrationForLocation"),
        "Register the resource provider in the subscription (`az provider register`), or take a region that has it.",
    ),
    "RegionDoesNotAllowProvisioning": "Ask for access to the region, or take another one.",
    "RequestDisallowedByAzure": "Azure gives this subscription nothing of the kind in the region: take another one.",
    "SkuNotAvailable": "Choose an instance type that the region has.",
    "ResourceQuotaExceeded": "Ask for more quota, or choose a smaller instance.",
    "QuotaExceeded": "Ask for more quota, or choose a smaller instance.",
    "OutOfQuota": "Ask for more quota, or choose a smaller instance.",
    "OperationNotAllowed": "Ask for more quota, or choose a smaller instance.",
}
"""Codes that a person must answer, with what to do."""

_RACES = (
    *("BlobAlreadyExists", "ContainerAlreadyExists", "ResourceAlreadyExists", "EntityAlreadyExists"),
    *("TableAlreadyExists", "QueueAlreadyExists", "PathAlreadyExists", "BlobOverwritten"),
    *("ConditionNotMet", "SourceConditionNotMet", "TargetConditionNotMet", "UpdateConditionNotSatisfied"),
    *("AppendPositionConditionNotMet", "SequenceNumberConditionNotMet", "PopReceiptMismatch"),
)

_PASSING = (
    *("AccountBeingCreated", "ContainerBeingDeleted", "TableBeingDeleted", "QueueBeingDeleted"),
    *("PendingCopyOperation", "NoPendingCopyOperation", "ServerBusy", "OperationTimedOut", "InternalError"),
    *("SystemInUse", "SnapshotOperationRateExceeded"),
    *("LeaseIdMissing", "LeaseIdMismatchWithBlobOperation", "LeaseIdMismatchWithContainerOperation"),
    *("LeaseIdMismatchWithLeaseOperation", "LeaseLost", "LeaseAlreadyPresent", "LeaseAlreadyBroken"),
    *("LeaseNotPresentWithBlobOperation", "LeaseNotPresentWithContainerOperation"),
    *("LeaseNotPresentWithLeaseOperation", "LeaseIsBreakingAndCannotBeAcquired"),
    *("LeaseIsBreakingAndCannotBeChanged", "LeaseIsBrokenAndCannotBeRenewed"),
    *("AnotherOperationInProgress", "OperationPreempted", "TooManyRequests", "SubscriptionRequestsThrottled"),
    *(
        "AllocationFailed",
        "ZonalAllocationFailed",
        "StorageAccountOperationInProgress",
        "ResourceGroupBeingDeleted",
    ),
)
"""A lease ends, or its owner breaks it; an operation under way ends."""

CONSEQUENCES: Mapping[str, Consequence] = {
    **dict.fromkeys(_RACES, Consequence.RACE),
    **dict.fromkeys(UNREADABLE, Consequence.BLOB_UNREADABLE),
    **dict.fromkeys(ADVICE, Consequence.CONFIGURATION),
    **dict.fromkeys(_PASSING, Consequence.PASSING),
}


def consequence(status: int | None, code: str) -> Consequence | None:
    """By the service's code; else of a 412 that it is a race, and of a 409 that it passes. None: by the status. A 429
    passes whatever its code: those of quotas come with it as well."""
    known = CONSEQUENCES.get(code) if status != 429 else None
    if known is not None:
        return known
    if status == 412:
        return Consequence.RACE
    # Nobody is known to have written first, so deciding again at once would go round for ever.
    return Consequence.PASSING if status == 409 else None
