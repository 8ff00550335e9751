"""Terraform makes what Bicep makes, resource by resource, and gives exactly the roles of identities.yaml.

Terraform itself reads, validates, plans and applies infra/terraform, with providers that send nothing
(tests/infra/providers.py); Microsoft's compiler says what infra/main.bicep would make with the same variables.
"""

from __future__ import annotations

import re
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.infra import templates
from tests.infra.compiler import INFRA, ROOT, Snapshots
from tests.infra.expressions import Expressions
from tests.infra.terraform import MODULE, Applied, RefusedPlan, Terraform, variables
from tests.infra.test_snapshots import ASKED, CASES, Snapshot, roles_given, roles_wanted

TEXT = {path.relative_to(MODULE).as_posix(): path.read_text() for path in sorted(MODULE.rglob("*.tf"))}
COMES_WITH_ITS_ACCOUNT = ("queueServices", "tableServices")
"""Bicep names them without a property, as parents; Terraform cannot make what is there already."""


def _together(*names: str, **more: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for name in names:
        found |= CASES[name]
    return found | more


TOGETHER: dict[str, Mapping[str, str]] = {
    "all that can be switched on": _together(
        "deployments that are scaled",
        "drops in another account",
        "endpoints",
        "a webhook for what needs a person",
        "environments that share a registry",
        "lineage for Marquez or another tool",
        "keys of hosts that ask for one",
    ),
    "all that can exist, in another cloud": _together(
        "an existing resource group",
        "an existing workspace with a system topic",
        "our account has a system topic",
        "drops in an account with a system topic",
        "nobody publishes",
        "other sizes",
        ARM_ENVIRONMENT="usgovernment",
    ),
    "a private network, closed further": CASES["a private network, closed further"],
    "a private network that exists, and an existing workspace": _together(
        "a private network and an existing workspace",
        "a private network that exists",
        "a private network where Event Grid is shut out",
        "an existing workspace",
    ),
}
"""Between them they take every branch of the templates; each row of docs/deploy.md by itself is for the soak."""


@pytest.fixture(scope="module")
def terraform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Terraform]:
    ready = Terraform(tmp_path_factory.mktemp("terraform"))
    yield ready
    ready.close()


def _compared(
    case: Mapping[str, str], folder: Path, snapshots: Snapshots, terraform: Terraform, infra: Path = INFRA
) -> tuple[Applied, list[str]]:
    """What Terraform makes, and where it is not what Bicep does: names, api-versions, every property, outputs."""
    environment = {**ASKED, **case}
    snapshot = Snapshot(snapshots.of(environment, folder, infra))
    account = snapshot.of("Microsoft.Storage/storageAccounts")[0]["name"]
    made = terraform.applied(environment | {"DRIFTLOOP_TOKEN": account.removeprefix("st")})
    given = {
        "storageAccountName": account,
        "notifyWebhookUrl": case.get("DRIFTLOOP_NOTIFY_WEBHOOK", ""),
        "lineageKey": case.get("DRIFTLOOP_LINEAGE_KEY", ""),
        "httpKeys": case.get("DRIFTLOOP_HTTP_KEYS", ""),
    }
    bicep = Expressions(given, case.get("ARM_ENVIRONMENT", "public"))
    found = _differences(_resources(snapshot, bicep), made.made)
    return made, found + _differences(
        {"outputs": bicep.resolved(snapshot.outputs)}, {"outputs": made.outputs}
    )


def _differences(wanted: dict[str, dict[str, Any]], made: dict[str, dict[str, Any]]) -> list[str]:
    found = [f"Terraform does not make {identity}" for identity in sorted(wanted.keys() - made.keys())]
    found += [f"Bicep does not make {identity}" for identity in sorted(made.keys() - wanted.keys())]
    for identity in sorted(wanted.keys() & made.keys()):
        one, other = wanted[identity], made[identity]
        names = (one.keys() | other.keys()) - ({"apiVersion"} - other.keys())  # azurerm chooses its own
        found += [
            f"{identity}: {name} is {other.get(name)} by Terraform, {one.get(name)} by Bicep"
            for name in sorted(names)
            if one.get(name) != other.get(name)
        ]
    return found


def _resources(snapshot: Snapshot, bicep: Expressions) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for one in snapshot.found:
        said = {name: bicep.resolved(value) for name, value in one.items() if name not in ("id", "name")}
        implied = one["type"].rpartition("/")[2] in COMES_WITH_ITS_ACCOUNT and "properties" not in one
        if said.pop("condition", True) and not implied:
            found[one["id"]] = said
    return found


