"""The server that a command is about: its settings and its open store, whether it runs or not."""

import os
import pwd
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from certbound.config.loading import load_settings
from certbound.config.settings import Settings
from certbound.store.engine import Store
from certbound.store.upgrading import SchemaState, advice, check


class NotReadyError(RuntimeError):
    """The server's database cannot be used as it is; the text says which command to run."""


@dataclass(frozen=True, slots=True)
class Deployment:
    """A server's settings and its store."""

    settings: Settings
    store: Store


@contextmanager
def opened(config: Path) -> Iterator[Deployment]:
    """Open the store that the settings name. Raises SettingsError, NotReadyError and StoreUnavailable."""
    settings = load_settings(config)
    state = check(settings.store.url)
    if state is not SchemaState.CURRENT:
        raise NotReadyError(advice(state, f"certbound -c {config} db upgrade"))
    with Store(settings.store.url) as store:
        yield Deployment(settings, store)


def actor() -> str:
    """Name who acts, for the audit: the command line is the administrator, by the account it runs under."""
    try:
        return f"cli:{pwd.getpwuid(os.getuid()).pw_name}"
    except KeyError:
        return f"cli:{os.getuid()}"


def now() -> int:
    """Give the time in seconds since the epoch."""
    return int(time.time())
