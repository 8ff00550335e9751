"""What the environment says of proxies and certificates is heard; where there is no proxy, it is asked once."""

from __future__ import annotations

import pytest

from shared.azure.failures import BoundedTransport

PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*PROXIES, *map(str.lower, PROXIES), "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    ("variable", "verify"),
    [("", True), ("REQUESTS_CA_BUNDLE", "/ca.pem"), ("CURL_CA_BUNDLE", "/ca.pem")],
)
def test_without_a_proxy_the_environment_is_asked_once(
    variable: str, verify: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    if variable:
        monkeypatch.setenv(variable, "/ca.pem")
    with BoundedTransport() as transport:
        assert transport.session.trust_env is False
        assert transport.connection_config.verify == verify


@pytest.mark.parametrize("name", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY"])
def test_a_proxy_is_asked_for_at_each_request(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "http://proxy.example:3128")
    with BoundedTransport() as transport:
        assert transport.session.trust_env is True
