"""Where an issuer's metadata stands, and whether a document found there may be believed (RFC 8414)."""

import json
from typing import Any, Final
from urllib.parse import urlsplit

from certbound.fetch.target import TargetError, parse_target

_WELL_KNOWN: Final = "/.well-known/oauth-authorization-server"
_OPENID: Final = "/.well-known/openid-configuration"


class DiscoveryError(ValueError):
    """The issuer or its metadata cannot be used; the text says why in one line."""


def check_issuer(issuer: str) -> str:
    """Give `issuer` back if it is an https URL without query and fragment (RFC 8414 section 2)."""
    try:
        parse_target(issuer)
    except TargetError as exc:
        raise DiscoveryError(f"issuer must be an https URL, not {issuer[:200]!r}: {exc}") from None
    if "?" in issuer or "#" in issuer:
        raise DiscoveryError(f"issuer must be an https URL without query and fragment, not {issuer[:200]!r}")
    return issuer


def metadata_urls(issuer: str) -> tuple[str, str]:
    """Give where the metadata may stand, the first choice first.

    The well-known part goes between host and path (RFC 8414 section 3.1); OpenID Connect appends it.
    """
    parts = urlsplit(issuer)
    path = parts.path.rstrip("/")
    return f"https://{parts.netloc}{_WELL_KNOWN}{path}", f"https://{parts.netloc}{path}{_OPENID}"


def read_metadata(body: bytes, issuer: str) -> dict[str, Any]:
    """Read a metadata document, which must name exactly this issuer (RFC 8414 section 3.3); DiscoveryError if not."""
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        raise DiscoveryError("the metadata is not JSON") from None
    if not isinstance(document, dict):
        raise DiscoveryError("the metadata is no JSON object")
    if document.get("issuer") != issuer:
        raise DiscoveryError(f"the metadata is of issuer {str(document.get('issuer'))[:200]!r}, not of {issuer!r}")
    return document
