"""Accepted paths, remembered: the same certificates lead to the same anchor for as long as all of them are valid."""

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final

from certbound.certificates.certificate import Certificate

MAXIMUM_PATHS: Final = 2048
_paths: Final[OrderedDict[bytes, tuple[Certificate, ...]]] = OrderedDict()
_lock: Final = threading.Lock()


def key(leaf: Certificate, *others: Sequence[bytes] | Sequence[Certificate]) -> bytes:
    """Stand for everything a decision was made from but the time, in 32 octets: order and grouping included."""
    digests = [leaf.sha256]
    for group in others:
        digests.append(len(group).to_bytes(32, "big"))
        digests += _digests(group)
    return hashlib.sha256(b"".join(digests)).digest()


def recall(path_key: bytes, now: datetime) -> tuple[Certificate, ...] | None:
    """Give the path if one was accepted and all its certificates are valid at `now`; None: decide anew."""
    path, now = _paths.get(path_key), now.replace(microsecond=0)
    if path and all(certificate.not_before <= now <= certificate.not_after for certificate in path):
        return path
    return None


def remember(path_key: bytes, path: tuple[Certificate, ...]) -> None:
    """Keep an accepted path; refusals are never kept, so that strangers fill no memory. The oldest makes room."""
    with _lock:
        if len(_paths) >= MAXIMUM_PATHS:
            _paths.popitem(last=False)
        _paths[path_key] = path


def _digests(group: Iterable[bytes | Certificate]) -> list[bytes]:
    return [hashlib.sha256(one).digest() if isinstance(one, bytes) else one.sha256 for one in group]
