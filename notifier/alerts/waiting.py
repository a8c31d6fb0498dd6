"""
Alerts that wait for a digest, folded from the log, and when they are due.

An alert waits from when it was raised until a digest names it. Nothing is kept elsewhere, so folding again after a
crash gives the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta

import msgspec

from notifier.events.alerts import AlertRaised, DigestRaised
from notifier.events.event import Recorded
from notifier.subscribers.timing import (
    BURST,
    PERIODS,
    QUIET,
    WAITS,
    Timing,
    burst_over,
    last_moment,
    next_moment,
    quiet_until,
)

_AT_ONCE = ""
_LEAST = timedelta(microseconds=1)


class Waiting(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """
    One alert that is held: what it waits for (as in `AlertRaised.waits_for`), and `since` when, as was decided.

    `position` and `raised_at` are those of the `AlertRaised` in the log.
    """

    id: str
    position: int
    raised_at: datetime
    since: datetime
    wait: str
    channels: tuple[str, ...] = ()


class Gathered(msgspec.Struct, frozen=True):
    """The content of one digest: its moment, what most of its alerts waited for, and the alerts, in order."""

    due_at: datetime
    frequency: str
    alerts: tuple[Waiting, ...]


class Held:
    """
    All that is held, by subscriber, in the order of the log.

    `last` is the moment of each subscriber's last digest. No later one has the same or an earlier moment, so no two
    have the same name.
    """

    def __init__(self, last: Mapping[str, datetime] | None = None) -> None:
        self._of: dict[str, dict[str, Waiting]] = {}
        self.last: dict[str, datetime] = dict(last or {})

    def apply(self, recorded: Recorded, since: datetime | None = None) -> None:
        """
        Fold one event in; others than alerts and digests change nothing. `since` is the moment at which an alert's
        cause was recorded, by which its matcher decided; without it, that of the alert.
        """
        match recorded.event:
            case AlertRaised(waits_for=wait) as raised if wait:
                self._of.setdefault(raised.subscriber, {})[recorded.id] = Waiting(
                    id=recorded.id,
                    position=recorded.position,
                    raised_at=recorded.recorded_at,
                    since=since or recorded.recorded_at,
                    wait=wait,
                    channels=raised.channels,
                )
            case DigestRaised(subscriber=subscriber) as digest:
                held = self._of.get(subscriber, {})
                for id in digest.alerts:
                    held.pop(id, None)
                if not held:
                    self._of.pop(subscriber, None)
                self.last[subscriber] = max(digest.due_at, self.last.get(subscriber, digest.due_at))
            case _:
                pass

    def subscribers(self) -> list[str]:
        """For whom anything is held."""
        return [*self._of]

    def of(self, subscriber: str) -> tuple[Waiting, ...]:
        """What is held for a subscriber."""
        return tuple(self._of.get(subscriber, {}).values())

    def place(self, position: int, without: Iterable[str] = ()) -> int:
        """The position before the first that is held; `position` where nothing is, or nothing but these alerts."""
        gone = set(without)
        firsts = (
            next((each.position for each in held.values() if each.id not in gone), position + 1)
            for held in self._of.values()
        )
        return min(firsts, default=position + 1) - 1


def released_at(waiting: Sequence[Waiting], timing: Timing, last: datetime | None) -> list[datetime]:
    """
    When each of a subscriber's waiting alerts is due. `last` is the moment of their last digest, which these missed.

    An alert that waits for a digest the subscriber has since switched off is due with the digests they still get, or
    else now; none is due in quiet hours.
    """
    moments = _Moments(timing, last, _bursts_over(each for each in waiting if each.wait == BURST))
    return [moments.of(each) for each in waiting]


def gathered(waiting: Sequence[Waiting], timing: Timing, last: datetime | None, now: datetime) -> Gathered | None:
    """The digest that is due now, or None. Everything that was missed is one digest, of the latest moment."""
    if quiet_until(timing, now):
        return None
    released = zip(waiting, released_at(waiting, timing, last), strict=True)
    due = [(each, at) for each, at in released if at <= now]
    if not due:
        return None
    due_at, rank = max((_latest(_period(each, timing), timing, at, now), WAITS.index(each.wait)) for each, at in due)
    return Gathered(due_at, WAITS[rank], tuple(each for each, _ in due))


def dropped(waiting: Sequence[Waiting], last: datetime | None) -> Gathered:
    """
    All alerts that wait for a subscriber who is gone: raised so that their delivery ends with a reason in the log.
    """
    newest = waiting[-1]
    return Gathered(_later(newest.raised_at, last), newest.wait, tuple(waiting))


def _period(each: Waiting, timing: Timing) -> str:
    """What an alert waits for, as its subscriber wants it now."""
    if each.wait not in PERIODS or each.wait in timing.periods:
        return each.wait
    return timing.frequency if timing.frequency in PERIODS else _AT_ONCE


class _Moments:
    """When what waits is released. Hundreds may wait for one moment, which is reckoned once."""

    def __init__(self, timing: Timing, last: datetime | None, bursts: Mapping[str, datetime]) -> None:
        self._timing = timing
        self._last = last
        self._bursts = bursts
        self._next: dict[str, tuple[datetime, datetime]] = {}  # by period: from when on which moment is the next
        self._out_of_quiet: dict[datetime, datetime] = {}

    def of(self, each: Waiting) -> datetime:
        """When an alert is to be told: at its moment, or at the end of the quiet hours that this lies in."""
        at = self._moment(each)
        if at not in self._out_of_quiet:
            self._out_of_quiet[at] = quiet_until(self._timing, at) or at
        return self._out_of_quiet[at]

    def _moment(self, each: Waiting) -> datetime:
        period = _period(each, self._timing)
        if period in PERIODS:
            return self._digest(period, max(each.since, self._last or each.since))
        over = quiet_until(self._timing, each.since) if period == QUIET else self._bursts.get(each.id)
        if over and (self._last is None or over > self._last):
            return over
        # Too late for the digest of that moment, or it waits for what is no more.
        return _later(each.raised_at, self._last)

    def _digest(self, period: str, after: datetime) -> datetime:
        since, moment = self._next.get(period, (after, after))
        if not since <= after < moment:
            moment = next_moment(period, self._timing, after)
            self._next[period] = after, moment
        return moment


def _bursts_over(waiting: Iterable[Waiting]) -> dict[str, datetime]:
    """When the burst is over that each of these alerts belongs to, by its id; one that comes after is another's."""
    bursts: list[list[Waiting]] = []
    for each in sorted(waiting, key=lambda each: each.since):
        if not bursts or each.since >= burst_over(bursts[-1][0].since, bursts[-1][-1].since):
            bursts.append([])
        bursts[-1].append(each)
    return {each.id: burst_over(burst[0].since, burst[-1].since) for burst in bursts for each in burst}


def _later(at: datetime, last: datetime | None) -> datetime:
    return at if last is None else max(at, last + _LEAST)


def _latest(period: str, timing: Timing, released: datetime, now: datetime) -> datetime:
    """The latest moment at which an alert should have been told that is released at this one."""
    return (last_moment(period, timing, released, now) if period in PERIODS else None) or released
