"""Who is believed to be who: the platform's word alone, and what the ledger keeps of it."""

from __future__ import annotations

import base64
import json

import azure.functions as func
import pytest

from functions.identity import Denied, caller
from functions.visits import visit
from shared.domain.caller import ACTING_ROLE, LOOKING_ROLE, Caller
from tower.site import Visit

ANN, OID = "ann@contoso.com", "7d1e0000-0000-0000-0000-00000000a11e"
LONG_OID = "http://schemas.microsoft.com/identity/claims/objectidentifier"
LONG_ROLE = "http://schemas.microsoft.com/ws/2008/06/identity/claims/role"


@pytest.fixture(autouse=True)
def platform(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEBSITE_AUTH_ENABLED", "True")


def principal(*claims: tuple[str, str]) -> str:
    return base64.b64encode(
        json.dumps({"claims": [{"typ": t, "val": v} for t, v in claims]}).encode()
    ).decode()


def of(*claims: tuple[str, str], role: str = LOOKING_ROLE, header: str = "X-MS-Client-Principal") -> Caller:
    return caller({header: principal(*claims)}, role)


@pytest.mark.parametrize("kind", ["oid", LONG_OID])
def test_the_ledger_keeps_the_name_and_the_object_id(kind: str) -> None:
    """A name can be given to somebody else, an object id never is."""
    who = of(("preferred_username", ANN), (kind, OID), ("roles", LOOKING_ROLE))
    assert (who.name, who.actor) == (ANN, f"{ANN} ({OID})")


@pytest.mark.parametrize(
    ("claims", "actor"),
    [
        ([("oid", OID)], OID),
        ([("appid", "app-1"), ("oid", OID)], f"app-1 ({OID})"),
        ([("name", "Ann"), ("upn", ANN)], ANN),
        ([("preferred_username", ""), ("name", "Ann")], "Ann"),
        ([], "somebody with no name"),
        ([("preferred_username", ANN), ("preferred_username", "bob@contoso.com")], ANN),
    ],
)
def test_whoever_has_no_name_is_called_by_what_there_is(claims: list[tuple[str, str]], actor: str) -> None:
    assert of(*claims, ("roles", LOOKING_ROLE)).actor == actor


@pytest.mark.parametrize("kind", ["roles", LONG_ROLE])
@pytest.mark.parametrize(("has", "needs", "passes"), [
    (LOOKING_ROLE, LOOKING_ROLE, True),
    (ACTING_ROLE, ACTING_ROLE, True),
    (LOOKING_ROLE, ACTING_ROLE, False),
    (ACTING_ROLE, LOOKING_ROLE, False),
    ("", LOOKING_ROLE, False),
])  # fmt: skip
def test_only_the_role_itself_lets_somebody_pass(kind: str, has: str, needs: str, passes: bool) -> None:
    if passes:
        assert has in of(("oid", OID), (kind, has), role=needs).roles
        return
    with pytest.raises(Denied, match=needs) as denied:
        of(("oid", OID), (kind, has), role=needs)
    assert denied.value.status == 403


def test_a_role_in_a_claim_of_another_kind_is_none() -> None:
    with pytest.raises(Denied):
        of(
            ("oid", OID),
            *((kind, ACTING_ROLE) for kind in ("groups", "name", "role", "scp")),
            role=ACTING_ROLE,
        )


@pytest.mark.parametrize("value", ["", "false", "0", "1", "yes"])
def test_without_the_platforms_authentication_nobody_is_believed(
    monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    """The header can be set by anybody then."""
    monkeypatch.setenv("WEBSITE_AUTH_ENABLED", value)
    with pytest.raises(Denied, match="authentication is off") as denied:
        of(("oid", OID), ("roles", LOOKING_ROLE))
    assert denied.value.status == 401
    monkeypatch.delenv("WEBSITE_AUTH_ENABLED")
    with pytest.raises(Denied):
        of(("oid", OID), ("roles", LOOKING_ROLE))


@pytest.mark.parametrize(
    "header",
    [
        "",
        "no base 64!",
        base64.b64encode(b"no json").decode(),
        base64.b64encode(b"[]").decode(),
        base64.b64encode(b"{}").decode(),
        base64.b64encode(b'{"claims": [{"typ": "roles"}]}').decode(),
        base64.b64encode(b'{"claims": 1}').decode(),
        base64.b64encode(b"\xff").decode(),
    ],
)
def test_what_is_no_principal_is_nobody(header: str) -> None:
    with pytest.raises(Denied) as denied:
        caller({"x-ms-client-principal": header}, LOOKING_ROLE)
    assert denied.value.status == 401


def asked(
    path: str, at: str, method: str = "GET", accept: str = "text/html", body: bytes = b"x"
) -> func.HttpRequest:
    held = principal(("preferred_username", ANN), ("oid", OID), ("roles", LOOKING_ROLE))
    headers = {"x-ms-client-principal": held, "Accept": accept}
    url = f"https://tower.example{at}"
    return func.HttpRequest(
        method, url, headers=headers, params={"from": "9"}, route_params={"path": path}, body=body
    )


@pytest.mark.parametrize("at", ["/api/tower/loops/birds", "/api/TOWER/loops/birds", "/API/Tower/loops/birds"])
def test_a_visit_has_its_place_whatever_the_case_of_its_route(at: str) -> None:
    seen = visit(asked("loops/birds", at), LOOKING_ROLE)
    assert isinstance(seen, Visit)
    assert seen.base == at.removesuffix("/loops/birds")
    assert (seen.path, seen.query, seen.caller.name) == ("loops/birds", {"from": "9"}, ANN)
    assert (seen.url, seen.headers["accept"]) == (f"https://tower.example{at}", "text/html")
    assert (seen.caller.actor, seen.caller.roles, seen.body) == (
        f"{ANN} ({OID})",
        frozenset({LOOKING_ROLE}),
        b"",
    )


def test_only_a_post_has_a_body() -> None:
    seen = visit(asked("act", "/api/tower/act", "POST", body=b"loop=birds"), LOOKING_ROLE)
    assert isinstance(seen, Visit) and seen.body == b"loop=birds"


@pytest.mark.parametrize(
    ("path", "accept", "kind"),
    [
        ("loops/birds", "text/html,*/*", "text/html"),
        ("loops/birds", "application/json", "application/json"),
        ("loops/birds.json", "text/html", "application/json"),
    ],
)
def test_a_refusal_has_the_shape_that_was_asked_for(path: str, accept: str, kind: str) -> None:
    refused = visit(asked(path, f"/api/tower/{path}", accept=accept), ACTING_ROLE)
    assert not isinstance(refused, Visit)
    assert refused.status == 403 and refused.kind.startswith(kind)


@pytest.mark.parametrize(
    ("principal_of", "status", "title", "leads"),
    [((), 401, "Sign in", True), ((("oid", OID), ("roles", LOOKING_ROLE)), 403, "Not allowed", False)],
)
def test_a_stranger_is_led_to_the_sign_in_and_somebody_without_the_role_is_not(
    principal_of: tuple[tuple[str, str], ...], status: int, title: str, leads: bool
) -> None:
    held = {"x-ms-client-principal": principal(*principal_of)} if principal_of else {}
    request = func.HttpRequest(
        "GET",
        "https://tower.example/api/tower/loops/birds",
        headers=held,
        route_params={"path": "loops/birds"},
        body=b"",
    )
    refused = visit(request, ACTING_ROLE)
    assert not isinstance(refused, Visit)
    page = refused.content.decode()
    assert (refused.status, f"<h1>{title}</h1>" in page) == (status, True)
    link = "/.auth/login/aad?post_login_redirect_uri=/api/tower/loops/birds"
    assert (link in page) is leads
    assert 'href="/api/tower"' in page
    assert ("sign in first" in page) is leads and (ACTING_ROLE in page) is not leads


def test_where_a_stranger_goes_after_the_sign_in_adds_nothing_to_its_address() -> None:
    address = "https://tower.example/api/tower/x&prompt=none"
    refused = visit(func.HttpRequest("GET", address, headers={}, route_params={"path": "x"}, body=b""))
    assert not isinstance(refused, Visit)
    assert "post_login_redirect_uri=/api/tower/x%26prompt%3Dnone" in refused.content.decode()


def test_a_principal_with_a_byte_that_is_no_base_64_is_nobody() -> None:
    held = principal(("oid", OID), ("roles", LOOKING_ROLE))
    assert caller({"x-ms-client-principal": held}, LOOKING_ROLE).oid == OID
    with pytest.raises(Denied, match="cannot be read"):
        caller({"x-ms-client-principal": f"{held[:8]}\n{held[8:]}"}, LOOKING_ROLE)


def test_a_caller_without_an_object_id_is_their_name() -> None:
    who = of(("preferred_username", ANN), ("roles", LOOKING_ROLE))
    assert (who.oid, who.actor) == ("", ANN)


@pytest.mark.parametrize("sign", ["_claim_names", "hasgroups"])
def test_groups_that_a_token_leaves_out_are_told_unless_it_names_some(sign: str) -> None:
    """Of somebody in very many groups the token names none: nobody may take that for being in none."""
    who = ("oid", OID), ("roles", LOOKING_ROLE)
    assert of(*who, (sign, "x")).groups_left_out is True
    assert of(*who, (sign, "x"), ("groups", "g1")).groups_left_out is False
    assert of(*who).groups_left_out is False
    assert of(*who, ("groups", "g1")).groups_left_out is False


def test_a_header_that_is_missing_is_answered_by_sign_in_first() -> None:
    with pytest.raises(Denied, match="sign in first"):
        caller({}, LOOKING_ROLE)


@pytest.mark.parametrize("at", ["/api/tower/loops/tower", "/api/tower/loops/a/tower/b"])
def test_a_loop_that_is_called_tower_moves_no_base(at: str) -> None:
    seen = visit(asked("loops/tower", at))
    assert isinstance(seen, Visit)
    assert seen.base == "/api/tower"


def test_a_visit_without_a_path_is_the_overviews_and_without_an_accept_a_browsers() -> None:
    held = {"x-ms-client-principal": principal(("oid", OID))}
    request = func.HttpRequest("GET", "https://tower.example/api/tower", headers=held, body=b"")
    seen = visit(request)
    assert isinstance(seen, Visit) and seen.path == ""
    refused = visit(request, ACTING_ROLE)
    assert not isinstance(refused, Visit)
    assert refused.kind.startswith("text/html") and b"XXXX" not in refused.content
