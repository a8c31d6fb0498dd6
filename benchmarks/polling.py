"""
The cost of a poll that finds nothing new.

A thousand feeds on twenty loopback hosts, all answering 304 from another process, are polled as the service does it:
rounds, habits, poller, fetcher and known statements, with a log on disk. In turn with that, aiohttp alone sends the
same requests. Both rates are compared, and the CPU time of this process, which a busy machine disturbs less.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path

import aiohttp

from benchmarks._serving import serve, served
from notifier.eventlog.sqlite import SqliteLog
from notifier.feeds.feed import Feed
from notifier.feeds.fetch import Fetcher
from notifier.feeds.habit import Bounds, next_due
from notifier.feeds.parsers import Parser
from notifier.feeds.rounds import PollResult, Rounds
from notifier.guard import networks
from notifier.steps.poll import Poller

FEEDS, HOSTS, A_HOST, ROUNDS = 1_000, 20, 2, 7
TARGET = 0.4  # milliseconds of CPU for a poll
RATE = 0.5  # of the rate of aiohttp alone
ETAG = '"5ef-4a1"'
DOCUMENT = (
    b'<rss version="2.0"><channel><title>Press</title><link>https://example.org/</link><description>d</description>'
    b"<item><guid>one</guid><title>Curbs on exports</title><link>https://example.org/one</link></item></channel></rss>"
)
FRESH = (
    f"HTTP/1.1 200 OK\r\nContent-Type: application/rss+xml\r\nETag: {ETAG}\r\nContent-Length: {len(DOCUMENT)}\r\n\r\n"
).encode() + DOCUMENT
# With the headers that such a server usually sends.
UNCHANGED = (
    f"HTTP/1.1 304 Not Modified\r\nServer: nginx\r\nDate: Mon, 29 Jun 2020 21:00:00 GMT\r\nETag: {ETAG}\r\n"
    "Cache-Control: max-age=300, public\r\nConnection: keep-alive\r\n\r\n"
).encode()


class Server(asyncio.Protocol):
    """Answers 304 to a request with the ETag, and the document to any other."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._read = b""

    def data_received(self, data: bytes) -> None:
        self._read += data
        while b"\r\n\r\n" in self._read:
            request, _, self._read = self._read.partition(b"\r\n\r\n")
            self._transport.write(UNCHANGED if ETAG.encode() in request else FRESH)


async def all_polled(poller: Poller, feeds: list[Feed], outcome: str) -> None:
    """Poll each feed once, as the running service does."""
    done, left = asyncio.Event(), len(feeds)

    def on_poll(feed: Feed, poll: PollResult) -> None:
        nonlocal left
        assert poll.outcome == outcome, f"{feed.id}: {poll.outcome}: {poll.detail}"
        left -= 1
        if not left:
            done.set()

    def pace(feed: Feed) -> float:
        now = datetime.now(UTC)
        return (next_due(feed, poller.habit(feed), Bounds(), now) - now).total_seconds()

    rounds = Rounds(feeds, poller.poll, lambda: 0.5, ticks=lambda: 0.0, on_poll=on_poll, pace=pace)
    await rounds.start_due()
    async with asyncio.timeout(120):
        await done.wait()
    await rounds.stop()


async def all_asked(session: aiohttp.ClientSession, feeds: list[Feed]) -> None:
    """Send the same requests with aiohttp alone."""

    async def ask(feed: Feed) -> None:
        async with session.get(feed.url, headers={"If-None-Match": ETAG}) as answer:
            await answer.read()
            assert answer.status == 304

    async with asyncio.timeout(120):
        await asyncio.gather(*(ask(feed) for feed in feeds))


async def cost(work: Callable[[], Awaitable[None]]) -> tuple[float, float]:
    """CPU milliseconds of this process, all threads, per feed; and feeds per second."""
    before, began = time.process_time(), time.perf_counter()
    await work()
    seconds = time.perf_counter() - began
    return (time.process_time() - before) / FEEDS * 1000, FEEDS / seconds


async def measure() -> bool:
    with tempfile.TemporaryDirectory() as directory:
        log = await SqliteLog.open(Path(directory), lambda: datetime.now(UTC))
        fetcher, parser = Fetcher(networks(["127.0.0.0/8"]), per_host=A_HOST), Parser()
        poller = Poller(log, fetcher, parser, lambda: datetime.now(UTC))
        connector = aiohttp.TCPConnector(limit_per_host=A_HOST)
        async with served("benchmarks.polling") as port, aiohttp.ClientSession(connector=connector) as session:
            feeds = [
                Feed(id=f"f{number}", url=f"http://127.0.0.{number % HOSTS + 1}:{port}/feed/{number}", issuer="Press")
                for number in range(FEEDS)
            ]
            await all_polled(poller, feeds, "ok")
            ours, bare = [], []
            for _ in range(ROUNDS):
                bare.append(await cost(lambda: all_asked(session, feeds)))
                ours.append(await cost(lambda: all_polled(poller, feeds, "unchanged")))
            await fetcher.close()
            await parser.close()
            await log.close()
    poll, request = (statistics.median(cpu for cpu, _ in turns) for turns in (ours, bare))
    rate, most = (statistics.median(rate for _, rate in turns) for turns in (ours, bare))
    ratio = statistics.median(mine[1] / theirs[1] for mine, theirs in zip(ours, bare, strict=True))
    print(f"{FEEDS:,} feeds that answer 304 on {HOSTS} hosts, {ROUNDS} rounds in turn, medians:")
    print(f"  polls a second, all of ours        {rate:,.0f}")
    print(f"  requests a second, aiohttp alone   {most:,.0f}")
    print(f"  ratio                              {ratio:.2f}   target {RATE} or more")
    print(f"  CPU of a poll, all of ours         {poll:.3f} ms   target {TARGET} ms")
    print(f"  CPU of a request, aiohttp alone    {request:.3f} ms   ({poll / request:.2f} times)")
    return poll <= TARGET and ratio >= RATE


if __name__ == "__main__":
    if sys.argv[1:] == ["serve"]:
        asyncio.run(serve(Server, [f"127.0.0.{number}" for number in range(1, HOSTS + 1)]))
    else:
        sys.exit(0 if asyncio.run(measure()) else 1)
