"""A stranger's YAML: an MLTable, an MLmodel, a conda file."""

from __future__ import annotations

import pytest
import yaml

from shared import plain_yaml
from shared.release import signature, unaided

LAUGHS = b"a0: &a0 [ha, ha]\n" + b"".join(
    b"a%d: &a%d [*a%d, *a%d]\n" % (n, n, n - 1, n - 1) for n in range(1, 30)
)
"""Ten lines of it are a thousand words where somebody writes out what they stand for, all of them a billion."""


@pytest.fixture(params=["CSafeLoader", "SafeLoader"])
def loader(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """With and without libyaml."""
    if request.param == "SafeLoader":
        monkeypatch.delattr(yaml, "CSafeLoader")


@pytest.mark.usefixtures("loader")
@pytest.mark.parametrize("sign", ["[", "{a: ", "- "])
@pytest.mark.parametrize("times", [100, 5_000])
def test_what_is_nested_too_deep_is_refused_before_it_is_built(sign: str, times: int) -> None:
    with pytest.raises(ValueError, match=r"deep|depth"):
        plain_yaml.load(b"paths: " * (sign != "- ") + sign.encode() * times)


@pytest.mark.usefixtures("loader")
@pytest.mark.parametrize(
    "content", [b"{", b"\xff", b"a: 2024-99-99", b"a: 1\n---\na: 2\n", b"!!python/name:os.system {}"]
)
def test_what_is_no_such_document_is_a_value_error(content: bytes) -> None:
    with pytest.raises(ValueError):
        plain_yaml.load(content)


@pytest.mark.usefixtures("loader")
def test_what_is_one_is_read_as_it_stands() -> None:
    content = b"\xef\xbb\xbfa: &x [1, 2.5, yes]\nb: *x\nc: caf\xc3\xa9\n"
    assert plain_yaml.load(content) == {"a": [1, 2.5, True], "b": [1, 2.5, True], "c": "café"}
    with pytest.raises(ValueError, match="alias"):
        plain_yaml.load(content, aliases=False)


def test_a_name_that_stands_for_a_billion_words_is_never_written_out() -> None:
    assert unaided.to_add(LAUGHS + b"dependencies: [*a29, pip: [*a29]]\n") == list(unaided.SERVES.values())
    assert signature.inputs(LAUGHS + b"signature: {inputs: [{type: *a29}]}\n") == ()
    (one,) = signature.inputs(LAUGHS + b"signature: {inputs: [{type: long, name: *a29}]}\n")
    assert (one.name, one.kind) == ("", "long")
