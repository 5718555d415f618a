"""Which certificates authenticate at all: rows 9 and 27 of the threats, and bad inputs B2 to B5."""

import re
import ssl
import subprocess
import tomllib
from base64 import encodebytes
from datetime import timedelta
from functools import cache, partial
from math import lcm, prod
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, ec, rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID, ObjectIdentifier
from tests.certificates.splicing import PUBLIC_KEY, SERIAL_NUMBER, element, integer, rsa_key, signed, spliced
from tests.oauth.making import Identity, dns
from tests.rfc.conftest import authority, identity, now

from certbound.authority import trust_policies
from certbound.authority.trust_policies import PolicyChanges
from certbound.certificates import der

from .conftest import Target, bounded, failures
from .handmade import Crafted

VICTIM = [dns("victim.example")]
DAY = timedelta(days=1)
CLIENT, SERVER = ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH
EMAIL, ANY = ExtendedKeyUsageOID.EMAIL_PROTECTION, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE


_USAGES = (
    *("digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement"),
    *("key_cert_sign", "crl_sign", "encipher_only", "decipher_only"),
)


def leaf(target: Target, *extensions: x509.ExtensionType, critical: bool = False) -> Identity:
    return identity(issuer=target.partners, san=VICTIM, extensions=[(one, critical) for one in extensions])


def usage(*names: str) -> x509.KeyUsage:
    return x509.KeyUsage(**{member: member in names for member in _USAGES})


@pytest.mark.threat("B2")
@pytest.mark.parametrize(("begins", "ends"), [(-2 * DAY, -DAY), (DAY, 2 * DAY), (-2 * DAY, timedelta(seconds=-2))])
def test_outside_of_its_dates_a_certificate_is_refused_by_either_method(
    target: Target, begins: timedelta, ends: timedelta
) -> None:
    dates: dict[str, Any] = {"not_before": now() + begins, "not_after": now() + ends}
    client_id = target.client()
    target.refuses(client_id, identity(issuer=target.partners, san=VICTIM, **dates), "validity", "chain")
    alone = identity(**dates)
    target.refuses(target.server.self_signed_client(alone), alone, "validity")


@pytest.mark.threat("B2")
def test_below_an_intermediate_that_has_expired_a_valid_certificate_is_refused(target: Target) -> None:
    expired = authority("CN=Old", issuer=target.partners, not_before=now() - 2 * DAY, not_after=now() - DAY)
    kept = target.refuses(target.client(), identity(issuer=expired, san=VICTIM), "chain")
    assert failures(kept)["chain"] == "certificate has expired, at depth 1: CN=Old"


def documented(extension: str) -> list[list[str]]:
    """Give the rows of a table of docs/threats.md, so that what is written there is what is tried here."""
    written = tomllib.loads((Path(__file__).parents[2] / "scripts" / "threats.toml").read_text("utf-8"))["usages"]
    tables = [
        [[cell.strip() for cell in line.strip("|").split("|")] for line in block.splitlines()]
        for block in written.split("\n\n")
        if block.startswith("|")
    ]
    [rows] = (rows for (head, *_), _, *rows in tables if head == extension)
    assert len(rows) > 6
    return rows


_PURPOSES = {
    "clientAuth": CLIENT,
    "serverAuth": SERVER,
    "emailProtection": EMAIL,
    "anyExtendedKeyUsage": ANY,
    "1.2.3.4": ObjectIdentifier("1.2.3.4"),
}


@pytest.fixture(scope="module")
def particular(running: Target) -> str:
    """A client whose trust store asks for an extendedKeyUsage."""
    name = running.server.trust(running.partners)
    running.change(partial(trust_policies.update, name=name, changes=PolicyChanges(extended_key_usage="require")))
    subject = {"tls_client_auth_san_dns": "victim.example"}
    return running.server.register("tls_client_auth", subject=subject, trust=(name,)).client.client_id


@pytest.mark.threat("9", "B3")
@pytest.mark.parametrize("critical", [False, True])
@pytest.mark.parametrize(("purposes", "optional", "required"), documented("extendedKeyUsage"))
def test_an_extended_key_usage_must_name_clients(
    target: Target, particular: str, *, purposes: str, optional: str, required: str, critical: bool
) -> None:
    named = [] if purposes == "absent" else [x509.ExtendedKeyUsage(_PURPOSES[name] for name in purposes.split(", "))]
    shown = leaf(target, *named, critical=critical)
    for client_id, outcome in ((target.client(), optional), (particular, required)):
        if outcome == "accepted":
            target.accepts(client_id, shown)
        else:
            assert outcome == "refused"
            target.refuses(client_id, shown, "extended_key_usage")


