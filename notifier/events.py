"""
What happens, as facts in the past tense.

An event's id is a pure function of its cause, so doing a thing twice records it once, on any log and in any process.
It is a UUIDv8 (RFC 9562): 48 bits of time inherited from the root cause, which keep neighbours together in the
index, then a hash of the event's type, its cause and its `key`. The clock on the wall never enters it.

No event carries an address or a secret: a channel is named as the subscriber's file names it, and what lies behind
that name stays in the file. `alert` in the events about deliveries is the id of the `AlertRaised`.
"""

from __future__ import annotations

import hashlib
from datetime import datetime
from typing import ClassVar

import msgspec

from notifier.statement import Statement


class Event(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """
    Any event. `cause` is the id of the event that led to it; "" for a root, which is born of the outside world.

    `type` is the name on the log, with its version: a changed shape is a new version, and old ones stay readable.
    """

    type: ClassVar[str] = ""

    cause: str = ""

    @property
    def key(self) -> tuple[str, ...]:
        """What tells this event from others of its type and cause."""
        raise NotImplementedError

    @property
    def subject(self) -> str:
        """What the event is about, in the sense of CloudEvents: a statement, a feed, or a subscriber."""
        raise NotImplementedError

    @property
    def born_at(self) -> datetime | None:
        """The time that a root event hands down to all that follow from it; only neighbourhood depends on it."""
        return None

    @property
    def id(self) -> str:
        """The event's id: 32 hexadecimal digits of a UUIDv8, with its hyphens."""
        return event_id(self.type, self.cause, self.key, self.born_at)


def event_id(type: str, cause: str, key: tuple[str, ...], born_at: datetime | None) -> str:
    """The UUIDv8 for an event of this type, cause and key; equal input gives the equal id, for ever."""
    if cause:
        prefix = cause[:8] + cause[9:13]
    else:
        milliseconds = int(born_at.timestamp() * 1000) if born_at else 0
        # A date before 1970 is somebody's mistake, and only the neighbourhood suffers; year 9999 has 48 bits.
        prefix = f"{max(milliseconds, 0):012x}"
    # Lengths go in with the parts, so no two lists of parts can run together into one.
    named = f"{len(type)}:{type}{len(cause)}:{cause}"
    for part in key:
        named += f"{len(part)}:{part}"
    hash = hashlib.blake2b(named.encode("utf-8", "surrogatepass"), digest_size=10).hexdigest()
    return f"{prefix[:8]}-{prefix[8:]}-8{hash[:3]}-{_VARIANT[hash[3]]}{hash[4:7]}-{hash[7:19]}"


# The variant of RFC 9562: a digit whose first two bits are 1 and 0.
_VARIANT = {digit: "89ab"[int(digit, 16) & 3] for digit in "0123456789abcdef"}


# ---------------------------------------------------------------- feeds


class FeedBaselined(Event, frozen=True, kw_only=True):
    """A feed was read for the first time; its `entries` statements were recorded and alert nobody."""

    type: ClassVar[str] = "feed.baselined.v1"

    feed: str
    entries: int

    @property
    def key(self) -> tuple[str, ...]:
        return (self.feed,)

    @property
    def subject(self) -> str:
        return self.feed


class FeedHealthChanged(Event, frozen=True, kw_only=True):
    """
    A feed's polls end differently from before: `outcome` where it was `before` ("" at first).

    Outcomes: ok, ok-empty, stale, gap, blocked, not-a-feed, parse-error, retired, not-found, unreachable, throttled,
    bad-address, blocked-address. An unchanged poll is no event. `changed_at` is when the poll ended.
    """

    type: ClassVar[str] = "feed.health-changed.v1"

    feed: str
    outcome: str
    changed_at: datetime
    before: str = ""
    detail: str = ""

    @property
    def key(self) -> tuple[str, ...]:
        return (self.feed, self.outcome, self.before, self.changed_at.isoformat())

    @property
    def subject(self) -> str:
        return self.feed

    @property
    def born_at(self) -> datetime:
        return self.changed_at


class FeedMoved(Event, frozen=True, kw_only=True):
    """
    A feed's address answered with a permanent redirect (301, 308); `url` is where it led.

    `moved_at` is when we saw it: a feed may move, come back, and move once more. None in rows of before it was kept.
    """

    type: ClassVar[str] = "feed.moved.v1"

    feed: str
    url: str
    url_before: str
    moved_at: datetime | None = None

    @property
    def key(self) -> tuple[str, ...]:
        return (self.feed, self.url_before, self.url, *([self.moved_at.isoformat()] if self.moved_at else []))

    @property
    def subject(self) -> str:
        return self.feed


# ---------------------------------------------------------------- statements


class OfStatement(Event, frozen=True, kw_only=True):
    """An event that bears a statement: what it says, or what it said last."""

    statement: Statement

    @property
    def subject(self) -> str:
        return self.statement.id

    @property
    def born_at(self) -> datetime | None:
        # Not `seen_at`: the id follows from the statement alone, so two machines that see it record it once.
        return self.statement.published_at


class StatementPublished(OfStatement, frozen=True, kw_only=True):
    """
    A statement was seen for the first time.

    `quiet` says why it alerts nobody ("baseline", "over 30 days old", …), or is "".
    """

    type: ClassVar[str] = "statement.published.v1"

    seen_at: datetime
    quiet: str = ""

    @property
    def key(self) -> tuple[str, ...]:
        return (self.statement.id, self.statement.fingerprint)


class StatementRevised(OfStatement, frozen=True, kw_only=True):
    """
    A statement's words changed. `replaces` is the fingerprint of the words before; `quiet` as in the first.

    With `quiet` "renamed" the words are as they were, and the statement bears another id than that which it revises.
    `revises` is the id of the event that said the words before; "" in rows of before it was kept.

    `page` is "" where the feed told of it. Where the statement's page was read again and says something else, it is
    the fingerprint of the page's words, and `replaces` that of those before. `silent`: the publisher, who else marks
    what he changes, did not. `by` is what read the page, as in `StatementRead`.
    """

    type: ClassVar[str] = "statement.revised.v1"

    replaces: str
    seen_at: datetime
    quiet: str = ""
    revises: str = ""
    page: str = ""
    silent: bool = False
    by: str = ""

    @property
    def key(self) -> tuple[str, ...]:
        return (self.statement.id, self.page or self.statement.fingerprint, self.replaces)


class StatementRead(OfStatement, frozen=True, kw_only=True):
    """
    The page of a statement was read: `statement` has the words of the page as its text, where the feed gave a summary.

    Its cause is the event that told of the statement, and `page` the fingerprint of the page's words. It is no news in
    itself: who was not alerted by title and summary may be by these words. `quiet` as in the first.

    `by` names what read it, with its version, since another may find other words on a page that nobody changed.
    """

    type: ClassVar[str] = "statement.read.v1"

    page: str
    seen_at: datetime
    quiet: str = ""
    by: str = ""

    @property
    def key(self) -> tuple[str, ...]:
        # Read by another, and then by the first again: each time it is another event.
        return (self.statement.id, self.page, *((self.by, self.quiet) if self.by else ()))


class StatementUnread(Event, frozen=True, kw_only=True):
    """The page of a statement could not be read, and for what `reason`; its cause is the event that told of it."""

    type: ClassVar[str] = "statement.unread.v1"

    statement_id: str
    reason: str

    @property
    def key(self) -> tuple[str, ...]:
        return (self.statement_id,)

    @property
    def subject(self) -> str:
        return self.statement_id


class StatementWithdrawn(OfStatement, frozen=True, kw_only=True):
    """
    A statement was taken back by its issuer: `reason` says how we know. That it left the feed's window is none.

    `statement` has its last words that we hold, and `revises` is the id of the event that said them.
    """

    type: ClassVar[str] = "statement.withdrawn.v1"

    revises: str
    reason: str
    seen_at: datetime
    quiet: str = ""

    @property
    def key(self) -> tuple[str, ...]:
        return (self.statement.id, self.revises)


# ---------------------------------------------------------------- alerts


class WatchlistMatched(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """
    One watchlist that a statement matched, within an alert: its name and query as they stood, and `words`, the
    distinct words of the statement that decided, as written there, the first of them first.
    """

    watchlist: str
    query: str
    words: tuple[str, ...] = ()


class AlertRaised(Event, frozen=True, kw_only=True):
    """
    We owe a subscriber word of a statement, on each of `channels`. Its cause is the statement's event.

    One alert per subscriber and wording of a statement, however many of his watchlists matched. `also` are the ids of
    further statements' events that tell the same news and that this alert names as well; `follows` is the id of the
    first alert that the same subscriber had of this news, "" where this is it.

    `held` is "" where it is owed at once, else what it waits for: a digest ("hourly", "daily", "weekly"), the end of
    "quiet hours", or of a "burst". A `DigestRaised` will name it then. `urgent`: one of its watchlists is.
    """

    type: ClassVar[str] = "alert.raised.v1"

    subscriber: str
    statement_id: str
    matches: tuple[WatchlistMatched, ...]
    channels: tuple[str, ...]
    matcher: str = ""
    also: tuple[str, ...] = ()
    follows: str = ""
    held: str = ""
    urgent: bool = False

    @property
    def key(self) -> tuple[str, ...]:
        return (self.subscriber,)

    @property
    def subject(self) -> str:
        return self.subscriber


class FeedTold(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """
    How a feed stood when a digest was made, and who speaks there: the last outcome ("" for never polled), in words, and
    since when it is not well.
    """

    feed: str
    outcome: str
    issuer: str = ""
    since: datetime | None = None
    detail: str = ""


class DigestRaised(Event, frozen=True, kw_only=True):
    """
    We owe a subscriber one message about several alerts, on each of `channels`.

    `alerts` are the ids of the alerts that were held for it, in the order of the log, and `until` the position up to
    which they are all. `frequency` is what they were held for, as in `AlertRaised.held`. `due_at` is the moment of the
    digest by the subscriber's clock, in UTC; together with `part` (from 1 to `parts`, where there are too many for one)
    it names the digest. `since` is the moment of the one before, None for the first.

    The subscriber's watchlists rest on `feeds_asked` feeds, and `feeds` are those of them that are not well, but for
    `feeds_left_out` that there was no room for. Only a first part tells of them.
    """

    type: ClassVar[str] = "digest.raised.v1"

    subscriber: str
    channels: tuple[str, ...]
    frequency: str
    due_at: datetime
    until: int
    alerts: tuple[str, ...] = ()
    part: int = 1
    parts: int = 1
    since: datetime | None = None
    feeds: tuple[FeedTold, ...] = ()
    feeds_asked: int = 0
    feeds_left_out: int = 0

    @property
    def key(self) -> tuple[str, ...]:
        return (self.subscriber, self.frequency, self.due_at.isoformat(), str(self.part))

    @property
    def subject(self) -> str:
        return self.subscriber

    @property
    def born_at(self) -> datetime:
        return self.due_at


class NoticeRaised(Event, frozen=True, kw_only=True):
    """
    We owe a subscriber word of something that concerns his subscription, on each of `channels`: `notice` says what and
    is the folder of its templates ("confirm", "suspended"); `about` is the channel that it is about, `reason` words.
    """

    type: ClassVar[str] = "notice.raised.v1"

    subscriber: str
    channels: tuple[str, ...]
    notice: str
    raised_at: datetime
    about: str = ""
    reason: str = ""

    @property
    def key(self) -> tuple[str, ...]:
        return (self.subscriber, self.notice, self.about, *(() if self.cause else (self.raised_at.isoformat(),)))

    @property
    def subject(self) -> str:
        return self.subscriber

    @property
    def born_at(self) -> datetime:
        return self.raised_at


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


# ---------------------------------------------------------------- channels of subscribers


class OfChannel(Event, frozen=True, kw_only=True):
    """Something about one channel of a subscriber, at `at`."""

    subscriber: str
    channel: str
    at: datetime

    @property
    def key(self) -> tuple[str, ...]:
        # What follows from an event happens once; what came from outside, as often as it comes.
        return (self.subscriber, self.channel, *(() if self.cause else (self.at.isoformat(),)))

    @property
    def subject(self) -> str:
        return self.subscriber

    @property
    def born_at(self) -> datetime:
        return self.at


class ChannelSuspended(OfChannel, frozen=True, kw_only=True):
    """
    Nothing is sent on a channel any more, until it is resumed, or until `until`.

    `why`: "bounced" (there is no such mailbox), "full" (its mailbox has been full for long), "complained" (it was
    called spam), "unsubscribed", "ended" (the webhook is no more). `reason` says it in words.
    """

    type: ClassVar[str] = "channel.suspended.v1"

    why: str
    reason: str
    until: datetime | None = None


class ChannelResumed(OfChannel, frozen=True, kw_only=True):
    """A suspended channel takes alerts again, from the next one on; `reason` says why."""

    type: ClassVar[str] = "channel.resumed.v1"

    reason: str


class ChannelConfirmed(OfChannel, frozen=True, kw_only=True):
    """Whoever reads a channel has said that he wants what comes on it."""

    type: ClassVar[str] = "channel.confirmed.v1"


# ---------------------------------------------------------------- subscriptions


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


class Recorded(msgspec.Struct, frozen=True, gc=False):
    """An event in the log, at its `position` (from 1, without gaps), with when it was recorded (UTC)."""

    position: int
    id: str
    recorded_at: datetime
    event: Event
