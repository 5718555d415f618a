"""One address that the server listens on: its mode, certificate, limits and the application behind it."""

import logging
import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from OpenSSL import SSL

from certbound.tls.address import bind
from certbound.tls.context import DoorError, server_context

logger = logging.getLogger(__name__)

Application = Callable[[Any, Any, Any], Awaitable[None]]
"""An ASGI 3 application."""


class ClientCertificate(StrEnum):
    """Whether a listener asks its peers for a certificate. What was shown is never judged here."""

    NONE = "none"
    WANT = "want"
    REQUIRE = "require"
    FORWARDED = "forwarded"


_VERIFY_MODES = {
    ClientCertificate.NONE: SSL.VERIFY_NONE,
    ClientCertificate.WANT: SSL.VERIFY_PEER,
    ClientCertificate.REQUIRE: SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT,
    # The proxy may authenticate itself; whom it speaks for is in its headers.
    ClientCertificate.FORWARDED: SSL.VERIFY_PEER,
}


@dataclass(frozen=True, slots=True)
class Limits:
    """Deadlines (seconds) and caps (bytes) for what a stranger may cost.

    `header_seconds` runs from the first byte of a request (from the handshake for the first) to its last header,
    `body_seconds` from there to the end of the body, `keep_alive_seconds` between requests.
    """

    handshake_seconds: float = 10
    header_seconds: float = 10
    body_seconds: float = 30
    keep_alive_seconds: float = 75
    header_bytes: int = 65536


@dataclass(kw_only=True, eq=False, slots=True)
class Listener:
    """A listener, open or about to be; `app` may be exchanged at any time and serves the next request.

    `bind` is `host:port`, `[::1]:port` or `unix:PATH`; `certificate` and `key` are PEM files. Raises DoorError when
    they are missing or wrong, or when plain HTTP is asked for in another mode than `forwarded`.
    """

    name: str
    bind: str
    app: Application
    client_certificate: ClientCertificate = ClientCertificate.WANT
    certificate: Path | None = None
    key: Path | None = None
    limits: Limits = field(default_factory=Limits)
    context: SSL.Context | None = field(init=False, default=None)
    draining: bool = field(init=False, default=False)
    """The server is ending: connections finish what they have begun and take nothing new."""
    _loaded: tuple[object, ...] = field(init=False, default=())
    _seen: tuple[object, ...] = field(init=False, default=())

    def __post_init__(self) -> None:
        if self.certificate is None and self.key is None:
            if self.client_certificate is not ClientCertificate.FORWARDED:
                raise DoorError(
                    f'listener "{self.name}": client_certificate = "{self.client_certificate}" needs TLS; '
                    "give tls_certificate and tls_key"
                )
            return
        self._loaded = self._seen = self._signature()
        self.context = self._build()

    def bind_sockets(self) -> list[socket.socket]:
        """Bind this listener's address; see `bind`."""
        return bind(self.name, self.bind)

    def reload(self) -> bool:
        """Read the certificate files again; if they are bad, log it and keep what is served now."""
        if self.context is None:
            return True
        self._loaded = self._seen = self._signature()
        try:
            self.context = self._build()
        except DoorError as error:
            logger.error("server_certificate_kept", extra={"listener": self.name, "reason": str(error)})
            return False
        logger.info("server_certificate_loaded", extra={"listener": self.name})
        return True

    def reload_if_changed(self) -> None:
        """Reload when the files have changed and then stayed the same since the last call.

        A certificate and its key are two files: the pause lets whoever writes them write both.
        """
        if self.context is None:
            return
        signature = self._signature()
        settled, self._seen = signature == self._seen, signature
        if settled and signature != self._loaded:
            self.reload()

    def _build(self) -> SSL.Context:
        if self.certificate is None or self.key is None:
            missing = "tls_certificate" if self.certificate is None else "tls_key"
            raise DoorError(f'listener "{self.name}": {missing} is missing; a certificate and its key go together')
        try:
            mode = _VERIFY_MODES[self.client_certificate]
            return server_context(self.certificate, self.key, verify_mode=mode)
        except DoorError as error:
            raise DoorError(f'listener "{self.name}": {error}') from None

    def _signature(self) -> tuple[object, ...]:
        return tuple(_signature(path) for path in (self.certificate, self.key) if path is not None)


def _signature(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ino, found.st_size
