"""Distinguished names: read from RFC 4514 text or a certificate, compared as RFC 4517 says, printed one way only."""

import re
from dataclasses import dataclass, field
from functools import lru_cache
from operator import itemgetter
from typing import Final

from certbound.certificates import attributes, der, preparation

MAXIMUM_TEXT: Final = 8192
"""Characters of a name's text."""
MAXIMUM_ATTRIBUTES: Final = 100
"""Attributes of a name, over all its RDNs."""
_REMEMBERED_SIZE: Final = 512
"""Octets up to which a name of a certificate stays read: strangers make up what they like."""

_TYPE: Final = re.compile(r" *([A-Za-z][A-Za-z0-9-]*|(?:[Oo][Ii][Dd]\.)?[0-9]+(?:\.[0-9]+)+) *= *")
_HEX: Final = re.compile(r"#((?:[0-9A-Fa-f]{2})+)")
_QUOTED: Final = re.compile(r'"((?:[^"\\]|\\.)*)"')
_PLAIN: Final = re.compile(r'(?:[^\\,+";<>]|\\.)*')
_ESCAPED: Final = re.compile(rb'\\(?:([0-9A-Fa-f]{2})|([ "#+,;<=>\\/]))|\\')
_SPECIAL: Final = re.compile(r'[\\"+,;<>]')


class DistinguishedNameError(ValueError):
    """The text or the certificate holds no name that may be compared; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Attribute:
    """One attribute of a name: dotted OID, and the text, or the DER of a value that is no character string."""

    oid: str
    value: str | bytes

    @property
    def name(self) -> str:
        """The attribute type as printed: its name, or its dotted OID where it has none."""
        return attributes.name_of(self.oid) or self.oid

    @property
    def text(self) -> str:
        """The attribute in RFC 4514 text; a type without a name has its value in hexadecimal (section 2.4)."""
        if isinstance(self.value, str) and attributes.name_of(self.oid):
            return f"{self.name}={_escape(self.value)}"
        encoded = self.value if isinstance(self.value, bytes) else der.encode_utf8_string(self.value)
        return f"{self.name}=#{encoded.hex()}"

    @property
    def canonical(self) -> tuple[str, str | bytes]:
        """What is compared: the OID and the value prepared by the type's equality rule (RFC 4517, RFC 4518)."""
        if isinstance(self.value, bytes) or not attributes.ignores_case(self.oid):
            return self.oid, self.value
        if attributes.ignores_spaces_and_hyphens(self.oid):
            return self.oid, preparation.prepare_telephone_number(self.value)
        return self.oid, preparation.prepare_case_ignore(self.value)


@dataclass(frozen=True, slots=True, eq=False)
class DistinguishedName:
    """A name; equal to another if distinguishedNameMatch says so (RFC 4517 section 4.2.15), and hashed accordingly.

    `rdns` holds the RDNs in the order of the text (RFC 4514: most specific first, the reverse of the certificate's
    order); an RDN's attributes are a set and are kept sorted. The types of strings (UTF8String, PrintableString, ...)
    are gone. Raises DistinguishedNameError if a bound is passed or a value holds a character that may not be in a name.
    """

    rdns: tuple[tuple[Attribute, ...], ...]
    text: str = field(init=False)
    """RFC 4514; parsing it gives the same name, whose text is this again."""
    canonical: tuple[tuple[tuple[str, str | bytes], ...], ...] = field(init=False, repr=False)
    _hash: int = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if sum(map(len, self.rdns)) > MAXIMUM_ATTRIBUTES:
            raise DistinguishedNameError(f"a name of more than {MAXIMUM_ATTRIBUTES} attributes is not accepted")
        rdns, texts, canonical = [], [], []
        for rdn in self.rdns:
            pairs = sorted(((_visible(attribute).text, attribute) for attribute in rdn), key=itemgetter(0))
            texts.append("+".join(text for text, _ in pairs))
            rdns.append(tuple(attribute for _, attribute in pairs))
            canonical.append(tuple(sorted((attribute.canonical for attribute in rdns[-1]), key=_sort_key)))
        text = ",".join(texts)
        if len(text) > MAXIMUM_TEXT:
            raise DistinguishedNameError(f"a name of more than {MAXIMUM_TEXT} characters is not accepted")
        object.__setattr__(self, "rdns", tuple(rdns))
        object.__setattr__(self, "text", text)
        object.__setattr__(self, "canonical", tuple(canonical))
        object.__setattr__(self, "_hash", hash(self.canonical))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, DistinguishedName) and self.canonical == other.canonical

    def __hash__(self) -> int:
        return self._hash

    def __str__(self) -> str:
        return self.text

    def __bool__(self) -> bool:
        return bool(self.rdns)

    def values(self, oid: str) -> tuple[str, ...]:
        """Give the texts of all attributes of one type, in the order of the text."""
        return tuple(a.value for rdn in self.rdns for a in rdn if a.oid == oid and isinstance(a.value, str))


def from_der(encoded: bytes) -> DistinguishedName:
    """Read the Name of a certificate (RFC 5280 section 4.1.2.4). Raises DistinguishedNameError.

    Own code, because a name is what identifies here: cryptography refuses some string types and warns of others.
    """
    return _from_der_once(encoded) if len(encoded) <= _REMEMBERED_SIZE else _from_der(encoded)


