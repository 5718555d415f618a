"""Preparing strings for comparison: RFC 4518, with everything invisible refused instead of mapped away."""

import unicodedata
from itertools import pairwise
from typing import Final

#: Controls, formats (bidi, zero width, soft hyphen), surrogates, private use, unassigned, line separators.
_REFUSED_CATEGORIES: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
#: Characters of other categories that show as nothing, and the two replacement characters.
_REFUSED: Final = frozenset(
    "\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u3164\uffa0\ufffc\ufffd"
    + "".join(map(chr, [*range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0)]))
)
_NO_BREAK_SPACE: Final = "\u00a0"


def refused_character(text: str) -> str | None:
    """Name the first character that no name may hold, as `U+0000`; None if there is none.

    RFC 4518 section 2.2 maps most of these to nothing and section 2.4 prohibits the others. Mapping to nothing makes
    names equal that differ on paper, so all are refused: no honest name in a certificate needs them.
    """
    if text.isascii() and text.isprintable():
        return None
    for character in text:
        if character in _REFUSED or unicodedata.category(character) in _REFUSED_CATEGORIES:
            return f"U+{ord(character):04X}"
    return None


def prepare_case_ignore(text: str) -> str:
    """Prepare for caseIgnoreMatch: fold case, normalise to NFKC, make spaces insignificant (RFC 4518 section 2)."""
    if text.isascii():
        return _insignificant_spaces(text.lower())
    folded = unicodedata.normalize("NFD", text).casefold()
    folded = unicodedata.normalize("NFKC", folded).casefold()
    return _insignificant_spaces(unicodedata.normalize("NFKC", folded))


def prepare_telephone_number(text: str) -> str:
    """Prepare for telephoneNumberMatch: as above, with spaces and hyphens dropped (RFC 4518 section 2.6.3)."""
    hyphens = dict.fromkeys(map(ord, " -\u058a\u2010\u2011\u2212\ufe63\uff0d"))
    return prepare_case_ignore(text).translate(hyphens)


def _insignificant_spaces(text: str) -> str:
    """Trim, and make inner runs one space; a space that carries a combining mark is none (RFC 4518 section 2.6.1)."""
    if not text.isascii():
        pairs = pairwise(text + "x")
        text = "".join(_NO_BREAK_SPACE if c == " " and unicodedata.combining(after) else c for c, after in pairs)
    return " ".join(part for part in text.split(" ") if part)
