"""
Which channels are suspended, and which failures suspend one. Folded from the log.

A channel is suspended when its mailbox no longer exists or has been full for long, when its reader unsubscribed or
reported our mail as spam, and when its webhook no longer exists. The event says why, and another one who resumed it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta

import msgspec

from notifier.delivery.outbox import Lane
from notifier.events.alerts import CONFIRM, NoticeRaised
from notifier.events.channels import ChannelConfirmed, ChannelResumed, ChannelSuspended
from notifier.events.deliveries import AlertDelivered, DeliveryAbandoned, DeliveryPostponed
from notifier.events.event import Recorded
from notifier.subscribers.book import Book
from notifier.subscribers.subscriber import OPERATOR, Contact

# What an end says about the channel it came on, by its outcome: why it is suspended at once.
SUSPENDS_AT_ONCE = {"no-such-address": "bounced", "endpoint-gone": "ended"}
# A mailbox that is refused for reasons that may pass is believed gone at the second refusal within a week.
REFUSED, WITHIN = "mailbox-refused", timedelta(days=7)
# A mailbox that was full for three messages in a row, a week or longer, is left alone for a month.
IN_A_ROW, FOR, LEFT_ALONE = 3, timedelta(days=7), timedelta(days=30)
# An answer of "forbidden" is asked about three times more; a webhook that forbids it then has ended.
FORBIDDEN, TRIES = "forbidden", 4
# Before a reader has confirmed a channel they get one message in this time (promise P12).
APART = timedelta(hours=24)


class _Failures(msgspec.Struct):
    """Of one lane: when it was last refused as above, and the alerts in a row that met a full mailbox."""

    refused_at: datetime | None = None
    full: dict[str, datetime] = {}


class Suspensions:
    """`apply` every event; ask at any time. The same events give the same answers."""

    def __init__(self) -> None:
        self._suspended: dict[Lane, Recorded] = {}
        self._confirmed: dict[Lane, ChannelConfirmed] = {}
        self._failures: dict[Lane, _Failures] = {}
        self._questions: dict[str, None] = {}  # notices that ask for confirmation and have not ended
        self._asked: dict[Lane, datetime] = {}  # when such a one was last handed over

    def apply(self, recorded: Recorded) -> None:
        """Fold one event in; others change nothing."""
        match recorded.event:
            case ChannelSuspended(subscriber=subscriber, channel=channel):
                self._suspended[subscriber, channel] = recorded
            case ChannelResumed(subscriber=subscriber, channel=channel):
                self._suspended.pop((subscriber, channel), None)
                self._failures.pop((subscriber, channel), None)
            case ChannelConfirmed() as event:
                self._confirmed[event.subscriber, event.channel] = event
                self._asked.pop((event.subscriber, event.channel), None)
            case NoticeRaised(notice="confirm"):
                self._questions[recorded.id] = None
            case AlertDelivered(alert=alert, subscriber=subscriber, channel=channel):
                self._failures.pop((subscriber, channel), None)
                if alert in self._questions:
                    self._asked[subscriber, channel] = recorded.recorded_at
                    del self._questions[alert]
            case DeliveryPostponed(outcome="mailbox-full") as event:
                full = self._failures.setdefault((event.subscriber, event.channel), _Failures()).full
                full.setdefault(event.alert, recorded.recorded_at)
            case DeliveryAbandoned(outcome="mailbox-refused") as event:
                self._questions.pop(event.alert, None)
                failures = self._failures.setdefault((event.subscriber, event.channel), _Failures())
                failures.refused_at = recorded.recorded_at
            case DeliveryAbandoned(alert=alert):
                self._questions.pop(alert, None)
            case _:
                pass

    def of(self, lane: Lane, now: datetime) -> ChannelSuspended | None:
        """The suspension that a channel is under now."""
        recorded = self._suspended.get(lane)
        event = recorded.event if recorded else None
        if not isinstance(event, ChannelSuspended) or (event.until is not None and event.until <= now):
            return None
        return event

    def all(self, now: datetime) -> Mapping[Lane, ChannelSuspended]:
        """Every channel that is suspended now."""
        return {lane: event for lane in self._suspended if (event := self.of(lane, now))}

    def confirmed(self) -> Mapping[Lane, ChannelConfirmed]:
        """Every channel that its reader has confirmed, with the newest confirmation."""
        return self._confirmed

    def is_asked_in_vain(self, notice: NoticeRaised, channel: str, now: datetime) -> bool:
        """
        Should this question for confirmation not be sent: has its reader answered, or been asked less than a day ago?
        Questions of several days may have waited for a mail server together.
        """
        lane = (notice.subscriber, channel)
        asked, confirmed = self._asked.get(lane), self._confirmed.get(lane)
        has_answered = confirmed is not None and confirmed.at >= notice.raised_at
        return notice.notice == CONFIRM and (has_answered or (asked is not None and now - asked < APART))

    def following(self, end: DeliveryAbandoned | DeliveryPostponed, now: datetime) -> ChannelSuspended | None:
        """The suspension that an end of a delivery leads to, if it does, before it was folded in itself."""
        lane = (end.subscriber, end.channel)
        failures = self._failures.get(lane, _Failures())
        why, until = SUSPENDS_AT_ONCE.get(end.outcome, ""), None
        match end.outcome:
            case "mailbox-refused" if failures.refused_at and now - failures.refused_at <= WITHIN:
                why = "bounced"
            case "mailbox-full":
                until = full_until((failures.full | {end.alert: failures.full.get(end.alert, now)}).values(), now)
                why = "full" if until else ""
            case "forbidden" if isinstance(end, DeliveryAbandoned):
                why = "ended"
        if not why or self.of(lane, now):
            return None
        return ChannelSuspended(
            cause=end.id,
            subscriber=end.subscriber,
            channel=end.channel,
            why=why,
            reason=end.reason,
            at=now,
            until=until,
        )


def full_until(refusals: Collection[datetime], now: datetime) -> datetime | None:
    """
    Until when nothing is sent to a mailbox that has been full for a row of messages, by when it refused each.

    None unless they are three or more and the first of them was a week or longer ago.
    """
    return now + LEFT_ALONE if len(refusals) >= IN_A_ROW and now - min(refusals) >= FOR else None


def notices_of(
    suspended: Sequence[ChannelSuspended],
    book: Book,
    is_usable: Callable[[Contact], bool],
) -> list[NoticeRaised]:
    """
    What we owe people when channels of one subscriber are suspended together: the subscriber a notice of each on the
    first of their other channels that `is_usable`, mail first, and the operator one by mail.
    """
    if not suspended:
        return []
    ended = {each.channel for each in suspended}
    others = [contact.name for contact in book.others(suspended[0].subscriber, ended) if is_usable(contact)]
    notices = [notice_of(each, others) for each in suspended]
    if book.operator is not None:
        notices += map(operator_notice, suspended)
    return [notice for notice in notices if notice is not None]


def operator_notice(suspended: ChannelSuspended) -> NoticeRaised | None:
    """
    The notice that we owe the operator when a channel is suspended, by mail.

    None where its reader asked for the suspension, and where it is the operator's own mailbox.
    """
    if suspended.why == "unsubscribed" or suspended.subscriber == OPERATOR:
        return None
    return NoticeRaised(
        cause=suspended.id,
        subscriber=OPERATOR,
        channels=("email",),
        notice="operator",
        about=f"{suspended.subscriber} · {suspended.channel}",
        reason=suspended.reason,
        raised_at=suspended.at,
    )


def notice_of(suspended: ChannelSuspended, others: Iterable[str]) -> NoticeRaised | None:
    """
    The notice that we owe a subscriber when one of their channels is suspended, on the first of the others that work.

    None without another channel, and where its reader asked for the suspension.
    """
    other = next(iter(others), None)
    if other is None or suspended.why in ("unsubscribed", "complained"):
        return None
    return NoticeRaised(
        cause=suspended.id,
        subscriber=suspended.subscriber,
        channels=(other,),
        notice="suspended",
        about=suspended.channel,
        reason=suspended.reason,
        raised_at=suspended.at,
    )