def _from_der(encoded: bytes) -> DistinguishedName:
    try:
        rdns = der.read_all(der.read_only(encoded, der.SEQUENCE))
        return DistinguishedName(tuple(_read_rdn(tag, content) for tag, content in reversed(rdns)))
    except DistinguishedNameError:
        raise
    except ValueError as error:
        raise DistinguishedNameError(f"a name in the certificate is malformed: {error}") from error


_from_der_once: Final = lru_cache(maxsize=2048)(_from_der)


@lru_cache(maxsize=4096)
def parse_rfc4514(text: str) -> DistinguishedName:
    """Read RFC 4514 text; the empty text is the empty name.

    Taken beyond the RFC, because they cannot mean anything else: spaces around `=`, `,` and `+`, values in double
    quotes (RFC 2253 section 4), `OID.` before a dotted OID, and a dotted OID with a plain value. Raises
    DistinguishedNameError, whose text says where reading stopped.
    """
    if len(text) > MAXIMUM_TEXT:
        raise DistinguishedNameError(f"a name of more than {MAXIMUM_TEXT} characters is not accepted")
    if not text.strip(" "):
        return DistinguishedName(())
    rdns: list[list[Attribute]] = [[]]
    position = 0
    while True:
        attribute, position = _read_attribute(text, position)
        rdns[-1].append(attribute)
        if len(rdns) > MAXIMUM_ATTRIBUTES:
            raise DistinguishedNameError(f"a name of more than {MAXIMUM_ATTRIBUTES} attributes is not accepted")
        if position == len(text):
            return DistinguishedName(tuple(map(tuple, rdns)))
        if text[position] == ",":
            rdns.append([])
        elif text[position] != "+":
            raise _syntax_error(text, position, f"escape the {text[position]!r} with a backslash")
        position += 1


def _sort_key(item: tuple[str, str | bytes]) -> tuple[str, bytes]:
    oid, value = item
    return oid, value if isinstance(value, bytes) else value.encode()


def _read_rdn(tag: int, content: bytes) -> tuple[Attribute, ...]:
    if tag != der.SET or not content:
        raise ValueError("an RDN is no set of attributes")
    attributes_read = []
    for attribute_tag, attribute in der.read_all(content):
        oid_tag, oid, value = der.read_element(attribute)
        if attribute_tag != der.SEQUENCE or oid_tag != der.OBJECT_IDENTIFIER:
            raise ValueError("an attribute is no pair of type and value")
        attributes_read.append(Attribute(der.decode_oid(oid), der.decode_value(value)))
    return tuple(attributes_read)


def _visible(attribute: Attribute) -> Attribute:
    if isinstance(attribute.value, str) and (refused := preparation.refused_character(attribute.value)):
        raise DistinguishedNameError(f"the value of {attribute.name} holds {refused}, which may not be in a name")
    return attribute


def _read_attribute(text: str, position: int) -> tuple[Attribute, int]:
    match = _TYPE.match(text, position)
    if match is None:
        raise _syntax_error(text, position, "write TYPE=value pairs between commas, for instance CN=api,O=Example")
    oid = attributes.oid_of(match[1])
    if oid is None:
        raise _syntax_error(text, position, f"{match[1]!r} is no known attribute type, write its dotted OID")
    position = match.end()
    for form, read in ((_HEX, _from_hex), (_QUOTED, _unescape)):
        if value := form.match(text, position):
            end = value.end() + len(text) - value.end() - len(text[value.end() :].lstrip(" "))
            return Attribute(oid, read(value[1])), end
    value = _PLAIN.match(text, position)
    raw = value[0] if value else ""
    if raw.startswith("#"):
        raise _syntax_error(text, position, "escape a leading # with a backslash, or write whole hexadecimal pairs")
    return Attribute(oid, _unescape(_trim(raw))), position + len(raw)


def _trim(raw: str) -> str:
    """Drop unescaped trailing spaces (leading ones are gone already)."""
    stripped = raw.rstrip(" ")
    backslashes = len(stripped) - len(stripped.rstrip("\\"))
    return stripped + " " if backslashes % 2 else stripped


def _from_hex(digits: str) -> str | bytes:
    try:
        return der.decode_value(bytes.fromhex(digits))
    except ValueError as error:
        raise DistinguishedNameError(f"the value #{digits[:40]} is no DER: {error}") from error


def _unescape(raw: str) -> str:
    """Undo backslashes: a pair of hexadecimal digits is an octet of UTF-8 (RFC 4514 section 3)."""
    try:
        return _ESCAPED.sub(_escaped_octets, raw.encode()).decode()
    except UnicodeError as error:
        raise DistinguishedNameError("the escaped octets of a value are no UTF-8") from error


def _escaped_octets(match: re.Match[bytes]) -> bytes:
    if match[1]:
        return bytes.fromhex(match[1].decode())
    if match[2]:
        return match[2]
    raise DistinguishedNameError("a backslash is followed by neither a special character nor two hexadecimal digits")


def _escape(value: str) -> str:
    """Escape a value (RFC 4514 section 2.4)."""
    escaped = _SPECIAL.sub(r"\\\g<0>", value)
    if escaped.startswith((" ", "#")):
        escaped = "\\" + escaped
    if value.endswith(" ") and len(value) > 1:
        escaped = escaped[:-1] + "\\ "
    return escaped


def _syntax_error(text: str, position: int, advice: str) -> DistinguishedNameError:
    return DistinguishedNameError(f"the name cannot be read from {text[position : position + 20]!r} on: {advice}")
