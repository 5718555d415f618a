import http.client
import re
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key
from cryptography.x509 import ocsp
from hypothesis import given, settings
from hypothesis import strategies as st

from certbound.certificates.certificate import Certificate
from certbound.certificates.ocsp import MAXIMUM_ANSWER, OCSPError, build_request, read_response

from .openssl_ca import DAY, NOW, OpenSSLCA, stamp

_NONCE = bytes(range(32))


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> OpenSSLCA:
    return OpenSSLCA(tmp_path_factory.mktemp("built") / "ca")


@pytest.fixture
def ca(built: OpenSSLCA, tmp_path: Path) -> OpenSSLCA:
    return built.copy(tmp_path / "ca")


@pytest.fixture
def leaf(ca: OpenSSLCA) -> Certificate:
    return ca.issue("leaf")


def _clock() -> datetime:
    return datetime.now(UTC)


def _asked(ca: OpenSSLCA, leaf: Certificate, *options: str, signer: str = "ca", nonce: bytes | None = _NONCE) -> bytes:
    return ca.answer(build_request(leaf, ca.certificate, nonce=nonce), "-ndays", "1", *options, signer=signer)


# --- the question


def test_openssl_reads_the_question_with_and_without_a_nonce(ca: OpenSSLCA, leaf: Certificate) -> None:
    for nonce in (_NONCE, None):
        (ca.folder / "q.req").write_bytes(build_request(leaf, ca.certificate, nonce=nonce))
        text = ca("ocsp", "-reqin", "q.req", "-req_text").decode()
        assert f"Serial Number: {leaf.serial_number:X}" in text
        assert ("OCSP Nonce" in text) == (nonce is not None)


# --- the answer


def test_good_revoked_and_unknown_are_told_apart(ca: OpenSSLCA, leaf: Certificate) -> None:
    good = read_response(_asked(ca, leaf), leaf, ca.certificate, nonce=_NONCE, now=_clock())
    assert (good.status, good.revoked_at, good.reason) == ("good", None, None)
    assert good.next_update
    assert good.ends == good.next_update
    assert timedelta(hours=23) < good.next_update - good.this_update < timedelta(hours=25)
    ca.revoke("leaf", "keyCompromise")
    revoked = read_response(_asked(ca, leaf), leaf, ca.certificate, nonce=_NONCE, now=_clock())
    assert (revoked.status, revoked.reason) == ("revoked", "keyCompromise")
    assert revoked.revoked_at
    assert NOW <= revoked.revoked_at <= _clock()
    (ca.folder / "index.txt").write_text("")
    unknown = read_response(_asked(ca, leaf), leaf, ca.certificate, nonce=_NONCE, now=_clock())
    assert unknown.status == "unknown"


