"""
What comes back by mail → what became of alerts, and channels that take no more, in the log.

A report counts where it came back by a token that we made (VERP): it names the alert, and nobody else can have made it.
Anything else is left as it is, and changes nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterator
from datetime import datetime, timedelta
from typing import Any

import msgspec

from notifier.channels.mail.address import mailbox
from notifier.channels.mail.bounce_mailbox import Inbox
from notifier.channels.mail.bounce_reports import Outcome, Report, meaning
from notifier.delivery.channel_state import ChannelStates
from notifier.delivery.suspensions import OPERATOR, notice_of, word_to_operator
from notifier.eventlog.log import EventLog
from notifier.events.alerts import AlertRaised, DigestRaised, NoticeRaised
from notifier.events.channels import ChannelResumed, ChannelSuspended
from notifier.events.deliveries import AlertDelivered, DeliveryBounced
from notifier.events.event import Event, Recorded
from notifier.messages.signed_links import SignedLinks
from notifier.subscribers.subscriber import Contact, Subscriber

logger = logging.getLogger(__name__)

TYPES = (DeliveryBounced.type, ChannelSuspended.type, ChannelResumed.type)
KIND = "email"
MOST = 200  # mails in one round

IN_A_ROW = 3  # messages that a full mailbox did not take, one after another …
LONG = timedelta(days=7)  # … over so long a time, before it gets none …
PAUSE = timedelta(days=30)  # … for so long

COMPLAINED = "its reader called a message spam"

Lane = tuple[str, str]


class Meant(msgspec.Struct, frozen=True):
    """What a report is about: an alert (digest, notice) in the log, and the channel that it went over."""

    alert: Recorded
    who: Subscriber
    way: Contact

    @property
    def lane(self) -> Lane:
        """The channel, as the log names it."""
        return self.who.id, self.way.name


class BounceReader:
    """
    Reads an inbox. `subscriber` finds who is meant by an id, `wanted` names the channels on which somebody may be told
    of another of his (all, where readers need not confirm them).
    """

    def __init__(
        self,
        log: EventLog,
        inbox: Inbox,
        links: SignedLinks,
        standing: ChannelStates,
        subscriber: Callable[[str], Subscriber | None],
        clock: Callable[[], datetime],
        wanted: Callable[[Subscriber], Collection[str]] | None = None,
    ) -> None:
        self._log = log
        self._inbox = inbox
        self._links = links
        self._standing = standing
        self._subscriber = subscriber
        self._clock = clock
        self._wanted = wanted or _all_channels
        self._position = 0
        self._full: dict[Lane, dict[str, datetime]] = {}  # alerts that a full mailbox did not take, and when we heard

    async def run(self) -> int:
        """Read what has come; how many reports are news. Raises `TryLater` where the mailbox cannot be read."""
        returned = await self._inbox.take(MOST)
        news = foreign = 0
        for each in returned:
            if each.report is None:
                continue
            meant = await self._meant(each.report)
            if meant is None:
                foreign += 1
            else:
                news += await self._record(meant, each.report)
        # After it is in the log: what is read twice is recorded once.
        await self._inbox.done([each.key for each in returned])
        if foreign:
            told = "reports that no message of ours to a present address brings about: %d; nothing was changed by them"
            logger.info(told, foreign)
        others = sum(each.report is None for each in returned)
        if others:
            logger.debug("mails that came back and are no reports: %d", others)
        return news

    async def _meant(self, report: Report) -> Meant | None:
        """The alert and channel of the first token that we have made; None where there is none."""
        for token in report.tokens:
            alert = self._links.alert_of(token)
            found = await self._log.find(alert) if alert else None
            if found is None or not isinstance(found.event, AlertRaised | DigestRaised | NoticeRaised):
                continue
            who = self._subscriber(found.event.subscriber)
            for way in who.channels if who else ():
                if who and way.kind == KIND and self._links.matches(token, alert, way.name, way.address.reveal()):
                    return Meant(found, who, way)
        return None

    async def _record(self, meant: Meant, report: Report) -> int:
        """Append what a report tells, with what follows from it; 1 where that is new."""
        await self._standing.catch_up()
        await self._catch_up()
        news = list[Event]()
        for bounced in _bounced(meant, report, self._clock()):
            # Once recorded, all that followed was recorded with it.
            if await self._log.find(bounced.id) is None and bounced.id not in {each.id for each in news}:
                suspended = await self._followed(meant, bounced)
                news += [bounced, *suspended, *self._notices(meant.who, suspended)]
        if news:
            await self._log.append(news)
        for each in news:
            if isinstance(each, ChannelSuspended):
                logger.warning("%s: channel %s takes nothing any more: %s", each.subscriber, each.channel, each.reason)
        return int(bool(news))

    async def _followed(self, meant: Meant, bounced: DeliveryBounced) -> list[ChannelSuspended]:
        """The channels that are suspended by this."""
        if bounced.action == "complained":
            # Whoever calls one mail spam wants none of them, whichever of his addresses it came to.
            ways = [way.name for way in meant.who.channels if way.kind == KIND]
            return self._suspended(bounced, ways, "complained", bounced.reason)
        verdict, _ = meaning(Outcome(bounced.action, bounced.status, ""))
        if bounced.elsewhere:
            # Behind an address may be many mailboxes: one clerk who has left does not end the alerts of a desk.
            return []
        if verdict == "gone":
            return self._suspended(bounced, [meant.way.name], "bounced", bounced.reason)
        if verdict == "full" and await self._is_full(meant.lane, bounced):
            reason = f"{bounced.reason}, for a week and more"
            return self._suspended(bounced, [meant.way.name], "full", reason, until=bounced.seen_at + PAUSE)
        return []

    def _suspended(
        self, bounced: DeliveryBounced, ways: list[str], why: str, reason: str, until: datetime | None = None
    ) -> list[ChannelSuspended]:
        """The suspensions of those of these channels that do not stand so already."""
        who, now, new = bounced.subscriber, bounced.seen_at, list[ChannelSuspended]()
        for way in ways:
            standing = self._standing.suspended(who, way, now)
            if standing is None or (standing.until is not None and until is None):
                new.append(
                    ChannelSuspended(
                        cause=bounced.id, subscriber=who, channel=way, why=why, reason=reason, at=now, until=until
                    )
                )
        return new

    def _notices(self, who: Subscriber, suspended: list[ChannelSuspended]) -> Iterator[NoticeRaised]:
        """Word of it on the first of his other channels that work, mail first."""
        ended, now, wanted = {each.channel for each in suspended}, self._clock(), self._wanted(who)
        others = [
            way.name
            for way in sorted(who.channels, key=lambda way: way.kind != KIND)
            if way.name not in ended and way.name in wanted and self._standing.suspended(who.id, way.name, now) is None
        ]
        yield from filter(None, (notice_of(each, others) for each in suspended))
        if self._subscriber(OPERATOR) is not None:
            yield from filter(None, map(word_to_operator, suspended))

    # ---------------------------------------------------------------- mailboxes that are full

    async def _is_full(self, lane: Lane, bounced: DeliveryBounced) -> bool:
        """Have so many messages in a row, over so long a time, not been taken, this one the last of them?"""
        full = self._full.get(lane, {}) | {bounced.alert: bounced.seen_at}
        if len(full) < IN_A_ROW or bounced.seen_at - min(full.values()) < LONG:
            return False
        sent = await self._sent(lane, next(iter(full)))
        while sent and sent[-1] not in full:
            sent.pop()  # what became of these we do not know yet
        row = list[str]()
        while sent and sent[-1] in full:
            row.append(sent.pop())
        return len(row) >= IN_A_ROW and bounced.seen_at - full[row[-1]] >= LONG

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


def _all_channels(who: Subscriber) -> tuple[str, ...]:
    return tuple(way.name for way in who.channels)


def _bounced(meant: Meant, report: Report, now: datetime) -> Iterator[DeliveryBounced]:
    """What a report says of an alert, as events; nothing where all is well."""
    of: dict[str, Any] = {
        "cause": meant.alert.id,
        "alert": meant.alert.id,
        "subscriber": meant.who.id,
        "channel": meant.way.name,
    }
    if report.complaint:
        yield DeliveryBounced(**of, action="complained", status="", reason=COMPLAINED, seen_at=now)
    address = meant.way.address.reveal()
    for outcome in report.outcomes:
        verdict, words = meaning(outcome)
        if verdict != "fine":
            yield DeliveryBounced(
                **of,
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
