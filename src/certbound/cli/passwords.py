"""Passwords of files: out of a file, the environment or a terminal, and never from the command line."""

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from certbound.certificates.files import Entry, is_protected, read_entries
from certbound.cli.files import FileError, read_password

VARIABLE = "CERTBOUND_PASSWORD"


def password_option(what: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Give the option for the file that the password is alone in; `what` begins its help."""
    others = f"Without it, {VARIABLE} in the environment, or asked for on a terminal."
    path = click.Path(path_type=Path)
    return click.option("--password-file", metavar="FILE", type=path, help=f"{what} {others}")


def read_protected(data: bytes, file: Path, password_file: Path | None) -> tuple[Entry, ...]:
    """Read the certificates in a file's content, with its password where it is of a kind that has one.

    Raises FileError and CertificateFileError.
    """
    password = _given(password_file)
    if password is None and is_protected(data) and sys.stdin.isatty():
        password = _asked(f"Password of {file}", confirm=False) or None
    return read_entries(data, str(file), password)


def new_password(file: Path, password_file: Path | None, *, least: int) -> str:
    """Give the password that a new file gets, with at least so many characters. Raises FileError."""
    password = _given(password_file)
    if password is None:
        if not sys.stdin.isatty():
            raise FileError(f"{file}: needs a password, and there is no terminal to ask: --password-file or {VARIABLE}")
        password = _asked(f"Password for {file}", confirm=True)
    if len(password) < least:
        raise FileError(f"{file}: its password needs at least {least} characters")
    return password


def _given(password_file: Path | None) -> str | None:
    return read_password(password_file) if password_file is not None else os.environ.get(VARIABLE)


def _asked(prompt: str, *, confirm: bool) -> str:
    answer: str = click.prompt(
        prompt,
        hide_input=True,
        confirmation_prompt=confirm,
        err=True,
        default=None if confirm else "",
        show_default=False,
    )
    return answer
