"""The client certificate of the TLS connection itself, as the ASGI server tells it."""

import logging
import ssl
from collections.abc import Mapping
from typing import Any

from certbound.certificates.presented import PresentedChain

logger = logging.getLogger(__name__)


class DirectTLS:
    """Take the certificate from the connection that carries the request, and from nowhere else (RFC 8705 section 3).

    Reads what certbound's own door puts into the scope, else the ASGI `tls` extension. A server that fills neither
    shows no certificate, so every bound token is refused; the log says so once.
    """

    def __init__(self) -> None:
        self._warned = False

    def presented(self, scope: Mapping[str, Any]) -> PresentedChain | None:
        """Give the chain of the connection of an ASGI scope, or None if it has none that can be relied on."""
        extensions = scope.get("extensions") or {}
        ours = extensions.get("certbound")
        if ours is not None:
            return _from_door(ours)
        tls = extensions.get("tls")
        if tls is not None:
            return _from_tls_extension(tls)
        if not self._warned:
            self._warned = True
            logger.warning(
                "no_client_certificates",
                extra={
                    "advice": "the ASGI server does not hand over client certificates: run the app on certbound's door"
                },
            )
        return None


def _from_door(ours: Mapping[str, Any]) -> PresentedChain | None:
    # A certificate that a proxy reported is not the connection's own.
    if ours.get("version") != 1 or ours.get("source") != "tls":
        return None
    presented = ours.get("presented")
    return presented if isinstance(presented, PresentedChain) else None


def _from_tls_extension(tls: Mapping[str, Any]) -> PresentedChain | None:
    """Read `client_cert_chain`, PEM, leaf first.

    Whether the server could verify the chain (`client_cert_error`) does not matter: the handshake proved possession of
    the leaf's key, and that is all a binding needs (RFC 8705 section 6.2).
    """
    try:
        leaf, *intermediates = (ssl.PEM_cert_to_DER_cert(pem) for pem in tls.get("client_cert_chain") or ())
    except (ValueError, TypeError, AttributeError):
        return None
    return PresentedChain(leaf, tuple(intermediates))
