"""What the page for authors of APIs says."""

import re
from pathlib import Path
from typing import Any

from certbound.oauth.blocking import CLOCK_SECONDS, LIST_TYPE, METADATA_MEMBER
from certbound.resource import CertificateBoundMiddleware, blocked

PAGE = Path(__file__).parents[2].joinpath("docs", "apis.md").read_text("utf-8")


def test_the_lines_that_are_shown_make_an_app() -> None:
    (shown,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    names: dict[str, Any] = {"app": None}
    exec(shown, names)  # noqa: S102
    assert isinstance(names["app"], CertificateBoundMiddleware)


def test_the_times_and_names_are_those_of_the_code() -> None:
    assert f"is {blocked.STALE_SECONDS} s old" in PAGE
    assert f"one fetch in {blocked.STALE_SECONDS} s" in PAGE
    assert f"is {blocked.OLD_SECONDS} s old" in PAGE
    assert f"at most {blocked.TIMEOUT_SECONDS} s" in PAGE
    assert f"made after {blocked.RETRY_SECONDS} s" in PAGE
    assert (CLOCK_SECONDS, "behind the issuer's by a minute" in PAGE) == (60, True)
    assert f"`{METADATA_MEMBER}`" in PAGE
    assert f"`{LIST_TYPE}`" in PAGE
