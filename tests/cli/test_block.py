import base64
import json
import re
import time
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from certbound.store import audit
from certbound.store.engine import Store
from certbound.store.tokens import IssuedToken, RefreshToken, add_issued_tokens, add_refresh_token

from .conftest import Certbound

LEAF, KEY = "4f" * 32, "9a" * 32


def store_of(certbound: Certbound) -> Store:
    return Store(f"sqlite:///{certbound.folder / 'certbound.db'}")


def obtain(certbound: Certbound, **changes: Any) -> int:
    """Put a refresh and an access token on record that LEAF obtained with KEY; give the time."""
    certbound.done("client", "create", "orders", "--id", "orders", "--auth", "client_secret_basic", "--not-bound")
    at = int(time.time())
    with_leaf = {"certificate_sha256": LEAF, "spki_sha256": KEY, "address": "192.0.2.7"}
    issued: dict[str, Any] = {
        "sub": "ada",
        "scope": "read",
        "issued_at": at,
        "expires_at": at + 300,
        "x5t_s256": None,
        **with_leaf,
    }
    access = IssuedToken(jti="the-jti", client_id="orders", grant_type="password", audience=(), **issued)
    refresh = RefreshToken(token_sha256=b"x" * 32, family="f", client_id="orders", resources=(), **issued)
    with store_of(certbound) as store:
        store.write(partial(add_issued_tokens, tokens=[access]))
        store.write(partial(add_refresh_token, token=refresh))
    return at


def test_a_block_is_made_listed_shown_and_lifted(certbound: Certbound) -> None:
    assert certbound.done("block", "list") == "nothing is blocked\n"
    made = certbound.json("block", "--thumbprint", LEAF, "--reason", "laptop stolen")
    block_id = made["id"]
    assert made == {
        "id": block_id,
        "kind": "certificate",
        "sha256": LEAF,
        "reason": "laptop stolen",
        "by": made["by"],
        "created": made["created"],
        "lifted": None,
        "lifted_by": None,
        "refresh_tokens_revoked": 0,
        "obtained": [],
    }
    assert made["by"].startswith("cli:")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", made["created"])
    row = {name: value for name, value in made.items() if name not in {"refresh_tokens_revoked", "obtained"}}
    assert certbound.json("block", "list") == [row]
    assert certbound.json("block", "show", block_id) == {**row, "obtained": []}
    lifted = certbound.json("block", "lift", block_id)
    assert lifted == {**row, "lifted": lifted["lifted"], "lifted_by": made["by"]}
    assert lifted["lifted"] >= made["created"]
    assert certbound.json("block", "list") == [lifted]


def test_people_read_what_was_done_and_what_it_obtained(certbound: Certbound) -> None:
    obtain(certbound)
    ended = certbound("block", "--public-key", KEY, "--reason", "key in a public\nrepository")
    assert (ended.code, ended.err) == (0, "")
    first, second, empty, title, head, *rows = ended.out.splitlines()
    found = re.fullmatch(r"blocked: ([0-9a-f]{12}), in force everywhere within 2 seconds", first)
    assert found
    assert (second, empty, title) == ("refresh tokens revoked: 1", "", "it obtained:")
    assert head.split() == ["TYPE", "CLIENT", "ID", "SUB", "SCOPE", "ISSUED", "EXPIRES", "ADDRESS", "JTI"]
    assert [row.split()[:4] + row.split()[-2:] for row in rows] == [
        ["refresh_token", "orders", "ada", "read", "192.0.2.7", "-"],
        ["access_token", "orders", "ada", "read", "192.0.2.7", "the-jti"],
    ]
    listed = certbound.done("block", "list").splitlines()
    assert listed[0].split() == ["ID", "KIND", "SHA256", "REASON", "BY", "CREATED", "LIFTED", "LIFTED", "BY"]
    assert "key in a public repository" in listed[1]
    shown = certbound.done("block", "show", found[1])
    assert re.search(rf"^sha256 +{KEY}$", shown, re.MULTILINE)
    assert shown.count("192.0.2.7") == 2
    ended = certbound("block", "lift", found[1])
    assert (ended.code, ended.out) == (0, f"lifted: {found[1]}\n")
    assert ended.err == ("note: its refresh tokens stay revoked; access tokens that have not run out are good again\n")


def test_what_obtained_nothing_says_so(certbound: Certbound) -> None:
    assert certbound.done("block", "--thumbprint", LEAF).endswith("\nit obtained nothing that is on record\n")


@pytest.mark.parametrize(("option", "sha256"), [("--thumbprint", LEAF), ("--public-key", KEY)])
def test_what_it_obtained_is_listed_with_when_and_from_where(certbound: Certbound, option: str, sha256: str) -> None:
    at = obtain(certbound)
    made = certbound.json("block", option, sha256)
    assert made["refresh_tokens_revoked"] == 1
    rows = made["obtained"]
    assert [(row["type"], row["jti"]) for row in rows] == [("refresh_token", None), ("access_token", "the-jti")]
    for row in rows:
        assert (row["client_id"], row["sub"], row["scope"], row["address"]) == ("orders", "ada", "read", "192.0.2.7")
        assert row["issued"] == time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at))
    assert certbound.json("block", "show", made["id"])["obtained"] == rows


