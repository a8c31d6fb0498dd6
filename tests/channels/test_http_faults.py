"""
The fault cases F31 to F40 over HTTP, each against a server on loopback that has that fault.

Those of one channel alone stand with that channel: F34 in test_webhook.py, F38 in test_hostile.py.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import gzip
import resource
import socket
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from notifier.channels.discord import DiscordChannel
from notifier.channels.posting import PEACE, Posting
from notifier.channels.slack import SlackChannel
from notifier.channels.teams import TeamsChannel
from notifier.channels.webhook import WebhookChannel
from notifier.errors import NotifierError, Refused, TryLater
from tests.channels.messages import message
from tests.channels.peers import HANG_UP, SILENCE, Peer, WebPeer, closed_port, response
from tests.channels.receiver import LOOPBACK

KEY = " whsec_" + "c2VjcmV0" * 4
PATH = "/services/T0000/B0000/verysecretZq4T"
WELL = response(200, "ok")

KINDS: dict[str, Callable[..., Posting]] = {
    "slack": SlackChannel,
    "teams": TeamsChannel,
    "discord": DiscordChannel,
    "webhook": WebhookChannel,
}
EACH = pytest.mark.parametrize("kind", KINDS)
# Those whose other side cannot tell a second copy from another message.
UNSURE = pytest.mark.parametrize("kind", ["slack", "teams", "discord"])


@contextlib.asynccontextmanager
async def opened(kind: str, total: float = 5.0, *, allowed: bool = True) -> AsyncIterator[Any]:
    """A channel of this kind that may connect to loopback, or may not."""
    channel = KINDS[kind](allowed=LOOPBACK if allowed else (), total=total)
    try:
        yield channel
    finally:
        await channel.close()


def address(kind: str, port: int, path: str = PATH, origin: str = "http://127.0.0.1") -> str:
    return f"{origin}:{port}{path}{KEY if kind == 'webhook' else ''}"


async def end(channel: Any, where: str) -> TryLater | Refused:
    """How a message ends that does not go well; no error ever holds the address."""
    with pytest.raises(NotifierError) as caught:
        await channel.send(message(), where)
    assert isinstance(caught.value, TryLater | Refused)
    assert "verysecret" not in str(caught.value) + repr(caught.value)
    return caught.value


# ---------------------------------------------------------------- F31, F32: peace


@EACH
async def test_f31_an_address_that_asks_for_peace_has_it(kind: str) -> None:
    """F31: nobody's message goes there for as long as it asked, no attempt is counted, and other addresses go on."""
    async with WebPeer(response(429, "", Retry_After="30"), WELL) as peer, opened(kind) as channel:
        error = await end(channel, address(kind, peer.port))

        assert isinstance(error, TryLater)
        assert (error.outcome, error.after, error.scope, error.counts) == ("throttled", 30, "address", False)
        assert 29 < channel.turn(address(kind, peer.port)) <= 30
        assert channel.turn(address(kind, peer.port, "/another/webhook")) == 0.0
        await channel.send(message(), address(kind, peer.port, "/another/webhook"))


@EACH
@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize(
    ("headers", "after"),
    [
        ({}, None),
        ({"Retry_After": "Mon, 29 Jun 2020 21:02:00 GMT", "Date": "Mon, 29 Jun 2020 21:00:00 GMT"}, 120),
        ({"Retry_After": "999999999"}, 3600),
        ({"Retry_After": "0"}, 1),
    ],
    ids=["none", "date", "endless", "zero"],
)
async def test_f32_a_wish_for_peace_has_bounds(
    kind: str, status: int, headers: dict[str, str], after: float | None
) -> None:
    """F32: a wait in any form, never under a second or over an hour; a minute where it is not said how long."""
    async with WebPeer(response(status, "", **headers)) as peer, opened(kind) as channel:
        error = await end(channel, address(kind, peer.port))

        assert isinstance(error, TryLater)
        assert (error.outcome, error.after, error.counts) == ("throttled", after, False)
        expected = PEACE if after is None else after
        assert expected - 1 < channel.turn(address(kind, peer.port)) <= expected


# ---------------------------------------------------------------- F33: redirects


@EACH
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_f33_a_redirect_is_not_followed(kind: str, status: int) -> None:
    """F33: neither body nor signature goes where somebody else points; it is the address that is wrong."""
    async with WebPeer(WELL) as inside:
        there = response(status, "", Location=f"http://127.0.0.1:{inside.port}/")
        async with WebPeer(there) as peer, opened(kind) as channel:
            error = await end(channel, address(kind, peer.port))

            assert isinstance(error, TryLater)
            assert (error.outcome, error.scope, error.unknown) == ("redirected", "address", False)
            assert len(peer.requests) == 1
        assert inside.connections == 0


