"""One check of a decision: what was looked at, what was wanted, what was found."""

from typing import Any, NamedTuple


class Check(NamedTuple):
    """One line of a decision trace, for the log and for `certbound explain`; never shown to a client as it is.

    `check` names it in snake_case, `expected` and `found` are one-line texts without secrets, `reference` is the
    standard's section, for instance "RFC 8705 section 2.1".
    """

    check: str
    passed: bool
    expected: str
    found: str
    reference: str

    def as_json(self) -> dict[str, Any]:
        """Give the members that `certbound explain --json` prints."""
        return {
            "check": self.check,
            "passed": self.passed,
            "expected": self.expected,
            "found": self.found,
            "reference": self.reference,
        }
