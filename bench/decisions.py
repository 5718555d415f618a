"""What deciding about a certificate costs, beside OpenSSL and cryptography's verifier on the same chains.

CPU of this process, in the same run and round by round in turn, so that all see the same machine. Every verifier is
given the root and the intermediate beforehand and reads each leaf from DER. certbound's own decision is the whole of
`Registered.decide`: reading, validity, key and usage policy, path, subject.
"""

import asyncio
import resource
import statistics
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID
from cryptography.x509.verification import PolicyBuilder, Store
from OpenSSL import crypto

from bench.readings import Row
from bench.worker import new_registered
from certbound.authority import clients, trust
from certbound.certificates.certificate import parse_certificate
from certbound.certificates.presented import PresentedChain
from certbound.oauth.credentials import Credentials, ShownMethod
from certbound.oauth.registering import RegistrationRequest
from certbound.store import engine

NOW = datetime.now(UTC).replace(microsecond=0)
_Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


@dataclass(frozen=True, slots=True)
class _PKI:
    """A root, an intermediate, and many leaves for one name; all DER."""

    root: bytes
    intermediate: bytes
    leaves: Sequence[bytes]


def rows(*, quick: bool) -> list[Row]:
    """Measure, for the report."""
    rounds, leaves = (3, 100) if quick else (7, 200)
    p256, rsa2048 = (_make(make_key, rounds * leaves) for make_key in (_new_p256, _new_rsa))
    return [*_remembered(p256), *_new_leaves("P-256", p256, leaves), *_new_leaves("RSA 2048", rsa2048, leaves)]


def _remembered(pki: _PKI) -> list[Row]:
    with engine.Store("sqlite://") as store, _Certbound(store, pki) as certbound:
        seconds = statistics.median(_cpu(certbound.decide, [leaf] * 1000) for leaf in pki.leaves[:7])
    return [("CPU of a decision that is remembered", f"{seconds * 1e6:.1f} us", "under 30 us")]


def _new_leaves(kind: str, pki: _PKI, count: int) -> list[Row]:
    """Let all verifiers decide the first `count` leaves, then all of them the next, and so on."""
    with TemporaryDirectory() as folder, engine.Store("sqlite://") as store, _Certbound(store, pki) as certbound:
        ways: dict[str, Callable[[Sequence[bytes]], None]] = {
            "certbound, the whole decision": certbound.decide,
            "OpenSSL's path alone, in process": partial(_openssl_in_process, pki),
            "cryptography's verifier alone": partial(_cryptography, pki),
            "`openssl verify`, a process": partial(_openssl_process, pki, Path(folder)),
        }
        taken: dict[str, list[float]] = {way: [] for way in ways}
        for start in range(0, len(pki.leaves), count):
            for way, work in ways.items():
                taken[way].append(_cpu(work, pki.leaves[start : start + count]))
    wanted = {"certbound, the whole decision": "under 500 us"}
    return [
        (f"CPU of a new {kind} leaf below an intermediate: {way}", _microseconds(seconds), wanted.get(way, ""))
        for way, seconds in taken.items()
    ]


def _microseconds(seconds: Sequence[float]) -> str:
    return f"{statistics.median(seconds) * 1e6:.0f} us"


def _cpu(work: Callable[[Sequence[bytes]], None], share: Sequence[bytes]) -> float:
    """Give seconds of CPU for one leaf, those of child processes included."""
    before = time.process_time() + _cpu_of_children()
    work(share)
    return (time.process_time() + _cpu_of_children() - before) / len(share)


def _cpu_of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


