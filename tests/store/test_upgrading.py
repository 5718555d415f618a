import stat
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import inspect, text

from certbound.store import audit, people, revision
from certbound.store import migrations as migrations_package
from certbound.store.engine import Connection, Store, StoreUnavailable
from certbound.store.schema import metadata
from certbound.store.upgrading import HEAD, SchemaState, check, upgrade

from .values import person


@pytest.fixture(params=["sqlite", "postgresql"])
def fresh_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A database with nothing in it."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'a b%c?.db'}"
    else:
        yield request.getfixturevalue("postgres_url")


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
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        return list(compare_metadata(context, metadata))

    with Store(url) as store:
        assert store.read(differences) == []


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
