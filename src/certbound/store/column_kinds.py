"""The kinds of columns that tables are made of: what a text, a time or a digest is to the database."""

from typing import Any

from sqlalchemy import JSON, BigInteger, Column, Dialect, ForeignKey, Index, LargeBinary, Text, TypeDecorator


class Texts(TypeDecorator[tuple[str, ...]]):
    """A tuple of texts, kept as a JSON array."""

    impl = JSON
    cache_ok = True

    def process_result_value(self, value: Any, dialect: Dialect) -> tuple[str, ...]:  # noqa: ARG002 - SQLAlchemy's
        """Give back the tuple that was stored."""
        return tuple(value)


def text(name: str, *, null: bool = False) -> Column[str]:
    """Make a column of text."""
    return Column(name, Text, nullable=null)


def time(name: str, *, null: bool = False) -> Column[int]:
    """Make a column of seconds since the epoch."""
    return Column(name, BigInteger, nullable=null)


def octets(name: str, *, null: bool = False) -> Column[bytes]:
    """Make a column of bytes."""
    return Column(name, LargeBinary, nullable=null)


def client_id() -> Column[str]:
    """Make a column that names a client, and goes with it."""
    return Column("client_id", Text, ForeignKey("client.client_id", ondelete="CASCADE"), nullable=False)


def claims() -> Column[tuple[str, ...]]:
    """Make a column of names of claims."""
    return Column("claims", Texts, nullable=False, server_default="[]")


def trust_store_name(name: str) -> Column[str]:
    """Make a column of a key that names a trust store, and goes with it."""
    return Column(name, Text, ForeignKey("trust_store.name", ondelete="CASCADE"), primary_key=True)


def index_of_some(missing: Column[Any], name: str, *columns: Column[Any], unique: bool = False) -> None:
    """Index the rows in which a column is NULL, and no others."""
    only = missing.is_(None)
    Index(name, *columns, unique=unique, sqlite_where=only, postgresql_where=only)
