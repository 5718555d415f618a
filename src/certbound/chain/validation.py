"""Path validation (RFC 5280 section 6): OpenSSL builds and checks the path, certbound decides what may be in it."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final

from OpenSSL import crypto

from certbound.certificates.certificate import Certificate, CertificateError, parse_certificate
from certbound.certificates.check import Check
from certbound.certificates.policy import check_key, check_path_certificate
from certbound.chain import memory

MAXIMUM_CERTIFICATES: Final = 10
"""Certificates that a peer may present, the leaf included; also those of a path, the anchor included."""
MAXIMUM_PRESENTED_BYTES: Final = 65_536
"""Bytes of the intermediates that a peer may present, so that reading them stays cheap whoever sends them."""
MAXIMUM_CANDIDATES: Final = 50
"""Intermediates and anchors that OpenSSL gets to see, out of all that the issuers' names lead to."""
_REMEMBERED_SIZE: Final = 8192
"""Bytes up to which an issuer's certificate stays converted; strangers may present larger ones."""
_REFERENCE: Final = "RFC 5280 section 6"


@dataclass(frozen=True, slots=True)
class ChainDecision:
    """The checks, and the path from the leaf (first) to the anchor (last); empty unless every check passed."""

    checks: tuple[Check, ...]
    path: tuple[Certificate, ...] = ()


def validate_chain(
    leaf: Certificate,
    presented: Sequence[bytes],
    anchors: Sequence[Certificate],
    *,
    stored: Sequence[bytes] = (),
    now: datetime,
) -> ChainDecision:
    """Decide whether `leaf` leads to one of `anchors` at `now` (aware).

    `presented` are the intermediates the peer sent, `stored` those the trust stores hold to complete chains (DER);
    neither is ever trusted. Anchors are pinned as whole certificates: a root or an intermediate, but a CA, and never
    the leaf itself. Signatures, dates, basic constraints, key usage, name constraints and critical extensions are
    OpenSSL's; keys, hashes and extended key usages of CA certificates are `certificates.policy`'s, and a certificate
    that breaks it is left out before any signature is computed. What the leaf may be used for is not looked at here.
    """
    length = Check(
        check="chain_length",
        passed=len(presented) < MAXIMUM_CERTIFICATES,
        expected=f"at most {MAXIMUM_CERTIFICATES} certificates presented",
        found=str(len(presented) + 1),
        reference="RFC 8705 section 7.5",
    )
    if not length.passed:
        return ChainDecision((length, _chain(anchors, "not looked at, as too many certificates were presented")))
    if (size := sum(map(len, presented))) > MAXIMUM_PRESENTED_BYTES:
        return ChainDecision((length, _chain(anchors, f"not looked at, as {size} bytes of intermediates were sent")))
    if not check_key(leaf).passed:
        return ChainDecision((length, _chain(anchors, "not looked at, as the certificate's own key is refused")))
    key = memory.key(leaf, presented, anchors, stored)
    path = memory.recall(key, now)
    if path is None:
        usable, faults = _candidates(leaf, (*presented, *stored), anchors)
        outcome = _find_path(leaf, usable, frozenset(anchors), now)
        if isinstance(outcome, str):
            return ChainDecision((length, *faults, _chain(anchors, outcome)))
        path = outcome
        memory.remember(key, path)
    found = " <- ".join(certificate.subject.text or "(no subject)" for certificate in path)
    return ChainDecision((length, _chain(anchors, found, passed=True)), path)


def _chain(anchors: Sequence[Certificate], found: str, *, passed: bool = False) -> Check:
    return Check("chain", passed, f"a valid path to one of {len(anchors)} trust anchors", found, _REFERENCE)


def _candidates(
    leaf: Certificate, intermediates: Iterable[bytes], anchors: Sequence[Certificate]
) -> tuple[list[Certificate], list[Check]]:
    """Choose what a path may be made of, and give the failed checks of what the names led to but policy refuses."""
    pinned = frozenset(anchors)
    usable, faults = [], []
    for certificate in _reachable(leaf, [*anchors, *_read(intermediates)]):
        failed = [c for c in check_path_certificate(certificate, is_anchor=certificate in pinned) if not c.passed]
        faults += [_naming(certificate, check) for check in failed]
        if not failed:
            usable.append(certificate)
    return usable, faults


