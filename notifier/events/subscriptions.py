"""Events about the subscriptions as a whole."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar

from notifier.events.event import Event


class SubscriptionsApplied(Event, frozen=True, kw_only=True):
    """
    The subscriptions in force from here on: `digest` is a hash over all of them, `subscribers` and `watchlists`
    their numbers. No address, no secret.
    """

    type: ClassVar[str] = "subscriptions.applied.v1"

    digest: str
    subscribers: int
    watchlists: int
    applied_at: datetime

    @property
    def key(self) -> tuple[str, ...]:
        return (self.digest, self.applied_at.isoformat())

    @property
    def subject(self) -> str:
        return "subscriptions"

    @property
    def born_at(self) -> datetime:
        return self.applied_at
