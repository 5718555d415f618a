import hashlib
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given, settings
from hypothesis import strategies as st

from certbound.certificates import der
from certbound.certificates.certificate import Certificate, parse_certificate
from certbound.certificates.crl import MAXIMUM_CRL, CRLError, read_crl
from certbound.certificates.names import parse_rfc4514

from .openssl_ca import DAY, NOW, OpenSSLCA

_NAME = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "Builder")])
_KEY = ec.generate_private_key(ec.SECP256R1())
_ECDSA_WITH_SHA256 = bytes.fromhex("300a06082a8648ce3d040302")
_REASONS = (
    "unspecified",
    "keyCompromise",
    "CACompromise",
    "affiliationChanged",
    "superseded",
    "cessationOfOperation",
    "certificateHold",
    "removeFromCRL",
)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> OpenSSLCA:
    return OpenSSLCA(tmp_path_factory.mktemp("built") / "ca")


@pytest.fixture
def ca(built: OpenSSLCA, tmp_path: Path) -> OpenSSLCA:
    return built.copy(tmp_path / "ca")


@pytest.fixture(scope="module")
def builder_ca() -> Certificate:
    """The CA whose CRLs cryptography's builder makes."""
    builder = x509.CertificateBuilder().subject_name(_NAME).issuer_name(_NAME).public_key(_KEY.public_key())
    builder = builder.serial_number(1).not_valid_before(NOW - DAY).not_valid_after(NOW + DAY)
    encoded = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    return parse_certificate(encoded.sign(_KEY, hashes.SHA256()).public_bytes(Encoding.DER))


def _build(*entries: tuple[int, x509.ReasonFlags | None], extensions: tuple[x509.ExtensionType, ...] = ()) -> bytes:
    builder = x509.CertificateRevocationListBuilder(_NAME, NOW, NOW + DAY)
    for serial, reason in entries:
        entry = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(NOW - DAY)
        if reason:
            entry = entry.add_extension(x509.CRLReason(reason), critical=False)
        for extension in extensions:
            entry = entry.add_extension(extension, critical=True)
        builder = builder.add_revoked_certificate(entry.build())
    return builder.sign(_KEY, hashes.SHA256()).public_bytes(Encoding.DER)


# --- what is read


def test_a_crl_of_openssl_is_read_with_its_facts(ca: OpenSSLCA) -> None:
    pem = ca.crl(number=0x1234)
    crl = read_crl(pem, [ca.certificate])
    assert crl.issuer == parse_rfc4514("CN=CA")
    assert (crl.number, crl.delta_base, crl.scope, crl.distribution_point, crl.entries) == (
        0x1234,
        None,
        "all",
        None,
        0,
    )
    assert (crl.this_update, crl.next_update) == (NOW - timedelta(hours=1), NOW + DAY)
    assert crl.signers == {ca.certificate.spki_sha256}
    encoded = ca.der_crl(pem)
    assert crl.sha256 == hashlib.sha256(encoded).digest()
    assert read_crl(encoded, [ca.certificate]) == crl
    assert crl.find(1) is None


def test_each_reason_and_the_time_are_found(ca: OpenSSLCA) -> None:
    certificates = {reason: ca.issue(reason) for reason in _REASONS}
    spared = ca.issue("spared")
    before = datetime.now(UTC).replace(microsecond=0)
    for reason in _REASONS:
        ca.revoke(reason, reason)
    crl = read_crl(ca.crl(), [ca.certificate])
    assert crl.entries == len(_REASONS)
    assert crl.find(spared.serial_number) is None
    for reason, certificate in certificates.items():
        found = crl.find(certificate.serial_number)
        assert found
        assert found.reason.lower() == reason.lower()
        assert before <= found.at <= datetime.now(UTC)


