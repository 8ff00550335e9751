"""A ledger entry becomes OpenLineage events, always the same ones: who gets an entry twice learns nothing new. Pure.

By https://openlineage.io/docs/spec/run-cycle a run has one START, and one of COMPLETE, FAIL and ABORT. Runs are a drop
becoming a version, an attempt to train, and a release, which ends when it is live or will not be.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass

from shared import accounts, assets
from shared.domain.ledger import LedgerEntry
from shared.domain.release import ENDED, Phase, Release
from shared.domain.version import DataVersion
from shared.errors import ConfigurationError
from shared.ports import Traced
from shared.words import spoken

PRODUCER = "urn:driftloop"
SPEC = "https://openlineage.io/spec"
RUN_EVENT = f"{SPEC}/2-0-2/OpenLineage.json#/$defs/RunEvent"
FACETS = {
    "schema": "1-2-0/SchemaDatasetFacet",
    "version": "1-0-1/DatasetVersionDatasetFacet",
    "outputStatistics": "1-0-2/OutputStatisticsOutputDatasetFacet",
    "errorMessage": "1-0-1/ErrorMessageRunFacet",
    "parent": "1-2-0/ParentRunFacet",
    "tags": "1-0-0/TagsRunFacet",
    "jobType": "2-0-4/JobTypeJobFacet",
}
"""By the key of a facet: its published version and name."""

_TRAINING = frozenset({Phase.TRAINING, Phase.REGISTERING})
"""While the release is in them an attempt to train is under way."""

Json = dict[str, object]


@dataclass(frozen=True)
class Place:
    """Where the things are, by which their names are unique in the world."""

    account: str
    """Host of the storage account's blobs."""
    workspace: str
    """Namespace of what the Azure ML workspace holds, and of our jobs."""


@dataclass(frozen=True)
class _Run:
    """One run of one job of a loop, as far as one ledger entry tells of it."""

    place: Place
    loop: str
    entry: LedgerEntry
    job: str
    number: int
    attempt: int = 1
    tags: tuple[tuple[str, str], ...] = ()

    @property
    def id(self) -> str:
        """The same whenever and wherever the same run is told of."""
        name = "\n".join((self.place.workspace, self.loop, self.job, str(self.number), str(self.attempt)))
        return str(uuid.uuid5(uuid.uuid5(uuid.NAMESPACE_URL, PRODUCER), name))

    @property
    def named(self) -> Json:
        return {"namespace": self.place.workspace, "name": f"{self.loop}.{self.job}"}

    def event(
        self, kind: str, inputs: Sequence[Json] = (), outputs: Sequence[Json] = (), *, of: _Run | None = None
    ) -> Json:
        tags = (*self.tags, ("driftloop.ledger", f"{self.entry.seq}:{self.entry.hash}"))
        facets = _facet("tags", tags=[{"key": k, "value": v, "source": "DRIFTLOOP"} for k, v in tags])
        if kind in {"FAIL", "ABORT"}:
            why = spoken(self.entry.detail).get("reason") or self.entry.what
            facets |= _facet("errorMessage", message=why, programmingLanguage="PYTHON")
        if of is not None:
            facets |= _facet("parent", run={"runId": of.id}, job=of.named)
        kinds = _facet("jobType", processingType="BATCH", integration="DRIFTLOOP", jobType=self.job.upper())
        return {
            "eventType": kind,
            "eventTime": self.entry.at.isoformat(),
            "producer": PRODUCER,
            "schemaURL": RUN_EVENT,
            "run": {"runId": self.id, "facets": facets},
            "job": self.named | {"facets": kinds},
            "inputs": list(inputs),
            "outputs": list(outputs),
        }


def events(place: Place, loop: str, traced: Traced) -> list[Json]:
    """What an entry means to a lineage tool, in order; most entries mean nothing to it."""
    entry = traced.entry
    if traced.version is not None and entry.what == "version.created":
        return _version(place, loop, entry, traced.version)
    if traced.release is None:
        return []
    release = _Run(place, loop, entry, "release", traced.release.number, tags=_tags(traced.release))
    if entry.what == "release.started":
        return [release.event("START")]
    if entry.after not in set(Phase) or entry.before in ENDED or not entry.what.startswith("release."):
        return []  # what is said of a release once it has ended belongs to no run
    return [*_training(release, traced.release), *_release(release, traced)]


