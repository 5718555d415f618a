"""What wrong attempts to sign in cost: a person's account is locked for a while, an address runs out of attempts."""

from collections import OrderedDict
from ipaddress import IPv6Address, ip_address

FREE_FAILURES = 4
"""Wrong attempts in a row that cost nothing: people mistype."""
FIRST_LOCK = 30
LONGEST_LOCK = 900
"""Seconds; every further failure doubles the lock up to here."""

MAX_ADDRESSES = 10_000
BURST = 30
"""Attempts an address may make at once, wrong ones; each comes back after SECONDS_EACH."""
SECONDS_EACH = 10
_NETWORK_BITS = 64  # what one subscriber has of IPv6


def locked_until(failures: int, now: int) -> int | None:
    """Say until when nobody gets in after so many failures in a row, the last of them now; epoch seconds."""
    beyond = failures - FREE_FAILURES
    if beyond <= 0:
        return None
    return now + min(LONGEST_LOCK, FIRST_LOCK << min(beyond - 1, LONGEST_LOCK.bit_length()))


class AddressAttempts:
    """How many attempts each address has left, in the memory of this worker; the ones seen longest ago are forgotten.

    It slows down whoever tries one password on many names; a single name is protected by its lock, on every worker.
    """

    def __init__(self) -> None:
        self._spent: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, address: str | None, now: float) -> bool:
        """Take an attempt; False where none is left. A connection without address (a local socket) is not counted."""
        if address is None:
            return True
        key = _key(address)
        spent, since = self._spent.get(key, (0.0, now))
        spent = max(0.0, spent - (now - since) / SECONDS_EACH)
        allowed = spent + 1 <= BURST
        self._spent[key] = (spent + allowed, now)
        self._spent.move_to_end(key)
        if len(self._spent) > MAX_ADDRESSES:
            self._spent.popitem(last=False)
        return allowed

    def give_back(self, address: str | None) -> None:
        """Give an attempt back that was right: many people may share an address."""
        if address is not None and (key := _key(address)) in self._spent:
            spent, since = self._spent[key]
            self._spent[key] = (max(0.0, spent - 1), since)


def _key(address: str) -> str:
    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if not isinstance(parsed, IPv6Address):
        return str(parsed)
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return f"{int(parsed) >> (128 - _NETWORK_BITS):x}::/{_NETWORK_BITS}"
