"""
Read the pages of statements again and record silent edits and withdrawals.

Words are compared, never bytes: a page whose markup alone has changed is not an event, nor is a wording that it has had
before, since caches serve old copies. After a change of extractor, its words are the new base for comparison.
"""

from __future__ import annotations

import asyncio
import logging
import traceback
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import Protocol

import msgspec

from notifier.errors import LogError, Refused, TryLater
from notifier.eventlog.batches import batches
from notifier.eventlog.log import Consumer, EventLog
from notifier.eventlog.wording import WordsEvent, fitted, weight, wording
from notifier.events.event import Event
from notifier.events.statements import (
    PageRead,
    PageUnreadable,
    StatementPublished,
    StatementRevised,
    StatementWithdrawn,
)
from notifier.feeds import govuk
from notifier.feeds.feed import Feed
from notifier.feeds.visit import WebPage, is_whole
from notifier.feeds.watch import APART, Watch, Watched, WatchProgress
from notifier.statement import Statement

logger = logging.getLogger(__name__)

NAME = "recheck"
TYPES = tuple(
    each.type for each in (StatementPublished, StatementRevised, PageRead, PageUnreadable, StatementWithdrawn)
)
HOSTS = 8  # visited concurrently, each for one page at a time: nothing waits for these visits
BATCH = 200  # checks in one transaction
LATE = timedelta(days=2)  # after which the first reading of a page alerts nobody
WORDINGS = 50  # newest wordings of a page that are compared
SKEW = timedelta(minutes=1)  # by which a publisher's two times of one official change may differ


class PageWithHistory(Protocol):
    """Reads a page, and the publisher's own record of it. Raises `TryLater` or `Refused`."""

    async def read(self, link: str, feed: Feed) -> WebPage: ...

    async def record(self, link: str, feed: Feed) -> govuk.PublisherRecord: ...


class Gone(msgspec.Struct, frozen=True):
    """The page is gone, for the first time or too soon after the first."""


class Later(msgspec.Struct, frozen=True):
    """The page could not be fetched now."""


# The result of a check: an event, or that the page is gone or could not be fetched; None if nothing has changed.
Finding = Event | Gone | Later | None


