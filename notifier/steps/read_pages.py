"""
Read the pages of new statements that their feed gave only in brief, and record their words.

Alerts on title and summary do not wait for this: they are raised from the feed's own event, and the page's words
follow as another event.
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
MAX_CONCURRENT, A_HOST = 8, 2  # concurrent visits, in all and to one host: a dead host must not take them all
MOST = 1_000  # statements waiting for their page; later ones stay in the log
LADDER = (60.0, 300.0, 1_500.0)  # seconds before each further try of a page that could not be read
LATE = timedelta(days=1)  # after which a page is not read at all: its log is from before this step existed


class PageSource(Protocol):
    """Reads a statement's page. Raises `TryLater` or `Refused`."""

    async def read(self, link: str, feed: Feed) -> WebPage: ...


class PendingPage(msgspec.Struct, frozen=True, omit_defaults=True):
    """A statement whose page is to be read: the event that recorded it, the tries so far, when the next is due."""

    cause: str
    due_at: datetime
    tries: int = 0


class PageReader:
    """
    Reads the pages of new statements concurrently and records their words, or why they could not be read.

    `feeds` are those that are polled; `random`, 0 to 1, spreads retries. Waiting pages are stored with the step's
    position in the log, so that a crash costs one more visit and loses nothing.
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
        # Results of visits that are not in the log yet.
        self._outcomes: dict[str, Event | PendingPage] = {}
        self._under_way: dict[str, asyncio.Task[None]] = {}
        self._slots = asyncio.Semaphore(MAX_CONCURRENT)
        self._hosts: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()

    async def start_due(self) -> None:
        """Start to read the pages that are due and return without waiting."""
        async with self._turn:
            await self._store()
            await self._take_in()
        now = self._clock()
        for waiting in self._waiting.values():
            if waiting.due_at <= now and waiting.cause not in self._under_way:
                task = asyncio.create_task(self._one(waiting), name=f"read {waiting.cause}")
                self._under_way[waiting.cause] = task

    async def run(self) -> None:
        """Read all pages that are due."""
        await self.start_due()
        while self._under_way:
            await asyncio.wait(self._under_way.values())
        async with self._turn:
            await self._store()

    async def stop(self) -> None:
        """Cancel the visits under way; these pages are read after the next start."""
        tasks = list(self._under_way.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    # ---------------------------------------------------------------- the queue

    async def _stored(self) -> Consumer:
        """The step's consumer, read again from the log after an append that failed."""
        if self._consumer is None:
            self._consumer = await self._log.consumer(NAME)
            self._position = self._consumer.position
            kept = msgspec.json.decode(self._consumer.state or b"[]", type=list[PendingPage])
            self._waiting = {waiting.cause: waiting for waiting in kept}
        return self._consumer

    async def _take_in(self) -> None:
        """Queue new statements of the log, as far as there is room."""
        await self._stored()
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
        """Record the results of visits, with the step's position and the pages that still wait."""
        outcomes = dict(self._outcomes)
        if not outcomes:
            return
        consumer = await self._stored()
        waiting = {cause: each for cause, each in self._waiting.items() if cause not in outcomes}
        waiting |= {cause: each for cause, each in outcomes.items() if isinstance(each, PendingPage)}
        events = [fitted(each) for each in outcomes.values() if isinstance(each, Event)]
        # Forgotten until the append has succeeded: a failed one may or may not have moved the position.
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
            # The result stays in `_outcomes`; the step's next turn stores it first, or raises.
            pass
        finally:
            del self._under_way[waiting.cause]

    async def _visited(self, waiting: PendingPage) -> Event | PendingPage | None:
        """
        The result of a visit: the page's words, why it could not be read, or the next try. None without a visit, while
        earlier results cannot be stored.
        """
        found = await self._log.find(waiting.cause)
        event = found.event if found else None
        feed = feed_of(event, self._feeds) if event else None
        if feed is None or not isinstance(event, WordsEvent):
            return PageUnreadable(
                cause=waiting.cause,
                statement_id=event.subject if event else "",
                reason="its feed is no longer polled, or its pages no longer read",
            )
        statement = await wording(self._log, event)
        try:
            async with self._host(statement.link), self._slots:
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
        except Exception as error:  # noqa: BLE001 it is recorded and logged
            # A bug with one page is loud, and stops no other. Its message may quote the page: not logged.
            kind, trace = type(error).__name__, "".join(traceback.format_tb(error.__traceback__))
            logger.error("reading the page of event %s failed: internal error (%s)\n%s", waiting.cause, kind, trace)  # noqa: TRY400
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
