"""Changing inputs with knowledge of their form, so that what is changed is read and not only the lengths around it."""

import base64
import json
import re
from dataclasses import dataclass
from random import Random
from typing import Any, Final

_CONSTRUCTED: Final = 0x20
_OCTET_STRING: Final = 0x04
_LONG_FORM: Final = 0x80
_MAXIMUM_DEPTH: Final = 20
_TAGS: Final = bytes.fromhex("0102030405060a0c13141617181a1c1e3031a0a1a3808182848687")
_CONTENTS: Final = (b"", b"\x00", b"\x01", b"\x7f", b"\x80", b"\xff", b"\xff" * 9, b"\x00" * 30, b"a" * 300, b"*\x03")
_STRANGE: Final[tuple[Any, ...]] = (None, True, 0, -1, 2**70, 1e308, "", "\0", "\ud800", "a" * 9000, [], {}, [[]], [0])
_PEM: Final = re.compile(rb"(-----BEGIN [A-Z0-9 ]+-----\n)([A-Za-z0-9+/=\s]+)(-----END)")


@dataclass(slots=True)
class _Element:
    tag: int
    content: "bytes | list[_Element]"


def octets(data: bytes, choice: Random) -> bytes:
    """Change, drop, repeat or put in a few octets anywhere."""
    start = choice.randrange(len(data) + 1)
    end = min(len(data), start + choice.choice((0, 1, 1, 2, 4, 16, 64)))
    put = choice.choice((b"", choice.randbytes(choice.randrange(1, 5)), data[start:end] * 2, choice.choice(_CONTENTS)))
    return data[:start] + put + data[end:]


def der(data: bytes, choice: Random) -> bytes:
    """Change one element of one or several DER trees; the lengths around it stay right."""
    trees = _parse(data, 0)
    if not trees:
        return octets(data, choice)
    places = list(_places(trees))
    siblings, index = choice.choice(places)
    element = siblings[index]
    match choice.randrange(7):
        case 0:
            element.tag = choice.choice((*_TAGS, choice.randrange(256)))
        case 1:
            element.content = choice.choice(_CONTENTS)
        case 2:
            del siblings[index]
        case 3:
            siblings[index:index] = [element] * choice.choice((1, 1, 1, 2, 10, 120))
        case 4:
            others, other = choice.choice(places)
            siblings[index] = _Element(others[other].tag, _content(others[other]))
        case 5:
            for _ in range(choice.choice((1, 2, 30, 500))):
                element = _Element(choice.choice((0x30, 0x31, 0xA0, element.tag)), _encode([element]))
            siblings[index] = element
        case _:
            element.content = octets(_content(element), choice)
    return _encode(trees)


def pem(data: bytes, choice: Random) -> bytes:
    """Change the DER in one block of PEM."""
    blocks = list(_PEM.finditer(data))
    if not blocks:
        return octets(data, choice)
    block = choice.choice(blocks)
    return data[: block.start(2)] + _in_base64(block[2], choice) + b"\n" + data[block.start(3) :]


def json_text(data: bytes, choice: Random) -> bytes:
    """Change one value of a JSON document; base64 of DER is changed inside."""
    try:
        root = [json.loads(data)]
    except (ValueError, RecursionError):
        return octets(data, choice)
    holders = list(_holders(root))
    holder, key = choice.choice(holders)
    value = holder[key]
    if isinstance(value, str) and value.startswith("MII") and choice.random() < 0.7:  # noqa: PLR2004 - most often
        holder[key] = _in_base64(value.encode("utf-8", "replace"), choice).decode("utf-8", "replace")
    elif isinstance(value, str) and choice.random() < 0.5:  # noqa: PLR2004 - half of the time
        holder[key] = octets(value.encode("utf-8", "surrogatepass"), choice).decode("utf-8", "replace")
    else:
        others, other = choice.choice(holders)
        holder[key] = choice.choice((*_STRANGE, json.loads(json.dumps(others[other])), [value] * 101))
    return json.dumps(root[0]).encode()


def _in_base64(encoded: bytes, choice: Random) -> bytes:
    try:
        decoded = base64.b64decode(encoded)
    except ValueError:
        return octets(encoded, choice)
    return base64.b64encode(der(decoded, choice))


def _holders(value: Any) -> Any:
    """Walk every place of a JSON document: (list or object, index or name)."""
    for key in value if isinstance(value, dict) else range(len(value)):
        yield value, key
        if isinstance(value[key], list | dict):
            yield from _holders(value[key])


def _parse(data: bytes, depth: int) -> list[_Element] | None:
    """Read elements one after the other, and those inside; None: this is no DER."""
    elements = []
    while data:
        if len(data) < 2:  # noqa: PLR2004 - tag and length
            return None
        length, start = data[1], 2
        if length & _LONG_FORM:
            start += length & ~_LONG_FORM
            length = int.from_bytes(data[2:start], "big")
        content = data[start : start + length]
        if len(content) < length or start > len(data):
            return None
        inside = None
        if data[0] & _CONSTRUCTED or data[0] == _OCTET_STRING:
            inside = _parse(content, depth + 1) if content and depth < _MAXIMUM_DEPTH else None
        elements.append(_Element(data[0], content if inside is None else inside))
        data = data[start + length :]
    return elements


def _places(siblings: list[_Element]) -> Any:
    for index, element in enumerate(siblings):
        yield siblings, index
        if isinstance(element.content, list):
            yield from _places(element.content)


def _content(element: _Element) -> bytes:
    return element.content if isinstance(element.content, bytes) else _encode(element.content)


def _encode(elements: list[_Element]) -> bytes:
    encoded = []
    for element in elements:
        content = _content(element)
        length = len(content)
        if length < _LONG_FORM:
            head = bytes((element.tag, length))
        else:
            count = (length.bit_length() + 7) // 8
            head = bytes((element.tag, _LONG_FORM | count)) + length.to_bytes(count, "big")
        encoded.append(head + content)
    return b"".join(encoded)
