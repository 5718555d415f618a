"""Names as people write them: RFC 4514, what is pasted, the five subject parameters."""

from collections.abc import Iterator

from certbound.certificates.names import DistinguishedNameError, parse_rfc4514
from certbound.certificates.pasted import parse_pasted
from certbound.certificates.subject import PARAMETERS, SubjectMatch
from fuzz.target import Target, expect

_WORDS = tuple(
    b'CN= O= OU= UID= DC= SERIALNUMBER= 2.5.4.3= OID.1.2.3= =#0c0161 \\2C \\, + , ; / " \\ # subject='.split()
)
_TEXTS = (
    "CN=api,O=Acme\\, Inc.,C=SE",
    'CN="a, b" + UID = 42, DC=example , DC=com',
    "1.2.3.4=#0c0161,OID.2.5.4.3=\\c3\\a5",
    "/C=SE/O=Acme/OU=a+CN=api/emailAddress=a@b.c",
    "subject=C = SE, O = Acme, CN = api",
    "subject: CN=api, OU=x, O=Acme",
    "Owner: EMAILADDRESS=a@b.c, SERIALNUMBER=12, CN=\\ api\\ ",
    "/CN=\\xC3\\xA5\\/b",
    "O=Stra\u00dfe a\u030akesson \uff21",
    "",
)


def _texts() -> Iterator[bytes]:
    return (text.encode() for text in _TEXTS)


def _rfc4514(data: bytes) -> None:
    name = parse_rfc4514(_text(data))
    again = parse_rfc4514(name.text)
    expect(again == name and again.text == name.text, "the text reads as another name")


def _pasted(data: bytes) -> None:
    name, warnings = parse_pasted(_text(data))
    expect(parse_rfc4514(name.text) == name, "the text reads as another name")
    "".join(warnings).encode()


def _subject(data: bytes) -> None:
    which, _, text = _text(data).partition(":")
    parameter = f"tls_client_auth_{which}"
    found = SubjectMatch.parse(parameter, text)
    expect(SubjectMatch.parse(parameter, found.value) == found, "what was registered reads as something else")


def _subjects() -> Iterator[bytes]:
    values = (_TEXTS[0], "api.Example.com", "spiffe://acme.test/api", "2001:DB8::1", "Api@Example.com")
    return (
        f"{name.removeprefix('tls_client_auth_')}:{text}".encode()
        for name, text in zip(PARAMETERS, values, strict=True)
    )


def _text(data: bytes) -> str:
    """Give text as a command line has it: octets that are no UTF-8 are lone surrogates."""
    return data.decode("utf-8", "surrogateescape")


_KINDS = (b"subject_dn:", b"san_dns:", b"san_uri:", b"san_ip:", b"san_email:")
TARGETS = (
    Target("names.parse_rfc4514", _rfc4514, (DistinguishedNameError,), _texts, words=_WORDS, maximum=9000),
    Target("pasted.parse_pasted", _pasted, (DistinguishedNameError,), _texts, words=_WORDS, maximum=9000),
    Target("subject.parse", _subject, (ValueError,), _subjects, words=(*_WORDS, *_KINDS), maximum=9000),
)
