"""What a failing database means for the caller: try later, or the data contradicts itself."""

from sqlalchemy.exc import DBAPIError, IntegrityError, InterfaceError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError


class StoreUnavailable(Exception):  # noqa: N818 - named for what a caller answers: 503
    """The database could not do it now: gone, locked, full, read-only or too slow.

    Nothing was recorded, except where a connection broke in the very moment of the commit: then nobody can know. The
    text is for the log; it holds neither addresses nor values.
    """


class StoreConflict(Exception):  # noqa: N818 - a state of the data, not a fault
    """The data contradicts what is stored: the key is taken, or something it refers to is missing or still in use."""


#: SQLSTATE serialization_failure, deadlock_detected: the database has undone the transaction, to be run again.
_ASKS_AGAIN = frozenset({"40001", "40P01"})
#: SQLSTATE read_only_sql_transaction: a standby, or a database set to read only.
_READ_ONLY = "25006"
#: SQLITE_ERROR, SQLITE_CORRUPT, SQLITE_NOTADB (the low byte of the extended code).
_SQLITE_ERROR, _SQLITE_UNREADABLE = 1, frozenset({11, 26})


def may_be_repeated(error: SQLAlchemyError) -> bool:
    """Whether the transaction has certainly been undone and may be run again at once."""
    if not isinstance(error, DBAPIError):
        return False
    return error.connection_invalidated or _sqlstate(error) in _ASKS_AGAIN


def meaning(error: SQLAlchemyError) -> StoreUnavailable | StoreConflict | None:
    """Tell what the caller should be told, or None for a fault of ours (wrong SQL, missing table)."""
    if isinstance(error, PoolTimeoutError):
        return StoreUnavailable("no database connection came free in time")
    if not isinstance(error, DBAPIError):
        return None
    if isinstance(error, IntegrityError):
        return StoreConflict("the key is taken, or what it refers to is missing or still in use")
    if error.connection_invalidated or _is_passing(error):
        return StoreUnavailable(f"the database could not do it: {_name(error)}")
    return None


def _is_passing(error: DBAPIError) -> bool:
    code = getattr(error.orig, "sqlite_errorcode", None)
    if code is not None:
        primary = code & 0xFF
        return primary in _SQLITE_UNREADABLE or (isinstance(error, OperationalError) and primary != _SQLITE_ERROR)
    return isinstance(error, OperationalError | InterfaceError) or _sqlstate(error) == _READ_ONLY


def _sqlstate(error: DBAPIError) -> str | None:
    return getattr(error.orig, "sqlstate", None)


def _name(error: DBAPIError) -> str:
    return getattr(error.orig, "sqlite_errorname", None) or _sqlstate(error) or type(error.orig).__name__
