"""Is the schema the one this program knows, and how does it get there."""

from enum import StrEnum
from pathlib import Path

from sqlalchemy import Column, MetaData, Table, Text, func, inspect, select
from sqlalchemy.exc import SQLAlchemyError

from certbound.store.engine import Connection, Store
from certbound.store.failures import meaning
from certbound.store.opening import begin, create_sqlite_file, is_memory, open_engine, sqlite_file

#: The newest revision in `migrations/versions`; revisions are numbered, so that texts compare as ages do.
HEAD = "0008"

_VERSION = Table("alembic_version", MetaData(), Column("version_num", Text))
_READ_VERSION = select(_VERSION.c.version_num)
#: Any number that is ours: two `db upgrade` on one PostgreSQL database run one after the other.
_UPGRADE_LOCK = 0x63657274626F756E


class SchemaState(StrEnum):
    """How the database's schema stands to this program's."""

    MISSING = "missing"
    OLDER = "older"
    NEWER = "newer"
    CURRENT = "current"


def check(url: str) -> SchemaState:
    """Compare the schema with the one this program knows; a missing file is not created. Raises StoreUnavailable."""
    path = sqlite_file(url)
    if path is not None and not path.exists():
        return SchemaState.MISSING
    if is_memory(url):
        return SchemaState.CURRENT
    with Store(url) as store:
        return store.read(_state)


def advice(state: SchemaState, command: str = "certbound db upgrade") -> str:
    """Say what a schema in this state needs; `command` is what upgrades it."""
    return {
        SchemaState.CURRENT: "the database is up to date",
        SchemaState.MISSING: f"the database has no tables yet: run `{command}`",
        SchemaState.OLDER: f"the database is older than this program: run `{command}`",
        SchemaState.NEWER: "the database is newer than this program: install the version that upgraded it",
    }[state]


def upgrade(url: str) -> None:
    """Bring the schema up to `HEAD` in one transaction, creating a SQLite file if there is none.

    Safe to run twice and at the same time; a newer schema is left alone. Raises StoreUnavailable.
    """
    from alembic import command
    from alembic.config import Config

    if is_memory(url):
        return
    path = sqlite_file(url)
    if path is not None:
        create_sqlite_file(path)
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    engine = open_engine(url, busy_seconds=60.0, statement_seconds=None)
    try:
        with engine.connect() as connection:
            begin(connection)
            if engine.name == "postgresql":
                connection.execute(select(func.pg_advisory_xact_lock(_UPGRADE_LOCK)))
            if _state(connection) in {SchemaState.MISSING, SchemaState.OLDER}:
                config.attributes["connection"] = connection
                command.upgrade(config, "head")
            connection.commit()
    except SQLAlchemyError as error:
        failure = meaning(error)
        if failure is None:
            raise
        raise failure from error
    finally:
        engine.dispose()


def _state(connection: Connection) -> SchemaState:
    if not inspect(connection).has_table(_VERSION.name):
        return SchemaState.MISSING
    found = connection.execute(_READ_VERSION).scalar_one_or_none()
    if found is None:
        return SchemaState.MISSING
    if found == HEAD:
        return SchemaState.CURRENT
    return SchemaState.OLDER if found < HEAD else SchemaState.NEWER
