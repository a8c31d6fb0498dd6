"""Which addresses may be reached, and does anything connect to another, however it is spelled?"""

from __future__ import annotations

import asyncio
import socket
from ipaddress import ip_network
from typing import Any

import aiohttp
import pytest
from aiohttp.abc import AbstractResolver, ResolveResult
from hypothesis import given
from hypothesis import strategies as st

from notifier.errors import NotifierError, Refused, TryLater
from notifier.feeds.feed import Feed, Validators
from notifier.feeds.fetch import Fetcher
from notifier.guard import AddressInfo, is_public, networks, refuse_inside

# The first and the last address of every range that is not the public internet, and what it is.
INSIDE = {
    "0.0.0.0/8": "this network",
    "10.0.0.0/8": "private",
    "100.64.0.0/10": "behind a carrier's NAT; a cloud's metadata at 100.100.100.200",
    "127.0.0.0/8": "loopback",
    "168.63.129.16/32": "a cloud's own",
    "169.254.0.0/16": "link-local; most clouds' metadata",
    "172.16.0.0/12": "private",
    "192.0.0.0/24": "protocols; a cloud's metadata at 192.0.0.192",
    "192.0.2.0/24": "documentation",
    "192.88.99.0/24": "6to4 relays",
    "192.168.0.0/16": "private",
    "198.18.0.0/15": "benchmarks",
    "198.51.100.0/24": "documentation",
    "203.0.113.0/24": "documentation",
    "224.0.0.0/4": "multicast",
    "240.0.0.0/4": "reserved, and broadcast",
    "::/96": "unspecified, loopback, and IPv4 in disguise",
    "::ffff:0:0:0/96": "IPv4, translated",
    "::ffff:10.0.0.0/104": "IPv4, mapped",
    "64:ff9b::/96": "NAT64",
    "64:ff9b:1::/48": "NAT64 of a network's own",
    "100::/64": "discarded",
    "2001::/23": "Teredo, ORCHID and other protocols",
    "2001:db8::/32": "documentation",
    "2002::/16": "6to4",
    "3fff::/20": "documentation",
    "5f00::/16": "segment routing",
    "fc00::/7": "private; a cloud's metadata at fd00:ec2::254",
    "fe80::/10": "link-local",
    "fec0::/10": "site-local",
    "ff00::/8": "multicast",
}
PUBLIC = ["1.1.1.1", "9.255.255.255", "11.0.0.0", "172.32.0.1", "192.0.1.1", "223.255.255.255", "2606:4700::1111"]

# Loopback and metadata services, as a URL may spell them. None needs a name server: each is a number to the system.
SPELLINGS = {
    "plain": "127.0.0.1",
    "decimal": "2130706433",
    "octal": "0177.0.0.1",
    "hex": "0x7f000001",
    "hex-and-short": "0x7f.1",
    "short": "127.1",
    "zero": "0",
    "unspecified": "0.0.0.0",
    "full-width-digits": "１２７.０.０.１",
    "circled-digits": "①②⑦.⓪.⓪.①",
    "full-width-dots": "127。0。0。1",
    "metadata": "169.254.169.254",
    "metadata-decimal": "2852039166",
    "v6-loopback": "[::1]",
    "v6-long": "[0:0:0:0:0:0:0:1]",
    "v6-unspecified": "[::]",
    "mapped": "[::ffff:127.0.0.1]",
    "mapped-hex": "[::ffff:7f00:1]",
    "compatible": "[::127.0.0.1]",
    "translated": "[::ffff:0:127.0.0.1]",
    "nat64": "[64:ff9b::127.0.0.1]",
    "nat64-hex": "[64:ff9b::a9fe:a9fe]",
    "6to4": "[2002:7f00:1::]",
    "teredo": "[2001:0:7f00:1::]",
    "private": "[fd00:ec2::254]",
    "link-local-with-zone": "[fe80::1%25lo]",
    "a-name-that-resolves-inside": "localhost",
}


