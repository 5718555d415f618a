"""The steps as data: what is tried, why, and what must come back; and whether it did."""

import json
from base64 import urlsafe_b64decode
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from certbound.playground import api
from certbound.playground.certificates import Cast, Identity
from certbound.playground.registrations import USERNAME, Registered
from certbound.playground.request import Answer, Request


@dataclass(frozen=True, slots=True)
class Expected:
    """What must come back: the status, the RFC's error code, members of the JSON and claims of the token in it.

    `challenge` must be part of the `WWW-Authenticate` header. `failed` names the checks that must be the ones to
    fail in the server's own decision.
    """

    status: int
    error: str | None = None
    challenge: str = ""
    members: Mapping[str, Any] = field(default_factory=dict)
    claims: Mapping[str, Any] = field(default_factory=dict)
    failed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Step:
    """One step. `keeps_token` names the file its token is kept in, as a header line for the steps after it.

    `explained` is the certificate that the operator can have explained to him.
    """

    letter: str
    title: str
    why: str
    request: Request
    expected: Expected
    keeps_token: Path | None = None
    explained: Identity | None = None


@dataclass(frozen=True, slots=True)
class Scene:
    """Who and what the steps speak of."""

    cast: Cast
    registered: Registered
    issuer: str
    audience: str

    @property
    def token_file(self) -> Path:
        """Give the file that keeps the token of `orders`, as a header line."""
        return self.cast.folder / "orders/authorization.header"

    def token_request(self, client_id: str, identity: Identity) -> Request:
        """Ask for a token for the API by client credentials."""
        form = (("grant_type", "client_credentials"), ("client_id", client_id), ("resource", self.audience))
        return Request(f"{self.issuer}/oauth2/token", self.registered.ca_file, identity, form)

    def original_request(self) -> Request:
        """Ask as the original's guide does: user and password, and the client's certificate beside them."""
        form = (
            ("grant_type", "password"),
            ("username", USERNAME),
            ("password", self.registered.password),
            ("client_id", "playground"),
        )
        url = f"{self.issuer}/oauth2/token"
        return Request(url, self.registered.ca_file, self.cast.playground, form, as_original=True)

    def api_request(self, identity: Identity | None) -> Request:
        """Call the API with the token of `orders`, over a connection with this certificate."""
        url = self.audience + api.PATH
        return Request(url, self.registered.ca_file, identity, header_file=self.token_file)


def steps(scene: Scene) -> tuple[Step, ...]:
    """Give the story in its order: a token is got before it is used."""
    return (*_tokens(scene), *_calls(scene), *_refusals(scene))


def _tokens(scene: Scene) -> tuple[Step, ...]:
    cast = scene.cast
    return (
        Step(
            "a",
            "A token for a client whose certificate a CA issued",
            "tls_client_auth, RFC 8705 section 2.1: the chain leads to a trust anchor that this client relies on, and "
            "the subject is the registered one. The token is bound to the certificate (cnf, RFC 8705 section 3.1).",
            scene.token_request("orders", cast.orders),
            Expected(200, members=_BEARER, claims=_claims(scene, "orders", scene.audience, cast.orders)),
            keeps_token=scene.token_file,
        ),
        Step(
            "b",
            "A token for a client that signed its certificate itself",
            "self_signed_tls_client_auth, RFC 8705 section 2.2: the certificate equals a registered one. There is no "
            "CA to trust.",
            scene.token_request("playground", cast.playground),
            Expected(200, members=_BEARER, claims=_claims(scene, "playground", scene.audience, cast.playground)),
        ),
        Step(
            "c",
            "The original's own line, word for word",
            "The password grant of RFC 6749 section 4.3, which RFC 9700 section 2.4 forbids: off by default, on here "
            "for those who come from it. The certificate still authenticates the client, and the token is bound to it.",
            scene.original_request(),
            Expected(
                200,
                members=_BEARER,
                claims=_claims(scene, "playground", scene.issuer, cast.playground) | {"sub": scene.registered.sub},
            ),
        ),
    )


