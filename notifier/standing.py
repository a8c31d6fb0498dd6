"""
How each subscriber's channels stand, folded from the log: which take nothing, and which were confirmed.
"""

from __future__ import annotations

from datetime import datetime

from notifier.eventlog.log import EventLog
from notifier.events import ChannelConfirmed, ChannelResumed, ChannelSuspended, Recorded

TYPES = (ChannelSuspended.type, ChannelResumed.type, ChannelConfirmed.type)


class Standing:
    """Knows as much as it has caught up with. Ask it after `catch_up`."""

    def __init__(self, log: EventLog) -> None:
        self._log = log
        self._position = 0
        self._suspended: dict[tuple[str, str], ChannelSuspended] = {}
        self._confirmed: set[tuple[str, str]] = set()

    async def catch_up(self) -> None:
        """Fold in what the log has come to hold."""
        while (page := await self._log.read(self._position, TYPES)).position > self._position:
            for recorded in page.events:
                # Several may catch up side by side; what one has folded is not folded again.
                if recorded.position > self._position:
                    self.apply(recorded)
                    self._position = recorded.position
            self._position = max(self._position, page.position)

    def apply(self, recorded: Recorded) -> None:
        """Fold one event in; events of other types change nothing."""
        match recorded.event:
            case ChannelSuspended() as event:
                self._suspended[event.subscriber, event.channel] = event
            case ChannelResumed() as event:
                self._suspended.pop((event.subscriber, event.channel), None)
            case ChannelConfirmed() as event:
                self._confirmed.add((event.subscriber, event.channel))
            case _:
                pass

    def suspended(self, subscriber: str, channel: str, now: datetime) -> ChannelSuspended | None:
        """Why a channel takes nothing now; None where it does."""
        found = self._suspended.get((subscriber, channel))
        return found if found and (found.until is None or now < found.until) else None

    def is_confirmed(self, subscriber: str, channel: str) -> bool:
        """Has whoever reads this channel said that he wants what comes on it?"""
        return (subscriber, channel) in self._confirmed
