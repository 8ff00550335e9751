"""What Event Grid would deliver reaches the queue, and the custom topic takes what Event Grid would take."""

from __future__ import annotations

import base64
import json
import os
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import httpx
import pytest
from azure.core.credentials import AccessToken
from azure.core.exceptions import ClientAuthenticationError, HttpResponseError, ResourceNotFoundError
from azure.core.messaging import CloudEvent
from azure.eventgrid import EventGridPublisherClient
from azure.identity import DefaultAzureCredential
from azure.storage.blob import (
    BlobBlock,
    BlobProperties,
    BlobSasPermissions,
    BlobServiceClient,
    generate_blob_sas,
)
from azure.storage.queue import QueueClient

from local import events
from local.azure import LocalAzure
from local.events import retry
from local.events.delivery_faults import Faults
from local.events.models import Events
from local.events.watcher import BlobWatcher
from local.identity.models import LocalCredential, Tokens
from local.service import Service, utc_now
from local.settings import PARTNER, settings_of
from local.state import State
from shared import loopfile
from shared.inbox import recorder
from shared.loopfile.published import Assets, Published
from shared.runtime import publication, tick, unit_of_work, worker
from shared.settings import Settings
from shared.state import queries
from shared.wiring import azure_ports
from tests.patience import until

T = TypeVar("T")
SUBJECT = "/blobServices/default/containers/"


class Grid:
    """A queue of the test's own that storage's events go to."""

    def __init__(self, azure: LocalAzure) -> None:
        self.azure = azure
        self.queue_name = f"events-{uuid.uuid4().hex[:8]}"
        self.folder = uuid.uuid4().hex[:8]
        credential = DefaultAzureCredential()
        self.queue = QueueClient(azure.settings.storage("queue"), self.queue_name, credential=credential)
        self.queue.create_queue()
        self.blobs = BlobServiceClient(azure.settings.storage("blob"), credential=credential)

    def subscribe(self, *more: dict[str, Any]) -> None:
        created = {
            "name": "created",
            "source": "storage",
            "queue": self.queue_name,
            "event_types": ["Microsoft.Storage.BlobCreated"],
            "subject_begins_with": f"{SUBJECT}landing/blobs/{self.folder}/",
        }
        body = {"subscriptions": [created, *more]}
        self.azure.control.put("/local/events/subscriptions", json=body).raise_for_status()

    def faults(self, **faults: object) -> None:
        self.azure.control.put("/local/events/faults", json=faults).raise_for_status()

    def drop(self, name: str, data: bytes = b"a,b\n1,2\n", container: str = "landing") -> str:
        blob = self.blobs.get_blob_client(container, f"{self.folder}/{name}")
        return str(blob.upload_blob(data, overwrite=True)["etag"])

    def take(self) -> list[dict[str, Any]]:
        """What lies in the queue now, removed from it."""
        found = []
        for message in self.queue.receive_messages(max_messages=32):
            found.append(json.loads(base64.b64decode(message.content)))
            self.queue.delete_message(message)
        return found

    def take_at_least(self, count: int) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        until(lambda: found.extend(self.take()) or len(found) >= count)
        return found

    def settled(self) -> list[dict[str, Any]]:
        """What comes until a marker that was dropped last has come; the marker left out."""
        marker = f"marker-{uuid.uuid4().hex[:6]}"
        self.drop(marker)
        found: list[dict[str, Any]] = []
        until(lambda: found.extend(self.take()) or any(e["subject"].endswith(marker) for e in found))
        until(lambda: self.azure.control.get("/local/events/waiting").json()["waiting"] == 0)
        found += self.take()
        return [e for e in found if not e["subject"].endswith(marker)]


@pytest.fixture
def grid(local_azure: LocalAzure) -> Iterator[Grid]:
    before = local_azure.control.get("/local/events/subscriptions").json()
    made = Grid(local_azure)
    made.subscribe()
    yield made
    made.faults()
    local_azure.control.put("/local/events/subscriptions", json=before).raise_for_status()
    local_azure.control.delete("/local/events/topics/driftloop").raise_for_status()


def names(found: list[dict[str, Any]]) -> list[str]:
    return [event["subject"].rsplit("/", 1)[1] for event in found]


