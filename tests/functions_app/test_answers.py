"""What comes in over HTTP is bounded and one JSON object; what goes out says what is wrong."""

from __future__ import annotations

import json

import azure.functions as func
import pytest

from functions.answers import answer, problem, read_json
from functions.visits import response
from shared.errors import InputRejected
from tower.site import Reply


def request(body: bytes) -> func.HttpRequest:
    return func.HttpRequest("POST", "https://app.example/api/alert", body=body)


def test_an_object_of_just_the_limit_is_read() -> None:
    assert read_json(request(b'{"a": 1}'), 8) == {"a": 1}


@pytest.mark.parametrize(
    ("body", "code", "status"),
    [
        (b'{"a": 1} ', "too-large", 413),
        (b"", "not-json", 400),
        (b"{", "not-json", 400),
        (b"\xff\xfe", "not-json", 400),
        (b"[1]", "not-an-object", 400),
        (b'"x"', "not-an-object", 400),
    ],
)
def test_anything_else_is_refused_with_its_code(body: bytes, code: str, status: int) -> None:
    with pytest.raises(InputRejected) as refused:
        read_json(request(body), 8)
    sent = problem(refused.value)
    told = json.loads(sent.get_body())
    assert (refused.value.code, sent.status_code, sent.mimetype) == (code, status, "application/json")
    assert told == {"code": code, "message": str(refused.value)}
    assert ("at most 8" in told["message"]) is (code == "too-large")


def test_json_that_nests_too_deeply_is_no_json() -> None:
    with pytest.raises(InputRejected, match="not JSON"):
        read_json(request(b'{"a":' * 100_000), 10**6)


def test_an_answer_is_text_that_people_can_read() -> None:
    sent = answer({"words": "größer"}, 200)
    assert (sent.status_code, sent.get_body().decode()) == (200, '{"words": "größer"}')


def test_a_page_keeps_its_kind_and_its_headers() -> None:
    sent = response(Reply(203, b"x", "text/css; charset=latin-1", {"X-A": "b"}))
    assert (sent.status_code, sent.mimetype, sent.charset) == (203, "text/css", "latin-1")
    assert (sent.get_body(), sent.headers["X-A"]) == (b"x", "b")
    assert response(Reply(200, b"", "image/png")).charset == "utf-8"
