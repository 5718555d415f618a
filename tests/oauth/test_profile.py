import pytest

from certbound.jose.keys import ALGORITHMS
from certbound.oauth.profile import Profile, effective_profile

FAPI2 = Profile.FAPI2.rules


@pytest.mark.req("F2-07")
@pytest.mark.parametrize("method", ["tls_client_auth", "self_signed_tls_client_auth", "private_key_jwt"])
def test_fapi2_takes_methods_with_a_key_of_the_clients_own(method: str) -> None:
    assert FAPI2.allows_method(method)


@pytest.mark.req("F2-05", "F2-07")
@pytest.mark.parametrize("method", ["client_secret_basic", "client_secret_post", "none", ""])
def test_fapi2_takes_neither_secrets_nor_public_clients(method: str) -> None:
    assert not FAPI2.allows_method(method)
    assert Profile.DEFAULT.rules.allows_method(method)


@pytest.mark.req("F2-05")
def test_fapi2_refuses_the_password_grant() -> None:
    assert not FAPI2.allows_grant("password")
    assert FAPI2.allows_grant("authorization_code")
    assert Profile.DEFAULT.rules.allows_grant("password")


def test_fapi2_narrows_the_algorithms_in_the_order_of_the_offer() -> None:
    assert FAPI2.narrow_algorithms(("EdDSA", "RS256", "ES384", "PS256", "ES256")) == ("EdDSA", "PS256", "ES256")
    assert FAPI2.narrow_algorithms(("RS256",)) == ()
    assert Profile.DEFAULT.rules.narrow_algorithms(ALGORITHMS) == ALGORITHMS


@pytest.mark.req("F2-06", "F2-11", "F2-14", "F2-17")
def test_fapi2_demands_bound_tokens_pushed_requests_pkce_and_short_lives() -> None:
    assert FAPI2.sender_constrained_tokens
    assert FAPI2.pushed_requests
    assert FAPI2.pkce
    assert FAPI2.code_lifetime == 60
    assert FAPI2.request_uri_lifetime == 599
    default = Profile.DEFAULT.rules
    assert not any((default.sender_constrained_tokens, default.pushed_requests, default.pkce))
    assert (default.code_lifetime, default.request_uri_lifetime) == (600, 600)


@pytest.mark.parametrize("server", Profile)
@pytest.mark.parametrize("client", Profile)
def test_the_stricter_profile_of_server_and_client_holds(server: Profile, client: Profile) -> None:
    stricter = Profile.DEFAULT if server is client is Profile.DEFAULT else Profile.FAPI2
    assert effective_profile(server, client) is stricter


def test_profiles_are_named_as_in_the_settings() -> None:
    assert [Profile("default"), Profile("fapi2")] == list(Profile)
