"""State in Table Storage: a loop's rows change in one transaction, and a lost reply is told as what it was."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from azure.core import MatchConditions
from azure.core.exceptions import AzureError
from azure.data.tables import TableTransactionError, UpdateMode
from requests import RequestException

from shared import deadline
from shared.azure.failures import CALL_S, asking, code_of, status_of, translated
from shared.azure.overviews import OverviewRows
from shared.errors import Conflict, DependencyUnavailable, DriftloopError, OutcomeUnknown
from shared.port_rules import check_changes, check_key, check_loop
from shared.ports import Change, Delete, Insert, Row

ROLE = "Storage Table Data Contributor"

_PIECE = 16_000
"""Characters in one property: at most 64 KiB there, at most four bytes a character in UTF-16."""
_UNROUTED = "unrouted"
_LOOP = "loop."

Entity = Mapping[str, Any]  # the client's own type: values of a row are str, int, datetime ...
Operation = tuple[str, Entity, Mapping[str, Any]] | tuple[str, Entity]


class TableStore(OverviewRows):
    """`Store` over one table: a partition a loop, one for overviews, one for events that belong nowhere."""

    def read(self, loop: str, key: str) -> Row | None:
        with asking("Reading a row", self._resource, ROLE):
            entity = self._entity(_partition(loop), check_key(key))
        return _row(entity) if entity is not None else None

    def range(self, loop: str, prefix: str, *, after: str = "", limit: int = 1000) -> list[Row]:
        return self._query(_partition(loop), prefix, after, limit)

    def loop_after(self, loop: str) -> str:
        clauses = "PartitionKey gt @after and PartitionKey lt @end"
        values = {"after": f"{_LOOP}{loop}", "end": _end(_LOOP)}
        with asking("Reading rows", self._resource, ROLE):
            found = self._table.query_entities(
                clauses, parameters=values, select=["PartitionKey"], results_per_page=1
            )
            first = next(iter(found), None)
        return str(first["PartitionKey"]).removeprefix(_LOOP) if first is not None else ""

    def commit(self, loop: str, changes: Sequence[Change]) -> dict[str, str]:
        check_changes(changes)
        token = uuid.uuid4().hex
        try:
            with deadline.within(CALL_S):
                return self._submit(_partition(loop), list(changes), token)
        except (AzureError, RequestException, DependencyUnavailable) as error:
            self._read_back(loop, changes, token, _told(error, f"rows of loop {loop}"))
            return {}

    def _submit(self, partition: str, changes: list[Change], token: str) -> dict[str, str]:
        while changes:
            try:
                answers = self._table.submit_transaction([_operation(partition, c, token) for c in changes])
                written = zip(changes, answers, strict=True)
                return {c.key: told["etag"] for c, told in written if not isinstance(c, Delete)}
            except TableTransactionError as error:
                # A row to delete that is gone already must not keep the others from changing.
                if status_of(error) != 404 or not isinstance(changes[error.index], Delete):
                    raise
                del changes[error.index]
        return {}

    def _read_back(self, loop: str, changes: Sequence[Change], token: str, failure: DriftloopError) -> None:
        """Return when any row of the transaction bears our token: then all of it was written, and by us."""
        written = sorted(
            (change for change in changes if not isinstance(change, Delete)),
            key=lambda change: not isinstance(change, Insert),  # inserted rows are seldom replaced
        )
        try:
            if any(self._token(loop, change.key) == token for change in written):
                return
        except AzureError:
            raise OutcomeUnknown(
                f"Whether rows of loop {loop} were written is not known: the answer was lost, and reading back "
                "failed too. Read the loop again before anything else."
            ) from None
        raise failure

    def _token(self, loop: str, key: str) -> str:
        entity = self._entity(_partition(loop), key)
        return str(entity["writer_token"]) if entity is not None else ""

    def record_unrouted(self, key: str, doc: str) -> None:
        with asking("Writing a row", self._resource, ROLE):
            entity = _entity_of(_UNROUTED, check_key(key), doc, uuid.uuid4().hex)
            self._table.upsert_entity(entity, mode=UpdateMode.REPLACE)

    def unrouted(self, limit: int = 100) -> list[Row]:
        return self._query(_UNROUTED, "", "", limit)

    def _query(self, partition: str, prefix: str, after: str, limit: int) -> list[Row]:
        clauses = ["PartitionKey eq @partition"]
        if prefix:
            clauses += ["RowKey ge @prefix", "RowKey lt @end"]
        if after:
            clauses.append("RowKey gt @after")
        values = {"partition": partition, "prefix": prefix, "end": _end(prefix), "after": after}
        with asking("Reading rows", self._resource, ROLE):
            pages = self._table.query_entities(
                " and ".join(clauses), parameters=values, results_per_page=min(limit, 1000)
            ).by_page()
            rows: list[Row] = []
            for page in pages:
                rows += [_row(entity) for entity in page]
                if len(rows) >= limit:
                    break
        return rows[:limit]


def _told(error: AzureError | RequestException | DependencyUnavailable, resource: str) -> DriftloopError:
    if isinstance(error, DependencyUnavailable):
        return error
    if isinstance(error, AzureError) and status_of(error) == 404 and code_of(error) != "TableNotFound":
        # A row to replace is gone: somebody was here first.
        return Conflict(f"Writing {resource}: one is gone. Read it again and decide again.")
    return translated(error, "Writing", resource, ROLE)


def _partition(loop: str) -> str:
    """Apart from the other partitions, whatever a loop is called."""
    return f"{_LOOP}{check_loop(loop)}"


def _end(prefix: str) -> str:
    """The first key that sorts after everything that starts with `prefix`."""
    return prefix[:-1] + chr(ord(prefix[-1]) + 1) if prefix else ""


def _operation(partition: str, change: Change, token: str) -> Operation:
    if isinstance(change, Delete):
        return "delete", {"PartitionKey": partition, "RowKey": change.key}
    entity = _entity_of(partition, change.key, change.doc, token)
    if isinstance(change, Insert):
        return "create", entity
    condition = {
        "mode": UpdateMode.REPLACE,
        "etag": change.etag,
        "match_condition": MatchConditions.IfNotModified,
    }
    return "update", entity, condition


def _entity_of(partition: str, key: str, doc: str, token: str) -> Entity:
    pieces = [doc[start : start + _PIECE] for start in range(0, len(doc), _PIECE)]
    numbered = {f"doc{number}": piece for number, piece in enumerate(pieces)}
    return {
        "PartitionKey": partition,
        "RowKey": key,
        "writer_token": token,
        "pieces": len(pieces),
        **numbered,
    }


def _row(entity: Entity) -> Row:
    doc = "".join(entity[f"doc{number}"] for number in range(entity["pieces"]))
    return Row(entity["RowKey"], doc, entity.metadata["etag"])  # type: ignore[attr-defined]  # a TableEntity
