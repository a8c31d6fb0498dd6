"""
Refuse connections to addresses that are not public, when the socket is made and by its numeric address.

The check comes after every name look-up and redirect, so that DNS rebinding, odd spellings of an address and redirects
to a cloud's metadata service are all refused.
"""

from __future__ import annotations

import asyncio
import functools
import socket
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from notifier.errors import Refused

LOOK_UPS = 32  # concurrent look-ups; one whose name servers are gone holds its thread for up to half a minute

Network = IPv4Network | IPv6Network
AddressInfo = tuple[int | socket.AddressFamily, int | socket.SocketKind, int, str, tuple[object, ...]]

# Ranges that some Python version's `is_global` lets through: they lead to inner networks by translation or relay
# (NAT64, 6to4, Teredo), are documentation, site-local or protocol space (IANA's special-purpose registries), or are
# addresses at which clouds serve their own machines (Oracle in 192.0.0.0/24, Azure at 168.63.129.16).
_NEVER = [
    ip_network(network)
    for network in (
        "64:ff9b::/96",
        "64:ff9b:1::/48",
        "100::/64",
        "2001::/23",
        "2002::/16",
        "3fff::/20",
        "5f00::/16",
        "fec0::/10",
        "192.0.0.0/24",
        "192.88.99.0/24",
        "168.63.129.16/32",
    )
]


def networks(texts: Iterable[str]) -> tuple[Network, ...]:
    """Parse the operator's allow-list. Raises ValueError unless each text is an address or network."""
    return tuple(ip_network(text) for text in texts)


def is_public(address: str, allowed: Iterable[Network] = ()) -> bool:
    """Is this numeric address on the public internet, or in the operator's allow-list? False if it is invalid."""
    try:
        number: IPv4Address | IPv6Address = ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(number, IPv6Address) and number.ipv4_mapped is not None:
        number = number.ipv4_mapped
    if any(number in network for network in allowed):
        return True
    if any(number in network for network in _NEVER):
        return False
    return number.is_global and not (number.is_multicast or number.is_reserved or number.is_unspecified)


def refuse_inside(allowed: Iterable[Network] = ()) -> Callable[[AddressInfo], socket.socket]:
    """
    A socket factory for aiohttp's connector that makes sockets only to public and allowed addresses.

    The factory raises `Refused("blocked-address")` for any other, before a socket exists.
    """
    known = tuple(allowed)

    def factory(info: AddressInfo) -> socket.socket:
        family, kind, protocol, _, address = info
        host = str(address[0])
        if not is_public(host, known):
            raise Refused(
                f"{host} is not a public address; to connect all the same, allow it under [fetch] in notifier.toml",
                outcome="blocked-address",
            )
        return socket.socket(family=family, type=kind, proto=protocol)

    return factory


def connector(allowed: Iterable[Network] = (), **options: Any) -> aiohttp.TCPConnector:
    """An aiohttp connector, with these options, that connects only to public and allowed addresses."""
    known = tuple(allowed)
    factory: Any = refuse_inside(known)
    return aiohttp.TCPConnector(socket_factory=factory, resolver=_PublicResolver(known), **options)


class _PublicResolver(AbstractResolver):
    """
    Looks names up on threads of its own: a few dead name servers would take all of asyncio's threads.

    Addresses that are not public are left out, and a name with no other is refused. The socket factory would refuse
    each of them too, but aiohttp races several addresses and loses the reason.
    """

    def __init__(self, allow: Iterable[Network]) -> None:
        self._allow = tuple(allow)
        self._threads = ThreadPoolExecutor(LOOK_UPS, thread_name_prefix="look-up")

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        look_up = functools.partial(
            socket.getaddrinfo, host, port, family, socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG
        )
        infos = await asyncio.get_running_loop().run_in_executor(self._threads, look_up)
        found = [(kind, protocol, str(address[0])) for kind, _, protocol, _, address in infos]
        usable = [each for each in found if is_public(each[2], self._allow)]
        if found and not usable:
            raise Refused(
                f"{host} resolves to {found[0][2]}, not a public address; to connect all the same, allow it under "
                "[fetch] in notifier.toml",
                outcome="blocked-address",
            )
        return [
            ResolveResult(
                hostname=host, host=address, port=port, family=kind, proto=protocol, flags=socket.AI_NUMERICHOST
            )
            for kind, protocol, address in usable
        ]

    async def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)