class Rechecker:
    """
    Checks the pages of statements again and records what has changed.

    `feeds` are those that are polled. The watched statements are folded from the log (feeds/watch.py); the time up to
    which checks were made is the consumer's state, stored together with their results.
    """

    def __init__(
        self, log: EventLog, visit: PageWithHistory, feeds: Iterable[Feed], clock: Callable[[], datetime]
    ) -> None:
        self._log = log
        self._visit = visit
        self._feeds = {feed.id: feed for feed in feeds}
        self._clock = clock
        self._consumer: Consumer | None = None
        self._watch = Watch((), WatchProgress(clock()))
        self._position = 0
        self._slots = asyncio.Semaphore(HOSTS)
        self._under_way: set[asyncio.Task[None]] = set()
        self._stopping = False

    async def catch_up(self) -> None:
        """Fold the log. In a home where this never ran, statements from before are not watched."""
        if not self._feeds:
            return
        if self._consumer is None:
            consumer = await self._log.consumer(NAME)
            if not consumer.version:
                begun = consumer.moved_to(await self._log.head(), msgspec.json.encode(WatchProgress(self._clock())))
                await self._log.append([], commit=begun)
                consumer = await self._log.consumer(NAME)
            self._watch = Watch(self._feeds.values(), msgspec.json.decode(consumer.state, type=WatchProgress))
            self._consumer, self._position = consumer, consumer.position
        while (page := await self._log.read(self._position, TYPES)).position > self._position:
            for recorded in page.events:
                self._watch.apply(recorded)
            self._position = page.position

    async def run(self) -> None:
        """Make all checks that are due."""
        await self.catch_up()
        while not self._stopping and (due := self._watch.take_due(self._clock(), BATCH)):
            found = await self._checked(due)
            if self._stopping:
                # Cancelled visits have no result: the whole batch is checked again after the next start.
                return
            await self._record(found)
            await self.catch_up()

    async def stop(self) -> None:
        """Cancel the visits under way; these pages are checked again after the next start."""
        self._stopping = True
        for task in self._under_way:
            task.cancel()
        await asyncio.gather(*self._under_way, return_exceptions=True)

    async def _checked(self, due: Iterable[Watched]) -> list[tuple[Watched, Finding]]:
        """The result for each page: hosts concurrently, the pages of one host in turn."""
        hosts: dict[str, list[Watched]] = {}
        for watched in due:
            hosts.setdefault(watched.host, []).append(watched)
        found: list[tuple[Watched, Finding]] = []
        self._under_way = {asyncio.create_task(self._ask(each, found), name="recheck") for each in hosts.values()}
        await asyncio.wait(self._under_way)
        for task in self._under_way:
            if not task.cancelled() and (error := task.exception()):
                # The checks taken have no result: the next run folds the log anew.
                self._consumer = None
                raise error
        return found

    async def _ask(self, of_host: Iterable[Watched], found: list[tuple[Watched, Finding]]) -> None:
        async with self._slots:
            unreachable = False
            for watched in of_host:
                # One page is enough to learn that a host does not answer.
                finding = Later() if unreachable else await self._finding(watched)
                unreachable = unreachable or isinstance(finding, Later)
                found.append((watched, finding))

    async def _record(self, found: Iterable[tuple[Watched, Finding]]) -> None:
        now = self._clock()
        consumer, self._consumer = self._consumer, None
        if consumer is None:
            raise RuntimeError("recording before catch_up")
        for watched, finding in found:
            if isinstance(finding, Gone):
                self._watch.missing(watched, now)
            elif isinstance(finding, Later):
                self._watch.postponed(watched, now)
            else:
                self._watch.checked(watched, now)
        events = [fitted(finding) for _, finding in found if isinstance(finding, Event)]
        *firsts, last = batches(events, weight)
        for batch in firsts:
            await self._log.append([event for event, _ in batch], blobs=[blob for _, blob in batch if blob])
        state = msgspec.json.encode(self._watch.progress(now))
        commit = consumer.moved_to(self._watch.position(self._position), state)
        await self._log.append([event for event, _ in last], blobs=[blob for _, blob in last if blob], commit=commit)
        # Set only after success: otherwise the log is folded anew, and the checks are made again.
        self._consumer = msgspec.structs.replace(
            consumer, position=commit.position, state=state, version=consumer.version + 1
        )

    # ---------------------------------------------------------------- one page

    async def _finding(self, watched: Watched) -> Finding:
        found = await self._log.find(watched.newest or watched.cause)
        event = found.event if found else None
        if not watched.settled or not isinstance(event, WordsEvent):
            # Its first reading has not ended yet.
            return None
        statement = await wording(self._log, event)
        try:
            return await self._asked(watched, event, statement)
        except LogError:
            raise
        except TryLater:
            return Later()
        except Refused as refusal:
            return self._refused(watched, statement, refusal)
        except Exception as error:  # noqa: BLE001 it is logged
            # A bug with one page is loud, and stops no other. Its message may quote the page: not logged.
            kind, trace = type(error).__name__, "".join(traceback.format_tb(error.__traceback__))
            logger.error("reading the page of %s again failed: internal error (%s)\n%s", watched.id, kind, trace)  # noqa: TRY400
            return None

    async def _asked(self, watched: Watched, event: WordsEvent, statement: Statement) -> Finding:
        feed = self._feeds[statement.feed]
        record = await self._visit.record(statement.link, feed)
        if record.withdrawn:
            return self._withdrawn(watched, statement, record.withdrawn)
        page = await self._visit.read(statement.link, feed)
        if isinstance(event, StatementPublished) or not event.page:
            return self._first(watched, statement, page, whole=is_whole(event.statement))
        return await self._compared(watched, event, statement, page, record)

    def _refused(self, watched: Watched, statement: Statement, refusal: Refused) -> Finding:
        """A page that was read and then found gone twice is a withdrawal. One that was never read is a bad link."""
        if refusal.outcome not in ("not-found", "retired") or not watched.newest:
            return None
        if watched.missing_since is None or self._clock() - watched.missing_since < APART:
            return Gone()
        return self._withdrawn(watched, statement, f"{refusal}, on two visits an hour or more apart")

    def _withdrawn(self, watched: Watched, statement: Statement, reason: str) -> StatementWithdrawn:
        revises = watched.newest or watched.cause
        return StatementWithdrawn(statement=statement, revises=revises, reason=reason, seen_at=self._clock())

    def _first(self, watched: Watched, statement: Statement, page: WebPage, *, whole: bool) -> PageRead:
        """The page's first words, to compare with later; muted if the feed gave the full text, or if they come late."""
        muted_because = "the feed gave the whole text" if whole else ""
        if not muted_because and self._clock() - watched.seen_at > LATE:
            muted_because = "its page could not be read for days"
        return self._read(watched, statement, page, muted_because)

    def _read(self, watched: Watched, statement: Statement, page: WebPage, muted_because: str) -> PageRead:
        return PageRead(
            cause=watched.cause,
            statement=msgspec.structs.replace(statement, text=page.words),
            page=page.fingerprint,
            by=page.by,
            seen_at=self._clock(),
            muted_because=muted_because,
        )

    async def _compared(
        self,
        watched: Watched,
        event: StatementRevised | PageRead,
        statement: Statement,
        page: WebPage,
        record: govuk.PublisherRecord,
    ) -> Finding:
        if page.by != event.by:
            return self._read(watched, statement, page, f"read anew by {page.by}")
        if page.fingerprint in await self._wordings(event):
            return None
        known = max(filter(None, (statement.updated_at, statement.published_at)), default=event.seen_at)
        announced = record.changed_at is not None and record.changed_at > known + SKEW
        return StatementRevised(
            statement=msgspec.structs.replace(
                statement, text=page.words, updated_at=record.changed_at if announced else statement.updated_at
            ),
            replaces=event.page,
            revises=watched.newest,
            page=page.fingerprint,
            by=page.by,
            silent=record.changed_at is not None and not announced,
            seen_at=self._clock(),
        )

    async def _wordings(self, event: Event) -> set[str]:
        """The fingerprints of a page's wordings, from the newest back, at most `WORDINGS`."""
        pages: set[str] = set()
        while isinstance(event, StatementRevised | PageRead) and event.page and len(pages) < WORDINGS:
            pages.add(event.page)
            before = await self._log.find(event.revises) if isinstance(event, StatementRevised) else None
            if before is None:
                break
            event = before.event
        return pages