def _naming(certificate: Certificate, check: Check) -> Check:
    return check._replace(check=f"path_{check.check}", found=f"{certificate.subject.text[:200]}: {check.found}")


def _read(encoded: Iterable[bytes]) -> Iterator[Certificate]:
    """Parse intermediates; one that cannot be read cannot help, and does no harm by being there."""
    for certificate in encoded:
        try:
            yield parse_certificate(certificate)
        except CertificateError:
            continue


def _reachable(leaf: Certificate, certificates: Iterable[Certificate]) -> list[Certificate]:
    """Follow issuer names from the leaf: every certificate once, every name once, the leaf never."""
    by_subject = defaultdict(list)
    for certificate in dict.fromkeys(certificates):
        if certificate != leaf:
            by_subject[certificate.subject].append(certificate)
    issuers, reached = [leaf.issuer], list[Certificate]()
    for name in issuers:  # grows while it is walked
        found = by_subject.pop(name, [])
        reached += found
        issuers += [certificate.issuer for certificate in found]
    return reached[:MAXIMUM_CANDIDATES]


def _find_path(
    leaf: Certificate, candidates: Sequence[Certificate], pinned: frozenset[Certificate], now: datetime
) -> tuple[Certificate, ...] | str:
    """Give the path, or why there is none.

    OpenSSL takes one issuer by name and key identifier and does not come back for another, so anchors that share a
    name (a CA that changed its key) are tried one by one where all together fail.
    """
    anchors = [certificate for certificate in candidates if certificate in pinned]
    untrusted = [certificate for certificate in candidates if certificate not in pinned]
    if not anchors:
        end = candidates[-1] if candidates else leaf
        return f"no usable trust anchor named {end.issuer.text or '(no name)'}"
    outcome = _verify(leaf, untrusted, anchors, now)
    if isinstance(outcome, str) and len({anchor.subject for anchor in anchors}) < len(anchors):
        attempts = (_verify(leaf, untrusted, [anchor], now) for anchor in anchors)
        outcome = next((attempt for attempt in attempts if not isinstance(attempt, str)), outcome)
    return outcome


def _verify(
    leaf: Certificate, untrusted: Sequence[Certificate], anchors: Sequence[Certificate], now: datetime
) -> tuple[Certificate, ...] | str:
    store = crypto.X509Store()
    store.set_flags(crypto.X509StoreFlags.PARTIAL_CHAIN)
    store.set_time(now.astimezone(UTC))
    try:
        for anchor in anchors:
            store.add_cert(_openssl_issuer(anchor))
        context = crypto.X509StoreContext(store, _openssl(leaf), [_openssl_issuer(issuer) for issuer in untrusted])
        chain = context.get_verified_chain()
    except crypto.X509StoreContextError as error:
        return _words(error)
    except crypto.Error as error:
        return f"OpenSSL cannot take the certificate: {error}"[:200]
    above = (parse_certificate(crypto.dump_certificate(crypto.FILETYPE_ASN1, link)) for link in chain[1:])
    path = (leaf, *above)
    if len(path) > MAXIMUM_CERTIFICATES:
        return f"a path of {len(path)} certificates, the limit is {MAXIMUM_CERTIFICATES}"
    return path


def _words(error: crypto.X509StoreContextError) -> str:
    """Say in OpenSSL's own words what is wrong, and with which certificate."""
    _, depth, message = error.errors
    try:
        at_fault = parse_certificate(crypto.dump_certificate(crypto.FILETYPE_ASN1, error.certificate)).subject.text
    except (CertificateError, crypto.Error):
        at_fault = "a certificate"
    return f"{message}, at depth {depth}: {at_fault or '(no subject)'}"


def _openssl(certificate: Certificate) -> crypto.X509:
    return crypto.load_certificate(crypto.FILETYPE_ASN1, certificate.der)


#: Certificates of CAs stay converted, as the same few serve every decision.
_openssl_once: Final = lru_cache(maxsize=512)(_openssl)


def _openssl_issuer(certificate: Certificate) -> crypto.X509:
    return _openssl_once(certificate) if len(certificate.der) <= _REMEMBERED_SIZE else _openssl(certificate)
