"""Events by which we owe somebody a message: an alert, a digest, a notice."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar

import msgspec

from notifier.events.event import Event

CONFIRM, SUSPENDED, OPERATOR_NOTICE = "confirm", "suspended", "operator"
"""The kinds of notice that there are; each is the name of its folder of templates."""


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
    We owe a subscriber an alert on a statement, on each of `channels`. Its cause is the statement's event.

    There is one alert per subscriber and wording of a statement, however many of their watchlists match. `also` are the
    ids of events of further statements with the same news, which this alert names as well; `follows` is the id of the
    subscriber's first alert on this news, "" if this is it.

    `waits_for` is "" for an alert that is owed immediately, else one of "hourly", "daily", "weekly" (a digest), "quiet
    hours" (their end) and "burst". A `DigestRaised` will name it then. `urgent`: one of its watchlists is.
    """

    type: ClassVar[str] = "alert.raised.v1"

    subscriber: str
    statement_id: str
    matches: tuple[WatchlistMatched, ...]
    channels: tuple[str, ...]
    matcher: str = ""
    also: tuple[str, ...] = ()
    follows: str = ""
    waits_for: str = msgspec.field(default="", name="held")
    urgent: bool = False

    @property
    def key(self) -> tuple[str, ...]:
        return (self.subscriber,)

    @property
    def subject(self) -> str:
        return self.subscriber


class FeedStatus(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """
    The state of a feed when a digest was made: its issuer, its last outcome ("" for never polled), what that means in
    words, and since when it fails.
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
    which they are all. `frequency` is what they waited for (`AlertRaised.waits_for`). `due_at` is the moment of the
    digest by the subscriber's clock, in UTC; together with `part` (from 1 to `parts`, where there are too many for one)
    it names the digest. `since` is the moment of the one before, None for the first.

    `feeds_asked` counts the feeds behind the subscriber's watchlists; `feeds` are those that fail, except for
    `feeds_left_out` that did not fit. Only the first part of a digest has them.
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
    feeds: tuple[FeedStatus, ...] = ()
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
    We owe a subscriber a message about their subscription, on each of `channels`. `notice` is its kind and the folder
    of its templates ("confirm", "suspended", "operator"); `about` is the channel it is about, `reason` says why.
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
