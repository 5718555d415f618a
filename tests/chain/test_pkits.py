from pathlib import Path

import pytest

from .pkits import REASONS, Outcome, outcomes, page


def _disagreements() -> dict[str, Outcome]:
    return {result.test: result for result in outcomes() if not result.agrees}


def test_every_test_of_the_sections_is_run() -> None:
    sections = [result.section for result in outcomes()]
    counts = {section: sections.count(section) for section in sections}
    assert counts == {
        "4.1": 6,
        "4.2": 8,
        "4.3": 11,
        "4.4": 21,
        "4.5": 8,
        "4.6": 17,
        "4.7": 5,
        "4.13": 38,
        "4.14": 35,
        "4.15": 10,
        "4.16": 2,
    }


@pytest.mark.threat("B22")
def test_every_disagreement_with_nist_has_its_reason_and_none_accepts_what_nist_refuses() -> None:
    disagreements = _disagreements()
    assert disagreements.keys() == REASONS.keys()
    assert not [test for test, result in disagreements.items() if result.accepted]


def test_the_page_says_what_was_found() -> None:
    written = Path(__file__).parents[2] / "docs" / "pkits.md"
    assert written.read_text() == page(), "write it anew: .venv/bin/python tests/chain/pkits.py > docs/pkits.md"
