"""A model that went live in one environment is a release in the next: untrained, of the same content, on record."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from click.testing import Result
from typer.testing import CliRunner

from cli import acts, app, export, session
from cli import audit as audits
from cli import publish as publishing
from shared import loopfile
from shared.audit import answer, exported_release, origin
from shared.audit.exported_release import ExportedRelease
from shared.domain.caller import Caller
from shared.domain.reason import Code, Reason
from shared.domain.release import Phase
from shared.errors import ConfigurationError, InputRejected
from shared.inbox import messages, recorder
from shared.loopfile import environments
from shared.loopfile.published import Assets, Published
from shared.memory.azureml import MemorySharing
from shared.release import promoted
from shared.runtime import publication, tick, unit_of_work
from shared.settings import Settings
from shared.state import queries
from shared.words import say
from tests.engine.world import LOOP, World, csv, lived, season
from tests.tower.tower import page

REGISTRY = "/subscriptions/s/resourceGroups/g/providers/Microsoft.MachineLearningServices/registries/shared"
SETTINGS = Settings(**{field.name: "" for field in fields(Settings)})
FILE = (
    LOOP.replace("attempts: 2", "attempts: 2, only_in: test")
    .replace("{endpoint: birds}", "{endpoint: birds, scoring: score, environment: env.yml}")
    .replace("on_inconclusive: reject", "on_inconclusive: promote")
    + "environments: {test: {}, production: {gate: {margin: 0.05}}}\n"
)
ENVIRONMENT, CODE = "azureml:birds-scoring:1", "azureml:code:1"


def publish(world: World, environment: str, text: str = FILE, code: str = "c0de", **changes: object) -> None:
    """With what the workspace knows of the content of environment and code."""
    world.ports.training.digests |= {ENVIRONMENT: "e" * 64, CODE: code * 16}
    definition = environments.of(loopfile.parse(text, file="loop.yaml"), environment)
    digests = {asset: world.ports.training.digests[asset] or "" for asset in (ENVIRONMENT, CODE)}
    assets = replace(Assets("azureml:t:1", ENVIRONMENT, CODE, digests=digests), **changes)  # type: ignore[arg-type]
    published = Published(definition, assets, "ann", world.clock.now(), environment=environment)
    publication.publish(world.ports, published)


@pytest.fixture
@lived
def test() -> World:
    """Where release 1 is live."""
    world = World()
    publish(world, "test")
    world.drop("2007.csv", csv(season(2007)))
    assert world.live() == 1
    world.ticks(20)
    return world


@pytest.fixture
def production(test: World) -> World:
    """With rows of its own, and no model yet."""
    world = _production()
    world.ports.training.registry = test.ports.training.registry
    return world


@lived
def _production() -> World:
    world = World()
    publish(world, "production")
    world.drop("2008.csv", csv(season(2008)))
    world.ticks(5)
    assert world.state.champion is None
    return world


def shared(world: World, number: int = 1) -> ExportedRelease:
    current = unit_of_work.read(world.ports, "birds")
    exported = exported_release.export(world.ports, "birds", number)
    found = origin.share(current, MemorySharing(world.ports.training), exported, REGISTRY, "ann")
    assert isinstance(found, promoted.Tested), say(found)
    return exported


def promote(world: World, exported: ExportedRelease, id: str = "") -> str:
    evidence = origin.bring(world.ports.documents, exported, REGISTRY)
    assert isinstance(evidence, str)
    body = {"evidence": evidence, "reason": "tested"} | ({"id": id} if id else {})
    world.send(messages.act_message("release", "birds", body, "bob"))
    return evidence


def not_shared(world: World, number: int) -> Reason:
    exported = exported_release.export(world.ports, "birds", number)
    current = unit_of_work.read(world.ports, "birds")
    found = origin.share(current, MemorySharing(world.ports.training), exported, REGISTRY, "ann")
    assert isinstance(found, Reason)
    assert world.ports.training.registry.models == {} and origin.SHARED not in world.ledger()
    assert isinstance(origin.bring(world.ports.documents, exported, REGISTRY), Reason)
    return found


def refused(world: World) -> Reason:
    entry = [entry for entry in queries.entries(world.ports, "birds") if entry.what == "action.refused"][-1]
    why = entry.detail["why"]
    assert isinstance(why, Reason)
    return why


def test_it_goes_live_without_a_job_with_the_same_environment_and_code(
    test: World, production: World
) -> None:
    promote(production, shared(test))
    assert production.live() == 1
    release, before = production.release(1), test.release(1)
    assert production.ports.training.submitted == []
    assert (release.versions, release.judged_on, release.job) == ((), (1,), "")
    assert release.model.startswith("azureml://registries/shared/models/birds/versions/1-")
    assert [judged.kind.value for judged in release.judgements[:2]] == ["smoke", "gate"]
    made = production.ports.serving.endpoints["birds"].deployments[release.deployment].spec
    tested = test.ports.serving.endpoints["birds"].deployments[before.deployment].spec
    digests = production.ports.training.digest(made.environment), production.ports.training.digest(made.code)
    assert digests == (
        test.ports.training.digest(tested.environment),
        test.ports.training.digest(tested.code),
    )
    assert made.environment == f"azureml://registries/shared/environments/birds-scoring/versions/{'e' * 12}"


def test_the_ledgers_chain_crosses_and_one_audit_answers_both(test: World, production: World) -> None:
    evidence = promote(production, shared(test))
    assert production.live() == 1
    started = next(e for e in queries.entries(production.ports, "birds") if e.what == "release.started")
    live = next(e for e in queries.entries(test.ports, "birds") if e.what == "release.live")
    asked = production.release(1).triggers[0].reason.facts
    assert (asked["environment"], asked["release"], asked["entry"], asked["hash"]) == (
        "test",
        1,
        live.seq,
        live.hash,
    )
    assert started.detail["promoted"] == asked["evidence"] == evidence

    audited = answer.audit(production.ports, "birds")
    assert (audited.problems, audited.not_compared) == ((), ())
    served, there = audited.served, answer.audit(test.ports, "birds").served
    assert served is not None and served.origin is not None and there is not None
    assert (served.environment, served.unknown, served.origin_hash) == ("production", None, live.hash)
    same = (
        "loop",
        "release",
        "model",
        "asked_by",
        "published_by",
        "algorithm",
        "job",
        "versions",
        "because",
        "live_at",
    )
    assert all(getattr(served.origin, name) == getattr(there, name) for name in same)
    assert served.origin.environment == "test"


def test_sharing_is_on_record_where_it_was_tested_and_again_changes_nothing(test: World) -> None:
    shared(test)
    before = test.ledger()
    shared(test)
    assert test.ledger() == before and before.count(origin.SHARED) == 1
    assert len(test.ports.training.registry.models) == 1
    entry = next(e for e in queries.entries(test.ports, "birds") if e.what == origin.SHARED)
    assert (entry.actor, entry.detail["release"]) == ("ann", "1")
    assert answer.audit(test.ports, "birds").problems == ()


def test_a_loop_goes_on_while_its_model_is_copied(test: World) -> None:
    class Slow(MemorySharing):
        def ensure_model(self, model: str, name: str, version: str) -> str:
            test.drop("2008.csv", csv(season(2008)))
            test.ticks(2)
            return super().ensure_model(model, name, version)

    current, exported = (
        unit_of_work.read(test.ports, "birds"),
        exported_release.export(test.ports, "birds", 1),
    )
    origin.share(current, Slow(test.ports.training), exported, REGISTRY, "ann")
    assert {"version.created", origin.SHARED} <= set(test.ledger())


def test_a_repeated_promotion_is_one_release(test: World, production: World) -> None:
    exported = shared(test)
    promote(production, exported, id="once")
    promote(production, exported, id="once")
    assert production.live() == 1
    promote(production, exported, id="again")
    assert refused(production).code is Code.MODEL_SERVES
    assert production.state.next_release == 2


def promote_two(test: World, production: World) -> None:
    promote(production, shared(test))
    assert production.live() == 1
    production.ticks(20)
    test.act("retrain")
    assert test.live() == 2
    promote(production, shared(test, 2))
    assert production.live() == 2


def test_beside_a_champion_it_passes_gate_and_canary(test: World, production: World) -> None:
    promote_two(test, production)
    kinds = [judged.kind.value for judged in production.release(2).judgements]
    assert {"smoke", "gate", "canary", "bake"} <= set(kinds)
    assert production.release(2).champion is not None


def test_production_can_go_back_to_what_was_promoted(test: World, production: World) -> None:
    promote_two(test, production)
    production.ticks(20)
    production.send(messages.act_message("rollback", "birds", {"to": 1}, "bob"))
    assert production.live() == 3
    served = answer.audit(production.ports, "birds").served
    assert served is not None and served.origin is not None
    assert (served.back_to, served.origin.release) == (1, 1)
    assert production.ports.training.submitted == []


def test_what_was_promoted_goes_on_to_a_third_environment(test: World, production: World) -> None:
    promote(production, shared(test))
    assert production.live() == 1
    third = World()
    third.ports.training.registry = test.ports.training.registry
    publish(third, "third", FILE.replace("production:", "third:"))
    third.drop("2008.csv", csv(season(2008)))
    third.ticks(5)
    before = len(test.ports.training.registry.models)
    exported = shared(production)
    proof = export.opened_from(exported).proof
    assert proof is not None and proof.problems == (), "or `driftloop promote` refuses the file"
    promote(third, exported)
    assert third.live() == 1
    assert third.release(1).model == production.release(1).model
    assert len(test.ports.training.registry.models) == before, "it is in the registry already"


def other_code(test: World, production: World) -> None:
    publish(production, "production", code="d1ff")


def registered_anew(test: World, production: World) -> None:
    (model,) = test.ports.training.registry.models.values()
    model.job = "another"


def archived(test: World, production: World) -> None:
    (model,) = test.ports.training.registry.models.values()
    model.archived = True


def checks(test: World, production: World) -> None:
    publish(
        production, "production", FILE.replace("gate: {margin: 0.1", "gate: {checks: [qa.yml], margin: 0.1")
    )


SPOILT: dict[Code, Callable[[World, World], object]] = {
    Code.PROMOTION_DIFFERS: other_code,
    Code.PROMOTION_ANOTHER_MODEL: registered_anew,
    Code.MODEL_ARCHIVED: archived,
    Code.MODEL_GONE: lambda test, production: test.ports.training.registry.models.clear(),
    Code.PROMOTION_HAS_CHECKS: checks,
    Code.ACT_WHILE_FROZEN: lambda test, production: production.act("pause"),
    Code.PROMOTION_MISDIRECTED: lambda test, production: publish(production, "test"),
}


@pytest.mark.parametrize("code", SPOILT)
def test_what_is_not_what_was_tested_is_refused(test: World, production: World, code: Code) -> None:
    exported = shared(test)
    SPOILT[code](test, production)
    promote(production, exported)
    assert refused(production).code is code
    assert production.state.next_release == 1
    assert production.ports.serving.endpoints == {}


def test_an_environment_of_the_registry_that_is_gone_is_refused(test: World, production: World) -> None:
    exported = shared(test)
    test.ports.training.registry.environments.clear()
    promote(production, exported)
    why = refused(production)
    assert (why.code, why.facts["part"], why.facts["now"]) == (
        Code.PROMOTION_DIFFERS,
        "environment",
        "not known",
    )
    assert "publish to production the folder that was tested" in say(why)


def test_without_rows_of_its_own_production_has_no_gate_and_says_so(test: World) -> None:
    world = World()
    world.ports.training.registry = test.ports.training.registry
    publish(world, "production")
    promote(world, shared(test))
    assert refused(world).code is Code.MODEL_NO_ROWS


def test_evidence_that_is_not_there_is_refused(production: World) -> None:
    body = {"evidence": "0" * 64, "reason": ""}
    production.send(messages.act_message("release", "birds", body, "bob"))
    assert refused(production).code is Code.PROMOTION_UNREADABLE


@pytest.mark.parametrize("evidence", ["x", "0" * 63, "G" * 64])
def test_what_is_no_documents_hash_is_no_request(evidence: str) -> None:
    with pytest.raises(InputRejected) as rejected:
        messages.act_message("release", "birds", {"evidence": evidence}, "bob")
    assert rejected.value.code == "no-evidence"


def test_only_what_went_live_is_shared(test: World) -> None:
    test.models["r2-a1"] = lambda row: "Gentoo"
    test.act("retrain")
    test.ticks_with_traffic(60)
    assert test.release(2).phase is Phase.REJECTED
    assert not_shared(test, 2).code is Code.PROMOTION_NOT_LIVE


def test_what_is_served_with_must_be_known_by_content(test: World) -> None:
    publish(test, "test", digests={})
    test.act("retrain")
    assert test.live() == 2
    assert not_shared(test, 2).code is Code.PROMOTION_CONTENT_UNKNOWN


def test_what_ran_in_no_environment_is_not_shared() -> None:
    world = World()
    publish(world, "", FILE.replace(", only_in: test", ""))
    world.drop("2007.csv", csv(season(2007)))
    assert world.live() == 1
    assert not_shared(world, 1).code is Code.PROMOTION_NO_ENVIRONMENT


def test_a_version_that_was_deleted_in_the_registry_is_told(test: World) -> None:
    shared(test)
    registry = test.ports.training.registry
    registry.deleted |= set(registry.models)
    registry.models.clear()
    with pytest.raises(ConfigurationError, match="cannot be created again"):
        shared(test)


def test_an_audit_finds_an_edited_entry_in_the_evidence(test: World, production: World) -> None:
    """Which `driftloop promote` would have refused: whoever may write to the queue can ask for more than it does."""
    exported = shared(test)
    entries = [json.loads(json.dumps(entry)) for entry in exported.entries]
    edited = next(e["content"] for e in entries if e["content"]["what"] == "release.training")
    edited["actor"] = "nobody"
    promote(production, replace(exported, entries=tuple(entries)))
    assert production.live() == 1
    found = [problem.code for problem in answer.audit(production.ports, "birds").problems]
    assert found == [Code.LEDGER_ENTRY_EDITED]


def test_an_audit_finds_a_claim_that_the_evidence_does_not_bear_out(test: World, production: World) -> None:
    exported = shared(test)
    evidence = promote(production, exported)
    assert production.live() == 1
    documents = production.ports.documents
    claim = json.loads(documents.get(evidence)) | {"hash": "0" * 64}
    documents.contents[evidence] = json.dumps(claim).encode()
    problems = answer.audit(production.ports, "birds").problems
    assert Code.AUDIT_DOCUMENT in {problem.code for problem in problems}


@pytest.mark.parametrize("spoilt", ["its documents", "its number"])
def test_an_audit_tells_of_evidence_that_does_not_fit_together(
    test: World, production: World, spoilt: str
) -> None:
    """Whoever may write to the queue may name documents that no `driftloop promote` wrote."""
    exported, documents = shared(test), production.ports.documents
    evidence = origin.bring(documents, exported, REGISTRY)
    assert isinstance(evidence, str)
    claim = json.loads(documents.get(evidence))
    if spoilt == "its number":
        claim["release"] = 7
    else:
        claim["export"] = documents.put(replace(exported, documents={}).to_text().encode())
    body = {"evidence": documents.put(json.dumps(claim).encode()), "reason": "tested"}
    production.send(messages.act_message("release", "birds", body, "bob"))
    assert production.live() == 1
    found = [problem.code for problem in answer.audit(production.ports, "birds").problems]
    assert found == [Code.ORIGIN_DIFFERS if spoilt == "its number" else Code.AUDIT_DOCUMENT]


def test_the_claim_is_a_document_that_survives_its_round_trip(test: World) -> None:
    found = origin.tested(exported_release.export(test.ports, "birds", 1), REGISTRY)
    assert isinstance(found, promoted.Tested)
    assert promoted.Tested.from_dict(json.loads(json.dumps(found.to_dict()))) == found
    assert found.model.rpartition("/")[2] == f"1-{found.hash[:12]}"


def test_where_models_are_trained_elsewhere_nothing_trains_whoever_asks(production: World) -> None:
    production.act("retrain")
    production.ticks(5)
    assert (production.state.next_release, production.ports.training.submitted) == (1, [])
    assert production.state.denial is not None and production.state.denial.code is Code.TRAINED_ELSEWHERE
    assert production.ledger().count("retrain.denied") == 2


def test_with_the_same_definition_production_may_train_its_own(test: World) -> None:
    world = World()
    publish(world, "production", FILE.replace(", only_in: test", ""))
    world.drop("2008.csv", csv(season(2008)))
    assert world.live() == 1
    assert world.ports.training.submitted == ["birds-r1-a1"]


# --- the commands ----------------------------------------------------------------------------------


def run(*words: str) -> Result:
    return CliRunner().invoke(app, list(words))


def of(world: World, environment: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A command's surroundings: the world's ports, and a worker that takes up what is asked for."""
    settings = replace(SETTINGS, environment=environment, registry=REGISTRY)
    monkeypatch.setattr(session, "settings", lambda: settings)
    monkeypatch.setattr(session, "ports", lambda: world.ports)
    monkeypatch.setattr(audits, "ports", lambda: world.ports)
    monkeypatch.setattr(session, "sharing", lambda: MemorySharing(world.ports.training))
    monkeypatch.setattr(session, "who", lambda: "ann")
    # `acts.time.sleep` would be every thread's: a client's poll in the background would run the loop beside the test
    clock = SimpleNamespace(
        monotonic=time.monotonic, sleep=lambda seconds: tick.run_all(world.ports, ["birds"])
    )
    monkeypatch.setattr(acts, "time", clock)


