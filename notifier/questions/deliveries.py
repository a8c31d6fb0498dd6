"""
Who got what, when, at which attempt and with which reply? Asked of the log, for as far back as it goes.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from datetime import datetime
from typing import Literal

import msgspec

from notifier.eventlog.log import LogReader
from notifier.eventlog.wording import StatementEvent
from notifier.events.alerts import AlertRaised, DigestRaised, NoticeRaised
from notifier.events.deliveries import (
    AlertDelivered,
    Delivery,
    DeliveryAbandoned,
    DeliveryBounced,
    DeliveryPostponed,
    DeliveryRetried,
)
from notifier.events.event import Recorded

RAISED = (AlertRaised.type, DigestRaised.type, NoticeRaised.type)
ENDS = (
    AlertDelivered.type,
    DeliveryPostponed.type,
    DeliveryAbandoned.type,
    DeliveryRetried.type,
    DeliveryBounced.type,
    DigestRaised.type,
)

State = Literal["held", "owed", "delivered", "postponed", "unknown", "abandoned", "bounced"]


class RecordedAttempt(msgspec.Struct, frozen=True, kw_only=True):
    """
    One attempt: its number from 1, when its outcome was recorded, and the reply or reason. The number is 0 for an
    outcome without an attempt, and for a bounce.

    An operator's retry is among them, as `owed`.
    """

    number: int
    ended_at: datetime
    state: State
    said: str


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """
    An alert, digest or notice on one channel of a subscriber: its state, since when, and its attempts.

    `held`: it waits for a digest; `owed`: before the first attempt; `postponed`: another follows at `due_at`;
    `unknown`: the same, and the other side may have it already; `abandoned`: none follows, for the reason of the last
    attempt. `bounced`: it was accepted, and a mail system reported later that it failed, or that its reader marked it
    as spam. An alert that went in a digest has the digest's state, and `digest` is the digest's id.
    """

    alert: str
    subscriber: str
    channel: str
    title: str
    watchlists: tuple[str, ...]
    raised_at: datetime
    state: State
    since: datetime
    attempts: tuple[RecordedAttempt, ...] = ()
    due_at: datetime | None = None
    digest: str = ""

    @property
    def failed(self) -> bool:
        """Is this one that did not go as it should, or has not yet?"""
        return self.state in ("postponed", "unknown", "abandoned", "bounced")


class _Ends(msgspec.Struct):
    """How the attempts of each ended, by alert and channel; and the digest that an alert went in."""

    attempts: dict[tuple[str, str], list[Recorded]] = {}
    digests: dict[str, Recorded] = {}


async def accounts(
    log: LogReader, since: datetime | None = None, until: datetime | None = None
) -> AsyncIterator[Account]:
    """The account of everything that was raised in a stretch of time (UTC), in the order of the log."""
    ends = await _ends(log)
    after = 0
    while (page := await log.read(after, RAISED)).position > after:
        for recorded in page.events:
            late = until is not None and recorded.recorded_at >= until
            if not late and (since is None or recorded.recorded_at >= since):
                title = await _title(log, recorded)
                for account in _of(recorded, title, ends):
                    yield account
        after = page.position


async def _ends(log: LogReader) -> _Ends:
    ends = _Ends()
    after = 0
    while (page := await log.read(after, ENDS)).position > after:
        for recorded in page.events:
            match recorded.event:
                case DigestRaised(alerts=alerts):
                    ends.digests |= dict.fromkeys(alerts, recorded)
                case DeliveryBounced(action="delayed"):
                    pass  # no end
                case Delivery() | DeliveryRetried() | DeliveryBounced() as end:
                    ends.attempts.setdefault((end.alert, end.channel), []).append(recorded)
        after = page.position
    return ends


async def _title(log: LogReader, recorded: Recorded) -> str:
    match recorded.event:
        case AlertRaised(cause=id):
            cause = await log.find(id)
            return cause.event.statement.title if cause and isinstance(cause.event, StatementEvent) else ""
        case DigestRaised(frequency=frequency, alerts=alerts):
            return f"{frequency} digest of {len(alerts)}"
        case NoticeRaised(notice=notice, about=about):
            return f"notice: {notice} {about}"
        case _:
            return ""


def _of(recorded: Recorded, title: str, ends: _Ends) -> Iterator[Account]:
    raised = recorded.event
    if not isinstance(raised, AlertRaised | DigestRaised | NoticeRaised):
        return
    held = isinstance(raised, AlertRaised) and bool(raised.waits_for)
    digest = ends.digests.get(recorded.id) if held else None
    channels = digest.event.channels if digest and isinstance(digest.event, DigestRaised) else raised.channels
    for channel in channels:
        came = ends.attempts.get((digest.id if digest else recorded.id, channel), [])
        attempts, last = tuple(map(_attempt, came)), came[-1].event if came else None
        yield Account(
            alert=recorded.id,
            subscriber=raised.subscriber,
            channel=channel,
            title=title,
            watchlists=tuple(match.watchlist for match in raised.matches) if isinstance(raised, AlertRaised) else (),
            raised_at=recorded.recorded_at,
            state=attempts[-1].state if attempts else "held" if held and digest is None else "owed",
            since=attempts[-1].ended_at if attempts else recorded.recorded_at,
            attempts=attempts,
            due_at=last.due_at if isinstance(last, DeliveryPostponed) else None,
            digest=digest.id if digest else "",
        )


def _attempt(recorded: Recorded) -> RecordedAttempt:
    event = recorded.event
    state: State
    match event:
        case AlertDelivered(reply=said):
            state = "delivered"
        case DeliveryPostponed(reason=said, unknown=unknown):
            state = "unknown" if unknown else "postponed"
        case DeliveryAbandoned(reason=said):
            state = "abandoned"
        case DeliveryBounced(action=action, status=status, reason=reason):
            state, said = "bounced", " ".join(each for each in (action, status, f"({reason})") if each)
        case DeliveryRetried():
            state, said = "owed", "to be tried again, the operator says"
        case _:
            raise TypeError(f"{event.type} is no end of an attempt")
    number = event.attempt if isinstance(event, Delivery) else 0
    return RecordedAttempt(number=number, ended_at=recorded.recorded_at, state=state, said=said)
