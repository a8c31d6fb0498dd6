"""
When a feed usually publishes, and so when it is polled next.

Habits are learned from the arrival of news. A feed is polled fast around its slots, declared or learned; slowly in
hours in which it never published; and otherwise at the pace that the operator set. Cache-Control is ignored: it is for
caches, and the Federal Register's says a day.
"""

from __future__ import annotations

import functools
import re
from array import array
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import msgspec

from notifier.events.event import Event
from notifier.events.statements import StatementPublished, StatementRevised
from notifier.feeds.feed import Feed

SLOT = re.compile(r"(?:[01]\d|2[0-3]):[0-5]\d")
BEFORE, AFTER = 120, 900  # seconds around a slot of fast polling; publishers are late more often than early
KEPT = 64  # newest arrivals that a habit is learned from
HOURS_FROM = 20  # arrivals before hours without news are learned
SLOT_DAYS, SLOT_SHARE, SLOTS = 5, 0.2, 5  # days with news in a slot, its share of all news, slots learned
SLOT_WIDTH = 15  # minutes

_NEWS = (StatementPublished, StatementRevised)


class Bounds(msgspec.Struct, frozen=True):
    """The operator's limits in seconds between polls: `fastest` around a slot, `slowest` in hours without news."""

    fastest: float = 60.0
    # The same as the usual pace: news at an unusual hour may be the most important.
    slowest: float = 300.0


class Habit(msgspec.Struct, frozen=True):
    """
    When a feed publishes, in its own time zone: `slots`, in minutes since midnight, at which news comes repeatedly; and
    the `hours` with news, or next to one with news: 0 to 23 on a working day, 24 to 47 at the weekend. Both are empty
    while there is too little news to tell.
    """

    slots: tuple[int, ...] = ()
    hours: frozenset[int] = frozenset()


UNKNOWN = Habit()


class Arrivals:
    """The arrival times of each feed's news, folded from the log. Muted statements, as in a baseline, do not count."""

    def __init__(self) -> None:
        # Unix times, eight bytes each: there may be ten thousand feeds.
        self._feeds: dict[str, array[int]] = {}
        self._habits: dict[str, Habit] = {}

    def apply(self, event: Event) -> None:
        """Fold one event; other types are ignored. All news of one poll is one arrival."""
        if not isinstance(event, _NEWS) or event.muted_because:
            return
        feed, second = event.statement.feed, max(int(event.seen_at.timestamp()), 0)
        came = self._feeds.get(feed)
        if came is None:
            came = self._feeds[feed] = array("Q")
        if not came or second > came[-1]:
            came.append(second)
            if len(came) > KEPT:
                del came[:-KEPT]
            self._habits.pop(feed, None)

    def of(self, feed: str) -> tuple[datetime, ...]:
        """The arrival times of a feed's news, the oldest first; at most the newest `KEPT`."""
        return tuple(datetime.fromtimestamp(second, UTC) for second in self._feeds.get(feed, ()))

    def habit(self, feed: Feed) -> Habit:
        """The habit of a feed, `UNKNOWN` without news."""
        habit = self._habits.get(feed.id)
        if habit is None:
            came = self.of(feed.id)
            habit = self._habits[feed.id] = habit_of(came, feed.timezone) if came else UNKNOWN
        return habit


def habit_of(came: Sequence[datetime], timezone: str) -> Habit:
    """The habit that arrival times show in a time zone (IANA name)."""
    local = [moment.astimezone(_zone(timezone)) for moment in came[-KEPT:]]
    hours: set[int] = set()
    if len(local) >= HOURS_FROM:
        for moment in local:
            # The hours beside it, too: news of 08:58 today may come at 09:02 tomorrow.
            hours |= {_hour(moment + timedelta(hours=by)) for by in (-1, 0, 1)}
    return Habit(slots=tuple(sorted(_slots(local))), hours=frozenset(hours))


def _slots(came: Sequence[datetime]) -> list[int]:
    """The slots that arrivals show, in minutes since midnight, the one with most news first."""
    left, slots = list(came), list[int]()
    while left and len(slots) < SLOTS:
        together = max((_within(moment, left) for moment in left), key=len)
        days = {moment.date() for moment in together}
        if len(days) < SLOT_DAYS or len(together) < SLOT_SHARE * len(came):
            break
        minutes = sorted(_minute(moment) for moment in together)
        # News is seen some time after it was published: so an early quantile and not the median.
        slots.append(minutes[len(minutes) // 4])
        left = [moment for moment in left if moment not in together]
    return slots


def _within(first: datetime, moments: Sequence[datetime]) -> list[datetime]:
    """The moments whose time of day is that of the first or up to a slot's width later."""
    return [moment for moment in moments if 0 <= _minute(moment) - _minute(first) <= SLOT_WIDTH]


def next_due(feed: Feed, habit: Habit, bounds: Bounds, now: datetime) -> datetime:
    """
    When to poll a feed again that was polled well `now`: after its `every`; in hours without news after the operator's
    slowest pace; around its slots after the fastest.
    """
    slots = _declared(feed.slots) + habit.slots
    if not slots and not habit.hours:
        return now + timedelta(seconds=feed.every)
    local = now.astimezone(_zone(feed.timezone))
    usual = max(bounds.slowest, feed.every) if habit.hours and _hour(local) not in habit.hours else feed.every
    fastest = min(bounds.fastest, feed.every)
    opens = min((_until(slot, local) for slot in slots), default=usual)
    return now + timedelta(seconds=min(usual, max(opens, fastest)))


def _until(slot: int, local: datetime) -> float:
    """Seconds until fast polling for a slot begins, 0 during it. Wrong by an hour at most, on days of clock changes."""
    second = local.hour * 3600 + local.minute * 60 + local.second
    away = (slot * 60 - BEFORE - second) % 86_400
    return 0.0 if away > 86_400 - BEFORE - AFTER else float(away)


def in_words(feed: Feed, habit: Habit, bounds: Bounds) -> str:
    """A feed's rhythm for people: `every 5 min, faster at 08:45 11:15`."""
    declared, learned = set(_declared(feed.slots)), set(habit.slots)
    fastest = min(bounds.fastest, feed.every)
    words = [f"every {_span(feed.every)}"]
    if (declared or learned) and fastest < feed.every:
        times = " ".join(f"{slot // 60:02}:{slot % 60:02}" for slot in sorted(declared | learned))
        words.append(f"faster at {times}")
    if habit.hours and bounds.slowest > feed.every:
        words.append(f"every {_span(bounds.slowest)} at hours without news")
    return ", ".join(words)


def _span(seconds: float) -> str:
    for size, unit in ((3600, "h"), (60, "min")):
        if seconds >= size and seconds % size == 0:
            return f"{seconds / size:g} {unit}"
    return f"{seconds:g} s"


def _hour(local: datetime) -> int:
    return local.hour + (24 if local.weekday() >= 5 else 0)


def _minute(local: datetime) -> int:
    return local.hour * 60 + local.minute


@functools.lru_cache(maxsize=1024)
def _declared(slots: tuple[str, ...]) -> tuple[int, ...]:
    return tuple(int(slot[:2]) * 60 + int(slot[3:]) for slot in slots)


@functools.lru_cache(maxsize=1024)
def _zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)
