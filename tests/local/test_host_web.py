"""HTTP functions as Kestrel, ASP.NET's routing and the host answer for them."""

from __future__ import annotations

import base64
import json
import socket
import time

import httpx
import pytest
from azure.identity import DefaultAzureCredential

from local.host import cookies, paths
from tests.local.hosted import App
from tests.patience import until

HTTP = """
@app.route(route="open/{name:alpha}/{rest?}", methods=["GET", "POST"], auth_level="anonymous")
def opened(req: func.HttpRequest) -> func.HttpResponse:
    if req.method == "POST":
        return func.HttpResponse(req.get_body()[::-1], mimetype="application/octet-stream")
    seen = dict(req.route_params) | dict(req.params) | {"principal": req.headers.get("x-ms-client-principal")}
    answer = func.HttpResponse(json.dumps(seen), status_code=203, mimetype="application/json")
    answer.headers.add("Set-Cookie", "a=1; Path=/")
    answer.headers.add("Set-Cookie", "b=!; HttpOnly; SameSite=Strict; Max-Age=60; Path=/x; Secure")
    return answer

@app.route(route="open/fixed", auth_level="anonymous")
def fixed(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse("never")

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
        # Row 20: the host writes cookies anew.
        assert answer.headers.get_list("set-cookie") == [
            "a=1; domain=; path=/",
            "b=%21; max-age=60; domain=; path=/x; secure; samesite=strict; httponly",
        ]
        assert answer.json() == {"name": "bob", "rest": "x", "q": "1,2", "principal": None}
        assert app.get("/API/OPEN/Bob").json()["name"] == "Bob"
        assert (
            app.get("/api/open/fixed").json()["name"] == "fixed"
        )  # row 15: the variable route was registered first
        assert [app.get(path).status_code for path in ("/api/open/b0b", "/open/bob", "/api/none")] == [
            404
        ] * 3
        url = f"http://127.0.0.1:{app.port}/api/open/bob"
        assert httpx.delete(url, trust_env=False).status_code == 404
        assert httpx.post(url, content=b"\x00\xff1", trust_env=False).content == b"1\xff\x00"
        assert httpx.post(url, content=b"x" * 1001, trust_env=False).status_code == 500  # row 19
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
        assert [status("/api/keyed", wrong, code=keyed) for wrong in ("wrong", "")] == [401, 401]  # row 22
        assert app.get("/api/keyed", params={"CODE": keyed}).status_code == 200  # row 23
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


ECHO = """
def echo(req):
    seen = {"method": req.method, "url": req.url, "route": dict(req.route_params), "query": dict(req.params)}
    return func.HttpResponse(json.dumps(seen))

@app.route(route="loops/{loop}/{verb}", auth_level="anonymous")
def loops(req: func.HttpRequest) -> func.HttpResponse:
    return echo(req)

@app.route(route="tower/{*path}", methods=["GET"], auth_level="anonymous")
def tower(req: func.HttpRequest) -> func.HttpResponse:
    return echo(req)

@app.route(route="anon", auth_level="anonymous")
def anon(req: func.HttpRequest) -> func.HttpResponse:
    return echo(req)

@app.route(route="number/{n:int}", auth_level="anonymous")
def number(req: func.HttpRequest) -> func.HttpResponse:
    return echo(req)

