"""Files that people name: read whole but bounded, and written without ever overwriting one."""

import os
from pathlib import Path

from certbound.certificates.files import MAXIMUM_FILE

MAX_TEXT = 65_536


class FileError(ValueError):
    """The file cannot be used; one line that names it."""


def read_bytes(path: Path, limit: int = MAXIMUM_FILE) -> bytes:
    """Read a file. Raises FileError for one that is missing, unreadable or has more than `limit` bytes."""
    try:
        with path.open("rb") as file:
            data = file.read(limit + 1)
    except OSError as error:
        raise FileError(f"{path}: {error.strerror}") from None
    if len(data) > limit:
        raise FileError(f"{path}: is larger than {limit} bytes")
    return data


def read_password(path: Path) -> str:
    """Read a password that is alone in a file; the line's end is not part of it. Raises FileError."""
    try:
        return without_line_end(read_bytes(path, MAX_TEXT).decode())
    except UnicodeError:
        raise FileError(f"{path}: is no text") from None


def without_line_end(text: str) -> str:
    """Take the one line end off that an editor or `echo` puts after a password."""
    return text.removesuffix("\n").removesuffix("\r")


def refuse_existing(*paths: Path) -> None:
    """Raise FileError if one of the files is there."""
    found = [str(path) for path in paths if os.path.lexists(path)]
    if found:
        raise FileError(f"nothing is overwritten, and there is already: {', '.join(found)}")


def write_new(path: Path, data: bytes, *, secret: bool = False) -> None:
    """Write a file that must not be there yet, for its owner's eyes only if `secret`. Raises FileError."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600 if secret else 0o644)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise FileError(f"{path}: {error.strerror}") from None
