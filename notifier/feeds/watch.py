"""
Which statements' pages are asked again, and when?

An hour, a day, a week and thirty days after a statement was first seen, and then no more. What is watched is folded
from the log; what the log does not tell, up to when all this was done, is one moment that is kept beside it.
"""

from __future__ import annotations

import heapq
import logging
import sys
from collections.abc import Iterable
from datetime import datetime, timedelta
from urllib.parse import urlsplit

import msgspec

from notifier.events.event import Recorded
from notifier.events.statements import (
    PageRead,
    PageUnreadable,
    StatementPublished,
    StatementRevised,
    StatementWithdrawn,
)
from notifier.feeds.feed import Feed
from notifier.feeds.visit import feed_of, is_whole

logger = logging.getLogger(__name__)

CHECKS = (timedelta(hours=1), timedelta(days=1), timedelta(days=7), timedelta(days=30))
APART = timedelta(hours=1)  # between the two visits that must find a page gone
AGAIN = timedelta(minutes=10)  # until a page is tried again that could not be asked, and how often
TRIES = 3
MOST = 20_000  # statements that are watched, some ten megabytes


class WatchProgress(msgspec.Struct, frozen=True, omit_defaults=True):
    """
    Up to when all checks that were due have been made, and since when pages are found gone, by their statement's event.
    """

    done: datetime
    missing: dict[str, datetime] = {}


class Watched(msgspec.Struct):
    """
    One statement that is watched: the event that told of it, at its `position`, and `newest`, the event that said what
    its page says now ("" where it was not read). `settled` is false while its first reading is still under way. `mark`
    is the check that comes next, and `due_at` when that is tried.
    """

    id: str
    cause: str
    host: str
    position: int
    seen_at: datetime
    mark: datetime
    due_at: datetime
    settled: bool
    newest: str = ""
    missing_since: datetime | None = None
    tries: int = 0


class Watch:
    """All statements that are watched. `apply` folds a recorded event; the step says what became of each check."""

    def __init__(self, feeds: Iterable[Feed], progress: WatchProgress) -> None:
        self._feeds = {feed.id: feed for feed in feeds}
        self._done = progress.done
        self._missing = progress.missing
        self._watched: dict[str, Watched] = {}  # by the statement's id, in the order of their positions
        self._heap: list[tuple[datetime, str]] = []
        self._full = False

    def apply(self, recorded: Recorded) -> None:
        """Fold one event. Folding it again changes nothing that matters."""
        event = recorded.event
        if isinstance(event, StatementPublished) or (isinstance(event, StatementRevised) and not event.page):
            self._begin(recorded, event)
            return
        watched = self._watched.get(event.subject)
        if watched is None:
            return
        match event:
            case PageRead() if event.cause == watched.cause:
                watched.newest, watched.settled = recorded.id, True
            case PageUnreadable() if event.cause == watched.cause:
                watched.settled = True
            case StatementRevised() if event.revises == watched.newest:
                watched.newest = recorded.id
            case StatementWithdrawn():
                del self._watched[watched.id]

    def _begin(self, recorded: Recorded, event: StatementPublished | StatementRevised) -> None:
        mark = _after(event.seen_at, self._done)
        if feed_of(event, self._feeds) is None or mark is None:
            return
        # Anew: it was said again, in other words, and takes its place at the end.
        self._watched.pop(event.statement.id, None)
        if len(self._watched) >= MOST:
            self._let_go()
        watched = Watched(
            id=event.statement.id,
            cause=recorded.id,
            host=sys.intern(urlsplit(event.statement.link).netloc),
            position=recorded.position,
            seen_at=event.seen_at,
            mark=mark,
            due_at=mark,
            settled=is_whole(event.statement),
            missing_since=self._missing.get(recorded.id),
        )
        self._watched[watched.id] = watched
        self._put(watched, mark)

    def _let_go(self) -> None:
        del self._watched[next(iter(self._watched))]
        if not self._full:
            logger.warning("over %d statements are watched for edits; the oldest are let go before their time", MOST)
        self._full = True

    def take_due(self, now: datetime, most: int) -> list[Watched]:
        """At most so many whose check is due, the longest overdue first. Say of each what became of it."""
        taken: list[Watched] = []
        while self._heap and self._heap[0][0] <= now and len(taken) < most:
            due_at, id = heapq.heappop(self._heap)
            watched = self._watched.get(id)
            if watched is not None and watched.due_at == due_at:
                taken.append(watched)
        return taken

    def checked(self, watched: Watched, now: datetime) -> None:
        """Its page was asked, or needs not be: the next check is the first that lies ahead."""
        mark = _after(watched.seen_at, max(now, watched.mark))
        watched.missing_since, watched.tries = None, 0
        if mark is not None:
            watched.mark = mark
            self._put(watched, mark)
        elif self._watched.get(watched.id) is watched:
            del self._watched[watched.id]

    def missing(self, watched: Watched, now: datetime) -> None:
        """Its page is not there: it is asked once more, an hour after it was first found gone."""
        watched.missing_since = watched.missing_since or now
        self._put(watched, max(watched.missing_since + APART, now + AGAIN))

    def postponed(self, watched: Watched, now: datetime) -> None:
        """Its page could not be asked: it is tried again, a few times, and then at its next check."""
        if watched.tries >= TRIES:
            self.checked(watched, now)
            return
        watched.tries += 1
        self._put(watched, now + AGAIN)

    def _put(self, watched: Watched, due_at: datetime) -> None:
        watched.due_at = due_at
        heapq.heappush(self._heap, (due_at, watched.id))

    def progress(self, now: datetime) -> WatchProgress:
        """What must be kept so that no check is lost, and none made twice, over a restart."""
        open = min((watched.mark for watched in self._watched.values()), default=now)
        self._done = max(self._done, min(now, open - timedelta.resolution))
        gone = {each.cause: each.missing_since for each in self._watched.values() if each.missing_since}
        return WatchProgress(self._done, gone)

    def position(self, head: int) -> int:
        """Where to fold from after a restart: before the oldest that is watched, or at `head` where none is."""
        return next((watched.position - 1 for watched in self._watched.values()), head)


def _after(seen_at: datetime, moment: datetime) -> datetime | None:
    """The first check of a statement after a moment; None when there is no more."""
    return next((seen_at + wait for wait in CHECKS if seen_at + wait > moment), None)