@pytest.mark.parametrize("name", TOGETHER)
def test_terraform_makes_what_bicep_makes(
    name: str, tmp_path: Path, snapshots: Snapshots, terraform: Terraform
) -> None:
    made, differences = _compared(TOGETHER[name], tmp_path, snapshots, terraform)
    assert differences == []
    assert roles_given(made, TOGETHER[name]) == roles_wanted(TOGETHER[name])


@pytest.mark.soak
@pytest.mark.parametrize("name", CASES)
def test_it_does_with_each_row_of_the_table(
    name: str, tmp_path: Path, snapshots: Snapshots, terraform: Terraform
) -> None:
    made, differences = _compared(CASES[name], tmp_path, snapshots, terraform)
    assert differences == []
    assert roles_given(made, CASES[name]) == roles_wanted(CASES[name])
    assert "No changes" in terraform.planned_again()
    deleted = terraform.destroyed()
    kept = {one["type"].rpartition("/")[2] for identity, one in made.made.items() if identity not in deleted}
    assert kept == {"blobServices", "immutabilityPolicies", "basicPublishingCredentialsPolicies", "config"}


def test_nothing_that_is_destroyed_is_the_policy_that_keeps_the_versions() -> None:
    """Azure deletes no container with blobs that are younger than its policy says
    (https://learn.microsoft.com/azure/storage/blobs/immutable-container-level-worm-policies)."""
    text = "\n".join(TEXT.values())
    sets = re.findall(
        r'^resource "(\w+)" "\w+" \{\n +type += "[^"]*/immutabilityPolicies@', text, re.MULTILINE
    )
    assert sets == ["azapi_resource_action"] and "immutability_policy" not in text


def test_what_one_has_and_the_other_has_not_is_seen(tmp_path: Path, snapshots: Snapshots) -> None:
    infra = Path(shutil.copytree(INFRA, tmp_path / "planted"))
    grants = '[for row in local.grants : row if row.scope == "topic"]'
    for file, old, new in (
        ("storage.tf", 'minimumTlsVersion            = "TLS1_2"', 'minimumTlsVersion            = "TLS1_0"'),
        ("monitoring.tf", '@2025-07-01"', '@2023-09-01"'),
        ("events.tf", grants, f'concat({grants}, [for row in local.grants : row if row.scope == "vault"])'),
    ):
        text = (infra / "terraform" / file).read_text()
        assert old in text, f"{file} no longer holds {old!r}"
        (infra / "terraform" / file).write_text(text.replace(old, new, 1))
    planted = Terraform(tmp_path, infra)
    try:
        made, differences = _compared({}, tmp_path, snapshots, planted, infra)
        assert "No changes" in planted.planned_again()
    finally:
        planted.close()
    for wrong in ("TLS1_0", "2023-09-01 by Terraform", "Bicep does not make"):
        assert any(wrong in one for one in differences), (wrong, differences)
    assert len(differences) == 4
    extra = {("workspace", "Contributor", "topic"): 1, ("workspace", "Key Vault Administrator", "topic"): 1}
    assert roles_given(made, {}) - roles_wanted({}) == Counter(extra)


REFUSED = {
    "a workspace in our own group": (
        "an existing workspace",
        {"DRIFTLOOP_EXISTING_GROUP": "Team-ML"},
        "Its identity could lift the immutability policy of the data versions there.",
    ),
    "a workspace that nobody has read": (
        "an existing workspace",
        {"DRIFTLOOP_EXISTING_WORKSPACE_STORAGE": ""},
        "or set DRIFTLOOP_EXISTING_WORKSPACE_LOCATION and DRIFTLOOP_EXISTING_WORKSPACE_STORAGE.",
    ),
    "a landing account that nobody has read": (
        "drops in another account",
        {"DRIFTLOOP_LANDING_LOCATIONS": ""},
        "Run infra/read-existing.sh, or set DRIFTLOOP_LANDING_LOCATIONS.",
    ),
    "one subnet of two": (
        "a private network that exists",
        {"DRIFTLOOP_EXISTING_APP_SUBNET": ""},
        "Give both DRIFTLOOP_EXISTING_APP_SUBNET and DRIFTLOOP_EXISTING_ENDPOINT_SUBNET, or neither.",
    ),
    "Docker's own addresses": (
        "a private network",
        {"DRIFTLOOP_NETWORK_ADDRESSES": "172.17.0.0/24"},
        "DRIFTLOOP_NETWORK_ADDRESSES cannot be of 172.17.0.0/16",
    ),
    "nothing to build images on": (
        "a private network",
        {"DRIFTLOOP_TRAINING_MAX_NODES": "0"},
        "DRIFTLOOP_TRAINING_MAX_NODES must be 1 or more with DRIFTLOOP_NETWORK=private",
    ),
}
"""What Bicep refuses, too (test_snapshots.py, test_private_network.py)."""


