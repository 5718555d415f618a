from .conftest import Certbound


def test_a_token_is_shown_once_and_listed_without_its_value(certbound: Certbound) -> None:
    made = certbound.json(
        *("client", "initial-token", "create", "--scope-ceiling", "read write", "--uses", 3, "--days", 2)
    )
    assert made["initial_access_token"].startswith("cbi_")
    assert (made["scope_ceiling"], made["trust"], made["uses_left"]) == ("read write", [], 3)
    [listed] = certbound.json("client", "initial-token", "list")
    assert listed == {name: value for name, value in made.items() if name != "initial_access_token"}
    assert made["id"] in certbound.done("client", "initial-token", "list")


def test_a_revoked_token_is_listed_no_more(certbound: Certbound) -> None:
    made = certbound.json("client", "initial-token", "create")
    assert certbound.json("client", "initial-token", "revoke", made["id"]) == {"id": made["id"], "revoked": True}
    assert certbound.json("client", "initial-token", "list") == []
    assert "make one" in certbound.done("client", "initial-token", "list")
    assert "no initial access token" in certbound.refused("client", "initial-token", "revoke", made["id"])


def test_a_ceiling_names_trust_stores_that_are_there_and_no_administrative_scope(certbound: Certbound) -> None:
    create = ("client", "initial-token", "create")
    assert "there is no trust store" in certbound.refused(*create, "--trust", "partners")
    assert "administrative" in certbound.refused(*create, "--scope-ceiling", "read certbound.admin")
    assert "1 to" in certbound.refused(*create, "--uses", 0)


def test_whoever_makes_one_is_told_that_registering_is_off(certbound: Certbound) -> None:
    ended = certbound("client", "initial-token", "create")
    assert "dynamic_registration" in ended.err
    text = certbound.config.read_text()
    on = '[oauth]\ndynamic_registration = "initial-access-token"'
    certbound.config.write_text(text.replace("[oauth]", on))
    assert certbound("client", "initial-token", "create").err == ""
