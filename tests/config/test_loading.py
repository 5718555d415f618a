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
        ('[outbound]\nallow = ["10.0.0.0/33"]\n', {}, "outbound.allow.0: write a network in CIDR form"),
        ('[outbound]\nallow = ["10.1.0.0/8"]\n', {}, "did you mean 10.0.0.0/8?"),
        ('[outbound]\nallow = ["intranet"]\n', {}, "for instance 10.0.0.0/8, not 'intranet'"),
        ('[outbound]\nallow = "10.0.0.0/8"\n', {}, "outbound.allow"),
        ('[outbound]\nproxy = "proxy:3128"\n', {}, "outbound.proxy: write http://HOST:PORT or https://HOST:PORT"),
        ('[outbound]\nproxy = "http://proxy"\n', {}, "the port of the proxy is missing"),
        ('[outbound]\nproxy = "http://u:secret@proxy:3128"\n', {}, "the URL carries credentials"),
        ('[outbound]\nproxy = "socks5://proxy:1080"\n', {}, "outbound.proxy: write http://"),
        ('[outbound]\nproxy = "http://proxy:3128/x"\n', {}, "a proxy has no path"),
        ('[outbound]\nca_file = "/nowhere/roots.pem"\n', {}, "outbound.ca_file: [Errno 2]"),
        ('[outbound]\nca_file = "certbound.toml"\n', {}, "holds no PEM certificate"),
        ("[retention]\nrefusals = 0\n", {}, "retention.refusals"),
        ("[retention]\nrefusal_days = -1\n", {}, "retention.refusal_days"),
        ("[retention]\nrefusal_day = 1\n", {}, "did you mean 'refusal_days'"),
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


def test_what_the_server_fetches_and_keeps_has_its_own_sections(tmp_path: Path) -> None:
    (tmp_path / "roots.pem").write_text("-----BEGIN CERTIFICATE-----\n")
    text = (
        '[outbound]\nallow = ["10.0.0.0/8", "fd00::/8", "192.0.2.1"]\nca_file = "roots.pem"\n'
        'proxy = "http://[::1]:3128"\n[retention]\nrefusals = 5\n'
    )
    settings = load_settings(write(tmp_path, text), {"CERTBOUND__RETENTION__SIGHTING_DAYS": "7"})
    assert settings.outbound.allow == ("10.0.0.0/8", "fd00::/8", "192.0.2.1/32")
    assert settings.outbound.ca_file == tmp_path / "roots.pem"
    assert settings.outbound.proxy == "http://[::1]:3128"
    assert (settings.retention.refusals, settings.retention.sighting_days) == (5, 7)


def test_empty_text_is_no_file_and_no_proxy(tmp_path: Path) -> None:
    for text in ("", '[outbound]\nallow = []\nca_file = ""\nproxy = ""\n'):
        outbound = load_settings(write(tmp_path, text), {}).outbound
        assert (outbound.allow, outbound.ca_file, outbound.proxy) == ((), None, None)


def test_settings_without_a_listener_say_that_one_is_missing(tmp_path: Path) -> None:
    path = tmp_path / "certbound.toml"
    for text in ("", "listener = []\n"):
        path.write_text(text)
        with pytest.raises(SettingsError, match=r"certbound\.toml: listener: .* at least 1"):
            load_settings(path, {})


def test_a_missing_file_tells_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="certbound init"):
        load_settings(tmp_path / "certbound.toml", {})
