"""What a request shows of its sender: read once, one method only (RFC 6749 section 2.3)."""

from base64 import b64decode
from dataclasses import dataclass, field
from enum import StrEnum
from urllib.parse import unquote_plus

from certbound.certificates.presented import PresentedChain
from certbound.oauth.client_assertion import ASSERTION_TYPE, claimed_client
from certbound.oauth.errors import OAuthError
from certbound.oauth.form import MAX_LENGTHS, Form


class ShownMethod(StrEnum):
    """How a request tries to prove itself, apart from the connection's certificate, which is never a second method."""

    NOTHING = "nothing"
    SECRET_BASIC = "client_secret_basic"
    SECRET_POST = "client_secret_post"
    ASSERTION = "client_assertion"


@dataclass(frozen=True, slots=True)
class Credentials:
    """The client a request claims to be, and what it shows for it. `presented` is the connection's certificate.

    With an `assertion` the `client_id` may be the one that the assertion itself names; nothing is proved by that.
    """

    client_id: str
    shown: ShownMethod
    presented: PresentedChain | None
    secret: str | None = field(default=None, repr=False)
    assertion: str | None = field(default=None, repr=False)


def read_credentials(form: Form, authorization: str | None, presented: PresentedChain | None) -> Credentials:
    """Read the credentials of a request; `invalid_request` for two methods at once or two client ids.

    `invalid_client` for an assertion of another kind than RFC 7523 section 2.2's, and for one that names no client
    where the request does not either.
    """
    basic = _read_basic(authorization) if authorization is not None else None
    post = form.get("client_secret")
    asserts = form.get("client_assertion") is not None or form.get("client_assertion_type") is not None
    if sum((basic is not None, post is not None, asserts)) > 1:
        raise OAuthError("invalid_request", "the request authenticates in more than one way: use one method only")
    if basic is not None:
        client_id, secret = basic
        if form.get("client_id") not in {None, client_id}:
            raise OAuthError(
                "invalid_request", "client_id in the body differs from the one in the Authorization header"
            )
        return Credentials(client_id, ShownMethod.SECRET_BASIC, presented, secret)
    if asserts:
        assertion = _read_assertion(form)
        client_id = form.get("client_id") or claimed_client(assertion)
        return Credentials(client_id, ShownMethod.ASSERTION, presented, assertion=assertion)
    client_id = form.required("client_id")
    if post is not None:
        return Credentials(client_id, ShownMethod.SECRET_POST, presented, post)
    return Credentials(client_id, ShownMethod.NOTHING, presented)


def _read_assertion(form: Form) -> str:
    """Read `client_assertion` and hold its type (RFC 7521 section 4.2)."""
    assertion = form.required("client_assertion")
    if form.required("client_assertion_type") != ASSERTION_TYPE:
        raise OAuthError("invalid_client", f"client_assertion_type must be {ASSERTION_TYPE}")
    return assertion


def _read_basic(authorization: str) -> tuple[str, str]:
    """Decode HTTP Basic as RFC 6749 section 2.3.1 has it: id and secret form-encoded before they are joined."""
    scheme, _, encoded = authorization.partition(" ")
    if scheme.lower() != "basic":
        raise OAuthError("invalid_request", "the Authorization header of this endpoint takes the scheme Basic only")
    try:
        text = b64decode(encoded.strip(), validate=True).decode("utf-8")
        user, colon, password = text.partition(":")
        client_id, secret = unquote_plus(user, errors="strict"), unquote_plus(password, errors="strict")
    except ValueError as error:
        raise OAuthError("invalid_request", "the Authorization header is not well-formed") from error
    if not colon or not client_id or not secret:
        raise OAuthError("invalid_request", "the Authorization header holds no client_id or no secret")
    if len(client_id) > MAX_LENGTHS["client_id"] or "\0" in client_id:
        raise OAuthError("invalid_request", "the client_id in the Authorization header is too long or holds a NUL")
    return client_id, secret