def test_a_new_blob_becomes_the_event_that_azure_writes(grid: Grid) -> None:
    etag = grid.drop("ä b.csv", b"12345")
    until(lambda: grid.queue.peek_messages(1))
    [message] = grid.queue.receive_messages()
    event = json.loads(base64.b64decode(message.content, validate=True))
    data = event.pop("data")
    sequencer, url = data.pop("sequencer"), data.pop("url")
    unique = [
        event.pop("id"),
        data.pop("requestId"),
        data.pop("clientRequestId"),
        data["storageDiagnostics"].pop("batchId"),
    ]
    assert len({uuid.UUID(one) for one in unique}) == 4
    assert event.pop("eventTime").endswith("Z")
    assert event == {
        "topic": "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/driftloop"
        "/providers/Microsoft.Storage/storageAccounts/devstoreaccount1",
        "subject": f"{SUBJECT}landing/blobs/{grid.folder}/ä b.csv",
        "eventType": "Microsoft.Storage.BlobCreated",
        "dataVersion": "",
        "metadataVersion": "1",
    }
    assert data == {
        "api": "PutBlob",
        "eTag": etag.strip('"'),
        "contentType": "application/octet-stream",
        "contentLength": 5,
        "blobType": "BlockBlob",
        "storageDiagnostics": {},
    }
    assert url == f"{grid.azure.settings.storage('blob')}/landing/{grid.folder}/%C3%A4%20b.csv"
    assert int(sequencer, 16) > 0


def test_each_way_to_write_is_told_and_the_sequence_rises(grid: Grid) -> None:
    grid.drop("x.csv")
    found = grid.take_at_least(1)
    blob = grid.blobs.get_blob_client("landing", f"{grid.folder}/x.csv")
    block = base64.b64encode(b"block-1").decode()
    blob.stage_block(block, b"more")
    blob.commit_block_list([BlobBlock(block)])
    found += grid.take_at_least(1)
    source = grid.blobs.get_blob_client("labels", f"{grid.folder}/source.csv")
    source.upload_blob(b"copied")
    blob.start_copy_from_url(source.url)
    found += grid.take_at_least(1)
    assert [event["data"]["api"] for event in found] == ["PutBlob", "PutBlockList", "CopyBlob"]
    assert [event["data"]["contentLength"] for event in found] == [8, 4, 6]
    sequence = [event["data"]["sequencer"] for event in found]
    assert sequence == sorted(sequence)
    assert len(set(sequence)) == 3


def test_other_containers_and_prefixes_are_silent(grid: Grid) -> None:
    grid.drop("x.csv", container="versions")
    grid.drop("x.csv", container="labels")
    grid.blobs.get_blob_client("landing", f"{grid.folder}-other/x.csv").upload_blob(b"x")
    assert grid.settled() == []


def test_a_restart_loses_nothing_and_tells_nothing_twice(grid: Grid) -> None:
    grid.drop("before.csv")
    assert names(grid.take_at_least(1)) == ["before.csv"]
    grid.azure.stop_part("workspace")
    grid.drop("meanwhile.csv")
    grid.azure.start_workspace()
    assert names(grid.settled()) == ["meanwhile.csv"]


def test_sigkill_in_the_middle_of_deliveries_loses_nothing(grid: Grid) -> None:
    wanted = {f"{number}.csv" for number in range(120)}
    for name in wanted:
        grid.drop(name)
    grid.azure.part("workspace").kill()
    grid.azure.start_workspace()
    found: list[str] = []
    until(lambda: found.extend(names(grid.take())) or wanted <= set(found))
    assert set(found) == wanted


def test_faults_of_delivery(grid: Grid) -> None:
    grid.faults(duplicates=4)
    grid.drop("often.csv")
    grid.drop("also.csv")
    found = grid.take_at_least(10)
    assert Counter(names(found)) == {"often.csv": 5, "also.csv": 5}
    assert len({event["id"] for event in found}) == 2

    grid.faults(lose=1)
    grid.drop("lost.csv")
    until(lambda: grid.azure.control.get("/local/events/faults").json()["lose"] == 0)
    assert grid.settled() == []

    grid.faults(delay_s=1.5)
    dropped = time.monotonic()
    grid.drop("late.csv")
    assert names(grid.take_at_least(1)) == ["late.csv"]
    assert time.monotonic() - dropped >= 1.5

    grid.faults(reorder=True)
    for number in range(3):
        grid.drop(f"{number}.csv")
    assert names(grid.take_at_least(3)) != ["0.csv", "1.csv", "2.csv"]
    assert grid.azure.control.put("/local/events/faults", json={"delay": 3}).status_code == 400


