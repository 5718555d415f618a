from .conftest import Certbound


def test_a_new_key_signs_and_the_one_before_stays_published_until_it_is_retired(certbound: Certbound) -> None:
    [first] = certbound.json("keys", "list")
    second = certbound.json("keys", "rotate", "--algorithm", "EdDSA")
    assert (second["algorithm"], second["state"]) == ("EdDSA", "signing")
    assert [key["state"] for key in certbound.json("keys", "list")] == ["published", "signing"]
    assert "signs: make its successor first" in certbound.refused("keys", "retire", second["kid"])
    assert certbound.json("keys", "retire", first["kid"])["state"] == "retired"
    assert "no key" in certbound.refused("keys", "retire", first["kid"])
    assert [key["state"] for key in certbound.json("keys", "list")] == ["retired", "signing"]


def test_an_unknown_algorithm_is_misuse(certbound: Certbound) -> None:
    assert "ES256" in certbound.refused("keys", "rotate", "--algorithm", "HS256", code=2)


def test_no_key_is_made_without_the_master_key(certbound: Certbound) -> None:
    (certbound.folder / "master.key").unlink()
    assert "master.key" in certbound.refused("keys", "rotate")
    (certbound.folder / "master.key").write_bytes(b"short")
    assert "is no master key" in certbound.refused("keys", "rotate")
    assert len(certbound.json("keys", "list")) == 1