@pytest.mark.parametrize(
    ("key", "options"),
    [
        (("rsa:2048",), ()),
        (("rsa:2048",), ("-md", "sha512")),
        (("rsa:2048",), ("-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:32")),
        (("ec", "-pkeyopt", "ec_paramgen_curve:P-384"), ("-md", "sha384")),
        (("ed25519",), ("-md", "null")),
        (("ed448",), ("-md", "null")),
    ],
)
def test_every_accepted_algorithm_verifies_and_a_changed_byte_does_not(
    tmp_path: Path, key: tuple[str, ...], options: tuple[str, ...]
) -> None:
    ca = OpenSSLCA(tmp_path / "ca", key=key)
    encoded = ca.der_crl(ca.crl(*options, number=0x5151))
    assert read_crl(encoded, [ca.certificate]).number == 0x5151
    with pytest.raises(CRLError, match="signature is not by CN=CA"):
        read_crl(encoded.replace(b"\x02\x02\x51\x51", b"\x02\x02\x51\x52"), [ca.certificate])


def test_scope_and_distribution_point_are_read_and_decide_whom_it_covers(ca: OpenSSLCA) -> None:
    ca.configure(
        "[users]\nissuingDistributionPoint = critical,@p1\n[p1]\nonlyuser = TRUE\n"
        "[cas]\nissuingDistributionPoint = critical,@p2\n[p2]\nonlyCA = TRUE\n"
        "[point]\nissuingDistributionPoint = critical,@p3\n[p3]\nfullname = URI:http://pki/1.crl,URI:http://pki/2.crl\n"
        "[relative]\nissuingDistributionPoint = critical,@p5\n[p5]\nrelativename = own_rdn\n[own_rdn]\nOU = part\n"
        "[by_issuer]\nissuingDistributionPoint = critical,@p6\n[p6]\nfullname = dirName:ca_dn\n[ca_dn]\nCN = CA\n"
        "[at_2]\ncrlDistributionPoints = URI:http://pki/2.crl\n"
        "[at_3]\ncrlDistributionPoints = URI:http://pki/3.crl\n"
        "[at_2_for_some]\ncrlDistributionPoints = d1\n[d1]\nfullname = URI:http://pki/2.crl\nreasons = superseded\n"
        "[at_relative]\ncrlDistributionPoints = d2\n[d2]\nrelativename = own_rdn\n"
    )
    plain = ca.issue("plain")
    sub = OpenSSLCA(ca.folder / "sub", "Sub", issuer=ca).certificate
    at_2, at_3, some, relative = (ca.issue(name, name) for name in ("at_2", "at_3", "at_2_for_some", "at_relative"))
    users, cas, point, part, by_issuer = (
        read_crl(ca.crl(extensions=name), [ca.certificate])
        for name in ("users", "cas", "point", "relative", "by_issuer")
    )
    assert (users.scope, cas.scope, point.scope) == ("users", "cas", "all")
    assert point.distribution_point == frozenset({"http://pki/1.crl", "http://pki/2.crl"})
    assert (users.covers(plain), users.covers(sub)) == (True, False)
    assert (cas.covers(plain), cas.covers(sub)) == (False, True)
    assert [point.covers(each) for each in (plain, at_2, at_3, some)] == [False, True, False, False]
    assert part.distribution_point == relative.crl_points == frozenset({parse_rfc4514("OU=part,CN=CA")})
    assert [part.covers(each) for each in (relative, at_2)] == [True, False]
    assert by_issuer.covers(plain)


def test_the_ocsp_responders_of_a_certificate_are_read_up_to_five(ca: OpenSSLCA) -> None:
    access = ",".join(f"OCSP;URI:http://ocsp{number}/" for number in range(7))
    ca.configure(f"[aia]\nauthorityInfoAccess = caIssuers;URI:http://ca/,OCSP;DNS:ocsp,{access}\n")
    assert ca.issue("aia", "aia").ocsp_urls == tuple(f"http://ocsp{number}/" for number in range(5))
    assert ca.issue("plain").ocsp_urls == ()