def test_a_delivery_that_fails_is_made_again(grid: Grid) -> None:
    absent = QueueClient.from_queue_url(f"{grid.queue.url}-later", credential=DefaultAzureCredential())
    body = grid.azure.control.get("/local/events/subscriptions").json()["subscriptions"][0]
    grid.subscribe(body | {"name": "later", "queue": absent.queue_name})
    grid.drop("x.csv")
    assert names(grid.take_at_least(1)) == ["x.csv"]
    absent.create_queue()
    until(lambda: absent.peek_messages(1))


def test_what_cannot_be_delivered_lies_in_the_dead_letter_container(grid: Grid) -> None:
    grid.faults(dead_letter=1)
    grid.drop("dead.csv")
    until(lambda: grid.azure.control.get("/local/events/faults").json()["dead_letter"] == 0)
    assert grid.settled() == []
    container = grid.blobs.get_container_client("dead-letter")
    letters = [
        json.loads(container.download_blob(name).readall())
        for name in container.list_blob_names(name_starts_with="created/")
    ]
    [[letter]] = [one for one in letters if one[0]["subject"].endswith(f"{grid.folder}/dead.csv")]
    assert letter["deadLetterReason"] == "MaxDeliveryAttemptsExceeded"
    assert letter["eventType"] == "Microsoft.Storage.BlobCreated"


def refused(status: int) -> HttpResponseError:
    error = HttpResponseError("refused")
    error.status_code = status
    return error


def test_deliveries_are_tried_again_on_azures_schedule() -> None:
    """Source: MicrosoftDocs/azure-docs, event-grid/delivery-and-retry.md, the schedule and the limits."""
    accepted = now = datetime(2026, 11, 28, tzinfo=UTC)
    waits: list[float] = []
    while (again := retry.next_at(now, accepted, len(waits) + 1, refused(503), speed=1)) is not None:
        waits.append((again - now).total_seconds())
        now = again
    assert waits == [10, 30, 60, 300, 600, 1800, 3600, 10800, 21600, 43200]
    assert retry.reason(len(waits) + 1, refused(503)) == "TimeToLiveExceeded"
    assert retry.next_at(accepted, accepted, 30, refused(503), speed=1) is None
    assert retry.reason(30, refused(503)) == "MaxDeliveryAttemptsExceeded"
    fast = retry.next_at(accepted, accepted, 1, refused(404), speed=100)
    assert fast is not None and (fast - accepted).total_seconds() == pytest.approx(0.1)


@pytest.mark.parametrize("status", [400, 403, 413])
def test_what_a_queue_refuses_for_good_is_not_tried_again(status: int) -> None:
    """Source: delivery-and-retry.md, the endpoints and error codes for which no retry happens."""
    now = datetime(2026, 11, 28, tzinfo=UTC)
    assert retry.next_at(now, now, 1, refused(status), speed=1) is None


def test_a_queue_that_is_not_there_for_a_day_makes_a_late_dead_letter(grid: Grid) -> None:
    gone = {"name": "gone", "source": "storage", "queue": f"gone-{uuid.uuid4().hex[:8]}"}
    grid.subscribe(gone | {"subject_begins_with": f"{SUBJECT}landing/blobs/{grid.folder}/"})
    grid.faults(speed=40_000)  # a day in about two seconds
    grid.drop("lost.csv")
    container = grid.blobs.get_container_client("dead-letter")

    def letters() -> list[dict[str, Any]]:
        found = container.list_blob_names(name_starts_with="gone/")
        each = [json.loads(container.download_blob(name).readall())[0] for name in found]
        return [letter for letter in each if grid.folder in letter["subject"]]

    until(letters)
    [letter] = letters()
    assert letter["deadLetterReason"] == "TimeToLiveExceeded"
    assert letter["lastDeliveryOutcome"] == "NotFound"
    assert 1 < letter["deliveryAttempts"] <= 30
    assert letter["lastDeliveryAttemptTime"] > letter["publishTime"]


