"""NIST's Public Key Interoperability Test Suite through `validate_chain` and `check_path`.

Run as a program it prints docs/pkits.md.

The certificates and CRLs are those of the PyPI package cryptography-vectors. A test's name says what NIST expects.
Every certificate of a CA is offered as an untrusted intermediate, the suite's root is the only anchor, and every CRL
that `read_crl` takes is there, so that a certificate without one is refused.
"""

import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import cryptography_vectors

from certbound.certificates.certificate import Certificate, CertificateError, parse_certificate
from certbound.certificates.crl import CRL, CRLError, read_crl
from certbound.certificates.policy import check_form
from certbound.certificates.revocation import Revocation, RevocationPolicy, check_path
from certbound.chain.validation import validate_chain

NOW = datetime(2026, 6, 1, tzinfo=UTC)
DATA = Path(cryptography_vectors.__file__).parent / "x509" / "PKITS_data"
_DSA = "DSA is no key we accept (RFC 9325 section 4.5): stricter than NIST"
_OTHER_KEY = (
    "the CRL is signed with another key of the CA's than the certificate, and may be the list of that key: stricter"
)
_SOME_REASONS = "CRLs for some reasons only (onlySomeReasons) are not supported, so that status is unknown: stricter"
_INDIRECT = "indirect CRLs (cRLIssuer) are not supported, so that the status is unknown: stricter"

#: Section -> its title and what the names of its tests hold.
SECTIONS = {
    "4.1": ("Signature verification", r"CertificatePathTest|SignatureTest[236]|SignaturesTest|DSAParameter"),
    "4.2": ("Validity periods", r"not(Before|After)DateTest"),
    "4.3": ("Name chaining", r"NameChaining|NameUIDs|RFC3280|Rollover|UTF8String"),
    "4.4": (
        "Basic revocation",
        r"MissingCRL|Revoked|BadCRL|WrongCRL|TwoCRLs|UnknownCRL|CRLnextUpdate|SerialNumber|SeparateCertificate",
    ),
    "4.5": ("Self-issued certificates", r"BasicSelfIssued"),
    "4.6": ("Basic constraints", r"asicConstraints|cAFalse|pathLenConstraint"),
    "4.7": ("Key usage", r"keyUsage"),
    "4.13": ("Name constraints", r"nameConstraints"),
    "4.14": ("Distribution points", r"istributionPoint|onlyContains|onlySomeReasons|IDPwithindirectCRL|cRLIssuer"),
    "4.15": ("Delta CRLs", r"deltaCRL"),
    "4.16": ("Private certificate extensions", r"CriticalCertificateExtension"),
}
REASONS = {
    "ValidDSASignaturesTest4": _DSA,
    "ValidDSAParameterInheritanceTest5": _DSA,
    "ValidSeparateCertificateandCRLKeysTest19": _OTHER_KEY,
    "ValidBasicSelfIssuedOldWithNewTest1": _OTHER_KEY,
    "ValidBasicSelfIssuedNewWithOldTest4": _OTHER_KEY,
    "ValidBasicSelfIssuedCRLSigningKeyTest6": _OTHER_KEY,
    "ValidSelfIssuedpathLenConstraintTest15": _OTHER_KEY,
    "ValidSelfIssuedpathLenConstraintTest17": _OTHER_KEY,
    "ValidDNnameConstraintsTest19": _OTHER_KEY,
    "ValidonlySomeReasonsTest18": _SOME_REASONS,
    "ValidonlySomeReasonsTest19": _SOME_REASONS,
    "ValidIDPwithindirectCRLTest22": _INDIRECT,
    "ValidIDPwithindirectCRLTest24": _INDIRECT,
    "ValidIDPwithindirectCRLTest25": _INDIRECT,
    "ValidcRLIssuerTest28": _INDIRECT,
    "ValidcRLIssuerTest29": _INDIRECT,
    "ValidcRLIssuerTest30": _INDIRECT,
    "ValidcRLIssuerTest33": _INDIRECT,
}


@dataclass(frozen=True)
class Outcome:
    """One test: what NIST expects, what we decide, in whose words."""

    section: str
    test: str
    expected: bool
    accepted: bool
    words: str

    @property
    def agrees(self) -> bool:
        return self.expected == self.accepted


def outcomes() -> Iterator[Outcome]:
    certificates = DATA / "certs"
    root = parse_certificate((certificates / "TrustAnchorRootCertificate.crt").read_bytes())
    authorities = [path.read_bytes() for path in sorted(certificates.glob("*Cert.crt"))]
    crls = list(_crls([root, *_parsed(authorities)]))
    for section, (_, pattern) in SECTIONS.items():
        tests = [path for path in certificates.glob("*EE.crt") if re.search(pattern, path.name)]
        for path in sorted(tests, key=lambda path: int(re.findall(r"Test(\d+)EE", path.name)[0])):
            test = path.name.removesuffix("EE.crt")
            words = _refusal(path.read_bytes(), root, authorities, crls)
            yield Outcome(section, test, test.startswith("Valid"), words is None, words or "a valid path")


def _refusal(encoded: bytes, root: Certificate, authorities: list[bytes], crls: list[CRL]) -> str | None:
    try:
        leaf = parse_certificate(encoded)
    except CertificateError as error:
        return str(error)
    decision = validate_chain(leaf, [], [root], stored=authorities, now=NOW)
    checks = [*decision.checks, check_form(leaf)]
    if decision.path:
        checks += check_path(decision.path, RevocationPolicy(Revocation.CRL), crls, {}, NOW).checks
    return "; ".join(f"{check.check}: {check.found}" for check in checks if not check.passed) or None


def _parsed(certificates: Iterable[bytes]) -> Iterator[Certificate]:
    for encoded in certificates:
        with suppress(CertificateError):
            yield parse_certificate(encoded)


def _crls(issuers: list[Certificate]) -> Iterator[CRL]:
    for path in sorted((DATA / "crls").glob("*.crl")):
        with suppress(CRLError):
            yield read_crl(path.read_bytes(), issuers)


def page() -> str:
    """Write the page."""
    results = list(outcomes())
    agreed = sum(result.agrees for result in results)
    accepts = sum(result.accepted and not result.expected for result in results)
    lines = [
        "# PKITS: where we agree with NIST",
        "",
        "Written by `tests/chain/pkits.py`. The Public Key Interoperability Test Suite (NIST, data of 2011) through",
        "certbound's path validation, which is OpenSSL's with certbound's own policy for keys, hashes and usages, and",
        "through certbound's own revocation by CRL, which every certificate of every path must pass. The sections on",
        "policies (4.8 to 4.12) are left out, as certbound has none.",
        "",
        f"Of {len(results)} tests, {agreed} agree. Refused by NIST and accepted by certbound: {accepts}.",
        "",
        "| Section | Tests | Agree |",
        "|---|---|---|",
    ]
    for section, (title, _) in SECTIONS.items():
        own = [result for result in results if result.section == section]
        lines.append(f"| {section} {title} | {len(own)} | {sum(result.agrees for result in own)} |")
    lines += ["", "## Disagreements", "", "| Test | NIST | certbound | Reason |", "|---|---|---|---|"]
    for result in results:
        if not result.agrees:
            expected, decided = (
                ("accept" if accepted else "refuse") for accepted in (result.expected, result.accepted)
            )
            reason = REASONS.get(result.test, "none known")
            lines.append(f"| {result.section} {result.test} | {expected} | {decided} | {reason} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(page(), end="")  # noqa: T201 - what it is for
