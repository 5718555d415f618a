"""The little DER that names need: one element at a time, object identifiers, character strings of every type."""

from typing import Final, TypeVar

UTF8_STRING: Final = 0x0C
SEQUENCE: Final = 0x30
SET: Final = 0x31
OBJECT_IDENTIFIER: Final = 0x06
_ENCODINGS: Final = {
    UTF8_STRING: "utf-8",
    0x12: "ascii",  # NumericString
    0x13: "ascii",  # PrintableString
    0x14: "latin-1",  # TeletexString, as everybody reads it
    0x16: "ascii",  # IA5String
    0x1A: "ascii",  # VisibleString
    0x1C: "utf-32-be",  # UniversalString
    0x1E: "utf-16-be",  # BMPString
}
_LONG_FORM: Final = 0x80
_HIGH_TAG: Final = 0x1F
_MAXIMUM_LENGTH_OCTETS: Final = 4

Buffer = TypeVar("Buffer", bytes, memoryview)
"""A view is split without copying, for what is large."""


def read_element(data: Buffer) -> tuple[int, Buffer, Buffer]:
    """Split the first element off: (tag octet, content, rest). Raises ValueError on anything that is no DER."""
    if len(data) < 2 or data[0] & _HIGH_TAG == _HIGH_TAG:  # noqa: PLR2004 - tag and length
        raise ValueError("no DER element")
    length, start = data[1], 2
    if length & _LONG_FORM:
        count = length & ~_LONG_FORM
        octets = data[2 : 2 + count]
        if not 0 < count <= _MAXIMUM_LENGTH_OCTETS or len(octets) < count or octets[0] == 0:
            raise ValueError("a DER length that is not in its shortest form")
        length, start = int.from_bytes(octets, "big"), 2 + count
        if length < _LONG_FORM:
            raise ValueError("a DER length that is not in its shortest form")
    if len(data) < start + length:
        raise ValueError("a DER element that ends too early")
    return data[0], data[start : start + length], data[start + length :]


def read_all(data: bytes) -> list[tuple[int, bytes]]:
    """Split the content of a constructed element into its elements: [(tag octet, content)]. Raises ValueError."""
    elements = []
    while data:
        tag, content, data = read_element(data)
        elements.append((tag, content))
    return elements


def read_only(data: bytes, tag: int) -> bytes:
    """Give the content of the one element that the bytes must be. Raises ValueError."""
    found, content, rest = read_element(data)
    if found != tag or rest:
        raise ValueError("another DER element than the expected one")
    return content


def decode_oid(content: bytes) -> str:
    """Give an object identifier in dotted text. Raises ValueError."""
    if not content or content[-1] & _LONG_FORM or len(content) > 128:  # noqa: PLR2004 - a bound, not a rule
        raise ValueError("no object identifier")
    arcs, arc = [], 0
    for octet in content:
        if octet == _LONG_FORM and arc == 0:
            raise ValueError("an object identifier that is not in its shortest form")
        arc = arc << 7 | octet & ~_LONG_FORM
        if not octet & _LONG_FORM:
            arcs.append(arc)
            arc = 0
    first = min(arcs[0] // 40, 2)
    return ".".join(map(str, [first, arcs[0] - 40 * first, *arcs[1:]]))


def encode_utf8_string(text: str) -> bytes:
    """Encode a text as a UTF8String."""
    return encode_element(UTF8_STRING, text.encode())


def encode_element(tag: int, content: bytes) -> bytes:
    """Encode one element, its length in the shortest form."""
    if len(content) < _LONG_FORM:
        return bytes([tag, len(content)]) + content
    octets = len(content).to_bytes((len(content).bit_length() + 7) // 8, "big")
    return bytes([tag, _LONG_FORM | len(octets)]) + octets + content


def decode_value(data: bytes) -> str | bytes:
    """Give a character string's text, or the bytes as they are if the value is of another type.

    Raises ValueError if the bytes are not exactly one element, or a string that does not decode.
    """
    tag, content, rest = read_element(data)
    if rest:
        raise ValueError("something follows the DER element")
    encoding = _ENCODINGS.get(tag)
    return content.decode(encoding) if encoding else data
