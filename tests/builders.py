"""What the tests of the steps have in common: a clock, a log that fails at will, a publisher, and entries."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeVar

import pytest

from notifier.errors import LogFull
from notifier.eventlog.log import Appended, Commit, Duplicate, EventLog
from notifier.eventlog.memory import MemoryLog
from notifier.eventlog.sqlite import SqliteLog
from notifier.events.event import Event, Recorded
from notifier.feeds.feed import Document, Entry, Feed, Reading, Unchanged, Validators
from notifier.feeds.govuk import PublisherRecord
from notifier.feeds.visit import WebPage

NOON = datetime(2020, 6, 29, 12, 0, tzinfo=UTC)
COMMERCE = Feed(id="us-commerce", url="https://commerce.example/rss", issuer="US Department of Commerce", country="US")
USTR = Feed(id="us-ustr", url="https://ustr.example/rss", issuer="US Trade Representative", country="US")

E = TypeVar("E", bound=Event)


class Clock:
    """A clock that moves when it is told to."""

    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> datetime:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


class FailingLog(MemoryLog):
    """
    The log in memory, on a disk that fails when a test says so: "before" it stored an append, or "after", so that all
    is there and nobody is told. `failures` are used up one an append; "" lets one pass.
    """

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock)
        self.failures: list[str] = []

    async def append(
        self, events: list[Event], *, blobs: list[bytes] = (), commit: Commit | None = None
    ) -> list[Appended | Duplicate]:
        failure = self.failures.pop(0) if self.failures else ""
        if failure == "before":
            raise LogFull("the disk is full")
        answers = await super().append(events, blobs=blobs, commit=commit)
        if failure == "after":
            raise LogFull("the disk is full")
        return answers


@asynccontextmanager
async def in_memory(folder: Path, clock: Clock | None = None) -> AsyncIterator[EventLog]:
    yield MemoryLog(clock or Clock())


@asynccontextmanager
async def in_sqlite(folder: Path, clock: Clock | None = None) -> AsyncIterator[EventLog]:
    log = await SqliteLog.open(folder, clock or Clock())
    try:
        yield log
    finally:
        await log.close()


LogIn = Callable[..., AbstractAsyncContextManager[EventLog]]
ON_ANY_LOG = pytest.mark.parametrize("log_in", [in_memory, in_sqlite])


async def recorded(log: EventLog, type: type[E]) -> list[Recorded]:
    """All events of a type, as the log holds them."""
    found, page = [], await log.read(0, [type.type])
    while page.events:
        found += page.events
        page = await log.read(page.position, [type.type])
    return found


async def events(log: EventLog, type: type[E]) -> list[E]:
    """The same without their places."""
    return [each.event for each in await recorded(log, type)]


def entry(id: str = "1", title: str = "Commerce suspends special status", **more: object) -> Entry:
    """One item of a feed, of a quarter of an hour ago."""
    values = {"published": NOON - timedelta(minutes=15), "link": f"https://commerce.example/{id}"} | more
    return Entry(id=id, title=title, **values)


class Publisher:
    """
    Feeds as a test wants them, at the two ports of a poll: it serves documents and reads them.

    `asked` are the validators that came with each request, `asked_at` the addresses.
    """

    def __init__(self) -> None:
        self.asked: list[Validators] = []
        self.asked_at: list[str] = []
        self._served: dict[str, Document | Exception] = {}
        self._readings: dict[bytes, Reading | Exception] = {}

    def shows(
        self,
        *entries: Entry,
        feed: Feed = COMMERCE,
        etag: str = "",
        moved_to: str = "",
        cut_short: bool = False,
        next: str = "",
        deleted: tuple[str, ...] = (),
        hub: str = "",
        refused: Exception | None = None,
    ) -> None:
        """From now on a feed's document holds these entries, or is `refused` when read."""
        body = f"document {len(self._readings)}".encode()
        self._served[feed.url] = Document(body=body, url=feed.url, validators=Validators(etag), moved_to=moved_to)
        problem = "the document is cut short" if cut_short else ""
        self._readings[body] = refused or Reading(
            entries=entries, problem=problem, cut_short=cut_short, next=next, deleted=deleted, hub=hub
        )

    def fails(self, error: Exception, feed: Feed = COMMERCE) -> None:
        """From now on asking for a feed raises."""
        self._served[feed.url] = error

    async def fetch(self, feed: Feed, known: Validators) -> Document | Unchanged:
        self.asked.append(known)
        self.asked_at.append(feed.url)
        served = self._served[feed.url]
        if isinstance(served, Exception):
            raise served
        if served.validators.etag and served.validators.etag == known.etag:
            return Unchanged(known, served.moved_to)
        return served

    async def parse(self, document: Document, feed: Feed) -> Reading:
        reading = self._readings[document.body]
        if isinstance(reading, Exception):
            raise reading
        return reading


WORDS = "Licences for Hong Kong end today.\n\nExports need a new one."


class Pages:
    """
    Pages as a test wants them, at the port of the steps that read them: words by link, or an error to raise, the last
    of them for ever. A link in `held` answers once its event is set; `asked` are all that came, `most_at_once` how many
    of them were under way together. `publisher` says what its publisher says of a link, `by` what reads them.
    """

    def __init__(self) -> None:
        self.answers: dict[str, list[str | Exception]] = {}
        self.publisher: dict[str, PublisherRecord] = {}
        self.by = "extractor 1"
        self.held: dict[str, asyncio.Event] = {}
        self.asked: list[str] = []
        self.most_at_once = 0
        self._under_way = 0

    async def read(self, link: str, feed: Feed) -> WebPage:
        self.asked.append(link)
        self._under_way += 1
        self.most_at_once = max(self.most_at_once, self._under_way)
        try:
            if link in self.held:
                await self.held[link].wait()
            else:
                await asyncio.sleep(0)
        finally:
            self._under_way -= 1
        answers = self.answers.get(link, [WORDS])
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        if isinstance(answer, Exception):
            raise answer
        return WebPage(answer, self.by)

    async def record(self, link: str, feed: Feed) -> PublisherRecord:
        return self.publisher.get(link, PublisherRecord())
