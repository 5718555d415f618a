"""One request, as a curl line to copy and as it is really sent: both from the same value."""

import json
import shlex
import ssl
from dataclasses import dataclass, field
from http.client import HTTPException, HTTPSConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

from certbound.playground.certificates import Identity

SECONDS = 10
"""What a request may take."""
_MAX_BODY = 65_536
_FORM = "application/x-www-form-urlencoded"


class RequestError(RuntimeError):
    """The request could not be made, or nothing came back that can be read; one line says why."""


@dataclass(frozen=True, slots=True)
class Request:
    """A POST of `form`, or a GET where there is none.

    `ca_file` holds what the server's certificate is verified with, `header_file` one header line, such as
    `Authorization: Bearer ...`. `as_original` spells the curl line as the original's guide does.
    """

    url: str
    ca_file: Path
    identity: Identity | None = None
    form: tuple[tuple[str, str], ...] = ()
    header_file: Path | None = None
    as_original: bool = False

    @property
    def curl(self) -> str:
        """Give the line to type."""
        if self.as_original:
            return self._original_curl()
        words = ["curl", "-i", "--cacert", str(self.ca_file)]
        if self.identity is not None:
            words += ["--cert", str(self.identity.certificate_file), "--key", str(self.identity.key_file)]
        if self.header_file is not None:
            words += ["-H", f"@{self.header_file}"]
        for parameter in self.form:
            words += ["-d", urlencode([parameter], safe=":/")]
        return shlex.join([*words, self.url])

    def _original_curl(self) -> str:
        line = f'curl -k -d "{urlencode(self.form)}" -H "Content-Type: {_FORM}" {self.url} -i'
        if self.identity is None:
            return line
        certificate, key = self.identity.certificate_file, self.identity.key_file
        return f"{line} --cert {shlex.quote(str(certificate))} --key {shlex.quote(str(key))}"


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back. `challenge` is the `WWW-Authenticate` header; `members` the JSON object of the body."""

    status: int
    challenge: str = ""
    members: dict[str, Any] = field(default_factory=dict, repr=False)


def ask(request: Request) -> Answer:
    """Send a request over a connection of its own and read the answer; blocks. Raises RequestError.

    The server's certificate is always verified, also where the line to type says `-k`.
    """
    url = urlsplit(request.url)
    headers = {}
    try:
        context = ssl.create_default_context(cafile=request.ca_file)
        if request.identity is not None:
            context.load_cert_chain(request.identity.certificate_file, request.identity.key_file)
        if request.header_file is not None:
            name, _, value = request.header_file.read_text("utf-8").partition(":")
            headers[name] = value.strip()
        connection = HTTPSConnection(url.hostname or "", url.port, timeout=SECONDS, context=context)
        try:
            return _exchange(connection, request, url.path, headers)
        finally:
            connection.close()
    except (OSError, HTTPException, ValueError) as error:
        raise RequestError(f"{type(error).__name__}: {error}") from error


def _exchange(connection: HTTPSConnection, request: Request, path: str, headers: dict[str, str]) -> Answer:
    if request.form:
        headers["Content-Type"] = _FORM
        connection.request("POST", path, urlencode(request.form), headers)
    else:
        connection.request("GET", path, headers=headers)
    with connection.getresponse() as response:
        members = json.loads(response.read(_MAX_BODY) or b"{}")
        if not isinstance(members, dict):
            raise RequestError("the answer is no JSON object")
        return Answer(response.status, response.getheader("WWW-Authenticate", ""), members)