def test_a_delta_crl_names_its_base(ca: OpenSSLCA) -> None:
    ca.configure("[delta]\n2.5.29.27 = critical,ASN1:INTEGER:7\n")
    crl = read_crl(ca.crl(extensions="delta", number=9), [ca.certificate])
    assert (crl.number, crl.delta_base) == (9, 7)


def test_extensions_that_demand_nothing_are_passed_over(ca: OpenSSLCA) -> None:
    ca.configure("[other]\n1.2.3.4 = ASN1:NULL\nissuerAltName = URI:http://pki/\n")
    assert read_crl(ca.crl(extensions="other"), [ca.certificate]).entries == 0


def test_only_those_who_made_the_signature_are_its_signers(ca: OpenSSLCA, tmp_path: Path) -> None:
    namesake = OpenSSLCA(tmp_path / "namesake").certificate
    crl = read_crl(ca.crl(), [namesake, ca.certificate])
    assert crl.signers == {ca.certificate.spki_sha256}


# --- what is refused (threats 28, R9: unsigned, of another issuer, of unknown demands)


def test_a_crl_of_another_issuer_is_refused_by_name(ca: OpenSSLCA, tmp_path: Path) -> None:
    other = OpenSSLCA(tmp_path / "other", "Other").certificate
    with pytest.raises(CRLError, match="belongs to another issuer: CN=CA"):
        read_crl(ca.crl(), [other])


def test_a_crl_of_a_namesake_is_refused(ca: OpenSSLCA, tmp_path: Path) -> None:
    namesake = OpenSSLCA(tmp_path / "namesake").certificate
    with pytest.raises(CRLError, match="signature is not by CN=CA"):
        read_crl(ca.crl(), [namesake])


def test_a_ca_without_crl_sign_may_not_sign_crls(ca: OpenSSLCA, tmp_path: Path) -> None:
    sub = OpenSSLCA(tmp_path / "sub", "Sub", issuer=ca, extensions="without_crl_sign")
    with pytest.raises(CRLError, match="CN=Sub may not sign CRLs"):
        read_crl(sub.crl(), [sub.certificate])


def test_weak_hashes_and_keys_are_refused(ca: OpenSSLCA, tmp_path: Path) -> None:
    with pytest.raises(CRLError, match="signed with sha1"):
        read_crl(ca.crl("-md", "sha1"), [ca.certificate])
    rsa = OpenSSLCA(tmp_path / "rsa", key=("rsa:2048",))
    with pytest.raises(CRLError, match="signed with sha1"):
        read_crl(rsa.crl("-md", "sha1", "-sigopt", "rsa_padding_mode:pss"), [rsa.certificate])
    weak = OpenSSLCA(tmp_path / "weak", key=("rsa:1024",))
    with pytest.raises(CRLError, match="key of CN=CA is not accepted: RSA 1024 bits"):
        read_crl(weak.crl(), [weak.certificate])


@pytest.mark.parametrize(
    ("extension", "words"),
    [
        ("1.2.3.4 = critical,ASN1:NULL", "unknown critical extension: 1.2.3.4"),
        ("issuingDistributionPoint = critical,@p\n[p]\nindirectCRL = TRUE", "an indirect one, which is not supported"),
        ("issuingDistributionPoint = critical,@p\n[p]\nonlysomereasons = keyCompromise", "onlySomeReasons"),
        ("issuingDistributionPoint = critical,@p\n[p]\nonlyAA = TRUE", "attribute certificates"),
        ("2.5.29.28 = critical,ASN1:INTEGER:1", "cannot be read"),
    ],
)
def test_a_crl_whose_extensions_are_not_understood_is_refused(ca: OpenSSLCA, extension: str, words: str) -> None:
    ca.configure(f"[strange]\n{extension}\n")
    with pytest.raises(CRLError, match=re.escape(words)):
        read_crl(ca.crl(extensions="strange"), [ca.certificate])