def test_an_answer_is_read_from_a_responder_that_listens(ca: OpenSSLCA, leaf: Certificate) -> None:
    """`openssl ocsp -port 0` answers one question over HTTP on a port of the system's choice."""

    responder = ("-index", "index.txt", "-CA", "ca.pem", "-rsigner", "ca.pem", "-rkey", "ca.key", "-nmin", "5")
    command = ["openssl", "ocsp", *responder, "-port", "0", "-nrequest", "1", "-timeout", "20"]
    with subprocess.Popen(command, cwd=ca.folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as server:
        try:
            assert server.stdout
            lines = (server.stdout.readline().decode() for _ in range(5))
            port = next(int(found[1]) for line in lines if (found := re.search(r"ACCEPT .*:(\d+)", line)))
            connection = http.client.HTTPConnection("localhost", port, timeout=20)
            headers = {"Content-Type": "application/ocsp-request"}
            connection.request("POST", "/", build_request(leaf, ca.certificate, nonce=_NONCE), headers)
            answer = connection.getresponse().read()
            connection.close()
        finally:
            server.terminate()
    assert read_response(answer, leaf, ca.certificate, nonce=_NONCE, now=_clock()).status == "good"


@pytest.mark.parametrize(
    "key",
    [("rsa:2048",), ("ec", "-pkeyopt", "ec_paramgen_curve:P-384")],
)
def test_the_issuer_signs_with_any_accepted_key(tmp_path: Path, key: tuple[str, ...]) -> None:
    ca = OpenSSLCA(tmp_path / "ca", key=key)
    leaf = ca.issue("leaf")
    for options in (("-resp_key_id",), ("-rmd", "sha512"), ("-resp_no_certs",)):
        answer = _asked(ca, leaf, *options)
        assert read_response(answer, leaf, ca.certificate, nonce=_NONCE, now=_clock()).status == "good"


def test_an_answer_may_name_the_certificate_by_another_hash(ca: OpenSSLCA, leaf: Certificate) -> None:
    subject, issuer = (x509.load_der_x509_certificate(each.der) for each in (leaf, ca.certificate))
    for algorithm in (hashes.SHA256(), hashes.SHA384(), hashes.SHA512()):
        question = ocsp.OCSPRequestBuilder().add_certificate(subject, issuer, algorithm).build()
        answer = ca.answer(question.public_bytes(Encoding.DER), "-ndays", "1")
        assert read_response(answer, leaf, ca.certificate, nonce=None, now=_clock()).status == "good"


# --- nonces


def test_a_nonce_may_be_absent_on_either_side_but_not_differ(ca: OpenSSLCA, leaf: Certificate) -> None:
    def status(*, sent: bytes | None, expected: bytes | None) -> str:
        answer = _asked(ca, leaf, nonce=sent)
        return read_response(answer, leaf, ca.certificate, nonce=expected, now=_clock()).status

    assert status(sent=_NONCE, expected=_NONCE) == "good"
    assert status(sent=None, expected=_NONCE) == "good"
    assert status(sent=_NONCE, expected=None) == "good"
    assert status(sent=None, expected=None) == "good"
    with pytest.raises(OCSPError, match="another nonce"):
        status(sent=_NONCE[::-1], expected=_NONCE)


# --- who may answer (threats 28)


def test_a_delegated_responder_answers_for_its_issuer(ca: OpenSSLCA, leaf: Certificate) -> None:
    ca.issue("responder", "responder")
    for options in ((), ("-resp_key_id",)):
        answer = _asked(ca, leaf, *options, signer="responder")
        assert read_response(answer, leaf, ca.certificate, nonce=_NONCE, now=_clock()).status == "good"


def test_a_responder_whose_certificate_is_not_in_the_answer_is_not_known(ca: OpenSSLCA, leaf: Certificate) -> None:
    ca.issue("responder", "responder")
    answer = _asked(ca, leaf, "-resp_no_certs", signer="responder")
    with pytest.raises(OCSPError, match="neither the issuer's nor that of a responder it brings along"):
        read_response(answer, leaf, ca.certificate, nonce=_NONCE, now=_clock())


def test_a_responder_without_the_purpose_may_not_answer(ca: OpenSSLCA, leaf: Certificate) -> None:
    ca.issue("plain")
    with pytest.raises(OCSPError, match=r"responder CN=plain may not answer for the issuer: .*OCSPSigning"):
        read_response(_asked(ca, leaf, signer="plain"), leaf, ca.certificate, nonce=_NONCE, now=_clock())
    ca.issue("silent", "responder_that_may_not_sign")
    with pytest.raises(OCSPError, match="responder CN=silent may not sign"):
        read_response(_asked(ca, leaf, signer="silent"), leaf, ca.certificate, nonce=_NONCE, now=_clock())


def test_an_expired_responder_may_not_answer(ca: OpenSSLCA, leaf: Certificate) -> None:
    dates = ("-startdate", stamp(NOW - 3 * DAY), "-enddate", stamp(NOW - DAY))
    ca.issue("old", "responder", *dates)
    with pytest.raises(OCSPError, match="responder CN=old is not valid now"):
        read_response(_asked(ca, leaf, signer="old"), leaf, ca.certificate, nonce=_NONCE, now=_clock())


def test_a_responder_of_another_ca_may_not_answer(ca: OpenSSLCA, leaf: Certificate, tmp_path: Path) -> None:
    for other_name in ("Other", "CA"):
        other = OpenSSLCA(tmp_path / f"other {other_name}", other_name)
        other.issue("foreign", "responder", file=ca.folder / "foreign")
        answer = _asked(ca, leaf, signer="foreign")
        with pytest.raises(OCSPError, match=f"is not one of the issuer's: its certificate is by CN={other_name}"):
            read_response(answer, leaf, ca.certificate, nonce=_NONCE, now=_clock())


def test_a_responder_below_another_responder_may_not_answer(ca: OpenSSLCA, leaf: Certificate, tmp_path: Path) -> None:
    sub = OpenSSLCA(tmp_path / "sub", "Sub", issuer=ca)
    sub.issue("below", "responder", file=ca.folder / "below")
    with pytest.raises(OCSPError, match="is not one of the issuer's"):
        read_response(_asked(ca, leaf, signer="below"), leaf, ca.certificate, nonce=_NONCE, now=_clock())


def test_a_responder_with_a_weak_key_may_not_answer(ca: OpenSSLCA, leaf: Certificate) -> None:
    ca.issue("weak", "responder", key=("rsa:1024",))
    with pytest.raises(OCSPError, match="not accepted: RSA 1024 bits"):
        read_response(_asked(ca, leaf, signer="weak"), leaf, ca.certificate, nonce=_NONCE, now=_clock())


# --- what else is refused (threats 28, R9)


def test_a_tampered_answer_is_refused(ca: OpenSSLCA, leaf: Certificate) -> None:
    bad = _asked(ca, leaf, "-badsig")
    with pytest.raises(OCSPError, match="signature"):
        read_response(bad, leaf, ca.certificate, nonce=_NONCE, now=_clock())
    spared = _asked(ca, ca.issue("other"))
    ca.revoke("leaf")
    number, others = (bytes([0x02, 0x02]) + (0x1000 + step).to_bytes(2, "big") for step in (0, 1))
    assert leaf.serial_number == 0x1000
    assert spared.count(others) == 1
    with pytest.raises(OCSPError, match="signature"):
        read_response(spared.replace(others, number), leaf, ca.certificate, nonce=_NONCE, now=_clock())


def test_an_answer_about_another_certificate_is_refused(ca: OpenSSLCA, leaf: Certificate, tmp_path: Path) -> None:
    other = ca.issue("other")
    with pytest.raises(OCSPError, match=f"about another certificate, with the serial number {other.serial_number:x}"):
        read_response(_asked(ca, other), leaf, ca.certificate, nonce=_NONCE, now=_clock())
    both = ("-issuer", "ca.pem", "-cert", "leaf.pem", "-cert", "other.pem")
    ca("ocsp", *both, "-no_nonce", "-reqout", "both.req")
    answer = ca.answer((ca.folder / "both.req").read_bytes(), "-ndays", "1")
    with pytest.raises(OCSPError, match="about 2 certificates"):
        read_response(answer, leaf, ca.certificate, nonce=None, now=_clock())


def test_an_answer_with_a_weak_hash_is_refused(ca: OpenSSLCA, leaf: Certificate) -> None:
    with pytest.raises(OCSPError, match=r"algorithm that is not accepted: 1\.2\.840\.10045\.4\.1"):
        read_response(_asked(ca, leaf, "-rmd", "sha1"), leaf, ca.certificate, nonce=_NONCE, now=_clock())


def test_an_answer_holds_from_this_update_to_next_update_and_grace(ca: OpenSSLCA, leaf: Certificate) -> None:
    answer = _asked(ca, leaf)
    read = read_response(answer, leaf, ca.certificate, nonce=_NONCE, now=_clock())
    start, end = read.this_update, read.ends
    second, grace = timedelta(seconds=1), timedelta(hours=1)
    for now, allowed in (
        (start - timedelta(minutes=5), timedelta(0)),
        (end, timedelta(0)),
        (end + grace, grace),
    ):
        assert read_response(answer, leaf, ca.certificate, nonce=_NONCE, now=now, grace=allowed) == read
    for now, allowed, words in (
        (start - timedelta(minutes=5) - second, grace, "of the future"),
        (end + second, timedelta(0), f"ended at {end.isoformat()}"),
        (end + grace + second, grace, "ended at"),
    ):
        with pytest.raises(OCSPError, match=re.escape(words)):
            read_response(answer, leaf, ca.certificate, nonce=_NONCE, now=now, grace=allowed)


def test_an_answer_without_next_update_holds_five_minutes(ca: OpenSSLCA, leaf: Certificate) -> None:
    answer = ca.answer(build_request(leaf, ca.certificate, nonce=None))
    read = read_response(answer, leaf, ca.certificate, nonce=None, now=_clock())
    assert read.next_update is None
    assert read.ends == read.this_update + timedelta(minutes=5)
    with pytest.raises(OCSPError, match="ended at"):
        read_response(answer, leaf, ca.certificate, nonce=None, now=read.ends + timedelta(seconds=1))


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (ocsp.OCSPResponseStatus.TRY_LATER, "try later"),
        (ocsp.OCSPResponseStatus.UNAUTHORIZED, "unauthorized"),
        (ocsp.OCSPResponseStatus.INTERNAL_ERROR, "internal error"),
        (ocsp.OCSPResponseStatus.MALFORMED_REQUEST, "malformed request"),
        (ocsp.OCSPResponseStatus.SIG_REQUIRED, "sig required"),
    ],
)
def test_a_responder_that_declines_is_quoted(
    ca: OpenSSLCA, leaf: Certificate, status: ocsp.OCSPResponseStatus, words: str
) -> None:
    answer = ocsp.OCSPResponseBuilder.build_unsuccessful(status).public_bytes(Encoding.DER)
    with pytest.raises(OCSPError, match=f"no answer but: {words}"):
        read_response(answer, leaf, ca.certificate, nonce=None, now=_clock())


