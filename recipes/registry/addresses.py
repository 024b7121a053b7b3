"""Where a registry may send us: an answer may name any host, and must not turn us against a network we are in.

A registry names other hosts in redirections, upload addresses and token realms. They may be as near to us as the
registry itself, or further out: one on the Internet sends us to the Internet, and not to this machine, its network or
the metadata service of its cloud. What counts for a name is the address that was connected to, as it may be resolved to
something else the second time.
Source: IANA's registries of special-purpose addresses, as `ipaddress` has them; RFC 6052 for NAT64.
"""

from __future__ import annotations

import socket
from enum import IntEnum
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from urllib.parse import urlsplit

from recipes.errors import BadInput, shortened
from recipes.oci.reference import ImageName

_NAT64 = ip_network("64:ff9b::/96")
_COMPATIBLE = ip_network("::/96")
_SPECIAL = (ip_network("0.0.0.0/8"), ip_network("240.0.0.0/4"))

Origin = tuple[str, str, int]
"""Scheme, host and port, as a browser tells one server from another."""


class Zone(IntEnum):
    """How near an address is. The larger, the nearer."""

    PUBLIC = 0
    PRIVATE = 1
    LOOPBACK = 2
    SPECIAL = 3
    """Link-local (where clouds keep their metadata), multicast, reserved: no registry is sent to it."""


_WORDS = {
    Zone.PRIVATE: "a private address",
    Zone.LOOPBACK: "an address of this machine",
    Zone.SPECIAL: "a link-local or otherwise special address",
}


def zone_of(address: str) -> Zone:
    """Raises: ValueError for what is not an IP address."""
    found = _unwrapped(ip_address(address))
    if found.is_loopback:
        return Zone.LOOPBACK
    if found.is_unspecified or found.is_link_local or found.is_multicast:
        return Zone.SPECIAL
    if isinstance(found, IPv4Address):
        if any(found in network for network in _SPECIAL):
            return Zone.SPECIAL
    elif found.is_site_local:  # deprecated, and global for `ipaddress`
        return Zone.PRIVATE
    elif found.is_reserved:
        return Zone.SPECIAL
    return Zone.PUBLIC if found.is_global else Zone.PRIVATE


def _unwrapped(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """The IPv4 address that an IPv6 address leads to, where it holds one."""
    if isinstance(address, IPv4Address):
        return address
    if inner := address.ipv4_mapped or address.sixtofour:
        return inner
    holds = address in _NAT64 or (address in _COMPATIBLE and int(address) > 1)
    return IPv4Address(int(address) & 0xFFFFFFFF) if holds else address


def literal(host: str) -> str:
    """The address that a host spells, also as `127.1` or `2130706433`; "" for a name, except for those of loopback."""
    host = host.strip("[]").rstrip(".").lower()
    if host == "localhost" or host.endswith(".localhost"):
        return "127.0.0.1"
    try:
        return str(ip_address(host))
    except ValueError:
        pass
    try:
        return socket.inet_ntoa(socket.inet_aton(host))
    except (OSError, ValueError):
        return ""


def may_send(registry: Zone, target: Zone) -> bool:
    """Whether a registry in one zone may send us to another one."""
    if target is Zone.SPECIAL or registry is Zone.SPECIAL:
        return target is Zone.PUBLIC
    return target <= registry


def origin(url: str) -> Origin:
    """Raises: ValueError for what requests cannot send anything to."""
    from requests.models import PreparedRequest

    # As requests will read it: of `https://a\@b/` one parser makes the host a, and another one b.
    request = PreparedRequest()
    request.prepare_url(url, None)
    parts = urlsplit(request.url or "")
    return parts.scheme, parts.hostname or "", parts.port or {"https": 443, "http": 80}.get(parts.scheme, 0)


class Guard:
    """Where one registry may send us. It learns where the registry is from the connections to it."""

    def __init__(self, image: ImageName) -> None:
        self._image = image
        self.origin: Origin = ("", "", 0)
        """The registry's own, where it may always be asked: it is what the user named. Set once it is known."""
        self._seen: Zone | None = None

    @property
    def zone(self) -> Zone:
        """Where the registry is: by its connections, else (behind a proxy) by its name alone."""
        if self._seen is not None:
            return self._seen
        address = literal(self.origin[1])
        return zone_of(address) if address else Zone.PUBLIC

    def check_peer(self, host: str, port: int, peer: str) -> None:
        """A connection to `host` was made, and `peer` is who answered. Raises: BadInput."""
        zone = zone_of(peer)
        if (host.lower(), port) == self.origin[1:]:
            # A name that is resolved to something else each time counts as the furthest of it.
            self._seen = zone if self._seen is None else min(self._seen, zone)
        elif not may_send(self.zone, zone):
            raise unsafe(self._image, host, f"{peer} is {_WORDS[zone]}")

    def objection(self, url: str, *, plain: bool) -> str:
        """Why we do not go where the registry sends us, "" where we may; the connection is checked once more.

        `plain` allows plain HTTP on this machine, where the registry is on it too.
        """
        try:
            found = scheme, host, _ = origin(url)
        except ValueError:
            return "it is not a valid address"
        if found == self.origin:
            return ""
        if scheme not in ("http", "https"):
            return "it is not a valid address"
        zone = zone_of(address) if (address := literal(host)) else None
        if scheme == "http" and not (plain and zone is self.zone is Zone.LOOPBACK):
            return "it is plain HTTP"
        return "" if zone is None or may_send(self.zone, zone) else f"it is {_WORDS[zone]}"


def unsafe(image: ImageName, where: str, why: str, hint: str = "") -> BadInput:
    """The error for a registry that sends us to where we do not go."""
    return BadInput(f"{image.host} sends us to {shortened(where)!r}, which is not safe: {why}", hint)
