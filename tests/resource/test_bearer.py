import pytest

from certbound.resource.bearer import bearer_token, refusal_answer
from certbound.resource.verifier import TokenRefused


@pytest.mark.parametrize("scheme", [b"Bearer", b"bearer", b"BEARER"])
@pytest.mark.parametrize("name", [b"authorization", b"Authorization"])
def test_the_token_comes_from_the_header(scheme: bytes, name: bytes) -> None:
    assert bearer_token([(b"host", b"api"), (name, scheme + b" a.b-c_d~+/=")]) == "a.b-c_d~+/="


@pytest.mark.parametrize("value", [None, b"", b"Basic dTpw", b"DPoP abc", b"Bearerabc", b"Token abc"])
def test_without_a_bearer_token_there_is_no_error_code(value: bytes | None) -> None:
    with pytest.raises(TokenRefused) as caught:
        bearer_token([] if value is None else [(b"authorization", value)])
    assert (caught.value.error, caught.value.status) == (None, 401)


@pytest.mark.parametrize(
    "value", [b"Bearer", b"Bearer ", b"Bearer a b", b"Bearer a,b", b"Bearer \xff", b"Bearer =", b'Bearer "a"']
)
def test_a_malformed_header_is_an_invalid_request(value: bytes) -> None:
    with pytest.raises(TokenRefused) as caught:
        bearer_token([(b"authorization", value)])
    assert (caught.value.error, caught.value.status) == ("invalid_request", 400)


def test_two_headers_are_an_invalid_request() -> None:
    with pytest.raises(TokenRefused) as caught:
        bearer_token([(b"authorization", b"Bearer a"), (b"Authorization", b"Bearer a")])
    assert (caught.value.error, caught.value.status) == ("invalid_request", 400)


def test_a_challenge_is_quoted_as_the_standard_says() -> None:
    answer = refusal_answer(TokenRefused("insufficient_scope", "more is needed", 403, scope="read write"), "api")
    assert dict(answer.headers)[b"www-authenticate"] == (
        b'Bearer realm="api", error="insufficient_scope", error_description="more is needed", scope="read write"'
    )
    assert dict(answer.headers)[b"cache-control"] == b"no-store"
