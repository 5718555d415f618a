import json

import pytest

from certbound.fetch.discovery import DiscoveryError, check_issuer, metadata_urls, read_metadata


@pytest.mark.req("8414-06")
@pytest.mark.parametrize(
    ("issuer", "first", "second"),
    [
        (
            "https://as.example",
            "https://as.example/.well-known/oauth-authorization-server",
            "https://as.example/.well-known/openid-configuration",
        ),
        (
            "https://as.example:8443/realms/one/",
            "https://as.example:8443/.well-known/oauth-authorization-server/realms/one",
            "https://as.example:8443/realms/one/.well-known/openid-configuration",
        ),
    ],
)
def test_metadata_stands_between_host_and_path_or_after_it(issuer: str, first: str, second: str) -> None:
    assert metadata_urls(issuer) == (first, second)


@pytest.mark.parametrize(
    "issuer", ["http://as.example", "https://as.example?a", "https://as.example#a", "as.example", ""]
)
def test_an_issuer_is_an_https_url_without_query_and_fragment(issuer: str) -> None:
    with pytest.raises(DiscoveryError, match="issuer must be"):
        check_issuer(issuer)


@pytest.mark.req("8414-08", "8414-09")
@pytest.mark.parametrize("named", ["https://as.example/", "https://AS.example", "https://as.example:443", "", None, 1])
def test_metadata_of_another_issuer_is_discarded(named: object) -> None:
    with pytest.raises(DiscoveryError, match="the metadata is of issuer"):
        read_metadata(json.dumps({"issuer": named}).encode(), "https://as.example")


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"\xff", b"[" * 100_000])
def test_what_is_no_json_object_is_no_metadata(body: bytes) -> None:
    with pytest.raises(DiscoveryError, match="the metadata is no"):
        read_metadata(body, "https://as.example")
