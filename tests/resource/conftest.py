"""An issuer on loopback that signs by hand, not by certbound."""

import base64
import hashlib
import json
import ssl
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, cast

import pytest
import trustme
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from joserfc.jwk import ECKey

from certbound.certificates.presented import PresentedChain
from certbound.oauth.binding import certificate_thumbprint

AUDIENCE = "https://api.example.com"
METADATA = "/.well-known/oauth-authorization-server"
MEMBER = "certbound_blocked_endpoint"


@dataclass
class Issuer:
    """Answers by path; `url` is the issuer. Its tokens are issued `now`, by the clock if that is None."""

    url: str
    ca_file: Path
    key: ECKey
    answers: dict[str, tuple[int, bytes]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    now: int | None = None
    gate: threading.Event = field(default_factory=threading.Event)

    def publish(self, *keys: ECKey) -> None:
        documents = [{**key.as_dict(private=False), "kid": key.kid, "use": "sig", "alg": "ES256"} for key in keys]
        self.say("/jwks", {"keys": documents})

    def say(self, path: str, document: Any, status: int = 200) -> None:
        self.answers[path] = (status, json.dumps(document).encode())

    def block(
        self,
        *,
        header: dict[str, Any] | None = None,
        key: ECKey | None = None,
        certificates: Iterable[bytes] = (),
        keys: Iterable[bytes] = (),
        tokens: Iterable[str] = (),
        **changed: Any,
    ) -> None:
        """Publish a list, by name: of certificates and keys in DER, good but for what is `changed`."""
        self.say(METADATA, {"issuer": self.url, "jwks_uri": f"{self.url}/jwks", MEMBER: f"{self.url}/blocked"})
        now = int(time.time()) if self.now is None else self.now
        claims = {
            "iss": self.url,
            "iat": now,
            "exp": now + 300,
            "x5t#S256": [encoded(hashlib.sha256(der).digest()) for der in certificates],
            "spki#S256": [encoded(hashlib.sha256(der).digest()) for der in keys],
            "jti": list(tokens),
            **changed,
        }
        signed = signed_by_hand(claims, key or self.key, {"typ": "certbound-blocked+jwt", **(header or {})})
        self.answers["/blocked"] = (200, signed.encode())

    def sign(
        self,
        leaf: bytes,
        *,
        header: dict[str, Any] | None = None,
        without: tuple[str, ...] = (),
        key: ECKey | None = None,
        **changed: Any,
    ) -> str:
        """Sign a good token for `leaf`, but for what is `changed` or left out."""
        now = int(time.time()) if self.now is None else self.now
        claims = {
            "iss": self.url,
            "aud": AUDIENCE,
            "sub": "robot",
            "client_id": "robot",
            "scope": "read write",
            "jti": "j",
            "iat": now,
            "exp": now + 300,
            "cnf": {"x5t#S256": certificate_thumbprint(leaf)},
            **changed,
        }
        claims = {name: value for name, value in claims.items() if name not in without}
        return signed_by_hand(claims, key or self.key, {"typ": "at+jwt", **(header or {})})


def signed_by_hand(claims: dict[str, Any], key: ECKey, header: dict[str, Any]) -> str:
    protected = {"alg": "ES256", "kid": key.kid, **header}
    signed = f"{encoded(json.dumps(protected).encode())}.{encoded(json.dumps(claims).encode())}"
    return f"{signed}.{encoded(es256(key, signed.encode()))}"


def encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def es256(key: ECKey, message: bytes) -> bytes:
    """Sign by hand, as a signer that refuses nothing is wanted (RFC 7518 section 3.4)."""
    private = cast("ec.EllipticCurvePrivateKey", key.private_key)
    r, s = decode_dss_signature(private.sign(message, ec.ECDSA(hashes.SHA256())))
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="session")
def certificate(authority: trustme.CA) -> PresentedChain:
    return presented(authority, "robot.example")


@pytest.fixture(scope="session")
def other_certificate(authority: trustme.CA) -> PresentedChain:
    return presented(authority, "thief.example")


def presented(authority: trustme.CA, name: str) -> PresentedChain:
    pem = authority.issue_cert(name).cert_chain_pems[0].bytes().decode()
    return PresentedChain(ssl.PEM_cert_to_DER_cert(pem))


@pytest.fixture
def new_key() -> Callable[[str], ECKey]:
    return lambda kid: ECKey.generate_key("P-256", {"kid": kid})


@pytest.fixture
def issuer(authority: trustme.CA, tmp_path: Path, new_key: Callable[[str], ECKey]) -> Iterator[Issuer]:
    ca_file = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(ca_file))
    running: list[Issuer] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            running[0].asked.append(self.path)
            running[0].gate.wait(5)
            status, body = running[0].answers.get(self.path, (404, b"no such document"))
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            with suppress(OSError):  # who asked went away
                self.wfile.write(body)

        def log_message(self, *_args: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("localhost").configure_cert(context)
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        url = f"https://localhost:{server.server_port}"
        issuer = Issuer(url, ca_file, new_key("one"))
        issuer.gate.set()
        running.append(issuer)
        issuer.say(METADATA, {"issuer": url, "jwks_uri": f"{url}/jwks"})
        issuer.publish(issuer.key)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield issuer
        issuer.gate.set()
        server.shutdown()
        thread.join()
