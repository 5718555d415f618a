"""What a page carries: sealed for one purpose, for a while."""

from base64 import urlsafe_b64encode

import pytest

from certbound.jose.sealing import seal
from certbound.web.signin.sealed import MAX_LENGTH, Sealed

from .conftest import MASTER_KEY, Clock

CLOCK = Clock(1000.0)
SEALED = Sealed(MASTER_KEY, CLOCK)
TEXT = SEALED.seal("form", "browser", name="ada")


def test_what_was_sealed_comes_back_while_it_lasts() -> None:
    members = SEALED.open(TEXT, "form", "browser", lasts=10)
    assert members is not None
    assert members["name"] == "ada"
    assert Sealed(MASTER_KEY, Clock(1010.0)).open(TEXT, "form", "browser", lasts=10) is not None
    assert Sealed(MASTER_KEY, Clock(1011.0)).open(TEXT, "form", "browser", lasts=10) is None


@pytest.mark.parametrize("about", [(), ("form",), ("form", "other"), ("form", "browser", ""), ("formbrowser",)])
def test_it_is_about_one_thing_only(about: tuple[str, ...]) -> None:
    assert SEALED.open(TEXT, *about, lasts=10) is None


def test_anything_else_is_nothing() -> None:
    spoilt = [f"{TEXT}x", f"{TEXT}=", TEXT[:-4], TEXT[4:], f"{TEXT} "]
    for text in (None, "", "x", "\u00e9", "A" * (MAX_LENGTH + 1), "A" * 40, *spoilt):
        assert SEALED.open(text, "form", "browser", lasts=10) is None


def test_another_server_seals_otherwise() -> None:
    assert Sealed(bytes(32), CLOCK).open(TEXT, "form", "browser", lasts=10) is None


def test_the_master_key_itself_seals_nothing_here() -> None:
    text = urlsafe_b64encode(seal(b'{"at": 1000}', MASTER_KEY, '["form"]')).decode()
    assert SEALED.open(text, "form", lasts=10) is None