# ---------------------------------------------------------------- F35: lost answers


@UNSURE
@pytest.mark.parametrize(("answer", "scope"), [(HANG_UP, "message"), (SILENCE, "place")], ids=["hangs up", "silence"])
async def test_f35_a_lost_answer_is_unknown_where_copies_are_not_known(kind: str, answer: str, scope: str) -> None:
    """F35: one POST and no blind second; a quarter of an hour until the one copy more."""
    async with WebPeer(answer) as peer, opened(kind, total=0.3) as channel:
        error = await end(channel, address(kind, peer.port))

        assert isinstance(error, TryLater)
        assert (error.outcome, error.unknown, error.after) == ("unknown", True, 900)
        assert error.scope == scope
        assert len(peer.requests) == 1


@pytest.mark.parametrize(
    ("answer", "scope", "posts"), [(HANG_UP, "message", 2), (SILENCE, "place", 1)], ids=["hangs up", "silence"]
)
async def test_f35_a_lost_answer_is_an_attempt_where_copies_are_known(answer: str, scope: str, posts: int) -> None:
    """F35: the receiver knows the second copy by its id, so nothing is unknown; who hung up is asked again at once."""
    async with WebPeer(answer) as peer, opened("webhook", total=0.3) as channel:
        error = await end(channel, address("webhook", peer.port))

        assert isinstance(error, TryLater)
        assert (error.outcome, error.unknown, error.scope) == ("cut-off", False, scope)
        assert len({headers["webhook-id"] for _, headers, _ in peer.requests}) == 1
        assert len(peer.requests) == posts


# ---------------------------------------------------------------- F36: payloads


@pytest.mark.parametrize(
    ("kind", "word", "posts"),
    [("slack", "invalid_blocks", 2), ("discord", '{"code": 50035}', 2), ("teams", "", 1), ("webhook", "", 1)],
)
async def test_f36_a_payload_that_cannot_be_read_blocks_nothing(kind: str, word: str, posts: int) -> None:
    """F36: one fallback to plain text where there is one, then the end of this message; the next one goes at once."""
    refusals = [response(400, word)] * posts
    async with WebPeer(*refusals, WELL) as peer, opened(kind) as channel:
        error = await end(channel, address(kind, peer.port))
        assert isinstance(error, Refused)
        assert error.outcome == "payload-refused"
        assert len(peer.requests) == posts

        # Its pace is all that is waited for.
        assert channel.turn(address(kind, peer.port)) <= 1.0
        await channel.send(message(), address(kind, peer.port))


# ---------------------------------------------------------------- F37: ends


@pytest.mark.parametrize(
    ("kind", "answer"),
    [
        ("slack", response(410, "channel_is_archived")),
        ("slack", response(404, "no_service")),
        ("teams", response(404, '{"error":{"code":"WorkflowNotFound"}}')),
        ("discord", response(404, '{"code": 10015}')),
        ("webhook", response(410)),
    ],
)
async def test_f37_an_address_that_is_no_more_says_so_once(kind: str, answer: str) -> None:
    """F37: refused for good at the first answer, by the outcome that ends the channel."""
    async with WebPeer(answer) as peer, opened(kind) as channel:
        error = await end(channel, address(kind, peer.port))

        assert isinstance(error, Refused)
        assert error.outcome == "endpoint-gone"
        assert len(peer.requests) == 1


@EACH
@pytest.mark.parametrize("status", [401, 403])
async def test_an_address_that_turns_us_away_is_told_apart(kind: str, status: int) -> None:
    """It may be a key that is being changed: by its outcome it is asked a few times, and then no more."""
    async with WebPeer(response(status)) as peer, opened(kind) as channel:
        error = await end(channel, address(kind, peer.port))

        assert isinstance(error, TryLater)
        assert (error.outcome, error.after, error.scope, error.counts) == ("forbidden", 1200, "address", True)


# ---------------------------------------------------------------- F39: answers without end


@EACH
async def test_f39_an_answer_that_drips_ends_in_time(kind: str) -> None:
    """F39: a byte now and then keeps nobody waiting beyond the limit for the whole."""

    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        for letter in "HTTP/1.1 200 OK\r\nX-Slow: " + "x" * 1000:
            writer.write(letter.encode())
            await writer.drain()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(reader.read(-1), 0.05)

    async with Peer(drip) as peer, opened(kind, total=0.4) as channel:
        began = asyncio.get_running_loop().time()
        error = await end(channel, address(kind, peer.port))

        assert asyncio.get_running_loop().time() - began < 2
        assert isinstance(error, TryLater)
        assert error.scope == "place"


