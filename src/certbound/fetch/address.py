"""Which addresses a fetch may reach: the public internet, and what was allowed by name."""

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

#: Every network, for URLs that the programmer or operator wrote and no client chose.
ANYWHERE: Final = ("0.0.0.0/0", "::/0")

# Written out rather than asked of `ipaddress.is_global`, whose answer differs between Python versions
# (IANA special-purpose address registries; RFC 6890).
_SPECIAL_V4: Final = tuple(
    IPv4Network(network)
    for network in (
        "0.0.0.0/8",  # this network
        "10.0.0.0/8",  # private
        "100.64.0.0/10",  # carriers' shared space, home of one cloud's metadata service
        "127.0.0.0/8",  # loopback
        "168.63.129.16/32",  # public by number, but one cloud's host agent
        "169.254.0.0/16",  # link-local, home of most clouds' metadata services
        "172.16.0.0/12",  # private
        "192.0.0.0/24",  # protocol assignments
        "192.0.2.0/24",  # documentation
        "192.88.99.0/24",  # 6to4 relays
        "192.168.0.0/16",  # private
        "198.18.0.0/15",  # benchmarks
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, broadcast
    )
)

# Outside global unicast lie loopback, link-local, unique local, multicast, IPv4-mapped (::ffff:0:0/96) and NAT64
# (64:ff9b::/96) addresses; inside it, these are tunnels to IPv4 or nobody's.
_GLOBAL_UNICAST_V6: Final = IPv6Network("2000::/3")
_SPECIAL_V6: Final = tuple(
    IPv6Network(network)
    for network in (
        "2001::/23",  # protocol assignments, Teredo among them
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4: an IPv4 address in disguise
        "3fff::/20",  # documentation
    )
)


def is_reachable(address: str, allow: Iterable[str]) -> bool:
    """Whether `address` (a literal) is public or lies in one of the networks of `allow` (CIDR)."""
    parsed = ip_address(address.partition("%")[0])
    return _is_public(parsed) or any(parsed in ip_network(network) for network in allow)


def _is_public(address: IPv4Address | IPv6Address) -> bool:
    if isinstance(address, IPv4Address):
        return not any(address in network for network in _SPECIAL_V4)
    return address in _GLOBAL_UNICAST_V6 and not any(address in network for network in _SPECIAL_V6)
