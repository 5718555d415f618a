"""Which roots a fetch believes."""

import ssl
from os import PathLike
from pathlib import Path


def trust_roots(ca_file: str | PathLike[str] | None = None, *, only: bool = False) -> ssl.SSLContext:
    """Make a client context: the system's roots (or the file named by `SSL_CERT_FILE`) and those of `ca_file` (PEM).

    With `only`, the roots of `ca_file` and no others. Make it once and keep it, as reading the system's roots takes
    tens of milliseconds. Raises OSError, which names the file, where it cannot be read or holds no certificate.
    """
    if ca_file is None:
        return ssl.create_default_context()
    Path(ca_file).stat()  # OpenSSL does not say which file is missing
    try:
        if only:
            return ssl.create_default_context(cafile=ca_file)
        context = ssl.create_default_context()
        context.load_verify_locations(cafile=ca_file)
    except ssl.SSLError:
        raise OSError(f"{ca_file} holds no PEM certificate") from None
    return context
