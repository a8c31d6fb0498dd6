"""
Which lane may send when: turns on each kind of channel, the pace of addresses, and quiet hours.

A lane is one subscriber's channel. It is idle (nothing of it is due), or it waits for a turn, for its address's pace or
for the end of quiet hours, or a message of it is under way.
"""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime

import msgspec

from notifier.channels.channel import Channel
from notifier.delivery.outbox import Lane, Outbox
from notifier.delivery.turns import Turns
from notifier.subscribers.book import Book

NOWHERE = ""  # the kind of a channel that does not exist: withdrawn, or not set up


class Queue(msgspec.Struct):
    """One kind of channel: whose turn it is on it, and the tasks that send."""

    turns: Turns
    workers: set[asyncio.Task[None]]


class Lanes:
    """
    `outbox` says which lanes are due, and `proceed` is called when a lane that waited may go on. `ticks` are seconds of
    a clock that nobody can set.
    """

    def __init__(
        self,
        outbox: Outbox,
        channels: Mapping[str, Channel],
        book: Book,
        proceed: Callable[[], None],
        ticks: Callable[[], float],
        nowhere: int,
    ) -> None:
        self._outbox = outbox
        self._channels = channels
        self._book = book
        self._proceed = proceed
        self._ticks = ticks
        self._queues = {kind: Queue(Turns(channel.at_once), set()) for kind, channel in channels.items()}
        self._queues[NOWHERE] = Queue(Turns(nowhere), set())
        self._busy: set[Lane] = set()  # taken from the outbox: they wait, are under way, or being recorded
        self._under_way: set[Lane] = set()  # those of them of which a message is being sent or recorded
        self._parked: list[tuple[float, Lane]] = []  # those that wait for their address's pace, by ticks
        self._quiet: list[tuple[datetime, Lane]] = []  # those that wait for the end of quiet hours
        self._wake: tuple[float, asyncio.TimerHandle] | None = None

    @property
    def queues(self) -> Iterable[Queue]:
        """The queues of all kinds of channels."""
        return self._queues.values()

    @property
    def tasks(self) -> list[asyncio.Task[None]]:
        """The tasks that send."""
        return [task for queue in self._queues.values() for task in queue.workers]

    @property
    def under_way(self) -> int:
        """Of how many lanes a message is being sent or recorded."""
        return len(self._under_way)

    def is_under_way(self, lane: Lane) -> bool:
        """Is a message of this lane being sent or recorded?"""
        return lane in self._under_way

    def take_due(self, now: datetime) -> None:
        """Have the lanes wait for a turn that have become due, or whose quiet hours are to be looked at again."""
        while self._quiet and self._quiet[0][0] <= now:
            self._queue(heapq.heappop(self._quiet)[1])
        for lane in self._outbox.take_due(now):
            if lane not in self._busy:
                self._busy.add(lane)
                self._queue(lane)

    def hurry(self, lane: Lane) -> None:
        """Have a lane that waits, wait once more, since it has become urgent."""
        if lane in self._busy and lane not in self._under_way:
            self._queue(lane)

    def _queue(self, lane: Lane) -> None:
        contact = self._book.contact(*lane)
        channel = self._channels.get(contact.kind) if contact is not None else None
        kind = contact.kind if contact is not None and channel is not None else NOWHERE
        place = channel.place(contact.address.reveal()) if contact is not None and channel is not None else ""
        self._queues[kind].turns.add(lane, place, self._outbox.urgency(lane))

    def begin(self, lane: Lane) -> None:
        """A message of this lane is under way from now on, until `release`, `park` or `rest`."""
        self._under_way.add(lane)

    def release(self, lane: Lane) -> None:
        """The message is over; the lane is due again when its next one is."""
        self._under_way.discard(lane)
        self._busy.discard(lane)
        self._outbox.put_back(lane)

    def park(self, lane: Lane, seconds: float) -> None:
        """Let a lane wait for the pace of its address; nothing was tried, so nothing is recorded."""
        heapq.heappush(self._parked, (self._ticks() + seconds, lane))
        self._under_way.discard(lane)
        self.wake_in(seconds)

    def rest(self, lane: Lane, until: datetime) -> None:
        """Let a lane wait until quiet hours are to be looked at again; nothing was tried."""
        heapq.heappush(self._quiet, (until, lane))
        self._under_way.discard(lane)

    def next_parked(self) -> float | None:
        """Seconds until the first parked lane may go on; None if none is parked."""
        return self._parked[0][0] - self._ticks() if self._parked else None

    def wake_in(self, seconds: float) -> None:
        """Look again in so many seconds, if not sooner."""
        now = self._ticks()
        at = now + seconds
        if self._wake is not None:
            due, handle = self._wake
            if now < due <= at:
                return
            if due > at:
                handle.cancel()
        self._wake = at, asyncio.get_running_loop().call_later(seconds, self._woken)

    def stop_waking(self) -> None:
        """Do not look again."""
        if self._wake is not None:
            self._wake[1].cancel()

    def _woken(self) -> None:
        self.unpark()
        self._proceed()

    def unpark(self) -> None:
        """Have the lanes whose addresses' pace allows it wait for a turn."""
        now = self._ticks()
        while self._parked and self._parked[0][0] <= now:
            self._queue(heapq.heappop(self._parked)[1])
        if self._parked:
            self.wake_in(self._parked[0][0] - now)