def test_the_topic_takes_the_sdks_events_and_forwards_them(grid: Grid) -> None:
    grid.subscribe(
        {
            "name": "forward",
            "source": "topic:driftloop",
            "queue": grid.queue_name,
            "event_types": ["Promoted"],
        }
    )
    client = EventGridPublisherClient(os.environ["DRIFTLOOP_TOPIC_ENDPOINT"], DefaultAzureCredential())
    client.send(
        [
            CloudEvent("/loops/a", "Promoted", data={"n": 1}, extensions={"head": "x"}),
            CloudEvent("/loops/a", "Other"),
        ]
    )
    taken = grid.azure.control.get("/local/events/topics/driftloop").json()["events"]
    assert [event["type"] for event in taken] == ["Promoted", "Other"]
    assert taken[0]["head"] == "x"
    assert grid.take_at_least(1) == [taken[0]]

    grid.faults(topic_statuses=[503, 500])
    client.send(CloudEvent("/loops/a", "Third"))
    taken = grid.azure.control.get("/local/events/topics/driftloop").json()["events"]
    assert [event["type"] for event in taken] == ["Promoted", "Other", "Third"]

    wrong = EventGridPublisherClient(
        os.environ["DRIFTLOOP_TOPIC_ENDPOINT"].replace("driftloop", "nothing"), DefaultAzureCredential()
    )
    with pytest.raises(ResourceNotFoundError):
        wrong.send(CloudEvent("/loops/a", "Lost"))


GOOD = {"id": "1", "source": "/a", "type": "T", "specversion": "1.0"}


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ("not json", "not JSON"),
        (GOOD, "must be an array"),
        ([GOOD | {"id": ""}], "Event 0 has no 'id'"),
        ([GOOD, GOOD | {"specversion": "0.3"}], "Event 1 has the specversion '0.3'"),
        ([GOOD | {"causalityDepth": 1}], "'causalityDepth' must be 1 to 20 of a-z and 0-9"),
        ([GOOD | {"time": "yesterday"}], "not an RFC 3339 time"),
        ([GOOD | {"data": 1, "data_base64": "MQ=="}], "both 'data' and 'data_base64'"),
    ],
)
def test_the_topic_refuses_a_malformed_batch_whole(local_azure: LocalAzure, body: object, text: str) -> None:
    answer = _post(local_azure, body if isinstance(body, str) else json.dumps(body))
    assert answer.status_code == 400
    assert text in answer.json()["error"]["message"]
    assert local_azure.control.get("/local/events/topics/driftloop").json()["events"] == []


def test_the_topic_asks_for_its_own_token_version_and_size(local_azure: LocalAzure) -> None:
    batch = json.dumps([GOOD])
    foreign = DefaultAzureCredential().get_token("https://storage.azure.com/.default").token
    assert _post(local_azure, batch, token=foreign).status_code == 401
    assert _post(local_azure, batch, version="2020-01-01").status_code == 400
    assert _post(local_azure, json.dumps([GOOD | {"data": "x" * 1_100_000}])).status_code == 413
    with pytest.raises(ClientAuthenticationError):
        client = EventGridPublisherClient(os.environ["DRIFTLOOP_TOPIC_ENDPOINT"], _Fixed(foreign))
        client.send(CloudEvent("/a", "T"))


def test_an_event_of_the_workspace_is_completed_and_noted_even_before_the_service_runs(
    local_azure: LocalAzure, tmp_path: Path
) -> None:
    service = Service(local_azure.settings, State(tmp_path / "state.sqlite"))
    try:
        kind = "Microsoft.MachineLearningServices.RunCompleted"
        event = {"subject": "experiments/e/runs/r", "eventType": kind, "data": {"runId": "r"}}
        events.publish(service, event)
        events.publish(service, event | {"eventType": "Microsoft.MachineLearningServices.Unheard"})
        [(_, row)] = service.state.items("event-delivery")
        assert row["queue"] == "driftloop-events"
        assert row["event"].items() >= event.items()
        assert row["event"]["topic"].endswith("/workspaces/driftloop")
        assert Events(service).waiting() == 1
        assert Faults.read(service.state) == Faults()
    finally:
        service.close()


class _Fixed:
    def __init__(self, token: str) -> None:
        self._token = token

    def get_token(self, *scopes: str, **options: object) -> AccessToken:
        return AccessToken(self._token, int(time.time()) + 3600)


