"""What a client says of itself when it registers, and what an issuer states of its software."""

import json
from collections.abc import Iterator

from certbound.jose.jwks import parse_jwks
from certbound.oauth.errors import OAuthError
from certbound.oauth.registering import accept_registration
from certbound.oauth.registration import ADMINISTRATIVE_SCOPES, RegistrationError
from certbound.oauth.registration_metadata import (
    OF_THE_SERVER,
    Ceiling,
    check_update,
    check_within,
    read_document,
    read_metadata,
    refused,
    registered_metadata,
)
from certbound.oauth.software_statement import StatementIssuer, merge, read_statement, stated_issuer
from fuzz import mutation
from fuzz.target import Target, expect
from fuzz.targets.oauth import jwk_sets

_GRANTS = ("authorization_code", "client_credentials", "refresh_token")
_CEILING = Ceiling(("read", "certbound.admin"), ("partners",))
_ISSUER = StatementIssuer("https://directory.example", jwks=parse_jwks({"keys": []}))
_WORDS = (b'"redirect_uris":["javascript:x"]', b'"scope":"certbound.admin"', b'"\\ud800"', b"1e999", b"null", b"NaN")


def _register(data: bytes) -> None:
    try:
        metadata = _register_once(read_document(data, "application/json"))
    except (OAuthError, RegistrationError) as error:
        answer = error if isinstance(error, OAuthError) else refused(error)
        printable = all(" " <= character <= "~" and character not in '"\\' for character in answer.description)
        expect(printable, "a refusal that may not be sent")
        return
    sent = {name: value for name, value in metadata.items() if name not in OF_THE_SERVER}
    check_update(sent, "c1")
    expect(_register_once(sent) == metadata, "what is registered is not what is read again")


def _register_once(document: dict[str, object]) -> dict[str, object]:
    request = read_metadata(merge(document, {}), client_id="c1")
    check_within(request, _CEILING)
    expect(ADMINISTRATIVE_SCOPES.isdisjoint(request.scopes), "an administrative scope")
    client = accept_registration(request, client_id="c1", known_grants=_GRANTS, secret_sha256=None, now=1).client
    metadata = registered_metadata(client, configuration_uri="https://as.example/c1", access_token="t")  # noqa: S106
    json.dumps(metadata, ensure_ascii=False, allow_nan=False).encode()
    return metadata


def _documents() -> Iterator[bytes]:
    pki = {"token_endpoint_auth_method": "tls_client_auth", "certbound_trust": ["partners"], "scope": "read"}
    for name, value in (("subject_dn", "CN=a,O=b"), ("san_ip", "::1"), ("san_uri", "a:b"), ("san_email", "a@b.c")):
        yield json.dumps(pki | {f"tls_client_auth_{name}": value}).encode()
    yield json.dumps(pki | {"certbound_subject_attributes": {"UID": "42", "1.2.3.4": "x"}}).encode()
    for keys in jwk_sets():
        for method in ("self_signed_tls_client_auth", "private_key_jwt"):
            yield json.dumps({"token_endpoint_auth_method": method, "jwks": json.loads(keys)}).encode()
    web = {"redirect_uris": ["https://app.example/cb", "http://localhost:1/cb"], "response_types": ["code"]}
    yield json.dumps(web | {"client_name": "Ä", "post_logout_redirect_uris": ["https://app.example/"]}).encode()
    signing = {"token_endpoint_auth_method": "private_key_jwt", "token_endpoint_auth_signing_alg": "ES256"}
    yield json.dumps(signing | {"jwks_uri": "https://keys.example/jwks"}).encode()
    yield b'{"grant_types":["client_credentials"],"tls_client_certificate_bound_access_tokens":false}'


def _statement(data: bytes) -> None:
    text = data.decode("utf-8", "surrogateescape")
    stated_issuer(text)
    read_statement(text, _ISSUER, parse_jwks({"keys": []}), server="https://as.example", now=1)
    expect(False, "a statement without a key")


def _statements() -> Iterator[bytes]:
    yield b"eyJhbGciOiJFUzI1NiIsInR5cCI6IkpXVCJ9.eyJpc3MiOiJodHRwczovL2RpcmVjdG9yeS5leGFtcGxlIn0.AAAA"
    yield b"e30.e30."
    yield b"a.b.c"


TARGETS = (
    Target("registration_metadata.read", _register, (), _documents, mutation.json_text, words=_WORDS),
    Target("software_statement.read", _statement, (OAuthError,), _statements),
)
