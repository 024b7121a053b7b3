"""Which addresses are near to us, and where a registry may therefore send us: the rule alone, as a table."""

from __future__ import annotations

import pytest

from recipes.oci.reference import ImageName
from recipes.registry.addresses import Guard, Zone, literal, may_send, origin, zone_of


@pytest.mark.parametrize(
    ("zone", "addresses"),
    [
        (Zone.PUBLIC, "1.1.1.1 8.8.8.8 2606:4700::1111 ::ffff:1.1.1.1 64:ff9b::101:101 2002:101:101::1"),
        (Zone.PRIVATE, "10.0.0.1 172.16.0.1 172.31.255.255 192.168.1.1 100.64.0.1 192.0.2.1 198.18.0.1"),
        (Zone.PRIVATE, "fd00::1 fec0::1 2001:db8::1 ::ffff:10.0.0.1 64:ff9b::a00:1 2002:a00:1::1 ::10.0.0.1"),
        (Zone.LOOPBACK, "127.0.0.1 127.255.255.255 ::1 ::ffff:127.0.0.1 64:ff9b::7f00:1 ::127.0.0.1"),
        (Zone.SPECIAL, "169.254.169.254 fe80::1 fe80::1%eth0 ::ffff:169.254.169.254 64:ff9b::a9fe:a9fe"),
        (Zone.SPECIAL, "0.0.0.0 0.1.2.3 :: 224.0.0.1 ff02::1 240.0.0.1 255.255.255.255 4000::1"),
    ],
)
def test_how_near_an_address_is(zone: Zone, addresses: str) -> None:
    """IPv4, IPv6 and IPv4 within IPv6 count alike; what is not on the Internet is never public."""
    assert {address: zone_of(address) for address in addresses.split()} == dict.fromkeys(addresses.split(), zone)


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("127.1", "127.0.0.1"),
        ("2130706433", "127.0.0.1"),
        ("0x7f.1", "127.0.0.1"),
        ("0177.0.0.1", "127.0.0.1"),
        ("2852039166", "169.254.169.254"),
        ("127.0.0.1.", "127.0.0.1"),
        ("[::1]", "::1"),
        ("::FFFF:127.0.0.1", "::ffff:7f00:1"),
        ("localhost", "127.0.0.1"),
        ("A.LocalHost.", "127.0.0.1"),
        ("registry.example.org", ""),
        ("localhost.example.org", ""),
        ("", ""),
        ("a\0b", ""),
    ],
)
def test_what_a_host_spells(host: str, address: str) -> None:
    """An address is found in every spelling that a resolver takes for one; names are not guessed at."""
    found = literal(host)
    assert (zone_of(found) if found else "") == (zone_of(address) if address else "")
    assert bool(found) == bool(address)


@pytest.mark.parametrize(
    ("registry", "allowed"),
    [
        (Zone.PUBLIC, {Zone.PUBLIC}),
        (Zone.PRIVATE, {Zone.PUBLIC, Zone.PRIVATE}),
        (Zone.LOOPBACK, {Zone.PUBLIC, Zone.PRIVATE, Zone.LOOPBACK}),
        (Zone.SPECIAL, {Zone.PUBLIC}),
    ],
)
def test_nobody_is_sent_nearer(registry: Zone, allowed: set[Zone]) -> None:
    """A registry sends us as near as it is itself, and never to a link-local address."""
    assert {zone for zone in Zone if may_send(registry, zone)} == allowed


def test_a_name_counts_as_the_furthest_that_it_was() -> None:
    """A registry whose name is resolved to the Internet, then to this machine, is not one on this machine."""
    guard = Guard(ImageName("registry.example.org", "a"))
    guard.origin = origin("https://registry.example.org")
    for peer, zone in [("127.0.0.1", Zone.LOOPBACK), ("1.1.1.1", Zone.PUBLIC), ("127.0.0.1", Zone.PUBLIC)]:
        guard.check_peer("registry.example.org", 443, peer)
        assert guard.zone is zone
    assert "an address of this machine" in guard.objection("https://127.0.0.1/", plain=False)
