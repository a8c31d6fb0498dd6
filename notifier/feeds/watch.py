"""
Which statements' pages are checked again, and when.

That is an hour, a day, a week and thirty days after a statement was first seen. The statements are folded from the log;
the time up to which all checks were made is not in the log and is kept beside it.
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
AGAIN = timedelta(minutes=10)  # until the next try of a page that could not be fetched
TRIES = 3  # such tries for one check
MOST = 20_000  # statements watched, some ten megabytes


class WatchProgress(msgspec.Struct, frozen=True, omit_defaults=True):
    """
    The time up to which all due checks were `done`, and since when pages are `missing`, by the id of the event that
    recorded their statement.
    """

    done: datetime
    missing: dict[str, datetime] = {}


class Watched(msgspec.Struct):
    """
    One watched statement: `cause` is the event that recorded it, at `position`; `newest` the event with its page's
    latest words, "" if the page was not read. `settled` is false until its first reading has ended. `mark` is the time
    of the next check by the schedule, `due_at` the time of the next try.
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
    """All watched statements, folded with `apply`. The step reports the result of each check it takes."""

    def __init__(self, feeds: Iterable[Feed], progress: WatchProgress) -> None:
        self._feeds = {feed.id: feed for feed in feeds}
        self._done = progress.done
        self._missing = progress.missing
        self._watched: dict[str, Watched] = {}  # by the statement's id, in the order of their positions
        self._heap: list[tuple[datetime, str]] = []
        self._full = False

    def apply(self, recorded: Recorded) -> None:
        """Fold one event. Folding it twice does no harm."""
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
        # Revised by its feed: it starts anew, at the end of the order.
        self._watched.pop(event.statement.id, None)
        if len(self._watched) >= MOST:
            self._drop_oldest()
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

    def _drop_oldest(self) -> None:
        del self._watched[next(iter(self._watched))]
        if not self._full:
            logger.warning("over %d statements to watch for edits; the oldest are no longer checked", MOST)
        self._full = True

    def take_due(self, now: datetime, most: int) -> list[Watched]:
        """At most `most` statements whose check is due, the longest overdue first. Report the result of each."""
        taken: list[Watched] = []
        while self._heap and self._heap[0][0] <= now and len(taken) < most:
            due_at, id = heapq.heappop(self._heap)
            watched = self._watched.get(id)
            if watched is not None and watched.due_at == due_at:
                taken.append(watched)
        return taken

    def checked(self, watched: Watched, now: datetime) -> None:
        """The check was made, or is not needed: the next is the first one in the future."""
        mark = _after(watched.seen_at, max(now, watched.mark))
        watched.missing_since, watched.tries = None, 0
        if mark is not None:
            watched.mark = mark
            self._put(watched, mark)
        elif self._watched.get(watched.id) is watched:
            del self._watched[watched.id]

    def missing(self, watched: Watched, now: datetime) -> None:
        """The page is gone: check it again an hour after it was first found gone."""
        watched.missing_since = watched.missing_since or now
        self._put(watched, max(watched.missing_since + APART, now + AGAIN))

    def postponed(self, watched: Watched, now: datetime) -> None:
        """The page could not be fetched: try it again a few times, and then at its next check."""
        if watched.tries >= TRIES:
            self.checked(watched, now)
            return
        watched.tries += 1
        self._put(watched, now + AGAIN)

    def _put(self, watched: Watched, due_at: datetime) -> None:
        watched.due_at = due_at
        heapq.heappush(self._heap, (due_at, watched.id))

    def progress(self, now: datetime) -> WatchProgress:
        """The state to store, so that a restart neither loses nor repeats a check."""
        open = min((watched.mark for watched in self._watched.values()), default=now)
        self._done = max(self._done, min(now, open - timedelta.resolution))
        gone = {each.cause: each.missing_since for each in self._watched.values() if each.missing_since}
        return WatchProgress(self._done, gone)

    def position(self, head: int) -> int:
        """The log position to fold from after a restart: before the oldest watched statement, or `head` without any."""
        return next((watched.position - 1 for watched in self._watched.values()), head)


def _after(seen_at: datetime, moment: datetime) -> datetime | None:
    """The time of a statement's first check after a moment; None after the last."""
    return next((seen_at + wait for wait in CHECKS if seen_at + wait > moment), None)
