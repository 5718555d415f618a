"""What is fuzzed, and when it has failed: a strange exception, too much time, too much memory."""

import resource
import sys
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from random import Random
from typing import Final

from fuzz.mutation import octets

MAXIMUM_CPU: Final = 2.0
"""Seconds of CPU for one input."""
MAXIMUM_GROWTH: Final = 50 * 2**20
"""Bytes by which one input may make the process larger than it ever was."""
_PEAK_UNIT: Final = 1 if sys.platform == "darwin" else 1024


@dataclass(frozen=True, slots=True)
class Target:
    """One reader. `refusals` are the errors it documents: anything else that it raises is a crash."""

    name: str
    run: Callable[[bytes], object]
    refusals: tuple[type[Exception], ...]
    seeds: Callable[[], Iterable[bytes]]
    mutate: Callable[[bytes, Random], bytes] | None = None
    """Changes an input with knowledge of its form."""
    words: tuple[bytes, ...] = ()
    """What the input's language is made of, for mutations of octets."""
    maximum: int = 16_384
    """Bytes of the longest input tried."""

    def changed(self, data: bytes, choice: Random) -> bytes:
        """Give the input with one change."""
        return (self.mutate or octets)(data, choice)


class TooMuchError(Exception):
    """One input took more time or memory than any may."""


class BrokenError(Exception):
    """The reader broke a promise that is none of its refusals' business."""


def expect(promise: bool, words: str) -> None:
    """Fail unless a promise was kept."""
    if not promise:
        raise BrokenError(words)


def execute(target: Target, data: bytes) -> None:
    """Run the target on one input; whatever comes out of here is a crash."""
    cpu, peak = time.process_time(), _peak()
    with suppress(*target.refusals):
        target.run(data)
    if (cpu := time.process_time() - cpu) > MAXIMUM_CPU:
        raise TooMuchError(f"{cpu:.1f} s of CPU")
    if (growth := _peak() - peak) > MAXIMUM_GROWTH:
        raise TooMuchError(f"{growth / 2**20:.0f} MiB of memory")


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _PEAK_UNIT
