import os
from base64 import b32decode
from functools import partial
from urllib.parse import parse_qs, urlsplit

import pytest
from tests.authority.house import ISSUER, House

from certbound.authority import people, second_factor
from certbound.authority.people import PersonError
from certbound.authority.second_factor import STEP_SECONDS, Enrolment, one_time_password
from certbound.store import audit

#: RFC 6238 appendix B, SHA-1: the last six of its eight digits.
VECTORS = [
    (59, "287082"),
    (1111111109, "081804"),
    (1111111111, "050471"),
    (1234567890, "005924"),
    (2000000000, "279037"),
    (20000000000, "353130"),
]


def enrol(house: House, username: str = "ada") -> Enrolment:
    work = partial(second_factor.enrol, username=username, issuer=ISSUER, master_key=house.master_key, **house.by)
    return house.store.write(work)


def password_of(house: House, enrolled: Enrolment, steps: int = 0) -> str:
    return one_time_password(b32decode(enrolled.secret), house.now // STEP_SECONDS + steps)


def use(house: House, code: str, username: str = "ada") -> bool:
    person = house.store.read(partial(people.existing, username=username))
    work = partial(second_factor.use, person=person, code=code, master_key=house.master_key, now=house.now)
    return house.store.write(work)


@pytest.mark.parametrize(("at", "expected"), VECTORS)
def test_the_vectors_of_the_rfc_hold(at: int, expected: str) -> None:
    assert one_time_password(b"12345678901234567890", at // STEP_SECONDS) == expected


def test_a_password_is_taken_one_step_early_or_late_and_no_further(house: House) -> None:
    enrolled = enrol(house)
    assert not use(house, password_of(house, enrolled, -2))
    assert not use(house, password_of(house, enrolled, 2))
    for steps in (-1, 0, 1):
        assert use(house, password_of(house, enrolled, steps))


def test_a_password_is_good_once_and_uses_up_those_before_it(house: House) -> None:
    enrolled = enrol(house)
    assert use(house, password_of(house, enrolled))
    assert not use(house, password_of(house, enrolled))
    assert not use(house, password_of(house, enrolled, -1))
    house.now += STEP_SECONDS
    assert use(house, password_of(house, enrolled))


@pytest.mark.parametrize("code", ["", "12345", "1234567", "abcdef", "\N{ARABIC-INDIC DIGIT ONE}" * 6, "0" * 5000])
def test_what_is_no_password_is_refused(house: House, code: str) -> None:
    enrol(house)
    assert not use(house, code)


def test_a_password_may_be_typed_as_applications_show_it(house: House) -> None:
    code = password_of(house, enrol(house))
    assert use(house, f"{code[:3]} {code[3:]}")


def test_nobody_elses_password_is_taken_and_none_where_there_is_no_second_factor(house: House) -> None:
    house.person("eve")
    code = password_of(house, enrol(house))
    assert not use(house, code, "eve")
    enrol(house, "eve")
    assert not use(house, code, "eve")
    assert use(house, code)


def test_a_new_second_factor_takes_the_place_of_the_one_before(house: House) -> None:
    first = enrol(house)
    second = enrol(house)
    assert first.secret != second.secret
    assert not use(house, password_of(house, first))
    assert use(house, password_of(house, second))


def test_a_second_factor_that_was_taken_away_is_gone(house: House) -> None:
    code = password_of(house, enrol(house))
    remove = partial(second_factor.remove, username="ada", **house.by)
    assert [house.store.write(remove) for _ in range(2)] == [True, False]
    assert not use(house, code)


def test_a_secret_is_opened_for_its_own_person_with_the_master_key_only(house: House) -> None:
    house.person("eve")
    code = password_of(house, enrol(house))
    ada = house.store.read(partial(people.existing, username="ada"))
    eve = house.store.read(partial(people.existing, username="eve"))
    object.__setattr__(eve, "sealed_totp", ada.sealed_totp)
    check = partial(second_factor.use, code=code, now=house.now)
    assert not house.store.write(partial(check, person=eve, master_key=house.master_key))
    assert not house.store.write(partial(check, person=ada, master_key=os.urandom(32)))
    assert house.store.write(partial(check, person=ada, master_key=house.master_key))


def test_an_application_is_told_all_it_needs(house: House) -> None:
    house.person("ada lovelace/ü:1")
    enrolled = enrol(house, "ada lovelace/ü:1")
    uri = urlsplit(enrolled.uri)
    assert (uri.scheme, uri.netloc, uri.path) == ("otpauth", "totp", "/as.example.com:ada%20lovelace%2F%C3%BC%3A1")
    assert parse_qs(uri.query) == {
        "secret": [enrolled.secret],
        "issuer": ["as.example.com"],
        "algorithm": ["SHA1"],
        "digits": ["6"],
        "period": ["30"],
    }
    assert len(b32decode(enrolled.secret)) * 8 == 160


def test_the_secret_shows_nowhere_else(house: House) -> None:
    enrolled = enrol(house)
    raw = b32decode(enrolled.secret)
    ada = house.store.read(partial(people.existing, username="ada"))
    assert ada.sealed_totp is not None
    assert raw not in ada.sealed_totp
    rows = house.store.read(lambda connection: audit.page(connection, limit=100))
    assert rows[-1].action == "user.second_factor_set"
    assert not [row for row in rows if enrolled.secret in row.detail]
    assert enrolled.secret not in repr(enrolled)


def test_somebody_unknown_gets_no_second_factor(house: House) -> None:
    with pytest.raises(PersonError, match="no user 'nobody'"):
        enrol(house, "nobody")
    with pytest.raises(PersonError, match="no user 'nobody'"):
        house.store.write(partial(second_factor.remove, username="nobody", **house.by))