def _post(
    azure: LocalAzure, body: str, token: str | None = None, version: str = "2018-01-01"
) -> httpx.Response:
    token = token or DefaultAzureCredential().get_token("https://eventgrid.azure.net/.default").token
    return azure.control.post(
        f"/topics/driftloop/api/events?api-version={version}",
        content=body.encode(),
        headers={
            "authorization": f"Bearer {token}",
            "content-type": "application/cloudevents-batch+json; charset=utf-8",
        },
    )


def partners(grid: Grid, by: str) -> None:
    subscribed = {
        "name": "partner",
        "source": "partner-storage",
        "queue": grid.queue_name,
        "event_types": [
            f"Microsoft.Storage.{kind}" for kind in ("BlobCreated", "BlobRenamed", "DirectoryRenamed")
        ],
        "subject_begins_with": f"{SUBJECT}outbox/blobs/{grid.folder}/",
    }
    grid.subscribe(subscribed)
    grid.azure.control.put("/local/events/writer", json={"writer": by}).raise_for_status()


def partner_drop(grid: Grid, name: str, data: bytes = b"a,b\n1,2\n") -> str:
    address = grid.azure.settings.storage("blob", "partner")
    with BlobServiceClient(address, credential=DefaultAzureCredential()) as service:
        blob = service.get_blob_client("outbox", f"{grid.folder}/{name}")
        return str(blob.upload_blob(data, overwrite=True)["etag"]).strip('"')


@pytest.mark.parametrize(
    ("by", "first", "last", "version"),
    [("dfs", "CreateFile", "FlushWithClose", "2"), ("sftp", "SftpCreate", "SftpCommit", "3")],
)
def test_a_file_of_an_account_with_folders_has_two_events(
    grid: Grid, by: str, first: str, last: str, version: str
) -> None:
    """learn.microsoft.com/azure/event-grid/event-schema-blob-storage: "Data Lake Storage Gen 2" and "SFTP events"."""
    partners(grid, by)
    try:
        etag = partner_drop(grid, "a.csv")
        events = {event["data"]["api"]: event for event in grid.take_at_least(2)}
    finally:
        partners(grid, "blob")
    begun, ended = events[first]["data"], events[last]["data"]
    assert begun["contentLength"] == 0 and begun["eTag"] != etag
    assert ended["eTag"] == etag and ended["contentLength"] == (0 if by == "sftp" else 8)
    assert {event["dataVersion"] for event in events.values()} == {version}
    assert len({event["id"] for event in events.values()}) == 2
    for event in events.values():
        assert event["topic"].endswith("/storageAccounts/partner")
        assert event["data"]["contentOffset"] == 0
        assert ("clientRequestId" in event["data"], "identity" in event["data"]) == (
            by == "dfs",
            by == "sftp",
        )


def test_a_rename_is_one_event_and_nothing_is_created(grid: Grid) -> None:
    """As documented: two addresses, no `url`, no eTag; of a folder one event for all that is in it."""
    partners(grid, "blob")
    try:
        for name in ("staging/a.csv", "staging/b.csv", "c.part"):
            partner_drop(grid, name)
        assert [event["data"]["api"] for event in grid.take_at_least(3)] == ["PutBlob"] * 3
        for source, target in (("staging", "run1"), ("c.part", "c.csv")):
            names = {"source": f"{grid.folder}/{source}", "destination": f"{grid.folder}/{target}"}
            grid.azure.control.put(
                "/local/events/rename", json={"container": "outbox", **names}
            ).raise_for_status()
        partner_drop(grid, "last.csv")
        found = grid.take_at_least(3)
    finally:
        partners(grid, "blob")
    told = {event["subject"].rpartition("/")[2]: event for event in found}
    assert sorted(told) == ["c.csv", "last.csv", "run1"]
    for name, kind, api in (
        ("run1", "DirectoryRenamed", "RenameDirectory"),
        ("c.csv", "BlobRenamed", "RenameFile"),
    ):
        event = told[name]
        assert (event["eventType"], event["dataVersion"]) == (f"Microsoft.Storage.{kind}", "1")
        assert set(event["data"]) == {
            *(
                "api",
                "clientRequestId",
                "requestId",
                "destinationUrl",
                "sourceUrl",
                "sequencer",
                "storageDiagnostics",
            )
        }
        assert event["data"]["api"] == api
        assert event["data"]["destinationUrl"].endswith(f"/partner/outbox/{grid.folder}/{name}")


