"""Another account's address is ours with its name in it: no name leads to a host that is not Azure Storage's."""

from __future__ import annotations

import pytest

from cli import publish, session
from shared import accounts, loopfile
from shared.errors import ConfigurationError, InputRejected
from shared.port_rules import check_blob_name
from shared.settings import Settings
from tests.engine.world import LOOP

OURS = "https://stours.blob.core.windows.net"
CHINA = "https://stours.blob.core.chinacloudapi.cn/"
PATH = "https://127.0.0.1:20000/devstoreaccount1"


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (OURS, "https://partner.blob.core.windows.net"),
        (CHINA, "https://partner.blob.core.chinacloudapi.cn/"),
        (PATH, "https://127.0.0.1:20000/partner"),
    ],
)
def test_the_address_of_another_account_and_back(ours: str, theirs: str) -> None:
    assert accounts.address(ours, "partner").rstrip("/") == theirs.rstrip("/")
    for address, account in ((theirs, "partner"), (ours, "")):
        url = f"{address.rstrip('/')}/outbox/birds/a%20b.csv"
        for written in (url, url.replace(".blob.", ".dfs."), url.replace("https", "HTTPS")):
            assert accounts.addressed(ours, written) == (account, "outbox/birds/a%20b.csv")


@pytest.mark.parametrize(
    "url",
    [
        "https://partner.blob.core.evil.net/c/b",
        "https://partner.blob.core.windows.net.evil.net/c/b",
        "https://evil.net/partner.blob.core.windows.net/c/b",
        "https://partner.blob.core.windows.net@evil.net/c/b",
        "https://partner:x@evil.net#.blob.core.windows.net/c/b",
        "https://evil.net\\.blob.core.windows.net/c/b",
        "https://a.b.blob.core.windows.net/c/b",
        "https://.blob.core.windows.net/c/b",
        "http://partner.blob.core.windows.net/c/b",
        "https://PARTNER-X.blob.core.windows.net/c/b",
        "partner.blob.core.windows.net/c/b",
        "",
    ],
)
def test_what_is_addressed_otherwise_than_we_are_is_no_account(url: str) -> None:
    assert accounts.addressed(OURS, url) is None
    assert accounts.addressed("", url) is None
    assert accounts.addressed(PATH, url) is None


def test_a_loop_that_names_our_own_account_is_not_published(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its events would name the container alone, and its drops would be nobody's."""
    uris = {f"DRIFTLOOP_STORAGE__{kind}ServiceUri": OURS for kind in ("blob", "queue", "table")}
    for name in Settings.names():
        monkeypatch.setenv(name, uris.get(name, "") or ("enabled" if "ACCESS" in name else ""))
    for name in ("SUBSCRIPTION_ID", "RESOURCE_GROUP", "WORKSPACE", "TOPIC_ENDPOINT", "LOGS_WORKSPACE_ID"):
        monkeypatch.setenv(f"DRIFTLOOP_{name}", "x")
    session.settings.cache_clear()
    theirs, ours = (
        LOOP.replace("landing/birds", f"{account}:landing/birds") for account in ("partner", "stours")
    )
    publish._check_places(loopfile.parse(theirs, file="loop.yaml"))
    with pytest.raises(ConfigurationError, match=r"data\.landing: stours is Driftloop's own"):
        publish._check_places(loopfile.parse(ours, file="loop.yaml"))
    scaled = LOOP.replace("endpoint: birds", "endpoint: birds, autoscale: {max: 4}")
    with pytest.raises(ConfigurationError, match="DRIFTLOOP_AUTOSCALE on"):
        publish._check_scale(loopfile.parse(scaled, file="loop.yaml"))
    session.settings.cache_clear()


def test_in_a_path_the_host_and_its_port_are_ours() -> None:
    for url in (
        "https://127.0.0.1:20001/partner/c/b",
        "https://127.0.0.1:20000/../c/b",
        "https://evil.net/partner/c",
    ):
        assert accounts.addressed(PATH, url) is None


def test_a_container_may_name_its_account_and_nothing_else() -> None:
    assert accounts.split("partner:outbox") == ("partner", "outbox")
    assert accounts.split("landing") == ("", "landing")
    check_blob_name("partner:outbox", "a")
    for wrong in (
        ":outbox",
        "evil.net:outbox",
        "a/b:outbox",
        "partner:",
        "p:outbox",
        "partner:out:box",
        "PARTNER:outbox",
    ):
        with pytest.raises(InputRejected, match="not a container name"):
            check_blob_name(wrong, "a")
