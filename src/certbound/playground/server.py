"""What listens where: the server and the sample API, each on certbound's own door, in one process."""

import contextlib
import socket
from collections.abc import Sequence
from dataclasses import dataclass

from certbound.app.wiring import make_worker
from certbound.playground import api
from certbound.playground.registrations import Registered
from certbound.tls.address import bind
from certbound.tls.context import DoorError
from certbound.tls.door import Door
from certbound.tls.listener import Listener

HOST = "localhost"
SERVER_PORT = 9443
API_PORT = 9444
MAIN = "main"
API = "api"


@dataclass(frozen=True, slots=True)
class Places:
    """The sockets that are ours before anything is made, so that the URLs below stay true."""

    sockets: dict[str, Sequence[socket.socket]]

    @property
    def bind(self) -> str:
        """Give the server's address as the settings have it."""
        return f"{HOST}:{self._port(MAIN)}"

    @property
    def issuer(self) -> str:
        """Give the server's URL."""
        return f"https://{self.bind}"

    @property
    def audience(self) -> str:
        """Give the API's URL, which is what tokens for it name as `aud`."""
        return f"https://{HOST}:{self._port(API)}"

    def _port(self, name: str) -> int:
        port: int = self.sockets[name][0].getsockname()[1]
        return port


def take_places(stack: contextlib.ExitStack) -> Places:
    """Bind the default ports, or free ones where they are taken; `stack` closes them. Raises DoorError.

    All addresses of localhost are bound, so that nobody else answers to the name.
    """
    sockets: dict[str, Sequence[socket.socket]] = {}
    for name, port in ((MAIN, SERVER_PORT), (API, API_PORT)):
        try:
            sockets[name] = bind(name, f"{HOST}:{port}")
        except DoorError:
            sockets[name] = bind(name, f"{HOST}:0")
        for one in sockets[name]:
            stack.callback(one.close)
    return Places(sockets)


def make_door(registered: Registered, places: Places) -> Door:
    """Make the door with the installation's listeners and the API's, which shows the server's own certificate."""
    worker = make_worker(registered.settings)
    sample = Listener(
        name=API,
        bind=places.audience.removeprefix("https://"),
        app=api.protected(issuer=places.issuer, audience=places.audience, ca_file=registered.ca_file),
        certificate=worker.listeners[0].certificate,
        key=worker.listeners[0].key,
    )
    return Door((*worker.listeners, sample), lifespan=worker.alive)
