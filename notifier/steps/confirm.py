"""
A mail channel that is not confirmed → a notice that asks its reader whether they want alerts, in the log.

Only where the operator has switched confirmation on (double opt-in). A reader is asked once in 24 hours and three times
at most; one who does not answer gets nothing more (promise P12).
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from notifier.delivery.channel_state import ChannelStates
from notifier.eventlog.log import EventLog
from notifier.events.alerts import CONFIRM, NoticeRaised
from notifier.events.channels import ChannelConfirmed
from notifier.subscribers.book import Book
from notifier.subscribers.subscriber import MAIL

TYPES = (NoticeRaised.type, ChannelConfirmed.type)
APART = timedelta(hours=24)
MOST = 3
BATCH = 500  # notices recorded together

Key = tuple[str, str]


class Confirmer:
    """
    Asks the readers of mail channels for confirmation, also of channels that were there before confirmation was asked.
    """

    def __init__(
        self,
        log: EventLog,
        states: ChannelStates,
        book: Book,
        clock: Callable[[], datetime],
    ) -> None:
        self._log = log
        self._states = states
        self._book = book
        self._clock = clock
        self._position = 0
        self._asked: dict[Key, tuple[int, datetime]] = {}  # how often, and when last

    async def run(self) -> int:
        """Ask the readers who are to be asked now; how many."""
        await self._states.catch_up()
        await self._catch_up()
        now = self._clock()
        notices = [
            NoticeRaised(subscriber=id, channels=(contact.name,), notice=CONFIRM, about=contact.name, raised_at=now)
            for id, who in self._book.subscribers.items()
            for contact in who.channels
            if contact.kind == MAIL and self._is_due((id, contact.name), now)
        ]
        for begin in range(0, len(notices), BATCH):
            await self._log.append(notices[begin : begin + BATCH])
        return len(notices)

    def _is_due(self, key: Key, now: datetime) -> bool:
        if self._states.is_confirmed(*key) or self._states.suspended(*key, now):
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