def test_an_answer_with_an_unknown_critical_extension_is_refused(ca: OpenSSLCA, leaf: Certificate) -> None:
    subject, issuer = (x509.load_der_x509_certificate(each.der) for each in (leaf, ca.certificate))
    key = load_pem_private_key((ca.folder / "ca.key").read_bytes(), None)
    unknown = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00")
    for critical in (False, True):
        builder = ocsp.OCSPResponseBuilder().add_response(
            subject,
            issuer,
            hashes.SHA256(),
            ocsp.OCSPCertStatus.GOOD,
            NOW,
            NOW + DAY,
            None,
            None,
        )
        builder = builder.responder_id(ocsp.OCSPResponderEncoding.HASH, issuer)
        builder = builder.add_extension(unknown, critical=critical)
        answer = builder.sign(key, hashes.SHA256()).public_bytes(Encoding.DER)  # type: ignore[arg-type]
        if not critical:
            assert read_response(answer, leaf, ca.certificate, nonce=None, now=NOW).status == "good"
            continue
        with pytest.raises(OCSPError, match=r"unknown critical extension 1\.2\.3\.4"):
            read_response(answer, leaf, ca.certificate, nonce=None, now=NOW)


# --- any bytes


@pytest.fixture(scope="module")
def answered(tmp_path_factory: pytest.TempPathFactory) -> tuple[OpenSSLCA, Certificate, bytes]:
    ca = OpenSSLCA(tmp_path_factory.mktemp("answered") / "ca")
    leaf = ca.issue("leaf")
    ca.issue("responder", "responder")
    return ca, leaf, _asked(ca, leaf, signer="responder")