def test_only_an_account_with_folders_renames_and_only_what_is_there(grid: Grid) -> None:
    def renamed(**names: str) -> httpx.Response:
        return grid.azure.control.put("/local/events/rename", json=names)

    assert renamed(container="outbox", source="nothing", destination="x").status_code == 404
    assert renamed(container="outbox", source="x").status_code == 400
    assert grid.azure.control.put("/local/events/writer", json={"writer": "nfs"}).status_code == 400


def test_what_is_renamed_into_place_in_another_account_becomes_a_version(grid: Grid) -> None:
    """The whole way, by the app's identity: two events of the file where it was written, one of its rename."""
    ports, loop = azure_ports(Settings.from_environment(os.environ)), f"lake-{grid.folder}"
    text = f"{{loop: {loop}, data: {{landing: 'partner:outbox/{grid.folder}/in/', target: y}}, train: {{pipeline: t}}, "
    definition = loopfile.parse(f"{text}serve: {{endpoint: {loop}}}}}", file="loop.yaml")
    publication.publish(ports, Published(definition, Assets("azureml:p:1"), "ann", datetime.now(UTC)))
    partners(grid, "dfs")
    try:
        partner_drop(grid, "out/a.csv", b"x,y\n" + b"".join(b"%d,%d\n" % (n, n % 2) for n in range(40)))
        events = grid.take_at_least(2)
        names = {"source": f"{grid.folder}/out/a.csv", "destination": f"{grid.folder}/in/a.csv"}
        grid.azure.control.put(
            "/local/events/rename", json={"container": "outbox", **names}
        ).raise_for_status()
        events += grid.take_at_least(1)
    finally:
        partners(grid, "blob")
    for event in events:
        recorder.receive(ports, json.dumps(event), grid.azure.settings.storage("blob"))
    worker.run(ports, loop)
    (version,) = queries.versions(unit_of_work.read(ports, loop), last=9).values
    assert version.source == f"partner:outbox/{grid.folder}/in/a.csv" and version.rows == 40


def copy_begun(grid: Grid, name: str, content: bytes) -> None:
    """From the partner's account, which is to be left as it is until the copy has ended."""
    partner_drop(grid, f"source-{name}", content)
    now = datetime.now(UTC)
    with BlobServiceClient(
        grid.azure.settings.storage("blob", "partner"),
        LocalCredential(Tokens(grid.azure.settings, utc_now), "workspace"),
        connection_verify=str(grid.azure.settings.bundle),
    ) as service:
        source = service.get_blob_client("outbox", f"{grid.folder}/source-{name}")
        key = service.get_user_delegation_key(now - timedelta(hours=1), now + timedelta(hours=1))
    may = {"permission": BlobSasPermissions(read=True), "expiry": now + timedelta(minutes=30)}
    sas = generate_blob_sas(PARTNER, "outbox", source.blob_name, user_delegation_key=key, **may)
    copied = grid.blobs.get_blob_client("landing", f"{grid.folder}/{name}")
    assert copied.start_copy_from_url(f"{source.url}?{sas}")["copy_status"] == "pending"


def test_a_copy_from_another_account_is_told_of_when_it_begins_and_is_a_drop_once_it_has_ended(
    grid: Grid, monkeypatch: pytest.MonkeyPatch
) -> None:
    """MicrosoftDocs/azure-docs#74041 and #114316; rest/api/storageservices/copy-blob."""
    ports, loop = azure_ports(Settings.from_environment(os.environ)), f"copied-{grid.folder}"
    text = f"{{loop: {loop}, data: {{landing: 'landing/{grid.folder}/', target: y}}, train: {{pipeline: t}}, "
    definition = loopfile.parse(f"{text}serve: {{endpoint: {loop}}}}}", file="loop.yaml")
    publication.publish(ports, Published(definition, Assets("azureml:p:1"), "ann", datetime.now(UTC)))
    copy_begun(grid, "a.csv", b"x,y\n" + b"".join(b"%d,%d\n" % (n, n % 2) for n in range(40)))
    copy_begun(grid, "b.csv", b"x,y\n1,2\n")
    partner_drop(grid, "source-b.csv", b"another")  # fails the second copy, whose source it was
    for event in grid.take_at_least(2):
        assert event["data"]["contentLength"] == 0
        recorder.receive(ports, json.dumps(event), grid.azure.settings.storage("blob"))
    worker.run(ports, loop)
    assert queries.versions(unit_of_work.read(ports, loop), last=9).values == ()

    def ended() -> bool:
        return all(one.copy != "pending" for one in ports.blobs.list("landing", f"{grid.folder}/"))

    until(ended)
    assert grid.settled() == [], "of its end nobody tells"
    monkeypatch.setattr(tick, "STILL", timedelta(0))
    monkeypatch.setattr(tick, "UPLOAD", timedelta(0))
    tick.sweep(ports)
    worker.run(ports, loop)
    (version,) = queries.versions(unit_of_work.read(ports, loop), last=9).values
    assert (version.source, version.rows) == (f"landing/{grid.folder}/a.csv", 40)
    codes = {one.reason.code.value for one in queries.inbox(ports, loop) if one.reason}
    assert {"copy-under-way", "copy-incomplete"} <= codes


