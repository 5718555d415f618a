"""Bring in one small document by https GET."""

import http.client
import io
import socket
import ssl
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, cast

from certbound.fetch.address import is_reachable
from certbound.fetch.target import Target, TargetError, parse_target

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

_KEPT_HEADERS: Final = frozenset({"cache-control", "content-type", "etag", "expires", "last-modified", "retry-after"})
_MAX_HEADER_BYTES: Final = 64 * 1024
_MAX_ADDRESSES: Final = 4
# A name whose servers never answer holds a thread of the resolver for as long as the system waits.
_RESOLVERS: Final = threading.BoundedSemaphore(32)


class FetchError(Exception):
    """The document was not brought in; the text is one line: the URL without its query, if it is one, and why."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """An answer that is no redirect: the status, a few headers (names in lower case), the whole body."""

    status: int
    body: bytes = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict)


def fetch(
    url: str,
    *,
    trust: ssl.SSLContext,
    allow: Sequence[str] = (),
    timeout: float = 3.0,
    max_bytes: int = 256 * 1024,
    accept: str = "application/json",
) -> Fetched:
    """GET `url` and give the answer, whatever its status but a redirect.

    `allow` names networks (CIDR) that may be reached although they are not public. The name is resolved once and the
    connection goes to an address that was checked; the certificate must be for the name. `timeout` in seconds is the
    deadline of the whole fetch, `max_bytes` the cap of the body. Blocks: call it off the event loop. Raises FetchError;
    ValueError for a `trust` that checks nothing.
    """
    if trust.verify_mode is not ssl.CERT_REQUIRED or not trust.check_hostname:
        raise ValueError("trust must check the server's certificate and its name")
    deadline = time.monotonic() + timeout
    try:
        target = parse_target(url)
    except TargetError as exc:
        raise FetchError(f"not fetched: {exc}") from None
    try:
        with _connect(target, allow, deadline) as plain:
            plain.settimeout(_left(deadline))
            # A body that ends with the connection must end with TLS's own closing alert, or it may have been cut short.
            with trust.wrap_socket(plain, server_hostname=target.host, suppress_ragged_eofs=False) as connection:
                return _exchange(connection, target, accept, max_bytes, deadline)
    except FetchError as exc:
        raise FetchError(f"{target}: {exc}") from None
    except TimeoutError:
        raise FetchError(f"{target}: no complete answer within {timeout:g} s") from None
    except ssl.SSLCertVerificationError as exc:
        raise FetchError(f"{target}: the server's certificate is not trusted: {exc.verify_message}") from None
    except (OSError, http.client.HTTPException, ValueError) as exc:
        reason = getattr(exc, "strerror", None) or str(exc) or type(exc).__name__
        raise FetchError(f"{target}: {' '.join(str(reason).split())[:200]}") from None


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


def _connect(target: Target, allow: Sequence[str], deadline: float) -> socket.socket:
    """Resolve once, keep the addresses that may be reached, connect to the first that answers."""
    found = _resolve(target.host, target.port, deadline)
    reachable = [address for address in found if is_reachable(address, allow)][:_MAX_ADDRESSES]
    if not reachable:
        raise FetchError(f"{', '.join(found[:_MAX_ADDRESSES])} is no public address and in no network that is allowed")
    failure: OSError = TimeoutError()
    for position, address in enumerate(reachable):
        share = _left(deadline) / (len(reachable) - position)
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
    thread.join(_left(deadline))
    if failure or not answer:
        if thread.is_alive():
            raise TimeoutError
        raise FetchError("the name does not resolve")
    return answer


def _exchange(connection: ssl.SSLSocket, target: Target, accept: str, max_bytes: int, deadline: float) -> Fetched:
    request = (
        f"GET {target.resource} HTTP/1.1\r\nHost: {target.authority}\r\nAccept: {accept}\r\n"
        "Accept-Encoding: identity\r\nUser-Agent: certbound\r\nConnection: close\r\n\r\n"
    )
    connection.settimeout(_left(deadline))
    connection.sendall(request.encode("ascii"))
    wire = _Wire(connection, deadline, max_bytes + _MAX_HEADER_BYTES)
    response = http.client.HTTPResponse(cast("socket.socket", wire), method="GET")
    with response:
        response.begin()
        _check_head(response, max_bytes)
        announced = response.length
        body = response.read(max_bytes + 1)
    if len(body) > max_bytes:
        raise FetchError(f"the answer is larger than {max_bytes} bytes")
    if announced is not None and len(body) != announced:
        raise FetchError("the answer was cut short")
    kept = {name.lower(): value for name, value in response.getheaders() if name.lower() in _KEPT_HEADERS}
    return Fetched(status=response.status, body=body, headers=kept)


def _check_head(response: http.client.HTTPResponse, max_bytes: int) -> None:
    if response.status < http.HTTPStatus.OK:
        raise FetchError(f"unexpected status {response.status}")
    if http.HTTPStatus.MULTIPLE_CHOICES <= response.status < http.HTTPStatus.BAD_REQUEST:
        raise FetchError(f"the server redirects (status {response.status}), which is not followed")
    if response.length is not None and response.length > max_bytes:
        raise FetchError(f"the answer is larger than {max_bytes} bytes")
    if response.headers.get("content-encoding", "identity").lower() != "identity":
        raise FetchError("the answer is compressed, which was not asked for")


class _Wire(io.RawIOBase):
    """A socket's reading side under one deadline and one cap, in the form http.client takes."""

    def __init__(self, connection: ssl.SSLSocket, deadline: float, limit: int) -> None:
        self._connection = connection
        self._deadline = deadline
        self._limit = limit

    def makefile(self, _mode: str) -> io.BufferedReader:
        return io.BufferedReader(self)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "WriteableBuffer") -> int:
        if self._limit <= 0:
            raise FetchError("the answer is too large")
        self._connection.settimeout(_left(self._deadline))
        count = self._connection.recv_into(memoryview(buffer)[: self._limit])
        self._limit -= count
        return count
