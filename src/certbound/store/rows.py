"""How a value becomes a row and back: a dataclass whose fields are named like the table's columns."""

from dataclasses import fields
from typing import Any

from sqlalchemy import Column, Table


def columns(table: Table, value: type) -> list[Column[Any]]:
    """Give the columns in the order of the dataclass's fields, so that `value(*row)` restores it."""
    return [table.c[field.name] for field in fields(value)]


def parameters(value: Any) -> dict[str, Any]:
    """Give a dataclass's fields by name, for an INSERT (`asdict` would copy every member deeply)."""
    return {field.name: getattr(value, field.name) for field in fields(value)}
