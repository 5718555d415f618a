"""Why somebody was refused, under the reference that the client was told."""

import json
import logging
import re
from functools import partial
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from tests.authority.house import ROOT, House, furnish, orders
from tests.oauth.making import DAY, NOW, Identity, make, new_key

from certbound.authority.refusals import MAX_TEXT, Refusals, certificate_facts, is_whole, parse_reference
from certbound.certificates.check import Check
from certbound.certificates.presented import PresentedChain
from certbound.oauth.authentication import Decision
from certbound.oauth.credentials import Credentials, ShownMethod
from certbound.oauth.errors import OAuthError
from certbound.store import refusals as stored
from certbound.store.engine import Store, StoreUnavailable
from certbound.store.refusals import Refusal
from certbound.upkeep.removal import Retention, remove_the_past

STRANGER = make("CN=stranger,O=Elsewhere")
CREDENTIALS: dict[str, Any] = {"grant_type": "client_credentials", "client_id": "orders"}
WRONG = Decision((Check("fine", True, "a", "a", "here"), Check("wrong", False, "this", "that", "there")))


class Clock:
    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def refusals(store: Store, clock: Clock) -> Refusals:
    return Refusals(store, clock)


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch, store: Store) -> list[BaseException]:
    """Errors that the store ends in, one a write."""
    errors: list[BaseException] = []
    writing = store.writing

    async def fail(work: Any) -> Any:
        if errors:
            raise errors.pop()
        return await writing(work)

    monkeypatch.setattr(store, "writing", fail)
    return errors


def shown(identity: Identity | None = None, client_id: str = "orders", **how: Any) -> Credentials:
    presented = identity.presented() if identity else None
    return Credentials(client_id, how.pop("method", ShownMethod.NOTHING), presented, **how)


def kept(store: Store) -> list[Refusal]:
    return list(store.read(partial(stored.newest, limit=1000)))


def reference_of(error: OAuthError) -> str:
    found = re.fullmatch(r"client authentication failed \(reference ([0-9A-Z]{10})\)(: .*)?", error.description)
    assert found is not None, error.description
    return found[1]


async def refused(house: House, identity: Identity | None = STRANGER, **form: Any) -> OAuthError:
    return await house.refusal(house.ask(identity, **{**CREDENTIALS, **form}))


async def test_the_client_is_told_a_reference_that_leads_to_every_check(house: House) -> None:
    error = await refused(house)
    reference = reference_of(error)
    assert error.description == f"client authentication failed (reference {reference})"
    await house.refusals.flush()
    found = house.store.read(partial(stored.load, reference=reference))
    assert found is not None
    assert (found.at, found.client_id, found.address, found.error) == (
        house.now,
        "orders",
        "192.0.2.1",
        "invalid_client",
    )
    credentials = shown(STRANGER)
    decision = await house.registered.decide(credentials, NOW)
    assert list(found.checks) == [check.as_json() for check in decision.checks]
    assert {check["check"] for check in found.checks if not check["passed"]} == {"chain", "tls_client_auth_san_dns"}


async def test_the_certificates_public_facts_are_kept_and_nothing_else_of_it(house: House) -> None:
    await refused(house)
    await house.refusals.flush()
    certificate = STRANGER.certificate
    (found,) = kept(house.store)
    assert found.certificate == {
        "sha256": certificate.sha256.hex(),
        "public_key_sha256": certificate.spki_sha256.hex(),
        "subject": "CN=stranger,O=Elsewhere",
        "issuer": "CN=stranger,O=Elsewhere",
        "serial_number": f"{STRANGER.x509.serial_number:x}",
        "not_before": int((NOW - DAY).timestamp()),
        "not_after": int((NOW + DAY).timestamp()),
    }


async def test_only_a_client_with_diagnostics_is_told_the_reasons(house: House) -> None:
    house.client("open", "tls_client_auth", diagnostics=True)
    await house.registered.refresh()
    error = await refused(house, client_id="open")
    reference_of(error)
    assert "chain: expected " in error.description
    assert "tls_client_auth_san_dns: expected orders.example.com, found " in error.description
    assert re.fullmatch(r"[ !#-\[\]-~]{1,1100}", error.description)
    for client_id in ("orders", "nobody"):
        error = await refused(house, client_id=client_id)
        assert error.description == f"client authentication failed (reference {reference_of(error)})"


async def test_reasons_of_any_length_and_with_any_characters_are_told_in_what_the_standard_allows(house: House) -> None:
    house.client("open", "tls_client_auth", diagnostics=True)
    await house.registered.refresh()
    odd = named('\x00\x1b\n"\\é\u202e' * 300)
    error = await refused(house, odd, client_id="open")
    assert re.fullmatch(r"[ !#-\[\]-~]{1,1100}", error.description)


async def test_a_connection_without_certificate_is_refused_with_a_reference_too(store: Store) -> None:
    house = await furnish(store, token_endpoint_without_certificate=False)
    error = await refused(house, None)
    await house.refusals.flush()
    (found,) = kept(house.store)
    assert (found.reference, found.certificate) == (reference_of(error), None)
    assert [check["check"] for check in found.checks] == ["certificate_presented"]


