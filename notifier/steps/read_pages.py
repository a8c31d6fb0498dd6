"""
What a feed told of in brief → its page's words, in the log.

Alerts on title and summary wait for nothing here: they are raised from the feed's own event, and the words of the page
come behind as an event of their own.
"""

from __future__ import annotations

import asyncio
import logging
import traceback
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import Protocol
from urllib.parse import urlsplit
from weakref import WeakValueDictionary

import msgspec

from notifier.errors import LogError, Refused, TryLater
from notifier.eventlog.batches import batches
from notifier.eventlog.log import Consumer, EventLog
from notifier.eventlog.wording import WordsEvent, fitted, weight, wording
from notifier.events.event import Event, Recorded
from notifier.events.statements import PageRead, PageUnreadable, StatementPublished, StatementRevised
from notifier.feeds.feed import Feed
from notifier.feeds.visit import WebPage, feed_of, is_whole

logger = logging.getLogger(__name__)

NAME = "read"
TYPES = (StatementPublished.type, StatementRevised.type)
MAX_CONCURRENT, A_HOST = 8, 2  # pages under way together, and those of one host, so that a dead one holds up few
MOST = 1_000  # statements that wait for their page; the log keeps those behind them
LADDER = (60.0, 300.0, 1_500.0)  # seconds until a page is tried again that could not be read now
LATE = timedelta(days=1)  # after which a statement's page is not read any more: it is a log from before this step


class PageSource(Protocol):
    """The way to a statement's page. Raises `TryLater` or `Refused`."""

    async def read(self, link: str, feed: Feed) -> WebPage: ...


class PendingPage(msgspec.Struct, frozen=True, omit_defaults=True):
    """A statement whose page is still to be read: the event that told of it, tries so far, and when the next is due."""

    cause: str
    due_at: datetime
    tries: int = 0


