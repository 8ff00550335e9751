"""Every role is in the table, every row of the table is used, and no identity has more than was agreed (S08)."""

from __future__ import annotations

import inspect
import re
import shutil
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, get_type_hints

import pytest
import yaml

from shared import ports

ROOT = Path(__file__).parents[2]
INFRA = ROOT / "infra"
ALLOWED = Path(__file__).parent / "allowed_roles.txt"
HELD = ("publisher", "Reader", "subscription")
"""Nobody is given it by the templates: it is part of what a person has who may deploy."""


def problems(infra: Path) -> list[str]:
    """What is wrong with the table, or with how the templates give it."""
    table: dict[str, Any] = yaml.safe_load((infra / "identities.yaml").read_text())
    roles: dict[str, Any] = yaml.safe_load((infra / "roles.yaml").read_text())
    return [*_rows(table, roles), *_held(table), *_calls(table), *_given(infra, table), *_agreed(table)]


def _rows(table: dict[str, Any], roles: dict[str, Any]) -> list[str]:
    found: list[str] = []
    for row in _all(table) + table["held"]:
        what = f"{row['who']} / {row['role']} on {row['scope']}"
        if row["role"] not in roles:
            found.append(f"{what}: roles.yaml does not know the role")
            continue
        if row["who"] not in table["identities"]:
            found.append(f"{what}: there is no such identity")
        if not row["for"]:
            found.append(f"{what}: no call needs it")
        said = [*row["for"], *row["actions"]]
        found += [f"{what}: says {one} twice" for one in sorted(set(said)) if said.count(one) > 1]
        allowed = roles[row["role"]]["actions"]
        for action in row["actions"]:
            if not any(fnmatchcase(action, pattern) for pattern in allowed):
                found.append(f"{what}: the role does not allow {action}")
    unused = set(roles) - {row["role"] for row in _all(table) + table["held"]}
    return found + [f"role {name}: nobody has it" for name in sorted(unused)]


def _all(table: dict[str, Any]) -> list[dict[str, Any]]:
    """Every row that is given, whatever is deployed."""
    return [row for section in ("grants", "private", "landings", "autoscale") for row in table[section]]


def _held(table: dict[str, Any]) -> list[str]:
    """What somebody has who deploys: it is a person's own, and it only reads."""
    rows = [(row["who"], row["role"], row["scope"]) for row in table["held"]]
    found = [f"{' / '.join(row)}: is no role that a person holds" for row in rows if row != HELD]
    writes = [action for row in table["held"] for action in row["actions"] if not action.endswith("/read")]
    return found + [f"held: {action} does not only read" for action in writes]


def _calls(table: dict[str, Any]) -> list[str]:
    """Every method of every port stands in a row of the app, and no row names a method that is not there."""
    named = {call for row in table["grants"] if row["who"] == "app" for call in row["for"] if " " not in call}
    made = methods()
    return [f"{call}: no row of the app is for it" for call in sorted(made - named)] + [
        f"{call}: shared/ports.py has no such call" for call in sorted(named - made)
    ]


def methods() -> set[str]:
    """`Port.method` of everything that asks Azure: not the clock, a source on the web or a lineage tool."""
    hints = get_type_hints(ports.Ports)
    kinds = {
        kind.__name__: kind for name, kind in hints.items() if name not in {"clock", "sources", "lineage"}
    }
    return {
        f"{name}.{method}"
        for name, kind in kinds.items()
        for method, _ in inspect.getmembers(kind, inspect.isfunction)
        if not method.startswith("_")
    }


def _given(infra: Path, table: dict[str, Any]) -> list[str]:
    """By text alone; tests/infra/test_snapshots.py has the compiler count what is given."""
    main = (infra / "main.bicep").read_text()
    scopes = re.findall(r"grant => grant\.scope == '([\w-]+)'", main)
    for names in re.findall(r"for (?:container|endpoint) in \[(.*?)\]", main):
        scopes += re.findall(r"'([\w-]+)'", names)
    (keys,) = re.findall(r"^var keys = union\(.*?^\)", main, re.DOTALL | re.MULTILINE)
    principals = set(re.findall(r"'?([\w-]+)'?: (?:identityIds|blob|workspace|publisher)\w*", keys))
    principals |= set(re.findall(r"rows\.landings, row => row\.who == '([\w-]+)'", main))
    found = [f"scope {scope}: main.bicep gives nothing on it" for scope in _of(table, "scope") - set(scopes)]
    found += [f"scope {scope}: no row names it" for scope in set(scopes) - _of(table, "scope")]
    found += [f"scope {scope}: given twice" for scope in set(scopes) if scopes.count(scope) > 1]
    found += [f"identity {who}: main.bicep does not know it" for who in _of(table, "who") - principals]
    found += [f"identity {who}: no row names it" for who in principals - _of(table, "who")]
    for file in infra.rglob("*.bicep"):
        if file.parent.name != "roles" and "roleAssignments@" in file.read_text():
            found.append(f"{file.name}: a role is given outside modules/roles")
    return found


