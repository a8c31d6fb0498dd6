"""
How an attempt at a delivery ended, as the event that tells it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

from notifier.delivery.outbox import LADDER, OF_FULL_MAILBOX, OF_WEBHOOK, Owed, backoff
from notifier.delivery.suspensions import FORBIDDEN, TRIES
from notifier.errors import TryLater
from notifier.events.channels import ChannelResumed, ChannelSuspended
from notifier.events.deliveries import AlertDelivered, DeliveryAbandoned, DeliveryPostponed

UNSURE = 900.0  # seconds before the one second copy that an unknown outcome allows
_LADDERS = {"mailbox-full": OF_FULL_MAILBOX, "webhook": OF_WEBHOOK}  # by outcome, or else by kind


def delivered(owed: Owed, reply: str) -> AlertDelivered:
    """The other side took it over, and said so."""
    return AlertDelivered(**_of(owed, owed.attempts + 1), reply=reply)


def abandoned(owed: Owed, attempt: int, reason: str, outcome: str) -> DeliveryAbandoned:
    """There is no further attempt after number `attempt`, and why."""
    return DeliveryAbandoned(**_of(owed, attempt), reason=reason, outcome=outcome)


def withdrawn(owed: Owed, reason: str) -> DeliveryAbandoned:
    """Nobody wants it any more."""
    return abandoned(owed, owed.attempts, f"withdrawn: {reason}", "withdrawn")


def expired(owed: Owed) -> DeliveryAbandoned:
    """It is too old to be told."""
    return abandoned(owed, owed.attempts, "expired: it could not be handed over within 72 hours", "expired")


def suspended(owed: Owed, event: ChannelSuspended) -> DeliveryAbandoned:
    """Nothing may be sent on its channel."""
    told = f"nothing is sent on this channel ({event.why}): {event.reason}"
    return abandoned(owed, owed.attempts, told, "suspended")


def resumed(event: ChannelSuspended, now: datetime) -> ChannelResumed:
    """A suspended channel leads to another address now."""
    told = "it has another address"
    return ChannelResumed(cause=event.id, subscriber=event.subscriber, channel=event.channel, reason=told, at=now)


def failed(
    owed: Owed, kind: str, failure: TryLater, now: datetime, random: Callable[[], float]
) -> DeliveryPostponed | DeliveryAbandoned:
    """
    The event for an attempt that failed for now: when the next may be made, or why there is none.

    There is no third copy if the result of the first ones was unknown twice, and no endless retry if the other side
    keeps answering that it is forbidden.
    """
    attempt = owed.attempts + failure.counts
    if failure.unknown and owed.unknowns:
        told = f"unknown twice, so no third copy is sent; it may have arrived: {failure}"
        return abandoned(owed, attempt, told, "unknown")
    if failure.outcome == FORBIDDEN and attempt >= TRIES:
        return abandoned(owed, attempt, str(failure), FORBIDDEN)
    after = max(failure.after or 0, UNSURE) if failure.unknown else failure.after
    ladder: Sequence[float] = _LADDERS.get(failure.outcome) or _LADDERS.get(kind) or LADDER
    wait = backoff(max(attempt, 1), after, random, ladder)
    return DeliveryPostponed(
        **_of(owed, attempt),
        due_at=min(now + timedelta(seconds=wait), owed.expires_at),
        reason=str(failure),
        unknown=failure.unknown,
        outcome=failure.outcome,
        uncounted=not failure.counts,
    )


def _of(owed: Owed, attempt: int) -> dict[str, Any]:
    """What every event about a delivery says of it."""
    return {
        "cause": owed.alert_id,
        "alert": owed.alert_id,
        "subscriber": owed.subscriber,
        "channel": owed.channel,
        "attempt": attempt,
        "retry": owed.retry,
    }