@pytest.mark.threat("9")
@pytest.mark.parametrize("purposes", [[EMAIL], [SERVER]])
def test_an_authority_for_another_purpose_vouches_for_no_client(
    target: Target, purposes: list[ObjectIdentifier]
) -> None:
    mail = authority("CN=Mail", issuer=target.partners, purposes=purposes)
    shown = identity(issuer=mail, san=VICTIM, purposes=[CLIENT])
    target.refuses(target.client(), shown, "path_extended_key_usage", "chain")
    root = authority("CN=Mail root", purposes=purposes)
    shown = identity(issuer=root, san=VICTIM, purposes=[CLIENT])
    target.refuses(target.client(root), shown, "path_extended_key_usage", "chain")


@pytest.mark.threat("B3")
@pytest.mark.parametrize("critical", [False, True])
@pytest.mark.parametrize(("names", "outcome"), documented("keyUsage"))
def test_a_key_usage_must_name_digital_signatures(target: Target, *, names: str, outcome: str, critical: bool) -> None:
    named = [] if names == "absent" else [usage(*(_in_python(name) for name in names.split(", ")))]
    client_id, shown = target.client(), leaf(target, *named, critical=critical)
    if outcome == "accepted":
        target.accepts(client_id, shown)
    else:
        assert outcome == "refused"
        target.refuses(client_id, shown, "key_usage")


def _in_python(name: str) -> str:
    return re.sub("([A-Z])", r"_\1", name).lower()


@pytest.mark.threat("B4")
def test_an_authority_is_no_client_unless_its_certificate_is_registered(target: Target) -> None:
    shown = authority("CN=sub", issuer=target.partners, san=VICTIM)
    target.refuses(target.client(), shown, "not_a_ca")
    target.accepts(target.server.self_signed_client(shown), shown)


@pytest.mark.threat("B4")
def test_a_path_longer_than_an_authority_allows_is_refused(target: Target) -> None:
    last = authority("CN=Last", issuer=target.partners, path_length=0)
    target.accepts(target.client(), identity(issuer=last, san=VICTIM))
    beyond = authority("CN=Beyond", issuer=last)
    kept = target.refuses(target.client(), identity(issuer=beyond, san=VICTIM), "chain")
    assert "path length constraint exceeded" in failures(kept)["chain"]


@pytest.mark.threat("B4")
def test_a_demand_that_nobody_here_understands_is_refused(target: Target) -> None:
    unknown = x509.UnrecognizedExtension(ObjectIdentifier("1.2.3.4.5"), b"\x05\x00")
    target.accepts(target.client(), leaf(target, unknown))
    target.refuses(target.client(), leaf(target, unknown, critical=True), "form", "chain")


@pytest.mark.threat("B4")
@pytest.mark.parametrize(
    ("serial", "failed"),
    [
        ("00", {"certificate_presented"}),
        ("80", {"certificate_presented"}),
        ("ff7f", {"certificate_presented"}),
        ("01" * 21, {"form"}),
        ("00" + "ff" * 20, {"form"}),
    ],
)
def test_a_serial_number_that_is_none_is_refused(target: Target, serial: str, failed: set[str]) -> None:
    plain = leaf(target)
    other = signed(spliced(plain.der, SERIAL_NUMBER, element(2, bytes.fromhex(serial))), target.partners.key)
    target.refuses(target.client(), Crafted(other, plain.key), *failed)


@pytest.mark.threat("B4")
def test_a_certificate_of_version_1_is_refused(target: Target) -> None:
    shown = _version_1(target.partners)
    client_id = target.server.pki_client(target.partners, "subject_dn", "CN=first")
    kept = target.refuses(client_id, shown, "form")
    assert failures(kept)["form"] == "version 1"
    target.accepts(target.server.self_signed_client(shown), shown)


def _version_1(issuer: Identity) -> Identity:
    """A TBSCertificate that begins with its serial number and ends with its key (RFC 5280 section 4.1)."""
    plain = identity("CN=first", issuer=issuer)
    (_, tbs), *rest = der.read_all(der.read_only(plain.der, der.SEQUENCE))
    members = [element(*member) for member in der.read_all(tbs)][1 : PUBLIC_KEY + 1]
    bare = element(der.SEQUENCE, element(der.SEQUENCE, b"".join(members)) + b"".join(element(*e) for e in rest))
    return Identity(signed(bare, issuer.key), plain.key)


def _rsa(bits: int) -> rsa.RSAPrivateKey:
    """Let openssl make what cryptography would not."""
    pem = subprocess.run(["openssl", "genrsa", str(bits)], capture_output=True, check=True).stdout
    key = load_pem_private_key(pem, None, unsafe_skip_rsa_key_validation=True)
    assert isinstance(key, rsa.RSAPrivateKey)
    return key


_WEAK = {
    "RSA 512": lambda: _rsa(512),
    "RSA 1024": lambda: _rsa(1024),
    "RSA 2047": lambda: _rsa(2047),
    "RSA exponent 3": lambda: rsa.generate_private_key(3, 2048),
}


