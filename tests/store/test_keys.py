from dataclasses import replace

import pytest

from certbound.store import keys
from certbound.store.engine import Store, StoreConflict
from certbound.store.keys import StoredSigningKey

KEY = StoredSigningKey(
    kid="kid-1",
    algorithm="ES256",
    public_jwk={"kty": "EC", "crv": "P-256", "x": "AA", "y": "BB"},
    sealed_private=b"\x00sealed\xff",
    created_at=2**33,
    signs_from=2**33 + 90,
)


def test_every_field_comes_back_as_it_was_oldest_first(store: Store) -> None:
    older = replace(KEY, kid="kid-2", created_at=1, signs_from=1, retired_at=2)
    store.write(lambda connection: keys.add(connection, KEY))
    store.write(lambda connection: keys.add(connection, older))
    assert store.read(keys.load_all) == (older, KEY)


def test_a_kid_is_never_used_again(store: Store) -> None:
    store.write(lambda connection: keys.add(connection, KEY))
    store.write(lambda connection: keys.retire(connection, "kid-1", 5))
    with pytest.raises(StoreConflict):
        store.write(lambda connection: keys.add(connection, replace(KEY, created_at=9)))


def test_a_key_is_retired_once(store: Store) -> None:
    store.write(lambda connection: keys.add(connection, KEY))
    assert store.write(lambda connection: keys.retire(connection, "kid-1", 5))
    assert not store.write(lambda connection: keys.retire(connection, "kid-1", 6))
    assert not store.write(lambda connection: keys.retire(connection, "kid-0", 6))
    assert store.read(keys.load_all) == (replace(KEY, retired_at=5),)


def test_a_sealed_key_does_not_show_in_a_repr() -> None:
    assert "sealed" not in repr(KEY).replace("sealed_private", "")
