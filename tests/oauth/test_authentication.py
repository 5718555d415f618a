from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID
from tests.oauth.making import DAY, ISSUER, NOW, Identity, authority, dns, make, new_key

from certbound.certificates.presented import PresentedChain
from certbound.certificates.subject import SubjectMatch
from certbound.oauth.authentication import Decision, Known, authenticate
from certbound.oauth.binding import binding_refusal, confirmation
from certbound.oauth.credentials import Credentials, ShownMethod
from certbound.oauth.registration import AuthenticationMethod, Client, Registration
from certbound.oauth.trust import TrustStore

SECRET = "s3cret"
SECRET_SHA256 = bytes.fromhex("1ec1c26b50d5d3c58d9583181af8076655fe00756bf7285940ba3670f99fcba0")
ROOT, SAME_NAME = authority(), authority()
MID = authority("CN=Mid", issuer=ROOT)
SAN = [dns("orders.example.com")]
GOOD = make(issuer=ROOT, san=SAN)
KEY = new_key()
MINE = make("CN=mine", key=KEY, serial_number=7)
TWIN = make("CN=mine", serial_number=7)
SAME_KEY = make("CN=mine", key=KEY, serial_number=8)
EXPIRED = make("CN=mine", not_before=NOW - 2 * DAY, not_after=NOW - DAY)


def registration(method: str, **changes: Any) -> Registration:
    how = AuthenticationMethod(method)
    client = Client("orders", "Orders", how, secret_sha256=SECRET_SHA256 if how.has_secret else None)
    if method == "tls_client_auth":
        subject = SubjectMatch.parse("tls_client_auth_san_dns", "orders.example.com")
        members: dict[str, Any] = {"subject": subject, "trust": ("partners",)} | changes
        return Registration(replace(client, **members), trust=(TrustStore("partners", (ROOT.certificate,)),))
    registered = (MINE.certificate, EXPIRED.certificate) if how.is_mutual_tls else ()
    return Registration(replace(client, **changes), certificates=registered)


def decide(
    registered: Registration | None,
    identity: Identity | None = None,
    *others: Identity,
    shown: str = "nothing",
    secret: str | None = None,
) -> Decision:
    presented = identity.presented(*others) if identity is not None else None
    credentials = Credentials("orders", ShownMethod(shown), presented, secret)
    return authenticate(registered, credentials, Known(NOW, set(AuthenticationMethod), ISSUER))


def test_an_unknown_client_is_nobody() -> None:
    decision = decide(None, GOOD)
    assert (decision.client, decision.error) == (None, "invalid_client")
    assert [check.check for check in decision.failed] == ["client_known"]


@pytest.mark.parametrize(
    ("method", "identity", "others"),
    [
        ("tls_client_auth", GOOD, ()),
        ("tls_client_auth", make(issuer=MID, san=SAN), (MID,)),
        ("self_signed_tls_client_auth", MINE, ()),
        ("self_signed_tls_client_auth", MINE, (ROOT,)),
    ],
)
def test_the_clients_own_certificate_authenticates_it(
    method: str, identity: Identity, others: tuple[Identity, ...]
) -> None:
    decision = decide(registration(method), identity, *others)
    assert decision.client is not None
    assert decision.good_until == identity.certificate.not_after


@pytest.mark.threat("B1", "B2")
@pytest.mark.parametrize(
    ("method", "identity", "others", "failing"),
    [
        ("tls_client_auth", None, (), "certificate_presented"),
        ("tls_client_auth", make(issuer=SAME_NAME, san=SAN), (), "chain"),
        ("tls_client_auth", make(issuer=SAME_NAME, san=SAN), (SAME_NAME,), "chain"),
        ("tls_client_auth", make(san=SAN), (GOOD, ROOT), "chain"),
        ("tls_client_auth", make(issuer=MID, san=SAN), (), "chain"),
        ("tls_client_auth", make(issuer=ROOT, san=SAN, not_after=NOW - DAY / 2), (), "valid"),
        ("tls_client_auth", make(issuer=ROOT, san=SAN, not_before=NOW + DAY / 2), (), "valid"),
        ("tls_client_auth", make(issuer=ROOT, san=[dns("billing.example.com")]), (), "san_dns"),
        ("tls_client_auth", make("CN=orders.example.com", issuer=ROOT), (), "san_dns"),
        ("self_signed_tls_client_auth", None, (), "certificate_presented"),
        ("self_signed_tls_client_auth", TWIN, (), "certificate_registered"),
        ("self_signed_tls_client_auth", SAME_KEY, (), "certificate_registered"),
        ("self_signed_tls_client_auth", TWIN, (MINE,), "certificate_registered"),
        ("self_signed_tls_client_auth", GOOD, (), "certificate_registered"),
        ("self_signed_tls_client_auth", EXPIRED, (), "valid"),
    ],
)
def test_every_other_certificate_is_refused_by_a_check_with_a_name(
    method: str, identity: Identity | None, others: tuple[Identity, ...], failing: str
) -> None:
    decision = decide(registration(method), identity, *others)
    assert (decision.client, decision.error) == (None, "invalid_client")
    assert any(failing in check.check for check in decision.failed), [check.check for check in decision.failed]


