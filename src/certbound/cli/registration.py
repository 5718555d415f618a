"""The flags that say what a client is, for `client create` and `client update`, and what they ask to be registered."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from certbound.certificates.certificate import Certificate
from certbound.certificates.files import read_certificate
from certbound.certificates.names import DistinguishedNameError
from certbound.certificates.pasted import parse_pasted
from certbound.certificates.subject import PARAMETERS
from certbound.cli.files import FileError, read_bytes
from certbound.cli.output import note
from certbound.jose.keys import ALGORITHMS
from certbound.oauth.registration import AuthenticationMethod, RegistrationError

_FILE = click.Path(path_type=Path)
_OPTIONS = (
    click.option(
        "--grant",
        "grants",
        metavar="G",
        multiple=True,
        help="A grant it may use: authorization_code, client_credentials, refresh_token, password.",
    ),
    click.option(
        "--scope", "scopes", metavar="S", multiple=True, help="Scopes it may ask for; asking for none gives all."
    ),
    click.option("--resource", "resources", metavar="URI", multiple=True, help="An API it may ask tokens for."),
    click.option(
        "--redirect-uri", "redirect_uris", metavar="U", multiple=True, help="Where its users are sent back to."
    ),
    click.option(
        "--post-logout-redirect-uri",
        "post_logout_redirect_uris",
        metavar="U",
        multiple=True,
        help="Where its users are sent once they are signed out.",
    ),
    click.option(
        "--implicit-consent/--ask-consent",
        default=None,
        help="Agree for its users, who are not asked: for applications of one's own (default: ask).",
    ),
    click.option(
        "--certificate",
        "certificates",
        metavar="FILE",
        multiple=True,
        type=_FILE,
        help="self_signed_tls_client_auth: its certificate.",
    ),
    click.option(
        "--jwks",
        metavar="FILE",
        type=_FILE,
        help="A JWK Set. self_signed_tls_client_auth: its certificates as x5c; private_key_jwt: its public keys.",
    ),
    click.option("--jwks-uri", metavar="URI", help="Or the https URL where it publishes such a set."),
    click.option(
        "--auth-signing-alg",
        metavar="ALG",
        help=f"private_key_jwt: the one algorithm it signs with, of {', '.join(ALGORITHMS)} (default: any).",
    ),
    click.option(
        "--match-by-key/--no-match-by-key",
        default=None,
        help="Let keys of its JWK Set that have no x5c mean it, with whatever certificate (default: no).",
    ),
    click.option(
        "--subject-dn",
        metavar="DN",
        help="tls_client_auth: the subject its certificates have, as RFC 4514 or openssl prints it.",
    ),
    click.option("--san-dns", metavar="D", help="tls_client_auth: or a DNS name they have."),
    click.option("--san-uri", metavar="U", help="tls_client_auth: or a URI they have."),
    click.option("--san-ip", metavar="I", help="tls_client_auth: or an IP address they have."),
    click.option("--san-email", metavar="E", help="tls_client_auth: or an e-mail address they have."),
    click.option(
        "--subject-attribute",
        "subject_attributes",
        metavar="NAME=VALUE",
        multiple=True,
        help="tls_client_auth: an attribute their subject has, where only some are stable; every one given must match.",
    ),
    click.option(
        "--trust",
        metavar="STORE",
        multiple=True,
        help="tls_client_auth: the trust store whose authorities vouch for it.",
    ),
    click.option(
        "--bound/--not-bound",
        default=None,
        help="Bind its tokens to its certificate (default: yes for the mutual TLS methods).",
    ),
    click.option(
        "--diagnostics/--no-diagnostics",
        default=None,
        help="Tell whoever uses its id why it is refused; for tests and onboarding (default: no).",
    ),
)


def method_option(*, required: bool) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Add `--auth`."""
    return click.option(
        "--auth",
        "method",
        metavar="METHOD",
        required=required,
        type=click.Choice([str(method) for method in AuthenticationMethod]),
        help=f"How it proves itself: {', '.join(AuthenticationMethod)}.",
    )


