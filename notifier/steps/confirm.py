"""
A mail channel that nobody has confirmed → its reader, asked whether he wants alerts, in the log.

Only where the operator wants it so (double opt-in). He is asked once in a day and three times at most; whoever does not
answer gets nothing more (promise P12).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

from notifier.delivery.channel_state import ChannelStates
from notifier.eventlog.log import EventLog
from notifier.events.alerts import CONFIRM, NoticeRaised
from notifier.events.channels import ChannelConfirmed
from notifier.subscribers.subscriber import Subscriber

TYPES = (NoticeRaised.type, ChannelConfirmed.type)
KIND = "email"  # the channels whose readers may not be those who asked
APART = timedelta(hours=24)
MOST = 3
BATCH = 500  # notices recorded together

Key = tuple[str, str]


class Confirmer:
    """
    Asks for confirmation what has none. `subscribers` are those in force at present, those that were there before this
    was wanted among them.
    """

    def __init__(
        self,
        log: EventLog,
        standing: ChannelStates,
        subscribers: Callable[[], Mapping[str, Subscriber]],
        clock: Callable[[], datetime],
    ) -> None:
        self._log = log
        self._standing = standing
        self._subscribers = subscribers
        self._clock = clock
        self._position = 0
        self._asked: dict[Key, tuple[int, datetime]] = {}  # how often, and when last

    async def run(self) -> int:
        """Ask whoever is to be asked now; how many."""
        await self._standing.catch_up()
        await self._catch_up()
        now = self._clock()
        notices = [
            NoticeRaised(subscriber=id, channels=(way.name,), notice=CONFIRM, about=way.name, raised_at=now)
            for id, who in self._subscribers().items()
            for way in who.channels
            if way.kind == KIND and self._is_due((id, way.name), now)
        ]
        for begin in range(0, len(notices), BATCH):
            await self._log.append(notices[begin : begin + BATCH])
        return len(notices)

    def _is_due(self, key: Key, now: datetime) -> bool:
        if self._standing.is_confirmed(*key) or self._standing.suspended(*key, now):
            return False
        times, last = self._asked.get(key, (0, now - APART))
        return times < MOST and now - last >= APART

    async def _catch_up(self) -> None:
        """Fold in what was asked before, by this process or another."""
        while (page := await self._log.read(self._position, TYPES)).position > self._position:
            for recorded in page.events:
                event = recorded.event
                if isinstance(event, NoticeRaised) and event.notice == CONFIRM:
                    key = event.subscriber, event.about
                    self._asked[key] = self._asked.get(key, (0, event.raised_at))[0] + 1, event.raised_at
                elif isinstance(event, ChannelConfirmed):
                    # Where another address takes this one's place, its reader is asked from the beginning.
                    self._asked.pop((event.subscriber, event.channel), None)
            self._position = page.position


def wanted(standing: ChannelStates, who: Subscriber) -> tuple[str, ...]:
    """The names of the channels of a subscriber that may be owed alerts: all but mail that is not confirmed."""
    return tuple(way.name for way in who.channels if way.kind != KIND or standing.is_confirmed(who.id, way.name))
