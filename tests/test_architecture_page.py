"""What docs/architecture.md says of folders and files is so."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "architecture.md").read_text()


def section(title: str) -> str:
    return PAGE.split(f"\n## {title}\n")[1].split("\n## ")[0]


def test_every_file_of_where_is_exists() -> None:
    rows = re.findall(r"^\| (?!behaviour|---)(.+?) \| `(.+?)` \|$", section("Where is …?"), re.MULTILINE)
    assert len(rows) >= 30
    assert [file for _, file in rows if not (ROOT / file).is_file()] == []
    assert len({behaviour for behaviour, _ in rows}) == len(rows)


def test_every_folder_is_named_and_every_room_is_listed() -> None:
    named = set(re.findall(r"`([\w/]+)/`", section("Folders")))
    assert [
        folder
        for folder in named
        if not (ROOT / folder).is_dir() and folder not in ("reader", "gate", "canary", "standards")
    ] == []
    rooms = {
        f"shared/{path.name}" for path in (ROOT / "shared").iterdir() if (path / "__init__.py").is_file()
    }
    assert rooms - named == set()


def test_every_path_in_the_text_exists() -> None:
    paths = re.findall(r"`((?:shared|functions|cli|tower|drift|local)/[\w/.]+)`", PAGE)
    assert [path for path in paths if not (ROOT / path).exists()] == []
