"""Two distinguished names side by side: what differs, for people who ask why one is not the other."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import zip_longest

from certbound.certificates.names import Attribute, DistinguishedName

#: An RDN's attributes, and what of them is compared.
_RDN = tuple[tuple[Attribute, ...], tuple[tuple[str, str | bytes], ...]]
_Key = Callable[[_RDN], object]


@dataclass(frozen=True, slots=True)
class AttributeComparison:
    """One line of two aligned names: an RDN in RFC 4514 text on each side, or None where a side has none there."""

    expected: str | None
    found: str | None
    equal: bool


def aligned(expected: DistinguishedName, found: DistinguishedName) -> tuple[AttributeComparison, ...]:
    """Align two names in the order of their texts; an RDN of several attributes is one line.

    Equal RDNs stand beside each other, then those of the same attribute types, then what is left. All lines are equal
    if and only if the names are.
    """
    pairs = _pairs(
        tuple(zip(expected.rdns, expected.canonical, strict=True)),
        tuple(zip(found.rdns, found.canonical, strict=True)),
        _canonical,
        _types,
    )
    return tuple(
        AttributeComparison(_text(want), _text(got), want is not None and got is not None and want[1] == got[1])
        for want, got in pairs
    )


def first_difference(expected: DistinguishedName, found: DistinguishedName) -> str | None:
    """Name the first line in which two aligned names differ, counted from 1; None if they are equal."""
    for position, line in enumerate(aligned(expected, found), 1):
        if not line.equal:
            return f"at position {position} {line.found or 'nothing'} where {line.expected or 'nothing'} is registered"
    return None


def _pairs(expected: Sequence[_RDN], found: Sequence[_RDN], *keys: _Key) -> Iterator[tuple[_RDN | None, _RDN | None]]:
    """Pair what has the same key, and between those pairs what has the same next key; without a key, as they stand."""
    if not keys:
        yield from zip_longest(expected, found)
        return
    matcher = SequenceMatcher(None, [*map(keys[0], expected)], [*map(keys[0], found)], autojunk=False)
    for tag, start, end, found_start, found_end in matcher.get_opcodes():
        further = () if tag == "equal" else keys[1:]
        yield from _pairs(expected[start:end], found[found_start:found_end], *further)


def _canonical(rdn: _RDN) -> object:
    return rdn[1]


def _types(rdn: _RDN) -> object:
    return tuple(sorted(attribute.oid for attribute in rdn[0]))


def _text(rdn: _RDN | None) -> str | None:
    return "+".join(attribute.text for attribute in rdn[0]) if rdn else None
