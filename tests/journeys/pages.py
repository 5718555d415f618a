"""A page of the documentation as what it says to type, block by block, and what it shows of the answers."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_ANSWERS = frozenset({"text", "json"})
_LINES_LEFT_OUT, _LEFT_OUT = "...\n", "..."
_PIECE = re.compile(r"\$[A-Z]+\b|^\.\.\.\n|\.\.\.|\s+", re.MULTILINE)


@dataclass(frozen=True)
class Step:
    """Lines to type, and what is shown of what they print; None where nothing is shown."""

    lines: str
    shown: str | None

    @property
    def code(self) -> int:
        """Give the exit code that the reader is led to expect."""
        return 1 if self.shown is not None and re.search(r"^certbound: ", self.shown, re.MULTILINE) else 0

    def match(self, printed: str) -> dict[str, str] | None:
        """Compare: `...` is left out, spaces may differ, `$NAME` names what stands there. Give the named values."""
        if self.shown is None:
            return {}
        found = re.fullmatch(_pattern(_trimmed(self.shown)), _trimmed(printed))
        return None if found is None else found.groupdict()


def blocks(page: str) -> list[tuple[str, str]]:
    """Give the language and the text of each block of code."""
    return _BLOCK.findall(page)


def steps(page: str) -> Iterator[Step]:
    """Give each block of shell lines, with the answer that is shown right after it."""
    for found in _BLOCK.finditer(page):
        language, lines = found.groups()
        if language == "sh":
            following = _BLOCK.match(page, found.end() + 1)
            is_answer = following is not None and following[1] in _ANSWERS
            yield Step(lines, following[2] if following is not None and is_answer else None)


def _pattern(shown: str) -> str:
    pattern, end = "", 0
    for piece in _PIECE.finditer(shown):
        pattern += re.escape(shown[end : piece.start()]) + _piece(piece[0])
        end = piece.end()
    return pattern + re.escape(shown[end:])


def _piece(text: str) -> str:
    if text.startswith("$"):
        return rf"(?P<{text[1:]}>[\w-]+)"
    return {_LINES_LEFT_OUT: r"(?:.*\n)*?", _LEFT_OUT: r"[\s\S]*?"}.get(text, r"\s+")


def _trimmed(text: str) -> str:
    return f"{text.strip()}\n"
