"""A client whose Certificate message OpenSSL would never send: TLS 1.2, rewritten on its way to the wire."""

import socket
import ssl
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from tests.oauth.making import Identity
from tests.rfc.conftest import SECONDS, Server

_HANDSHAKE, _CERTIFICATE = 22, 11
_RECORD = 16_384
ACCEPTED = "accepted"


@dataclass(frozen=True)
class Crafted(Identity):
    """A certificate put together by hand, perhaps with a private key in a form that no library would write."""

    private: bytes = b""

    @property
    def pem(self) -> bytes:
        return ssl.DER_cert_to_PEM_cert(self.der).encode()

    @property
    def key_pem(self) -> bytes:
        return self.private or super().key_pem

    @property
    def is_root(self) -> bool:
        """Send it along, whatever it is."""
        return False


def shaken(server: Server, own: Identity, certificates: Sequence[bytes]) -> str:
    """Shake hands as `own`, which is replaced by these bytes; give what the client's OpenSSL says came of it.

    It can never be accepted, as both sides then have heard different things; what counts is all that the server does
    before it can know that (RFC 5246 section 7.4.2 and 7.4.8).
    """
    place = urlsplit(server.issuer)
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = server.context(own).wrap_bio(incoming, outgoing, server_hostname="localhost")
    with socket.create_connection((place.hostname or "", place.port or 0), timeout=SECONDS) as wire:
        while True:
            try:
                tls.do_handshake()
                return ACCEPTED
            except ssl.SSLWantReadError:
                if not _exchanged(wire, _rewritten(outgoing.read(), certificates), incoming):
                    return "closed"
            except ssl.SSLError as error:
                return error.reason or "closed"


def _exchanged(wire: socket.socket, sent: bytes, incoming: ssl.MemoryBIO) -> bool:
    try:
        wire.sendall(sent)
        received = wire.recv(65_536)
    except (BrokenPipeError, ConnectionResetError):
        return False
    incoming.write(received)
    return bool(received)


def _rewritten(flight: bytes, certificates: Sequence[bytes]) -> bytes:
    """Exchange the content of the Certificate message, which TLS 1.2 sends in the clear."""
    clear = b""
    while flight:
        kind, length = flight[0], int.from_bytes(flight[3:5], "big")
        record, flight = flight[: 5 + length], flight[5 + length :]
        if kind != _HANDSHAKE:
            return _recorded(_exchange(clear, certificates)) + record + flight
        clear += record[5:]
    return _recorded(_exchange(clear, certificates))


def _exchange(messages: bytes, certificates: Sequence[bytes]) -> bytes:
    listed = b"".join(_prefixed(one) for one in certificates)
    return b"".join(
        bytes([kind]) + _prefixed(_prefixed(listed) if kind == _CERTIFICATE else body)
        for kind, body in _messages(messages)
    )


def _messages(clear: bytes) -> Iterator[tuple[int, bytes]]:
    while clear:
        end = 4 + int.from_bytes(clear[1:4], "big")
        yield clear[0], clear[4:end]
        clear = clear[end:]


def _prefixed(content: bytes) -> bytes:
    return len(content).to_bytes(3, "big") + content


def _recorded(messages: bytes) -> bytes:
    pieces = (messages[start : start + _RECORD] for start in range(0, len(messages), _RECORD))
    return b"".join(b"\x16\x03\x03" + len(piece).to_bytes(2, "big") + piece for piece in pieces)
