import time
from base64 import b32decode
from pathlib import Path

import pytest

from certbound.authority.people import password_is_right
from certbound.authority.second_factor import one_time_password
from certbound.authority.sign_in import Attempt, SignIn, SignInPolicy
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


async def _sign_in(certbound: Certbound, **attempt: str) -> bool:
    key = (certbound.folder / "master.key").read_bytes()
    with Store(f"sqlite:///{certbound.folder / 'certbound.db'}") as store:
        return isinstance(await SignIn(store, SignInPolicy(key, 60), time.time).sign_in(Attempt(**attempt)), str)


async def test_a_second_factor_is_given_shown_once_and_taken_away(certbound: Certbound) -> None:
    certbound.done("user", "create", "ada", "--password-stdin", stdin="correct horse")
    enrolled = certbound.json("user", "totp", "ada")
    assert enrolled["uri"].startswith("otpauth://totp/localhost:ada?")
    assert enrolled["secret"] in enrolled["uri"]
    shown = one_time_password(b32decode(enrolled["secret"]), int(time.time()) // 30)
    assert not await _sign_in(certbound, username="ada", password="correct horse")
    assert await _sign_in(certbound, username="ada", password="correct horse", one_time_password=shown)
    assert "one-time password" in certbound.done("user", "enable", "ada")
    assert enrolled["secret"] not in certbound.done("user", "list")
    assert certbound.json("user", "totp", "ada", "--remove")["second_factor"] is False
    assert await _sign_in(certbound, username="ada", password="correct horse")
    assert "has no second factor" in certbound.refused("user", "totp", "ada", "--remove")
    assert "no user 'x'" in certbound.refused("user", "totp", "x")


async def test_a_lock_shows_and_is_lifted(certbound: Certbound) -> None:
    certbound.done("user", "create", "ada", "--password-stdin", stdin="correct horse")
    for _ in range(5):
        await _sign_in(certbound, username="ada", password="wrong")
    [ada] = [user for user in certbound.json("user", "list") if user["username"] == "ada"]
    assert ada["disabled"] is False
    assert ada["locked_until"] is not None
    assert "locked until" in certbound.done("user", "list")
    assert certbound.json("user", "enable", "ada")["locked_until"] is None
    assert await _sign_in(certbound, username="ada", password="correct horse")


def test_attributes_are_set_changed_and_taken_away(certbound: Certbound) -> None:
    assert certbound.json("user", "attributes", "admin") == {}
    assert "nothing is known of admin" in certbound.done("user", "attributes", "admin")
    given = ["name=Ada = Ü", "email_verified=true", "updated_at=17", 'address={"country": "GB"}', "roles:=[1, null]"]
    known = {
        "name": "Ada = Ü",
        "email_verified": True,
        "updated_at": 17,
        "address": {"country": "GB"},
        "roles": [1, None],
    }
    assert certbound.json("user", "attributes", "admin", *given) == known
    del known["roles"]
    assert certbound.json("user", "attributes", "admin", "name=Ada", "roles=") == known | {"name": "Ada"}
    assert certbound.json("user", "attributes", "admin") == known | {"name": "Ada"}
    assert "true" in certbound.done("user", "attributes", "admin")


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ("sub=usr_1", "says it itself"),
        ("email_verified=yes", "it is not JSON"),
        ("email_verified=1", "must be true or false"),
        ("name:=7", "must be a text"),
        ("x:={", "it is not JSON"),
        ("x:=NaN", "it is not JSON"),
        ("=x", "no name of an attribute"),
    ],
)
def test_an_attribute_that_will_not_do_is_refused(certbound: Certbound, change: str, text: str) -> None:
    assert text in certbound.refused("user", "attributes", "admin", change)
    assert certbound.json("user", "attributes", "admin") == {}


def test_what_is_no_attribute_is_misuse(certbound: Certbound) -> None:
    assert "NAME=VALUE" in certbound.refused("user", "attributes", "admin", "email", code=2)
    assert "no user 'x'" in certbound.refused("user", "attributes", "x")
