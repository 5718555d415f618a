"""Addresses that a listener binds, and how an accepted connection tells which of them it came in by."""

import contextlib
import errno
import os
import socket
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from certbound.tls.context import DoorError

Address = tuple[str, int]
"""Host and port of a socket's own end; path and 0 for a Unix one."""

_BACKLOG = 2048
_SOCKET_MODE = 0o660
_LARGEST_PORT = 65535


def local_address(sockname: Any) -> Address:
    """Give the address that `getsockname()` tells, without the flow and scope of IPv6."""
    return (sockname, 0) if isinstance(sockname, str) else (sockname[0], sockname[1])


def listener_at(addresses: Mapping[Address, str], sockname: Any) -> str | None:
    """Name the listener that a connection with this own end came in by: the exact address, else every-address."""
    host, port = local_address(sockname)
    for candidate in (host, "::" if ":" in host else "0.0.0.0"):  # noqa: S104
        if (name := addresses.get((candidate, port))) is not None:
            return name
    return None


def bind(name: str, address: str) -> list[socket.socket]:
    """Bind `host:port` (every address of the host; port 0 is any free one), `[::1]:port` or `unix:PATH`.

    Raises DoorError naming the listener and the address, for instance when another program has it.
    """
    try:
        if address.startswith("unix:"):
            return [_bind_unix(address.removeprefix("unix:"))]
        return _bind_host(address)
    except OSError as error:
        advice = "another program has it; stop that or choose another port" if error.errno == errno.EADDRINUSE else ""
        reason = advice or error.strerror or str(error)
        raise DoorError(f'listener "{name}": cannot listen on {address}: {reason}') from None
    except ValueError:
        raise DoorError(
            f'listener "{name}": bind = "{address}" is no address; write host:port, [::1]:port or unix:PATH'
        ) from None


def _bind_host(address: str) -> list[socket.socket]:
    host, _, port = address.rpartition(":")
    if not host or not port.isascii() or not port.isdigit() or int(port) > _LARGEST_PORT:
        raise ValueError(address)
    if ":" in host and not (host.startswith("[") and host.endswith("]")):
        raise ValueError(address)
    found = socket.getaddrinfo(
        host.strip("[]"), int(port), type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE | socket.AI_NUMERICSERV
    )
    sockets: list[socket.socket] = []
    with contextlib.ExitStack() as on_failure:
        for family, where in dict.fromkeys((family, where) for family, _, _, _, where in found):
            try:
                bound = _bind_address(family, where if not sockets else (where[0], sockets[0].getsockname()[1]))
            except OSError as error:
                # A name such as localhost may have an address of a family that this machine has not.
                if error.errno not in {errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT} or len(found) == 1:
                    raise
                continue
            sockets.append(on_failure.enter_context(bound))
        if not sockets:
            raise OSError(errno.EADDRNOTAVAIL, os.strerror(errno.EADDRNOTAVAIL))
        on_failure.pop_all()
    return sockets


def _bind_address(family: int, where: Any) -> socket.socket:
    # Named as TCP, since asyncio sets TCP_NODELAY on no other; without, every answer may wait 40 ms for an ACK.
    bound = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        bound.bind(where)
        # Listening at once makes the address ours before anything else is started.
        bound.listen(_BACKLOG)
        bound.setblocking(False)
    except OSError:
        bound.close()
        raise
    return bound


def _bind_unix(path: str) -> socket.socket:
    if not path:
        raise ValueError(path)
    bound = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        _remove_stale(path)
        bound.bind(path)
        Path(path).chmod(_SOCKET_MODE)
        bound.listen(_BACKLOG)
        bound.setblocking(False)
    except OSError:
        bound.close()
        raise
    return bound


def _remove_stale(path: str) -> None:
    """Remove a socket that nobody listens on any more, as a killed server leaves behind; never another file."""
    try:
        if not stat.S_ISSOCK(os.lstat(path).st_mode):
            raise OSError(errno.EEXIST, "a file that is no socket is in the way")
    except FileNotFoundError:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            Path(path).unlink()
