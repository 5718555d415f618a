from functools import partial

import pytest
from tests.authority.house import PASSWORD, House

from certbound.authority import people, sessions
from certbound.authority.sessions import SignedIn
from certbound.store import audit
from certbound.store import people as stored_people
from certbound.store.engine import Connection


def begin(house: House, replaces: str | None = None, amr: tuple[str, ...] = ("pwd",)) -> str:
    def work(connection: Connection) -> str:
        ada = people.existing(connection, "ada")
        return sessions.begin(connection, ada, amr=amr, lifetime=100, now=house.now, replaces=replaces)

    return house.store.write(work)


def find(house: House, cookie: str) -> SignedIn | None:
    return house.store.read(partial(sessions.find, cookie=cookie, now=house.now))


def end(house: House, cookie: str) -> bool:
    return house.store.write(partial(sessions.end, cookie=cookie, now=house.now))


def actions(house: House) -> list[tuple[str, str]]:
    rows = house.store.read(lambda connection: audit.page(connection, limit=100))
    return [(row.action, row.actor) for row in rows if row.action.startswith("session.")]


def test_a_session_says_who_signed_in_when_and_how(house: House) -> None:
    found = find(house, begin(house, amr=("pwd", "otp", "mfa")))
    assert found is not None
    assert found.person.username == "ada"
    assert (found.session.auth_time, found.session.amr) == (house.now, ("pwd", "otp", "mfa"))


def test_a_session_ends_with_its_lifetime(house: House) -> None:
    cookie = begin(house)
    house.now += 99
    assert find(house, cookie) is not None
    house.now += 1
    assert find(house, cookie) is None


def test_a_session_is_ended_once_and_recorded_with_the_person_who_did_it(house: House) -> None:
    cookie, other = begin(house), begin(house)
    assert [end(house, cookie) for _ in range(2)] == [True, False]
    assert find(house, cookie) is None
    assert find(house, other) is not None
    ada = house.store.read(partial(people.existing, username="ada"))
    assert actions(house) == [(f"session.{what}", f"user:{ada.sub}") for what in ("begun", "begun", "ended")]


def test_signing_in_again_ends_the_session_that_the_browser_had(house: House) -> None:
    first = begin(house)
    second = begin(house, replaces=first)
    assert find(house, first) is None
    assert find(house, second) is not None
    assert find(house, begin(house, replaces="no session at all")) is not None


@pytest.mark.parametrize("cookie", ["", "x", "ü" * 5000, "\0"])
def test_what_is_no_cookie_of_ours_is_nobody(house: House, cookie: str) -> None:
    begin(house)
    assert find(house, cookie) is None
    assert not end(house, cookie)


def test_the_digest_of_a_cookie_is_no_cookie(house: House) -> None:
    found = find(house, begin(house))
    assert found is not None
    assert find(house, found.session.id_sha256) is None


def test_disabling_a_person_ends_every_session_for_good(house: House) -> None:
    cookies = [begin(house), begin(house)]
    switch = partial(people.disable, username="ada", **house.by)
    house.store.write(partial(switch, disabled=True))
    house.store.write(partial(switch, disabled=False))
    assert [find(house, cookie) for cookie in cookies] == [None, None]


def test_a_new_password_ends_every_session(house: House) -> None:
    cookie = begin(house)
    house.store.write(partial(people.change_password, username="ada", password=PASSWORD, **house.by))
    assert find(house, cookie) is None


def test_the_cookie_is_kept_nowhere(house: House) -> None:
    cookie = begin(house)
    rows = house.store.read(lambda connection: audit.page(connection, limit=100))
    assert not [row for row in rows if cookie in row.detail]
    assert cookie not in repr(find(house, cookie))
    assert len(cookie) == 43


def test_a_session_is_nobodys_while_its_person_is_disabled_or_an_operator(house: House) -> None:
    cookie = begin(house)
    house.store.write(partial(stored_people.set_disabled, username="ada", disabled=True))
    assert find(house, cookie) is None
    root = house.person("root", operator=True)
    of_root = partial(sessions.begin, person=root, amr=("pwd",), lifetime=100, now=house.now)
    assert find(house, house.store.write(of_root)) is None
