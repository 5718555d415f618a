"""Distinguished names in the spellings people paste: OpenSSL's, keytool's, Java's, and RFC 4514 itself."""

import re
from typing import Final

from certbound.certificates import attributes
from certbound.certificates.names import (
    MAXIMUM_TEXT,
    Attribute,
    DistinguishedName,
    DistinguishedNameError,
    parse_rfc4514,
)

_PREFIX: Final = re.compile(r"\s*(subject|issuer|owner|subject dn|issuer dn)\s*([=:])\s*", re.IGNORECASE)
_SLASH: Final = re.compile(r"(?<!\\)/(?=[A-Za-z0-9.]+=)")
_PLUS: Final = re.compile(r"\+(?=[A-Za-z0-9.]+=)")
_SPACED_COMMA: Final = re.compile(r"(?<!\\), (?=[A-Za-z0-9.]+=)")
_ESCAPED: Final = re.compile(rb"\\(?:x([0-9A-Fa-f]{2})|([/+\\]))")
#: From what stands for something large to what stands for the thing itself; other types say nothing about the order.
_RANKS: Final = {
    "2.5.4.6": 0,  # C
    "0.9.2342.19200300.100.1.25": 0,  # DC
    "2.5.4.8": 1,  # ST
    "2.5.4.7": 2,  # L
    "2.5.4.10": 3,  # O
    "2.5.4.11": 4,  # OU
    "2.5.4.3": 5,  # CN
    "0.9.2342.19200300.100.1.1": 5,  # UID
    "1.2.840.113549.1.9.1": 5,  # emailAddress
}


def parse_pasted(text: str) -> tuple[DistinguishedName, tuple[str, ...]]:
    """Read a name in whatever spelling, and give it with warnings for a person to look at.

    Known are RFC 4514 and Java's and keytool's `CN=a, OU=b` (most specific first), and OpenSSL's `/C=SE/CN=a`,
    `subject=C = SE, CN = a` and `subject=C=SE, CN=a` (most general first: turned round). Raises DistinguishedNameError.
    """
    if len(text) > MAXIMUM_TEXT:
        raise DistinguishedNameError(f"a name of more than {MAXIMUM_TEXT} characters is not accepted")
    text = _stripped(text)
    prefix = _PREFIX.match(text)
    body = text[prefix.end() :] if prefix and attributes.oid_of(prefix[1]) is None else text
    if body.startswith("/"):
        return _parse_slashes(body)
    name = parse_rfc4514(body)
    if len(name.rdns) > 1 and _is_openssl_order(body, name, prefix):
        turned = DistinguishedName(name.rdns[::-1])
        return turned, (f"read as OpenSSL prints it, most general part first, and turned round to {turned.text}",)
    return name, _order_warnings(name)


def _stripped(text: str) -> str:
    """Drop what was pasted around the name, but for a last space that is escaped."""
    text = text.lstrip(" \t\r\n")
    stripped = text.rstrip(" \t\r\n")
    is_escaped = (len(stripped) - len(stripped.rstrip("\\"))) % 2 and text[len(stripped) :].startswith(" ")
    return stripped + " " if is_escaped else stripped


def _is_openssl_order(body: str, name: DistinguishedName, prefix: re.Match[str] | None) -> bool:
    """Tell OpenSSL's one-line format, which shows the certificate's order, from its `-nameopt rfc2253` and Java's.

    Java prints `Subject: CN=a, O=b`, most specific first, where `openssl x509 -text` has `Subject: O=b, CN=a`.
    """
    if re.match(r"[A-Za-z0-9.]+ = ", body):
        return True
    if prefix is None or prefix[1].lower() != "subject" or not _SPACED_COMMA.search(body):
        return False
    return prefix[2] == "=" or _ascent(name) >= 0


def _parse_slashes(body: str) -> tuple[DistinguishedName, tuple[str, ...]]:
    """Read OpenSSL's oldest format. It escapes nothing, so a slash or a plus in a value can be taken for a new part."""
    warnings = []
    parts = [_parse_part(part) for part in _SLASH.split(body)[1:]]
    if not parts:
        raise DistinguishedNameError("the name cannot be read: write /TYPE=value pairs, for instance /C=SE/CN=api")
    if _PLUS.search(body):
        warnings.append("a + was read as joining two attributes of one part; if it is part of a value, paste RFC 4514")
    name = DistinguishedName(tuple(parts[::-1]))
    return name, (f"read as OpenSSL's one-line format and turned round to {name.text}", *warnings)


def _parse_part(part: str) -> tuple[Attribute, ...]:
    attributes_read = []
    for pair in _PLUS.split(part):
        written, _, value = pair.partition("=")
        oid = attributes.oid_of(written)
        if oid is None:
            raise DistinguishedNameError(f"{written!r} is no known attribute type, write its dotted OID")
        attributes_read.append(Attribute(oid, _unescape(value)))
    return tuple(attributes_read)


def _unescape(value: str) -> str:
    try:
        return _ESCAPED.sub(lambda m: bytes.fromhex(m[1].decode()) if m[1] else m[2], value.encode()).decode()
    except UnicodeError as error:
        raise DistinguishedNameError("the escaped octets of a value are no UTF-8") from error


def _order_warnings(name: DistinguishedName) -> tuple[str, ...]:
    """Warn of a name that seems to be in the certificate's order (RFC 4514 section 2.1 turns it round)."""
    if _ascent(name) <= 0:
        return ()
    turned = DistinguishedName(name.rdns[::-1]).text
    return (f"the order looks reversed: RFC 4514 puts the most specific part first, did you mean {turned}?",)


def _ascent(name: DistinguishedName) -> int:
    """Say by how much the last part is more specific than the first; 0 where that cannot be told."""
    ranks = [max(known) for rdn in name.rdns if (known := [_RANKS[a.oid] for a in rdn if a.oid in _RANKS])]
    return ranks[-1] - ranks[0] if ranks else 0
