"""Bring in one document by GET or POST."""

import http.client
import ssl
import time
from collections.abc import Sequence

from certbound.fetch.connection import connected
from certbound.fetch.exchange import Fetched, Request, exchange
from certbound.fetch.stream import FetchError
from certbound.fetch.target import TargetError, parse_proxy, parse_target

__all__ = ["FetchError", "Fetched", "fetch"]


def fetch(
    url: str,
    *,
    trust: ssl.SSLContext,
    allow: Sequence[str] = (),
    timeout: float = 3.0,
    max_bytes: int = 256 * 1024,
    accept: str = "application/json",
    body: bytes | None = None,
    content_type: str | None = None,
    signed_content: bool = False,
    proxy: str | None = None,
) -> Fetched:
    """GET `url`, or POST `body` of `content_type` to it, and give the answer, whatever its status but a redirect.

    `allow` names networks (CIDR) that may be reached although they are not public. The name is resolved once and the
    connection goes to an address that was checked; the certificate must be for the name. `timeout` in seconds is the
    deadline of the whole fetch, `max_bytes` the cap of the body. Blocks: call it off the event loop.

    `signed_content` also takes http: URLs. It is for documents whose own signature the caller checks, CRLs and OCSP
    answers, and for nothing else.

    `proxy`, `http://HOST:PORT` or `https://HOST:PORT`, is the operator's and may have any address; its name is resolved
    once and pinned. It gets a tunnel for an https URL, so that the server is still known by its certificate, and the
    whole URL for an http one (RFC 9112 section 3.2.2). It resolves the name in the URL itself: which address that leads
    to, and whether it is the same the next time, cannot be seen from here and is the proxy's own rules' matter. Only a
    host that is an address, or `localhost`, is held against `allow`.

    Raises FetchError; ValueError for a `trust` that checks nothing.
    """
    if trust.verify_mode is not ssl.CERT_REQUIRED or not trust.check_hostname:
        raise ValueError("trust must check the server's certificate and its name")
    deadline = time.monotonic() + timeout
    try:
        target = parse_target(url, plain=signed_content)
        via = parse_proxy(proxy) if proxy is not None else None
    except TargetError as exc:
        raise FetchError(f"not fetched: {exc}") from None
    whole = via is not None and target.scheme == "http"
    request = Request(
        resource=f"http://{target.authority}{target.resource}" if whole else target.resource,
        authority=target.authority,
        accept=accept,
        body=body,
        content_type=content_type,
    )
    try:
        with connected(target, via, trust, allow, deadline) as stream:
            return exchange(stream, request, max_bytes)
    except TimeoutError:
        raise FetchError(f"{target}: no complete answer within {round(timeout, 2):g} s") from None
    except (FetchError, OSError, http.client.HTTPException, ValueError) as exc:
        raise FetchError(f"{target}: {_reason(exc)}") from None


def _reason(error: Exception) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the server's certificate is not trusted: {error.verify_message}"
    reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return " ".join(str(reason).split())[:300]
