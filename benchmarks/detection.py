"""
The cost of finding the one new entry of a feed, and of knowing all others.

A feed of a thousand entries, one of them new, is parsed and compared as in a poll, against feedparser alone on the same
bytes, in turn in the same run. Then the statements of ten thousand feeds, fifty each, are folded from a log on disk:
their memory and the time of a start, against reading the same events without keeping them. Both grow with the number
of statements.
"""

from __future__ import annotations

import asyncio
import gc
import io
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import feedparser

from notifier.eventlog.sqlite import SqliteLog
from notifier.events.statements import StatementPublished
from notifier.feeds.detect import detect
from notifier.feeds.feed import Document, Feed
from notifier.feeds.known import Known
from notifier.feeds.reading.document import read
from notifier.statement import Statement, fingerprint
from notifier.steps.poll import TYPES, Poller

ENTRIES, TURNS = 1_000, 9
FEEDS, EACH = 10_000, 50
RATIO, MEMORY, LOAD = 1.3, 200.0, 3.0  # of feedparser's time, MB, seconds
NOW = datetime(2020, 6, 30, 1, 0, tzinfo=UTC)
FEED = Feed(id="us-press", url="https://press.example/feed", issuer="Press office")
WORDS = "The Bureau amends the regulations on exports of dual-use items, and sets out <b>licence</b> requirements. " * 4


def document(first: int) -> Document:
    """A feed as publishers write it, of the entries from `first` on, the newest first."""
    items = "".join(
        f"<item><guid isPermaLink='false'>press-{n}</guid><title>Statement {n} on controls &amp; sanctions</title>"
        f"<link>https://press.example/{n}</link><pubDate>Mon, 29 Jun 2020 {n % 24:02}:15:00 GMT</pubDate>"
        f"<category>Trade</category><description><![CDATA[<p>{WORDS} Notice {n}.</p>]]></description></item>"
        for n in range(first + ENTRIES - 1, first - 1, -1)
    )
    head = "<title>Press</title><link>https://press.example/</link><description>News</description>"
    return Document(body=f'<rss version="2.0"><channel>{head}{items}</channel></rss>'.encode(), url=FEED.url)


def cpu(work: Callable[[], object]) -> float:
    """Milliseconds of CPU."""
    before = time.process_time()
    work()
    return (time.process_time() - before) * 1000


def detecting() -> bool:
    known, new = Known(), document(1)
    for event in detect(read(document(0), FEED), FEED, known, NOW, baseline=True):
        known.apply(event)

    def ours() -> None:
        (event,) = detect(read(new, FEED), FEED, known, NOW, baseline=False)
        assert isinstance(event, StatementPublished)

    def bare() -> None:
        assert len(feedparser.parse(io.BytesIO(new.body)).entries) == ENTRIES

    ours(), bare()
    turns = [(cpu(ours), cpu(bare)) for _ in range(TURNS)]
    ratio = statistics.median(one / other for one, other in turns)
    mine, theirs = (statistics.median(side) for side in zip(*turns, strict=True))
    print(f"one new entry in a feed of {ENTRIES:,} ({len(new.body) / 1000:,.0f} kB), CPU, medians of {TURNS} in turn:")
    print(f"  read and compared        {mine:.0f} ms")
    print(f"  feedparser alone         {theirs:.0f} ms")
    print(f"  ratio                    {ratio:.2f}   target {RATIO}")
    return ratio <= RATIO


def resident() -> float:
    """Megabytes of memory of this process."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS"))


def published(number: int) -> StatementPublished:
    feed, title = f"feed-{number % FEEDS}", f"Statement {number} on export controls"
    statement = Statement(
        id=f"{feed}/{number:016x}",
        feed=feed,
        issuer="Press office",
        title=title,
        fingerprint=fingerprint(title),
        link=f"https://{feed}.example/{number}",
        published_at=NOW - timedelta(minutes=number % 500_000),
    )
    # What a feed showed at first was a baseline.
    quiet = "baseline" if number < FEEDS * EACH // 5 else ""
    return StatementPublished(statement=statement, seen_at=NOW + timedelta(seconds=number), muted_because=quiet)


async def knowing() -> bool:
    with tempfile.TemporaryDirectory() as directory:
        log = await SqliteLog.open(Path(directory), lambda: datetime.now(UTC))
        for start in range(0, FEEDS * EACH, 1_000):
            await log.append([published(number) for number in range(start, start + 1_000)])
        await log.close()
        gc.collect()
        log = await SqliteLog.open(Path(directory), lambda: datetime.now(UTC))
        started, position = time.process_time(), 0
        while (page := await log.read(position, TYPES)).position > position:
            position = page.position
        read_only = time.process_time() - started
        before, started = resident(), time.process_time()
        poller = Poller(log, None, None, lambda: datetime.now(UTC))  # type: ignore[arg-type]  # it fetches nothing
        await poller.catch_up()
        seconds, memory = time.process_time() - started, resident() - before
        await log.close()
    print(f"what is known of {FEEDS:,} feeds, {FEEDS * EACH:,} statements, folded from a log on disk:")
    print(f"  memory                   {memory:.0f} MB   target {MEMORY:.0f} MB")
    print(f"  CPU                      {seconds:.1f} s   target {LOAD:g} s")
    print(f"  reading the log alone    {read_only:.1f} s   ({seconds / read_only:.2f} times)")
    return memory <= MEMORY and seconds <= LOAD


if __name__ == "__main__":
    sys.exit(0 if all([detecting(), asyncio.run(knowing())]) else 1)
