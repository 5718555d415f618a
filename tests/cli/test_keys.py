from .conftest import Certbound


def states(certbound: Certbound) -> list[str]:
    return [key["state"] for key in certbound.json("keys", "list")]


def test_a_new_key_is_published_first_and_signs_soon(certbound: Certbound) -> None:
    [first] = certbound.json("keys", "list")
    assert (first["state"], first["default"], first["kept_until"]) == ("signing", True, None)
    assert first["signs_from"] == first["created"]
    second = certbound.json("keys", "rotate")
    assert (second["algorithm"], second["state"], second["default"]) == ("ES256", "published", False)
    assert second["signs_from"] > second["created"]
    first, second = certbound.json("keys", "list")
    assert (first["state"], first["default"]) == ("signing", True)
    assert first["kept_until"] > second["signs_from"]
    assert "signs: make its successor first" in certbound.refused("keys", "retire", first["kid"], "--force")
    assert certbound.json("keys", "retire", second["kid"])["state"] == "retired"


def test_in_an_emergency_a_key_signs_at_once_and_the_one_before_is_retired_by_force(certbound: Certbound) -> None:
    [first] = certbound.json("keys", "list")
    second = certbound.json("keys", "rotate", "--now")
    assert (second["state"], second["default"]) == ("signing", True)
    assert states(certbound) == ["superseded", "signing"]
    assert "may be about until" in certbound.refused("keys", "retire", first["kid"])
    assert certbound.json("keys", "retire", first["kid"], "--force")["state"] == "retired"
    assert "no key" in certbound.refused("keys", "retire", first["kid"])
    assert states(certbound) == ["retired", "signing"]
    assert "retired" in certbound.done("keys", "list")


def test_of_each_algorithm_one_key_signs_and_the_newest_by_default_unless_a_setting_says(certbound: Certbound) -> None:
    assert certbound.json("keys", "rotate", "--algorithm", "EdDSA", "--now")["default"]
    assert [(key["algorithm"], key["state"], key["default"]) for key in certbound.json("keys", "list")] == [
        ("ES256", "signing", False),
        ("EdDSA", "signing", True),
    ]
    assert certbound.json("keys", "rotate")["algorithm"] == "EdDSA"
    text = certbound.config.read_text()
    certbound.config.write_text(text.replace("[oauth]", '[oauth]\nsigning_algorithm = "ES256"'))
    assert [key["default"] for key in certbound.json("keys", "list")] == [True, False, False]
    assert certbound.json("keys", "rotate", "--now")["algorithm"] == "ES256"
    assert "signs by EdDSA" in certbound.refused("keys", "retire", certbound.json("keys", "list")[1]["kid"])
    certbound.config.write_text(text.replace("[oauth]", '[oauth]\nsigning_algorithm = "HS256"'))
    assert "write one of ES256, ES384, RS256, PS256, EdDSA" in certbound.refused("keys", "list")


def test_an_unknown_algorithm_is_misuse(certbound: Certbound) -> None:
    assert "ES256" in certbound.refused("keys", "rotate", "--algorithm", "HS256", code=2)


def test_no_key_is_made_without_the_master_key(certbound: Certbound) -> None:
    (certbound.folder / "master.key").unlink()
    assert "master.key" in certbound.refused("keys", "rotate")
    (certbound.folder / "master.key").write_bytes(b"short")
    assert "is no master key" in certbound.refused("keys", "rotate")
    assert len(certbound.json("keys", "list")) == 1
