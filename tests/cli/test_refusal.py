from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import pytest

from certbound.authority.refusals import MAX_TEXT
from certbound.store.engine import Store
from certbound.store.refusals import Refusal, add_refusals

from .conftest import Certbound

AT = 1_780_000_000
CERTIFICATE: Mapping[str, Any] = {
    "sha256": "4f" * 32,
    "public_key_sha256": "9a" * 32,
    "subject": "CN=orders,OU=Sales,O=Acme",
    "issuer": "CN=CA",
    "serial_number": "f00d",
    "not_before": AT - 10,
    "not_after": AT + 10,
}


def check(name: str, expected: str, found: str, *, passed: bool = False) -> dict[str, Any]:
    return {"check": name, "passed": passed, "expected": expected, "found": found, "reference": "RFC 8705 section 2"}


CHECKS: Sequence[Mapping[str, Any]] = (
    check("client_known", "a registered client", "orders", passed=True),
    check("tls_client_auth_subject_dn", "CN=orders,OU=Purchase,O=Acme", "CN=orders,OU=Sales,O=Acme"),
    check("chain", "a path to an anchor of s", "self-signed"),
)


def keep(certbound: Certbound, *references: str, **changes: Any) -> None:
    given: dict[str, Any] = {
        "at": AT,
        "client_id": "orders",
        "address": "192.0.2.7",
        "error": "invalid_client",
        "certificate": CERTIFICATE,
        "checks": CHECKS,
    }
    refusals = [Refusal(reference=reference, **given | changes) for reference in references]
    with Store(f"sqlite:///{certbound.folder / 'certbound.db'}") as store:
        store.write(partial(add_refusals, refusals=refusals))


@pytest.mark.parametrize("said", ["01ABCDEFGH", "olabcdefgh", "01AB-CDEF-GH"])
def test_a_refusal_is_shown_by_the_reference_that_the_client_was_told(certbound: Certbound, said: str) -> None:
    keep(certbound, "01ABCDEFGH", "0000000000")
    shown = certbound.json("refusal", "show", said)
    assert shown == {
        "reference": "01ABCDEFGH",
        "at": "2026-05-28T20:26:40Z",
        "client_id": "orders",
        "address": "192.0.2.7",
        "error": "invalid_client",
        "certificate": {
            **CERTIFICATE,
            "not_before": "2026-05-28T20:26:30Z",
            "not_after": "2026-05-28T20:26:50Z",
        },
        "checks": list(CHECKS),
    }


def test_people_read_every_check_and_names_beside_each_other(certbound: Certbound) -> None:
    keep(certbound, "01ABCDEFGH")
    assert certbound.done("refusal", "show", "01ABCDEFGH").splitlines() == [
        "reference          01ABCDEFGH",
        "at                 2026-05-28T20:26:40Z",
        "client             orders",
        "address            192.0.2.7",
        "error              invalid_client",
        f"sha256             {'4f' * 32}",
        f"public key sha256  {'9a' * 32}",
        "subject            CN=orders,OU=Sales,O=Acme",
        "issuer             CN=CA",
        "serial number      f00d",
        "not before         2026-05-28T20:26:30Z",
        "not after          2026-05-28T20:26:50Z",
        "",
        "passed  client_known  (RFC 8705 section 2)",
        "        expected  a registered client",
        "        found     orders",
        "FAILED  tls_client_auth_subject_dn  (RFC 8705 section 2)",
        "        expected  CN=orders,OU=Purchase,O=Acme",
        "        found     CN=orders,OU=Sales,O=Acme",
        "        registered   certificate",
        "     =  CN=orders    CN=orders",
        "     !  OU=Purchase  OU=Sales  <- first difference",
        "     =  O=Acme       O=Acme",
        "FAILED  chain  (RFC 8705 section 2)",
        "        expected  a path to an anchor of s",
        "        found     self-signed",
    ]


