"""How a database is opened: one SQLAlchemy engine for an url, with the limits that hold on every connection."""

import os
import sqlite3
import time
from pathlib import Path
from urllib.parse import quote

from sqlalchemy import URL, Connection, Engine, QueuePool, StaticPool, create_engine, make_url

from certbound.store.failures import StoreUnavailable

#: Connections one process holds, and how many units of work may run at once.
POOL_SIZE = 5
#: Seconds that a unit waits for a free connection.
POOL_SECONDS = 2.0
#: Seconds until a PostgreSQL server that does not answer a connection attempt is given up (the least libpq allows).
CONNECT_SECONDS = 2
#: Milliseconds after which an unacknowledged packet means that the connection is dead.
_SILENCE_MILLISECONDS = 1500
#: Milliseconds after which PostgreSQL ends a transaction whose worker has stopped, so that its locks go.
_IDLE_MILLISECONDS = 10_000

_PRAGMAS = ("synchronous=FULL", "foreign_keys=ON")


def sqlite_file(url: str) -> Path | None:
    """Give the file behind a SQLite url; None for an in-memory database or another engine."""
    parsed = make_url(url)
    if parsed.get_backend_name() != "sqlite" or parsed.database in {None, "", ":memory:"}:
        return None
    return Path(str(parsed.database))


def is_memory(url: str) -> bool:
    """Whether the url means a SQLite database that lives and dies with its one connection."""
    return make_url(url).get_backend_name() == "sqlite" and sqlite_file(url) is None


def create_sqlite_file(path: Path) -> None:
    """Create a missing database file for its owner's eyes only; SQLite gives its companions the same mode."""
    try:
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    except OSError as error:
        raise StoreUnavailable(f"the database file cannot be created: {error.strerror}") from error


def open_engine(url: str, *, busy_seconds: float, statement_seconds: float | None) -> Engine:
    """Open an engine; nothing is connected yet.

    `busy_seconds` is how long SQLite waits for another process's lock, `statement_seconds` how long PostgreSQL lets
    one statement run (None: as long as it takes, for migrations). A missing SQLite file is not created.
    """
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite":
        return _open_sqlite(parsed, sqlite_file(url), busy_seconds)
    if parsed.get_backend_name() == "postgresql":
        return _open_postgres(parsed, statement_seconds)
    raise ValueError(f"store url: {parsed.drivername} is not supported; use sqlite:///FILE or postgresql://...")


def _open_sqlite(url: URL, path: Path | None, busy_seconds: float) -> Engine:
    # mode=rw: a database that vanished is an error, never a fresh and empty one.
    target = ":memory:" if path is None else f"file:{quote(str(path))}?mode=rw"

    def connect() -> sqlite3.Connection:
        # isolation_level=None: the driver begins nothing by itself; `begin` does.
        connection = sqlite3.connect(
            target, uri=True, timeout=busy_seconds, isolation_level=None, check_same_thread=False
        )
        try:
            _write_ahead(connection, busy_seconds)
            for pragma in _PRAGMAS:
                connection.execute(f"PRAGMA {pragma}")
        except sqlite3.Error:
            connection.close()
            raise
        return connection

    if path is None:
        return create_engine(url, creator=connect, poolclass=StaticPool, hide_parameters=True)
    return create_engine(
        url,
        creator=connect,
        poolclass=QueuePool,
        pool_size=POOL_SIZE,
        max_overflow=0,
        pool_timeout=POOL_SECONDS,
        hide_parameters=True,
    )


def _write_ahead(connection: sqlite3.Connection, busy_seconds: float) -> None:
    """Switch to the write-ahead log, which SQLite refuses at once while another process has a lock."""
    deadline = time.monotonic() + busy_seconds
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
        time.sleep(0.01)


def for_reading(engine: Engine) -> Engine:
    """Give the engine that reads statement by statement, without the round trips of BEGIN and ROLLBACK."""
    return engine if engine.name == "sqlite" else engine.execution_options(isolation_level="AUTOCOMMIT")


def begin(connection: Connection) -> None:
    """Begin to write: on SQLite the write lock is taken at once, so that no transaction fails half way."""
    # Not by an event on the engine: having one costs every statement of every connection 40 us.
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("BEGIN IMMEDIATE")
    else:
        connection.begin()


def _open_postgres(url: URL, statement_seconds: float | None) -> Engine:
    settings = [f"-c idle_in_transaction_session_timeout={_IDLE_MILLISECONDS}"]
    if statement_seconds is not None:
        settings.append(f"-c statement_timeout={int(statement_seconds * 1000)}")
    defaults: dict[str, str | int] = {
        "connect_timeout": CONNECT_SECONDS,
        "tcp_user_timeout": _SILENCE_MILLISECONDS,
        "application_name": "certbound",
    }
    given = url.query.get("options", "")
    return create_engine(
        url.set(drivername="postgresql+psycopg"),
        # READ COMMITTED and explicit row locks: waiting for the audit head costs a wait, not a retry.
        isolation_level="READ COMMITTED",
        pool_size=POOL_SIZE,
        max_overflow=0,
        pool_timeout=POOL_SECONDS,
        hide_parameters=True,
        connect_args={
            **{name: value for name, value in defaults.items() if name not in url.query},
            "options": " ".join([given if isinstance(given, str) else " ".join(given), *settings]).strip(),
        },
    )
