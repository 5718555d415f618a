from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from certbound.fetch.address import ANYWHERE, is_reachable


@pytest.mark.parametrize(
    "address",
    [
        *("0.0.0.1", "10.0.0.1", "100.64.0.1", "100.100.100.200", "127.0.0.1", "168.63.129.16", "169.254.169.254"),
        *("172.16.0.1", "172.31.255.255", "192.0.0.1", "192.0.2.1", "192.168.1.1", "198.18.0.1", "198.51.100.1"),
        *("203.0.113.1", "224.0.0.1", "239.1.2.3", "240.0.0.1", "255.255.255.255"),
        *("::", "::1", "::ffff:10.0.0.1", "::ffff:8.8.8.8", "::127.0.0.1", "64:ff9b::a00:1", "64:ff9b:1::a00:1"),
        *("100::1", "2001::1", "2001:db8::1", "2002:a00:1::", "2002:808:808::", "3fff::1", "5f00::1"),
        *("fc00::1", "fd00:ec2::254", "fe80::1", "fe80::1%eth0", "fec0::1", "ff02::1"),
    ],
)
def test_an_address_that_is_not_public_is_reached_only_by_allowance(address: str) -> None:
    assert not is_reachable(address, ())
    assert is_reachable(address, ANYWHERE)


@pytest.mark.parametrize("address", ["8.8.8.8", "93.184.216.34", "172.32.0.1", "2606:4700::1111", "2a00:1450:4001::1"])
def test_a_public_address_is_reached(address: str) -> None:
    assert is_reachable(address, ())


def test_an_allowed_network_opens_itself_and_nothing_else() -> None:
    assert is_reachable("10.1.2.3", ["10.0.0.0/8"])
    assert not is_reachable("192.168.0.1", ["10.0.0.0/8"])
    assert not is_reachable("::ffff:10.1.2.3", ["10.0.0.0/8"])


@given(st.ip_addresses())
def test_nothing_is_public_here_that_python_holds_private(address: IPv4Address | IPv6Address) -> None:
    if is_reachable(str(address), ()):
        assert not address.is_private
        assert not address.is_multicast
