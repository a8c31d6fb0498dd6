"""
How each subscriber's channels stand, folded from the log: which take nothing, and which were confirmed.
"""

from __future__ import annotations

from datetime import datetime

from notifier.alerts.suspensions import Suspensions
from notifier.eventlog.log import EventLog
from notifier.events import ChannelConfirmed, ChannelResumed, ChannelSuspended

TYPES = (ChannelSuspended.type, ChannelResumed.type, ChannelConfirmed.type)


class Standing:
    """Knows as much as it has caught up with. Ask it after `catch_up`."""

    def __init__(self, log: EventLog) -> None:
        self._log = log
        self._position = 0
        self._suspensions = Suspensions()

    async def catch_up(self) -> None:
        """Fold in what the log has come to hold."""
        while (page := await self._log.read(self._position, TYPES)).position > self._position:
            for recorded in page.events:
                # Several may catch up side by side; what one has folded is not folded again.
                if recorded.position > self._position:
                    self._suspensions.apply(recorded)
                    self._position = recorded.position
            self._position = max(self._position, page.position)

    def suspended(self, subscriber: str, channel: str, now: datetime) -> ChannelSuspended | None:
        """Why a channel takes nothing now; None where it does."""
        return self._suspensions.of((subscriber, channel), now)

    def all_suspended(self, subscriber: str, now: datetime) -> list[ChannelSuspended]:
        """The suspensions that a subscriber's channels are under now."""
        return [event for (who, _), event in self._suspensions.all(now).items() if who == subscriber]

    def is_confirmed(self, subscriber: str, channel: str) -> bool:
        """Has whoever reads this channel said that he wants what comes on it?"""
        return self._suspensions.is_confirmed((subscriber, channel))
