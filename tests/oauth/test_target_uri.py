import pytest

from certbound.oauth.target_uri import target_uri


@pytest.mark.parametrize(
    ("url", "normal"),
    [
        ("https://h", "https://h/"),
        ("https://h?a#b", "https://h/"),
        ("HTTP://H:80", "http://h/"),
        ("http://h:443/", "http://h:443/"),
        ("https://h:80/", "https://h:80/"),
        ("https://[::1]/a", "https://[::1]/a"),
        ("https://[::1]:443/a", "https://[::1]/a"),
        ("https://[2001:DB8::1]:8443/a", "https://[2001:db8::1]:8443/a"),
        ("https://h/a//b/", "https://h/a//b/"),
        ("https://h/a/b/..", "https://h/a/"),
        ("https://h/a/b/.", "https://h/a/b/"),
        ("https://h/..", "https://h/"),
        ("https://h/../../a", "https://h/a"),
        ("https://h/...", "https://h/..."),
        ("https://h/%7eA%2f%c3%A5%25", "https://h/~A%2F%C3%A5%25"),
        ("https://h/" + "x" * 2038, "https://h/" + "x" * 2038),
        ("https://h/!~", "https://h/!~"),
    ],
)
def test_a_url_has_one_normal_form(url: str, normal: str) -> None:
    assert target_uri(url) == normal
    assert target_uri(normal) == normal


@pytest.mark.parametrize(
    "url",
    [
        "", "h", "/a", "//h/a", "ftp://h/", "https:", "https:h", "https:///a", "https://:443/a", "https://?a", "https://u@h/",
        "https://u:p@h/", "https://@h/", "https://%68/", "https://h\\a/", "https://h:x/", "https://h:65536/", "https://[::1/",
        "https://h/%", "https://h/%4", "https://h/%4/", "https://h/%zz", "https://h/%%41", "https://h/a b", "https://h/\x7f",
        "https://h/å", "https://h/a\n", "https://h/" + "x" * 2039, "https://h/\u0130",
    ],
)  # fmt: skip
def test_what_is_no_url_of_a_target_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        target_uri(url)
