from functools import partial

import pytest
from tests.authority.house import PASSWORD, House

from certbound.authority import people
from certbound.authority.people import PersonError
from certbound.store import audit
from certbound.store.engine import StoreConflict


@pytest.mark.parametrize("username", ["", " ada", "ada ", "a\nb", "a\0b", "a" * 256, "\u202eada"])
def test_a_name_that_cannot_be_read_is_refused(house: House, username: str) -> None:
    with pytest.raises(PersonError, match="a user name is"):
        house.person(username)


def test_a_name_is_taken_once(house: House) -> None:
    with pytest.raises(StoreConflict):
        house.person("ada")


@pytest.mark.parametrize("length", [0, 7, 1025])
def test_a_password_too_short_or_too_long_is_refused(length: int) -> None:
    with pytest.raises(PersonError, match="8 to 1024 characters"):
        people.hash_password("x" * length)


def test_passwords_are_kept_as_argon2id_each_with_its_own_salt() -> None:
    first, second = people.hash_password(PASSWORD), people.hash_password(PASSWORD)
    assert first != second
    assert first.startswith("$argon2id$v=19$m=65536,t=3,p=4$")


async def test_a_changed_password_is_the_one_that_works(house: House) -> None:
    house.store.write(partial(people.change_password, username="ada", password="battery staple", **house.by))
    assert (await house.refusal(house.log_in("app"))).error == "invalid_grant"
    assert (await house.log_in("app", password="battery staple")).access_token


async def test_a_disabled_person_gets_nothing_by_password_or_refresh_token(house: House) -> None:
    first = await house.log_in("app")
    switch = partial(people.disable, username="ada", **house.by)
    house.store.write(partial(switch, disabled=True))
    assert (await house.refusal(house.log_in("app"))).error == "invalid_grant"
    assert (await house.refusal(house.refresh("app", first.refresh_token, None))).error == "invalid_grant"
    house.store.write(partial(switch, disabled=False))
    assert (await house.log_in("app")).access_token


def test_somebody_unknown_cannot_be_changed(house: House) -> None:
    for change in (partial(people.disable, disabled=True), partial(people.change_password, password=PASSWORD)):
        with pytest.raises(PersonError, match="no user 'nobody'"):
            house.store.write(partial(change, username="nobody", **house.by))


async def test_a_hash_that_cannot_be_read_is_no_password(house: House) -> None:
    ada = house.person("eve")
    object.__setattr__(ada, "password_hash", "junk")
    assert await people.password_is_right(ada, PASSWORD) is False


def test_what_is_recorded_of_a_person_names_no_password(house: House) -> None:
    house.store.write(partial(people.change_password, username="ada", password="battery staple", **house.by))
    rows = house.store.read(lambda connection: audit.page(connection, limit=100))
    assert rows[-1].action == "user.password_changed"
    assert not [row for row in rows if "argon2" in row.detail or PASSWORD in row.detail or "staple" in row.detail]
