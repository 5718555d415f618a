"""Starting the server: what is wrong is said before anything is bound, and nothing half works."""

import logging
import os
import socket
import stat
import time
from collections.abc import Callable
from pathlib import Path

from certbound.app.logs import configure_logging
from certbound.app.replacing import Replaceable
from certbound.app.wiring import StartError, make_worker, read_master_key
from certbound.authority.keys import MasterKeyError, load_ring
from certbound.config.loading import CONFIG_VARIABLE, load_settings
from certbound.config.settings import Settings
from certbound.store.upgrading import SchemaState, advice, check
from certbound.tls.address import bind
from certbound.tls.door import Door
from certbound.tls.serving import serve as serve_door

log = logging.getLogger(__name__)

_FACTORY = "certbound.app.serving:make_door"


def serve(path: Path, *, workers: int, announce: Callable[[str, str], None]) -> None:
    """Serve by the settings at `path` until SIGTERM, in this process or in `workers` others.

    `announce` is called with the name and address of each listener once all are bound. Raises SettingsError,
    StartError, DoorError and StoreUnavailable before anything is served.
    """
    settings = load_settings(path)
    configure_logging(settings.log)
    check_before_start(settings, f"certbound -c {path}")
    os.environ[CONFIG_VARIABLE] = str(path.resolve())  # the workers are new processes
    sockets: dict[str, list[socket.socket]] = {}
    for listener in settings.listener:
        sockets[listener.name] = bind(listener.name, listener.bind)
    for name, bound in sockets.items():
        announce(name, _address(bound[0]))
    if settings.oauth.password_grant:
        log.warning("the password grant is on: RFC 9700 section 2.4 says it must not be used")
    serve_door(_FACTORY, sockets, workers=workers, graceful_seconds=settings.limits.shutdown_seconds)


def check_before_start(settings: Settings, program: str = "certbound") -> None:
    """Check what every worker needs: the master key, the TLS files, the database's schema and a key to sign with.

    `program` is how the command line is called for these settings. Raises StartError and DoorError.
    """
    master_key = read_master_key(settings.store.master_key_file)
    if settings.store.master_key_file.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        command = f"chmod 600 {settings.store.master_key_file}"
        log.warning("master key open to others than its owner", extra={"advice": command})
    state = check(settings.store.url)
    if state is not SchemaState.CURRENT:
        raise StartError(advice(state, f"{program} db upgrade"))
    worker = make_worker(settings)
    try:
        with worker.store as store:
            ring = store.read(lambda connection: load_ring(connection, master_key))
    except MasterKeyError as error:
        raise StartError(f"{error} (see {settings.store.master_key_file})") from None
    if ring.signing_key(time.time(), settings.oauth.signing_algorithm) is None:
        raise StartError(f"there is no signing key: run `{program} keys rotate --now`")


def make_door() -> Door:
    """Make the door of one worker from the settings that the environment names."""
    path = Path(os.environ[CONFIG_VARIABLE])
    configure_logging(load_settings(path).log)
    behind = Replaceable(lambda: make_worker(load_settings(path)))
    return Door(behind.listeners, lifespan=behind.alive, reload=behind.replace)


def _address(bound: socket.socket) -> str:
    address = bound.getsockname()
    if isinstance(address, str):
        return f"unix:{address}"
    host, port = address[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
