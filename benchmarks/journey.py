"""
How long is one statement's journey, from a feed that shows it to a mail that a server has taken?

    python -m benchmarks.journey

Everything is real: feeds served over HTTP, the service as it runs (`notifier run`, a process of its own), an SMTP
server. Each of twelve feeds shows a new statement, three times over; the clock runs from the moment its document
was served to the moment the mail server had the whole mail, so the wait for the next poll (half a minute here) is not
in it. Beside it, the least that any notifier must do with the same servers: fetch, feedparser, one mail through
aiosmtplib.
"""

from __future__ import annotations

import asyncio
import email.message
import io
import statistics
import tempfile
import time
from pathlib import Path

import aiohttp
import aiosmtplib
import feedparser

from tests.homes import HOST, World, line_with, make_home, notifier, rss, world

FEEDS, TIMES = 12, 3
EVERY = 30  # seconds between polls, the shortest that the settings allow
TARGET = 0.250  # seconds

DESK = """
[[watchlist]]
name = "Dual use"
query = "dual-use AND export*"
urgent = true  # so many at once would be a burst

[[channel]]
email = "desk@bank.example"
"""


def document(feed: str, number: int) -> str:
    """A feed of twenty statements that are of no interest, and so many that are."""
    old = [(f"{feed}-{n}", f"Notice {n} of {feed}", "The office is open. " * 40) for n in range(20)]
    new = [(f"{feed}-new-{n}", f"Controls on dual-use exports, by {feed}", f"Order {n}. " * 40) for n in range(number)]
    return rss(*reversed(new), *old)


async def measure(directory: Path) -> list[float]:
    """Seconds from served to taken, a number for each statement."""
    async with world() as around:
        feeds = [f"feed-{n:02d}" for n in range(FEEDS)]
        home = make_home(directory, around, dict.fromkeys(feeds, "rss"), {"desk": DESK})
        settings = home / "notifier.toml"
        settings.write_text(settings.read_text() + f"\n[feeds]\nevery = {EVERY}\n")
        for feed in feeds:
            around.publisher.publish(feed, document(feed, 0))
        async with notifier(home, "run") as service:
            for _ in feeds:
                await line_with(service.stderr, "first poll")
            times = []
            for number in range(1, TIMES + 1):
                for feed in feeds:
                    around.publisher.publish(feed, document(feed, number))
                await around.mailroom.has(number * FEEDS, patience=3 * EVERY)
                times += [_taken(around, feed) - around.publisher.served_at[feed] for feed in feeds]
            return times


def _taken(around: World, feed: str) -> float:
    """When the newest mail about a feed had come."""
    came = zip(around.mailroom.at, around.mailroom.mails, strict=True)
    return max(at for at, (_, mail) in came if feed in mail["Subject"])


async def bare() -> list[float]:
    """The same from served to taken, with nothing between but the libraries."""
    times = []
    async with world() as around, aiohttp.ClientSession() as session:
        for n in range(FEEDS * TIMES):
            feed = f"feed-{n:02d}"
            around.publisher.publish(feed, document(feed, 1))
            async with session.get(around.publisher.url(feed)) as answer:
                body = await answer.read()
            entry = feedparser.parse(io.BytesIO(body), sanitize_html=False, resolve_relative_uris=False).entries[0]
            mail = email.message.EmailMessage()
            mail["From"], mail["To"], mail["Subject"] = "alerts@house.example", "desk@bank.example", entry.title
            mail.set_content(entry.summary)
            await aiosmtplib.send(mail, hostname=HOST, port=around.mailroom.port, start_tls=False)
            times.append(around.mailroom.at[-1] - around.publisher.served_at[feed])
    return times


def main() -> None:
    """Measure, and print a line of figures."""
    began = time.monotonic()
    print(f"{FEEDS} feeds, {TIMES} new statements in each; about {TIMES * EVERY + 10} s …", flush=True)
    with tempfile.TemporaryDirectory() as directory:
        ours = asyncio.run(measure(Path(directory)))
    least = asyncio.run(bare())
    middle, most = statistics.median(ours), max(ours)
    print(f"served → mail taken, the notifier   median {middle * 1000:5.0f} ms   slowest {most * 1000:5.0f} ms")
    print(f"the same, bare libraries            median {statistics.median(least) * 1000:5.0f} ms")
    print(f"ratio of medians {middle / statistics.median(least):.1f}")
    print(
        f"target ≤ {TARGET * 1000:.0f} ms: {'reached' if middle <= TARGET else 'NOT reached'} at the median, "
        f"{'reached' if most <= TARGET else 'NOT reached'} by the slowest; {time.monotonic() - began:.0f} s"
    )


if __name__ == "__main__":
    main()
