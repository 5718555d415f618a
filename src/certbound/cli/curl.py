"""The curl line that gets a token for one client, ready to be copied."""

import shlex
from pathlib import Path
from urllib.parse import quote_plus

from certbound.certificates.files import CertificateFileError, read_certificate
from certbound.cli.files import FileError, read_bytes
from certbound.config.settings import Settings
from certbound.oauth.client_assertion import ASSERTION_TYPE
from certbound.oauth.registration import AuthenticationMethod, Client

_SECRET = "SECRET"


def token_command(
    client: Client, settings: Settings, *, secret: str | None = None, certificate: Path | None = None
) -> str:
    """Give the line; what only the caller knows stands in it in capitals, or as the file names of `cert new`."""
    words = ["curl", *_server_roots(settings)]
    if client.token_endpoint_auth_method.is_mutual_tls or client.tls_client_certificate_bound_access_tokens:
        file = certificate or Path("certificate.pem")
        words += ["--cert", str(file), "--key", str(file.with_name("key.pem"))]
    words += _credentials(client, secret or _SECRET)
    words += _grant(client)
    return shlex.join([*words, f"{settings.issuer.rstrip('/')}/oauth2/token"])


def _server_roots(settings: Settings) -> list[str]:
    """Name the server's own certificate where no public authority vouches for it."""
    file = next((listener.tls_certificate for listener in settings.listener if listener.tls_certificate), None)
    if file is None:
        return []
    try:
        own = read_certificate(read_bytes(file), str(file)).is_self_issued
    except (FileError, CertificateFileError):
        return []
    return ["--cacert", str(file)] if own else []


def _credentials(client: Client, secret: str) -> list[str]:
    if client.token_endpoint_auth_method is AuthenticationMethod.CLIENT_SECRET_BASIC:
        # Form-encoded before they are joined (RFC 6749 section 2.3.1).
        return ["--user", f"{quote_plus(client.client_id)}:{quote_plus(secret)}"]
    words = ["--data-urlencode", f"client_id={client.client_id}"]
    if client.token_endpoint_auth_method is AuthenticationMethod.PRIVATE_KEY_JWT:
        words += ["--data-urlencode", f"client_assertion_type={ASSERTION_TYPE}", "-d", "client_assertion=ASSERTION"]
    if client.token_endpoint_auth_method is AuthenticationMethod.CLIENT_SECRET_POST:
        words += ["--data-urlencode", f"client_secret={secret}"]
    return words


def _grant(client: Client) -> list[str]:
    if "client_credentials" in client.grant_types or "password" not in client.grant_types:
        return ["-d", f"grant_type={client.grant_types[0]}"]
    return ["-d", "grant_type=password", "-d", "username=USERNAME", "-d", "password=PASSWORD"]