async def test_two_methods_at_once_are_told_of_and_kept_under_their_own_error(house: House) -> None:
    error = await refused(house, orders(), client_secret="anything")
    assert error.error == "invalid_request"
    await house.refusals.flush()
    (found,) = kept(house.store)
    assert found.error == "invalid_request"
    assert f"(reference {found.reference})" in error.description


@pytest.mark.parametrize("identity", [STRANGER, None])
async def test_no_secret_token_or_whole_certificate_is_kept_or_logged(
    house: House, identity: Identity | None, caplog: pytest.LogCaptureFixture
) -> None:
    house.client("s", "client_secret_post", bound=False)
    await house.registered.refresh()
    error = await refused(house, identity, client_id="s", client_secret="hunter2hunter2")
    reference = reference_of(error)
    with caplog.at_level("INFO"):
        await house.refusals.flush()
    (found,) = kept(house.store)
    logged = json.dumps([{k: repr(v) for k, v in record.__dict__.items()} for record in caplog.records])
    assert reference in logged
    for text in (repr(found), logged):
        assert "hunter2" not in text
        assert STRANGER.der.hex()[:64] not in text
        assert "BEGIN CERTIFICATE" not in text
        assert repr(STRANGER.der[:16])[2:-1] not in text


async def test_the_log_has_the_reference_and_what_failed(house: House, caplog: pytest.LogCaptureFixture) -> None:
    error = await refused(house)
    (record,) = [record for record in caplog.records if record.message == "client authentication refused"]
    assert record.__dict__["reference"] == reference_of(error)
    assert (record.__dict__["client_id"], record.__dict__["address"]) == ("orders", "192.0.2.1")
    assert [check["check"] for check in record.__dict__["failed"]] == ["chain", "tls_client_auth_san_dns"]


def named(text: str) -> Identity:
    """Make a certificate by somebody who puts any text into his name."""
    key = new_key()
    name = x509.Name([x509.NameAttribute(x509.NameOID.ORGANIZATION_NAME, text, _validate=False)])
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, NOW - DAY, NOW + DAY)
    return Identity(builder.sign(key, hashes.SHA256()).public_bytes(Encoding.DER), key)


@pytest.mark.parametrize("text", ["\x00", "\x1b[31m", "a\nb", "\u202e", "\U0001f511", "x" * 8000, "x" * 30_000])
async def test_names_of_any_characters_and_any_length_are_kept_beside_all_others(
    shared_store: Store, clock: Clock, text: str
) -> None:
    refusals = Refusals(shared_store, clock)
    odd = named(text)
    decision = Decision((Check("subject", False, text, text, "here"),))
    references = [
        refusals.keep(credentials, decision, None)
        for credentials in (shown(STRANGER), shown(odd, client_id=text[:256]))
    ]
    await refusals.flush()
    first, second = (shared_store.read(partial(stored.load, reference=reference)) for reference in references)
    assert first is not None
    assert second is not None
    assert second.certificate is not None
    (kept_text,) = [second.certificate[name] for name in ("subject", "unreadable") if name in second.certificate]
    assert second.checks[0]["found"] == first.checks[0]["found"]
    for shown_text in (kept_text, second.client_id):
        assert not re.search(r"[\x00-\x1f\u202e]", shown_text)
        assert len(shown_text) <= MAX_TEXT + 3


@pytest.mark.parametrize("client_id", ["c" * 255, 'a"b\\c'])
async def test_the_refusals_of_a_client_are_found_by_its_whole_id(
    store: Store, refusals: Refusals, client_id: str
) -> None:
    reference = refusals.keep(shown(STRANGER, client_id), WRONG, None)
    await refusals.flush()
    [found] = store.read(partial(stored.newest, client_id=client_id, limit=2))
    assert found.reference == reference


def test_long_texts_are_cut_and_that_shows(refusals: Refusals) -> None:
    for length in (MAX_TEXT - 2, MAX_TEXT - 1):
        facts = certificate_facts(shown(named("x" * length)))
        assert facts is not None
        whole = f"O={'x' * length}"
        assert facts["subject"] == (whole if length == MAX_TEXT - 2 else f"{whole[:MAX_TEXT]}...")
        assert is_whole(facts["subject"]) is (length == MAX_TEXT - 2)
    refusals.keep(shown(), Decision((Check("c", False, "e" * 5000, "f" * 5000, "r"),)), None)
    (waiting,) = refusals._waiting
    assert waiting.checks == [
        {"check": "c", "passed": False, "expected": "e" * 1000 + "...", "found": "f" * 1000 + "...", "reference": "r"}
    ]


@pytest.mark.parametrize("leaf", [b"", b"0\x82", b"\x30\x03\x02\x01\x01", b"x" * 100_000])
async def test_a_certificate_that_cannot_be_read_is_kept_with_the_reason(
    refusals: Refusals, store: Store, leaf: bytes
) -> None:
    credentials = Credentials("orders", ShownMethod.NOTHING, PresentedChain(leaf, ()))
    refusals.keep(credentials, WRONG, None)
    await refusals.flush()
    (found,) = kept(store)
    assert found.certificate is not None
    assert set(found.certificate) == {"unreadable"}
    assert 0 < len(found.certificate["unreadable"]) <= MAX_TEXT + 3