def test_a_state_folder_of_when_there_was_one_account_is_taken_up(tmp_path: Path) -> None:
    settings = settings_of(tmp_path)
    service = Service(settings, State(tmp_path / "state.sqlite"))
    service.state.put("event-blob", "x", {"container": "landing", "name": "a.csv", "etag": "1"})
    assert BlobWatcher(service, Events(service))._seen == {("storage", "landing", "a.csv"): "1"}
    service.close()


def test_a_blob_that_could_not_be_told_of_is_told_of_at_the_next_look(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = Service(settings_of(tmp_path), State(tmp_path / "state.sqlite"))
    watcher, key = BlobWatcher(service, Events(service)), ("storage", "landing", "a.csv")
    headers = {"Last-Modified": datetime(2026, 1, 1, tzinfo=UTC), "x-ms-blob-type": "PageBlob"}
    blob = BlobProperties(name="a.csv", **headers)
    with monkeypatch.context() as patch, pytest.raises(OSError, match="full"):
        patch.setattr(watcher._events, "accept", _full)
        watcher._note(key, "1", blob)
    assert (watcher._seen, service.state.items("event-blob")) == ({}, [])
    assert watcher._note(key, "1", blob) == 1
    service.close()


def test_a_look_rests_for_what_it_listed_and_not_for_what_it_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Blobs that come fifty a second were told of seconds late: the watcher rested for having had much to tell."""
    service, now = Service(settings_of(tmp_path), State(tmp_path / "state.sqlite")), [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])

    class Account:
        def get_container_client(self, name: str) -> Account:
            return self

        def list_blobs(self, **_: object) -> Iterator[BlobProperties]:
            for number in range(3):
                now[0] += 0.25
                yield BlobProperties(name=f"{number}.csv", ETag=f"{number}")

    def noted(*_: object) -> int:
        now[0] += 60
        return 1

    watcher = BlobWatcher(service, Events(service))
    monkeypatch.setattr(watcher, "_clients", {"storage": Account()})
    monkeypatch.setattr(watcher, "_containers", lambda: {("storage", "landing")})
    monkeypatch.setattr(watcher, "_note", noted)
    assert watcher.look() == 3
    assert watcher._listing_s == 0.75
    service.close()


def _full(source: str, events: object) -> None:
    raise OSError("the disk is full")


def test_a_container_is_listed_again_only_where_it_has_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = settings_of(tmp_path)
    service, listed = Service(settings, State(tmp_path / "state.sqlite")), []

    class Account:
        def get_container_client(self, name: str) -> Account:
            listed.append(name)
            return self

        def list_blobs(self, **_: object) -> list[BlobProperties]:
            return []

    watcher = BlobWatcher(service, Events(service))
    monkeypatch.setattr(watcher, "_clients", {"storage": Account()})
    monkeypatch.setattr(watcher, "_containers", lambda: {("storage", "landing"), ("storage", "labels")})
    settings.changes.mkdir(parents=True)
    for changed in ("devstoreaccount1.landing", "", "devstoreaccount1.landing", "partner.landing", "all"):
        if changed:
            with (settings.changes / changed).open("a") as file:
                file.write(".")
        watcher._look_where_it_changed()
    assert listed == ["labels", "landing", "landing", "labels", "landing"]
    monkeypatch.setattr(time, "monotonic", lambda: 1e9)
    watcher._look_where_it_changed()
    assert len(listed) == 7
    service.close()
