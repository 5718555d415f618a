import ssl
import subprocess
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from certbound.certificates.certificate import parse_certificate
from certbound.certificates.names import Attribute, DistinguishedName, DistinguishedNameError, parse_rfc4514
from certbound.certificates.pasted import parse_pasted
from certbound.certificates.preparation import refused_character

_SUBJECTS = (
    "/C=SE/O=Acme/CN=api",
    '/C=SE/O=Acme, Inc. "x"/OU=å ö+UID=z/CN=a\\/b/emailAddress=a@b.c/serialNumber=12',
    "/CN=api/O=Acme/C=SE",
    "/CN=api",
    "/DC=org/DC=example/CN=a + b = c",
)


@pytest.mark.parametrize("subject", _SUBJECTS)
def test_whatever_openssl_and_keytool_print_is_read_as_the_certificate_s_subject(openssl: Any, subject: str) -> None:
    path = openssl.self_signed("-subj", subject, "-multivalue-rdn")
    expected = parse_certificate(ssl.PEM_cert_to_DER_cert(path.read_text())).subject
    for option in ("oneline", "oneline,utf8,-esc_msb", "rfc2253", "rfc2253,utf8,-esc_msb", "compat"):
        if option == "compat" and "+" in subject:
            continue  # nothing escapes a plus there: the test below
        printed = openssl("x509", "-in", path, "-noout", "-subject", "-nameopt", option).decode()
        assert parse_pasted(printed)[0] == expected, printed
        bare = printed.removeprefix("subject=")
        assert parse_pasted(bare)[0] == expected, bare
    text = openssl("x509", "-in", path, "-noout", "-text").decode()
    assert parse_pasted(next(line for line in text.splitlines() if "Subject:" in line))[0] == expected
    keytool = subprocess.run(["keytool", "-printcert", "-file", path], capture_output=True, check=True)
    owner = keytool.stdout.decode().splitlines()[0]
    assert owner.startswith("Owner:")
    assert parse_pasted(owner)[0] == expected, owner


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("CN=api,O=Acme,C=SE", "CN=api,O=Acme,C=SE"),
        ("CN=api, O=Acme, C=SE", "CN=api,O=Acme,C=SE"),
        ("/C=SE/O=Acme/CN=api", "CN=api,O=Acme,C=SE"),
        ("/C=SE/O=Acme/CN=https://x/y", "CN=https://x/y,O=Acme,C=SE"),
        ("/O=\\xC3\\x85/CN=a", "CN=a,O=Å"),
        ("/O=x/CN=a+UID=b", "CN=a+UID=b,O=x"),
        ("subject=C = SE, O = Acme, CN = api", "CN=api,O=Acme,C=SE"),
        ("subject=C=SE, O=Acme, CN=api", "CN=api,O=Acme,C=SE"),
        ("subject= C = SE, O = Acme, CN = api\n", "CN=api,O=Acme,C=SE"),
        ("subject= /C=SE/CN=api", "CN=api,C=SE"),
        ("subject=CN=api,O=Acme\\, Inc.,C=SE", "CN=api,O=Acme\\, Inc.,C=SE"),
        ("C = SE, CN = api", "CN=api,C=SE"),
        (
            "EMAILADDRESS=a@b.c, CN=api, SERIALNUMBER=1, OID.1.2.3=#130161, C=SE",
            "emailAddress=a@b.c,CN=api,serialNumber=1,1.2.3=#0c0161,C=SE",
        ),
        ("Owner: CN=api, C=SE", "CN=api,C=SE"),
        ("CN = api", "CN=api"),
        ("Subject: C=SE, O=Acme, CN=api", "CN=api,O=Acme,C=SE"),
        ("Subject: CN=api, O=Acme, C=SE", "CN=api,O=Acme,C=SE"),
        ("subject=CN=api, O=Acme, C=SE", "C=SE,O=Acme,CN=api"),
        ("Subject: C = SE, O = Acme + CN = api", "CN=api+O=Acme,C=SE"),
        ("emailAddress = a@b.c, CN = api", "CN=api,emailAddress=a@b.c"),
        (
            "SERIALNUMBER=1, OID.2.5.4.97=PSDSE-FINA-1, O=Acme",
            "serialNumber=1,organizationIdentifier=PSDSE-FINA-1,O=Acme",
        ),
        ("OID.2.5.4.97=#0c0c50534453452d46494e412d31,O=Acme", "organizationIdentifier=PSDSE-FINA-1,O=Acme"),
        (
            "1.3.6.1.4.1.311.60.2.1.3=#13024252,2.5.4.15=#0c0750726976617465,UID=a,CN=x",
            "jurisdictionC=BR,businessCategory=Private,UID=a,CN=x",
        ),
        ('CN=api, O="Acme, Inc.", S=x, E=a@b.c', "CN=api,O=Acme\\, Inc.,ST=x,emailAddress=a@b.c"),
    ],
)
def test_spellings_people_paste(text: str, name: str) -> None:
    assert parse_pasted(text)[0].text == name