async def test_a_flood_is_logged_and_only_so_much_of_it_kept(
    refusals: Refusals, store: Store, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    references = [refusals.keep(shown(), WRONG, None) for _ in range(250)]
    assert len(set(references)) == 250
    logged = [record.__dict__["reference"] for record in caplog.records]
    assert logged == references
    caplog.clear()
    await refusals.flush()
    assert {one.reference for one in kept(store)} == set(references[: Refusals.BURST])
    assert [(record.message, record.__dict__["count"]) for record in caplog.records] == [
        ("refusals not kept, too many at once", 150)
    ]
    caplog.clear()
    await refusals.flush()
    assert not caplog.records
    for _ in range(3):
        clock.now += 1
        for _ in range(50):
            refusals.keep(shown(), WRONG, None)
        await refusals.flush()
    assert len(kept(store)) == Refusals.BURST + 3 * Refusals.PER_SECOND
    clock.now += 3600
    for _ in range(250):
        refusals.keep(shown(), WRONG, None)
    await refusals.flush()
    assert len(kept(store)) == 2 * Refusals.BURST + 3 * Refusals.PER_SECOND


async def test_a_clock_that_is_set_back_does_not_keep_refusals_from_being_kept(
    refusals: Refusals, store: Store, clock: Clock
) -> None:
    refusals.keep(shown(), WRONG, None)
    clock.now -= 3600
    for _ in range(20):
        refusals.keep(shown(), WRONG, None)
    await refusals.flush()
    assert len(kept(store)) == 21


@pytest.mark.parametrize("error", [StoreUnavailable("away"), RuntimeError("whatever")])
async def test_while_the_store_is_down_refusals_are_dropped_and_the_log_has_them(
    refusals: Refusals, store: Store, failing: list[BaseException], error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    failing.append(error)
    lost = [refusals.keep(shown(), WRONG, None) for _ in range(3)]
    await refusals.flush()
    assert kept(store) == []
    told = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert [(record.message, record.__dict__["count"]) for record in told] == [("refusals cannot be kept", 3)]
    assert {record.__dict__.get("reference") for record in caplog.records} == {*lost, None}
    reference = refusals.keep(shown(), WRONG, None)
    await refusals.flush()
    assert [one.reference for one in kept(store)] == [reference]


async def test_what_waits_is_bounded_while_the_store_does_not_answer(refusals: Refusals, clock: Clock) -> None:
    for _ in range(1000):
        clock.now += 1
        refusals.keep(shown(), WRONG, None)
    assert len(refusals._waiting) == Refusals.BURST


async def test_nothing_is_written_where_nothing_was_refused(refusals: Refusals, failing: list[BaseException]) -> None:
    failing.append(AssertionError("written"))
    await refusals.flush()
    assert failing


def test_references_are_easy_to_say_and_hard_to_guess(refusals: Refusals) -> None:
    references = {refusals.keep(shown(), WRONG, None) for _ in range(500)}
    assert len(references) == 500
    assert all(re.fullmatch(r"[0-9A-HJKMNP-TV-Z]{10}", one) for one in references)
    assert {character for one in references for character in one} == set("0123456789ABCDEFGHJKMNPQRSTVWXYZ")


@pytest.mark.parametrize(
    "said",
    ["01ABCDEFGH", "01abcdefgh", "OLABCDEFGH", "oiabcdefgh", "01AB-CDEF-GH", " 01 abc def gh ", "01ABCDEFGH\r\n"],
)
def test_references_are_read_as_people_say_and_paste_them(said: str) -> None:
    assert parse_reference(said) == "01ABCDEFGH"


def test_every_reference_reads_as_itself(refusals: Refusals) -> None:
    for _ in range(200):
        reference = refusals.keep(shown(), WRONG, None)
        assert parse_reference(reference) == parse_reference(reference.lower()) == reference


async def test_what_is_kept_is_bounded_in_number_and_age(store: Store, clock: Clock, refusals: Refusals) -> None:
    for _ in range(30):
        refusals.keep(shown(), WRONG, None)
        clock.now += 86_400
    await refusals.flush()
    assert len(kept(store)) == 30
    now = int(clock.now)
    for days, rows, left in ((25, 100, 25), (25, 10, 10), (5, 10, 5)):
        await remove_the_past(store, Retention(rows, days, 30, 90)).run(now)
        found = kept(store)
        assert len(found) == left
        assert found[0].at == now - 86_400


async def test_a_stranger_of_our_authority_and_one_of_another_leave_traces_that_differ(house: House) -> None:
    await refused(house, make("CN=x", issuer=ROOT))
    await refused(house, STRANGER)
    await house.refusals.flush()
    failed = [{check["check"] for check in one.checks if not check["passed"]} for one in kept(house.store)]
    assert sorted(failed, key=len) == [{"tls_client_auth_san_dns"}, {"chain", "tls_client_auth_san_dns"}]
