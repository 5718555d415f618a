from dataclasses import replace
from functools import partial

from certbound.store import once, revision, revoked, tokens
from certbound.store.engine import Store
from certbound.store.revoked import RevokedToken
from certbound.store.tokens import IssuedToken


def token(jti: str, family: str | None = None, expires_at: int = 300) -> IssuedToken:
    return IssuedToken(jti, "app", "usr_1", "password", "read", ("api",), None, None, 0, expires_at, family=family)


def test_a_revoked_token_stays_revoked_until_it_has_run_out(store: Store) -> None:
    rows = [RevokedToken("a", "app", 10, 300), RevokedToken("b", "app", 10, 400)]
    for _ in range(2):
        store.write(partial(revoked.add, revoked=rows))
    assert store.read(partial(revoked.is_revoked, jti="a"))
    assert not store.read(partial(revoked.is_revoked, jti="c"))
    assert store.read(partial(revoked.living, now=299, limit=10)) == ("b", "a")
    assert store.read(partial(revoked.living, now=300, limit=10)) == ("b",)
    assert store.read(partial(revoked.living, now=0, limit=1)) == ("b",)
    assert store.write(partial(revoked.delete_expired, now=300, limit=10)) == 1
    assert not store.read(partial(revoked.is_revoked, jti="a"))


def test_a_client_that_revokes_many_tokens_keeps_out_those_of_no_other(store: Store) -> None:
    many = [RevokedToken(f"many-{number}", "many", 100, 400 + number) for number in range(20)]
    few = [RevokedToken("few", "few", 90, 300), RevokedToken("old", "few", 90, 150)]
    store.write(partial(revoked.add, revoked=[*many, *few]))
    assert store.read(partial(revoked.living, now=200, limit=3)) == ("many-19", "few", "many-18")
    assert len(store.read(partial(revoked.living, now=200, limit=50))) == 21


def test_a_grants_living_access_tokens_are_revoked_and_no_others(store: Store) -> None:
    rows = [token("mine", "f"), token("old", "f", expires_at=50), token("other", "g"), token("none")]
    store.write(partial(tokens.add_issued_tokens, tokens=rows))
    assert store.write(partial(revoked.revoke_family, family="f", at=100)) == 1
    assert store.read(partial(revoked.living, now=0, limit=10)) == ("mine",)


def test_what_a_client_has_for_a_person_is_revoked_and_nothing_else(store: Store) -> None:
    mine = [token("one", "f"), token("two"), token("old", expires_at=50)]
    others = [replace(token("other client"), client_id="web"), replace(token("other person"), sub="usr_2")]
    store.write(partial(tokens.add_issued_tokens, tokens=[*mine, *others]))
    assert store.write(partial(revoked.revoke_person, client_id="app", sub="usr_1", at=100)) == 2
    assert set(store.read(partial(revoked.living, now=0, limit=10))) == {"one", "two"}


def test_revoking_raises_a_number_of_its_own(store: Store) -> None:
    registered, number = store.read(revision.read_both)
    store.write(revision.bump_revoked)
    assert store.read(revision.read_both) == (registered, number + 1)
    store.write(revision.bump)
    assert store.read(revision.read_both) == (registered + 1, number + 1)


def test_an_identifier_is_good_once(store: Store) -> None:
    use = partial(once.use, kind="assertion", expires_at=100)
    assert store.write(lambda connection: use(connection, parts=("client", "jti")))
    assert not store.write(lambda connection: use(connection, parts=("client", "jti")))
    assert store.write(lambda connection: use(connection, parts=("other", "jti")))
    assert store.write(lambda connection: use(connection, parts=("clientj", "ti")))
    assert store.write(partial(once.delete_expired, now=99, limit=10)) == 0
    assert store.write(partial(once.delete_expired, now=100, limit=2)) == 2
    assert store.write(partial(once.delete_expired, now=100, limit=10)) == 1
    assert store.write(lambda connection: use(connection, parts=("client", "jti")))
