"""
Waiting alerts → one digest per subscriber and period, in the log.

An alert that is not owed immediately waits for a moment of its subscriber: the full hour, eight in the morning, the end
of quiet hours. At that moment one event names all waiting alerts of all their watchlists, and is owed from then on like
an alert. Digests that came due while the service was stopped are one digest at the next start. Nothing is left out: a
subscriber who has switched digests off gets the waiting alerts now, and those of a subscriber who is gone are raised
too, so that their delivery ends with a reason.

Which alerts a digest names depends on their positions in the log and not on the time: an alert recorded too late for
one digest is in the next.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Iterator, Mapping
from datetime import datetime
from typing import Any

import msgspec

from notifier.alerts.waiting import Gathered, Held, Waiting, dropped, gathered, released_at
from notifier.eventlog.batches import batches
from notifier.eventlog.log import Consumer, EventLog
from notifier.eventlog.wording import size
from notifier.events.alerts import AlertRaised, DigestRaised, FeedStatus
from notifier.events.event import Recorded
from notifier.events.feeds import FeedHealthChanged
from notifier.events.subscriptions import SubscriptionsApplied
from notifier.feeds.feed import Feed
from notifier.feeds.health import HEALTHY
from notifier.message import without_controls
from notifier.subscribers.book import Book
from notifier.subscribers.subscriber import Subscriber
from notifier.subscribers.timing import PERIODS, Timing, quiet_until

NAME = "digest"
TYPES = (AlertRaised.type, DigestRaised.type, FeedHealthChanged.type, SubscriptionsApplied.type)
PART = 400  # alerts that one event names; an event ends at 65,535 bytes
FEEDS, DETAIL, ISSUER = 30, 150, 100  # feeds that are not well which one event tells of, and letters on each
FAR = 10_000  # positions that are not read again after a start, for which it is worth storing our place


_Scope = tuple[tuple[str, ...], tuple[str, ...]]


class _Kept(msgspec.Struct, frozen=True):
    """What the events before our place say that are not read again."""

    last: Mapping[str, datetime] = {}
    feeds: Mapping[str, FeedStatus] = {}
    applied_at: datetime | None = None


class Digester:
    """
    Raises the digests that are due. Run twice over the same events at the same time, it raises them once.

    `book` has the subscribers in force, and `feeds` are those that are polled.
    """

    def __init__(
        self,
        log: EventLog,
        book: Book,
        feeds: Collection[Feed],
        clock: Callable[[], datetime],
    ) -> None:
        self._log = log
        self._book = book
        self._polled = tuple(feeds)
        self._clock = clock
        self._consumer: Consumer | None = None
        self._position: int | None = None
        self._held = Held()
        self._feeds: dict[str, FeedStatus] = {}
        self._applied_at: datetime | None = None
        self._in_force: Mapping[str, Subscriber] = {}
        self._next: dict[str, datetime | None] = {}  # when each subscriber is to be told next, as far as we know
        self._soonest: datetime | None = None  # of these, where `_all_known`
        self._all_known = False
        self._feeds_of: dict[frozenset[_Scope], tuple[Feed, ...]] = {}

    async def run(self) -> int:
        """Raise all that is due now; how many digests, each part counted."""
        await self._catch_up()
        digests = [digest async for digest in self._due(self._clock())]
        if await self._store(digests):
            await self._catch_up()
        return len(digests)

    async def would_be(self, subscriber: str) -> tuple[DigestRaised, ...]:
        """The digest of all that is held for a subscriber, as if its moment had come; nothing is recorded."""
        await self._catch_up()
        self._look_at_subscribers()
        waiting = self._held.of(subscriber)
        if not waiting:
            return ()
        return tuple(self._raised(subscriber, Gathered(self._clock(), waiting[-1].wait, waiting)))

    # ---------------------------------------------------------------- what the log says

    async def _catch_up(self) -> None:
        if self._position is None:
            await self._begin()
        while (page := await self._log.read(self._position or 0, TYPES)).position > (self._position or 0):
            for recorded in page.events:
                await self._apply(recorded)
            self._position = page.position

    async def _begin(self) -> None:
        self._consumer = await self._log.consumer(NAME)
        kept = msgspec.json.decode(self._consumer.state, type=_Kept) if self._consumer.state else _Kept()
        self._held, self._feeds, self._applied_at = Held(kept.last), {**kept.feeds}, kept.applied_at
        self._position = self._consumer.position

    async def _apply(self, recorded: Recorded) -> None:
        match recorded.event:
            case AlertRaised(waits_for=wait) as raised if wait:
                # A log without the cause is damaged; that is told where its words are sought, and holds up nobody here.
                cause = await self._log.find(raised.cause)
                self._held.apply(recorded, cause.recorded_at if cause else None)
                self._look_again(raised.subscriber)
            case DigestRaised(subscriber=subscriber):
                self._held.apply(recorded)
                self._look_again(subscriber)
            case FeedHealthChanged() as change:
                self._feeds[change.feed] = _told(change, self._feeds.get(change.feed))
            case SubscriptionsApplied() as applied:
                self._applied_at = applied.applied_at
                self._look_again()
            case _:
                pass

    def _look_again(self, subscriber: str | None = None) -> None:
        """Forget when a subscriber is to be told next, or when everybody is."""
        self._all_known = False
        if subscriber is None:
            self._next.clear()
        else:
            self._next.pop(subscriber, None)

    # ---------------------------------------------------------------- what is due

    async def _due(self, now: datetime) -> AsyncIterator[DigestRaised]:
        self._look_at_subscribers()
        # The log grows with every delivery, and we are asked each time.
        if self._all_known and (self._soonest is None or self._soonest > now):
            return
        also_empty = (id for id, who in self._in_force.items() if who.timing.empty_digests)
        for subscriber in dict.fromkeys([*self._held.subscribers(), *also_empty]):
            if subscriber not in self._next:
                self._next[subscriber] = self._next_at(subscriber)
                # After a start it is everybody's turn, and at eight in the morning too: others have theirs between.
                await asyncio.sleep(0)
            at = self._next[subscriber]
            if at is None or at > now:
                continue
            if found := self._gathered(subscriber, now):
                for digest in self._raised(subscriber, found):
                    yield digest
                await asyncio.sleep(0)
            else:
                self._next[subscriber] = quiet_until(self._in_force[subscriber].timing, now)
        self._soonest = min((at for at in self._next.values() if at), default=None)
        self._all_known = True

    def _look_at_subscribers(self) -> None:
        in_force = self._book.subscribers
        if in_force is not self._in_force:
            self._in_force = in_force
            self._look_again()
            self._feeds_of.clear()

    def _next_at(self, subscriber: str) -> datetime | None:
        """When there is next something to tell a subscriber; None where there is nothing."""
        waiting, who = self._waiting(subscriber), self._in_force.get(subscriber)
        if not waiting or who is None:
            return waiting[-1].raised_at if waiting else None
        return min(released_at(waiting, who.timing, self._held.last.get(subscriber)))

    def _gathered(self, subscriber: str, now: datetime) -> Gathered | None:
        """What is to be told a subscriber now."""
        waiting, last = self._held.of(subscriber), self._held.last.get(subscriber)
        who = self._in_force.get(subscriber)
        if who is None:
            return dropped(waiting, last)
        found = gathered(waiting, who.timing, last, now)
        if found or (empty := self._empty(subscriber, who.timing)) is None:
            return found
        found = gathered([empty], who.timing, last, now)
        return msgspec.structs.replace(found, alerts=()) if found else None

    def _waiting(self, subscriber: str) -> tuple[Waiting, ...]:
        """What is held for a subscriber, and what stands for the wish to hear that nothing was."""
        waiting, who = self._held.of(subscriber), self._in_force.get(subscriber)
        empty = self._empty(subscriber, who.timing) if who else None
        return (*waiting, empty) if empty else waiting

    def _empty(self, subscriber: str, timing: Timing) -> Waiting | None:
        # A digest that nobody was promised yet is not missed: they begin with what is in force.
        since = max((at for at in (self._held.last.get(subscriber), self._applied_at) if at), default=None)
        if not timing.empty_digests or not timing.periods or since is None:
            return None
        period = timing.frequency if timing.frequency in PERIODS else timing.periods[0]
        return Waiting(id="", position=0, raised_at=since, since=since, wait=period)

    # ---------------------------------------------------------------- digests

    def _raised(self, subscriber: str, found: Gathered) -> Iterator[DigestRaised]:
        """The digest in as many parts as it takes."""
        who = self._in_force.get(subscriber)
        channels = self._book.channels(who.id) if who else [to for each in found.alerts for to in each.channels]
        parts = [found.alerts[first : first + PART] for first in range(0, len(found.alerts), PART)] or [()]
        told = self._told_of_feeds(who) if who else {}
        for number, alerts in enumerate(parts, 1):
            yield DigestRaised(
                subscriber=subscriber,
                channels=tuple(dict.fromkeys(channels)),
                frequency=found.frequency,
                due_at=found.due_at,
                until=self._position or 0,
                alerts=tuple(each.id for each in alerts),
                part=number,
                parts=len(parts),
                since=self._held.last.get(subscriber),
                **(told if number == 1 else {}),
            )

    def _told_of_feeds(self, who: Subscriber) -> dict[str, Any]:
        """How many feeds a subscriber's watchlists rest on, and which of them are not well."""
        feeds = self._resting_on(who)
        unknown = FeedStatus(feed="", outcome="")
        states = [(feed, self._feeds.get(feed.id, unknown)) for feed in feeds]
        ill = [
            msgspec.structs.replace(state, feed=feed.id, issuer=feed.issuer[:ISSUER])
            for feed, state in states
            if state.outcome not in HEALTHY
        ]
        return {"feeds": tuple(ill[:FEEDS]), "feeds_asked": len(feeds), "feeds_left_out": max(len(ill) - FEEDS, 0)}

    def _resting_on(self, who: Subscriber) -> tuple[Feed, ...]:
        wishes = {(wish.feeds, wish.issuers): wish for wish in who.watchlists}
        if ((), ()) in wishes:
            return self._polled
        scopes = frozenset(wishes)
        if scopes not in self._feeds_of:
            self._feeds_of[scopes] = tuple(
                feed for feed in self._polled if any(wish.covers(feed.id, feed.issuer) for wish in wishes.values())
            )
        return self._feeds_of[scopes]

    async def _store(self, digests: list[DigestRaised]) -> bool:
        """Append digests, our place with the last of them; whether anything was stored."""
        # Kept only while all goes well: of a failing append we cannot know whether it moved us on.
        consumer, self._consumer = self._consumer or await self._log.consumer(NAME), None
        place = self._held.place(self._position or 0, (id for digest in digests for id in digest.alerts))
        if not digests and place - consumer.position < FAR:
            self._consumer = consumer
            return False
        *firsts, last = batches(digests, size)
        for batch in firsts:
            await self._log.append(batch)
        # A crash before this means reading some of the log once more; the digests that are there stand.
        kept = _Kept(self._held.last, self._feeds, self._applied_at)
        await self._log.append(last, commit=consumer.moved_to(place, msgspec.json.encode(kept)))
        self._consumer = msgspec.structs.replace(consumer, position=place, version=consumer.version + 1)
        return True


def _told(change: FeedHealthChanged, before: FeedStatus | None) -> FeedStatus:
    """How a feed stands; one that was not well before has not been so since then."""
    ill_before = before is not None and before.outcome not in HEALTHY
    since = before.since if before and ill_before and change.outcome not in HEALTHY else change.changed_at
    return FeedStatus(
        feed=change.feed, outcome=change.outcome, since=since, detail=without_controls(change.detail)[:DETAIL]
    )