def test_more_than_is_listed_is_said_to_be_more(certbound: Certbound, monkeypatch: pytest.MonkeyPatch) -> None:
    obtain(certbound)
    monkeypatch.setattr("certbound.authority.blocks.MAX_OBTAINED", 1)
    ended = certbound("block", "--public-key", KEY)
    assert ended.err == "note: the newest 1 of a type are listed; there may be more\n"


def test_whoever_blocks_one_certificate_is_told_that_its_key_goes_on(certbound: Certbound) -> None:
    assert "block that with --public-key" in certbound("block", "--thumbprint", LEAF).err


@pytest.mark.parametrize("option", ["--thumbprint", "--public-key"])
def test_thumbprints_are_taken_in_every_spelling_and_blocked_once(certbound: Certbound, option: str) -> None:
    digest = bytes([0xFB]) + bytes(range(31))  # in base64url it begins as an option does
    encoded = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
    assert encoded.startswith("-")
    pairs = ":".join(f"{octet:02X}" for octet in digest)
    for spelling in (encoded, digest.hex(), digest.hex().upper(), pairs, f"{encoded}="):
        made = certbound.json("block", option, spelling)
        assert made["sha256"] == digest.hex()
        told = certbound.refused("block", option, digest.hex())
        assert told == f"it is blocked already, by {made['id']}: see `certbound block list`"
        certbound.done("block", "lift", made["id"])


def test_both_values_of_a_certificate_are_those_that_cert_show_prints(certbound: Certbound, leaf_file: Path) -> None:
    (facts,) = certbound.json("cert", "show", leaf_file)
    decided: list[Any] = []
    certbound.done(
        *("client", "create", "own", "--id", "own", "--auth", "self_signed_tls_client_auth", "--certificate", leaf_file)
    )
    for option, name in (("--thumbprint", "sha256"), ("--public-key", "public_key_sha256")):
        made = certbound.json("block", option, facts[name])
        decided.append(certbound.json("explain", "--client", "own", "--certificate", leaf_file))
        certbound.done("block", "lift", made["id"])
    found = [[check["found"] for check in one["checks"] if not check["passed"]] for one in decided]
    assert found == [["the certificate is blocked"], ["the key of the certificate is blocked"]]
    assert certbound.json("explain", "--client", "own", "--certificate", leaf_file)["accepted"] is True


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ((), "give either --thumbprint or --public-key, or one of: list, show, lift"),
        (("--thumbprint", LEAF, "--public-key", KEY), "give either --thumbprint or --public-key"),
        (("--reason", "only that"), "give either --thumbprint or --public-key"),
        (
            ("--thumbprint", "4f0c"),
            "invalid value for '--thumbprint': '4f0c' is no SHA-256 thumbprint: 64 hex digits, or 43",
        ),
        (("--thumbprint", ""), "invalid value for '--thumbprint': '' is no SHA-256 thumbprint"),
        (
            ("--public-key", "../etc/passwd"),
            "invalid value for '--public-key': '../etc/passwd' is no SHA-256",
        ),
        (("--thumbprint",), "option '--thumbprint' requires an argument"),
        (("--thumbprint", LEAF, "list"), "--thumbprint, --public-key and --reason stand without a subcommand"),
        (("--reason", "x", "list"), "--thumbprint, --public-key and --reason stand without a subcommand"),
        (("--json", "list"), "--json stands at the end"),
        ((LEAF,), f"no such command '{LEAF}'"),
        (("show",), "missing argument 'ID'"),
        (("lift",), "missing argument 'ID'"),
    ],
)
def test_misuse_blocks_nothing_and_says_what_to_type(
    certbound: Certbound, arguments: tuple[str, ...], told: str
) -> None:
    text = certbound.refused("block", *arguments, code=2)
    assert text.startswith(told), text
    assert certbound.json("block", "list") == []


def test_a_block_that_is_not_there_or_was_lifted_is_neither_shown_nor_lifted(certbound: Certbound) -> None:
    for command in ("show", "lift"):
        told = certbound.refused("block", command, "f00d")
        assert told == "there is no block 'f00d': see `certbound block list`"
    made = certbound.json("block", "--thumbprint", LEAF)
    certbound.done("block", "lift", made["id"])
    assert certbound.refused("block", "lift", made["id"]) == f"block {made['id']} was lifted before"
    assert certbound.json("block", "show", made["id"])["lifted"]


def test_what_the_command_line_does_is_in_the_audit(certbound: Certbound) -> None:
    made = certbound.json("block", "--public-key", KEY, "--reason", "ünï 🔑")
    certbound.json("block", "lift", made["id"])
    with store_of(certbound) as store:
        rows = [row for row in store.read(partial(audit.page, limit=100)) if row.action.startswith("block.")]
    assert [(row.action, row.target, row.actor) for row in rows] == [
        ("block.made", made["id"], made["by"]),
        ("block.lifted", made["id"], made["by"]),
    ]
    assert json.loads(rows[0].detail)["reason"] == "ünï 🔑"


def test_the_help_says_when_to_block_which(certbound: Certbound) -> None:
    text = " ".join(certbound.done("block", "--help").split())
    for part in (
        "Refuse a certificate or a key everywhere within 2 seconds",
        "Where a private key is in the wrong hands, block the public key",
        "certbound cert show stolen.pem",
    ):
        assert part in text
    assert "..." not in text.partition("Commands:")[2].partition("Examples:")[0]