def _version(place: Place, loop: str, entry: LedgerEntry, version: DataVersion) -> list[Json]:
    """It is told once it is written, begin and end in one: a drop that becomes no version is no data set."""
    run = _Run(place, loop, entry, "version", version.number)
    home, _, name = (version.table or version.source).partition("/")
    account, container = accounts.split(home)
    own = f"https://{place.account}"
    address = accounts.address(own, account) if account else own
    landed: Json = {
        "namespace": f"wasbs://{container}@{address.removeprefix('https://')}",
        "name": name,
        "facets": _facet("version", datasetVersion=version.etag),
    }
    columns = [{"name": name, "type": kind} for name, kind in version.columns.items()]
    written = _data(place, loop, version.number)
    written["facets"] = {
        **_facet("version", datasetVersion=str(version.number)),
        **_facet("schema", fields=columns),
    }
    written["outputFacets"] = _facet("outputStatistics", rowCount=version.rows)
    return [run.event("START", [landed]), run.event("COMPLETE", [landed], [written])]


def _training(of: _Run, release: Release) -> list[Json]:
    """The attempt that an entry ends, then the one that it begins."""
    entry, attempt = of.entry, int(str(of.entry.detail.get("attempt") or 1))
    data = [_data(of.place, of.loop, number) for number in release.versions]
    told: list[Json] = []
    if entry.before in _TRAINING and entry.after != Phase.REGISTERING:
        ended = _attempt(of, attempt - 1 if entry.after == Phase.TRAINING else attempt)
        models = [_model(of.place, entry)] if entry.after == Phase.DEPLOYING else []
        told.append(ended.event("COMPLETE" if models else _failed(entry), data, models, of=of))
    if entry.after == Phase.TRAINING:
        told.append(_attempt(of, attempt).event("START", data, of=of))
    return told


def _attempt(of: _Run, number: int) -> _Run:
    tags = (*of.tags, ("azureml.job", f"{of.loop}-r{of.number}-a{number}"))
    return _Run(of.place, of.loop, of.entry, "training", of.number, number, tags)


def _release(run: _Run, traced: Traced) -> list[Json]:
    """Promotion gives the endpoint a model, the end says whether that stayed."""
    entry = run.entry
    promoted = entry.what == "release.promoted"
    if not promoted and entry.after not in ENDED:
        return []
    if not promoted and entry.after != Phase.LIVE:
        return [run.event(_failed(entry))]
    endpoint: Json = {
        "namespace": run.place.workspace,
        "name": f"onlineEndpoints/{traced.endpoint}",
        "facets": _facet("version", datasetVersion=str(entry.detail["deployment"])),
    }
    of = [_model(run.place, entry)], [endpoint]
    if not promoted:
        return [run.event("COMPLETE", *of)]
    if entry.after == Phase.LIVE:  # adopted as it served: it has no other entry
        return [run.event("START"), run.event("COMPLETE", *of)]
    return [run.event("RUNNING", *of)]


def _failed(entry: LedgerEntry) -> str:
    by_a_person = entry.after == Phase.ABORTED or entry.actor != "driftloop"
    return "ABORT" if by_a_person else "FAIL"


def _tags(release: Release) -> tuple[tuple[str, str], ...]:
    kinds = ",".join(dict.fromkeys(trigger.kind.value for trigger in release.triggers))
    return ("driftloop.release", f"{release.loop}/{release.number}"), ("driftloop.triggers", kinds)


def _data(place: Place, loop: str, version: int) -> Json:
    facets = _facet("version", datasetVersion=str(version))
    return {"namespace": place.workspace, "name": f"data/{loop}", "facets": facets}


def _model(place: Place, entry: LedgerEntry) -> Json:
    """A registry's has the same name in every environment; what is no asset, adopted as it served, has its own."""
    named = str(entry.detail["model"])
    try:
        model = assets.asset(named)
    except ConfigurationError:
        return {"namespace": place.workspace, "name": named, "facets": {}}
    where = f"azureml://registries/{model.registry}" if model.registry else place.workspace
    facets = _facet("version", datasetVersion=model.version)
    return {"namespace": where, "name": f"models/{model.name}", "facets": facets}


def _facet(key: str, **content: object) -> Json:
    version_and_name = FACETS[key]
    url = f"{SPEC}/facets/{version_and_name}.json#/$defs/{version_and_name.partition('/')[2]}"
    return {key: {"_producer": PRODUCER, "_schemaURL": url, **content}}