def test_an_entry_whose_extensions_are_not_understood_spoils_the_crl(builder_ca: Certificate) -> None:
    unknown = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00")
    with pytest.raises(CRLError, match=r"unknown critical extension 1\.2\.3\.4"):
        read_crl(_build((5, None), extensions=(unknown,)), [builder_ca])
    with pytest.raises(CRLError, match="indirect"):
        read_crl(_build((5, None), extensions=(x509.CertificateIssuer([x509.DirectoryName(_NAME)]),)), [builder_ca])
    known = x509.InvalidityDate(NOW.replace(tzinfo=None))
    assert read_crl(_build((5, None), extensions=(known,)), [builder_ca]).find(5)


def test_a_crl_without_next_update_is_refused(builder_ca: Certificate) -> None:
    encoded = _build()
    times = re.search(rb"(\x17\r\d{12}Z)(\x17\r\d{12}Z)", encoded)
    assert times
    _, content, _ = der.read_element(x509.load_der_x509_crl(encoded).tbs_certlist_bytes)
    with pytest.raises(CRLError, match="nextUpdate"):
        read_crl(_sign(_tlv(0x30, content.replace(times[0], times[1]))), [builder_ca])


def test_two_signature_algorithms_in_one_crl_are_refused(builder_ca: Certificate) -> None:
    outside = bytes.fromhex("300a06082a8648ce3d040303")
    before, _, after = _build().rpartition(_ECDSA_WITH_SHA256)
    with pytest.raises(CRLError, match="algorithms do not match"):
        read_crl(before + outside + after, [builder_ca])


def test_what_people_give_by_mistake_is_named(ca: OpenSSLCA) -> None:
    pem, folder = ca.crl(), ca.folder
    mistakes = [
        (b"", "is empty"),
        (b" \n", "is empty"),
        (b"<!DOCTYPE html><html></html>", "web page"),
        ((folder / "ca.key").read_bytes(), "a block of type 'PRIVATE KEY'"),
        ((folder / "ca.pem").read_bytes(), "a block of type 'CERTIFICATE'"),
        (ca.certificate.der, "is a certificate and no CRL"),
        (pem[: len(pem) // 2], "cut off"),
        (ca.der_crl(pem)[:-20], "cannot be read"),
        (pem + pem, "holds 2 CRLs"),
        (pem.replace(b"A", b"?"), "base64"),
        (b"no CRL at all", "is no CRL"),
        (ca.der_crl(pem) + b"\0", "cannot be read"),
    ]
    for data, words in mistakes:
        with pytest.raises(CRLError, match=words) as caught:
            read_crl(data, [ca.certificate])
        assert "\n" not in str(caught.value)


# --- any bytes, any entries, any size


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=400))
def test_any_bytes_raise_nothing_but_a_crl_error(data: bytes) -> None:
    for start in (b"", b"0", b"-----BEGIN X509 CRL-----\n"):
        with pytest.raises(CRLError):
            read_crl(start + data, [])


@settings(max_examples=500, deadline=None)
@given(st.data())
def test_a_mutated_crl_raises_nothing_but_a_crl_error(builder_ca: Certificate, data: st.DataObject) -> None:
    mutated = bytearray(_MUTABLE)
    for _ in range(data.draw(st.integers(1, 3))):
        mutated[data.draw(st.integers(0, len(mutated) - 1))] = data.draw(st.integers(0, 255))
    try:
        crl = read_crl(bytes(mutated), [builder_ca])
    except CRLError:
        return
    # Only what the signature does not cover may change: the outer frame has no spare bits, so nothing did.
    assert bytes(mutated) == _MUTABLE or crl.signers == {builder_ca.spki_sha256}


_REVOKED = st.tuples(
    st.one_of(st.integers(1, 300), st.integers(1, 2**64), st.integers(2**150, 2**159 - 1)),
    st.sampled_from([None, *x509.ReasonFlags]),
)


