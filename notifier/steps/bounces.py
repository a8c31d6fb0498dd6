"""
What comes back by mail → what became of alerts, and channels that take no more, in the log.

A report counts where it came back by a token that we made (VERP): it names the alert, and nobody else can have made it.
Anything else is left as it is, and changes nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

import msgspec

from notifier.channels.mail.address import mailbox
from notifier.channels.mail.bounce_mailbox import Inbox
from notifier.channels.mail.bounce_reports import Outcome, Report, meaning
from notifier.delivery.channel_state import ChannelStates
from notifier.delivery.suspensions import full_until, notices_of
from notifier.eventlog.log import EventLog
from notifier.events.alerts import AlertRaised, DigestRaised, NoticeRaised
from notifier.events.channels import ChannelResumed, ChannelSuspended
from notifier.events.deliveries import AlertDelivered, DeliveryBounced
from notifier.events.event import Event, Recorded
from notifier.messages.signed_links import SignedLinks
from notifier.subscribers.book import Book
from notifier.subscribers.subscriber import MAIL, Contact, Subscriber

logger = logging.getLogger(__name__)

TYPES = (DeliveryBounced.type, ChannelSuspended.type, ChannelResumed.type)
MOST = 200  # mails in one round

COMPLAINED = "its reader called a message spam"

Lane = tuple[str, str]


class BouncedAlert(msgspec.Struct, frozen=True):
    """What a report is about: an alert (digest, notice) in the log, and the channel that it went over."""

    alert: Recorded
    who: Subscriber
    contact: Contact

    @property
    def lane(self) -> Lane:
        """The channel, as the log names it."""
        return self.who.id, self.contact.name


class BounceReader:
    """
    Reads the reports in an inbox, records each with what follows from it, and marks it as done.
    """

    def __init__(
        self,
        log: EventLog,
        inbox: Inbox,
        links: SignedLinks,
        states: ChannelStates,
        book: Book,
        clock: Callable[[], datetime],
    ) -> None:
        self._log = log
        self._inbox = inbox
        self._links = links
        self._states = states
        self._book = book
        self._clock = clock
        self._position = 0
        self._full: dict[Lane, dict[str, datetime]] = {}  # alerts that a full mailbox did not take, and when we heard

    async def run(self) -> int:
        """Read what has come; how many reports are news. Raises `TryLater` where the mailbox cannot be read."""
        returned = await self._inbox.take(MOST)
        news = foreign = 0
        for each in returned:
            if each.report is None:
                continue
            found = await self._alert_of(each.report)
            if found is None:
                foreign += 1
            else:
                news += await self._record(found, each.report)
        # After it is in the log: what is read twice is recorded once.
        await self._inbox.done([each.key for each in returned])
        if foreign:
            logger.info("bounce reports that name no message of ours to a present address, ignored: %d", foreign)
        others = sum(each.report is None for each in returned)
        if others:
            logger.debug("mails in the bounce mailbox that are not reports: %d", others)
        return news

    async def _alert_of(self, report: Report) -> BouncedAlert | None:
        """The alert and channel of the first token that we have made; None where there is none."""
        for token in report.tokens:
            alert = self._links.alert_of(token)
            found = await self._log.find(alert) if alert else None
            if found is None or not isinstance(found.event, AlertRaised | DigestRaised | NoticeRaised):
                continue
            who = self._book.find(found.event.subscriber)
            for contact in who.channels if who else ():
                address = contact.address.reveal()
                if who and contact.kind == MAIL and self._links.matches(token, alert, contact.name, address):
                    return BouncedAlert(found, who, contact)
        return None

    async def _record(self, of: BouncedAlert, report: Report) -> int:
        """Append what a report tells, with what follows from it; 1 where that is new."""
        await self._states.catch_up()
        await self._catch_up()
        news = list[Event]()
        for bounced in _bounced(of, report, self._clock()):
            # Once recorded, all that followed was recorded with it.
            if await self._log.find(bounced.id) is None and bounced.id not in {each.id for each in news}:
                suspended = await self._followed(of, bounced)
                news += [bounced, *suspended, *notices_of(suspended, self._book, self._is_usable(bounced))]
        if news:
            await self._log.append(news)
        for each in news:
            if isinstance(each, ChannelSuspended):
                logger.warning("%s: channel %s is suspended: %s", each.subscriber, each.channel, each.reason)
        return int(bool(news))

    def _is_usable(self, bounced: DeliveryBounced) -> Callable[[Contact], bool]:
        who, now = bounced.subscriber, self._clock()
        return lambda contact: self._states.suspended(who, contact.name, now) is None

    async def _followed(self, of: BouncedAlert, bounced: DeliveryBounced) -> list[ChannelSuspended]:
        """The channels that are suspended by this."""
        if bounced.action == "complained":
            # A reader who calls one mail spam wants none of them, whichever of their addresses it came to.
            names = [contact.name for contact in of.who.channels if contact.kind == MAIL]
            return self._suspended(bounced, names, "complained", bounced.reason)
        verdict, _ = meaning(Outcome(bounced.action, bounced.status, ""))
        if bounced.elsewhere:
            # Behind an address may be many mailboxes: one clerk who has left does not end the alerts of a desk.
            return []
        if verdict == "gone":
            return self._suspended(bounced, [of.contact.name], "bounced", bounced.reason)
        if verdict == "full" and (until := await self._full_until(of.lane, bounced)):
            reason = f"{bounced.reason}, for a week and more"
            return self._suspended(bounced, [of.contact.name], "full", reason, until=until)
        return []

    def _suspended(
        self, bounced: DeliveryBounced, channels: list[str], why: str, reason: str, until: datetime | None = None
    ) -> list[ChannelSuspended]:
        """The suspensions of those of these channels that are not suspended so already."""
        who, now, new = bounced.subscriber, bounced.seen_at, list[ChannelSuspended]()
        for channel in channels:
            before = self._states.suspended(who, channel, now)
            if before is None or (before.until is not None and until is None):
                new.append(
                    ChannelSuspended(
                        cause=bounced.id, subscriber=who, channel=channel, why=why, reason=reason, at=now, until=until
                    )
                )
        return new

    # ---------------------------------------------------------------- mailboxes that are full

    async def _full_until(self, lane: Lane, bounced: DeliveryBounced) -> datetime | None:
        """
        Until when nothing is sent to a mailbox that was full for many messages in a row, the bounced one the last.

        All were handed over before they came back, so the row is found in the order in which they were.
        """
        full, now = self._full.get(lane, {}) | {bounced.alert: bounced.seen_at}, bounced.seen_at
        if full_until(full.values(), now) is None:
            return None  # the row can only be shorter, and finding it takes a look at the log
        sent = await self._sent(lane, next(iter(full)))
        while sent and sent[-1] not in full:
            sent.pop()  # what became of these we do not know yet
        row = list[str]()
        while sent and sent[-1] in full:
            row.append(sent.pop())
        return full_until([full[alert] for alert in row], now)

    async def _sent(self, lane: Lane, since: str) -> list[str]:
        """The alerts that were handed over on a channel, from this one on. Read anew: it is seldom asked."""
        first = await self._log.find(since)
        position, sent = first.position if first else 0, list[str]()
        while (page := await self._log.read(position, (AlertDelivered.type,))).position > position:
            for each in page.events:
                event = each.event
                if isinstance(event, AlertDelivered) and (event.subscriber, event.channel) == lane:
                    sent.append(event.alert)
            position = page.position
        return sent

    async def _catch_up(self) -> None:
        """Fold in which messages full mailboxes did not take; a channel that is resumed, or suspended, begins anew."""
        while (page := await self._log.read(self._position, TYPES)).position > self._position:
            for recorded in page.events:
                match recorded.event:
                    case DeliveryBounced() as event if not event.elsewhere:
                        if meaning(Outcome(event.action, event.status, ""))[0] == "full":
                            self._full.setdefault((event.subscriber, event.channel), {})[event.alert] = event.seen_at
                    case ChannelSuspended() | ChannelResumed() as event:
                        self._full.pop((event.subscriber, event.channel), None)
                    case _:
                        pass
            self._position = page.position


def _bounced(of: BouncedAlert, report: Report, now: datetime) -> Iterator[DeliveryBounced]:
    """What a report says of an alert, as events; nothing where all is well."""
    about: dict[str, Any] = {
        "cause": of.alert.id,
        "alert": of.alert.id,
        "subscriber": of.who.id,
        "channel": of.contact.name,
    }
    if report.complaint:
        yield DeliveryBounced(**about, action="complained", status="", reason=COMPLAINED, seen_at=now)
    address = of.contact.address.reveal()
    for outcome in report.outcomes:
        verdict, words = meaning(outcome)
        if verdict != "fine":
            yield DeliveryBounced(
                **about,
                action=outcome.action,
                status=outcome.status,
                reason=words,
                seen_at=now,
                elsewhere=not _is_of(outcome.recipient, address),
            )


def _is_of(recipient: str, address: str) -> bool:
    """Does a report speak of this address? A recipient that it does not name, or without a domain, is taken for it."""
    try:
        ours = mailbox(address).casefold()
    except ValueError:
        return True
    local, _, domain = ours.rpartition("@")
    bare = f"{local.partition('+')[0]}@{domain}"
    return recipient in {"", address.casefold(), ours, bare} or ("@" not in recipient and recipient == local)
