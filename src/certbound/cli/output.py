"""The one way results are printed: JSON for programs, aligned text for people, colour and lines on a terminal only."""

import json
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import click

json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON value instead of text.")


def print_json(value: Any) -> None:
    """Print one JSON value."""
    click.echo(json.dumps(value, indent=2, ensure_ascii=False))


def print_facts(facts: Mapping[str, Any]) -> None:
    """Print names and values, one pair a line; a list gets a line for each, None and empty ones get none."""
    width = max(map(len, facts), default=0)
    for name, value in facts.items():
        lines = value if isinstance(value, list | tuple) else [value]
        for index, line in enumerate(line for line in lines if line not in {None, ""}):
            label = click.style(f"{'' if index else name:{width}}", dim=True)
            click.echo(f"{label}  {_text(line)}")


def print_table(headings: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Print rows under headings; no value is ever cut off."""
    texts = [[_text(cell) for cell in row] for row in rows]
    if sys.stdout.isatty():
        _print_rich(headings, texts)
        return
    widths = [max(map(len, column)) for column in zip(headings, *texts, strict=True)]
    for row in ([heading.upper() for heading in headings], *texts):
        click.echo("  ".join(f"{cell:{width}}" for cell, width in zip(row, widths, strict=True)).rstrip())


def note(text: str) -> None:
    """Print a remark beside the result, on standard error."""
    click.echo(f"note: {text}", err=True)


def time_text(at: datetime | int | None) -> str | None:
    """Give a moment (aware, or seconds since the epoch) as RFC 3339 text in UTC."""
    if at is None:
        return None
    moment = at if isinstance(at, datetime) else datetime.fromtimestamp(at, UTC)
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _text(value: Any) -> str:
    if value is None or value == "":
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return " ".join(str(value).splitlines())


def _print_rich(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for heading in headings:
        table.add_column(heading, overflow="fold")
    for row in rows:
        table.add_row(*map(Text, row))  # Text: what stands in brackets in a name is no markup
    Console().print(table)
