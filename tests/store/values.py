"""Values to store: one of each, every field set, changed where a test says so."""

from dataclasses import replace
from typing import Any

from certbound.certificates.subject import SubjectMatch
from certbound.certificates.subject_attributes import SubjectAttributes
from certbound.oauth.registration import AuthenticationMethod, Client
from certbound.store.blocks import Block
from certbound.store.certificates import RegisteredCertificate
from certbound.store.codes import AuthorizationCode, PushedRequest
from certbound.store.people import Person
from certbound.store.refusals import Refusal
from certbound.store.revocation import StoredCRL
from certbound.store.sessions import Consent, Session
from certbound.store.sightings import Sighting
from certbound.store.tokens import IssuedToken, RefreshToken
from certbound.store.trust import TrustCertificate


def client(client_id: str = "orders", **changes: Any) -> Client:
    given = Client(
        client_id=client_id,
        client_name="Orders",
        token_endpoint_auth_method=AuthenticationMethod.SELF_SIGNED_TLS_CLIENT_AUTH,
    )
    return replace(given, **changes)


def full_client(**changes: Any) -> Client:
    """Give a client none of whose fields has its default (a test looks)."""
    given = Client(
        client_id="Ünïcode/%_\\'\"",
        client_name="Bestellungen \N{SNOWMAN}",
        token_endpoint_auth_method=AuthenticationMethod.TLS_CLIENT_AUTH,
        grant_types=("client_credentials", "refresh_token"),
        scopes=("read", "write"),
        resources=("https://api.example.com/a", "https://api.example.com/b"),
        redirect_uris=("https://app.example.com/cb?x=1",),
        post_logout_redirect_uris=("https://app.example.com/bye",),
        implicit_consent=True,
        subject=SubjectMatch("tls_client_auth_subject_dn", "CN=orders,O=Ex\\, Inc"),
        subject_attributes=SubjectAttributes.parse({"serialNumber": "Ünïcode, 1", "1.3.6.1.4.1.99999.1": "x"}),
        trust=("zeta", "alpha"),
        tls_client_certificate_bound_access_tokens=False,
        secret_sha256=bytes(range(32)),
        jwks={"keys": [{"kty": "EC", "x5c": ["MII"], "nested": {"ü": None}}]},
        jwks_uri="https://client.example.com/jwks",
        token_endpoint_auth_signing_alg="PS256",
        match_by_key=True,
        diagnostics=True,
        disabled=True,
        created_at=2**33,
    )
    return replace(given, **changes)


def certificate(client_id: str = "orders", sha256: str = "aa" * 32, **changes: Any) -> RegisteredCertificate:
    given = RegisteredCertificate(
        client_id=client_id, sha256=sha256, der=b"\x30\x00\xff", subject="CN=orders", not_after=2**33, added=100
    )
    return replace(given, **changes)


def trusted(store: str = "partners", id: str = "bb" * 32, **changes: Any) -> TrustCertificate:  # noqa: A002 - the field
    given = TrustCertificate(
        store=store,
        id=id,
        kind="anchor",
        alias="root",
        der=b"\x30\x01\x00",
        subject="CN=root",
        not_after=2**33,
        added=100,
    )
    return replace(given, **changes)


def person(username: str = "ada", **changes: Any) -> Person:
    given = Person(
        username=username, sub=f"sub-{username}", password_hash="$argon2id$...", operator=True, created_at=2**33
    )
    return replace(given, **changes)


def refresh_token(digest: bytes = b"\x00" * 32, **changes: Any) -> RefreshToken:
    given = RefreshToken(
        token_sha256=digest,
        family="family-1",
        client_id="orders",
        sub="sub-ada",
        scope="read write",
        resources=("https://api.example.com",),
        x5t_s256="thumbprint",
        issued_at=100,
        expires_at=2**33,
        certificate_sha256="cc" * 32,
        spki_sha256="dd" * 32,
        address="192.0.2.1",
        claims=("email", "grüße"),
    )
    return replace(given, **changes)


def issued_token(jti: str = "jti-1", **changes: Any) -> IssuedToken:
    given = IssuedToken(
        jti=jti,
        client_id="orders",
        sub="orders",
        grant_type="client_credentials",
        scope="read",
        audience=("https://api.example.com", "https://other.example.com"),
        x5t_s256="thumbprint",
        address="192.0.2.1",
        issued_at=100,
        expires_at=2**33,
        certificate_sha256="cc" * 32,
        spki_sha256="dd" * 32,
        claims=("email", "grüße"),
    )
    return replace(given, **changes)


def sighting(client_id: str = "orders", sha256: str = "cc" * 32, **changes: Any) -> Sighting:
    given = Sighting(
        client_id=client_id,
        sha256=sha256,
        subject="CN=orders",
        spki_sha256="dd" * 32,
        not_before=50,
        not_after=2**33,
        first_seen=100,
        last_seen=100,
    )
    return replace(given, **changes)


def crl(store: str = "partners", sha256: str = "ee" * 32, **changes: Any) -> StoredCRL:
    given = StoredCRL(
        store=store,
        sha256=sha256,
        issuer="CN=root",
        signer="ab" * 32,
        scope="all",
        number=str(2**159),
        is_delta=False,
        this_update=100,
        next_update=2**33,
        added=200,
        url="http://crl.example.com/root.crl",
    )
    return replace(given, **changes)


def refusal(reference: str = "R-1", **changes: Any) -> Refusal:
    given = Refusal(
        reference=reference,
        at=2**33,
        client_id="orders \N{SNOWMAN}",
        address="192.0.2.1",
        error="invalid_client",
        certificate={"subject": "CN=orders", "san": {"dns": ["ü"], "uri": []}},
        checks=[{"check": "chain", "passed": False, "expected": "an anchor", "found": None}],
    )
    return replace(given, **changes)


def block(id: str = "b1", **changes: Any) -> Block:  # noqa: A002 - the field
    given = Block(id=id, kind="certificate", sha256="cc" * 32, reason="stolen", actor="ada", created_at=2**33)
    return replace(given, **changes)


def code(code_sha256: bytes = bytes(range(32)), **changes: Any) -> AuthorizationCode:
    given = AuthorizationCode(
        code_sha256=code_sha256,
        client_id="orders",
        sub="sub-ada",
        session="aa" * 32,
        request={"scope": "read", "resource": ["https://api.example.com/ü"], "claims": {"id_token": {"name": None}}},
        auth_time=90,
        amr=("pwd", "otp"),
        family="family-1",
        issued_at=100,
        expires_at=2**33,
    )
    return replace(given, **changes)


def pushed_request(uri_sha256: bytes = bytes(range(32)), **changes: Any) -> PushedRequest:
    given = PushedRequest(uri_sha256, "orders", {"scope": "read", "claims": {"userinfo": {"ü": None}}}, 2**33)
    return replace(given, **changes)


def session(id_sha256: str = "ab" * 32, **changes: Any) -> Session:
    return replace(Session(id_sha256, "sub-ada", auth_time=100, amr=("pwd", "otp"), expires_at=2**33), **changes)


def consent(client_id: str = "orders", **changes: Any) -> Consent:
    given = Consent("sub-ada", client_id, ("read", "write"), given_at=100, claims=("email", "grüße"))
    return replace(given, **changes)