class PageReader:
    """
    Reads the pages of new statements, several beside each other, and records their words or why there are none.

    `feeds` are those that are polled, `random` spreads what is tried again. What waits is kept with the step's place in
    the log, so that a crash costs one more visit and loses nothing.
    """

    def __init__(
        self,
        log: EventLog,
        visit: PageSource,
        feeds: Iterable[Feed],
        clock: Callable[[], datetime],
        random: Callable[[], float],
    ) -> None:
        self._log = log
        self._visit = visit
        self._feeds = {feed.id: feed for feed in feeds}
        self._clock = clock
        self._random = random
        self._turn = asyncio.Lock()
        self._consumer: Consumer | None = None
        self._position = 0
        self._waiting: dict[str, PendingPage] = {}
        # What became of visits and is not in the log yet.
        self._outcomes: dict[str, Event | PendingPage] = {}
        self._under_way: dict[str, asyncio.Task[None]] = {}
        self._places = asyncio.Semaphore(MAX_CONCURRENT)
        self._hosts: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()

    async def start_due(self) -> None:
        """Begin to read what is due, and do not wait for it."""
        async with self._turn:
            await self._store()
            await self._take_in()
        now = self._clock()
        for waiting in self._waiting.values():
            if waiting.due_at <= now and waiting.cause not in self._under_way:
                task = asyncio.create_task(self._one(waiting), name=f"read {waiting.cause}")
                self._under_way[waiting.cause] = task

    async def run(self) -> None:
        """Read all that is due."""
        await self.start_due()
        while self._under_way:
            await asyncio.wait(self._under_way.values())
        async with self._turn:
            await self._store()

    async def stop(self) -> None:
        """End what is under way; it is read after the next start."""
        tasks = list(self._under_way.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    # ---------------------------------------------------------------- what waits

    async def _place(self) -> Consumer:
        """Our place in the log, read from there where we are not sure of it."""
        if self._consumer is None:
            self._consumer = await self._log.consumer(NAME)
            self._position = self._consumer.position
            kept = msgspec.json.decode(self._consumer.state or b"[]", type=list[PendingPage])
            self._waiting = {waiting.cause: waiting for waiting in kept}
        return self._consumer

    async def _take_in(self) -> None:
        """Queue what the log has come to hold, as far as there is room."""
        await self._place()
        while len(self._waiting) < MOST:
            page = await self._log.read(self._position, TYPES, limit=100)
            self._position = page.position
            for recorded in page.events:
                if self._wants(recorded):
                    self._waiting[recorded.id] = PendingPage(recorded.id, self._clock())
            if not page.events:
                break

    def _wants(self, recorded: Recorded) -> bool:
        event = recorded.event
        if not isinstance(event, StatementPublished | StatementRevised) or feed_of(event, self._feeds) is None:
            return False
        return not is_whole(event.statement) and self._clock() - event.seen_at < LATE

    async def _store(self) -> None:
        """Record what became of visits, with our place and all that waits still."""
        outcomes = dict(self._outcomes)
        if not outcomes:
            return
        consumer = await self._place()
        waiting = {cause: each for cause, each in self._waiting.items() if cause not in outcomes}
        waiting |= {cause: each for cause, each in outcomes.items() if isinstance(each, PendingPage)}
        events = [fitted(each) for each in outcomes.values() if isinstance(each, Event)]
        # Kept only while all goes well: of a failing append we cannot know whether it moved us on.
        self._consumer = None
        *firsts, last = batches(events, weight)
        for batch in firsts:
            await self._log.append([event for event, _ in batch], blobs=[blob for _, blob in batch if blob])
        commit = consumer.moved_to(self._position, msgspec.json.encode(list(waiting.values())))
        await self._log.append([event for event, _ in last], blobs=[blob for _, blob in last if blob], commit=commit)
        self._consumer = msgspec.structs.replace(consumer, version=consumer.version + 1)
        self._waiting = waiting
        for cause in outcomes:
            del self._outcomes[cause]

    # ---------------------------------------------------------------- one page

    async def _one(self, waiting: PendingPage) -> None:
        try:
            if outcome := await self._visited(waiting):
                self._outcomes[waiting.cause] = outcome
                async with self._turn:
                    await self._store()
        except LogError:
            # It waits in `_outcomes`, and the step's next turn stores it before all else, or says why it cannot.
            pass
        finally:
            del self._under_way[waiting.cause]

    async def _visited(self, waiting: PendingPage) -> Event | PendingPage | None:
        """
        The outcome of a visit: the page's words, why there are none, or when it is tried again. None while the log
        takes nothing, and so no page is asked for.
        """
        found = await self._log.find(waiting.cause)
        event = found.event if found else None
        feed = feed_of(event, self._feeds) if event else None
        if feed is None or not isinstance(event, WordsEvent):
            return PageUnreadable(
                cause=waiting.cause,
                statement_id=event.subject if event else "",
                reason="nobody wants its page any more",
            )
        statement = await wording(self._log, event)
        try:
            async with self._host(statement.link), self._places:
                if len(self._outcomes) > MAX_CONCURRENT:
                    return None
                page = await self._visit.read(statement.link, feed)
        except TryLater as failure:
            if waiting.tries < len(LADDER):
                wait = max(LADDER[waiting.tries] * (0.9 + 0.2 * self._random()), failure.after or 0)
                return PendingPage(waiting.cause, self._clock() + timedelta(seconds=wait), waiting.tries + 1)
            reason = str(failure)
        except Refused as refusal:
            reason = str(refusal)
        except Exception as error:  # noqa: BLE001 it is told, in the log and here
            # The boundary of one page: a bug is loud, and holds up no other.
            kind, place = type(error).__name__, "".join(traceback.format_tb(error.__traceback__))
            logger.error("reading the page of event %s failed: %s\n%s", waiting.cause, kind, place)  # noqa: TRY400
            reason = f"internal error ({kind}); see the service's log"
        else:
            return PageRead(
                cause=waiting.cause,
                statement=msgspec.structs.replace(statement, text=page.words),
                page=page.fingerprint,
                by=page.by,
                seen_at=self._clock(),
            )
        return PageUnreadable(cause=waiting.cause, statement_id=statement.id, reason=reason)

    def _host(self, link: str) -> asyncio.Semaphore:
        return self._hosts.setdefault(urlsplit(link).netloc, asyncio.Semaphore(A_HOST))