class _Certbound:
    """A worker that knows one client of `tls_client_auth`, with the trust store of its PKI."""

    def __init__(self, store: engine.Store, pki: _PKI) -> None:
        self.runner, self.pki = asyncio.Runner(), pki
        now = int(NOW.timestamp())
        for der, intermediate in ((pki.root, False), (pki.intermediate, True)):
            held = [parse_certificate(der)]
            add = partial(trust.add, name="bench", certificates=held, intermediate=intermediate)
            store.write(partial(add, actor="bench", now=now))
        request = RegistrationRequest(
            "bench",
            "tls_client_auth",
            client_id="bench",
            subject={"tls_client_auth_san_dns": "bench.example.com"},
            trust=("bench",),
        )
        register = partial(clients.register, request=request, known_grants={"client_credentials"})
        store.write(partial(register, actor="bench", now=now))
        self.registered = new_registered(store)

    def __enter__(self) -> Self:
        self.runner.run(self.registered.refresh())
        return self

    def __exit__(self, *_: object) -> None:
        self.runner.close()

    def decide(self, leaves: Sequence[bytes]) -> None:
        self.runner.run(self._decide(leaves))

    async def _decide(self, leaves: Sequence[bytes]) -> None:
        for leaf in leaves:
            presented = PresentedChain(leaf, (self.pki.intermediate,))
            credentials = Credentials("bench", ShownMethod.NOTHING, presented)
            decision = await self.registered.decide(credentials, NOW)
            if decision.client is None:
                raise SystemExit(f"a leaf was refused, so there is no figure: {decision.failed}")


def _openssl_in_process(pki: _PKI, leaves: Sequence[bytes]) -> None:
    store = crypto.X509Store()
    store.add_cert(crypto.load_certificate(crypto.FILETYPE_ASN1, pki.root))
    above = [crypto.load_certificate(crypto.FILETYPE_ASN1, pki.intermediate)]
    for leaf in leaves:
        crypto.X509StoreContext(store, crypto.load_certificate(crypto.FILETYPE_ASN1, leaf), above).verify_certificate()


def _cryptography(pki: _PKI, leaves: Sequence[bytes]) -> None:
    store = Store([x509.load_der_x509_certificate(pki.root)])
    above = [x509.load_der_x509_certificate(pki.intermediate)]
    verifier = PolicyBuilder().store(store).time(NOW).build_client_verifier()
    for leaf in leaves:
        verifier.verify(x509.load_der_x509_certificate(leaf), above)


def _openssl_process(pki: _PKI, folder: Path, leaves: Sequence[bytes]) -> None:
    root, intermediate, leaf = folder / "root.pem", folder / "intermediate.pem", folder / "leaf.pem"
    root.write_bytes(_pem(pki.root))
    intermediate.write_bytes(_pem(pki.intermediate))
    command = ["openssl", "verify", "-CAfile", str(root), "-untrusted", str(intermediate), str(leaf)]
    for der in leaves:
        leaf.write_bytes(_pem(der))
        subprocess.run(command, check=True, capture_output=True)


def _pem(der: bytes) -> bytes:
    return x509.load_der_x509_certificate(der).public_bytes(Encoding.PEM)


def _make(make_key: Callable[[], _Key], leaves: int) -> _PKI:
    keys = [make_key() for _ in range(3)]
    root = _certificate("Root", keys[0], "Root", keys[0], ca=True)
    intermediate = _certificate("Intermediate", keys[1], "Root", keys[0], ca=True)
    made = [_certificate("Leaf", keys[2], "Intermediate", keys[1], ca=False) for _ in range(leaves)]
    return _PKI(root, intermediate, made)


def _certificate(subject: str, key: _Key, issuer: str, issuer_key: _Key, *, ca: bool) -> bytes:
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name.from_rfc4514_string(f"CN={subject},O=Bench,C=SE"))
        .issuer_name(x509.Name.from_rfc4514_string(f"CN={issuer},O=Bench,C=SE"))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW - timedelta(days=1))
        .not_valid_after(NOW + timedelta(days=30))
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False)
        .add_extension(x509.KeyUsage(not ca, False, False, False, False, ca, ca, False, False), critical=True)
    )
    if not ca:
        names, purposes = [x509.DNSName("bench.example.com")], [ExtendedKeyUsageOID.CLIENT_AUTH]
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        builder = builder.add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
    return builder.sign(issuer_key, hashes.SHA256()).public_bytes(Encoding.DER)


def _new_p256() -> _Key:
    return ec.generate_private_key(ec.SECP256R1())


def _new_rsa() -> _Key:
    return rsa.generate_private_key(65537, 2048)
