"""Who was revoked: row 28 of the threats, with an authority, lists and answers of the openssl program."""

import itertools
import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from tests.certificates.openssl_ca import DAY, NOW, OpenSSLCA
from tests.fetch.peers import Server as Responder
from tests.fetch.peers import serving
from tests.oauth.making import Identity

from certbound.authority import revocation_lists, trust_policies
from certbound.authority.trust_policies import PolicyChanges

from .conftest import Target, failures

_numbers = itertools.count()


@dataclass
class House:
    """A trust store of this authority, and one client for each certificate that it issued."""

    target: Target
    ca: OpenSSLCA
    store: str
    good: str
    """A certificate of which no answer is remembered from before."""

    def client(self, name: str) -> str:
        made = self.target.server.register(
            "tls_client_auth", subject={"tls_client_auth_subject_dn": f"CN={name}"}, trust=(self.store,)
        )
        return made.client.client_id

    def policy(self, **changes: str | int) -> None:
        given = PolicyChanges(**changes)  # type: ignore[arg-type]
        self.target.change(partial(trust_policies.update, name=self.store, changes=given))

    def publish(self, crl: bytes, at: datetime = NOW) -> None:
        verified = revocation_lists.read(crl, [self.ca.certificate], now=int(at.timestamp()))
        self.target.change(partial(revocation_lists.add, name=self.store, verified=verified))

    def shown(self, name: str) -> Identity:
        key = load_pem_private_key((self.ca.folder / f"{name}.key").read_bytes(), None)
        return Identity(self.ca.read(f"{name}.pem").der, key)  # type: ignore[arg-type]

    def refuses(self, name: str) -> str:
        """See that the certificate is refused for its revocation alone; give what was found."""
        return failures(self.target.refuses(self.client(name), self.shown(name), "revocation"))["revocation"]

    def accepts(self, name: str) -> None:
        self.target.accepts(self.client(name), self.shown(name))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> OpenSSLCA:
    ca = OpenSSLCA(tmp_path_factory.mktemp("ca"))
    ca.issue("bad")
    ca.issue("responder", "responder")
    ca.revoke("bad")
    return ca


@pytest.fixture
def house(target: Target, made: OpenSSLCA, tmp_path: Path) -> House:
    anchor = Identity(made.certificate.der, target.partners.key)
    good = f"good-{next(_numbers)}"
    made.issue(good)
    return House(target, made, target.server.trust(anchor), good)


@pytest.fixture
def responder() -> Iterator[Responder]:
    with serving(ssl.create_default_context(), None) as running:
        yield running


def answers(responder: Responder, ca: OpenSSLCA, *options: str, signer: str = "responder") -> None:
    """Let `openssl ocsp` answer what is posted."""

    def respond(connection: socket.socket) -> None:
        _, _, question = responder.requests[-1].partition(b"\r\n\r\n")
        body = ca.answer(question, *options, signer=signer)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))

    responder.answer = respond


@pytest.mark.threat("28")
@pytest.mark.parametrize("on_unavailable", ["refuse", "accept"])
def test_whom_a_list_revokes_is_refused_whatever_the_policy(house: House, on_unavailable: str) -> None:
    house.publish(house.ca.crl())
    house.policy(on_unavailable=on_unavailable)
    assert "keyCompromise" in house.refuses("bad")
    house.accepts(house.good)


@pytest.mark.threat("28")
def test_without_a_list_in_force_nobody_is_accepted_unless_the_policy_says_so(house: House) -> None:
    house.policy(revocation="crl")
    assert "no CRL of CN=CA" in house.refuses(house.good)
    house.policy(on_unavailable="accept")
    house.accepts(house.good)
    house.policy(revocation="off", on_unavailable="refuse")
    house.accepts("bad")


@pytest.mark.threat("28")
def test_a_list_that_ran_out_while_it_was_held_clears_nobody(house: House) -> None:
    house.publish(house.ca.crl(begins=NOW - 2 * DAY, ends=NOW - DAY), at=NOW - 1.5 * DAY)
    assert "CRL" in house.refuses(house.good)
    house.policy(on_unavailable="accept")
    house.accepts(house.good)
    assert "keyCompromise" in house.refuses("bad")


@pytest.mark.threat("28")
@pytest.mark.parametrize("on_unavailable", ["refuse", "accept"])
@pytest.mark.parametrize("signer", ["ca", "responder"])
def test_whom_a_responder_calls_revoked_is_refused_whatever_the_policy(
    house: House, responder: Responder, on_unavailable: str, signer: str
) -> None:
    answers(responder, house.ca, "-ndays", "1", signer=signer)
    house.policy(revocation="ocsp", on_unavailable=on_unavailable, ocsp_url=responder.url("/ocsp"))
    assert "keyCompromise" in house.refuses("bad")
    house.accepts(house.good)


@pytest.mark.threat("28")
def test_while_the_responder_is_down_nobody_is_accepted_unless_the_policy_says_so(
    house: House, responder: Responder
) -> None:
    responder.answer = lambda connection: connection.close()
    house.policy(revocation="ocsp", ocsp_url=responder.url("/ocsp"))
    house.refuses(house.good)
    house.policy(on_unavailable="accept")
    house.accepts(house.good)


@pytest.mark.threat("28")
@pytest.mark.parametrize(
    "said",
    [
        b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n\x30\x03\x0a\x01\x06",  # unauthorized (RFC 6960 section 2.3)
        b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1/\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ngood",
        b"HTTP/1.1 200 OK\r\nContent-Length: 60000000\r\n\r\n",
    ],
)
def test_what_is_no_answer_clears_nobody(house: House, responder: Responder, said: bytes) -> None:
    responder.says(said)
    house.policy(revocation="ocsp", ocsp_url=responder.url("/ocsp"))
    house.refuses(house.good)


@pytest.mark.threat("28")
def test_an_answer_signed_by_somebody_else_clears_nobody(house: House, responder: Responder, tmp_path: Path) -> None:
    other = OpenSSLCA(tmp_path / "other")
    for name in ("ca.pem", "ca.key"):
        (house.ca.folder / name.replace("ca", "stranger")).write_bytes((other.folder / name).read_bytes())
    answers(responder, house.ca, "-ndays", "1", signer="stranger")
    house.policy(revocation="ocsp", ocsp_url=responder.url("/ocsp"))
    house.refuses(house.good)


@pytest.mark.threat("28")
def test_where_list_and_responder_are_asked_either_may_revoke(house: House, responder: Responder) -> None:
    """The responder is down and the list is held, or the other way round."""
    house.policy(revocation="crl+ocsp", ocsp_url=responder.url("/ocsp"))
    responder.answer = lambda connection: connection.close()
    house.refuses("bad")
    house.publish(house.ca.crl())
    assert "keyCompromise" in house.refuses("bad")
