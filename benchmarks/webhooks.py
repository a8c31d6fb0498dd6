"""
How fast do webhooks go out, and does a dead host cost a healthy one anything?

    python -m benchmarks.webhooks

First, signed events through the channel as it is, 64 at a time, to a server in another process; beside it, in the same
run and in turn, the same signed bodies by aiohttp alone. Then the deliverer, with the log in memory: two hundred alerts
a second to a thousand addresses on twenty hosts, once all of them healthy, once a tenth of them on a host that takes
connections and never answers. An alert's time is from its place in the log to its outcome there.
"""

from __future__ import annotations

import asyncio
import random
import statistics
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path

import aiohttp

from benchmarks._serving import serve, served
from notifier.channels.posting import Answer
from notifier.channels.webhook import WebhookChannel
from notifier.eventlog.memory import MemoryLog
from notifier.events.alerts import AlertRaised, WatchlistMatched
from notifier.events.deliveries import AlertDelivered
from notifier.events.event import Event
from notifier.events.statements import StatementPublished
from notifier.guard import networks
from notifier.message import Message, Receipt
from notifier.messages.render import Renderer
from notifier.secret import Secret
from notifier.statement import Statement, fingerprint
from notifier.steps.deliver import Deliverer
from notifier.subscribers.book import Book
from notifier.subscribers.subscriber import Contact, Subscriber
from notifier.subscribers.timing import Timing
from tests.messages.builders import NOW, view

POSTS, AT_ONCE, ROUNDS = 4_000, 64, 7
RATE = 0.6  # of the rate of aiohttp alone

ADDRESSES, HOSTS, WAVE, PAUSE, TIMES = 1_000, 20, 10, 0.05, 3
SLOWER = 1.2  # what a dead host may cost the slowest hundredth of the healthy
PATIENCE = 60.0  # seconds until the healthy must have all they are owed

TEMPLATES = Path(__file__).parents[1] / "templates"
LOOPBACK = networks(["127.0.0.0/8"])
KEY = "whsec_" + "c2VjcmV0" * 4
TAKEN = b"HTTP/1.1 204 No Content\r\nServer: nginx\r\nDate: Mon, 29 Jun 2020 21:00:00 GMT\r\n\r\n"


