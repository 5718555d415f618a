"""Which OpenSSL is at work: the door's own, and the one that Python's `ssl` (outgoing requests) is linked with."""

import ssl

from OpenSSL import SSL


def openssl_versions() -> dict[str, str]:
    """Give the versions under `door` and `python`, as OpenSSL spells them."""
    door = SSL.OpenSSL_version(SSL.OPENSSL_VERSION)
    return {"door": door.decode("ascii", "replace"), "python": ssl.OPENSSL_VERSION}
