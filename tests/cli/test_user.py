from pathlib import Path

import pytest

from certbound.authority.people import password_is_right
from certbound.store.engine import Store
from certbound.store.people import load

from .conftest import Certbound


async def _is_right(certbound: Certbound, username: str, password: str) -> bool:
    with Store(f"sqlite:///{certbound.folder / 'certbound.db'}") as store:
        person = store.read(lambda connection: load(connection, username))
    return await password_is_right(person, password)


async def test_a_password_comes_from_standard_input_or_a_file(certbound: Certbound, tmp_path: Path) -> None:
    user = certbound.json("user", "create", "alice", "--password-stdin", stdin="correct horse\n")
    assert (user["username"], user["operator"], user["disabled"]) == ("alice", False, False)
    assert user["sub"].startswith("usr_")
    assert await _is_right(certbound, "alice", "correct horse")
    (tmp_path / "password").write_bytes(b" battery staple \r\n")
    certbound.done("user", "password", "alice", "--password-file", tmp_path / "password")
    assert await _is_right(certbound, "alice", " battery staple ")


def test_without_a_terminal_it_says_how_to_give_a_password(certbound: Certbound) -> None:
    assert "--password-file or --password-stdin" in certbound.refused("user", "create", "bob")


@pytest.mark.parametrize("password", ["", "short", "x" * 2000])
def test_a_password_that_will_not_do_is_refused(certbound: Certbound, password: str) -> None:
    ended = certbound("user", "create", "bob", "--password-stdin", stdin=password)
    assert (ended.code, ended.err) == (1, "certbound: a password has 8 to 1024 characters\n")


def test_the_two_sources_are_not_given_together(certbound: Certbound, tmp_path: Path) -> None:
    certbound.refused("user", "create", "bob", "--password-stdin", "--password-file", tmp_path / "x", code=2)
    assert f"{tmp_path}/x: No such file" in certbound.refused("user", "create", "b", "--password-file", tmp_path / "x")


def test_accounts_are_listed_disabled_and_enabled(certbound: Certbound) -> None:
    certbound.done("user", "create", "op", "--operator", "--password-stdin", stdin="12345678")
    assert [(u["username"], u["operator"]) for u in certbound.json("user", "list")] == [("admin", True), ("op", True)]
    assert certbound.json("user", "disable", "op")["disabled"] is True
    assert certbound.json("user", "enable", "op")["disabled"] is False
    assert "12345678" not in certbound.done("user", "list")
    ended = certbound("user", "create", "op", "--password-stdin", stdin="12345678")
    assert ended.err == "certbound: there is a user 'op' already\n"
    assert "no user 'x'" in certbound.refused("user", "disable", "x")