@pytest.mark.threat("B5")
@pytest.mark.parametrize("kind", _WEAK)
def test_a_weak_rsa_key_passes_the_handshake_and_authenticates_nobody(target: Target, kind: str) -> None:
    """OpenSSL takes what its callback takes; the decision is ours, for both methods."""
    key = _WEAK[kind]()
    below, alone = identity(issuer=target.partners, san=VICTIM, key=key), identity(key=key, hash_algorithm=_hash(key))
    client_id, registered = target.client(), target.server.self_signed_client(alone)
    with bounded():
        kept = target.refuses(client_id, below, "key_strength", "chain", by=target.lax_in_tls_1_2)
    with bounded():
        target.refuses(registered, alone, "key_strength", by=target.lax_in_tls_1_2)
    assert failures(kept)["chain"] == "not looked at, as the certificate's own key is refused"
    assert failures(kept)["key_strength"] == f"RSA {key.key_size} bits, exponent {key.public_key().public_numbers().e}"


def _hash(key: rsa.RSAPrivateKey) -> hashes.HashAlgorithm:
    return hashes.SHA224() if key.key_size < 1024 else hashes.SHA256()


def _private(*numbers: int, others: bytes = b"") -> bytes:
    """Write an RSAPrivateKey of numbers that no library would take (RFC 8017 appendix A.1.2)."""
    encoded = element(der.SEQUENCE, b"".join(map(integer, numbers)) + others)
    return b"-----BEGIN RSA PRIVATE KEY-----\n%b-----END RSA PRIVATE KEY-----\n" % encodebytes(encoded)


def _with_key(target: Target, modulus: int, exponent: int, private: bytes) -> Crafted:
    plain = leaf(target)
    encoded = signed(spliced(plain.der, PUBLIC_KEY, rsa_key(modulus, exponent)), target.partners.key)
    return Crafted(encoded, plain.key, private=private)


@pytest.mark.threat("27", "B5")
def test_a_huge_rsa_key_passes_the_handshake_and_authenticates_nobody(target: Target) -> None:
    """16,377 bits, for which nobody had to look for primes: they are Mersenne's."""
    p, q, *more = primes = [(1 << bits) - 1 for bits in (4423, 4253, 3217, 2281, 2203)]
    n, e = prod(primes), 65537
    d = pow(e, -1, lcm(*(prime - 1 for prime in primes)))
    infos = [
        element(der.SEQUENCE, integer(r) + integer(d % (r - 1)) + integer(pow(prod(primes[:place]), -1, r)))
        for place, r in enumerate(more, 2)
    ]
    crt = (d % (p - 1), d % (q - 1), pow(q, -1, p))
    private = _private(1, n, e, d, p, q, *crt, others=element(der.SEQUENCE, b"".join(infos)))
    shown = _with_key(target, n, e, private)
    with bounded():
        kept = target.refuses(target.client(), shown, "key_strength", "chain", by=target.lax)
        target.refuses(target.server.self_signed_client(shown), shown, "key_strength", by=target.lax)
    assert failures(kept)["key_strength"] == "RSA 16377 bits, exponent 65537"


@pytest.mark.threat("B5")
def test_an_rsa_key_that_hides_nothing_passes_the_handshake_and_authenticates_nobody(target: Target) -> None:
    """Exponent 1: whoever reads the certificate can sign with its key."""
    numbers = rsa.generate_private_key(65537, 2048).private_numbers()
    n, p, q = numbers.public_numbers.n, numbers.p, numbers.q
    shown = _with_key(target, n, 1, _private(0, n, 1, 1, p, q, 1, 1, numbers.iqmp))
    target.refuses(target.client(), shown, "certificate_presented", by=target.lax)


@cache
def _other_keys() -> dict[str, Any]:
    curves = (ec.SECP192R1(), ec.SECP224R1(), ec.SECP256K1(), ec.BrainpoolP256R1())
    return {curve.name: ec.generate_private_key(curve) for curve in curves} | {"dsa": dsa.generate_private_key(1024)}  # noqa: S505


@pytest.mark.threat("B5")
@pytest.mark.parametrize("kind", ["secp192r1", "secp224r1", "secp256k1", "brainpoolP256r1", "dsa"])
def test_a_key_of_another_kind_authenticates_nobody_whether_the_handshake_takes_it_or_not(
    target: Target, kind: str
) -> None:
    key = _other_keys()[kind]
    below = identity(issuer=target.partners, san=VICTIM, key=key)
    client_id = target.client()
    with bounded():
        # Where the client finds no signature that both sides know, it sends no certificate.
        target.refuses(client_id, below, "certificate_presented", by=target.lax)
        if kind == "dsa":
            target.refuses(client_id, below, "key_strength", "chain", by=target.lax_in_tls_1_2)
            return
        with pytest.raises(ssl.SSLError, match="ALERT"):
            target.lax_in_tls_1_2.token(client_id, below)
