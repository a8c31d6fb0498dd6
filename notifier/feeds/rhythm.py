"""
When is each feed polled next?

A heap of due times, of our own: a scheduler's job per feed drops what it cannot start in time, and a dropped poll is
a statement seen late. Seconds are those of a monotonic clock that the caller reads.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable
from datetime import datetime

import msgspec

from notifier.feeds.feed import Feed

JITTER = 0.1  # share of the interval by which polls are spread, so feeds of one interval do not march in step
SLOWEST = 3600.0  # seconds; a feed that keeps failing is still asked this often
LONGEST_WAIT = 86_400.0  # seconds that a server's Retry-After may hold us off


class Round(msgspec.Struct, frozen=True, omit_defaults=True):
    """Where a feed's polls stand: the last, the last that brought word of it (None: none yet), and the next to come."""

    polled_at: datetime
    next_at: datetime
    well_at: datetime | None = None


class Rhythm:
    """Which feeds are due. A feed taken by `due` is not given out again until `polled` says when it comes next."""

    def __init__(self, feeds: Iterable[Feed], now: float, random: Callable[[], float]) -> None:
        self._feeds = {feed.id: feed for feed in feeds}
        self._random = random
        self._failures: dict[str, int] = {}
        # All are due at the start, in the order of the settings: a restart must not make anyone wait.
        self._heap = [(now, order, id) for order, id in enumerate(self._feeds)]
        self._waiting = dict.fromkeys(self._feeds, now)  # those that are not being polled, and when they are due
        self._wanted: dict[str, float] = {}  # those that are, and are wanted again so soon

    def due(self, now: float) -> list[Feed]:
        """The feeds to poll now, the longest overdue first."""
        taken = []
        while self._heap and self._heap[0][0] <= now:
            when, _, id = heapq.heappop(self._heap)
            # What was brought forward stands in the heap a second time, and counts once.
            if self._waiting.get(id) == when:
                del self._waiting[id]
                taken.append(self._feeds[id])
        return taken

    def hurry(self, id: str, at: float) -> None:
        """Have a feed due at this time, if it were later else; after the poll that is under way, if one is."""
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
        Seconds until this feed is due again: `pace`, which its habit wants (feeds/habit), else its interval, doubled
        for each failure in a row after the first, up to an hour; and never less than the server asked for in `after`,
        up to a day.
        """
        failures = self._failures.get(feed.id, 0) + 1 if failed else 0
        self._failures[feed.id] = failures
        every = feed.every if failed or pace is None else pace
        # The power is bounded: that of a feed which has failed for weeks is too large for a float.
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
        """When the next feed is due; None while all are being polled."""
        return min(self._waiting.values(), default=None)
