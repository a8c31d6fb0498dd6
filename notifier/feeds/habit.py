"""
When does a feed usually speak, and so: when is it asked next?

Learned from when its news came. Round its slots, the declared ones and those that its news shows, it is asked fast; at
hours at which it never spoke, slowly; else at the pace that the operator asked for. What a server says of how long its
answer may be cached is about caches, and is not looked at: the Federal Register says a day.
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
BEFORE, AFTER = 120, 900  # seconds round a slot in which a feed is asked fast; publishers are late more than early
KEPT = 64  # arrivals of news that a habit is learned from, the newest
HOURS_FROM = 20  # of them, before we say at which hours a feed is silent
SLOT_DAYS, SLOT_SHARE, SLOTS = 5, 0.2, 5  # days that show a slot, the share of all news in it, and how many are learned
SLOT_WIDTH = 15  # minutes in which the news of one slot comes

_TOLD = (StatementPublished, StatementRevised)


class Bounds(msgspec.Struct, frozen=True):
    """Seconds between polls that the operator allows: the fewest, round a slot, and the most, at silent hours."""

    fastest: float = 60.0
    # As the usual pace: what comes at an hour at which nothing ever came may be the news that matters most.
    slowest: float = 300.0


class Habit(msgspec.Struct, frozen=True):
    """
    When a feed speaks, in its own time zone: `slots`, minutes of the day at which its news comes again and again, and
    `hours` at which it has spoken or nearly so: 0 to 23 on a working day, 24 to 47 at the weekend; none while there
    is too little to tell.
    """

    slots: tuple[int, ...] = ()
    hours: frozenset[int] = frozenset()


UNKNOWN = Habit()


class Arrivals:
    """When news of each feed came, folded from the log. What alerts nobody, a baseline above all, was no news."""

    def __init__(self) -> None:
        # Seconds since 1970, eight bytes each: there may be ten thousand feeds.
        self._feeds: dict[str, array[int]] = {}
        self._habits: dict[str, Habit] = {}

    def apply(self, event: Event) -> None:
        """Fold one event; others pass by. What one poll brought came together, and is one arrival."""
        if not isinstance(event, _TOLD) or event.muted_because:
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
        """When a feed's news came, the oldest first; the last of many."""
        return tuple(datetime.fromtimestamp(second, UTC) for second in self._feeds.get(feed, ()))

    def habit(self, feed: Feed) -> Habit:
        """What its news shows of when a feed speaks."""
        habit = self._habits.get(feed.id)
        if habit is None:
            came = self.of(feed.id)
            habit = self._habits[feed.id] = habit_of(came, feed.timezone) if came else UNKNOWN
        return habit


def habit_of(came: Sequence[datetime], timezone: str) -> Habit:
    """What the times at which news came show, seen from a time zone."""
    local = [moment.astimezone(_zone(timezone)) for moment in came[-KEPT:]]
    hours: set[int] = set()
    if len(local) >= HOURS_FROM:
        for moment in local:
            # An hour before and after, too: what is published at 08:58 today comes at 09:02 tomorrow.
            hours |= {_hour(moment + timedelta(hours=by)) for by in (-1, 0, 1)}
    return Habit(slots=tuple(sorted(_slots(local))), hours=frozenset(hours))


def _slots(came: Sequence[datetime]) -> list[int]:
    """The minutes of the day round which news came on many days, those of most news first."""
    left, slots = list(came), list[int]()
    while left and len(slots) < SLOTS:
        together = max((_within(moment, left) for moment in left), key=len)
        days = {moment.date() for moment in together}
        if len(days) < SLOT_DAYS or len(together) < SLOT_SHARE * len(came):
            break
        minutes = sorted(_minute(moment) for moment in together)
        # News is seen when it is asked for, which is after it came: so not the middle of them.
        slots.append(minutes[len(minutes) // 4])
        left = [moment for moment in left if moment not in together]
    return slots


def _within(first: datetime, moments: Sequence[datetime]) -> list[datetime]:
    """Those whose time of the day is that of the first, or up to a slot's width later on the clock."""
    return [moment for moment in moments if 0 <= _minute(moment) - _minute(first) <= SLOT_WIDTH]


def next_due(feed: Feed, habit: Habit, bounds: Bounds, now: datetime) -> datetime:
    """
    When a feed that was asked `now` is asked again, if it goes well: after its `every`; at its hours of silence after
    the slowest that the operator allows; and round its slots after the fastest.
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
    """Seconds until the time round a slot begins; 0 within it. A day of another length comes right by the next poll."""
    second = local.hour * 3600 + local.minute * 60 + local.second
    away = (slot * 60 - BEFORE - second) % 86_400
    return 0.0 if away > 86_400 - BEFORE - AFTER else float(away)


def in_words(feed: Feed, habit: Habit, bounds: Bounds) -> str:
    """A feed's rhythm as people say it: `every 5 min, faster at 08:45 11:15`."""
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
