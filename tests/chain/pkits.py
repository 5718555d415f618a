"""NIST's Public Key Interoperability Test Suite through `validate_chain`; run as a program it prints docs/pkits.md.

The certificates are those of the PyPI package cryptography-vectors. A test's name says what NIST expects; every
certificate of a CA is offered as an untrusted intermediate, and the suite's root is the only anchor.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import cryptography_vectors

from certbound.certificates.certificate import CertificateError, parse_certificate
from certbound.certificates.policy import check_form
from certbound.chain.validation import validate_chain

NOW = datetime(2026, 6, 1, tzinfo=UTC)
CERTIFICATES = Path(cryptography_vectors.__file__).parent / "x509" / "PKITS_data" / "certs"
_DSA = "DSA is no key we accept (RFC 9325 section 4.5): stricter than NIST"
_CRL = "wants the CRL refused that this CA signed without cRLSign; this section runs without revocation"

#: Section -> its title and what the names of its tests hold.
SECTIONS = {
    "4.1": ("Signature verification", r"CertificatePathTest|SignatureTest[236]|SignaturesTest|DSAParameter"),
    "4.2": ("Validity periods", r"not(Before|After)DateTest"),
    "4.3": ("Name chaining", r"NameChaining|NameUIDs|RFC3280|Rollover|UTF8String"),
    "4.4": ("Serial numbers", r"LongSerialNumberTest1[67]|NegativeSerialNumberTest14"),
    "4.6": ("Basic constraints", r"asicConstraints|cAFalse|pathLenConstraint"),
    "4.7": ("Key usage", r"keyUsage"),
    "4.13": ("Name constraints", r"nameConstraints"),
    "4.16": ("Private certificate extensions", r"CriticalCertificateExtension"),
}
REASONS = {
    "ValidDSASignaturesTest4": _DSA,
    "ValidDSAParameterInheritanceTest5": _DSA,
    "InvalidkeyUsageCriticalcRLSignFalseTest4": _CRL,
    "InvalidkeyUsageNotCriticalcRLSignFalseTest5": _CRL,
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
    root = parse_certificate((CERTIFICATES / "TrustAnchorRootCertificate.crt").read_bytes())
    authorities = [path.read_bytes() for path in sorted(CERTIFICATES.glob("*Cert.crt"))]
    for section, (_, pattern) in SECTIONS.items():
        tests = [path for path in CERTIFICATES.glob("*EE.crt") if re.search(pattern, path.name)]
        for path in sorted(tests, key=lambda path: int(re.findall(r"Test(\d+)EE", path.name)[0])):
            test = path.name.removesuffix("EE.crt")
            try:
                leaf = parse_certificate(path.read_bytes())
            except CertificateError as error:
                yield Outcome(section, test, test.startswith("Valid"), accepted=False, words=str(error))
                continue
            decision = validate_chain(leaf, [], [root], stored=authorities, now=NOW)
            checks = [*decision.checks, check_form(leaf)]
            failed = [f"{check.check}: {check.found}" for check in checks if not check.passed]
            yield Outcome(section, test, test.startswith("Valid"), not failed, "; ".join(failed) or "a valid path")


def page() -> str:
    """Write the page."""
    results = list(outcomes())
    agreed = sum(result.agrees for result in results)
    lines = [
        "# PKITS: where we agree with NIST",
        "",
        "Written by `tests/chain/pkits.py`. The Public Key Interoperability Test Suite (NIST, data of 2011) through",
        "certbound's path validation, which is OpenSSL's with certbound's own policy for keys, hashes and usages; the",
        "sections on policies and revocation are left out.",
        "",
        f"Of {len(results)} tests, {agreed} agree.",
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
