import json
import stat
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import JSON, Column, inspect, text

from certbound.store import audit, clients, people, revision, tokens, trust
from certbound.store import keys as signing_keys
from certbound.store import migrations as migrations_package
from certbound.store.engine import Connection, Store, StoreConflict, StoreUnavailable
from certbound.store.opening import create_sqlite_file, sqlite_file
from certbound.store.schema import metadata
from certbound.store.trust import TrustStore
from certbound.store.upgrading import HEAD, SchemaState, check, upgrade

from .values import person


@pytest.fixture(params=["sqlite", "postgresql"])
def fresh_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A database with nothing in it."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'a b%c?.db'}"
    else:
        yield request.getfixturevalue("postgres_url")


def at_the_first_revision(url: str) -> None:
    """Make the tables as revision 0001 left them, with a row in each that later ones touch or refer to."""
    config = Config()
    config.set_main_option("script_location", str(Path(migrations_package.__file__).parent))
    path = sqlite_file(url)
    if path is not None:
        create_sqlite_file(path)

    def work(connection: Connection) -> None:
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
        for table, row in _FIRST_ROWS.items():
            values = {f"v{number}": value for number, value in enumerate(row)}
            connection.execute(text(f"INSERT INTO {table} VALUES (:{', :'.join(values)})"), values)  # noqa: S608 - names of tables

    with Store(url) as store:
        store.write(work)


_METADATA = {
    "token_endpoint_auth_method": "tls_client_auth",
    "grant_types": [],
    "scope": "",
    "certbound_resources": [],
    "redirect_uris": [],
    "tls_client_certificate_bound_access_tokens": True,
}
_FIRST_ROWS: dict[str, tuple[object, ...]] = {
    "trust_store": ("partners", 5),
    "trust_certificate": ("partners", "aa", "anchor", "root", b"der", "CN=root", 9, 6, False),
    "client": ("orders", "Orders", False, 1, 2, None, json.dumps(_METADATA)),
    "client_trust": ("orders", "partners", 0),
    "client_certificate": ("orders", "cc", b"der", "CN=orders", 9, 6, None, None, None),
    "refresh_token": (b"digest", "family", "orders", "sub", "read", "[]", None, 1, 9, None, None),
    "signing_key": ("kid", "ES256", "{}", b"sealed", 7, None),
    "issued_token": ("jti", "orders", "orders", "password", "read", "[]", "x5t", None, 1, 9),
}


def test_a_database_of_the_first_revision_keeps_every_row_and_gets_the_default_policy(fresh_url: str) -> None:
    at_the_first_revision(fresh_url)
    assert check(fresh_url) is SchemaState.OLDER
    upgrade(fresh_url)
    with Store(fresh_url) as store:
        assert store.read(trust.stores) == (TrustStore("partners", 5, 1, 0),)
        [[anchor]] = store.read(lambda connection: trust.load_enabled(connection, ["partners"])).values()
        assert (anchor.alias, anchor.subject) == ("root", "CN=root")
        found = store.read(lambda connection: clients.load(connection, "orders"))
        assert found is not None
        assert found.client.trust == ("partners",)
        assert [held.sha256 for held in found.certificates] == ["cc"]
        [issued] = store.read(lambda connection: tokens.issued_to_client(connection, "orders", limit=9))
        assert (issued.jti, issued.certificate_sha256, issued.spki_sha256) == ("jti", None, None)
        token = store.read(lambda connection: tokens.load_refresh_token(connection, b"digest"))
        assert token is not None
        assert (token.family, token.certificate_sha256, token.spki_sha256, token.address) == (
            "family",
            None,
            None,
            None,
        )
        [key] = store.read(signing_keys.load_all)
        assert (key.kid, key.created_at, key.signs_from) == ("kid", 7, 7)
    with Store(fresh_url) as store, pytest.raises(StoreConflict):
        store.write(lambda connection: trust.delete_store(connection, "partners"))


def set_version(connection: Connection, version: str) -> None:
    connection.execute(text("UPDATE alembic_version SET version_num = :version"), {"version": version})


def test_a_database_without_tables_is_missing_then_current(fresh_url: str) -> None:
    assert check(fresh_url) is SchemaState.MISSING
    upgrade(fresh_url)
    assert check(fresh_url) is SchemaState.CURRENT
    with Store(fresh_url) as store:
        assert store.read(revision.read) == 0
        assert store.read(audit.head).sequence == 0