@pytest.fixture
def tripwire(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Where something tried to connect to; it never gets through."""
    tried: list[object] = []

    def connect(self: socket.socket, address: object) -> None:
        tried.append(address)
        raise OSError("a connection was tried")

    monkeypatch.setattr(socket.socket, "connect", connect)
    return tried


class Answers(AbstractResolver):
    """A name server that gives these addresses in turn, the last for ever."""

    def __init__(self, *answers: list[str]) -> None:
        self._left = list(answers)

    async def resolve(self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET) -> Any:
        answer = self._left.pop(0) if len(self._left) > 1 else self._left[0]
        return [
            ResolveResult(
                hostname=host, host=address, port=port, family=family_of(address), proto=0, flags=socket.AI_NUMERICHOST
            )
            for address in answer
        ]

    async def close(self) -> None:
        """Nothing to let go of."""


def family_of(address: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def info(address: str) -> AddressInfo:
    return family_of(address), socket.SOCK_STREAM, 6, "", (address, 443)


async def asked(url: str, resolver: AbstractResolver) -> None:
    """One request behind the guard, as aiohttp makes it with this name server."""
    guard: Any = refuse_inside()
    connector = aiohttp.TCPConnector(socket_factory=guard, resolver=resolver, use_dns_cache=False)
    async with asyncio.timeout(10), aiohttp.ClientSession(connector=connector) as session, session.get(url):
        pass


# ---------------------------------------------------------------- addresses


@pytest.mark.parametrize("network", INSIDE)
def test_special_ranges_are_not_public(network: str) -> None:
    """The first, a middle and the last address of each range that reaches inside are refused."""
    special = ip_network(network)
    middle = special[special.num_addresses // 2]

    assert [str(address) for address in (special[0], middle, special[-1]) if is_public(str(address))] == []


@pytest.mark.parametrize("address", PUBLIC)
def test_the_internet_is_public(address: str) -> None:
    """What lies beside the special ranges may be reached."""
    assert is_public(address)


@pytest.mark.parametrize(
    "text", ["", "localhost", "127.1", "0x7f.0.0.1", "2130706433", "1.1.1.1 ", "[::1]", "1.1.1", "١.١.١.١"]
)
def test_what_is_no_plain_address_is_not_public(text: str) -> None:
    """Only the numeric form that the system connects to is judged; any other text is refused."""
    assert not is_public(text)


@given(st.ip_addresses(v=4))
def test_an_address_in_disguise_is_no_more_public(address: Any) -> None:
    """An IPv4 address mapped into IPv6 is as public as it is by itself."""
    assert is_public(f"::ffff:{address}") == is_public(str(address))


@given(st.ip_addresses(v=6))
def test_only_global_unicast_is_public(address: Any) -> None:
    """No IPv6 address outside of 2000::/3 is public, unless it stands for a public IPv4 address."""
    if is_public(str(address)):
        assert address in ip_network("2000::/3") or address.ipv4_mapped is not None


# ---------------------------------------------------------------- the allow-list


@pytest.mark.parametrize(
    ("allowed", "address"),
    [
        ("127.0.0.1/32", "127.0.0.1"),
        ("10.1.0.0/16", "10.1.255.255"),
        ("127.0.0.0/8", "::ffff:127.0.0.1"),
        ("::1/128", "::1"),
        ("fd00::/8", "fd00::1%eth0"),
        ("2002::/16", "2002:a00:1::"),
    ],
)
def test_the_operator_may_allow_what_is_inside(allowed: str, address: str) -> None:
    """An address in an allowed network may be reached, and a socket is made for it."""
    made = refuse_inside(networks([allowed]))(info(address.partition("%")[0]))
    made.close()

    assert is_public(address, networks([allowed]))
    assert not is_public(address)


@pytest.mark.parametrize("address", ["10.2.0.0", "127.0.0.1", "::1", "::ffff:10.2.0.1"])
def test_what_is_allowed_opens_nothing_else(address: str) -> None:
    """An allowed network is no key to those beside it."""
    assert not is_public(address, networks(["10.1.0.0/16", "127.0.0.2"]))


@pytest.mark.parametrize("text", ["localhost", "10.0.0.1/8", "10.0.0.0/33", ""])
def test_an_allowed_network_must_be_one(text: str) -> None:
    """What is not a network, or has bits set beside it, is an error and not a guess."""
    with pytest.raises(ValueError, match=r".*"):
        networks([text])


# ---------------------------------------------------------------- connections


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "169.254.169.254", "64:ff9b::7f00:1"])
def test_no_socket_is_made_for_an_address_inside(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The factory raises before there is a socket, and says where one may be allowed."""
    monkeypatch.setattr(socket, "socket", None)

    with pytest.raises(Refused, match=r"notifier\.toml") as caught:
        refuse_inside()(info(address))

    assert caught.value.outcome == "blocked-address"


@pytest.mark.parametrize("host", SPELLINGS.values(), ids=SPELLINGS)
async def test_no_spelling_leads_inside(host: str, tripwire: list[object]) -> None:
    """However an address inside is spelled, the poll ends and nothing connects."""
    fetcher = Fetcher(seconds=10)

    with pytest.raises(Refused) as caught:
        await fetcher.fetch(Feed(id="us-press", url=f"http://{host}:9/feed", issuer="Press"), Validators())
    await fetcher.close()

    assert caught.value.outcome in {"blocked-address", "bad-address"}
    assert tripwire == []


async def failure_for(addresses: list[str], monkeypatch: pytest.MonkeyPatch) -> str:
    """The outcome of a poll whose host has these addresses, to the system's name look-up."""

    def look_up(host: str, port: int, *_: object, **__: object) -> list[AddressInfo]:
        return [(*info(address)[:4], (address, port)) for address in addresses]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    fetcher = Fetcher(seconds=10)
    with pytest.raises(NotifierError) as caught:
        await fetcher.fetch(Feed(id="us-press", url="http://several.example/", issuer="Press"), Validators())
    await fetcher.close()
    assert isinstance(caught.value, TryLater | Refused)
    return caught.value.outcome


@pytest.mark.parametrize(
    "addresses", [["127.0.0.1"], ["::1", "127.0.0.1"], ["10.0.0.1", "169.254.169.254", "fd00::1"]], ids=len
)
async def test_a_name_may_not_lead_inside(
    addresses: list[str], tripwire: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name all of whose addresses are inside is refused for that reason, be they one or several."""
    assert await failure_for(addresses, monkeypatch) == "blocked-address"
    assert tripwire == []


@pytest.mark.parametrize("first", [True, False], ids=["public-first", "inside-first"])
async def test_among_several_addresses_only_the_public_are_tried(
    first: bool, tripwire: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An inside address hidden beside a public one is passed over, wherever it stands."""
    addresses = ["93.184.216.34", "10.0.0.1"] if first else ["10.0.0.1", "93.184.216.34"]

    assert await failure_for(addresses, monkeypatch) == "unreachable"
    assert set(tripwire) == {("93.184.216.34", 80)}


async def test_a_name_that_answers_differently_the_second_time_does_not_help(tripwire: list[object]) -> None:
    """The address that is connected to is the one that is checked, whatever the name said before."""
    resolver = Answers(["93.184.216.34"], ["127.0.0.1"])

    with pytest.raises(aiohttp.ClientConnectorError):
        await asked("http://rebound.example/", resolver)
    with pytest.raises(Refused):
        await asked("http://rebound.example/", resolver)

    assert tripwire == [("93.184.216.34", 80)]