Answered = tuple[OpenSSLCA, Certificate, bytes]


@settings(max_examples=300, deadline=None)
@given(data=st.binary(max_size=400))
def test_any_bytes_raise_nothing_but_an_ocsp_error(answered: Answered, data: bytes) -> None:
    ca, leaf, answer = answered
    for start in (b"", b"0", answer[:40]):
        with pytest.raises(OCSPError):
            read_response(start + data, leaf, ca.certificate, nonce=_NONCE, now=_clock())


@settings(max_examples=500, deadline=None)
@given(data=st.data())
def test_a_mutated_answer_raises_nothing_but_an_ocsp_error(answered: Answered, data: st.DataObject) -> None:
    ca, leaf, answer = answered
    mutated = bytearray(answer)
    for _ in range(data.draw(st.integers(1, 3))):
        mutated[data.draw(st.integers(0, len(mutated) - 1))] = data.draw(st.integers(0, 255))
    try:
        read = read_response(bytes(mutated), leaf, ca.certificate, nonce=_NONCE, now=_clock())
    except OCSPError:
        return
    assert read.status == "good"


def test_a_huge_answer_is_refused_unread(ca: OpenSSLCA, leaf: Certificate) -> None:
    with pytest.raises(OCSPError, match="more than 65536 bytes"):
        read_response(bytes(MAXIMUM_ANSWER + 1), leaf, ca.certificate, nonce=None, now=_clock())