@pytest.mark.parametrize("method", ["client_secret_basic", "client_secret_post"])
@pytest.mark.parametrize("shown", ["client_secret_basic", "client_secret_post", "client_assertion", "nothing"])
@pytest.mark.parametrize("secret", [SECRET, "wrong", None])
def test_a_secret_authenticates_by_its_registered_method_only(method: str, shown: str, secret: str | None) -> None:
    decision = decide(registration(method), GOOD, shown=shown, secret=secret)
    assert (decision.client is not None) == (method == shown and secret == SECRET)
    failed = {check.check for check in decision.failed}
    assert failed == {name for name, wrong in
                      (("method_used", method != shown), ("client_secret", secret != SECRET)) if wrong}  # fmt: skip


@pytest.mark.parametrize("method", ["tls_client_auth", "self_signed_tls_client_auth"])
@pytest.mark.parametrize("shown", ["client_secret_basic", "client_secret_post", "client_assertion"])
def test_a_certificate_and_a_second_method_are_an_invalid_request(method: str, shown: str) -> None:
    right = GOOD if method == "tls_client_auth" else MINE
    decision = decide(registration(method), right, shown=shown, secret=SECRET)
    assert (decision.client, decision.error) == (None, "invalid_request")


@pytest.mark.parametrize("method", [method for method in AuthenticationMethod if method != "private_key_jwt"])
def test_a_disabled_client_and_a_method_that_is_off_are_refused(method: str) -> None:
    right = {"tls_client_auth": GOOD, "self_signed_tls_client_auth": MINE}.get(method)
    has_secret = AuthenticationMethod(method).has_secret
    how: dict[str, Any] = {"shown": method, "secret": SECRET} if has_secret else {}
    assert decide(registration(method), right, **how).client is not None
    disabled = decide(registration(method, disabled=True), right, **how)
    assert (disabled.client, [check.check for check in disabled.failed]) == (None, ["client_enabled"])
    credentials = Credentials("orders", ShownMethod.NOTHING, right.presented() if right else None)
    off = authenticate(registration(method), credentials, Known(NOW, set(), ISSUER))
    assert "method_offered" in {check.check for check in off.failed}


def test_a_token_is_good_with_the_certificate_it_is_bound_to_and_no_other() -> None:
    claims = {"cnf": confirmation(MINE.presented())}
    assert binding_refusal(claims, MINE.presented(ROOT)) is None
    assert binding_refusal(claims, TWIN.presented(MINE)) == "the token is bound to another certificate"
    assert binding_refusal(claims, None) == "the connection has no client certificate"


@pytest.mark.parametrize(
    "cnf",
    [None, "x", [], {}, {"jkt": "x"}, {"x5t#S256": 1}, {"x5t#S256": ""}, {"x5t#S256": "ä"}, {"x5t#S256": "\ud800"},
     confirmation(MINE.presented()) | {"jkt": "x"}],
)  # fmt: skip
def test_a_binding_that_is_not_understood_is_refused(cnf: object) -> None:
    assert binding_refusal({"cnf": cnf}, MINE.presented()) is not None
    assert binding_refusal({}, MINE.presented()) is not None


@pytest.mark.threat("B9")
@pytest.mark.parametrize("method", ["tls_client_auth", "self_signed_tls_client_auth"])
@pytest.mark.parametrize("leaf", [b"", b"junk", MINE.der[:-1], MINE.der + b"0", b"0" * 70_000])
def test_a_certificate_that_cannot_be_read_is_none(method: str, leaf: bytes) -> None:
    credentials = Credentials("orders", ShownMethod.NOTHING, PresentedChain(leaf, (MINE.der, GOOD.der, ROOT.der)))
    decision = authenticate(registration(method), credentials, Known(NOW, set(AuthenticationMethod), ISSUER))
    assert [check.check for check in decision.failed] == ["certificate_presented"]


