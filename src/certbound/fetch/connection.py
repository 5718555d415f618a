"""A connection to where a URL points: to an address that was checked, or through the operator's proxy."""

import re
import socket
import ssl
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from ipaddress import ip_address
from typing import Final

from certbound.fetch.address import ANYWHERE, is_reachable
from certbound.fetch.stream import FetchError, Plain, Secure, Stream, seconds_left
from certbound.fetch.target import Target

_MAX_ADDRESSES: Final = 4
_MAX_PROXY_ANSWER: Final = 16 * 1024
_STATUS: Final = re.compile(rb"HTTP/1\.[01] ([0-9]{3})[ \r]")
# A name whose servers never answer holds a thread of the resolver for as long as the system waits.
_RESOLVERS: Final = threading.BoundedSemaphore(32)


@contextmanager
def connected(
    target: Target, proxy: Target | None, trust: ssl.SSLContext, allow: Sequence[str], deadline: float
) -> Iterator[Stream]:
    """Connect to `target`, or to `proxy` for it, and speak TLS with whichever of them is https; close it afterwards.

    Raises FetchError, TimeoutError and OSError.
    """
    if proxy is None:
        with _connect(target, allow, deadline) as connection:
            yield _secured(Plain(connection, deadline), target, trust)
        return
    _check_literal(target, allow)
    with _at_proxy(proxy):
        connection = _connect(proxy, ANYWHERE, deadline)
    with connection:
        with _at_proxy(proxy):
            stream = _secured(Plain(connection, deadline), proxy, trust)
            if target.scheme == "https":
                _open_tunnel(stream, target)
        yield _secured(stream, target, trust)


def _secured(stream: Stream, peer: Target, trust: ssl.SSLContext) -> Stream:
    return Secure(stream, trust, peer.host) if peer.scheme == "https" else stream


@contextmanager
def _at_proxy(proxy: Target) -> Iterator[None]:
    """Say of what fails here that it was the proxy; its deadline is that of the whole."""
    try:
        yield
    except TimeoutError:
        raise
    except ssl.SSLCertVerificationError as exc:
        raise FetchError(f"the certificate of the proxy {proxy} is not trusted: {exc.verify_message}") from None
    except (FetchError, OSError) as exc:
        raise FetchError(f"the proxy {proxy}: {getattr(exc, 'strerror', None) or exc}") from None


def _check_literal(target: Target, allow: Sequence[str]) -> None:
    """Refuse an address that may not be reached before the proxy is asked; `localhost` is one (RFC 6761 section 6)."""
    name = target.host.rstrip(".")
    address = "127.0.0.1" if name == "localhost" or name.endswith(".localhost") else target.host
    try:
        ip_address(address)
    except ValueError:
        return
    if not is_reachable(address, allow):
        raise FetchError(f"{address} is no public address and in no network that is allowed")


def _open_tunnel(stream: Stream, target: Target) -> None:
    """Ask the proxy for a tunnel (RFC 9110 section 9.3.6); whoever is behind it proves who he is by TLS."""
    host = f"[{target.host}]" if ":" in target.host else target.host
    stream.send(f"CONNECT {host}:{target.port} HTTP/1.1\r\nHost: {host}:{target.port}\r\n\r\n".encode("ascii"))
    answer = b""
    while b"\r\n\r\n" not in answer:
        piece = stream.receive(4096)
        if not piece or len(answer) > _MAX_PROXY_ANSWER:
            raise FetchError("no answer that HTTP knows")
        answer += piece
    status = _STATUS.match(answer)
    if status is None or not answer.endswith(b"\r\n\r\n"):
        raise FetchError("no answer that HTTP knows")
    if not status[1].startswith(b"2"):
        raise FetchError(f"it opens no tunnel (status {status[1].decode()})")


def _connect(target: Target, allow: Sequence[str], deadline: float) -> socket.socket:
    """Resolve once, keep the addresses that may be reached, connect to the first that answers."""
    found = _resolve(target.host, target.port, deadline)
    reachable = [address for address in found if is_reachable(address, allow)][:_MAX_ADDRESSES]
    if not reachable:
        raise FetchError(f"{', '.join(found[:_MAX_ADDRESSES])} is no public address and in no network that is allowed")
    failure: OSError = TimeoutError()
    for position, address in enumerate(reachable):
        share = seconds_left(deadline) / (len(reachable) - position)
        try:
            return socket.create_connection((address, target.port), timeout=share)
        except OSError as exc:
            failure = exc
    raise failure


def _resolve(host: str, port: int, deadline: float) -> list[str]:
    """Ask the system's resolver, which knows no deadline, from a thread that may be left behind."""
    if not _RESOLVERS.acquire(blocking=False):
        raise FetchError("too many names are being resolved")
    answer: list[str] = []
    failure: list[OSError | UnicodeError] = []

    def ask() -> None:
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            answer.extend(dict.fromkeys(str(entry[4][0]) for entry in found))
        except (OSError, UnicodeError) as exc:
            failure.append(exc)
        finally:
            _RESOLVERS.release()

    thread = threading.Thread(target=ask, name="certbound-resolver", daemon=True)
    thread.start()
    thread.join(seconds_left(deadline))
    if failure or not answer:
        if thread.is_alive():
            raise TimeoutError
        raise FetchError("the name does not resolve")
    return answer
