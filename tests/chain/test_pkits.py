from pathlib import Path

from .pkits import REASONS, outcomes, page


def test_every_disagreement_with_nist_has_its_reason_and_none_of_ours_is_a_free_accept() -> None:
    results = list(outcomes())
    assert len(results) == 90
    disagreements = {result.test: result for result in results if not result.agrees}
    assert disagreements.keys() == REASONS.keys()
    accepts = {test for test, result in disagreements.items() if result.accepted}
    assert all("cRLSign" in REASONS[test] for test in accepts)


def test_the_page_says_what_was_found() -> None:
    written = Path(__file__).parents[2] / "docs" / "pkits.md"
    assert written.read_text() == page(), "write it anew: .venv/bin/python tests/chain/pkits.py > docs/pkits.md"
