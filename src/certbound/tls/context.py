"""A server's TLS context from its files: BCP 195 settings, any client certificate taken, none believed."""

import hashlib
import logging
import re
import stat
from pathlib import Path
from typing import Any

from OpenSSL import SSL, crypto

logger = logging.getLogger(__name__)

# ECDHE and AEAD only (RFC 9325 section 4.2); the shorter keys first, they are as safe and cheaper.
_TLS12_SUITES = (
    b"ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"
    b"ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"
    b"ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305"
)
_TLS13_SUITES = b"TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256"
_OPTIONS = SSL.OP_CIPHER_SERVER_PREFERENCE | SSL.OP_NO_COMPRESSION | SSL.OP_NO_TICKET | SSL.OP_NO_RENEGOTIATION
# OpenSSL need not build and verify paths of what strangers send: nobody believes its verdict here.
_VERIFY_DEPTH = 0
_PEM_CERTIFICATE = re.compile(rb"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)
_FILE_BYTES = 1 << 20
_HTTP = b"http/1.1"


class DoorError(Exception):
    """A listener cannot open as asked; the text is one line that names it and says what to do."""


class NoApplicationProtocolError(Exception):
    """The peer offers protocols by ALPN and HTTP/1.1 is not among them (RFC 7301 section 3.2)."""


def server_context(certificate: Path, key: Path, *, verify_mode: int) -> SSL.Context:
    """Build the context of a listener from its PEM files (the chain may follow the certificate).

    `verify_mode` is one of OpenSSL's: VERIFY_NONE asks for no client certificate, VERIFY_PEER asks, and with
    VERIFY_FAIL_IF_NO_PEER_CERT insists. Raises DoorError; there is no fallback to anything weaker.
    """
    context = SSL.Context(SSL.TLS_SERVER_METHOD)
    context.set_min_proto_version(SSL.TLS1_2_VERSION)
    context.set_max_proto_version(SSL.TLS1_3_VERSION)
    context.set_cipher_list(_TLS12_SUITES)
    context.set_tls13_ciphersuites(_TLS13_SUITES)
    context.set_options(_OPTIONS)
    context.set_mode(SSL.MODE_RELEASE_BUFFERS)
    # A resumed session would lose the peer's chain, so that there is none.
    context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
    context.set_session_id(hashlib.sha256(bytes(certificate) + bytes([verify_mode])).digest())
    context.set_alpn_select_callback(_choose_protocol)
    # Any certificate is taken: TLS proves that the peer holds its key (CertificateVerify), who that is comes later.
    context.set_verify(verify_mode, _accept)
    context.set_verify_depth(_VERIFY_DEPTH)
    _load(context, certificate, key)
    return context


def _choose_protocol(_connection: SSL.Connection, offered: list[bytes]) -> bytes:
    if _HTTP not in offered:
        raise NoApplicationProtocolError
    return _HTTP


def _accept(_connection: SSL.Connection, _certificate: crypto.X509, _error: int, _depth: int, _ok: int) -> bool:
    return True


def _load(context: SSL.Context, certificate: Path, key: Path) -> None:
    chain = _read_chain(certificate)
    private = _read_key(key)
    try:
        context.use_certificate(chain[0].to_cryptography())
        for issuer in chain[1:]:
            context.add_extra_chain_cert(issuer.to_cryptography())
    except (SSL.Error, ValueError, TypeError) as error:
        raise DoorError(f"{certificate}: OpenSSL refuses this certificate ({reason(error)})") from None
    try:
        context.use_privatekey(private)
        context.check_privatekey()
    except (SSL.Error, ValueError, TypeError) as error:
        raise DoorError(
            f"{key}: this key does not belong to the certificate in {certificate} ({reason(error)}); "
            "give the two files that were made together"
        ) from None
    if chain[0].has_expired():
        logger.warning("server_certificate_expired", extra={"file": str(certificate)})


def _read_chain(path: Path) -> list[crypto.X509]:
    blocks = _PEM_CERTIFICATE.findall(_read(path, "certificate"))
    if not blocks:
        raise DoorError(f"{path}: no PEM certificate in it; give a file with -----BEGIN CERTIFICATE-----")
    try:
        return [crypto.load_certificate(crypto.FILETYPE_PEM, block) for block in blocks]
    except crypto.Error as error:
        raise DoorError(f"{path}: damaged certificate ({reason(error)}); copy the file again") from None


def _read_key(path: Path) -> Any:
    data = _read(path, "key")
    if b"PRIVATE KEY-----" not in data:
        raise DoorError(f"{path}: no PEM private key in it; give a file with -----BEGIN PRIVATE KEY-----")
    if b"ENCRYPTED" in data:
        raise DoorError(f"{path}: the key is encrypted; make a plain one with: openssl pkey -in {path} -out NEW")
    try:
        # The passphrase keeps OpenSSL from asking for one at the terminal, whatever the file turns out to be.
        key = crypto.load_privatekey(crypto.FILETYPE_PEM, data, passphrase=b"none")
    except (crypto.Error, ValueError) as error:
        raise DoorError(f"{path}: damaged private key ({reason(error)}); copy the file again") from None
    if path.stat().st_mode & stat.S_IROTH:
        logger.warning("server_key_readable_by_everyone", extra={"file": str(path), "advice": f"chmod 600 {path}"})
    return key.to_cryptography_key()


def _read(path: Path, what: str) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(_FILE_BYTES + 1)
    except FileNotFoundError:
        raise DoorError(f"{path}: there is no such {what} file") from None
    except OSError as error:
        raise DoorError(f"{path}: the {what} file cannot be read ({error.strerror})") from None
    if len(data) > _FILE_BYTES:
        raise DoorError(f"{path}: too large for a {what} file")
    return data


def reason(error: Exception) -> str:
    """Give OpenSSL's own word for what went wrong, on one line."""
    if isinstance(error, (SSL.Error, crypto.Error)) and error.args and error.args[0]:
        return str(error.args[0][0][2])
    return str(error).partition("\n")[0] or type(error).__name__
