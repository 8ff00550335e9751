"""A stream of text in blocks of whole rows: whatever its length, all of it comes once, cut between rows."""

from __future__ import annotations

import io

import pytest

from shared.files import blocks
from shared.files.layout import Layout

ROW = b"12,a\r\n"


@pytest.mark.parametrize("more", [-7, -1, 0, 1, 3, 4096, 9000])
@pytest.mark.parametrize("returns", [False, True])
def test_all_rows_come_once_whole_and_in_their_order(
    more: int, returns: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blocks, "BLOCK_BYTES", 4096)
    text = (ROW * 3000)[: 4096 + more]
    layout = Layout(separator=",", columns=("n", "word"), body=0, line=1, returns=returns)
    stream = io.BufferedReader(io.BytesIO(text))  # type: ignore[arg-type]  # reads like a raw stream
    found = [bytes(block) for block in blocks.blocks(stream, layout, "a.csv", 1 << 20)]
    assert b"".join(found) == (text.replace(b"\r", b"\n") if returns else text)
    assert all(block.endswith(b"\n") for block in found[:-1])


def test_what_is_empty_has_no_block() -> None:
    stream = io.BufferedReader(io.BytesIO(b""))  # type: ignore[arg-type]
    assert (
        list(blocks.blocks(stream, Layout(separator=",", columns=("n",), body=0, line=1), "a.csv", 9)) == []
    )
