"""Attribute types of distinguished names: their object identifiers, the names people write, how values compare."""

import re
from typing import Final

#: Dotted OID -> spellings, the one we print first. Sources: RFC 4514 section 3, RFC 4519, RFC 2985, X.520, the
#: CA/Browser Forum's EV guidelines (jurisdiction*), ETSI EN 319 412-1 (organizationIdentifier), OpenSSL and keytool.
_SPELLINGS: Final[dict[str, tuple[str, ...]]] = {
    "2.5.4.3": ("CN", "commonName"),
    "2.5.4.4": ("SN", "surname"),
    "2.5.4.5": ("serialNumber",),
    "2.5.4.6": ("C", "countryName", "country"),
    "2.5.4.7": ("L", "localityName", "locality"),
    "2.5.4.8": ("ST", "stateOrProvinceName", "S", "state"),
    "2.5.4.9": ("STREET", "streetAddress"),
    "2.5.4.10": ("O", "organizationName"),
    "2.5.4.11": ("OU", "organizationalUnitName"),
    "2.5.4.12": ("title", "T"),
    "2.5.4.13": ("description",),
    "2.5.4.15": ("businessCategory",),
    "2.5.4.17": ("postalCode",),
    "2.5.4.20": ("telephoneNumber",),
    "2.5.4.41": ("name",),
    "2.5.4.42": ("GN", "givenName", "G"),
    "2.5.4.43": ("initials",),
    "2.5.4.44": ("generationQualifier", "generation"),
    "2.5.4.45": ("x500UniqueIdentifier",),
    "2.5.4.46": ("dnQualifier", "dnq"),
    "2.5.4.51": ("houseIdentifier",),
    "2.5.4.65": ("pseudonym",),
    "2.5.4.72": ("role",),
    "2.5.4.97": ("organizationIdentifier",),
    "0.9.2342.19200300.100.1.1": ("UID", "userId"),
    "0.9.2342.19200300.100.1.25": ("DC", "domainComponent"),
    "1.2.840.113549.1.9.1": ("emailAddress", "E", "email"),
    "1.2.840.113549.1.9.2": ("unstructuredName",),
    "1.2.840.113549.1.9.8": ("unstructuredAddress",),
    "1.3.6.1.4.1.311.60.2.1.1": (
        "jurisdictionL",
        "jurisdictionLocalityName",
        "jurisdictionOfIncorporationLocalityName",
    ),
    "1.3.6.1.4.1.311.60.2.1.2": (
        "jurisdictionST",
        "jurisdictionStateOrProvinceName",
        "jurisdictionOfIncorporationStateOrProvinceName",
    ),
    "1.3.6.1.4.1.311.60.2.1.3": (
        "jurisdictionC",
        "jurisdictionCountryName",
        "jurisdictionOfIncorporationCountryName",
    ),
}
_OIDS: Final = {name.lower(): oid for oid, names in _SPELLINGS.items() for name in names}
_DOTTED: Final = re.compile(r"(?:[01]\.(?:0|[1-3]?[0-9])|2\.(?:0|[1-9][0-9]{0,9}))(?:\.(?:0|[1-9][0-9]{0,38})){0,30}")
#: Attribute types that compare bit for bit although we know their name.
_EXACT: Final = frozenset({"2.5.4.45"})
_TELEPHONE: Final = "2.5.4.20"


def oid_of(name: str) -> str | None:
    """Give the dotted OID of a name, `OID.1.2.3` or `1.2.3`, in any case; None if nobody knows it."""
    name = name.removeprefix("OID.").removeprefix("oid.")
    if name[:1].isdigit():
        return name if _DOTTED.fullmatch(name) and len(name) <= 256 else None  # noqa: PLR2004 - a bound, not a rule
    return _OIDS.get(name.lower())


def name_of(oid: str) -> str | None:
    """Give the name under which an attribute type is printed; None: it is printed as its dotted OID."""
    names = _SPELLINGS.get(oid)
    return names[0] if names else None


def ignores_case(oid: str) -> bool:
    """Whether the type's equality rule is caseIgnoreMatch or caseIgnoreIA5Match (RFC 4517 section 4.2)."""
    return oid in _SPELLINGS and oid not in _EXACT


def ignores_spaces_and_hyphens(oid: str) -> bool:
    """Whether the type's equality rule is telephoneNumberMatch (RFC 4517 section 4.2.29)."""
    return oid == _TELEPHONE
