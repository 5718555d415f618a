"""The numbers that the pages say are those of the code."""

import pytest

from certbound.authority import blocks, client_keys, ocsp_answers, outbound, trust_bundles, trust_policies
from certbound.authority.expiry import DAY, SHORT_LIVED, WARNING_DAYS
from certbound.authority.refusals import Refusals
from certbound.certificates import certificate, crl, policy, spiffe, subject_attributes
from certbound.chain import validation
from certbound.config.settings import LifetimeSettings, RetentionSettings
from certbound.jose import jwks
from certbound.upkeep import bundles, crls, running

from .pages import ROOT

KEPT = RetentionSettings()
SAYINGS = {
    "certificates": (
        f"{client_keys.MAX_BYTES // 1024} KiB, and less than {outbound.FETCH_SECONDS + 0.5:.0f} s",
        f"between {client_keys.LEAST_FRESH} s and {client_keys.MOST_FRESH // 3600} h",
        f"; {client_keys.DEFAULT_FRESH // 60} minutes where they say nothing",
        f"at most once in {client_keys.PAUSE_SECONDS} s for each URL",
        f"serves for {client_keys.KEPT_SECONDS // 3600} h",
        f"one of more than {jwks.MAX_KEYS} keys",
        f"RSA of {policy.MINIMUM_RSA_BITS} to {policy.MAXIMUM_RSA_BITS} bits",
        f"with exponent {policy.MINIMUM_RSA_EXPONENT} or above",
        f"at most {validation.MAXIMUM_CERTIFICATES} certificates, {validation.MAXIMUM_PRESENTED_BYTES // 1024} KiB",
        f"at most {certificate.MAXIMUM_ALTERNATIVE_NAMES} alternative names",
    ),
    "revocation": (
        f"At most {crl.MAXIMUM_CRL >> 20} MB and {crls.FETCH_SECONDS:.0f} s are spent on one list",
        f"{trust_policies.MAXIMUM_GRACE // DAY} days at most",
        f"{outbound.FETCH_SECONDS} s at most",
        f"asked again after {ocsp_answers.AFTER_FAILURE.seconds} s",
    ),
    "rotation": (
        f"{WARNING_DAYS[3]}, {WARNING_DAYS[2]}, {WARNING_DAYS[1]} and {WARNING_DAYS[0]} days before",
        f"not seen for {KEPT.sighting_days} days",
        f"good for {LifetimeSettings().access_token} s",
    ),
    "stolen-key": (
        f"Up to {blocks.MAX_OBTAINED} of each type",
        f"goes back {KEPT.issued_token_days} days",
        f"{blocks.MAX_UNBOUND:,} for each block",
    ),
    "refusals": (f"refusals`, {KEPT.refusals:,}", f"{KEPT.refusal_days} days"),
    "workload-identity": (
        f"at most {spiffe.MAXIMUM_BUNDLE >> 20} MiB",
        f"{trust_bundles.DEFAULT_REFRESH} where the bundle names none, within {bundles.LEAST_SECONDS} s and an hour",
    ),
}


@pytest.mark.parametrize("name", SAYINGS)
def test_the_numbers_of_a_page_are_those_of_the_code(name: str) -> None:
    page = " ".join(ROOT.joinpath("docs", f"{name}.md").read_text("utf-8").split())
    for saying in SAYINGS[name]:
        assert saying in page


def test_the_numbers_in_words_are_those_of_the_code() -> None:
    assert subject_attributes.MAXIMUM_ATTRIBUTES == 10
    assert (Refusals.PER_SECOND, Refusals.BURST) == (10, 100)
    assert (crls.LEAST_SECONDS, crls.MOST_SECONDS, bundles.MOST_SECONDS, running.RETRY_SECONDS) == (60, 3600, 3600, 60)
    assert (ocsp_answers.BRIEF.seconds, SHORT_LIVED) == (60, 2 * DAY)
