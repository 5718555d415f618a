from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from certbound.fetch.freshness import freshness

DATE = "Tue, 24 Nov 2026 12:00:00 GMT"
LATER = "Tue, 24 Nov 2026 13:00:00 GMT"


def fresh(headers: dict[str, str]) -> int:
    return freshness(headers, least=60, most=86_400, default=300)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, 300),
        ({"cache-control": "public, must-revalidate"}, 300),
        ({"cache-control": "max-age=600"}, 600),
        ({"cache-control": "public,MAX-AGE = 600 , immutable"}, 600),
        ({"cache-control": 'max-age="600"'}, 600),
        ({"cache-control": "max-age=600, max-age=900"}, 600),
        ({"cache-control": "max-age=600", "age": "200"}, 400),
        ({"cache-control": "max-age=600", "age": "later"}, 600),
        ({"cache-control": "max-age=600", "expires": DATE, "date": DATE}, 600),
        ({"cache-control": "max-age=600, no-cache"}, 60),
        ({"cache-control": "no-store"}, 60),
        ({"cache-control": 'ext="no-store", max-age=600'}, 600),
        ({"cache-control": "s-maxage=600"}, 300),
        ({"cache-control": "max-age=0"}, 60),
        ({"cache-control": "max-age=-5"}, 60),
        ({"cache-control": "max-age=soon"}, 60),
        ({"cache-control": "max-age"}, 60),
        ({"cache-control": "max-age=\u0664\u0662"}, 60),
        ({"cache-control": "max-age=" + "9" * 5000}, 86_400),
        ({"cache-control": "max-age=99999999"}, 86_400),
        ({"cache-control": "max-age=100", "age": "99999999999999999"}, 60),
        ({"expires": LATER, "date": DATE}, 3600),
        ({"expires": LATER, "date": DATE, "age": "600"}, 3000),
        ({"expires": DATE, "date": LATER}, 60),
        ({"expires": "0"}, 60),
        ({"expires": "-1", "date": DATE}, 60),
        ({"expires": LATER, "date": "yesterday"}, 60),
        ({"expires": "Tue, 24 Nov 2026 13:00:00", "date": DATE}, 60),
    ],
)
def test_an_answer_is_fresh_for_as_long_as_its_headers_say_within_bounds(headers: dict[str, str], seconds: int) -> None:
    assert fresh(headers) == seconds


def test_an_expiry_without_a_date_counts_from_now() -> None:
    expires = format_datetime(datetime.now(UTC) + timedelta(hours=1), usegmt=True)
    assert 3500 < fresh({"expires": expires}) <= 3600


@given(st.dictionaries(st.sampled_from(["cache-control", "expires", "date", "age"]), st.text(max_size=60)))
def test_no_header_leads_out_of_bounds(headers: dict[str, str]) -> None:
    assert 60 <= fresh(headers) <= 86_400
