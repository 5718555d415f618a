"""A server under attack: whatever is shown to it in real handshakes, and the trace that each refusal must leave."""

import contextlib
import re
import ssl
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeVar

import pytest
from tests.oauth.making import Identity, dns
from tests.rfc.conftest import SECONDS, Answer, Server, authority, identity, serving

from certbound.authority import records, registered
from certbound.authority.refusals import Refusals
from certbound.store import refusals, revision
from certbound.store.refusals import Refusal

CPU_SECONDS = 2
LOOPBACK = {"CERTBOUND__OUTBOUND__ALLOW": '["127.0.0.0/8"]', "CERTBOUND__LISTENER__0__SERVES": '["oauth", "metrics"]'}
_T = TypeVar("_T")
_REFERENCE = re.compile(r"\(reference ([0-9A-Z]{10})\)")


@dataclass
class Target:
    """The server, an authority that it trusts, and a client of each method that does nothing wrong."""

    server: Server
    partners: Identity

    def __post_init__(self) -> None:
        self.good = identity("CN=good", san=[dns("good.example")], issuer=self.partners)
        self.good_client = self.server.pki_client(self.partners, "san_dns", "good.example")
        self.alone = identity("CN=alone")
        self.alone_client = self.server.self_signed_client(self.alone)

    @property
    def lax(self) -> Server:
        """The server, met by clients whose OpenSSL takes any key and any cipher."""
        return replace(self.server, ciphers="ALL:@SECLEVEL=0")

    @property
    def lax_in_tls_1_2(self) -> Server:
        return replace(self.lax, highest_tls=ssl.TLSVersion.TLSv1_2)

    def client(self, anchor: Identity | None = None, name: str = "victim.example") -> str:
        """Register a client whose certificates have this DNS name and come from this authority."""
        return self.server.pki_client(anchor or self.partners, "san_dns", name)

    def kept(self, answer: Answer) -> Refusal:
        """Find the trace that the answer speaks of."""
        found = _REFERENCE.search(answer.json["error_description"])
        assert found is not None, answer.body
        load = partial(refusals.load, reference=found[1])
        return _soon(lambda: self.server.worker.store.read(load))

    def change(self, work: Callable[..., Any], **how: Any) -> None:
        """Change something, and see the worker know it."""
        self.server.write(work, **how)
        written = self.server.worker.store.read(revision.read)
        _soon(lambda: self.server.worker.registered._snapshot.revision >= written or None)

    def refuses(self, client_id: str, shown: Identity | None, *failed: str, by: Server | None = None) -> Refusal:
        """See that the request ends in `invalid_client`, and that exactly these checks are on record as failed."""
        answer = (by or self.server).token(client_id, shown)
        assert answer.error == (401, "invalid_client")
        kept = self.kept(answer)
        assert kept.client_id == client_id
        assert failures(kept).keys() == set(failed), kept.checks
        return kept

    def accepts(self, client_id: str, shown: Identity, by: Server | None = None) -> None:
        assert (by or self.server).token(client_id, shown).status == 200

    def still_serves(self) -> None:
        self.accepts(self.good_client, self.good)
        self.accepts(self.alone_client, self.alone)


def _soon(found: Callable[[], _T | None]) -> _T:
    """Give what is there within the time that nothing may take."""
    ends = time.monotonic() + SECONDS
    while (one := found()) is None:
        assert time.monotonic() < ends, "it did not happen"
        time.sleep(0.005)
    return one


def failures(kept: Refusal) -> dict[str, str]:
    """Give what was found by each failed check."""
    return {check["check"]: check["found"] for check in kept.checks if not check["passed"]}


@contextlib.contextmanager
def bounded() -> Iterator[None]:
    """Hold this process, which is server and client together, to the processor time that one bad input may cost."""
    started = time.process_time()
    yield
    assert time.process_time() - started < CPU_SECONDS


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    with pytest.MonkeyPatch.context() as patch, contextlib.ExitStack() as stack:
        # No test waits for a batch or a change, and no refusal is passed over as one of too many.
        patch.setattr(records, "FLUSH_SECONDS", 0.01)
        patch.setattr(registered, "POLL_SECONDS", 0.05)
        patch.setattr(Refusals, "BURST", 100_000)
        server = stack.enter_context(serving(tmp_path_factory.mktemp("target"), environ=LOOPBACK))
        yield Target(server, authority("CN=Partners"))


@pytest.fixture
def target(running: Target) -> Iterator[Target]:
    """The server; whatever a test did to it, the next good client is served."""
    yield running
    running.still_serves()
