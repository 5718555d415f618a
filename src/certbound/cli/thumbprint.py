"""A certificate's SHA-256 as people type it: hex in either case, with or without colons, or base64url (`x5t#S256`)."""

import base64
import binascii
import re

import click

_LENGTH = 32


class Thumbprint(click.ParamType[str]):
    """Gives lower-case hex."""

    name = "thumbprint"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Read what was typed; misuse where it is no thumbprint."""
        found = parse_thumbprint(value)
        if found is None:
            self.fail(f"{value!r} is no SHA-256 thumbprint: 64 hex digits, or 43 characters of base64url", param, ctx)
        return found


class ThumbprintCommand(click.Command):
    """A command with a thumbprint among its arguments, which in base64url may begin as an option does."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Turn such a thumbprint into hex before it is taken for an option."""
        return super().parse_args(ctx, [(arg[:1] == "-" and parse_thumbprint(arg)) or arg for arg in args])


def parse_thumbprint(text: str) -> str | None:
    """Give lower-case hex, or None for what is no SHA-256 in hex or base64url."""
    digits = re.sub(r"[:\s]", "", text)
    if re.fullmatch(r"[0-9A-Fa-f]{64}", digits):
        return digits.lower()
    try:
        octets = base64.b64decode(text.rstrip("=") + "=", altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return None
    return octets.hex() if len(octets) == _LENGTH else None
