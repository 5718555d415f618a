import json
import threading
from collections.abc import Callable
from typing import Any

import pytest

from certbound.resource.keys import (
    FRESH_SECONDS,
    KEPT_SECONDS,
    RETRY_SECONDS,
    UNKNOWN_KEY_SECONDS,
    IssuerKeys,
    KeysUnavailableError,
)


@pytest.fixture
def keys(issuer: Any) -> IssuerKeys:
    return IssuerKeys(issuer.url, issuer.ca_file)


def test_keys_are_used_while_they_are_fresh(keys: IssuerKeys, issuer: Any) -> None:
    assert keys.ready(0) is None
    obtained = keys.obtain(0)
    assert obtained.candidates("one", "ES256")
    assert keys.ready(FRESH_SECONDS - 1) is obtained
    assert keys.ready(FRESH_SECONDS) is None
    assert keys.obtain(FRESH_SECONDS) is not obtained


def test_kept_keys_serve_while_the_issuer_is_down_and_no_longer(keys: IssuerKeys, issuer: Any) -> None:
    obtained = keys.obtain(0)
    issuer.answers.clear()
    assert keys.obtain(FRESH_SECONDS) is obtained
    assert keys.ready(FRESH_SECONDS + RETRY_SECONDS - 1) is obtained
    assert keys.ready(FRESH_SECONDS + RETRY_SECONDS) is None
    assert keys.obtain(KEPT_SECONDS - 1) is obtained
    with pytest.raises(KeysUnavailableError):
        keys.ready(KEPT_SECONDS)
    with pytest.raises(KeysUnavailableError):
        keys.obtain(KEPT_SECONDS + RETRY_SECONDS)


def test_an_issuer_that_is_down_is_left_alone_for_a_while(keys: IssuerKeys, issuer: Any) -> None:
    kept = dict(issuer.answers)
    issuer.answers.clear()
    for _ in range(3):
        with pytest.raises(KeysUnavailableError, match="no metadata"):
            keys.obtain(0)
    assert len(issuer.asked) == 2
    issuer.answers |= kept
    assert keys.obtain(RETRY_SECONDS).candidates("one", "ES256")


def test_an_unknown_key_is_asked_for_at_most_once_in_a_while(keys: IssuerKeys, issuer: Any) -> None:
    lacking = keys.obtain(0)
    assert keys.obtain(UNKNOWN_KEY_SECONDS - 1, lacking=lacking) is lacking
    found = keys.obtain(UNKNOWN_KEY_SECONDS, lacking=lacking)
    assert found is not lacking
    assert keys.obtain(UNKNOWN_KEY_SECONDS, lacking=lacking) is found
    assert issuer.asked.count("/jwks") == 2


def test_threads_share_one_fetch(keys: IssuerKeys, issuer: Any) -> None:
    issuer.gate.clear()
    threads = [threading.Thread(target=keys.obtain, args=(0,)) for _ in range(10)]
    for thread in threads:
        thread.start()
    issuer.gate.set()
    for thread in threads:
        thread.join(10)
    assert issuer.asked.count("/jwks") == 1


def test_openid_metadata_serves_where_there_is_no_other(keys: IssuerKeys, issuer: Any) -> None:
    _, document = issuer.answers.pop("/.well-known/oauth-authorization-server")
    issuer.answers["/.well-known/openid-configuration"] = (200, document)
    assert keys.obtain(0).candidates("one", "ES256")


def test_an_issuer_with_a_path_is_found_between_host_and_path(issuer: Any) -> None:
    named = f"{issuer.url}/tenant"
    path = "/.well-known/oauth-authorization-server/tenant"
    issuer.say(path, {"issuer": named, "jwks_uri": f"{issuer.url}/jwks"})
    assert IssuerKeys(named, issuer.ca_file).obtain(0).candidates("one", "ES256")
    assert issuer.asked == [path, "/jwks"]


@pytest.mark.req("8414-08")
def test_metadata_of_another_issuer_is_discarded(keys: IssuerKeys, issuer: Any) -> None:
    issuer.say(
        "/.well-known/oauth-authorization-server", {"issuer": issuer.url + "/", "jwks_uri": f"{issuer.url}/jwks"}
    )
    with pytest.raises(KeysUnavailableError, match="is of issuer"):
        keys.obtain(0)
    assert "/jwks" not in issuer.asked


@pytest.mark.parametrize(
    ("path", "document", "message"),
    [
        ("/jwks", [], "not a JWK Set"),
        ("/jwks", {"keys": []}, "no usable"),
        ("/jwks", {"keys": [{"kty": "oct", "k": "AAAA"}]}, "no usable"),
        ("/jwks", {"keys": ["x"]}, "no object"),
        ("/.well-known/oauth-authorization-server", {"jwks_uri": None}, "no jwks_uri"),
        ("/.well-known/oauth-authorization-server", {"jwks_uri": "http://localhost/"}, "only https"),
        ("/.well-known/oauth-authorization-server", {"jwks_uri": "file:///etc/passwd"}, "only https"),
    ],
    ids=str,
)
def test_keys_that_cannot_be_read_do_not_replace_those_that_can(
    keys: IssuerKeys, issuer: Any, path: str, document: Any, message: str
) -> None:
    obtained = keys.obtain(0)
    issuer.say(path, {"issuer": issuer.url, **document} if "well-known" in path else document)
    assert keys.obtain(FRESH_SECONDS) is obtained
    with pytest.raises(KeysUnavailableError, match=message):
        IssuerKeys(issuer.url, issuer.ca_file).obtain(0)


def test_what_is_no_json_is_no_key_set(keys: IssuerKeys, issuer: Any) -> None:
    issuer.answers["/jwks"] = (200, b"<html>")
    with pytest.raises(KeysUnavailableError, match="no JSON"):
        keys.obtain(0)


def test_an_error_status_is_no_key_set(keys: IssuerKeys, issuer: Any) -> None:
    issuer.answers["/jwks"] = (500, json.dumps({"keys": []}).encode())
    with pytest.raises(KeysUnavailableError, match="500"):
        keys.obtain(0)


def test_an_issuer_that_is_not_trusted_gives_no_keys(issuer: Any, new_key: Callable[[str], Any]) -> None:
    with pytest.raises(KeysUnavailableError, match="not trusted"):
        IssuerKeys(issuer.url).obtain(0)