@pytest.mark.parametrize(
    ("expected", "subject"),
    [
        ("CN=" + "x" * (MAX_TEXT - 3) + "...", "CN=orders"),
        ("CN=orders", "CN=" + "x" * (MAX_TEXT - 3) + "..."),
        ("CN=orders,O=" + "x" * (MAX_TEXT - 13) + "\\...", "CN=orders"),  # cut within an escape
        ("CN=orders", "CN=orders"),
        ("CN=Orders", "CN=orders"),
    ],
)
def test_names_that_were_cut_or_turn_out_equal_are_shown_as_they_were_kept(
    certbound: Certbound, expected: str, subject: str
) -> None:
    checks = [check("tls_client_auth_subject_dn", expected, subject)]
    keep(certbound, "0000000000", certificate={**CERTIFICATE, "subject": subject}, checks=checks)
    out = certbound.done("refusal", "show", "0000000000")
    assert f"        expected  {expected}\n" in out
    assert "first difference" not in out


@pytest.mark.parametrize("certificate", [None, {"unreadable": "no certificate: it ends early"}])
def test_a_refusal_without_a_certificate_that_could_be_read_is_shown_too(
    certbound: Certbound, certificate: Any
) -> None:
    keep(certbound, "0000000000", certificate=certificate, address=None)
    assert certbound.json("refusal", "show", "0000000000")["certificate"] == certificate
    out = certbound.done("refusal", "show", "0000000000")
    assert ("unreadable  no certificate: it ends early" in out) is (certificate is not None)
    assert "address" not in out
    assert "FAILED  chain" in out


def test_an_unknown_reference_says_where_else_to_look(certbound: Certbound) -> None:
    for reference in ("01ABCDEFGH", "nonsense", "", "../x", "1" * 5000):
        told = certbound.refused("refusal", "show", "--", reference)
        assert told.startswith(f"no refusal {reference!r} is on record: ")
        assert told.endswith("the log has it")


def test_refusals_are_listed_newest_first_with_the_first_reason(certbound: Certbound) -> None:
    assert certbound.done("refusal", "list") == "no refusals are on record\n"
    assert certbound.json("refusal", "list") == []
    for number in range(3):
        keep(certbound, f"000000000{number}", at=AT + number, client_id=("orders", "billing")[number % 2])
    keep(certbound, "ZZZZZZZZZZ", at=AT - 1, checks=[])
    listed = certbound.json("refusal", "list")
    assert [one["reference"] for one in listed] == ["0000000002", "0000000001", "0000000000", "ZZZZZZZZZZ"]
    assert listed[0] == certbound.json("refusal", "show", "0000000002")
    assert [one["reference"] for one in certbound.json("refusal", "list", "--client", "billing")] == ["0000000001"]
    assert [one["reference"] for one in certbound.json("refusal", "list", "--limit", "1")] == ["0000000002"]
    head, *rows = certbound.done("refusal", "list", "--client", "orders").splitlines()
    assert head.split() == ["REFERENCE", "AT", "CLIENT", "ADDRESS", "FIRST", "REASON"]
    reason = "tls_client_auth_subject_dn: CN=orders,OU=Sales,O=Acme"
    assert rows[0].split(None, 4) == ["0000000002", "2026-05-28T20:26:42Z", "orders", "192.0.2.7", reason]
    assert rows[-1].split() == ["ZZZZZZZZZZ", "2026-05-28T20:26:39Z", "orders", "192.0.2.7", "-"]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("show",), "missing argument 'REFERENCE'"),
        (("list", "--limit", "0"), "invalid value for '--limit'"),
        (("list", "--limit", "many"), "invalid value for '--limit'"),
        (("forget",), "no such command 'forget'"),
        (("--json",), "--json stands at the end"),
    ],
)
def test_misuse_says_what_to_type(certbound: Certbound, arguments: tuple[str, ...], told: str) -> None:
    assert certbound.refused("refusal", *arguments, code=2).startswith(told)


def test_the_help_says_what_a_reference_is_and_how_long_it_leads_anywhere(certbound: Certbound) -> None:
    text = " ".join(certbound.done("refusal", "show", "--help").split())
    assert "REFERENCE is what the client was told" in text
    assert "kept as [retention] says" in text
    for line in certbound.done("refusal", "--help").partition("Commands:")[2].splitlines():
        assert not line.endswith("...")