@app.route(route="header/{code}", auth_level="anonymous")
def header(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse("", headers={"x-odd": "a" + chr(int(req.route_params["code"])) + "b"})

@app.timer_trigger(arg_name="timer", schedule="0 0 0 1 1 *")
def yearly(timer: func.TimerRequest) -> None:
    note(past=timer.past_due)
"""


def raw(app: App, request: bytes) -> tuple[int, bytes]:
    """Status and body of a request that no client library has put right."""
    with socket.create_connection(("127.0.0.1", app.port), 30) as connection:
        connection.sendall(request)
        answer = b""
        while chunk := connection.recv(65536):
            answer += chunk
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split(b" ")[1]), body


def asked(target: str, method: str = "GET", more: str = "") -> bytes:
    return f"{method} {target} HTTP/1.1\r\nHost: app\r\nConnection: close\r\n{more}\r\n".encode("latin-1")


# Row 16: what each target is to the function, "" when no route is found or the request is refused.
TARGETS: list[tuple[str, str, int, dict[str, str]]] = [
    ("/api/loops/a%2Fb/v", "/api/loops/a%2Fb/v", 200, {"loop": "a%2Fb", "verb": "v"}),
    ("/api/loops/a%20b%3F/%25", "/api/loops/a%20b%3F/%25", 200, {"loop": "a b?", "verb": "%"}),
    ("/api/loops/%C3%A9/%FF", "/api/loops/%C3%A9/%FF", 200, {"loop": "\u00e9", "verb": "%FF"}),
    ("/api/tower/../anon", "/api/anon", 200, {}),
    ("/api/tower/%2e%2e/anon", "/api/anon", 200, {}),
    ("/api/tower/a/", "/api/tower/a/", 200, {"path": "a/"}),
    ("/api/tower", "/api/tower", 200, {}),
    ("/api/tower/", "/api/tower/", 200, {}),
    ("/api/anon/", "/api/anon/", 200, {}),
    ("/api/tower/a\\b", "/api/tower/a%5Cb", 200, {"path": "a\\b"}),
    ("http://app/api/anon", "/api/anon", 200, {}),
    ("/api/number/2147483647", "/api/number/2147483647", 200, {"n": "2147483647"}),
    ("/api/number/2147483648", "", 404, {}),
    ("/api//anon", "", 404, {}),
    ("//api/anon", "", 404, {}),
    ("/api/tower//a", "", 404, {}),
    ("/api/tower/%00", "", 400, {}),
    ("http://elsewhere/api/anon", "", 400, {}),
]


def test_row_16_what_a_path_is_to_a_function(app: App) -> None:
    app.write(ECHO)
    with app.running():
        for target, url, status, route in TARGETS:
            found, body = raw(app, asked(target))
            assert found == status, target
            if status == 200:
                assert json.loads(body)["route"] == route, target
                assert json.loads(body)["url"] == f"http://app{url}", target


def test_rows_21_to_25_limits_methods_queries_and_the_hosts_own_addresses(app: App) -> None:
    app.write(ECHO)
    with app.running():
        assert raw(app, asked("/api/anon?" + "x" * 8200))[0] == 414
        assert raw(app, asked("/api/anon?" + "x" * 8000))[0] == 200
        assert raw(app, asked("/api/anon", more=f"x-long: {'x' * 40_000}\r\n"))[0] == 431
        assert raw(app, asked("/api/anon", more="x-odd: \xe9\r\n"))[0] == 400
        assert [app.get(f"/api/header/{code}").status_code for code in (66, 233, 10)] == [200, 500, 500]
        methods = [
            raw(app, asked(path, method))[0]
            for path in ("/api/anon", "/api/tower/x")
            for method in ("TRACE", "FOO")
        ]
        assert methods == [200, 200, 404, 404]
        assert raw(app, asked("/api/tower/x", "HEAD"))[0] == 404  # only where it is listed, or nothing is
        for query, seen in (
            ("a=1&A=2", {"a": "1,2"}),
            ("a=1&a=", {"a": "1"}),
            ("a=", {"a": ""}),
            ("a=%2B+", {"a": "+ "}),
        ):
            assert app.get(f"/api/anon?{query}").json()["query"] == seen, query
        master = {"x-functions-key": app.key("master")}
        assert [raw(app, asked("/admin/host/ping", method))[0] for method in ("GET", "POST")] == [200, 200]
        own = ("/admin/host/status", "/admin/nothing", "/runtime/webhooks/eventgrid")
        assert [app.get(path).status_code for path in own] == [401] * 3
        assert [app.get(path, headers=master).status_code for path in own] == [200, 404, 404]
        names = [each["name"] for each in app.get("/admin/functions", headers=master).json()]
        assert "yearly" in names
        address = f"http://127.0.0.1:{app.port}/admin/functions/yearly"
        assert httpx.post(address, headers=master, json={}, trust_env=False).status_code == 202
        until(app.calls)


ROOTED = (
    ECHO
    + """
@app.route(route="/", methods=["GET"], auth_level="anonymous")
def root(req: func.HttpRequest) -> func.HttpResponse:
    return echo(req)

@app.route(route="", auth_level="anonymous")
def nameless(req: func.HttpRequest) -> func.HttpResponse:
    return echo(req)
"""
)
WITHOUT_PREFIX: dict[str, object] = {"extensions": {"http": {"routePrefix": ""}}}


def test_the_root_is_a_functions_only_without_a_prefix_and_by_a_slash(app: App) -> None:
    """Else it is the host's own page, by any method, or nothing where AzureWebJobsDisableHomepage is set.

    An empty route is the function's name (azure-functions-host: HomepageMiddleware.cs, ScriptHost.ValidateHttpFunction,
    WebScriptHostHttpRoutesManager.cs; issue 9092). Below a prefix "/" stops the host (test_host_app.py).
    """
    app.write(ECHO)
    app.settings["AzureWebJobsDisableHomepage"] = ""
    with app.running():
        for method in ("GET", "POST", "FOO"):
            assert raw(app, asked("/", method))[0] == 200, method
        assert b"up and running" in raw(app, asked("/"))[1]
        assert [raw(app, asked(target))[0] for target in ("//", "/none", "/.")] == [404, 404, 200]
    app.settings["AzureWebJobsDisableHomepage"] = "True"
    with app.running():
        assert [raw(app, asked("/", method)) for method in ("GET", "POST")] == [(204, b"")] * 2
    app.write(ROOTED, WITHOUT_PREFIX)
    with app.running():
        status, body = raw(app, asked("/?a=1"))
        assert (status, json.loads(body)["url"]) == (200, "http://app/?a=1")
        assert [raw(app, asked("/", method))[0] for method in ("HEAD", "POST")] == [204, 204]
        assert [raw(app, asked(target))[0] for target in ("//", "/none", "/nameless")] == [404, 404, 200]
        assert app.get("/admin/host/ping").status_code == 200


def test_a_drained_host_receives_nothing_more_and_answers_http(app: App) -> None:
    app.write(
        ECHO
        + """
