"""S06: nobody acts in another's name; what a person does is done once, with their name and reason in the ledger."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Callable

import pytest

from shared.domain.event import InboxState
from shared.domain.ledger import LedgerEntry
from shared.inbox import recorder
from shared.memory.azureml import MemoryModel
from shared.runtime import tick
from shared.state import queries
from shared.words import spoken
from tests.engine.test_foreign import CONDA, FITTING
from tests.engine.world import ACCOUNT, LOOP, World, csv, season
from tests.faults import Call, watched
from tests.tower.tower import OURS, TOKEN, get, page, post, twin
from tower import csrf


def form(verb: str, **more: str) -> dict[str, str]:
    return {"loop": "birds", "verb": verb, "id": uuid.uuid4().hex, "reason": "because I say so", **more}


def take(world: World) -> None:
    """What the queue function does with what was put there."""
    messages, world.ports.queue.messages[:] = list(world.ports.queue.messages), []
    for message in messages:
        tick.run_all(world.ports, recorder.receive(world.ports, message, ACCOUNT))


def last(world: World, what: str) -> LedgerEntry:
    return [entry for entry in queries.entries(world.ports, "birds") if entry.what == what][-1]


def test_an_action_is_in_the_ledger_with_its_actor_and_reason(acting_world: World) -> None:
    reply = post(acting_world.ports, form("pause"))
    assert (reply.status, reply.headers["Location"].split("?")[0]) == (303, "/api/tower/loops/birds")
    take(acting_world)
    entry = last(acting_world, "loop.paused")
    assert (entry.actor, entry.detail["reason"]) == ("ann@contoso.com (7d1e)", "because I say so")
    assert "because I say so" in page(acting_world.ports, "/loops/birds")


def test_the_page_says_what_became_of_an_action(acting_world: World) -> None:
    asked = post(acting_world.ports, form("abort", release="1")).headers["Location"].partition("/tower")[2]
    assert "Request queued" in page(acting_world.ports, asked)
    take(acting_world)
    assert "abort does nothing: release 1 of birds is not open" in page(acting_world.ports, asked)


def test_a_page_is_never_older_than_the_answer_that_it_shows(acting_world: World) -> None:
    """The loop takes the action up while the page is being made: right after whatever is read first."""
    asked = post(acting_world.ports, form("pause")).headers["Location"].partition("/tower")[2]

    def around(call: Call, make: Callable[[], object]) -> object:
        answer = make()
        take(acting_world)
        return answer

    shown = page(watched(acting_world.ports, around), asked)
    assert "Request queued" in shown or ">Resume<" in shown
    assert ">Resume<" in page(acting_world.ports, asked)


def test_a_double_click_is_one_action(acting_world: World) -> None:
    twice = form("retrain")
    assert [post(acting_world.ports, twice).status for _ in range(2)] == [303, 303]
    take(acting_world)
    acting_world.live()
    take(acting_world)
    assert [e.what for e in queries.entries(acting_world.ports, "birds")].count("release.started") == 2


def test_a_quarantined_drop_is_read_again_once_the_loop_file_is_mended(acting_world: World) -> None:
    (aside,) = queries.set_aside(acting_world.ports, "birds")
    assert f'value="{aside.key}"' in page(acting_world.ports, "/loops/birds")
    replay = form("replay", drop=aside.key)
    post(acting_world.ports, replay)
    take(acting_world)
    again = queries.event(acting_world.ports, "birds", aside.key)
    assert again and (again.state, again.reason and again.reason.code) == (
        InboxState.QUARANTINED,
        "missing-target",
    )
    assert last(acting_world, "drop.replayed").actor == "ann@contoso.com (7d1e)"
    assert len(queries.set_aside(acting_world.ports, "birds")) == 1
    acting_world.publish(LOOP.replace("target: species", "target: sex").replace("[year]", "[year, species]"))
    post(acting_world.ports, form("replay", drop=aside.key))
    take(acting_world)
    assert queries.set_aside(acting_world.ports, "birds") == []
    done = queries.event(acting_world.ports, "birds", aside.key)
    assert done and done.state is InboxState.DONE and done.version == 2


def test_replaying_what_is_not_quarantined_does_nothing(acting_world: World) -> None:
    for key in ("", "0" * 32, "../x"):
        post(acting_world.ports, form("replay", drop=key))
    take(acting_world)
    assert "replay does nothing" in spoken(last(acting_world, "action.refused").detail)["why"]
    assert acting_world.state.next_version == 2


@pytest.fixture
def renewed(acting_world: World) -> World:
    """A second release serves."""
    acting_world.publish(LOOP.replace("on_inconclusive: reject", "on_inconclusive: promote"))
    acting_world.act("retrain")
    assert acting_world.live() == 2
    acting_world.ticks(2)
    return acting_world


def test_the_page_of_a_release_that_was_live_offers_the_way_back_to_it(renewed: World) -> None:
    shown = page(renewed.ports, "/loops/birds/releases/1")
    assert "Roll back to this" in shown and 'name="to" value="1"' in shown
    assert "Roll back to this" not in page(renewed.ports, "/loops/birds/releases/2")
    post(renewed.ports, form("rollback", to="1", release="", gate="yes"))
    take(renewed)
    release = renewed.release(3)
    assert (release.back_to, release.ungated) == (1, False)
    assert release.triggers[0].actor == "ann@contoso.com (7d1e)"
    assert "the model of release 1, deployed again" in page(renewed.ports, "/loops/birds/releases/3")
    assert "Roll back to this" not in page(renewed.ports, "/loops/birds/releases/1"), "a release is open"
    assert renewed.live() == 3
    assert "deployed again at the wish of" in page(renewed.ports, "/loops/birds/audit")


def test_a_registered_model_is_released_from_the_page_which_says_what_is_not_known_of_it(
    renewed: World,
) -> None:
    assert 'name="model"' in page(renewed.ports, "/loops/birds")
    post(renewed.ports, form("release", model="lab:3"))
    take(renewed)
    assert "model lab:3 does not exist" in spoken(last(renewed, "action.refused").detail)["why"]
    files = {"mlmodel": FITTING, "conda": CONDA, "made_by": "<b>eve</b>"}
    renewed.ports.training.models["lab", "3"] = MemoryModel("", {}, "mlflow_model", **files)  # type: ignore[arg-type]
    post(renewed.ports, form("release", model="lab:3"))
    take(renewed)
    assert renewed.live() == 3
    for path in ("/loops/birds/releases/3", "/loops/birds/audit"):
        shown = page(renewed.ports, path)
        assert "no data version, no job, no commit" in shown and "<b>eve" not in shown
    assert post(renewed.ports, form("release", model="lab")).status == 400


FOREIGN = {
    "another site": {"sec-fetch-site": "cross-site"},
    "another host of the same site": {"sec-fetch-site": "same-site"},
    "an old browser on another origin": {"sec-fetch-site": "", "origin": "https://evil.example"},
    "an old browser on our host without TLS": {"sec-fetch-site": "", "origin": "http://tower.example"},
    "an old browser on another port": {"sec-fetch-site": "", "origin": "https://tower.example:8443"},
    "a sandboxed page": {"sec-fetch-site": "", "origin": "null"},
    "nobody says": {"sec-fetch-site": "", "origin": ""},
    "no cookie": {"cookie": ""},
    "another cookie": {"cookie": f"__Host-driftloop={'u' * 43}"},
    "a cookie of another name": {"cookie": f"driftloop={TOKEN}"},
    "a cookie that is no token": {"cookie": "__Host-driftloop="},
}


def test_an_old_browser_on_our_page_and_a_client_that_is_none_are_believed() -> None:
    for headers in (
        {"Origin": "https://tower.example", "Host": "tower.example"},
        {"Origin": "https://tower.example"},
        {"Sec-Fetch-Site": "same-origin", "Origin": "https://evil.example"},
        {},
    ):
        csrf.refuse_other_sites(headers, "https://tower.example/api/tower/act")
    with pytest.raises(csrf.Forged):
        csrf.refuse_other_sites({"ORIGIN": "https://evil.example"}, "https://tower.example/api/tower/act")


def test_the_host_that_the_browser_named_is_ours_behind_another_address() -> None:
    """The app may hear another address than people see."""
    headers = {"host": "tower.example", "origin": "https://tower.example"}
    csrf.refuse_other_sites(headers, "https://inner.example/api/tower/act")
    with pytest.raises(csrf.Forged, match="Origin"):
        csrf.refuse_other_sites(headers | {"origin": "https://inner.example"}, "https://inner.example/x")


@pytest.mark.parametrize(("page", "address"), [("http", "https"), ("https", "http")])
def test_the_scheme_belongs_to_an_origin(page: str, address: str) -> None:
    csrf.refuse_other_sites(
        {"origin": f"{address}://tower.example"}, f"{address}://tower.example/api/tower/act"
    )
    with pytest.raises(csrf.Forged, match="Origin"):
        csrf.refuse_other_sites(
            {"origin": f"{page}://tower.example"}, f"{address}://tower.example/api/tower/act"
        )


@pytest.mark.parametrize("said", [{"sec-fetch-site": "same-origin"}, {"origin": "https://tower.example"}])
def test_one_word_of_the_browser_is_enough_for_a_form(said: dict[str, str]) -> None:
    headers = {"host": "tower.example", "cookie": f"{csrf.COOKIE}={TOKEN}", **said}
    csrf.check(headers, "https://tower.example/api/tower/act", TOKEN)
    for given in ("", f"{TOKEN}x", "\ud800"):
        with pytest.raises(csrf.Forged, match="too old"):
            csrf.check(headers, "https://tower.example/api/tower/act", given)


@pytest.mark.parametrize("token", ["", "short", "x" * 31, "x" * 65, f"{'x' * 42}!"])
def test_a_cookie_that_is_no_token_of_ours_counts_as_none(token: str) -> None:
    assert csrf.token_of({"cookie": f"{csrf.COOKIE}={token}"}) == ""
    assert csrf.token_of({"cookie": "a=b; \x00="}) == csrf.token_of({}) == ""
    assert csrf.token_of({"cookie": "a@b=1"}) == "", (
        "Python refuses such a name, which another application may use"
    )
    assert csrf.token_of({"cookie": f"a=b; {csrf.COOKIE}={TOKEN}"}) == TOKEN


@pytest.mark.parametrize("change", FOREIGN.values(), ids=FOREIGN)
def test_what_another_page_sends_is_refused_before_anything_is_written(
    acting_world: World, change: dict[str, str]
) -> None:
    headers = {name: value for name, value in (OURS | change).items() if value}
    reply = post(acting_world.ports, form("pause"), headers)
    assert reply.status == 403
    assert acting_world.ports.queue.messages == []
    assert (
        b"nothing was done" in reply.content
        or b"load it again" in reply.content
        or b"browser" in reply.content
    )


@pytest.mark.parametrize(
    "wrong",
    [
        {"token": "t" * 42},
        {"token": ""},
        {"loop": "nobody"},
        {"loop": "../x"},
        {"verb": "delete"},
        {"id": "1"},
        {"id": "x" * 32},
    ],
    ids=str,
)
def test_a_form_that_is_not_ours_does_nothing(acting_world: World, wrong: dict[str, str]) -> None:
    assert post(acting_world.ports, form("pause") | wrong).status in (400, 403)
    assert acting_world.ports.queue.messages == []


def test_a_body_that_is_too_large_or_no_form_does_nothing(acting_world: World) -> None:
    assert post(acting_world.ports, form("pause", reason="x" * 20_000)).status == 403
    assert post(acting_world.ports, form("pause") | {f"field{n}": "1" for n in range(30)}).status == 403
    assert acting_world.ports.queue.messages == []


def test_a_visitor_without_a_token_gets_one_that_only_our_pages_see(acting_world: World) -> None:
    reply = get(acting_world.ports, "/loops/birds")
    cookie = reply.headers["Set-Cookie"]
    assert cookie.endswith("; Path=/; Secure; HttpOnly; SameSite=Strict")
    token = cookie.partition("=")[2].partition(";")[0]
    assert re.findall(r'name="token" value="([^"]+)"', reply.content.decode())[0] == token


def test_what_is_offered_fits_what_is_going_on(acting_world: World) -> None:
    def offered() -> set[str]:
        html = page(acting_world.ports, "/loops/birds")
        return set(re.findall(r'name="verb" value="(\w+)"', html)) - {"replay"}

    assert offered() == {"retrain", "release", "pause"}
    acting_world.act("pause")
    assert offered() == {"retrain", "resume"}
    acting_world.act("resume")
    acting_world.ticks(3, 60)
    acting_world.drop("2009.csv", csv(season(2009, body_mass_g=0.8)))
    acting_world.ticks_with_traffic(4)
    assert offered() == {"skip", "abort", "pause"}
    offers = twin(acting_world.ports, "/loops/birds/releases/2")["offers"]
    assert [offer["verb"] for offer in offers] == ["skip", "abort"]
    acting_world.act("pause")
    assert offered() == {"abort", "resume"}, "what is refused while the loop is paused is not offered"


def test_a_champion_whose_traffic_was_taken_away_can_be_restored(acting_world: World) -> None:
    def offered() -> set[str]:
        return set(re.findall(r'name="verb" value="(\w+)"', page(acting_world.ports, "/loops/birds")))

    acting_world.ticks(3, 60)
    assert "restore" not in offered()
    acting_world.ports.serving.endpoints["birds"].traffic.clear()
    assert "restore" in offered()


def test_the_terminal_asks_for_the_same_and_tells_it_as_json(
    acting_world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    from typer.testing import CliRunner

    from cli import app, session

    monkeypatch.setattr(session, "ports", lambda: acting_world.ports)
    monkeypatch.setattr(session, "who", lambda: "ann@contoso.com")
    done = CliRunner().invoke(app, ["pause", "birds", "--reason", "because I say so", "--json", "--no-wait"])
    assert done.exit_code == 0, done.output
    (message,) = acting_world.ports.queue.messages
    assert json.loads(done.output) == json.loads(message)
    take(acting_world)
    entry = last(acting_world, "loop.paused")
    assert (entry.actor, entry.detail["reason"]) == ("ann@contoso.com", "because I say so")
    told = json.loads(CliRunner().invoke(app, ["explain", "birds", "--json"]).output)
    assert told["told"][-1]["what"] == "now" and "because I say so" in told["told"][-1]["why"]
