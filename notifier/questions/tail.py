"""
The log → one line per event, for people.

A line says when, what kind of thing, about what, and in a sentence what happened; a program reads the events
themselves (`tail --json`).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from typing import Any

import msgspec

from notifier.events.alerts import AlertRaised, DigestRaised, NoticeRaised
from notifier.events.channels import ChannelConfirmed, ChannelResumed, ChannelSuspended
from notifier.events.deliveries import (
    AlertDelivered,
    DeliveryAbandoned,
    DeliveryBounced,
    DeliveryPostponed,
    DeliveryRetried,
)
from notifier.events.event import Event, Recorded
from notifier.events.feeds import FeedBaselined, FeedHealthChanged, FeedMoved
from notifier.events.statements import (
    PageRead,
    PageUnreadable,
    StatementPublished,
    StatementRevised,
    StatementWithdrawn,
)
from notifier.events.subscriptions import SubscriptionsApplied


class TailLine(msgspec.Struct, frozen=True):
    """
    One event as people read it. `name` is its type without the version; `mood` is one of good, news, quiet, warning,
    bad, plain, and says how it may be coloured.
    """

    recorded_at: datetime
    name: str
    about: str
    sentence: str
    mood: str
    position: int


def line(recorded: Recorded) -> TailLine:
    """The line for an event; one of a type unknown here says so and is not lost."""
    event = recorded.event
    about, sentence, mood = _DESCRIBED.get(type(event), _unknown)(event)
    name = event.type.rpartition(".v")[0] or event.type
    return TailLine(recorded.recorded_at, name, about, sentence, mood, recorded.position)


def _published(event: StatementPublished) -> tuple[str, str, str]:
    if event.muted_because:
        return event.statement.feed, f"{event.statement.title} ({event.muted_because}: no alert)", "quiet"
    return event.statement.feed, event.statement.title, "news"


def _revised(event: StatementRevised) -> tuple[str, str, str]:
    what = "its page was changed without a word" if event.silent else "its words changed"
    if event.muted_because == "renamed":
        what = "under another name than before"
    elif event.muted_because:
        what = f"{what}; {event.muted_because}: no alert"
    return event.statement.feed, f"{event.statement.title} ({what})", "quiet" if event.muted_because else "news"


def _read(event: PageRead) -> tuple[str, str, str]:
    return event.statement.feed, f"{event.statement.title} (its page was read)", "quiet"


def _unread(event: PageUnreadable) -> tuple[str, str, str]:
    return event.statement_id.partition("/")[0], f"a page could not be read: {event.reason}", "plain"


def _withdrawn(event: StatementWithdrawn) -> tuple[str, str, str]:
    mood = "quiet" if event.muted_because else "news"
    return event.statement.feed, f"{event.statement.title} (withdrawn: {event.reason})", mood


def _baselined(event: FeedBaselined) -> tuple[str, str, str]:
    return event.feed, f"first poll: {counted(event.entries, 'statement')} recorded as known, nobody alerted", "plain"


def _health(event: FeedHealthChanged) -> tuple[str, str, str]:
    was = f", was {event.before}" if event.before else ""
    detail = f": {event.detail}" if event.detail else ""
    return event.feed, f"{event.outcome}{was}{detail}", "good" if event.outcome.startswith("ok") else "warning"


def _moved(event: FeedMoved) -> tuple[str, str, str]:
    return event.feed, f"moved for good to {event.url}; please change its url", "warning"


def _raised(event: AlertRaised) -> tuple[str, str, str]:
    names = ", ".join(f"“{match.watchlist}”" for match in event.matches)
    words = ", ".join(dict.fromkeys(word for match in event.matches for word in match.words))
    matched = f"{names} matched" + (f": {words}" if words else "")
    more = f", with {len(event.also)} more that tell the same" if event.also else ""
    follows = ", follows an earlier alert" if event.follows else ""
    urgent = "urgent: " if event.urgent else ""
    to = ", ".join(event.channels) + (f", held ({event.waits_for})" if event.waits_for else "")
    return event.subscriber, f"{urgent}{matched}{more}{follows} → {to}", "plain"


def _digest(event: DigestRaised) -> tuple[str, str, str]:
    part = f", part {event.part}" if event.part > 1 else ""
    what = f"{event.frequency} digest of {counted(len(event.alerts), 'alert')}{part}"
    return event.subscriber, f"{what} → {', '.join(event.channels)}", "plain"


def _notice(event: NoticeRaised) -> tuple[str, str, str]:
    why = f": {event.reason}" if event.reason else ""
    return event.subscriber, f"to be told ({event.notice} {event.about}{why}) → {', '.join(event.channels)}", "plain"


def _delivered(event: AlertDelivered) -> tuple[str, str, str]:
    again = f" at attempt {event.attempt}" if event.attempt > 1 else ""
    reply = f": {event.reply}" if event.reply else ""
    return f"{event.subscriber} · {event.channel}", f"taken over{again}{reply}", "good"


def _postponed(event: DeliveryPostponed) -> tuple[str, str, str]:
    unknown = " (it may have arrived)" if event.unknown else ""
    again = f"{event.due_at:%H:%M:%S}Z"
    return f"{event.subscriber} · {event.channel}", f"{event.reason}{unknown}; again at {again}", "warning"


def _retried(event: DeliveryRetried) -> tuple[str, str, str]:
    return f"{event.subscriber} · {event.channel}", "to be tried again, the operator says", "plain"


def _bounced(event: DeliveryBounced) -> tuple[str, str, str]:
    status = f" ({event.status})" if event.status else ""
    where = " somewhere behind its address" if event.elsewhere else ""
    sentence = f"{event.action}{where} after it was taken over{status}: {event.reason}"
    return f"{event.subscriber} · {event.channel}", sentence, "warning" if event.action == "delayed" else "bad"


def _suspended(event: ChannelSuspended) -> tuple[str, str, str]:
    until = f" until {event.until:%Y-%m-%d %H:%M}Z" if event.until else ""
    return f"{event.subscriber} · {event.channel}", f"{event.why}: nothing is sent there{until}: {event.reason}", "bad"


def _resumed(event: ChannelResumed) -> tuple[str, str, str]:
    return f"{event.subscriber} · {event.channel}", f"is resumed: {event.reason}", "good"


def _confirmed(event: ChannelConfirmed) -> tuple[str, str, str]:
    return f"{event.subscriber} · {event.channel}", "confirmed", "good"


def _abandoned(event: DeliveryAbandoned) -> tuple[str, str, str]:
    return f"{event.subscriber} · {event.channel}", f"given up: {event.reason}", "bad"


def _applied(event: SubscriptionsApplied) -> tuple[str, str, str]:
    sentence = f"{counted(event.subscribers, 'subscriber')}, {counted(event.watchlists, 'watchlist')} in force"
    return "subscriptions", sentence, "plain"


def _unknown(event: Event) -> tuple[str, str, str]:
    return event.subject, "an event of a newer notifier", "plain"


def counted(number: int, noun: str) -> str:
    """`1 statement`, `2 statements`, `2 deliveries`, `1,000 statements`."""
    many = noun[:-1] + "ies" if re.search("[^aeiou]y$", noun) else noun + "s"
    return f"{number:,} {noun if number == 1 else many}"


_DESCRIBED: dict[type[Event], Callable[[Any], tuple[str, str, str]]] = {
    StatementPublished: _published,
    StatementRevised: _revised,
    PageRead: _read,
    PageUnreadable: _unread,
    StatementWithdrawn: _withdrawn,
    FeedBaselined: _baselined,
    FeedHealthChanged: _health,
    FeedMoved: _moved,
    AlertRaised: _raised,
    AlertDelivered: _delivered,
    DeliveryPostponed: _postponed,
    DeliveryAbandoned: _abandoned,
    DeliveryRetried: _retried,
    DeliveryBounced: _bounced,
    DigestRaised: _digest,
    NoticeRaised: _notice,
    ChannelSuspended: _suspended,
    ChannelResumed: _resumed,
    ChannelConfirmed: _confirmed,
    SubscriptionsApplied: _applied,
}
