from pathlib import Path

import pytest

from certbound.config.loading import SettingsError, load_settings

LISTENER = '[[listener]]\nname = "main"\nbind = "127.0.0.1:0"\ntls_certificate = "s.crt"\ntls_key = "s.key"\n'


def write(folder: Path, text: str = "") -> Path:
    path = folder / "certbound.toml"
    path.write_text(text + LISTENER)
    return path


def test_relative_paths_are_taken_from_the_folder_of_the_file(tmp_path: Path) -> None:
    settings = load_settings(write(tmp_path), {})
    assert settings.store.url == f"sqlite:///{tmp_path / 'certbound.db'}"
    assert settings.store.master_key_file == tmp_path / "master.key"
    assert settings.listener[0].tls_key == tmp_path / "s.key"
    assert settings.default_audience == settings.issuer


def test_the_environment_overrides_the_file(tmp_path: Path) -> None:
    secret = tmp_path / "url"
    secret.write_text("postgresql://u:p@db/certbound\n")
    environ = {
        "CERTBOUND__ISSUER": "https://as.example.com",
        "CERTBOUND__OAUTH__PASSWORD_GRANT": "true",
        "CERTBOUND__STORE__URL_FILE": str(secret),
        "CERTBOUND__STORE__MASTER_KEY_FILE": "/run/master.key",
        "CERTBOUND__LISTENER__0__BIND": "127.0.0.1:9443",
        "CERTBOUND__OAUTH__CLIENT_AUTHENTICATION_METHODS": '["tls_client_auth"]',
        "HOME": "/nowhere",
    }
    settings = load_settings(write(tmp_path, 'issuer = "https://old.example.com"\n'), environ)
    assert settings.issuer == "https://as.example.com"
    assert settings.oauth.password_grant
    assert settings.store.url == "postgresql://u:p@db/certbound"
    assert settings.store.master_key_file == Path("/run/master.key")
    assert settings.listener[0].bind == "127.0.0.1:9443"
    assert settings.oauth.client_authentication_methods == ("tls_client_auth",)


@pytest.mark.parametrize(
    ("text", "environ", "said"),
    [
        ("isuer = 1\n", {}, "did you mean 'issuer'"),
        ("[oauth]\npasword_grant = true\n", {}, "'oauth.pasword_grant': did you mean 'password_grant'"),
        ("[oauth]\nzzz = 1\n", {}, "known here: client_authentication_methods"),
        ('issuer = "http://as.example.com"\n', {}, "issuer: write an https URL"),
        ('issuer = "https://as.example.com?x"\n', {}, "issuer: write an https URL"),
        ("[lifetimes]\naccess_token = 0\n", {}, "lifetimes.access_token"),
        ('[store]\nurl = "mysql://db/certbound"\n', {}, "store.url: write sqlite:///FILE or postgresql://"),
        ('[store]\nurl = "certbound.db"\n', {}, "store.url: write sqlite:///FILE or postgresql://"),
        ("[oauth\n", {}, "certbound.toml"),
        (LISTENER, {}, "2 listeners have the same name"),
        ("", {"CERTBOUND__LISTENER__4__BIND": "x"}, "CERTBOUND__LISTENER__4__BIND: there is no '4'"),
        ("", {"CERTBOUND__LISTENER__BIND": "x"}, "for instance CERTBOUND__LISTENER__0__BIND"),
        ("", {"CERTBOUND__LISTENER__0": "x"}, "for instance CERTBOUND__LISTENER__0__BIND"),
        ("", {"CERTBOUND__STORE__URL_FILE": "/nowhere/url"}, "CERTBOUND__STORE__URL_FILE"),
    ],
)
def test_one_line_names_the_place_and_what_to_write(
    tmp_path: Path, text: str, environ: dict[str, str], said: str
) -> None:
    with pytest.raises(SettingsError) as refused:
        load_settings(write(tmp_path, text), environ)
    assert said in str(refused.value)
    assert len(str(refused.value).splitlines()) == 1


def test_settings_without_a_listener_say_that_one_is_missing(tmp_path: Path) -> None:
    path = tmp_path / "certbound.toml"
    for text in ("", "listener = []\n"):
        path.write_text(text)
        with pytest.raises(SettingsError, match=r"certbound\.toml: listener: .* at least 1"):
            load_settings(path, {})


def test_a_missing_file_tells_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="certbound init"):
        load_settings(tmp_path / "certbound.toml", {})
