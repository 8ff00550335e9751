"""Rules of the ports that the adapters over Azure and their twins in memory must keep alike."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from heapq import nsmallest

from shared import accounts
from shared.domain.reason import Code
from shared.domain.window import WindowKind
from shared.errors import ConfigurationError, InputRejected, InvariantBroken
from shared.ports import Change, Delete

OWN_REQUESTS = "driftloop-"
"""The x-ms-client-request-id of every request of ours begins with this, so that no statistic counts it."""

_LONGEST_CLIENT_ID = 40
"""What Azure ML keeps of a client's id, of letters, digits, `-` and `_` (how-to-troubleshoot-online-endpoints.md)."""

RELEASE_TAG = "driftloop.release"
"""The tag by which a job is known to be ours."""

READING_TAG = "driftloop.reading"
"""The tag by which a job that reads a drop is known to be ours: the digest of what it is asked."""

JOB_TAG = "driftloop.job"
"""The tag of a model that names the job which made it."""

LEDGER_TAG = "driftloop.ledger"
"""The tag of a model that names the last ledger entry before it was registered: `number:hash`."""

TRAFFIC_TAG = "driftloop.traffic"
"""The tag of an endpoint that names the weights which Driftloop set last. Other weights are somebody else's."""

LONGEST_CLAIM = timedelta(minutes=5)
"""A claim of which more is left was made by a clock that is wrong, or before ours was set back: nobody waits for its
end. Two workers on a loop only do some work twice."""

DEAD_LETTERS = "dead-letter"
"""The container into which Event Grid writes what it cannot deliver."""

TRANSACTION_LIMIT = 100

ROW_LIMIT_BYTES = 2**20 - 4096
"""What Table Storage takes of a row, 1 MiB in UTF-16, less its keys and the names of its properties (Microsoft:
understanding-the-table-service-data-model.md)."""

PROPERTY_LIMIT_BYTES = 2**16
"""What it takes of one property, such as an overview's document."""

BLOB_NAME_LIMIT = 1024

_KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:+@|~-]{0,254}")
_LOOP = re.compile(r"[a-z][a-z0-9-]{1,31}")
_SLASHES = re.compile(r"[/\\]")  # the service reads a backslash as a slash
_DOTS = frozenset({".", ".."})
_NO_NAME = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")  # the service takes no name with these
_NOT_IN_CLIENT_IDS = re.compile(r"[^A-Za-z0-9_-]")
_CONTAINER = re.compile(rf"(?:{accounts.NAME}:)?(?:\$root|(?=.{{3,63}}\Z)[a-z0-9]+(?:-[a-z0-9]+)*)")
_FAULTS_BELOW_500 = frozenset({408, 424, 429})


TABLE = "MLTable"
"""The file that makes a folder a table of Azure ML's."""


def table(addresses: Iterable[str], kind: WindowKind) -> bytes:
    """An MLTable file that names Parquet files in this order; of a table of files it says nothing of how they are read.

    reference-yaml-mltable.md and how-to-read-write-data-v2.md of MicrosoftDocs/azure-ai-docs.
    """
    lines = [
        "$schema: https://azuremlschemas.azureedge.net/latest/MLTable.schema.json",
        "type: mltable",
        "paths:",
        *(f"- file: {json.dumps(address)}" for address in addresses),
    ]
    if kind is WindowKind.ROWS:
        lines += ["transformations:", "- read_parquet:", "    include_path_column: false"]
    return "\n".join([*lines, ""]).encode()


def own_request(stamp: str, number: int) -> str:
    """The client's id of one request of ours, such as `driftloop-gate-penguins-r2-a1-0`; a long stamp is cut."""
    end = f"-{number}"
    return f"{OWN_REQUESTS}{_NOT_IN_CLIENT_IDS.sub('-', stamp)}"[: _LONGEST_CLIENT_ID - len(end)] + end


def asset_versions(version: str) -> Sequence[str]:
    """Under which a data asset may be registered, in their order: the next where somebody else has one, who may archive
    it, but cannot free its name."""
    return (version, *(f"{version}-{n}" for n in range(2, 10)))


def is_loop(name: str) -> bool:
    return _LOOP.fullmatch(name) is not None


def check_loop(loop: str) -> str:
    """A loop name that can be a key, as the loop file's validation lets it through."""
    if not is_loop(loop):
        raise InvariantBroken(f"{loop!r} is not a loop name; loop names match {_LOOP.pattern}.")
    return loop


