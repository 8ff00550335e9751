"""What a deployment would send to Azure: the files that .funcignore leaves."""

from __future__ import annotations

import shutil
from pathlib import Path

from pathspec import GitIgnoreSpec

ROOT = Path(__file__).parents[2]


def deployed(root: Path = ROOT) -> list[Path]:
    """Paths below `root`, sorted."""
    ignored = GitIgnoreSpec.from_lines((root / ".funcignore").read_text().splitlines())
    found: list[Path] = []
    folders = [root]
    while folders:
        for path in folders.pop().iterdir():
            name = path.relative_to(root).as_posix()
            if path.is_dir() and not ignored.match_file(f"{name}/"):
                folders.append(path)
            elif path.is_file() and not ignored.match_file(name):
                found.append(path.relative_to(root))
    return sorted(found)


def pack(target: Path, root: Path = ROOT) -> Path:
    """A copy of the package, alone in its folder."""
    for path in deployed(root):
        (target / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(root / path, target / path)
    return target
