"""The commit that a loop is published from, as git says, or, where there is no git, the variables of a CI run."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from shared.loopfile.published import Commit

_CI = (("GITHUB_SHA", "GITHUB_ACTOR"), ("BUILD_SOURCEVERSION", "BUILD_REQUESTEDFOR"))
"""Of a run by a push: the commit, and who pushed it.
https://docs.github.com/actions/reference/workflows-and-actions/variables
https://learn.microsoft.com/azure/devops/pipelines/build/variables ("How are the identity variables set?")"""

LONGEST = 200


def of(folder: Path, environment: Mapping[str, str], *, overridden: bool) -> Commit | None:
    """None where nobody knows. `overridden`: keys were set that the loop file does not have."""
    run = next(
        ((environment[sha], environment.get(who, "")) for sha, who in _CI if environment.get(sha)), None
    )
    found = _git(folder, "log", "-1", "--no-show-signature", "--encoding=UTF-8", "--format=%H%n%an")
    if not found:
        return Commit(run[0][:LONGEST], pushed_by=run[1][:LONGEST], dirty=overridden or None) if run else None
    id, _, author = found.partition("\n")
    pushed_by = run[1] if run and run[0] == id else ""
    changed = _git(folder, "status", "--porcelain", "--untracked-files=normal", "--", ".") != ""
    ignored = not _git(folder, "ls-files", "--", ".")
    return Commit(id, author[:LONGEST], pushed_by[:LONGEST], overridden or changed or ignored)


def _git(folder: Path, *arguments: str) -> str | None:
    """What git says about the folder; None where there is no git, no repository, or no commit."""
    git = shutil.which("git")
    if git is None:
        return None
    done = subprocess.run(
        [git, "-C", str(folder), *arguments],
        capture_output=True, encoding="utf-8", errors="replace", check=False,
    )  # fmt: skip
    return None if done.returncode else done.stdout.strip()