@app.queue_trigger(arg_name="msg", queue_name="%TEST_QUEUE%", connection="DRIFTLOOP_STORAGE")
def take(msg: func.QueueMessage) -> None:
    note(body=msg.get_body().decode())
    time.sleep(1.5)
"""
    )
    with app.running():
        master = {"x-functions-key": app.key("master")}
        app.send("running")
        until(app.calls)
        drain = httpx.post(f"http://127.0.0.1:{app.port}/admin/host/drain", headers=master, trust_env=False)
        assert drain.status_code == 202
        until(lambda: app.get("/admin/host/drain/status", headers=master).json()["state"] == "Completed")
        assert app.left() == 0  # what ran was finished and deleted
        app.send("later")
        time.sleep(1.5)
        assert app.get("/api/anon").status_code == 200
    assert [call["body"] for call in app.calls()] == ["running"]


@pytest.mark.parametrize(
    ("cookie", "line"),
    [
        (
            {
                "name": "s",
                "value": "1",
                "max-age": "60",
                "path": "/",
                "secure": "True",
                "samesite": "Strict",
                "httponly": "True",
            },
            "s=1; max-age=60; domain=; path=/; secure; samesite=strict; httponly",
        ),
        ({"name": "s", "value": "a b=/"}, "s=a%20b%3D%2F; domain=; path="),
    ],
)
def test_row_20_a_cookie_is_written_anew(cookie: dict[str, str], line: str) -> None:
    assert cookies.written(cookie) == line


@pytest.mark.parametrize(
    ("target", "path"),
    [
        (b"/a/./b", "/a/b"),
        (b"/a/..", "/"),
        (b"/../../a", "/a"),
        (b"/%e2%82%AC%ff%2f", "/\u20ac%FF%2f"),
        (b"/%zz", "/%zz"),
    ],
)
def test_a_target_is_decoded_once_and_its_dots_are_resolved(target: bytes, path: str) -> None:
    assert paths.decoded(target, "app") == path
