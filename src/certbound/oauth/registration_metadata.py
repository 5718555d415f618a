"""A client's own metadata: read into what it asks to be registered as, and written back (RFC 7591 sections 2 and 3).

Whatever stands there is the client's own claim. What only an administrator gives (trust stores and scopes beyond a
ceiling, resources, consent, diagnostics, matching by key) is not read at all, or refused.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, NoReturn

from certbound.certificates.subject import PARAMETERS
from certbound.oauth.errors import OAuthError
from certbound.oauth.form import printable
from certbound.oauth.registering import RegistrationRequest
from certbound.oauth.registration import ADMINISTRATIVE_SCOPES, AuthenticationMethod, Client, RegistrationError

DEFAULT_METHOD: Final = "client_secret_basic"
REGISTRABLE_GRANTS: Final = frozenset({"authorization_code", "client_credentials", "refresh_token"})
"""Grants that a client may take without an administrator; the others are given by hand, client by client."""
OF_THE_SERVER: Final = (
    "registration_access_token",
    "registration_client_uri",
    "client_secret_expires_at",
    "client_id_issued_at",
)
"""Members that only the server writes: an update that holds one is refused (RFC 7592 section 2.2)."""
MAX_TEXT: Final = 4096
"""Characters of a text in the metadata."""
MAX_VALUES: Final = 100
"""Values in a list or members in an object of the metadata."""
MAX_REASON: Final = 400
"""Characters of what the client is told of a refusal."""


@dataclass(frozen=True, slots=True)
class Ceiling:
    """The most that a client may register itself for: scopes, and trust stores that may vouch for it."""

    scopes: tuple[str, ...] = ()
    trust: tuple[str, ...] = ()


def read_document(body: bytes, content_type: str | None) -> dict[str, Any]:
    """Read the JSON object that a client sends; OAuthError says what is wrong with it."""
    if (content_type or "").partition(";")[0].strip().lower() != "application/json":
        raise OAuthError("invalid_client_metadata", "send the metadata as application/json")
    try:
        document = json.loads(body.decode("utf-8"), object_pairs_hook=_object, parse_constant=_no_number)
    except (ValueError, RecursionError):
        raise OAuthError("invalid_client_metadata", "the body is no JSON in UTF-8, or names a member twice") from None
    if not isinstance(document, dict):
        raise OAuthError("invalid_client_metadata", "the metadata is a JSON object")
    return document


def read_metadata(document: Mapping[str, Any], *, client_id: str) -> RegistrationRequest:
    """Read what a client asks to be registered as, under `client_id`; OAuthError names the member at fault.

    A member that is null is absent (RFC 7592 section 2.2), and one that is not known here is passed over. Without
    `grant_types` a client with redirect URIs gets `authorization_code`, and another one what its method allows.
    """
    _check_writable(document)
    given = _Members(document)
    if given.object("jwks") is not None and given.text("jwks_uri") is not None:
        refuse("jwks_uri", "give either jwks or jwks_uri, not both")
    redirect_uris = given.texts("redirect_uris")
    grants = given.texts("grant_types") or (("authorization_code",) if redirect_uris else ())
    _check_responses(given.texts("response_types"), grants)
    return RegistrationRequest(
        client_name=given.text("client_name") or client_id,
        token_endpoint_auth_method=given.text("token_endpoint_auth_method") or DEFAULT_METHOD,
        token_endpoint_auth_signing_alg=given.text("token_endpoint_auth_signing_alg"),
        client_id=client_id,
        grant_types=grants,
        scopes=tuple(dict.fromkeys((given.text("scope") or "").split())),
        redirect_uris=redirect_uris or (),
        post_logout_redirect_uris=given.texts("post_logout_redirect_uris") or (),
        subject={name: text for name in PARAMETERS if (text := given.text(name)) is not None},
        subject_attributes=given.texts_by_name("certbound_subject_attributes"),
        trust=given.texts("certbound_trust") or (),
        jwks=given.object("jwks"),
        jwks_uri=given.text("jwks_uri"),
        bound=given.truth("tls_client_certificate_bound_access_tokens"),
    )


def check_within(request: RegistrationRequest, ceiling: Ceiling, before: Client | None = None) -> None:
    """Hold what a client asks for to its ceiling; OAuthError names the member at fault.

    What it has already (`before`) it may keep, as an administrator may have given it more; but for administrative
    scopes, which nobody has by registration: an update by the client itself ends them.
    """
    held = before or Client("", "", AuthenticationMethod.NONE, grant_types=())
    for scope in request.scopes:
        if scope in ADMINISTRATIVE_SCOPES or scope not in {*ceiling.scopes, *held.scopes}:
            refuse("scope", f"{scope!r} may not be registered here")
    for store in request.trust:
        if store not in {*ceiling.trust, *held.trust}:
            refuse("certbound_trust", f"{store!r} may not be chosen here")
    for grant in request.grant_types:
        if grant not in {*REGISTRABLE_GRANTS, *held.grant_types}:
            refuse("grant_types", f"{grant!r} may not be registered here")


def check_update(document: Mapping[str, Any], client_id: str) -> None:
    """Hold the body of an update to what no client may change (RFC 7592 section 2.2); OAuthError otherwise."""
    if document.get("client_id") != client_id:
        refuse("client_id", "it must be there, and be that of the client whose registration this is")
    for name in OF_THE_SERVER:
        if name in document:
            refuse(name, "it is the server's to say: leave it out")


def refuse(member: str, advice: str) -> NoReturn:
    """Raise the OAuthError for a member at fault (RFC 7591 section 3.2.2)."""
    code = "invalid_redirect_uri" if member == "redirect_uris" else "invalid_client_metadata"
    raise OAuthError(code, printable(f"{member}: {advice}".replace('"', "'"), MAX_REASON))


def refused(error: RegistrationError) -> OAuthError:
    """Make the answer of a rule of registering (`oauth.registering`) that the metadata breaks."""
    try:
        refuse(error.member, str(error))
    except OAuthError as answer:
        return answer


def registered_metadata(
    client: Client,
    *,
    configuration_uri: str,
    access_token: str,
    client_secret: str | None = None,
    statement: str | None = None,
) -> dict[str, Any]:
    """Give all that is registered of a client, with the way to it (RFC 7591 section 3.2.1, RFC 7592 section 3)."""
    secret = {} if client_secret is None else {"client_secret": client_secret, "client_secret_expires_at": 0}
    stated = {} if statement is None else {"software_statement": statement}
    return {
        **client.as_metadata(),
        "response_types": ["code"] if "authorization_code" in client.grant_types else [],
        **stated,
        **secret,
        "registration_client_uri": configuration_uri,
        "registration_access_token": access_token,
    }


def _check_responses(asked: tuple[str, ...] | None, grants: tuple[str, ...]) -> None:
    """Hold response types and grants to each other (RFC 7591 section 2.1)."""
    if asked is not None and asked != (("code",) if "authorization_code" in grants else ()):
        refuse("response_types", "it is [code] for a client with the grant authorization_code, and empty for others")


def _check_writable(document: Mapping[str, Any]) -> None:
    """Refuse what Python reads and nobody can write again: half a surrogate pair, numbers beyond every float."""
    try:
        json.dumps(document, ensure_ascii=False, allow_nan=False).encode()
    except (ValueError, RecursionError):
        raise OAuthError("invalid_client_metadata", "the metadata holds what cannot be written as JSON") from None


class _Members:
    """The members of the document, each of its type or refused; None where one is absent or null."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self._document = document

    def text(self, name: str) -> str | None:
        value = self._document.get(name)
        if value is not None and not _is_text(value):
            refuse(name, f"it is a text of at most {MAX_TEXT} characters")
        return value

    def texts(self, name: str) -> tuple[str, ...] | None:
        values = self._document.get(name)
        if values is None:
            return None
        if not isinstance(values, list) or len(values) > MAX_VALUES or not all(map(_is_text, values)):
            refuse(name, f"it is a list of at most {MAX_VALUES} texts")
        return tuple(dict.fromkeys(values))

    def texts_by_name(self, name: str) -> dict[str, str]:
        values = self.object(name) or {}
        if not all(map(_is_text, values.values())):
            refuse(name, "it is an object of texts")
        return values

    def object(self, name: str) -> dict[str, Any] | None:
        value = self._document.get(name)
        if value is not None and (not isinstance(value, dict) or len(value) > MAX_VALUES):
            refuse(name, f"it is an object of at most {MAX_VALUES} members")
        return value

    def truth(self, name: str) -> bool | None:
        value = self._document.get(name)
        if value is not None and not isinstance(value, bool):
            refuse(name, "it is true or false")
        return value


def _is_text(value: object) -> bool:
    return isinstance(value, str) and len(value) <= MAX_TEXT and "\0" not in value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a member is named twice")
    return members


def _no_number(text: str) -> NoReturn:
    raise ValueError(f"{text} is no JSON")
