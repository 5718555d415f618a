import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from certbound.certificates.comparison import AttributeComparison, aligned, first_difference
from certbound.certificates.names import MAXIMUM_ATTRIBUTES, Attribute, DistinguishedName, parse_rfc4514

_attributes = st.builds(Attribute, st.sampled_from(["2.5.4.3", "2.5.4.11", "1.2.3.4"]), st.sampled_from("aAbx"))
_names = st.lists(st.lists(_attributes, min_size=1, max_size=2).map(tuple), max_size=6).map(
    lambda rdns: DistinguishedName(tuple(rdns))
)


def _lines(expected: str, found: str) -> list[tuple[str | None, str | None, bool]]:
    lines = aligned(parse_rfc4514(expected), parse_rfc4514(found))
    return [(line.expected, line.found, line.equal) for line in lines]


@pytest.mark.parametrize(
    ("expected", "found", "lines"),
    [
        ("", "", []),
        ("CN=api,O=Acme", "cn=API, o=ACME", [("CN=api", "CN=API", True), ("O=Acme", "O=ACME", True)]),
        (
            "CN=api,OU=x,O=Acme,C=SE",
            "CN=api,OU=y,O=Acme,C=SE",
            [
                ("CN=api", "CN=api", True),
                ("OU=x", "OU=y", False),
                ("O=Acme", "O=Acme", True),
                ("C=SE", "C=SE", True),
            ],
        ),
        (
            "CN=api,OU=x,O=Acme,C=SE",
            "CN=api,O=Acme,C=SE",
            [
                ("CN=api", "CN=api", True),
                ("OU=x", None, False),
                ("O=Acme", "O=Acme", True),
                ("C=SE", "C=SE", True),
            ],
        ),
        (
            "CN=api,C=SE",
            "serialNumber=1,CN=other,C=SE",
            [(None, "serialNumber=1", False), ("CN=api", "CN=other", False), ("C=SE", "C=SE", True)],
        ),
        ("CN=a+UID=b,O=c", "UID=B+CN=A,O=C", [("CN=a+UID=b", "CN=A+UID=B", True), ("O=c", "O=C", True)]),
        ("CN=a+CN=victim", "CN=victim", [("CN=a+CN=victim", "CN=victim", False)]),
        ("CN=a", "O=a", [("CN=a", "O=a", False)]),
    ],
)
def test_names_are_aligned_by_equality_then_by_type(
    expected: str, found: str, lines: list[tuple[str | None, str | None, bool]]
) -> None:
    assert _lines(expected, found) == lines


@settings(deadline=None)
@given(_names, _names)
def test_every_part_of_both_names_is_shown_once_and_in_order(a: DistinguishedName, b: DistinguishedName) -> None:
    lines = aligned(a, b)
    assert ",".join(line.expected for line in lines if line.expected is not None) == a.text
    assert ",".join(line.found for line in lines if line.found is not None) == b.text
    assert all(line.equal for line in lines) == (a == b) == (first_difference(a, b) is None)
    assert AttributeComparison(None, None, equal=False) not in lines


def test_a_difference_is_named_attribute_by_attribute() -> None:
    expected, found = parse_rfc4514("CN=api,OU=x,O=Acme"), parse_rfc4514("CN=API,OU=y,O=Acme")
    assert first_difference(expected, found) == "at position 2 OU=y where OU=x is registered"
    assert first_difference(expected, parse_rfc4514("CN=api")) == "at position 2 nothing where OU=x is registered"
    assert first_difference(parse_rfc4514("CN=api"), found) == "at position 2 OU=y where nothing is registered"
    shorter = parse_rfc4514("CN=api,O=Acme")
    assert first_difference(expected, shorter) == "at position 2 nothing where OU=x is registered"


def test_the_largest_names_are_compared_in_bounded_time() -> None:
    half = MAXIMUM_ATTRIBUTES // 2
    one = parse_rfc4514(",".join(["CN=a", "CN=b"] * half))
    started = time.process_time()
    for other in (",".join(["CN=b", "CN=a"] * half), ",".join(["CN=a"] * 2 * half), ",".join(["CN=c"] * 2 * half)):
        assert first_difference(one, parse_rfc4514(other)) is not None
    assert time.process_time() - started < 2
