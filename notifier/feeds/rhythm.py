"""
When each feed is polled next.

A heap of due times instead of a scheduler's job per feed: a scheduler drops jobs that it cannot start in time, and a
dropped poll is a statement seen late. All times are seconds of a clock that never goes back, read by the caller.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable
from datetime import datetime

import msgspec

from notifier.feeds.feed import Feed

JITTER = 0.1  # share of the interval by which polls are spread, so that feeds drift apart
SLOWEST = 3600.0  # seconds; a feed that keeps failing is polled at least this often
LONGEST_WAIT = 86_400.0  # seconds; the most that a server's Retry-After counts for


class Round(msgspec.Struct, frozen=True, omit_defaults=True):
    """A feed's polls: the last, the next, and the last that read the feed (None: none yet). All are UTC."""

    polled_at: datetime
    next_at: datetime
    well_at: datetime | None = None


class Rhythm:
    """The due times of feeds. A feed returned by `due` is not due again before `polled` was called for it."""

    def __init__(self, feeds: Iterable[Feed], now: float, random: Callable[[], float]) -> None:
        self._feeds = {feed.id: feed for feed in feeds}
        self._random = random
        self._failures: dict[str, int] = {}
        # All are due at the start, in the order of the settings: a restart must not delay news.
        self._heap = [(now, order, id) for order, id in enumerate(self._feeds)]
        self._waiting = dict.fromkeys(self._feeds, now)  # due times of feeds not being polled
        self._wanted: dict[str, float] = {}  # due times asked for while a feed is being polled

    def due(self, now: float) -> list[Feed]:
        """The feeds to poll now, the longest overdue first."""
        taken = []
        while self._heap and self._heap[0][0] <= now:
            when, _, id = heapq.heappop(self._heap)
            # A feed that was brought forward is in the heap twice, and counts once.
            if self._waiting.get(id) == when:
                del self._waiting[id]
                taken.append(self._feeds[id])
        return taken

    def hurry(self, id: str, at: float) -> None:
        """Make a feed due at this time at the latest, or as soon as the poll under way has ended."""
        if id not in self._feeds:
            return
        if id not in self._waiting:
            self._wanted[id] = at
        elif at < self._waiting[id]:
            self._waiting[id] = at
            heapq.heappush(self._heap, (at, 0, id))

    def polled(
        self, feed: Feed, now: float, *, failed: bool, after: float | None = None, pace: float | None = None
    ) -> float:
        """
        Note the end of a poll; return the seconds until the feed is due again.

        That is `pace` (from the feed's habit) or its `every`; doubled for each further failure in a row, up to an hour;
        and at least `after`, which the server asked for, up to a day.
        """
        failures = self._failures.get(feed.id, 0) + 1 if failed else 0
        self._failures[feed.id] = failures
        every = feed.every if failed or pace is None else pace
        # A bounded power: after weeks of failures it would be too large for a float.
        wait = min(every * 2.0 ** min(max(failures - 1, 0), 20), max(SLOWEST, every))
        wait *= 1 + JITTER * (2 * self._random() - 1)
        if after is not None:
            wait = max(wait, min(after, LONGEST_WAIT))
        wanted = self._wanted.pop(feed.id, None)
        if wanted is not None and after is None:
            wait = min(wait, max(wanted - now, 0.0))
        self._waiting[feed.id] = now + wait
        heapq.heappush(self._heap, (now + wait, 0, feed.id))
        return wait

    def next_due(self) -> float | None:
        """When the next feed is due; None if all are being polled."""
        return min(self._waiting.values(), default=None)
