"""A client's certificate and key as files, which somebody renews now and then."""

import os
import ssl
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path

from certbound.fetch.trust import trust_roots

#: What tells one state of the two files from another: modification time, size and inode of each.
FilesVersion = tuple[tuple[int, int, int], ...]


@dataclass(frozen=True, slots=True)
class ClientCertificate:
    """A certificate file (PEM, leaf first, then intermediates), the file of its key, the key's password if it has one.

    Both are read again when they change, so that a renewal on disk needs no restart.
    """

    certfile: str | PathLike[str]
    keyfile: str | PathLike[str]
    password: str | None = field(default=None, repr=False)

    def version(self) -> FilesVersion:
        """Look at the files, without reading them; OSError names the one that is missing."""
        states = (os.stat(path) for path in (self.certfile, self.keyfile))  # noqa: PTH116  hot: no Path per request
        return tuple((state.st_mtime_ns, state.st_size, state.st_ino) for state in states)

    def context(self, verify: str | PathLike[str] | None = None) -> ssl.SSLContext:
        """Make a TLS context that shows this certificate and trusts the CA file `verify` (PEM), or the system's roots.

        Raises OSError for a file that cannot be read, ValueError for one that cannot be used.
        """
        self.version()  # OpenSSL does not say which file is missing
        context = trust_roots(verify, only=True)
        try:
            context.load_cert_chain(self.certfile, self.keyfile, password=self._unlock)
        except ssl.SSLError as exc:
            for path, kind in ((self.certfile, "CERTIFICATE"), (self.keyfile, "PRIVATE KEY")):
                if f"{kind}-----" not in Path(path).read_text("ascii", errors="replace"):
                    raise ValueError(f"{path}: no PEM file with a {kind.lower()}") from None
            raise ValueError(
                f"certificate {self.certfile} and key {self.keyfile} cannot be used together: "
                f"{(exc.reason or 'not PEM').replace('_', ' ').lower()}"
            ) from None
        return context

    def _unlock(self) -> str:
        # Asked for only if the key is encrypted; without an answer OpenSSL would ask at the terminal.
        if self.password is None:
            raise ValueError(f"key {self.keyfile} is encrypted: set password=")
        return self.password