def test_share_writes_a_file_that_promote_releases(
    test: World, production: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    of(test, "test", monkeypatch)
    told = run("share", "birds/1")
    assert told.exit_code == 0, told.output
    assert "shared birds/1 of test as azureml://registries/shared/models/birds/versions/1-" in told.output
    assert "driftloop promote birds-1.html" in told.output

    of(production, "production", monkeypatch)
    told = run("promote", "birds-1.html", "-m", "it did well")
    assert told.exit_code == 0, told.output
    assert production.live() == 1
    told = run("audit", "birds")
    assert told.exit_code == 0, told.output
    assert "promoted from test" in told.output and "birds-r1-a1" in told.output


def test_a_file_that_was_edited_promotes_nothing(
    test: World, production: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    of(test, "test", monkeypatch)
    place = tmp_path / "birds-1.html"
    assert run("share", "birds/1", "--to", str(place)).exit_code == 0
    place.write_text(place.read_text().replace("release.training", "release.trainings"))
    of(production, "production", monkeypatch)
    told = run("promote", str(place))
    assert told.exit_code == 1 and isinstance(told.exception, ConfigurationError)
    assert "nothing is promoted by it" in str(told.exception)
    assert production.state.next_release == 1


def test_where_people_are_asked_for_a_signed_in_person_sends_the_evidence(
    test: World, production: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    of(test, "test", monkeypatch)
    place = tmp_path / "birds-1.html"
    assert run("share", "birds/1", "--to", str(place)).exit_code == 0
    publish(production, "production", FILE + "people: {act: [Birds.Act]}\n")
    of(production, "production", monkeypatch)
    told = run("promote", str(place))
    assert told.exit_code == 1 and "nobody vouches" in str(told.exception)
    (evidence,) = re.findall(r"its evidence is ([0-9a-f]{64})", told.output)
    caller = Caller("bob", "b0b", frozenset({"Birds.Act"}))
    message = messages.act_message("release", "birds", {"evidence": evidence}, caller.actor)
    recorder.submit(production.ports, message, caller)
    assert production.live() == 1


def test_without_a_registry_it_says_what_to_set(test: World, monkeypatch: pytest.MonkeyPatch) -> None:
    of(test, "test", monkeypatch)
    settings = replace(SETTINGS, environment="test")
    monkeypatch.setattr(session, "settings", lambda: settings)
    told = run("share", "birds/1")
    assert told.exit_code == 1 and "set DRIFTLOOP_REGISTRY" in str(told.exception)


@pytest.mark.parametrize("registry", ["shared", f"{REGISTRY}/", REGISTRY.replace("registries", "workspaces")])
def test_a_registry_that_is_no_resource_id_is_refused_by_its_setting(registry: str) -> None:
    given = dict.fromkeys(Settings.names(), "x") | {"DRIFTLOOP_ENDPOINT_ACCESS": "enabled"}
    assert Settings.from_environment(given | {"DRIFTLOOP_REGISTRY": REGISTRY}).registry == REGISTRY
    with pytest.raises(ConfigurationError, match=r"DRIFTLOOP_REGISTRY is .* must be the resource id"):
        Settings.from_environment(given | {"DRIFTLOOP_REGISTRY": registry})


@pytest.mark.parametrize(
    ("to", "here", "words"),
    [
        ("", "test", "missing --to: the loop file has the environments test, production"),
        ("test", "production", "--to test: this deployment is production"),
        ("test", "", "--to test: this deployment is no environment"),
        ("lab", "lab", 'found nothing of "lab"; allowed: one of test, production'),
    ],
)
def test_a_loop_is_published_to_the_deployment_that_is_meant(
    to: str, here: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "train.yml").write_text("type: pipeline")
    (tmp_path / "loop.yaml").write_text(
        LOOP + "environments: {test: {}, production: {gate: {margin: 0.05}}}\n"
    )
    monkeypatch.setattr(session, "settings", lambda: replace(SETTINGS, environment=here))
    with pytest.raises(ConfigurationError) as no:
        publishing.defined(tmp_path, (), to)
    assert words in str(no.value)
    monkeypatch.setattr(session, "settings", lambda: replace(SETTINGS, environment="production"))
    assert publishing.defined(tmp_path, (), "production").gate.margin == 0.05
    (tmp_path / "loop.yaml").write_text(LOOP)
    assert publishing.defined(tmp_path, (), "production") == publishing.defined(tmp_path, (), "")


def test_a_page_tells_where_a_promoted_model_comes_from(test: World, production: World) -> None:
    promote(production, shared(test))
    assert production.live() == 1
    told = page(production.ports, "/loops/birds/audit")
    assert "from release 1 in test, asked for by" in told and "ledger hash there" in told
    assert "https://ml.azure.com/registries/shared/models/birds/version/1-" in told
