"""How a value becomes a row and back: a dataclass whose fields are named like the table's columns."""

from dataclasses import fields
from typing import Any

from sqlalchemy import Column, Delete, Table, bindparam, delete, select


def columns(table: Table, value: type) -> list[Column[Any]]:
    """Give the columns in the order of the dataclass's fields, so that `value(*row)` restores it."""
    return [table.c[field.name] for field in fields(value)]


def parameters(value: Any) -> dict[str, Any]:
    """Give a dataclass's fields by name, for an INSERT (`asdict` would copy every member deeply)."""
    return {field.name: getattr(value, field.name) for field in fields(value)}


def delete_expired(table: Table) -> Delete:
    """Make the statement that deletes at most `batch` rows that expired by `moment`, the oldest first."""
    (key,) = table.primary_key
    expired = select(key).where(table.c.expires_at <= bindparam("moment")).order_by(table.c.expires_at)
    return delete(table).where(key.in_(expired.limit(bindparam("batch"))))
