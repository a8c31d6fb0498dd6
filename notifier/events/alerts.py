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
    We owe a subscriber word of a statement, on each of `channels`. Its cause is the statement's event.

    One alert per subscriber and wording of a statement, however many of his watchlists matched. `also` are the ids of
    further statements' events that tell the same news and that this alert names as well; `follows` is the id of the
    first alert that the same subscriber had of this news, "" where this is it.

    `waits_for` is "" where it is owed at once, else one of "hourly", "daily", "weekly" (a digest), "quiet hours" (their
    end) and "burst". A `DigestRaised` will name it then. `urgent`: one of its watchlists is.
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
    which they are all. `frequency` is what they waited for (`AlertRaised.waits_for`). `due_at` is the moment of the
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