def check_key(key: str) -> str:
    """A row key that Table Storage takes as it is and sorts as we do."""
    if not _KEY.fullmatch(key):
        raise InvariantBroken(f"{key!r} is not a row key; row keys match {_KEY.pattern}.")
    return key


def check_overview(loop: str, doc: str) -> None:
    _check_size(f"overview of loop {loop}", doc, PROPERTY_LIMIT_BYTES)


def bytes_in_table(doc: str) -> int:
    """What a text takes there, which keeps UTF-16."""
    return 2 * len(doc) if doc.isascii() else len(doc.encode("utf-16-le"))


def _check_size(what: str, doc: str, limit: int) -> None:
    if (size := bytes_in_table(doc)) > limit:
        raise ConfigurationError(
            f"{what} would have {size:,} bytes in a table, which takes {limit:,}. "
            "Land fewer columns, or shorter names.",
            code=Code.REQUEST_REFUSED,
        )


def check_changes(changes: Sequence[Change]) -> None:
    """A transaction has 1 to 100 changes, each of another row, none of them larger than a row may be."""
    keys = [check_key(change.key) for change in changes]
    if not 1 <= len(keys) <= TRANSACTION_LIMIT:
        raise InvariantBroken(f"A transaction has 1 to {TRANSACTION_LIMIT} changes, not {len(keys)}.")
    for change in changes:
        if not isinstance(change, Delete):
            _check_size(f"row {change.key}", change.doc, ROW_LIMIT_BYTES)
    if len(set(keys)) < len(keys):
        twice = sorted({key for key in keys if keys.count(key) > 1})
        raise InvariantBroken(f"A transaction changes a row once; it names {', '.join(twice)} twice.")


def check_blob_name(container: str, name: str) -> None:
    """A name that addresses a blob of this container: dot segments would be resolved on the way, to another one, and
    the service takes no control characters and no half characters."""
    if not _CONTAINER.fullmatch(container):
        raise InputRejected("container-name", f"{container!r} is not a container name.")
    dotted = _DOTS.intersection(_SLASHES.split(name))
    if not name or len(name) > BLOB_NAME_LIMIT or dotted or _NO_NAME.search(name):
        raise InputRejected(
            "blob-name", f"{name[:80]!r} in container {container} cannot be addressed as a blob."
        )


def check_weights(endpoint: str, weights: Mapping[str, int]) -> dict[str, int]:
    """The weights without zeros; they sum to 100, or to 0 when nothing is to be served."""
    wanted = {name: weight for name, weight in weights.items() if weight}
    if sum(wanted.values()) not in {0, 100} or min(wanted.values(), default=0) < 0:
        raise InvariantBroken(f"The traffic of endpoint {endpoint} must sum to 100 %, not {dict(weights)}.")
    return wanted


def check_default(endpoint: str, weights: Mapping[str, int]) -> str:
    """The deployment that a batch endpoint calls by default; empty where there is none. It shares nothing out."""
    wanted = check_weights(endpoint, weights)
    if len(wanted) > 1:
        raise InvariantBroken(f"Batch endpoint {endpoint} has one default deployment, not {dict(weights)}.")
    return next(iter(wanted), "")


def scoring_key(endpoint: str, deployment: str, payloads: Sequence[str], stamp: str) -> str:
    """Under which a batch job's rows and answers lie: the same question to the same deployment is asked once."""
    parts = [endpoint, deployment, stamp, *payloads]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]


def traffic_note(weights: Mapping[str, int]) -> str:
    """The value of `TRAFFIC_TAG`: deployments and their per cent, those at 0 left out."""
    return " ".join(f"{name}={weight}" for name, weight in sorted(weights.items()) if weight)


def counts_as_error(status: int) -> bool:
    """Whether a response is the deployment's fault: 424 is how Azure ML tells of a model's own error."""
    return status >= 500 or status in _FAULTS_BELOW_500


def rank_by_hash(name: str) -> bytes:
    """The place of a row or line in an order that has nothing to do with its content: the first ones are a sample."""
    return hashlib.sha256(name.encode(errors="replace")).digest()


def sampled(rows: Iterable[Mapping[str, object]], limit: int) -> list[Mapping[str, object]]:
    """At most `limit` rows, a function of their ids alone; oldest first. Never more than twice as many are held."""
    kept = nsmallest(limit, rows, key=lambda row: rank_by_hash(str(row["id"])))
    return sorted(kept, key=lambda row: (str(row["time"]), str(row["id"])))
