"""What many registrations cost a worker: CPU to look one up, and memory; 100 clients beside 100,000 (quick: 20,000).

A store is asked by a process of its own, as a worker is one, about clients that are not in its memory; then its memory
is read while it is asked about more and more different clients than its bounds take.
"""

import asyncio
import json
import os
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from tempfile import TemporaryDirectory
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from bench.readings import Row, resident_mib
from bench.worker import new_registered
from certbound.authority.registered import MAX_CLIENTS, Registered
from certbound.certificates.certificate import parse_certificate
from certbound.certificates.presented import PresentedChain
from certbound.oauth.credentials import Credentials, ShownMethod
from certbound.oauth.registration import AuthenticationMethod, Client
from certbound.store import certificates, clients, engine, upgrading

_FEW = 100
_NOW = datetime.now(UTC).replace(microsecond=0)
_METHOD = AuthenticationMethod.SELF_SIGNED_TLS_CLIENT_AUTH
_SERIAL = 1 << 126
_BATCH = 5000


def rows(*, quick: bool) -> list[Row]:
    """Measure, for the report."""
    most = 20_000 if quick else 100_000
    few, many = _measure(_FEW, (_FEW,)), _measure(most, sorted({MAX_CLIENTS, 2 * MAX_CLIENTS, most}))
    steps = ", ".join(f"{mib:.0f} MiB after {count:,}" for count, mib in many["resident"])
    return [
        (f"CPU of a decision about a client not in memory, {_FEW} registered", f"{few['cpu'] * 1e6:.0f} us", ""),
        (f"the same, {most:,} registered", f"{many['cpu'] * 1e6:.0f} us", "as with few"),
        (f"memory of a process that knows {_FEW} clients", f"{few['resident'][-1][1]:.0f} MiB", ""),
        (f"the same, {most:,} registered, by clients asked for", steps, f"flat from {MAX_CLIENTS:,} on"),
    ]


def _measure(count: int, asked: Sequence[int]) -> dict[str, Any]:
    with TemporaryDirectory(prefix="certbound-bench-") as folder:
        template = _fill(f"sqlite:///{folder}/bench.db", count)
        command = [sys.executable, "-m", "bench.lookups", f"sqlite:///{folder}/bench.db", template.hex(), str(count)]
        done = subprocess.run([*command, *map(str, asked)], check=True, capture_output=True, text=True)
    measured: dict[str, Any] = json.loads(done.stdout)
    return measured


def _fill(url: str, count: int) -> bytes:
    """Register so many clients with one certificate each, and give what all certificates are made from."""
    template = _template()
    upgrading.upgrade(url)
    with engine.Store(url) as store:
        for start in range(0, count, _BATCH):
            numbers = range(start, min(count, start + _BATCH))
            store.write(partial(_register, template=template, numbers=numbers))
    return template


def _register(connection: engine.Connection, template: bytes, numbers: Iterable[int]) -> None:
    moment = int(_NOW.timestamp())
    for number in numbers:
        clients.add(connection, Client(f"client-{number}", f"Client {number}", _METHOD, created_at=moment))
        certificate = parse_certificate(_certificate(template, number))
        kept = certificates.RegisteredCertificate(
            client_id=f"client-{number}",
            sha256=certificate.sha256.hex(),
            der=certificate.der,
            subject=certificate.subject.text,
            not_after=int(certificate.not_after.timestamp()),
            added=moment,
        )
        certificates.add(connection, kept)


def _template() -> bytes:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name.from_rfc4514_string("CN=client,O=Bench,C=SE")
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(_SERIAL)
    builder = builder.not_valid_before(_NOW - timedelta(days=1)).not_valid_after(_NOW + timedelta(days=30))
    return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.DER)


def _certificate(template: bytes, number: int) -> bytes:
    """Give a certificate of its own to each: another serial number, as nobody checks its own signature."""
    return template.replace(_SERIAL.to_bytes(16, "big"), (_SERIAL + number).to_bytes(16, "big"), 1)


async def _ask(url: str, template: bytes, count: int, asked: Sequence[int]) -> dict[str, Any]:
    """Ask as a worker does, and give the figures."""
    numbers = random.sample(range(count), max(asked))
    with engine.Store(url) as store:
        taken = [await _decide(await _worker(store), template, numbers[:_FEW]) for _ in range(20)]
        worker, resident = await _worker(store), []
        for start, end in zip((0, *asked), asked, strict=False):
            await _decide(worker, template, numbers[start:end])
            resident.append((end, resident_mib(os.getpid())))
    return {"cpu": statistics.median(taken), "resident": resident}


async def _worker(store: engine.Store) -> Registered:
    registered = new_registered(store)
    await registered.refresh()
    return registered


async def _decide(registered: Registered, template: bytes, numbers: Sequence[int]) -> float:
    """Give seconds of CPU for one client."""
    before = time.process_time()
    for number in numbers:
        presented = PresentedChain(_certificate(template, number))
        decision = await registered.decide(Credentials(f"client-{number}", ShownMethod.NOTHING, presented), _NOW)
        if decision.client is None:
            raise SystemExit(f"a client was refused, so there is no figure: {decision.failed}")
    return (time.process_time() - before) / len(numbers)


if __name__ == "__main__":
    _url, _template_hex, _count, *_asked = sys.argv[1:]
    figures = asyncio.run(_ask(_url, bytes.fromhex(_template_hex), int(_count), [int(asked) for asked in _asked]))
    print(json.dumps(figures))
