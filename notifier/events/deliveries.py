"""Events about deliveries: how the attempts to hand an alert over ended. `alert` is the id of what was owed."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar

from notifier.events.event import Event


class Delivery(Event, frozen=True, kw_only=True):
    """
    How one alert (digest, notice) fared on one channel, at attempt number `attempt` (from 1; 0 where there was none).

    `retry` is the id of the `DeliveryRetried` that it came of, "" where nobody asked for one.
    """

    alert: str
    subscriber: str
    channel: str
    attempt: int
    retry: str = ""

    @property
    def key(self) -> tuple[str, ...]:
        return (self.channel, *self._round)

    @property
    def _round(self) -> tuple[str, ...]:
        return (self.retry,) if self.retry else ()

    @property
    def subject(self) -> str:
        return self.subscriber


class AlertDelivered(Delivery, frozen=True, kw_only=True):
    """A channel took an alert over. `reply` is what the other side said."""

    type: ClassVar[str] = "alert.delivered.v1"

    reply: str = ""


class DeliveryPostponed(Delivery, frozen=True, kw_only=True):
    """
    An attempt failed and another follows at `due_at`. `unknown`: the other side may have taken the message over.

    `outcome` is the edge's slug for what happened. `uncounted`: we were only asked to be slower, and `attempt` is that
    of before.
    """

    type: ClassVar[str] = "delivery.postponed.v1"

    due_at: datetime
    reason: str
    unknown: bool = False
    outcome: str = ""
    uncounted: bool = False

    @property
    def key(self) -> tuple[str, ...]:
        again = (self.due_at.isoformat(),) if self.uncounted else ()
        return (self.channel, str(self.attempt), *again, *self._round)


class DeliveryAbandoned(Delivery, frozen=True, kw_only=True):
    """
    There will be no further attempt: refused for good, expired, or withdrawn. `reason` says which, and `outcome` is the
    slug for it.
    """

    type: ClassVar[str] = "delivery.abandoned.v1"

    reason: str
    outcome: str = ""


class DeliveryRetried(Event, frozen=True, kw_only=True):
    """
    The operator wants an alert tried again on a channel: one that was abandoned, afresh; one that waits, at once.

    Its cause is the alert.
    """

    type: ClassVar[str] = "delivery.retried.v1"

    alert: str
    subscriber: str
    channel: str
    retried_at: datetime

    @property
    def key(self) -> tuple[str, ...]:
        return (self.channel, self.retried_at.isoformat())

    @property
    def subject(self) -> str:
        return self.subscriber


class DeliveryBounced(Event, frozen=True, kw_only=True):
    """
    A mail system told us what became of an alert that it had taken over. Its cause is the alert.

    `action`: "failed" or "delayed" (RFC 3464), or "complained" (RFC 5965). `status` is the enhanced code that it gave
    (RFC 3463), "" where there was none, and `reason` what that means, in our own words: theirs may quote an address.
    `elsewhere`: it speaks of a mailbox that the subscriber's address leads to, and not of the address itself.
    """

    type: ClassVar[str] = "delivery.bounced.v1"

    alert: str
    subscriber: str
    channel: str
    action: str
    status: str
    reason: str
    seen_at: datetime
    elsewhere: bool = False

    @property
    def key(self) -> tuple[str, ...]:
        # Not `seen_at`: the same report, read twice, is one.
        return (self.channel, self.action, self.status, *(("elsewhere",) if self.elsewhere else ()))

    @property
    def subject(self) -> str:
        return self.subscriber