@functools.cache
def bomb() -> bytes:
    """200 MB of nothing, packed."""
    return gzip.compress(bytes(200_000_000), 1)


@EACH
async def test_f39_a_bomb_is_not_unpacked(kind: str) -> None:
    """F39: of an answer that unpacks to 200 MB four kilobytes are read; the next message goes."""
    head = f"HTTP/1.1 500 Words\r\nContent-Encoding: gzip\r\nContent-Length: {len(bomb())}\r\n\r\n".encode()
    answers = [head + bomb(), WELL.encode()]

    async def explode(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await reader.readuntil(b"\r\n\r\n")
        length = next(line for line in request.split(b"\r\n") if line.lower().startswith(b"content-length"))
        await reader.readexactly(int(length.partition(b":")[2]))
        writer.write(answers.pop(0))
        await writer.drain()

    async with Peer(explode) as peer, opened(kind) as channel:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        error = await end(channel, address(kind, peer.port))
        grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before

        assert isinstance(error, TryLater)
        assert grown < 50_000  # kilobytes
        await channel.send(message(), address(kind, peer.port))


@EACH
async def test_f39_a_megabyte_of_headers_ends_it(kind: str) -> None:
    """F39: the attempt ends, and the next message goes."""
    endless = "HTTP/1.1 200 OK\r\nX-Long: " + "x" * 1_000_000 + "\r\n\r\n"
    async with WebPeer(endless, endless, WELL) as peer, opened(kind) as channel:
        error = await end(channel, address(kind, peer.port))

        assert isinstance(error, TryLater)
        while len(peer.requests) < 2:
            await end(channel, address(kind, peer.port))
        await channel.send(message(), address(kind, peer.port))


# ---------------------------------------------------------------- F40: inside


INSIDE = ["127.0.0.1", "[::ffff:127.0.0.1]", "[::1]", "0.0.0.0", "127.1", "2130706433", "0x7f.0.0.1", "10.0.0.1"]
INSIDE += ["169.254.169.254", "100.64.0.1", "[fd00::1]", "[64:ff9b::a00:1]", "localhost", "x.localhost", "localhost."]


@EACH
@pytest.mark.parametrize("host", INSIDE)
async def test_f40_an_address_inside_is_refused_with_the_file(kind: str, host: str) -> None:
    """F40: however it is spelt, at registration; and should it slip through, nothing connects."""
    async with WebPeer() as peer, opened(kind, allowed=False) as channel:
        where = address(kind, peer.port, origin=f"https://{host}")

        assert "public internet" in channel.refusal(where)
        assert isinstance(await end(channel, where), Refused)
        assert peer.connections == 0


@EACH
async def test_f40_a_name_that_turns_inside_is_refused_at_send(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """F40: a name looked right when it was written down; where it leads is asked at each send, before a socket."""

    def look_up(host: str, port: int, *_: object, **__: object) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

    async with WebPeer() as peer, opened(kind, allowed=False) as channel:
        where = address(kind, peer.port, origin="https://rebound.example")
        assert channel.refusal(where) == ""
        monkeypatch.setattr(socket, "getaddrinfo", look_up)

        error = await end(channel, where)

        assert error.outcome == "blocked-address"
        assert peer.connections == 0


# ---------------------------------------------------------------- hosts that are not there


@EACH
async def test_a_host_that_is_not_there_holds_its_place(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Refused connections, names that are not found and no TLS concern every address there, not one message."""

    def look_up(host: str, port: int, *_: object, **__: object) -> list[Any]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    async def say_hello(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 this is no TLS\r\n")

    async with Peer(say_hello) as peer, opened(kind) as channel:
        closed = await end(channel, address(kind, await closed_port()))
        plain = await end(channel, address(kind, peer.port, origin="https://127.0.0.1"))
        monkeypatch.setattr(socket, "getaddrinfo", look_up)
        unknown = await end(channel, address(kind, 9, origin="https://nowhere.example"))

    for error, outcome in ((closed, "unreachable"), (plain, "bad-certificate"), (unknown, "unreachable")):
        assert isinstance(error, TryLater)
        assert (error.outcome, error.scope, error.counts, error.unknown) == (outcome, "place", True, False)


@EACH
async def test_the_other_side_is_told_who_posts(kind: str) -> None:
    """By the program's name, and not by that of a library."""
    async with WebPeer(WELL) as peer, opened(kind) as channel:
        await channel.send(message(), address(kind, peer.port))

        ((_, headers, _),) = peer.requests
        assert {name.lower(): value for name, value in headers.items()}["user-agent"] == "policy-change-notifier"
