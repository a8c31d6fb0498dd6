"""
One attempt at one delivery, step by step: may it go, now; sent; and what its outcome means for its channel and others.
"""

from __future__ import annotations

import logging
import traceback
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timedelta

import msgspec

from notifier.channels.channel import Channel, Paced
from notifier.delivery import outcomes
from notifier.delivery.address_marks import AddressMarks
from notifier.delivery.outbox import URGENT, Outbox, Owed
from notifier.delivery.suspensions import Suspensions, notices_of
from notifier.delivery.turns import Turns
from notifier.errors import Misconfigured, Refused, TryLater
from notifier.events.alerts import NoticeRaised
from notifier.events.deliveries import DeliveryAbandoned, DeliveryPostponed
from notifier.events.event import Event
from notifier.message import Message
from notifier.subscribers.book import Book
from notifier.subscribers.subscriber import Contact, Subscriber
from notifier.subscribers.timing import quiet_until

logger = logging.getLogger(__name__)

BROKEN = 900.0  # seconds before a message is tried again whose template, or whose code, was at fault
QUIET_LOOK = timedelta(minutes=5)  # between looks at who has quiet hours: their file may say something else by now

Compose = Callable[[Owed, Subscriber, Contact, tuple[str, ...]], Awaitable[Message]]


class Attempt(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """
    One attempt, handed from step to step: what is `owed`, to whom and on which contact, at what time, at which place (a
    host or a mail domain), and its result so far.

    It is over once it has `events`, which say how it ended; once it is `parked` for a number of seconds, because of its
    address's pace; or once it has a time at which to check `quiet_hours` again. The last two do not count as attempts.
    `answered` says whether the other side answered; None if the outcome says nothing about that place.
    """

    owed: Owed
    at: datetime
    place: str
    who: Subscriber | None = None
    contact: Contact | None = None
    events: tuple[Event, ...] = ()
    parked: float | None = None
    quiet_hours: datetime | None = None
    answered: bool | None = None

    def ended(self, *events: Event, answered: bool | None = None) -> Attempt:
        """The same attempt, over, with the events that say how."""
        return msgspec.structs.replace(self, events=events, answered=answered)


class Attempts:
    """
    Makes attempts. `compose` makes the message of what is owed, `random` spreads retries, and `wake` has the lanes
    looked at again in so many seconds, where a place or a kind of channel is held for that long.
    """

    def __init__(
        self,
        channels: Mapping[str, Channel],
        compose: Compose,
        book: Book,
        outbox: Outbox,
        suspensions: Suspensions,
        marks: AddressMarks,
        clock: Callable[[], datetime],
        random: Callable[[], float],
        wake: Callable[[float], None],
    ) -> None:
        self._channels = channels
        self._paces = {kind: channel for kind, channel in channels.items() if isinstance(channel, Paced)}
        self._compose = compose
        self._book = book
        self._outbox = outbox
        self._suspensions = suspensions
        self._marks = marks
        self._clock = clock
        self._random = random
        self._wake = wake

    async def make(self, owed: Owed, place: str, turns: Turns, now: datetime) -> Attempt:
        """Try one delivery once. `turns` are those of its kind of channel; what concerns others is held there."""
        who = self._book.find(owed.subscriber)
        contact = next((each for each in who.channels if each.name == owed.channel), None) if who else None
        attempt = Attempt(owed=owed, at=now, place=place, who=who, contact=contact)
        if (end := self._end_unsent(attempt)) is not None:
            return attempt.ended(end)
        if (until := self._quiet_hours(attempt)) is not None:
            return msgspec.structs.replace(attempt, quiet_hours=until)
        return await self._sent(attempt, turns)

    def _end_unsent(self, attempt: Attempt) -> Event | None:
        """The event that ends this delivery unsent: expired, withdrawn, channel suspended, or already answered."""
        owed, now, contact = attempt.owed, attempt.at, attempt.contact
        if now >= owed.expires_at:
            return outcomes.expired(owed)
        if contact is None:
            return outcomes.withdrawn(owed, "the subscriber's file no longer names this channel")
        if suspended := self._suspensions.of(owed.lane, now):
            is_another = self._marks.tell_another(suspended, contact)
            return outcomes.resumed(suspended, now) if is_another else outcomes.suspended(owed, suspended)
        if isinstance(owed.event, NoticeRaised) and self._suspensions.is_asked_in_vain(owed.event, owed.channel, now):
            return outcomes.withdrawn(owed, "its reader has answered, or was asked less than a day ago")
        return None

    def _quiet_hours(self, attempt: Attempt) -> datetime | None:
        """
        When to look again at a subscriber's quiet hours; None where the message may go now.

        What is urgent goes, with what is before it in its lane, and so does what would expire before they end: quiet
        hours delay, and drop nothing.
        """
        owed = attempt.owed
        over = quiet_until(attempt.who.timing, attempt.at) if attempt.who else None
        if over is None or over >= owed.expires_at or self._outbox.urgency(owed.lane) == URGENT:
            return None
        return min(over, attempt.at + QUIET_LOOK)

    async def _sent(self, attempt: Attempt, turns: Turns) -> Attempt:
        owed, who, contact = attempt.owed, attempt.who, attempt.contact
        assert who is not None  # noqa: S101 `_end_unsent` ended all others
        assert contact is not None  # noqa: S101
        sending = False
        try:
            channel = self._channels[contact.kind]
            address = contact.address.reveal()
            if (pace := self._paces.get(contact.kind)) and (wait := pace.turn(address)):
                return msgspec.structs.replace(attempt, parked=wait)
            message = await self._compose(owed, who, contact, channel.forms)
            sending = True
            receipt = await channel.send(message, address)
        except TryLater as failure:
            return self._postponed(attempt, failure, turns, answered=_answered(failure))
        except Refused as refusal:
            end = outcomes.abandoned(owed, owed.attempts + 1, str(refusal), refusal.outcome)
            return attempt.ended(*self._with_suspension(end), answered=True)
        except Misconfigured as error:
            logger.error("an alert waits for a template to be mended: %s", error)  # noqa: TRY400 its words say it all
            return self._postponed(attempt, TryLater(str(error), outcome="broken", after=BROKEN), turns)
        except Exception as error:  # noqa: BLE001 it is recorded, and logged here
            # The boundary of one delivery: a bug must not silence a subscriber, nor send in a circle. It is loud here,
            # visible in the log, and tried again. Its place is shown, not its words: they may quote the address.
            kind, trace = type(error).__name__, "".join(traceback.format_tb(error.__traceback__))
            logger.error("delivering event %s on %s failed: %s\n%s", owed.position, owed.channel, kind, trace)  # noqa: TRY400
            reason = f"internal error ({kind}); see the service's log"
            return self._postponed(attempt, TryLater(reason, outcome="fault", after=BROKEN, unknown=sending), turns)
        return attempt.ended(outcomes.delivered(owed, receipt.reply), answered=True)

    def _postponed(self, attempt: Attempt, failure: TryLater, turns: Turns, *, answered: bool | None = None) -> Attempt:
        """The attempt, failed for now, and what the failure means for others of its place or kind of channel."""
        now, owed, place = self._clock(), attempt.owed, attempt.place
        end = outcomes.failed(owed, attempt.contact.kind if attempt.contact else "", failure, now, self._random)
        concerns_others = failure.scope == "route" or (failure.scope == "place" and _is_sure(failure, turns, place))
        if isinstance(end, DeliveryPostponed) and concerns_others:
            held = place if failure.scope == "place" else None
            until = turns.hold(held, now, failure.after or 0, self._random, busy=failure.outcome == "throttled")
            self._wake((until - now).total_seconds())
            end = msgspec.structs.replace(end, due_at=min(until, owed.expires_at))
        return attempt.ended(*self._with_suspension(end), answered=answered)

    def _with_suspension(self, end: DeliveryAbandoned | DeliveryPostponed) -> tuple[Event, ...]:
        """An outcome, with the suspension of its channel that it leads to, and the notices of that."""
        now = self._clock()
        suspended = self._suspensions.following(end, now)
        if suspended is None:
            return (end,)
        logger.error("%s: channel %s is suspended: %s", end.subscriber, end.channel, suspended.reason)
        return (
            end,
            suspended,
            *notices_of([suspended], self._book, lambda contact: self._is_usable(end, contact, now)),
        )

    def _is_usable(self, end: DeliveryAbandoned | DeliveryPostponed, contact: Contact, now: datetime) -> bool:
        return contact.kind in self._channels and self._suspensions.of((end.subscriber, contact.name), now) is None


def _is_sure(failure: TryLater, turns: Turns, place: str) -> bool:
    """Is it the whole place, as it seems, and not this address alone? One closed mailbox must not close a domain."""
    return failure.outcome not in ("policy", "cut-off", "unknown") or turns.struck(place)


def _answered(failure: TryLater) -> bool | None:
    """Did the other side answer? None where the place or the kind of channel is held for this anyway."""
    return None if failure.scope in ("place", "route") else failure.outcome not in ("cut-off", "unknown")
