"""
How each subscriber's channels stand, folded from the log: which take nothing, and which were confirmed.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from notifier.delivery.address_marks import AddressMarks
from notifier.delivery.suspensions import Suspensions
from notifier.eventlog.log import EventLog
from notifier.events.channels import ChannelConfirmed, ChannelResumed, ChannelSuspended
from notifier.subscribers.subscriber import Contact

CONSUMER = "confirmed"  # the name under which the marks of confirmed channels are kept
TYPES = (ChannelSuspended.type, ChannelResumed.type, ChannelConfirmed.type)


class ChannelStates:
    """
    Which channels are suspended, and which confirmed, as far as `catch_up` has read the log.

    With `contact`, which finds a channel by its subscriber and name, a confirmation counts only for the address that it
    was given for; that is for the log's owner, since marks are kept.
    """

    def __init__(self, log: EventLog, contact: Callable[[str, str], Contact | None] | None = None) -> None:
        self._log = log
        self._position = 0
        self._suspensions = Suspensions()
        self._contact = contact
        self._marks = AddressMarks(log, CONSUMER, contact) if contact else None
        self._is_marked = False

    async def catch_up(self) -> None:
        """Fold in what the log has come to hold."""
        while (page := await self._log.read(self._position, TYPES)).position > self._position:
            for recorded in page.events:
                # Several may catch up side by side; what one has folded is not folded again.
                if recorded.position > self._position:
                    self._suspensions.apply(recorded)
                    self._position = recorded.position
                    self._is_marked &= not isinstance(recorded.event, ChannelConfirmed)
            self._position = max(self._position, page.position)
        if self._marks is not None and not self._is_marked:
            await self._marks.keep(self._suspensions.confirmed())
            self._is_marked = True

    def suspended(self, subscriber: str, channel: str, now: datetime) -> ChannelSuspended | None:
        """The suspension that a channel is under now, or None."""
        return self._suspensions.of((subscriber, channel), now)

    def all_suspended(self, subscriber: str, now: datetime) -> list[ChannelSuspended]:
        """The suspensions that a subscriber's channels are under now."""
        return [event for (who, _), event in self._suspensions.all(now).items() if who == subscriber]

    def is_confirmed(self, subscriber: str, channel: str) -> bool:
        """Has the reader of this channel confirmed that they want alerts there?"""
        event = self._suspensions.confirmed().get((subscriber, channel))
        contact = self._contact(subscriber, channel) if self._contact else None
        if event is None or self._marks is None or contact is None:
            return event is not None
        return not self._marks.tell_another(event, contact)