def _calls(scene: Scene) -> tuple[Step, ...]:
    cast = scene.cast
    refused = Expected(401, "invalid_token", challenge='error="invalid_token"')
    return (
        Step(
            "d",
            "The token and its certificate, at an API",
            "RFC 8705 section 3: the API compares the connection's certificate with the token's cnf. They match.",
            scene.api_request(cast.orders),
            Expected(200, members={"client_id": "orders", "orders": list(api.ORDERS)}),
        ),
        Step(
            "e",
            "The same token with another client's certificate",
            "Whoever steals the token has not got the private key. The certificate does not match: the API MUST "
            "refuse with 401 and invalid_token (RFC 8705 section 3).",
            scene.api_request(cast.billing),
            refused,
        ),
        Step(
            "f",
            "The same token with no certificate",
            "A bound token is no plain bearer token (RFC 8705 section 3): alone it is worth nothing.",
            scene.api_request(None),
            refused,
        ),
    )


def _refusals(scene: Scene) -> tuple[Step, ...]:
    cast = scene.cast
    bad = (
        (
            "g",
            "Another client's certificate at the token endpoint",
            "It is good, of the right CA, and says billing. The request says orders (RFC 8705 section 2.1.2).",
            cast.billing,
            ("tls_client_auth_subject_dn",),
        ),
        (
            "h",
            "An expired certificate of the right subject",
            "Its handshake succeeds, as TLS only proves possession of the key. Its days are over all the same.",
            cast.expired,
            ("validity", "chain"),
        ),
        (
            "i",
            "The right subject, from the wrong CA",
            "Any CA can write any name. Only one that this client relies on may vouch for it (RFC 8705 section 7.4).",
            cast.wrong_ca,
            ("chain",),
        ),
    )
    return tuple(
        Step(
            letter,
            title,
            why,
            scene.token_request("orders", identity),
            Expected(401, "invalid_client", failed=failed),
            explained=identity,
        )
        for letter, title, why, identity, failed in bad
    )


def differences(expected: Expected, answer: Answer, *, now: float) -> tuple[str, ...]:
    """Say what of an answer is not as it must be; `now` in seconds since the epoch."""
    found: list[tuple[str, object, object]] = [
        ("status", expected.status, answer.status),
        ("error", expected.error, answer.members.get("error")),
    ]
    found += [(name, value, answer.members.get(name)) for name, value in expected.members.items()]
    claims = token_claims(answer)
    found += [(f"claim {name}", value, claims.get(name)) for name, value in expected.claims.items()]
    wrong = [f"{name} should be {wanted!r}, is {is_!r}" for name, wanted, is_ in found if wanted != is_]
    if expected.challenge not in answer.challenge:
        wrong.append(f"WWW-Authenticate should say {expected.challenge}, says {answer.challenge!r}")
    if expected.claims and not now < claims.get("exp", 0) <= now + answer.members.get("expires_in", 0):
        wrong.append(f"claim exp should be at most expires_in seconds from now, is {claims.get('exp')!r}")
    return tuple(wrong)


def token_claims(answer: Answer) -> dict[str, Any]:
    """Read the claims of an answer's token, to be looked at only: the API is who verifies them. Empty without one."""
    try:
        payload = answer.members["access_token"].split(".")[1]
        claims = json.loads(urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    except (KeyError, AttributeError, IndexError, ValueError):
        return {}
    return claims if isinstance(claims, dict) else {}


_BEARER = {"token_type": "Bearer"}


def _claims(scene: Scene, client_id: str, audience: str, identity: Identity) -> dict[str, Any]:
    return {
        "iss": scene.issuer,
        "aud": audience,
        "client_id": client_id,
        "scope": api.SCOPE,
        "cnf": {"x5t#S256": identity.certificate.x5t_s256},
    }