@settings(max_examples=150, deadline=None)
@given(st.lists(_REVOKED, max_size=40, unique_by=lambda entry: entry[0]), st.lists(st.integers(0, 2**160), max_size=10))
def test_find_agrees_with_the_lookup_of_cryptography(
    builder_ca: Certificate, entries: list[tuple[int, x509.ReasonFlags | None]], others: list[int]
) -> None:
    encoded = _build(*entries)
    crl, theirs = read_crl(encoded, [builder_ca]), x509.load_der_x509_crl(encoded)
    assert crl.entries == len(theirs)
    near = [serial + step for serial, _ in entries for step in (-1, 0, 1)]
    for serial in (*near, *others, 0):
        found, expected = crl.find(serial), theirs.get_revoked_certificate_by_serial_number(serial)
        assert (found is None) == (expected is None)
        if found and expected:
            assert found.at == expected.revocation_date_utc
            reasons = [each.value for each in expected.extensions if isinstance(each.value, x509.CRLReason)]
            assert found.reason == (reasons[0].reason.value if reasons else "unspecified")


def test_a_serial_number_that_is_listed_twice_is_not_removed(builder_ca: Certificate) -> None:
    for order in (1, -1):
        twice = [(7, x509.ReasonFlags.remove_from_crl), (7, x509.ReasonFlags.key_compromise)][::order]
        found = read_crl(_build(*twice), [builder_ca]).find(7)
        assert found
        assert found.reason == "keyCompromise"


def test_a_crl_of_50_megabytes_is_read_exactly_and_kept_in_less(builder_ca: Certificate) -> None:
    """A million entries (threats R9). Measured beside: 2.3 s of CPU and 250 MB while it is read.

    Afterwards 21 MB and 6 us a lookup; cryptography's own object holds the 50 MB and takes 140,000 us.
    """
    count, reason = 1_000_000, bytes.fromhex("300c300a0603551d1504030a0101")
    time = _tlv(0x17, b"260101000000Z")
    rest = time + reason
    size = 2 + 16 + len(rest)
    # Serial numbers in an order that is none: an odd factor walks all 32-bit numbers once.
    serials = [b"\x51" * 12 + (number * 2654435761 % 2**32).to_bytes(4, "big") for number in range(count)]
    entries = b"".join(b"\x30%c\x02\x10%b%b" % (size, serial, rest) for serial in serials)
    encoded = _sign_entries(entries)
    assert 0.9 * MAXIMUM_CRL < len(encoded) <= MAXIMUM_CRL
    crl = read_crl(encoded, [builder_ca])
    assert crl.entries == count
    assert sum(map(len, crl.revoked.records.values())) == count * (16 + 6)
    for serial in (*serials[:100], *serials[-100:]):
        assert crl.find(int.from_bytes(serial, "big")) is not None
    assert crl.find(int.from_bytes(b"\x52" * 16, "big")) is None


def test_a_crl_above_the_limit_is_refused_unread() -> None:
    with pytest.raises(CRLError, match="more than 52428800 bytes"):
        read_crl(bytes(MAXIMUM_CRL + 1), [])


def _sign_entries(entries: bytes) -> bytes:
    """Put entries into a CRL by hand, as no builder takes a million of them."""
    one = _build((5, None))
    signed = x509.load_der_x509_crl(one).tbs_certlist_bytes
    _, content, _ = der.read_element(signed)
    lone = _tlv(0x30, _tlv(0x30, b"\x02\x01\x05" + _tlv(0x17, (NOW - DAY).strftime("%y%m%d%H%M%SZ").encode())))
    assert lone in content
    return _sign(_tlv(0x30, content.replace(lone, _tlv(0x30, entries))))


def _sign(signed: bytes) -> bytes:
    signature = _tlv(0x03, b"\0" + _KEY.sign(signed, ec.ECDSA(hashes.SHA256())))
    return _tlv(0x30, signed + _ECDSA_WITH_SHA256 + signature)


def _tlv(tag: int, content: bytes) -> bytes:
    if len(content) < 128:
        return bytes([tag, len(content)]) + content
    length = len(content).to_bytes((len(content).bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(length)]) + length + content


_MUTABLE = _build((5, x509.ReasonFlags.key_compromise), (2**100, None))