@pytest.mark.parametrize(
    ("text", "warning"),
    [
        ("C=SE,O=Acme,CN=api", "looks reversed.*CN=api,O=Acme,C=SE"),
        ("O=Acme, CN=api", "looks reversed"),
        ("DC=org,DC=example,CN=api", "looks reversed"),
        ("C=SE,ST=x,O=Acme,OU=y", "looks reversed.*OU=y,O=Acme,ST=x,C=SE"),
        ("OU=y,CN=api", "looks reversed"),
        ("jurisdictionC=US,businessCategory=x,serialNumber=1,C=US,O=Acme,CN=api", "looks reversed"),
        ("CN=api,O=Acme,C=US,serialNumber=1,businessCategory=x,jurisdictionC=US", None),
        ("serialNumber=1,O=Acme,C=SE", None),
        ("EMAILADDRESS=a@b.c, CN=api, OU=y, O=Acme, C=SE", None),
        ("OID.2.5.4.97=x, businessCategory=y", None),
        ("/C=SE/CN=api", "turned round to CN=api,C=SE"),
        ("C = SE, CN = api", "turned round to CN=api,C=SE"),
        ("/CN=a+UID=b", "joining two attributes"),
        ("CN=api,O=Acme,C=SE", None),
        ("CN=api", None),
        ("CN=api,DC=example,DC=org", None),
    ],
)
def test_a_person_is_warned_of_what_may_be_meant_otherwise(text: str, warning: str | None) -> None:
    import re

    _, warnings = parse_pasted(text)
    if warning is None:
        assert warnings == ()
    else:
        assert re.search(warning, " ".join(warnings))


@pytest.mark.parametrize(
    "text", ["/", "/api", "/WHAT=x", "/O=\\xff", "subject=", "api", "/CN=a\0", "x" * 9000, "CN=a\\", "CN=a\\\n"]
)
def test_what_is_no_name_is_refused(text: str) -> None:
    if text == "subject=":
        assert not parse_pasted(text)[0]
        return
    with pytest.raises(DistinguishedNameError):
        parse_pasted(text)


_attributes = st.builds(
    Attribute,
    st.sampled_from(["2.5.4.3", "2.5.4.10", "2.5.4.6", "1.2.3.4"]),
    st.text(' /=+,\\"aZ', max_size=6) | st.text(max_size=6).filter(lambda text: refused_character(text) is None),
)


@settings(deadline=None)
@given(st.lists(st.lists(_attributes, min_size=1, max_size=2).map(tuple), min_size=1, max_size=4).map(tuple))
def test_what_we_print_is_read_as_it_is(rdns: tuple[tuple[Attribute, ...], ...]) -> None:
    name = DistinguishedName(rdns)
    for text in (name.text, f" {name.text}\n", f"subject={name.text}"):
        assert parse_pasted(text)[0].rdns == name.rdns


@settings(deadline=None)
@given(st.text(max_size=50) | st.text('/=+,\\x CNO "', max_size=30))
def test_arbitrary_text_is_a_name_or_refused(text: str) -> None:
    try:
        name, warnings = parse_pasted(text)
    except DistinguishedNameError as error:
        message = str(error)
        assert message
        return
    assert all(warnings)
    assert parse_rfc4514(name.text) == name