def test_without_a_registered_subject_nobody_is_the_client() -> None:
    decision = decide(registration("tls_client_auth", subject=None), GOOD)
    assert [check.check for check in decision.failed] == ["subject"]


def test_without_anchors_nobody_is_trusted() -> None:
    registered = replace(registration("tls_client_auth"), trust=(TrustStore("partners"),))
    assert [check.check for check in decide(registered, GOOD, ROOT).failed] == ["chain"]


def test_the_leaf_itself_is_no_anchor_even_where_it_is_registered_as_one() -> None:
    itself = make(san=SAN, ca=True)
    registered = replace(registration("tls_client_auth"), trust=(TrustStore("partners", (itself.certificate,)),))
    assert "chain" in {check.check for check in decide(registered, itself).failed}


@pytest.mark.threat("9", "B3")
@pytest.mark.parametrize(
    ("purposes", "right"),
    [
        (None, True),
        ([ExtendedKeyUsageOID.CLIENT_AUTH], True),
        ([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH], True),
        ([ExtendedKeyUsageOID.SERVER_AUTH], False),
        ([ExtendedKeyUsageOID.EMAIL_PROTECTION], False),
        ([ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE], False),
    ],
)
def test_a_leaf_made_for_something_else_is_refused_by_its_purposes(
    purposes: list[x509.ObjectIdentifier] | None, right: bool
) -> None:
    decision = decide(registration("tls_client_auth"), make(issuer=ROOT, san=SAN, purposes=purposes))
    assert [check.check for check in decision.failed] == ([] if right else ["extended_key_usage"])


@pytest.mark.threat("B5")
def test_a_weak_key_is_refused_by_both_methods_though_everything_else_is_right() -> None:
    weak = rsa.generate_private_key(65537, 1024)  # noqa: S505 - that it is weak is the point
    pki = decide(registration("tls_client_auth"), make(issuer=ROOT, san=SAN, key=weak))
    assert "key_strength" in {check.check for check in pki.failed}
    mine = make("CN=mine", key=weak)
    registered = replace(registration("self_signed_tls_client_auth"), certificates=(mine.certificate,))
    assert [check.check for check in decide(registered, mine).failed] == ["key_strength"]


@pytest.mark.threat("B2")
@pytest.mark.parametrize(("seconds", "right"), [(-1, False), (0, True), (1, True)])
def test_the_second_of_not_before_is_the_first_that_counts(seconds: int, right: bool) -> None:
    edge = make("CN=mine", not_before=NOW - timedelta(seconds=seconds))
    registered = replace(registration("self_signed_tls_client_auth"), certificates=(edge.certificate,))
    assert (decide(registered, edge).client is not None) == right


@pytest.mark.threat("B2")
@pytest.mark.parametrize(("seconds", "right"), [(-1, False), (0, True), (1, True)])
def test_the_second_of_not_after_is_the_last_that_counts(seconds: int, right: bool) -> None:
    edge = make("CN=mine", not_after=NOW + timedelta(seconds=seconds))
    registered = replace(registration("self_signed_tls_client_auth"), certificates=(edge.certificate,))
    assert (decide(registered, edge).client is not None) == right


@pytest.mark.threat("B2")
def test_an_expired_intermediate_ends_the_path() -> None:
    late = authority("CN=Mid", issuer=ROOT, key=MID.key, not_after=NOW - DAY / 2)
    below = make(issuer=late, san=SAN)
    assert [check.check for check in decide(registration("tls_client_auth"), below, late).failed] == ["chain"]
    assert decide(registration("tls_client_auth"), below, MID).client is not None


def test_a_decision_is_good_until_the_first_certificate_of_its_path_runs_out() -> None:
    soon = authority("CN=Mid", issuer=ROOT, not_after=NOW + timedelta(hours=1))
    decision = decide(registration("tls_client_auth"), make(issuer=soon, san=SAN), soon)
    assert decision.good_until == NOW + timedelta(hours=1)


@pytest.mark.parametrize("method", ["tls_client_auth", "self_signed_tls_client_auth"])
def test_a_stranger_is_not_told_that_a_client_uses_another_method(method: str) -> None:
    """Who shows a secret beside a wrong certificate learns nothing of what is registered."""
    for identity in (None, make("CN=stranger")):
        assert decide(registration(method), identity, shown="client_secret_post", secret="x").error == "invalid_client"


def test_no_check_says_a_secret() -> None:
    for secret in (SECRET, "a wrong one"):
        decision = decide(registration("client_secret_post"), shown="client_secret_post", secret=secret)
        assert secret not in str(decision.checks)
        assert secret not in repr(decision)
        assert SECRET_SHA256.hex() not in str(decision)