class Server(asyncio.Protocol):
    """Takes every POST; on the address of the dead it reads, and says nothing."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._is_dead = transport.get_extra_info("sockname")[0] == DEAD
        self._read = b""

    def data_received(self, data: bytes) -> None:
        if self._is_dead:
            return
        self._read += data
        while (whole := _length(self._read)) and len(self._read) >= whole:
            self._read = self._read[whole:]
            self._transport.write(TAKEN)


DEAD = "127.0.1.1"


def _length(read: bytes) -> int:
    """Bytes of the first request, 0 while its head is not whole."""
    head, end, _ = read.partition(b"\r\n\r\n")
    if not end:
        return 0
    field = head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0]
    return len(head) + len(end) + int(field)


# ---------------------------------------------------------------- how fast


class Kept(WebhookChannel):
    """A channel that keeps body and headers of its last event."""

    body = b""
    headers: Mapping[str, str] = {}

    async def post(self, url: str, body: bytes, headers: Mapping[str, str] | None = None) -> Answer:
        self.body, self.headers = body, headers or {}
        return await super().post(url, body, headers)


async def signed(message: Message, address: str) -> tuple[bytes, dict[str, str]]:
    """Body and headers of an event as the channel posts it."""
    channel = Kept(allowed=LOOPBACK)
    await channel.send(message, address)
    await channel.close()
    return channel.body, dict(channel.headers)


async def rate(work: Callable[[int], Awaitable[object]]) -> float:
    """How many a second, so many at a time."""
    numbers = iter(range(POSTS))

    async def worker() -> None:
        for number in numbers:
            await work(number)

    began = time.perf_counter()
    await asyncio.gather(*(worker() for _ in range(AT_ONCE)))
    return POSTS / (time.perf_counter() - began)


async def speed(port: int) -> bool:
    """Print both rates; whether the target is reached."""
    url = f"http://127.0.0.1:{port}/hooks/desk/verysecretZq4T"
    form = Renderer([TEMPLATES]).render("alert", ["webhook.json"], view())["webhook.json"]
    messages = [Message(id=f"{n:032x}", parts={"webhook.json": form}, written_at=NOW) for n in range(POSTS)]
    body, headers = await signed(messages[0], f"{url} {KEY}")
    channel = WebhookChannel(allowed=LOOPBACK)
    ours, bare = [], []
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:

        async def post(number: int) -> None:
            async with session.post(url, data=body, headers=headers) as answer:
                await answer.read()
                assert answer.status == 204

        async def send(number: int) -> None:
            receipt = await channel.send(messages[number], f"{url} {KEY}")
            assert receipt == Receipt("204")

        for _ in range(ROUNDS):
            bare.append(await rate(post))
            ours.append(await rate(send))
    await channel.close()
    ratio = statistics.median(mine / theirs for mine, theirs in zip(ours, bare, strict=True))
    print(f"{POSTS:,} signed events of {len(body):,} bytes, {AT_ONCE} at a time, {ROUNDS} rounds in turn, medians:")
    print(f"  events a second, the channel       {statistics.median(ours):,.0f}")
    print(f"  posts a second, aiohttp alone      {statistics.median(bare):,.0f}")
    print(f"  ratio                              {ratio:.2f}   target {RATE} or more")
    return ratio >= RATE


# ---------------------------------------------------------------- how much a dead host costs


def subscribers(port: int, dead_every: int) -> dict[str, Subscriber]:
    """Who is told, each at an address of his own; of so many one is on the dead host, none where it is 0."""
    found = {}
    for number in range(ADDRESSES):
        is_dead = bool(dead_every) and number % dead_every == 0
        host = DEAD if is_dead else f"127.0.0.{number % HOSTS + 1}"
        url = f"http://{host}:{port}/hooks/{number}/verysecretZq4T"
        id = f"dead-{number}" if is_dead else f"desk-{number}"
        way = Contact("webhook", "webhook", Secret(f"{url} {KEY}"))
        found[id] = Subscriber(id=id, name=id, timing=Timing(), watchlists=(), channels=(way,))
    return found


def owed(number: int, to: str) -> list[Event]:
    """A statement, and an alert on it."""
    title = f"Controls on dual-use exports, notice {number}"
    said = Statement(
        id=f"us-commerce/{number}",
        feed="us-commerce",
        issuer="US Department of Commerce",
        title=title,
        fingerprint=fingerprint(title, "", ""),
        published_at=NOW,
    )
    cause = StatementPublished(statement=said, seen_at=NOW)
    match = WatchlistMatched(watchlist="Exports", query="dual-use", words=("dual-use",))
    alert = AlertRaised(cause=cause.id, subscriber=to, statement_id=said.id, matches=(match,), channels=("webhook",))
    return [cause, alert]


async def waits(port: int, dead_every: int) -> list[float]:
    """Seconds from an alert's place in the log to its handing over, for each of the healthy."""
    log = MemoryLog(lambda: datetime.now(UTC))
    told = subscribers(port, dead_every)
    channel = WebhookChannel(allowed=LOOPBACK)
    deliverer = Deliverer(
        log,
        {"webhook": channel},
        Renderer([TEMPLATES]),
        Book(told),
        lambda: datetime.now(UTC),
        random.Random(7).random,
    )
    healthy = sum(id.startswith("desk") for id in told)
    ids = list(told)
    for at in range(0, ADDRESSES, WAVE):
        await log.append([event for number in range(at, at + WAVE) for event in owed(number, ids[number])])
        await deliverer.start_due()
        await asyncio.sleep(PAUSE)
    found = await _waits(log)
    ends_at = time.monotonic() + PATIENCE
    while len(found) < healthy and time.monotonic() < ends_at:
        await deliverer.start_due()
        await asyncio.sleep(PAUSE)
        found = await _waits(log)
    await deliverer.stop(0)
    await channel.close()
    # Who was not told in time has waited for all of it.
    return found + [PATIENCE] * (healthy - len(found))


async def _waits(log: MemoryLog) -> list[float]:
    raised: dict[str, datetime] = {}
    found, after = [], 0
    while (page := await log.read(after, (AlertRaised.type, AlertDelivered.type))).position > after:
        for recorded in page.events:
            if isinstance(recorded.event, AlertDelivered):
                found.append((recorded.recorded_at - raised[recorded.event.alert]).total_seconds())
            else:
                raised[recorded.id] = recorded.recorded_at
        after = page.position
    return found


async def isolation(port: int) -> bool:
    """Print the waits of the healthy with and without a dead host; whether the target is reached."""
    alone, beside = [], []
    for _ in range(TIMES):
        alone += await waits(port, 0)
        beside += await waits(port, 10)
    ratio = slowest(beside) / slowest(alone)
    print(f"{ADDRESSES:,} webhooks on {HOSTS} hosts, {WAVE / PAUSE:.0f} alerts a second, {TIMES} times in turn:")
    for told, found in (("all healthy", alone), ("one in ten on a host that never answers", beside)):
        middle = statistics.median(found) * 1000
        print(f"  {told:<42} median {middle:6.1f} ms   99 % within {slowest(found) * 1000:6.1f} ms")
    print(f"  ratio of the latter                        {ratio:.2f}   target {SLOWER} or less")
    return ratio <= SLOWER


def slowest(found: list[float]) -> float:
    """What 99 of a hundred are within."""
    return statistics.quantiles(found, n=100)[-1]


async def measure() -> bool:
    async with served("benchmarks.webhooks") as port:
        # Both are told, whatever came of the first.
        return all([await speed(port), await isolation(port)])


if __name__ == "__main__":
    if sys.argv[1:] == ["serve"]:
        asyncio.run(serve(Server, (*(f"127.0.0.{number}" for number in range(1, HOSTS + 1)), DEAD)))
    else:
        sys.exit(0 if asyncio.run(measure()) else 1)
