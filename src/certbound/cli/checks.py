"""The checks of a decision, for people: each with what was expected and found, two names that differ side by side."""

import sys
from collections.abc import Iterable

import click

from certbound.certificates.check import Check
from certbound.certificates.comparison import aligned
from certbound.certificates.names import DistinguishedName, parse_rfc4514
from certbound.certificates.subject import PARAMETERS


def print_checks(checks: Iterable[Check], subject: DistinguishedName | None) -> None:
    """Print checks in order; `subject` is that of the certificate they are about, if it could be read."""
    for check in checks:
        _print_check(check)
        if check.check == PARAMETERS[0] and not check.passed and subject is not None:
            _print_names(parse_rfc4514(check.expected), subject)


def _print_check(check: Check) -> None:
    plain = not sys.stdout.isatty()
    mark = ("passed" if check.passed else "FAILED") if plain else ("✓" if check.passed else "✗")
    click.echo(f"{click.style(mark, fg='green' if check.passed else 'red')}  {check.check}  ({check.reference})")
    click.echo(f"        expected  {check.expected}")
    click.echo(f"        found     {check.found}")


def _print_names(expected: DistinguishedName, found: DistinguishedName) -> None:
    """Show two names that differ beside each other, a line for each RDN, in the order of their texts."""
    lines = aligned(expected, found)
    rows = [(" ", "registered", "certificate"), *(_row(line.equal, line.expected, line.found) for line in lines)]
    width = max(len(text) for _, text, _ in rows)
    first = next((number for number, line in enumerate(lines, 1) if not line.equal), None)
    for number, (mark, left, right) in enumerate(rows):
        remark = "  <- first difference" if number == first else ""
        text = f"     {mark}  {left:{width}}  {right}{remark}"
        click.echo(click.style(text, fg="red") if mark == "!" else click.style(text, dim=True))


def _row(equal: bool, expected: str | None, found: str | None) -> tuple[str, str, str]:
    return "=" if equal else "!", expected or "(nothing)", found or "(nothing)"