def _of(table: dict[str, Any], key: str) -> set[str]:
    return {row[key] for row in _all(table)}


def _agreed(table: dict[str, Any]) -> list[str]:
    lines = ALLOWED.read_text().splitlines()
    agreed = {tuple(part.strip() for part in line.split("|")) for line in lines if line and line[0] != "#"}
    rows = [(row["who"], row["role"], row["scope"]) for row in _all(table)]
    found = [
        f"{' / '.join(row)}: nobody agreed to it (allowed_roles.txt)" for row in rows if row not in agreed
    ]
    found += [f"{' / '.join(row)}: agreed, but not in the table" for row in sorted(agreed - set(rows))]
    return found + [f"{' / '.join(row)}: given twice" for row in set(rows) if rows.count(row) > 1]


def test_the_table_is_whole() -> None:
    assert problems(INFRA) == []


def _plant(infra: Path, file: str, old: str, new: str) -> None:
    path = infra / file
    content = path.read_text()
    assert old in content, f"{file} no longer holds {old!r}"
    path.write_text(content.replace(old, new, 1))


_SENDER = "  - who: app\n    role: EventGrid Data Sender\n    scope: topic\n"
PLANTED = {
    "a missing role": (
        "identities.yaml",
        _SENDER,
        _SENDER.replace("app", "publisher"),
        "Topic.publish: no row",
    ),
    "an extra role": (
        "identities.yaml",
        "\ngrants:\n",
        "\ngrants:\n  - {who: compute, role: AzureML Data Scientist, scope: workspace, for: [ease], actions: []}\n",
        "nobody agreed to it",
    ),
    "a wider scope": (
        "identities.yaml",
        "role: Storage Queue Data Message Sender\n    scope: queue",
        "role: Storage Queue Data Message Sender\n    scope: account",
        "nobody agreed to it",
    ),
    "a role that no call needs": (
        "identities.yaml",
        "      - Topic.publish\n",
        "      []\n",
        "no call needs it",
    ),
    "a call that stands there twice": (
        "identities.yaml",
        "      - Topic.publish\n",
        "      - Topic.publish\n      - Topic.publish\n",
        "app / EventGrid Data Sender on topic: says Topic.publish twice",
    ),
    "an action that the role lacks": (
        "identities.yaml",
        "Microsoft.EventGrid/events/send/action",
        "Microsoft.EventGrid/topics/write",
        "the role does not allow Microsoft.EventGrid/topics/write",
    ),
    "a role that is said to be held by who does not hold it": (
        "identities.yaml",
        "held:\n  - who: publisher",
        "held:\n  - who: app",
        "app / Reader / subscription: is no role that a person holds",
    ),
    "a held role that does more than read": (
        "identities.yaml",
        "Microsoft.Web/sites/read",
        "Microsoft.Web/sites/write",
        "held: Microsoft.Web/sites/write does not only read",
    ),
    "a role that is defined and never given": (
        "roles.yaml",
        "AcrPull:",
        "Owner: {id: 8e3af657-a8ff-443c-a75c-2fe8c4bcb635, actions: ['*']}\nAcrPull:",
        "role Owner: nobody has it",
    ),
    "a role given beside the table": (
        "modules/app.bicep",
        "resource plan ",
        "resource extra 'Microsoft.Authorization/roleAssignments@2022-04-01' = { name: 'x' }\nresource plan ",
        "app.bicep: a role is given outside modules/roles",
    ),
    "a scope on which nothing is given": (
        "main.bicep",
        "grant.scope == 'topic'",
        "grant.scope == 'topics'",
        "scope topic: main.bicep gives nothing on it",
    ),
    "an identity that is not passed on": (
        "main.bicep",
        "    'blob-events': blobEventsName\n",
        "",
        "identity blob-events: main.bicep does not know it",
    ),
}


@pytest.mark.parametrize("mistake", PLANTED)
def test_a_planted_mistake_is_caught(mistake: str, tmp_path: Path) -> None:
    file, old, new, told = PLANTED[mistake]
    copy = Path(shutil.copytree(INFRA, tmp_path / "infra"))
    _plant(copy, file, old, new)
    found = problems(copy)
    assert any(told in problem for problem in found), found