def test_looking_creates_no_file(tmp_path: Path) -> None:
    assert check(f"sqlite:///{tmp_path / 'none.db'}") is SchemaState.MISSING
    assert list(tmp_path.iterdir()) == []


def test_upgrading_again_changes_nothing(url: str) -> None:
    with Store(url) as store:
        store.write(lambda connection: people.add(connection, person()))
    upgrade(url)
    with Store(url) as store:
        assert store.read(people.page) == (person(),)


@pytest.mark.parametrize(("version", "state"), [("0000", SchemaState.OLDER), ("9999", SchemaState.NEWER)])
def test_another_programs_schema_is_told_apart_and_a_newer_one_left_alone(
    fresh_url: str, version: str, state: SchemaState
) -> None:
    upgrade(fresh_url)
    with Store(fresh_url) as store:
        store.write(partial(set_version, version=version))
    assert check(fresh_url) is state
    if state is SchemaState.NEWER:
        upgrade(fresh_url)
        assert check(fresh_url) is state


def test_the_head_named_is_the_newest_migration_and_migrations_are_numbered() -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(migrations_package.__file__).parent))
    scripts = ScriptDirectory.from_config(config)
    assert scripts.get_current_head() == HEAD
    numbers = [script.revision for script in scripts.walk_revisions()]
    assert numbers == [f"{number:04d}" for number in range(len(numbers), 0, -1)]


def test_the_migrations_build_the_tables_that_the_program_knows(url: str) -> None:
    def differences(connection: Connection) -> list[object]:
        opts = {"compare_type": True, "compare_server_default": _default_differs}
        context = MigrationContext.configure(connection, opts=opts)
        return list(compare_metadata(context, metadata))

    with Store(url) as store:
        assert store.read(differences) == []


def _default_differs(
    _context: object, found: Column[Any], _known: object, default: str | None, _declared: object, rendered: str | None
) -> bool | None:
    """Compare defaults of JSON as texts: PostgreSQL has no equality for them. None leaves it to Alembic."""
    if not isinstance(found.type, JSON):
        return None
    return (default or "").removesuffix("::json").strip("'") != (rendered or "")


def test_foreign_keys_hold_what_the_schema_says(url: str) -> None:
    # Autogenerate does not compare what happens on deletion on every engine; the database itself tells.
    with Store(url) as store:
        connection_rules = store.read(_deletion_rules)
    declared = {
        (table.name, key.parent.name): key.ondelete for table in metadata.tables.values() for key in table.foreign_keys
    }
    assert connection_rules == declared


def _deletion_rules(connection: Connection) -> dict[tuple[str, str], str | None]:
    inspector = inspect(connection)
    return {
        (name, key["constrained_columns"][0]): key["options"].get("ondelete")
        for name in metadata.tables
        for key in inspector.get_foreign_keys(name)
    }


def test_the_file_and_its_companions_are_for_the_owner_only(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'private.db'}"
    upgrade(url)
    with Store(url) as store:
        store.write(revision.bump)
        files = sorted(tmp_path.iterdir())
        assert [file.name for file in files] == ["private.db", "private.db-shm", "private.db-wal"]
        assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}


def test_a_file_that_cannot_be_created_says_why(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable, match="cannot be created: No such file or directory"):
        upgrade(f"sqlite:///{tmp_path / 'missing' / 'x.db'}")


def test_upgrades_at_the_same_time_do_not_disturb_each_other(fresh_url: str) -> None:
    program = (
        "import sys, alembic.command; from certbound.store.upgrading import upgrade\n"
        "print('ready', flush=True); sys.stdin.readline(); upgrade(sys.argv[1])"
    )
    running = [
        subprocess.Popen(
            [sys.executable, "-c", program, fresh_url],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    for process in running:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in running:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    assert [process.communicate(timeout=60) for process in running] == [("", ""), ("", "")]
    assert check(fresh_url) is SchemaState.CURRENT


def test_opening_and_checking_a_store_does_without_alembic(sqlite_url: str) -> None:
    program = (
        "import sys; from certbound.store.upgrading import check; from certbound.store import clients, engine\n"
        "engine.Store(sys.argv[1]).close(); print(check(sys.argv[1]), 'alembic' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program, sqlite_url], capture_output=True, text=True, check=True)
    assert done.stdout == "current False\n"
