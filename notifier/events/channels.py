"""Events about subscribers' channels: suspended, resumed, confirmed."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar

from notifier.events.event import Event


class OfChannel(Event, frozen=True, kw_only=True):
    """Something about one channel of a subscriber, at `at`."""

    subscriber: str
    channel: str
    at: datetime

    @property
    def key(self) -> tuple[str, ...]:
        # What follows from an event happens once; what came from outside, as often as it comes.
        return (self.subscriber, self.channel, *(() if self.cause else (self.at.isoformat(),)))

    @property
    def subject(self) -> str:
        return self.subscriber

    @property
    def born_at(self) -> datetime:
        return self.at


class ChannelSuspended(OfChannel, frozen=True, kw_only=True):
    """
    Nothing is sent on a channel any more, until it is resumed, or until `until`.

    `why`: "bounced" (the mailbox does not exist), "full" (its mailbox has been full for long), "complained" (it was
    called spam), "unsubscribed", "ended" (the webhook is no more). `reason` says it in words.
    """

    type: ClassVar[str] = "channel.suspended.v1"

    why: str
    reason: str
    until: datetime | None = None


class ChannelResumed(OfChannel, frozen=True, kw_only=True):
    """A suspended channel takes alerts again, from the next one on; `reason` says why."""

    type: ClassVar[str] = "channel.resumed.v1"

    reason: str


class ChannelConfirmed(OfChannel, frozen=True, kw_only=True):
    """The reader of a channel has confirmed that they want alerts on it."""

    type: ClassVar[str] = "channel.confirmed.v1"
