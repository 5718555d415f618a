from pathlib import Path

import pytest

from certbound.config.loading import SettingsError, load_settings

from .test_loading import write

STATEMENTS = '[[oauth.software_statement_issuer]]\nissuer = "https://directory.example"\n'


def test_clients_do_not_register_themselves_unless_that_is_switched_on(tmp_path: Path) -> None:
    assert load_settings(write(tmp_path), {}).oauth.dynamic_registration is False


@pytest.mark.parametrize("value", [True, False, "initial-access-token"])
def test_registering_is_switched_by_the_file_or_a_variable(tmp_path: Path, value: bool | str) -> None:
    written = f'"{value}"' if isinstance(value, str) else str(value).lower()
    in_file = load_settings(write(tmp_path, f"[oauth]\ndynamic_registration = {written}\n"), {})
    environ = {"CERTBOUND__OAUTH__DYNAMIC_REGISTRATION": written.strip('"')}
    in_variable = load_settings(write(tmp_path), environ)
    assert in_file.oauth.dynamic_registration == in_variable.oauth.dynamic_registration == value


def test_the_files_of_statement_issuers_lie_beside_the_settings(tmp_path: Path) -> None:
    text = STATEMENTS + 'jwks = "directory.json"\ncertificate_subject = { CN = "software_id" }\n'
    [issuer] = load_settings(write(tmp_path, text), {}).oauth.software_statement_issuer
    assert issuer.jwks == tmp_path / "directory.json"
    assert issuer.certificate_subject == {"CN": "software_id"}


@pytest.mark.threat("51")
@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[oauth]\ndynamic_registration = "everybody"\n', "True or 'initial-access-token'"),
        ('[oauth]\ndynamic_registration = "yes"\n', "True or 'initial-access-token'"),
        ('[oauth]\nregistration_scopes = ["read", "certbound.admin"]\n', "'certbound.admin' is no scope"),
        (STATEMENTS, "either jwks or jwks_uri"),
        (STATEMENTS + 'jwks = "a"\njwks_uri = "https://a.example/jwks"\n', "either jwks or jwks_uri"),
        (STATEMENTS + 'jwks_uri = "http://a.example/jwks"\n', "https URL"),
        (STATEMENTS + 'jwks = "a"\nsingle = true\n', "did you mean 'single_instance'"),
    ],
)
def test_one_line_says_what_to_write(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(SettingsError, match=r"^\S+: [^\n]+$") as refused:
        load_settings(write(tmp_path, text), {})
    assert said in str(refused.value)
