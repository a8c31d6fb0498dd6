"""
Who got what, when, at which attempt and with which reply? Asked of the log, for as far back as it goes.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime
from typing import Literal

import msgspec

from notifier.eventlog.log import EventLog
from notifier.eventlog.wording import Told
from notifier.events import AlertDelivered, AlertRaised, Delivery, DeliveryAbandoned, DeliveryPostponed, Recorded

OUTCOMES = (AlertDelivered.type, DeliveryPostponed.type, DeliveryAbandoned.type)

State = Literal["owed", "delivered", "postponed", "unknown", "abandoned"]


class Attempt(msgspec.Struct, frozen=True, kw_only=True):
    """One try: its number from 1 (0 where none was made), when its end was recorded, and what was said."""

    number: int
    ended_at: datetime
    state: State
    said: str


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """
    An alert on one channel of a subscriber: where it stands, since when, and how it came to that.

    `owed` before the first try; `postponed`: another follows at `due_at`; `unknown`: the same, and the other side may
    have it already; `abandoned`: none follows, for the reason that the last attempt gives.
    """

    alert: str
    subscriber: str
    channel: str
    title: str
    watchlists: tuple[str, ...]
    raised_at: datetime
    state: State
    since: datetime
    attempts: tuple[Attempt, ...] = ()
    due_at: datetime | None = None

    @property
    def failed(self) -> bool:
        """Is this one that did not go as it should, or has not yet?"""
        return self.state in ("postponed", "unknown", "abandoned")


async def accounts(
    log: EventLog, since: datetime | None = None, until: datetime | None = None
) -> AsyncIterator[Account]:
    """The account of every alert that was raised in a stretch of time (UTC), in the order of the log."""
    ends = await _ends(log)
    after = 0
    while (page := await log.read(after, (AlertRaised.type,))).position > after:
        for recorded in page.events:
            late = until is not None and recorded.recorded_at >= until
            if not late and (since is None or recorded.recorded_at >= since):
                async for account in _of_alert(log, recorded, ends):
                    yield account
        after = page.position


async def _ends(log: EventLog) -> dict[tuple[str, str], list[Recorded]]:
    """How the attempts of each alert on each channel ended."""
    ends: dict[tuple[str, str], list[Recorded]] = {}
    after = 0
    while (page := await log.read(after, OUTCOMES)).position > after:
        for recorded in page.events:
            if isinstance(recorded.event, Delivery):
                ends.setdefault((recorded.event.alert, recorded.event.channel), []).append(recorded)
        after = page.position
    return ends


async def _of_alert(
    log: EventLog, recorded: Recorded, ends: dict[tuple[str, str], list[Recorded]]
) -> AsyncIterator[Account]:
    alert = recorded.event
    if not isinstance(alert, AlertRaised):
        return
    cause = await log.find(alert.cause)
    title = cause.event.statement.title if cause and isinstance(cause.event, Told) else ""
    for channel in alert.channels:
        attempts = tuple(map(_attempt, ends.get((recorded.id, channel), ())))
        last = ends.get((recorded.id, channel), [recorded])[-1].event
        yield Account(
            alert=recorded.id,
            subscriber=alert.subscriber,
            channel=channel,
            title=title,
            watchlists=tuple(match.watchlist for match in alert.matches),
            raised_at=recorded.recorded_at,
            state=attempts[-1].state if attempts else "owed",
            since=attempts[-1].ended_at if attempts else recorded.recorded_at,
            attempts=attempts,
            due_at=last.due_at if isinstance(last, DeliveryPostponed) else None,
        )


def _attempt(recorded: Recorded) -> Attempt:
    event = recorded.event
    state: State
    match event:
        case AlertDelivered(reply=said):
            state = "delivered"
        case DeliveryPostponed(reason=said, unknown=unknown):
            state = "unknown" if unknown else "postponed"
        case DeliveryAbandoned(reason=said):
            state = "abandoned"
        case _:
            raise TypeError(f"{event.type} is no end of an attempt")
    number = event.attempt if isinstance(event, Delivery) else 0
    return Attempt(number=number, ended_at=recorded.recorded_at, state=state, said=said)