@pytest.mark.parametrize("name", REFUSED)
def test_what_bicep_refuses_is_refused_in_the_same_words(name: str, terraform: Terraform) -> None:
    case, changed, words = REFUSED[name]
    assert words in templates.TEXTS["main.bicep"]
    with pytest.raises(RefusedPlan, match=re.escape(words)):
        terraform.applied(ASKED | CASES[case] | changed)


def test_it_is_written_as_terraform_writes_it_and_valid(terraform: Terraform) -> None:
    assert terraform.run("fmt", "-check", "-recursive") == ""
    assert "Success!" in terraform.run("validate")


def test_what_a_provider_does_not_have_is_refused(tmp_path: Path) -> None:
    """So that the comparison stands on attributes that the providers have."""
    infra = Path(shutil.copytree(INFRA, tmp_path / "planted"))
    with (infra / "terraform" / "storage.tf").open("a") as file:
        file.write('\nresource "azapi_resource" "wrong" {\n  type = "a/b@1"\n  kind = "x"\n}\n')
    planted = Terraform(tmp_path, infra)
    try:
        with pytest.raises(RefusedPlan, match='An argument named "kind" is not expected here'):
            planted.run("validate")
    finally:
        planted.close()


def test_what_can_be_set_is_the_same() -> None:
    """By environment variable, default, and what is secret."""
    text = TEXT["variables.tf"]
    blocks = dict(re.findall(r'^variable "(\w+)" \{\n(.*?)^\}', text, re.DOTALL | re.MULTILINE))
    own = templates.TERRAFORMS
    bicep = templates.TEXTS["main.bicep"]
    names = {_snake(name): name for name in re.findall(r"^param (\w+) ", bicep, re.MULTILINE)}
    assert set(blocks) == set(names) | set(own)
    secret = {_snake(name) for name in re.findall(r"@secure\(\)\n(?:@[^\n]*\n)*param (\w+)", bicep)}
    assert {name for name, block in blocks.items() if re.search(r"sensitive +=", block)} == secret
    for name, was in names.items():
        (default,) = re.findall(rf"^param {was} \w+(?: = (.*))?$", bicep, re.MULTILINE)
        (mine,) = re.findall(r"^  default +=(.*)$", blocks[name], re.MULTILINE) or ["_"]
        assert default.strip("'") == ("" if mine == "_" else mine.strip(' "')), name
    passed = yaml.safe_load(
        variables({name: f"<{name}>" for name in [*templates.variables(), *own.values()]})
    )
    wanted = {_snake(name): f"<{variable}>" for variable, name in templates.variables().items()}
    assert passed == wanted | {name: f"<{variable}>" for name, variable in own.items()}


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])([A-Z])", r"_\1", name).lower()


def test_the_providers_of_the_templates_are_registered() -> None:
    """azurerm 5 registers none by itself. Those of docs/deploy.md are more: App is Flex Consumption's, in a network."""
    (block,) = re.findall(r"resource_providers_to_register = \[(.*?)\]", TEXT["providers.tf"], re.DOTALL)
    assert set(re.findall(r'"([\w.]+)"', block)) == templates.providers() | {
        "Microsoft.AlertsManagement",
        "Microsoft.App",
    }


def test_azd_finds_terraform_as_the_page_says() -> None:
    page = (ROOT / "docs" / "deploy.md").read_text()
    (section,) = re.findall(r"^## Terraform\n.*?(?=^## )", page, re.DOTALL | re.MULTILINE)
    (written,) = re.findall(r"```yml\n(.*?)```", section, re.DOTALL)
    infra = yaml.safe_load(written)["infra"]
    assert infra == {"provider": "terraform", "path": "infra/terraform", "module": "main"}
    assert (ROOT / infra["path"] / f"{infra['module']}.tfvars.json").is_file()
    assert set(yaml.safe_load((ROOT / "azure.yaml").read_text())["infra"]) == set(infra)
