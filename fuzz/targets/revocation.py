"""What says that something is revoked or blocked: CRLs, OCSP answers, the signed list; and SPIFFE bundles."""

import json
from collections.abc import Iterator

from certbound.certificates import der
from certbound.certificates.certificate import parse_certificate
from certbound.certificates.crl import CRLError, read_crl
from certbound.certificates.ocsp import OCSPError, build_request, read_response
from certbound.certificates.revocation import Revocation, RevocationPolicy, check_path
from certbound.certificates.spiffe import SpiffeError, parse_bundle, parse_trust_domain
from certbound.oauth.blocking import Blocked, BlockedListError, blocked_claims, read_blocked
from fuzz import mutation, seeds
from fuzz.signing import element, signed_again
from fuzz.target import Target, expect
from fuzz.targets.oauth import json_of, jwk_sets

_LEAF, _MID, _ROOT = (parse_certificate(made()) for made in (seeds.leaf, seeds.intermediate, seeds.root))
_NOW = int(seeds.NOW.timestamp())
_EXPLICIT = 0xA0


def _crl(data: bytes) -> None:
    crl = read_crl(signed_again(data), [_ROOT, _MID])
    expect(crl.entries >= 0, "fewer than no entries")
    policy = RevocationPolicy(Revocation.CRL)
    for check in check_path([_LEAF, _MID, _ROOT], policy, [crl], {}, seeds.NOW).checks:
        str(check.as_json()).encode()


def _ocsp(data: bytes) -> None:
    answer = read_response(_answered_again(data), _LEAF, _MID, nonce=seeds.NONCE, now=seeds.NOW)
    answers = {(_LEAF.sha256, _MID.sha256): answer}
    for check in check_path([_LEAF, _MID], RevocationPolicy(Revocation.OCSP), [], answers, seeds.NOW).checks:
        str(check.as_json()).encode()


def _answered_again(data: bytes) -> bytes:
    """Sign the BasicOCSPResponse again that an OCSPResponse holds (RFC 6960 section 4.2.1)."""
    try:
        (tag, status), (_, explicit) = der.read_all(der.read_only(data, der.SEQUENCE))
        (_, kind), (octets, basic) = der.read_all(der.read_only(explicit, der.SEQUENCE))
    except ValueError:
        return data
    held = element(kind, der.OBJECT_IDENTIFIER) + element(signed_again(basic), octets)
    return element(element(status, tag) + element(element(held), _EXPLICIT))


def _request(data: bytes) -> None:
    """Ask about whatever can be read as a certificate."""
    try:
        certificate = parse_certificate(data)
    except ValueError:
        return
    build_request(certificate, _MID, nonce=seeds.NONCE)
    build_request(_LEAF, certificate, nonce=None)


def _bundle(data: bytes) -> None:
    bundle = parse_bundle(data)
    expect(all(certificate.is_ca for certificate in bundle.certificates), "an anchor that is no CA")


def _bundles() -> Iterator[bytes]:
    for data in jwk_sets():
        yield data
        yield data.replace(b'"sig"', b'"x509-svid"')
    mid = json.loads(next(jwk_sets()))["keys"][0]["x5c"][1]
    yield json.dumps({"keys": [{"kty": "EC", "use": "x509-svid", "x5c": [mid]}], "spiffe_sequence": 7}).encode()


def _trust_domain(data: bytes) -> None:
    name = parse_trust_domain(data.decode("utf-8", "surrogateescape"))
    expect(parse_trust_domain(name) == name, "reads as another domain")


def _blocked(data: bytes) -> None:
    claims = json_of(data)
    if isinstance(claims, dict):
        read_blocked(claims, issuer="https://as", now=_NOW).refusal(None)


def _lists() -> Iterator[bytes]:
    blocked = Blocked(frozenset({_LEAF.sha256}), frozenset({_LEAF.spki_sha256}), frozenset({"1", "2"}))
    yield json.dumps(blocked_claims(blocked, issuer="https://as", issued_at=_NOW, expires_at=_NOW + 9)).encode()


TARGETS = (
    Target("crl.read_crl", _crl, (CRLError,), seeds.crls, mutation.der),
    Target("ocsp.read_response", _ocsp, (OCSPError,), seeds.ocsp_answers, mutation.der),
    Target("ocsp.build_request", _request, (OCSPError,), seeds.certificates, mutation.der),
    Target("spiffe.parse_bundle", _bundle, (SpiffeError,), _bundles, mutation.json_text),
    Target("spiffe.parse_trust_domain", _trust_domain, (SpiffeError,), lambda: [b"spiffe://acme.test", b"a_b-c.d"]),
    Target("blocking.read_blocked", _blocked, (BlockedListError,), _lists, mutation.json_text),
)
