"""HTTP functions as Kestrel, ASP.NET's routing and the host answer for them."""

from __future__ import annotations

import base64
import json

import httpx
from azure.identity import DefaultAzureCredential

from tests.local.hosted import App

HTTP = """
@app.route(route="open/{name:alpha}/{rest?}", methods=["GET", "POST"], auth_level="anonymous")
def opened(req: func.HttpRequest) -> func.HttpResponse:
    if req.method == "POST":
        return func.HttpResponse(req.get_body()[::-1], mimetype="application/octet-stream")
    seen = dict(req.route_params) | dict(req.params) | {"principal": req.headers.get("x-ms-client-principal")}
    answer = func.HttpResponse(json.dumps(seen), status_code=203, mimetype="application/json")
    answer.headers.add("Set-Cookie", "a=1; Path=/")
    answer.headers.add("Set-Cookie", "b=2; HttpOnly")
    return answer

@app.route(route="open/fixed", auth_level="anonymous")
def fixed(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse("the fixed route comes first")

@app.route(route="keyed")
def keyed(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse("in")

@app.route(route="other")
def other(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse("in")

@app.route(route="ruled", auth_level="admin")
def ruled(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse("in")

@app.route(route="broken", auth_level="anonymous")
def broken(req: func.HttpRequest) -> func.HttpResponse:
    raise ValueError("secret reason")

@app.route(route="empty", auth_level="anonymous")
def empty(req: func.HttpRequest) -> func.HttpResponse:
    return None
"""


def test_http_routes_answers_and_limits(app: App) -> None:
    app.settings["FUNCTIONS_REQUEST_BODY_SIZE_LIMIT"] = "1000"
    app.write(HTTP)
    with app.running():
        answer = app.get("/api/open/bob/x?q=1&q=2")
        assert answer.status_code == 203
        assert answer.headers["content-type"] == "application/json"
        assert answer.headers.get_list("set-cookie") == ["a=1; Path=/", "b=2; HttpOnly"]
        assert answer.json() == {"name": "bob", "rest": "x", "q": "1,2", "principal": None}
        assert app.get("/API/OPEN/Bob").json()["name"] == "Bob"
        assert app.get("/api/open/fixed").text == "the fixed route comes first"
        assert [app.get(path).status_code for path in ("/api/open/b0b", "/open/bob", "/api/none")] == [
            404
        ] * 3
        url = f"http://127.0.0.1:{app.port}/api/open/bob"
        assert httpx.delete(url, trust_env=False).status_code == 404
        assert httpx.post(url, content=b"\x00\xff1", trust_env=False).content == b"1\xff\x00"
        assert httpx.post(url, content=b"x" * 1001, trust_env=False).status_code == 413
        for path in ("/api/broken", "/api/empty"):
            assert (app.get(path).status_code, app.get(path).text) == (500, "")


def test_keys_admit_by_level_and_the_header_wins(app: App) -> None:
    app.write(HTTP)
    with app.running() as host:
        keyed, other, default, master = (
            app.key(n) for n in ("function:keyed", "function:other", "default", "master")
        )

        def status(path: str, key: str | None = None, code: str | None = None) -> int:
            headers = {} if key is None else {"x-functions-key": key}
            return app.get(path, headers=headers, params={} if code is None else {"code": code}).status_code

        assert status("/api/keyed") == 401
        assert [status("/api/keyed", key) for key in (keyed, default, master)] == [200] * 3
        assert status("/api/keyed", other) == 401
        assert status("/api/keyed", code=keyed) == 200
        assert status("/api/keyed", "wrong", code=keyed) == 401
        assert [status("/api/ruled", key) for key in (default, master)] == [401, 200]
        assert not any(key in host.log_tail(10**6) for key in (keyed, default, master))
    file = app.azure.settings.folder / "host-keys.json"
    assert file.stat().st_mode & 0o077 == 0
    with app.running():
        assert app.get("/api/keyed", headers={"x-functions-key": keyed}).status_code == 200


def test_only_the_platform_says_who_calls(app: App) -> None:
    app.write(HTTP)
    forged = {"X-MS-CLIENT-PRINCIPAL": base64.b64encode(b'{"claims": []}').decode()}
    with app.running():
        assert app.get("/api/open/bob", headers=forged).json()["principal"] is None
        token = DefaultAzureCredential().get_token("api://driftloop/.default").token
        answer = app.get("/api/open/bob", headers=forged | {"authorization": f"Bearer {token}"}).json()
        claims = [(c["typ"], c["val"]) for c in json.loads(base64.b64decode(answer["principal"]))["claims"]]
        assert {("aud", "api://driftloop"), ("roles", "Driftloop.Act")} <= set(claims)
        foreign = DefaultAzureCredential().get_token("https://storage.azure.com/.default").token
        for bad in (foreign, token[:-4] + "AAAA", "nonsense"):
            headers = {"authorization": f"Bearer {bad}"}
            assert app.get("/api/open/bob", headers=headers).status_code == 401