def registration_options(wrapped: Callable[..., None]) -> Callable[..., None]:
    """Add the flags of this file, as one keyword argument each."""
    for option in reversed(_OPTIONS):
        wrapped = option(wrapped)
    return wrapped


@dataclass(frozen=True, slots=True)
class Asked:
    """What the flags ask for, in the words of registration; None where a flag was not given."""

    grant_types: tuple[str, ...] | None
    scopes: tuple[str, ...] | None
    resources: tuple[str, ...] | None
    redirect_uris: tuple[str, ...] | None
    post_logout_redirect_uris: tuple[str, ...] | None
    subject: dict[str, str] | None
    subject_attributes: dict[str, str] | None
    trust: tuple[str, ...] | None
    certificates: tuple[Certificate, ...] | None
    jwks: dict[str, Any] | None
    jwks_uri: str | None
    token_endpoint_auth_signing_alg: str | None
    match_by_key: bool | None
    diagnostics: bool | None
    implicit_consent: bool | None
    bound: bool | None


def read_flags(
    *,
    grants: Sequence[str],
    scopes: Sequence[str],
    resources: Sequence[str],
    redirect_uris: Sequence[str],
    post_logout_redirect_uris: Sequence[str],
    certificates: Sequence[Path],
    jwks: Path | None,
    jwks_uri: str | None,
    auth_signing_alg: str | None,
    match_by_key: bool | None,
    diagnostics: bool | None,
    implicit_consent: bool | None,
    subject_attributes: Sequence[str],
    trust: Sequence[str],
    bound: bool | None,
    **subject: str | None,
) -> Asked:
    """Read the flags and the files they name. An empty value (`--scope ""`) stands for none at all."""
    return Asked(
        grant_types=_words(grants),
        scopes=_words(scopes),
        resources=_words(resources),
        redirect_uris=_words(redirect_uris),
        post_logout_redirect_uris=_words(post_logout_redirect_uris),
        subject=_subject(subject),
        subject_attributes=_subject_attributes(subject_attributes),
        trust=_words(trust),
        certificates=tuple(read_certificate(read_bytes(file), str(file)) for file in certificates) or None,
        jwks=_read_jwks(jwks) if jwks is not None else None,
        jwks_uri=jwks_uri,
        token_endpoint_auth_signing_alg=auth_signing_alg,
        match_by_key=match_by_key,
        diagnostics=diagnostics,
        implicit_consent=implicit_consent,
        bound=bound,
    )


def _words(values: Sequence[str]) -> tuple[str, ...] | None:
    """Split at spaces, so that scopes can be given one by one or as OAuth writes them."""
    return tuple(word for value in values for word in value.split()) if values else None


def _subject(flags: dict[str, str | None]) -> dict[str, str] | None:
    typed = {f"tls_client_auth_{flag}": text for flag, text in flags.items() if text is not None}
    given = {parameter: text for parameter, text in typed.items() if text}
    pasted = given.get(PARAMETERS[0])
    if pasted is not None:
        try:
            name, warnings = parse_pasted(pasted)
        except DistinguishedNameError as error:
            raise RegistrationError(PARAMETERS[0], f"--subject-dn: {error}") from None
        for warning in warnings:
            note(f"--subject-dn {warning}")
        given[PARAMETERS[0]] = name.text
    return given if typed else None


def _subject_attributes(given: Sequence[str]) -> dict[str, str] | None:
    if not given:
        return None
    attributes: dict[str, str] = {}
    for text in filter(None, given):
        name, equals, value = text.partition("=")
        if not equals or name in attributes:
            fault = "is given twice" if equals else "is no NAME=VALUE, for instance serialNumber=1234"
            raise RegistrationError("certbound_subject_attributes", f"--subject-attribute: {text[:80]!r} {fault}")
        attributes[name] = value
    return attributes


def _read_jwks(file: Path) -> dict[str, Any]:
    try:
        document = json.loads(read_bytes(file))
    except (ValueError, RecursionError) as error:
        if isinstance(error, FileError):
            raise
        raise FileError(f"{file}: is no JSON") from None
    if not isinstance(document, dict):
        raise FileError(f"{file}: is no JWK Set, which is an object with a list `keys`")
    return document
