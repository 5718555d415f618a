"""Stores on one database, as several workers have it open."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from certbound.store.engine import Store


@contextmanager
def opening(url: str, **options: Any) -> Iterator[Callable[[], Store]]:
    """Give what opens a further store on the database at each call; all are closed at the end."""
    stores: list[Store] = []

    def another() -> Store:
        stores.append(Store(url, **options))
        return stores[-1]

    yield another
    for store in stores:
        store.close()
