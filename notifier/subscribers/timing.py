"""
When a subscriber gets an alert: immediately, or with others in a digest, and at what moment that is due.

Pure functions of time. Subscribers' files name local times; the moment of a local time is the first instant at which
the subscriber's clock reads it or later. So where clocks are put forward, a time in the gap is due at its end, and
where they are put back, a time that comes twice is due the first time: once a day, every day.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable
from datetime import UTC, date, datetime, time, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

import msgspec

Frequency = Literal["immediately", "hourly", "daily", "weekly"]

HOURLY, DAILY, WEEKLY = "hourly", "daily", "weekly"
PERIODS = (HOURLY, DAILY, WEEKLY)
QUIET, BURST = "quiet hours", "burst"

# What an alert may wait for, the most immediate first; "" for nothing.
WAITS = ("", BURST, QUIET, *PERIODS)

MANY = 5  # alerts at once within `WITHIN`; what comes on top of them is a burst
WITHIN = timedelta(minutes=10)  # also for how long nothing must come for a burst to be over
LONGEST = timedelta(minutes=30)  # that the first of a burst waits for its end

_SECOND, _DAY = timedelta(seconds=1), timedelta(days=1)


class Timing(msgspec.Struct, frozen=True, kw_only=True):
    """
    When a subscriber wants alerts, by the local time of their `timezone` (IANA).

    `frequency` applies to all watchlists that have none of their own; `apart` are the frequencies of those that do.
    Digests are due at the full hour, at `digest_at` every day, or on `digest_on` (0 is Monday) at that time. From
    `quiet_from` to `quiet_until`, perhaps past midnight, only urgent alerts are sent; None without quiet hours.
    `empty_digests`: digests are also sent when there is no news for them.
    """

    timezone: str = "UTC"
    frequency: Frequency = "immediately"
    apart: tuple[Frequency, ...] = ()
    digest_at: time = time(8)
    digest_on: int = 0
    quiet_from: time | None = None
    quiet_until: time | None = None
    empty_digests: bool = False

    @property
    def periods(self) -> tuple[str, ...]:
        """Of which digests there are, the shortest period first."""
        return tuple(each for each in PERIODS if each in {self.frequency, *self.apart})


class Lately(msgspec.Struct, frozen=True):
    """
    What a subscriber was sent lately at once, and whether a burst goes on: its first moment and its last.

    Urgent alerts are not counted: they were asked for.
    """

    at_once: tuple[datetime, ...] = ()
    burst: tuple[datetime, datetime] | None = None

    def after(self, wait: str, at: datetime) -> Lately:
        """The same once an alert has come, at a moment and with what it waits for."""
        if wait == BURST:
            # An alert at once lies between two bursts: so who reads the log knows where one began.
            return msgspec.structs.replace(self, burst=(self.burst[0] if self.burst else at, at))
        if wait:
            return self
        return Lately((*self.at_once, at)[-MANY:])


NOTHING = Lately()


def most_immediate(frequencies: Iterable[str]) -> str:
    """What an alert waits for whose watchlists have these frequencies; "" where one wants it at once."""
    return min((_wait(each) for each in frequencies), key=WAITS.index, default="")


def sooner(wait: str, other: str) -> str:
    """The more immediate of what two alerts wait for."""
    return min(wait, other, key=WAITS.index)


def held(wait: str, timing: Timing, at: datetime, lately: Lately) -> str:
    """
    What an alert of this moment waits for that is not urgent, and whose watchlists want it after `wait`; "" where it is
    owed at once.
    """
    if wait:
        return wait
    if quiet_until(timing, at):
        return QUIET
    if lately.burst and at < burst_over(*lately.burst):
        return BURST
    return BURST if sum(at - each < WITHIN for each in lately.at_once) >= MANY else ""


def burst_over(first: datetime, last: datetime) -> datetime:
    """When a burst is over whose first and whose last alert came then."""
    return min(first + LONGEST, last + WITHIN)


def quiet_until(timing: Timing, at: datetime) -> datetime | None:
    """The end of the quiet hours that a moment lies in, None where it lies in none."""
    begin, end = timing.quiet_from, timing.quiet_until
    if begin is None or end is None or begin == end:
        return None
    today = at.astimezone(ZoneInfo(timing.timezone)).date()
    for day in (today - _DAY, today):
        over = first_instant(timing.timezone, day if begin < end else day + _DAY, end)
        if first_instant(timing.timezone, day, begin) <= at < over:
            return over
    return None


def next_moment(period: str, timing: Timing, after: datetime) -> datetime:
    """The first moment of an hourly, daily or weekly digest that is later than this one."""
    if period == HOURLY:
        return _full_hour(timing.timezone, after)
    today = after.astimezone(ZoneInfo(timing.timezone)).date()
    # From the day before: in a gap over midnight its moment lies in today.
    days = (today + timedelta(days=number) for number in range(-1, 16))
    chosen = (day for day in days if period == DAILY or day.weekday() == timing.digest_on)
    moments = (first_instant(timing.timezone, day, timing.digest_at) for day in chosen)
    return next(moment for moment in moments if moment > after)


def last_moment(period: str, timing: Timing, after: datetime, now: datetime) -> datetime | None:
    """The last moment of such a digest that is later than `after` and not later than `now`; None where none is."""
    # Whoever was away for a year has one digest to raise, and need not count the hours.
    at = max(after, now - timedelta(days=16))
    last = None
    while (at := next_moment(period, timing, at)) <= now:
        last = at
    return last


@functools.lru_cache(4096)
def first_instant(timezone: str, day: date, at: time) -> datetime:
    """The first instant, in UTC, at which a clock in this zone reads that time of that day, or later."""
    zone, wall = ZoneInfo(timezone), datetime.combine(day, at)
    # Of a time that comes twice, fold=0 is the first.
    instant = wall.replace(tzinfo=zone).astimezone(UTC)
    if _wall(instant, zone) == wall:
        return instant
    # It is skipped: the clock jumps between what the one and the other offset make of it. No clock jumps off a second.
    before, after = wall.replace(tzinfo=zone, fold=1).astimezone(UTC), instant
    while after - before > _SECOND:
        middle = before + _SECOND * ((after - before) // _SECOND // 2)
        before, after = (before, middle) if _wall(middle, zone) >= wall else (middle, after)
    return after


def _full_hour(timezone: str, after: datetime) -> datetime:
    wall = _wall(after, ZoneInfo(timezone))
    past = timedelta(minutes=wall.minute, seconds=wall.second, microseconds=wall.microsecond)
    return after.astimezone(UTC) - past + timedelta(hours=1)


def _wall(instant: datetime, zone: ZoneInfo) -> datetime:
    return instant.astimezone(zone).replace(tzinfo=None)


def _wait(frequency: str) -> str:
    return "" if frequency == "immediately" else frequency
