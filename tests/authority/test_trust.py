import json
from functools import partial
from typing import Any

import pytest
from tests.authority.house import ROOT, House, orders
from tests.oauth.making import NOW, authority, make

from certbound.authority import trust
from certbound.authority.trust import TrustError
from certbound.oauth.credentials import Credentials, ShownMethod
from certbound.store import audit
from certbound.store.trust import TrustCertificate

OTHER = authority("CN=Other")


def add(house: House, name: str, *authorities: Any, intermediate: bool = False) -> tuple[TrustCertificate, ...]:
    held = [one.certificate for one in authorities]
    return house.store.write(partial(trust.add, name=name, certificates=held, intermediate=intermediate, **house.by))


def shown(house: House, name: str) -> tuple[tuple[TrustCertificate, ...], tuple[str, ...]]:
    return house.store.read(partial(trust.show, name=name))


@pytest.mark.parametrize("name", ["", "a b", "-a", "../a", "a" * 65, "ä", "a\n"])
def test_a_store_has_a_plain_name(house: House, name: str) -> None:
    with pytest.raises(TrustError, match="1 to 64 letters"):
        add(house, name, OTHER)


def test_who_is_no_authority_can_vouch_for_nobody_and_nothing_is_added(house: House) -> None:
    with pytest.raises(TrustError, match="CN=orders is not a CA's certificate"):
        add(house, "new", OTHER, make("CN=orders"))
    with pytest.raises(TrustError, match="no trust store 'new'"):
        shown(house, "new")


def test_what_a_store_holds_already_is_passed_over(house: House) -> None:
    assert [added.subject for added in add(house, "partners", ROOT, OTHER, OTHER)] == ["CN=Other"]
    assert add(house, "partners", ROOT, OTHER) == ()
    held, relying = shown(house, "partners")
    assert {certificate.kind for certificate in held} == {"anchor"}
    assert relying == ("orders",)


@pytest.mark.parametrize(("alias", "kept"), [("Mein ä", "Mein ä"), ("a\0b", None), ("\udce4", None), ("a" * 300, None)])
def test_an_alias_that_nobody_could_type_is_left_out(house: House, alias: str, kept: str | None) -> None:
    aliases = {OTHER.certificate.sha256: alias}
    add_other = partial(trust.add, name="new", certificates=[OTHER.certificate], intermediate=False, aliases=aliases)
    [added] = house.store.write(partial(add_other, **house.by))
    assert added.alias == kept
    assert shown(house, "new")[0] == (added,)


def test_an_anchor_does_not_become_an_intermediate_in_passing(house: House) -> None:
    with pytest.raises(TrustError, match="remove it first"):
        add(house, "partners", ROOT, intermediate=True)


async def test_a_removed_authority_vouches_for_nobody_after_the_next_refresh(house: House) -> None:
    credentials = Credentials("orders", ShownMethod.NOTHING, orders().presented())
    assert (await house.registered.decide(credentials, NOW)).client is not None
    remove = partial(trust.remove, name="partners", certificate_id=ROOT.certificate.sha256.hex(), **house.by)
    house.store.write(remove)
    await house.registered.refresh()
    decision = await house.registered.decide(credentials, NOW)
    assert [check.check for check in decision.failed] == ["chain"]
    with pytest.raises(TrustError, match="holds no certificate"):
        house.store.write(remove)


async def test_a_disabled_authority_vouches_for_nobody_until_it_is_enabled_again(house: House) -> None:
    credentials = Credentials("orders", ShownMethod.NOTHING, orders().presented())
    for disabled in (True, False):
        change = partial(trust.set_disabled, name="partners", certificate_id=ROOT.certificate.sha256.hex())
        house.store.write(partial(change, disabled=disabled, **house.by))
        await house.registered.refresh()
        decision = await house.registered.decide(credentials, NOW)
        assert (decision.client is None) == disabled
    *_, disabling, enabling = house.store.read(lambda connection: audit.page(connection, limit=100))
    assert (disabling.action, enabling.action) == ("trust.disabled", "trust.enabled")
    with pytest.raises(TrustError, match="holds no certificate"):
        house.store.write(
            partial(trust.set_disabled, name="partners", certificate_id="0" * 64, disabled=True, **house.by)
        )


async def test_a_stored_intermediate_completes_a_path_and_ends_none(house: House) -> None:
    middle = authority("CN=Middle", issuer=OTHER)
    house.trust("others", OTHER)
    house.update("orders", trust=("others",))
    below = make(issuer=middle, san=orders().x509.extensions[0].value)
    credentials = Credentials("orders", ShownMethod.NOTHING, below.presented())
    await house.registered.refresh()
    assert (await house.registered.decide(credentials, NOW)).client is None
    add(house, "others", middle, intermediate=True)
    await house.registered.refresh()
    assert (await house.registered.decide(credentials, NOW)).client is not None
    house.store.write(partial(trust.remove, name="others", certificate_id=OTHER.certificate.sha256.hex(), **house.by))
    await house.registered.refresh()
    assert (await house.registered.decide(credentials, NOW)).client is None


def test_every_change_is_recorded_with_what_it_changed(house: House) -> None:
    [added] = add(house, "new", OTHER)
    house.store.write(partial(trust.remove, name="new", certificate_id=added.id, **house.by))
    *_, adding, removing = house.store.read(lambda connection: audit.page(connection, limit=100))
    assert (adding.action, removing.action) == ("trust.added", "trust.removed")
    assert json.loads(adding.detail) == {"kind": "anchor", "certificates": [{"id": added.id, "subject": "CN=Other"}]}
    assert json.loads(removing.detail) == {"id": added.id}
